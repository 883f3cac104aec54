"""The closing step of one STRL layer."""

import keras

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import make_normalization, normalize


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PointwiseUpdate(keras.layers.Layer):
    """``H^{l+1} = ReLU(norm(SM(H^l) W^l))``, the closing step of one STRL layer.

    Args:
        units: int, width of the output.
        normalization: "batch", "layer" or "none".
        activation: of the output; ReLU in the paper.
        kernel_initializer: of W.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: None or bool ``(B, M, T)``.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = PointwiseUpdate(5)
        >>> tuple(layer(np.ones((1, 2, 4, 3, 8), "float32")).shape[1:])
        (2, 4, 3, 5)

    Reference:
        Yan et al., ICCV 2023, section 3.3.
    """

    def __init__(self, units, normalization="batch", activation="relu", kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.normalization = normalization
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.dense = Dense(
            self.units, name="dense", dtype=self.dtype_policy, kernel_initializer=self.kernel_initializer.clone()
        )
        self.dense.build(input_shape)
        self.norm = make_normalization(self.normalization, "norm", self.dtype_policy)
        if self.norm is not None:
            self.norm.build((*input_shape[:-1], self.units))
        self.built = True

    def call(self, inputs, presence=None, training=None):
        return self.activation(normalize(self.norm, self.dense(inputs), presence, training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "units", "normalization", "activation", "kernel_initializer")}
