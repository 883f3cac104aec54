"""Products with one weight per channel, spelled so that the gradients of these weights are quick to sum.

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


def prelu(x, alpha):
    """``x`` where positive, else ``alpha * x``; ``alpha`` broadcasts to ``x``."""
    positive = x > 0
    slope = ops.where(positive, ops.ones((), x.dtype), ops.cast(alpha, x.dtype))
    return ops.where(positive, x, slope * x)


def normalized(x, gamma, beta, epsilon):
    """Layer normalisation over the last axis, its sums as products of matrices."""
    x = x - ops.mean(x, axis=-1, keepdims=True)
    mean = ops.full((x.shape[-1], 1), 1 / x.shape[-1], x.dtype)
    variance = ops.tensordot(x * x, mean, axes=1)
    return x * outer(ops.rsqrt(variance + epsilon), gamma) + beta


def scaled(x, weight, training):
    """``x`` times a scalar weight."""
    if not (training and sums_products_slowly()):
        return weight * x
    return x * outer(ops.ones_like(x[..., :1]), weight * ops.ones((x.shape[-1],), x.dtype))


def neighbour_sum(matrix, x, joint_axis=-2):
    """(V', V) times the features of V joints that stand on ``joint_axis``, -2 or 0."""
    matrix = ops.cast(matrix, x.dtype)
    if joint_axis == -2:
        return ops.matmul(matrix, x)
    return ops.tensordot(matrix, x, axes=1)  # one large product in place of many small ones
