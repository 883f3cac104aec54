"""Spatial modelling (SM): pre-trained encoders inside the recognition network."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import make_normalization, normalize
from keras_skelmae.layers.graph_encoder import GraphEncoder

RESIDUALS = ("concat", "add")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SpatialModeling(keras.layers.Layer):
    """``SM(H) = (Repeat(MeanPool_joints(G_E(A, H)), V), G_E(A, H)) (+) H``, one graph encoder per person.

    The residual ``(+)`` is a 1x1 convolution of the concatenation, computed as the sum of smaller ones, which is the
    same. The pooled vectors of the other present people are added through a 1x1 convolution of their own.

    The paper pools by a sum and joins the pooled vector alone. From the first layer on that leaves a thousandth of the
    variance between the joints of a frame: V copies of one vector. The mean, which the next convolution could turn
    into the sum, and the encoder's output joint by joint keep a third (docs/results.md).

    With ``residual="add"`` it is ``G_E(A, H) + Repeat(pooled W) + H``, W zero at the start: the graph part of ST-GCN++
    (Duan et al., ACM MM 2022) and the pooled vector. Where the widths differ H goes through a 1x1 convolution and a
    normalisation.

    Args:
        encoder: GraphEncoder, or its config. Its settings are copied for every person; its weights are handed on by
            ``STRLBackbone``.
        num_people: int, M; one encoder per person unless shared.
        share_people: bool, one encoder for all people.
        residual: "concat" or "add".

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: None or bool ``(B, M, T)``; True = the person is there. Absent people neither enter the batch
            statistics nor the interaction.

    Input shape:
        ``(B, M, T, V, C)``, M static.

    Output shape:
        ``(B, M, T, V, units)``, the encoder's units.

    Example:
        >>> import numpy as np
        >>> layer = SpatialModeling(GraphEncoder(8, edges=[(1, 0), (2, 1)]), num_people=2)
        >>> tuple(layer(np.ones((1, 2, 4, 3, 8), "float32")).shape[1:])
        (2, 4, 3, 8)

    Reference:
        Yan et al., ICCV 2023, section 3.3.
    """

    def __init__(self, encoder, num_people=2, share_people=False, residual="concat", **kwargs):
        super().__init__(**kwargs)
        if residual not in RESIDUALS:
            raise ValueError(f"residual: expected one of {RESIDUALS}, found {residual!r}")
        config = encoder.get_config() if isinstance(encoder, GraphEncoder) else encoder
        self.encoder_config = {key: value for key, value in config.items() if key not in ("name", "dtype", "trainable")}
        self.num_people = num_people
        self.share_people = share_people
        self.residual = residual

    def build(self, input_shape):
        if input_shape[1] != self.num_people:
            raise ValueError(f"expected {self.num_people} people on axis 1, found shape {tuple(input_shape)}")
        self.units = self.encoder_config["units"]
        shape, alone = tuple(input_shape), self.share_people or self.num_people == 1
        self.encoders = [
            GraphEncoder.from_config({**self.encoder_config, "name": f"encoder_{index}", "dtype": self.dtype_policy})
            for index in range(1 if alone else self.num_people)
        ]
        for encoder in self.encoders:
            encoder.build(shape if alone else (shape[0], 1, *shape[2:]))
        pooled, added = (*shape[:3], 1, self.units), self.residual == "add"
        start = "zeros" if added else "glorot_uniform"
        self.pooled_conv = self._pointwise("pooled_conv", pooled, kernel_initializer=start)
        self.interaction_conv = None
        if self.num_people > 1:
            self.interaction_conv = self._pointwise("interaction_conv", pooled, kernel_initializer=start)
        self.input_conv = self.joint_conv = self.input_norm = None
        if not added:
            self.joint_conv = self._pointwise("joint_conv", (*shape[:-1], self.units))
        if not added or shape[-1] != self.units:
            self.input_conv = self._pointwise("input_conv", shape, use_bias=True)
        if added and self.input_conv is not None:
            self.input_norm = make_normalization(self.encoders[0].normalization, "input_norm", self.dtype_policy)
            if self.input_norm is not None:
                self.input_norm.build((*shape[:-1], self.units))
        self.built = True

    def _pointwise(self, name, shape, use_bias=False, kernel_initializer="glorot_uniform"):
        dense = Dense(
            self.units, use_bias=use_bias, kernel_initializer=kernel_initializer, name=name, dtype=self.dtype_policy
        )
        dense.build(shape)
        return dense

    def _encode(self, inputs, presence, training):
        """Each person through its encoder: ``(B, M, T, V, units)``."""
        if len(self.encoders) == 1:
            return self.encoders[0](inputs, presence=presence, training=training)
        people = []
        for index, encoder in enumerate(self.encoders):
            there = None if presence is None else presence[:, index : index + 1]
            people.append(encoder(inputs[:, index : index + 1], presence=there, training=training))
        return ops.concatenate(people, axis=1)

    def call(self, inputs, presence=None, training=None):
        encoded = self._encode(inputs, presence, training)  # (B, M, T, V, units)
        pooled = ops.mean(encoded, axis=3, keepdims=True)  # (B, M, T, 1, units)
        x = inputs if self.input_conv is None else self.input_conv(inputs)
        x = normalize(self.input_norm, x, presence, training)
        x = x + (encoded if self.joint_conv is None else self.joint_conv(encoded))  # (B, M, T, V, units)
        context = self.pooled_conv(pooled)  # (B, M, T, 1, units)
        if self.interaction_conv is not None:
            if presence is not None:
                pooled = pooled * ops.cast(presence, pooled.dtype)[..., None, None]
            context = context + self.interaction_conv(ops.sum(pooled, axis=1, keepdims=True) - pooled)
        return x + context  # repeated to the V joints by broadcasting

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.encoder_config["units"])

    def get_config(self):
        own = config_of(self, "num_people", "share_people", "residual")
        return {**super().get_config(), "encoder": self.encoder_config, **own}
