"""Placed coordinates to joint features: what every network begins with."""

import keras

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import make_normalization, normalize
from keras_skelmae.layers.skeleton_streams import SkeletonStreams


@keras.saving.register_keras_serializable(package="keras_skelmae")
class JointEmbedding(keras.layers.Layer):
    """``x_j = W [s_1(j) ... s_k(j)] + b``: the input streams of every joint side by side, through one linear map.

    Several streams are normalised first, since motion is an order of magnitude smaller than position.

    Args:
        units: int, D.
        streams: names of input streams, see SkeletonStreams.
        num_coordinates: int, 2 or 3.
        bones: (joint, reference) pairs, for the stream "bone".

    Call arguments:
        inputs: ``(B, M, T, V, C)`` placed coordinates, see SkeletonNormalization.
        visible: bool ``(B, M, T, V)``, True = observed and not masked.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = JointEmbedding(8, streams=["joint"], num_coordinates=2, bones=[(1, 0)])
        >>> tuple(layer(np.ones((1, 2, 4, 2, 2), "float32"), np.ones((1, 2, 4, 2), bool)).shape[1:])
        (2, 4, 2, 8)

    Reference:
        Yan et al., ICCV 2023, section 3.2, for the linear map.
    """

    def __init__(self, units, streams, num_coordinates, bones, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.streams = SkeletonStreams(streams, num_coordinates, bones, name="streams", dtype=self.dtype_policy)

    def build(self, input_shape):
        width = self.streams.compute_output_shape(input_shape)
        self.streams.build(input_shape)
        kind = "batch" if len(self.streams.streams) > 1 else "none"
        self.norm = make_normalization(kind, "norm", self.dtype_policy)
        self.dense = Dense(self.units, name="dense", dtype=self.dtype_policy)
        for layer in (self.norm, self.dense):
            if layer is not None:
                layer.build(width)
        self.built = True

    def features(self, inputs, visible, training=None):
        """What the linear map takes: the streams side by side, ``(B, M, T, V, C')``."""
        return normalize(self.norm, self.streams(inputs, visible), training=training)

    def call(self, inputs, visible, training=None):
        return self.dense(self.features(inputs, visible, training))  # (B, M, T, V, units)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        streams = config_of(self.streams, "streams", "num_coordinates", "bones")
        return {**super().get_config(), "units": self.units, **streams}
