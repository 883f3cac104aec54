"""Moving and pooling frames along the time axis."""

import keras
from keras import ops


def check_frames(shape):
    """ValueError where the frames T of a shape (B, M, T, V, C) are not known when the layer is built."""
    if shape[2] is None:
        raise ValueError(f"frames: expected a number that is known as the layer is built, found shape {tuple(shape)}")


def shifted(x, by):
    """Frame t of the result is frame t + by of ``x`` ``(B, M, T, V, C)``, T static; zeros beyond the ends."""
    frames = x.shape[2]
    if by == 0:
        return x
    if abs(by) >= frames:
        return ops.zeros_like(x)
    # the gradient of a split is a concatenation, several times faster than that of a slice on the CPU
    head, rest = ops.split(x, [by % frames], axis=2)
    if by > 0:
        return ops.concatenate([rest, ops.zeros_like(head)], axis=2)
    return ops.concatenate([ops.zeros_like(rest), head], axis=2)


def thinned(presence, stride):
    """Presence (B, M, T) of every ``stride`` frames together: True if in any of them. -> (B, M, ceil(T / stride))."""
    if stride == 1:
        return presence
    people, frames = presence.shape[1:]
    length = -(-frames // stride)
    padded = ops.pad(ops.cast(presence, "int32"), [[0, 0], [0, 0], [0, length * stride - frames]])
    return ops.any(ops.reshape(padded, (-1, people, length, stride)) > 0, axis=-1)


def largest(x, presence, axis):
    """Maximum of ``x`` over the entries of an axis that are present; 0 where none is. ``presence`` broadcasts to x."""
    lowest = ops.cast(-3e4, x.dtype)  # in the range of a float16
    highest = _max(ops.where(presence, x, lowest), axis)
    return ops.where(ops.any(presence, axis=axis), highest, ops.zeros_like(highest))


def _max(x, axis):
    """Maximum along a static axis, under JAX by choices between halves.

    JAX's gradient of a maximum divides by the number of entries that equal it. Where XLA computes these once more and
    rounds them otherwise, none does, and the gradient is not a number.
    """
    if keras.config.backend() != "jax":
        return ops.max(x, axis=axis)
    while x.shape[axis] > 1:
        half = x.shape[axis] // 2
        one, other, *odd = ops.split(x, [half, 2 * half][: 1 + x.shape[axis] % 2], axis=axis)
        x = ops.where((one > other) | (one != one), one, other)  # what is not a number stays
        x = ops.concatenate([x, *odd], axis=axis) if odd else x
    return ops.squeeze(x, axis=axis)


def pooled_frames(x, presence, stride):
    """Maximum of every ``stride`` present frames of ``x`` (B, M, T, V, C); 0 where a person is absent from all."""
    frames = x.shape[2]
    length = -(-frames // stride)
    if presence is None:
        presence = ops.ones_like(x[..., 0, 0], dtype="bool")
    padding = [[0, 0], [0, 0], [0, length * stride - frames]]
    x = ops.reshape(ops.pad(x, [*padding, [0, 0], [0, 0]]), (-1, x.shape[1], length, stride, *x.shape[3:]))
    here = ops.pad(ops.cast(presence, "int32"), padding) > 0
    return largest(x, ops.reshape(here, (-1, x.shape[1], length, stride, 1, 1)), axis=3)
