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


def multiplies_rows_slowly():
    """Whether this is JAX on a CPU, which copies the rows of several axes for the gradient of what multiplies them."""
    return keras.config.backend() == "jax" and on_cpu()


def outer(column, row):
    """A column ``(..., 1)`` times a row ``(C,)``: ``(..., C)``."""
    rows = ops.matmul(ops.reshape(column, (-1, 1)), ops.reshape(row, (1, -1)))
    return ops.reshape(rows, (*ops.shape(column)[:-1], row.shape[0]))


def row_sum(x):
    """Sum of products ``(..., C)`` over their channels: ``(...)``."""
    if not sums_products_slowly():
        return ops.sum(x, axis=-1)
    rows = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), ops.ones((x.shape[-1], 1), x.dtype))
    return ops.reshape(rows, ops.shape(x)[:-1])


def prelu(x, alpha):
    """``x`` where positive, else ``alpha * x``; ``alpha`` broadcasts to ``x``."""
    if keras.config.backend() == "torch":
        return _torch_prelu(x, alpha)
    positive = x > 0
    slope = ops.where(positive, ops.ones((), x.dtype), ops.cast(alpha, x.dtype))
    return ops.where(positive, x, slope * x)


def _torch_prelu(x, alpha):
    """PyTorch's own: one pass forwards and one back, where a choice alone takes longer than a product of matrices."""
    import torch

    x = ops.convert_to_tensor(x)
    slopes = ops.reshape(ops.cast(alpha, x.dtype), (-1,))
    return torch.nn.functional.prelu(x.reshape(-1, x.shape[-1]), slopes).reshape(x.shape)


def batch_normalized(x, gamma, beta, epsilon, presence=None, otherwise=None):
    """Batch normalisation of ``x`` (..., C) over all leading axes.

    Args:
        gamma, beta: (C,), or None. epsilon: float, added to the variance.
        presence: None, or bool of some leading axes: the statistics are of the rows that are present.
        otherwise: (mean, variance) (C,) where none is.

    Returns:
        What is normalised, mean (C,), variance (C,), the share of rows that are present.
    """
    if presence is None and keras.config.backend() == "torch":
        return *_torch_batch_normalized(x, gamma, beta, epsilon), 1.0
    there, share = None, 1.0
    if presence is not None:
        for _ in range(len(x.shape) - 1 - len(presence.shape)):
            presence = ops.expand_dims(presence, -1)
        there = ops.cast(presence, x.dtype)[..., None] * ops.ones_like(x[..., :1])  # (..., 1)
        share = ops.mean(there)
    mean, variance = moments(x, there)
    if presence is not None:  # with nobody there the others are as good as any, and what is normalised stays small
        mean = ops.where(share > 0, mean, ops.cast(otherwise[0], x.dtype))
        variance = ops.where(share > 0, variance, ops.cast(otherwise[1], x.dtype))
    scale = ops.rsqrt(variance + epsilon)
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    by = outer(ops.ones_like(x[..., :1]), scale) if sums_products_slowly() else scale
    return x * by + shift, mean, variance, share


def moments(x, there=None):
    """Mean and variance (C,) of the rows of ``x`` (..., C), or of those whose ``there`` (..., 1) is 1, not 0."""
    count = ops.cast(ops.size(x[..., 0]), x.dtype) if there is None else ops.maximum(ops.sum(there), 1)
    mean = _rows_sum(x, there) / count
    # the deviations add up to nothing, so no gradient goes through this mean
    return mean, _rows_sum(ops.square(x - ops.stop_gradient(mean)), there) / count


def _rows_sum(x, there):
    """Sum (C,) of the rows of ``x`` (..., C) whose ``there`` (..., 1) is 1, or None for all: a product of matrices."""
    if not sums_products_slowly():
        return ops.sum(x if there is None else x * there, axis=tuple(range(len(x.shape) - 1)))
    rows = ops.reshape(x, (-1, x.shape[-1]))
    there = ops.ones_like(rows[:, :1]) if there is None else ops.reshape(there, (-1, 1))
    return ops.matmul(ops.transpose(there), rows)[0]


def _torch_batch_normalized(x, gamma, beta, epsilon):
    """PyTorch's own, its channels last: one pass for the statistics, one that normalises, two back."""
    import torch

    rows = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # (1, C, N, 1), channels last
    y, mean, scale = torch.native_batch_norm(rows, gamma, beta, None, None, True, 0.0, epsilon)
    y = y.permute(0, 2, 3, 1).reshape(x.shape)
    return y, mean.detach(), (scale.detach() ** -2 - epsilon)


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
    if not multiplies_rows_slowly():
        return ops.tensordot(matrix, x, axes=1)  # one large product in place of many small ones
    summed = _jax_product(matrix, ops.reshape(x, (x.shape[0], -1)))
    return ops.reshape(summed, (matrix.shape[0], *x.shape[1:]))


@ops.custom_gradient
def _jax_product(matrix, x):
    """A product whose gradients are products, too: JAX itself gives that of ``x`` transposed, and copies it."""

    def gradients(upstream):
        return ops.matmul(upstream, ops.transpose(x)), ops.matmul(ops.transpose(matrix), upstream)

    return ops.matmul(matrix, x), gradients
