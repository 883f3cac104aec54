"""Losses over masked joints and over motion, and one that draws the two views of a clip together."""

import math

import keras
from keras import ops

from keras_skelmae.fast.ops.channels import row_sum

REDUCTIONS = ("paper", "mean")


def cosine_similarity(target, reconstruction, epsilon=1e-12):
    """Cosine of the angle between two vectors on the last axis; 0 where either is zero. (..., C) -> (...)."""
    target, reconstruction = ops.cast(target, "float32"), ops.cast(reconstruction, "float32")
    lengths = (ops.maximum(row_sum(ops.square(each)), epsilon) for each in (target, reconstruction))
    return row_sum(target * reconstruction) * math.prod(map(ops.rsqrt, lengths))


@keras.saving.register_keras_serializable(package="keras_skelmae")
def reweighted_cosine_error(target, reconstruction, mask, beta=2.0, reduction="paper"):
    """Re-weighted cosine error (RCE) over the masked joints.

    ``paper``: per graph ``sum_i (1/n - cos_i/n)^beta`` with n masked joints, averaged over the graphs that have
    any (Yan et al., ICCV 2023, equation 3 as printed). ``mean``: the mean of ``(1 - cos_i)^beta`` over all masked
    joints (the scaled cosine error of GraphMAE, Hou et al., KDD 2022).

    Args:
        target: (..., V, C).
        reconstruction: (..., V, C).
        mask: (..., V) bool or 0/1; True = masked, to be reconstructed.
        beta: exponent, >= 1.
        reduction: "paper" or "mean".

    Returns:
        A scalar; 0 when nothing is masked.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: expected one of {REDUCTIONS}, found {reduction!r}")
    target, reconstruction = ops.cast(target, "float32"), ops.cast(reconstruction, "float32")
    weight = ops.cast(mask, "float32")
    # the clip keeps rounding above a cosine of 1 from a negative base, whose power is not a number
    error = ops.power(ops.maximum(1 - cosine_similarity(target, reconstruction), 1e-7), beta) * weight
    if reduction == "mean":
        return ops.sum(error) / ops.maximum(ops.sum(weight), 1)
    count = ops.sum(weight, axis=-1)
    graph = ops.sum(error, axis=-1) / ops.power(ops.maximum(count, 1), beta)
    return ops.sum(graph) / ops.maximum(ops.sum(ops.cast(count > 0, "float32")), 1)


@keras.saving.register_keras_serializable(package="keras_skelmae")
def masked_mean_squared_error(target, reconstruction, mask):
    """Mean squared error over the masked joints' channels; shapes as in :func:`reweighted_cosine_error`."""
    weight = ops.cast(mask, "float32")
    square = ops.mean(ops.square(ops.cast(target, "float32") - ops.cast(reconstruction, "float32")), axis=-1)
    return ops.sum(square * weight) / ops.maximum(ops.sum(weight), 1)


@keras.saving.register_keras_serializable(package="keras_skelmae")
def nt_xent(projections, temperature=0.2):
    """Normalised temperature-scaled cross entropy (NT-Xent) between two views of the same clips.

    ``-log exp(s(i, j) / temperature) / sum_{k != i} exp(s(i, k) / temperature)``, averaged over all 2B vectors i:
    j is the clip's other view, k runs over the other 2B - 1, s is the cosine (Chen et al., ICML 2020).

    Args:
        projections: (B, 2, C), the two views of each clip.
        temperature: float above 0.

    Returns:
        A scalar; log(2B - 1) when all vectors are the same, 0 when there is one clip.
    """
    z = ops.cast(projections, "float32")
    z = z * ops.rsqrt(ops.maximum(ops.sum(ops.square(z), axis=-1, keepdims=True), 1e-12))
    z = ops.reshape(z, (-1, z.shape[-1]))  # (2B, C), the views of a clip one below the other
    row = ops.arange(ops.shape(z)[0])
    itself, other = row[:, None] == row, row[:, None] // 2 == row // 2  # (2B, 2B)
    logits = ops.where(itself, -1e9, ops.matmul(z, ops.transpose(z)) / temperature)
    positive = ops.logical_and(other, ops.logical_not(itself))
    return ops.mean(ops.logsumexp(logits, axis=-1) - ops.sum(ops.where(positive, logits, 0.0), axis=-1))


def target_spread(target, weight):
    """How far apart the directions of a frame's joints are: ``1 - |mean unit vector|^2``, averaged over frames.

    0 means that all joints point the same way: a collapsed target. target (..., V, C), weight (..., V).
    """
    target, weight = ops.cast(target, "float32"), ops.cast(weight, "float32")[..., None]
    unit = target * ops.rsqrt(ops.maximum(row_sum(ops.square(target)), 1e-12))[..., None]
    count = ops.sum(weight, axis=-2)
    mean = ops.sum(unit * weight, axis=-2) / ops.maximum(count, 1)  # (..., C)
    spread = 1 - ops.sum(ops.square(mean), axis=-1)
    here = ops.cast(count[..., 0] > 1, "float32")
    return ops.sum(spread * here) / ops.maximum(ops.sum(here), 1)


@keras.saving.register_keras_serializable(package="keras_skelmae")
def motion_error(target, reconstruction, weight):
    """Mean distance of the joints from where they are, and of their velocities (Zhu et al., MotionBERT, ICCV 2023).

    Args:
        target: (..., T, V, C). reconstruction: likewise.
        weight: (..., T, V), 1 where the target is known.

    Returns:
        Two scalars, in the target's units and in those per frame; 0 where nothing is known.
    """
    gap = ops.cast(reconstruction, "float32") - ops.cast(target, "float32")
    weight = ops.cast(weight, "float32")
    both = weight[..., 1:, :] * weight[..., :-1, :]
    pairs = ((gap, weight), (gap[..., 1:, :, :] - gap[..., :-1, :, :], both))
    # the small number keeps the square root's gradient finite
    return tuple(
        ops.sum(ops.sqrt(ops.sum(ops.square(one), axis=-1) + 1e-8) * known) / ops.maximum(ops.sum(known), 1)
        for one, known in pairs
    )
