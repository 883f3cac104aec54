"""All joints of a person's frame to one vector of the whole body."""

import keras
from keras import ops

from keras_skelmae.fast.ops.frames import check_frames
from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.pointwise_update import PointwiseUpdate


@keras.saving.register_keras_serializable(package="keras_skelmae")
class BodyEmbedding(keras.layers.Layer):
    """``act(norm(W [h_1 ... h_V]))``: one Dense over the joints side by side, so every joint has weights of its own.

    Graph convolutions and pooling treat all joints alike; this does not.

    Args:
        units: int, width of the output.
        normalization: "batch", "layer" or "none".
        dropout_rate: float, share of the output's channels left out, the same ones along the clip.
        activation: of the output.
        kernel_initializer: of W.

    Call arguments:
        inputs: ``(B, M, T, V, C)``, M, T, V and C static.
        presence: None or bool ``(B, M, T)``; absent entries stay out of the batch statistics.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, 1, units)``.

    Example:
        >>> import numpy as np
        >>> layer = BodyEmbedding(8)
        >>> tuple(layer(np.ones((1, 2, 4, 3, 5), "float32")).shape[1:])
        (2, 4, 1, 8)

    Reference:
        Yang et al., "Make Skeleton-based Action Recognition Model Smaller, Faster and Better", ACM MM Asia 2019, whose
        network begins with one vector a frame.
    """

    def __init__(
        self,
        units,
        normalization="batch",
        dropout_rate=0.0,
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.normalization = normalization
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dropout_rate = dropout_rate

    def build(self, input_shape):
        check_frames(input_shape)
        self.width = input_shape[-2] * input_shape[-1]
        self.dropout = keras.layers.Dropout(
            self.dropout_rate, noise_shape=(None, None, 1, 1, None), name="dropout", dtype=self.dtype_policy
        )
        self.update = PointwiseUpdate(
            self.units,
            self.normalization,
            self.activation,
            self.kernel_initializer.clone(),
            name="update",
            dtype=self.dtype_policy,
        )
        self.update.build((*input_shape[:3], 1, self.width))
        self.built = True

    def call(self, inputs, presence=None, training=None):
        x = ops.reshape(inputs, (-1, *inputs.shape[1:3], 1, self.width))
        return self.dropout(self.update(x, presence=presence, training=training), training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], 1, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(self, "units", "normalization", "dropout_rate", "activation", "kernel_initializer"),
        }
