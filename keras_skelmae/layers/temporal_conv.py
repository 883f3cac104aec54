"""A plain temporal convolution along each track."""

import keras
from keras import ops

from keras_skelmae.fast.ops.frames import check_frames, pooled_frames, shifted
from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.pointwise_update import PointwiseUpdate


@keras.saving.register_keras_serializable(package="keras_skelmae")
class TemporalConv(keras.layers.Layer):
    """Temporal convolution over all channels, normalisation, activation, and max-pooling of every ``strides`` frames.

    Args:
        units: int, width of the output.
        kernel_size: int, odd.
        strides: int, frames that are pooled to one; the last group may be shorter.
        normalization: "batch", "layer" or "none".
        activation: before the pooling.
        kernel_initializer: of the convolution.

    Call arguments:
        inputs: ``(B, M, T, V, C)``, T static.
        presence: None or bool ``(B, M, T)``; absent entries count as zeros and stay out of the batch statistics.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, ceil(T / strides), V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = TemporalConv(8, strides=2)
        >>> tuple(layer(np.ones((1, 2, 5, 1, 4), "float32")).shape[1:])
        (2, 3, 1, 8)

    Reference:
        Kim and Reiter, "Interpretable 3D Human Action Analysis with Temporal Convolutional Networks", CVPRW 2017.
    """

    def __init__(
        self,
        units,
        kernel_size=3,
        strides=1,
        normalization="batch",
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected odd, found {kernel_size}")
        self.units = units
        self.kernel_size = kernel_size
        self.strides = strides
        self.normalization = normalization
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        check_frames(input_shape)
        # The taps side by side on the channel axis make the convolution one matrix product
        self.update = PointwiseUpdate(
            self.units,
            self.normalization,
            self.activation,
            self.kernel_initializer.clone(),
            name="update",
            dtype=self.dtype_policy,
        )
        self.update.build((*input_shape[:-1], self.kernel_size * input_shape[-1]))
        self.built = True

    def call(self, inputs, presence=None, training=None):
        x, reach = inputs, self.kernel_size // 2
        if presence is not None:
            x = x * ops.cast(presence, x.dtype)[..., None, None]
        x = ops.concatenate([shifted(x, by) for by in range(-reach, reach + 1)], axis=-1)
        x = self.update(x, presence=presence, training=training)  # (B, M, T, V, units)
        if self.strides == 1:
            return x
        return pooled_frames(x, presence, self.strides)

    def compute_output_shape(self, input_shape):
        frames = input_shape[2] if input_shape[2] is None else -(-input_shape[2] // self.strides)
        return (*input_shape[:2], frames, input_shape[3], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(self, "units", "kernel_size", "strides", "normalization", "activation", "kernel_initializer"),
        }
