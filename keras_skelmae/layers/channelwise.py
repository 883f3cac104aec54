"""PReLU and layer normalisation over channels, spelled so that the gradients of their weights are quick to sum.

On a CPU XLA sums a product over all rows, which the gradient of a slope or a scale is in the usual spelling, ten times
slower than a choice, or a product of matrices, over the same rows; see docs/speed.md.
"""

import functools

import keras
from keras import ops


@functools.cache
def on_cpu():
    """Whether TensorFlow or JAX has no accelerator; Keras lists no devices of PyTorch's."""
    return keras.distribution.list_devices()[0].startswith("cpu")


def sums_products_slowly():
    """Whether this is XLA on a CPU; PyTorch, and XLA on an accelerator, fuse such a sum into one kernel."""
    return keras.config.backend() != "torch" and on_cpu()


def outer(column, row):
    """A column ``(..., 1)`` times a row ``(C,)``: ``(..., C)``."""
    return ops.tensordot(column, ops.reshape(row, (1, -1)), axes=1)


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ChannelPReLU(keras.layers.PReLU):
    """Keras's PReLU with one slope a channel, 0.25 at first, whatever the number of leading axes.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Example:
        >>> import numpy as np
        >>> keras.ops.convert_to_numpy(ChannelPReLU()(np.array([[-4.0, 4.0]], "float32"))).tolist()
        [[-1.0, 4.0]]

    Reference:
        He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """

    def __init__(self, **kwargs):
        super().__init__(alpha_initializer=keras.initializers.Constant(0.25), **kwargs)

    def build(self, input_shape):
        self.shared_axes = list(range(1, len(input_shape) - 1))
        super().build(input_shape)

    def call(self, inputs):
        positive = inputs > 0
        slope = ops.where(positive, ops.ones((), inputs.dtype), ops.cast(self.alpha, inputs.dtype))
        return ops.where(positive, inputs, slope * inputs)

    def get_config(self):
        return keras.layers.Layer.get_config(self)


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ChannelNormalization(keras.layers.LayerNormalization):
    """Keras's LayerNormalization over the last axis.

    Args:
        As ``keras.layers.LayerNormalization``.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Example:
        >>> import numpy as np
        >>> layer = ChannelNormalization(epsilon=0.0)
        >>> keras.ops.convert_to_numpy(layer(np.array([[1.0, 3.0]], "float32"))).tolist()
        [[-1.0, 1.0]]

    Reference:
        Ba et al., "Layer Normalization", 2016.
    """

    def call(self, inputs, training=None):
        if not training or not sums_products_slowly():
            return super().call(inputs)
        x = ops.cast(inputs, "float32") if self.compute_dtype in ("float16", "bfloat16") else inputs
        x = x - ops.mean(x, axis=-1, keepdims=True)
        mean = ops.full((x.shape[-1], 1), 1 / x.shape[-1], x.dtype)
        variance = ops.tensordot(x * x, mean, axes=1)
        x = x * outer(ops.rsqrt(variance + self.epsilon), self.gamma) + self.beta
        return ops.cast(x, self.compute_dtype)
