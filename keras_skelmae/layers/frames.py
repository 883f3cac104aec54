"""Moving frames along the time axis."""

from keras import ops


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
