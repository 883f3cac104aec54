"""Spatial modelling (SM): pre-trained encoders inside the recognition network."""

import keras
from keras import ops

from keras_skelmae.layers.graph import check_edges
from keras_skelmae.layers.graph_encoder import GraphEncoder

RESIDUALS = ("concat", "add")
READOUTS = ("pooled", "pooled+joints")
ENCODER_POOLS = ("sum", "mean")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SpatialModeling(keras.layers.Layer):
    """``SM(H) = Repeat(SumPool_joints(G_E(A, H)), V) (+) H``, one graph encoder a person.

    The residual ``(+)`` is a 1x1 convolution of the concatenation (``concat``; computed as the sum of two
    smaller ones, which is the same) or the addition of a 1x1-convolved input (``add``).

    Args:
        units: int, width of the encoder and of the output.
        edges: pairs of joint indices.
        num_layers: int, graph convolutions in each encoder (L_D).
        num_people: int, M; one encoder a person unless shared.
        share_people: bool, one encoder for all people.
        normalization: normalisation inside the encoders: "batch", "layer", "none".
        residual: "concat" or "add".
        readout: "pooled" as in the paper, or "pooled+joints", which also adds the encoder's output joint by joint.
        encoder_pool: "sum" as in the paper, or "mean": the same up to a factor V that the next convolution could
            absorb, but V joints no longer drown each single one at the start of training.
        backbone: "gin", "gcn" or "gat".
        interaction: bool, add the pooled vectors of the other present people through a 1x1 convolution.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: None or bool ``(B, M, T)``; True = the person is there. Absent people neither enter the batch
            statistics nor the interaction.

    Input shape:
        ``(B, M, T, V, C)``, M static.

    Output shape:
        ``(B, M, T, V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = SpatialModeling(8, edges=[(1, 0), (2, 1)], num_people=2)
        >>> tuple(layer(np.ones((1, 2, 4, 3, 8), "float32")).shape[1:])
        (2, 4, 3, 8)

    Reference:
        Yan et al., ICCV 2023, section 3.3.
    """

    def __init__(self, units, edges, num_layers=3, num_people=2, share_people=False, normalization="batch",
                 residual="concat", readout="pooled", encoder_pool="sum", backbone="gin",
                 interaction=True, **kwargs):
        super().__init__(**kwargs)
        if residual not in RESIDUALS:
            raise ValueError(f"residual: expected one of {RESIDUALS}, found {residual!r}")
        if readout not in READOUTS:
            raise ValueError(f"readout: expected one of {READOUTS}, found {readout!r}")
        if encoder_pool not in ENCODER_POOLS:
            raise ValueError(f"encoder_pool: expected one of {ENCODER_POOLS}, found {encoder_pool!r}")
        self.units = units
        self.edges = check_edges(edges)
        self.num_layers = num_layers
        self.num_people = num_people
        self.share_people = share_people
        self.normalization = normalization
        self.residual = residual
        self.readout = readout
        self.encoder_pool = encoder_pool
        self.backbone = backbone
        self.interaction = interaction

    def build(self, input_shape):
        if input_shape[1] != self.num_people:
            raise ValueError(f"expected {self.num_people} people on axis 1, found shape {tuple(input_shape)}")
        count = 1 if self.share_people else self.num_people
        shape = tuple(input_shape)
        single = shape if self.share_people else (shape[0], 1, *shape[2:])
        pooled = (*shape[:3], 1, self.units)
        self.encoders = []
        for index in range(count):
            encoder = GraphEncoder(self.units, self.edges, self.num_layers, self.normalization, self.backbone,
                                   name=f"encoder_{index}", dtype=self.dtype_policy)
            encoder.build(single)
            self.encoders.append(encoder)

        def pointwise(name, source, use_bias=False):
            dense = keras.layers.Dense(self.units, use_bias=use_bias, name=name, dtype=self.dtype_policy)
            dense.build(source)
            return dense

        self.input_conv = pointwise("input_conv", shape, use_bias=True)
        self.pooled_conv = pointwise("pooled_conv", pooled) if self.residual == "concat" else None
        self.joint_conv = None
        if self.readout == "pooled+joints":
            self.joint_conv = pointwise("joint_conv", (*shape[:-1], self.units))
        self.interaction_conv = None
        if self.interaction and self.num_people > 1:
            self.interaction_conv = pointwise("interaction_conv", pooled)
        self.built = True

    def call(self, inputs, presence=None, training=None):
        if self.share_people or self.num_people == 1:
            encoded = self.encoders[0](inputs, presence=presence, training=training)  # (B, M, T, V, units)
        else:
            each = []
            for index, encoder in enumerate(self.encoders):
                here = None if presence is None else presence[:, index:index + 1]
                each.append(encoder(inputs[:, index:index + 1], presence=here, training=training))
            encoded = ops.concatenate(each, axis=1)  # (B, M, T, V, units)
        pool = ops.sum if self.encoder_pool == "sum" else ops.mean
        pooled = pool(encoded, axis=3, keepdims=True)  # (B, M, T, 1, units)
        x = self.input_conv(inputs)  # (B, M, T, V, units)
        if self.joint_conv is not None:
            x = x + self.joint_conv(encoded)
        context = pooled if self.pooled_conv is None else self.pooled_conv(pooled)
        if self.interaction_conv is not None:
            if presence is not None:
                pooled = pooled * ops.cast(presence, pooled.dtype)[..., None, None]
            context = context + self.interaction_conv(ops.sum(pooled, axis=1, keepdims=True) - pooled)
        return x + context  # repeated to the V joints by broadcasting

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "edges": self.edges, "num_layers": self.num_layers,
                "num_people": self.num_people, "share_people": self.share_people,
                "normalization": self.normalization, "residual": self.residual, "readout": self.readout,
                "encoder_pool": self.encoder_pool, "backbone": self.backbone,
                "interaction": self.interaction}
