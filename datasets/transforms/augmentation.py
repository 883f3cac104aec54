"""Augmentation and motion: pure functions from an array (and a generator) to a new array.

Axes, channels last: (B, M, T, V, C) batch, person, frame, joint, channel. The first `dims` channels are
coordinates, the rest (a score) is left alone. A joint whose coordinates are all exactly zero is absent, and
stays so. The dtype stays.
"""

import functools
import math

import numpy as np


def augment(x, rng, dims, *, rotate=0.0, scale=0.0, shear=0.0, joint_noise=0.0):
    """Rotate, scale and shear each sample about its centroid, then add noise to its joints, in one pass.

    Rotation in 2D is in the plane, by an angle within +-rotate; in 3D about the vertical y axis within +-rotate,
    then about x and z within a quarter of it. Scaling is by one factor for all axes. Shearing is the identity plus
    off-diagonal entries. The noise is Gaussian, on every coordinate of every present joint.

    Args:
        x: (B, M, T, V, C).
        rng: `numpy.random.Generator`.
        dims: number of coordinates, 2 or 3.
        rotate: largest angle, radians.
        scale: factors are within 1 +- scale.
        shear: entries are within +-shear.
        joint_noise: standard deviation, relative to the sample's extent (rms distance from its centroid).

    Returns:
        Array like x.
    """
    batch = len(x)
    makers = ((_rotations, rotate), (_scalings, scale), (_shears, shear))
    steps = [make(rng, batch, amount, dims) for make, amount in makers if amount]
    points = x.reshape(batch, -1, x.shape[-1])
    planes = np.stack([points[..., axis] for axis in range(dims)], axis=1)  # (B, dims, M * T * V): far faster
    seen, count, centroid = _centroid(planes)
    whole = count.min() == planes.shape[-1]  # nothing is absent
    seen = seen[:, None].astype(x.dtype)
    planes -= centroid[..., None]
    if not whole:
        planes *= seen
    if steps:
        planes = functools.reduce(lambda before, after: after @ before, steps).astype(x.dtype) @ planes
    if joint_noise:
        squares = np.einsum("bdn,bdn->b", planes, planes)
        noise = _gaussian(rng, batch, planes.shape[1:])
        noise *= (joint_noise * np.sqrt(squares / count)).astype(x.dtype)[:, None, None]
        planes += noise
    planes += centroid[..., None]
    if not whole:
        planes *= seen
    result = x.copy()
    moved = result.reshape(points.shape)
    for axis in range(dims):
        moved[..., axis] = planes[:, axis]
    return result


def random_flip(x, rng, layout, probability=0.5, dims=2):
    """Mirror some samples left to right: swap paired joints and reflect x about the sample's centroid.

    Args:
        x: (B, M, T, V, C).
        rng: `numpy.random.Generator`.
        layout: `SkeletonLayout`, for its mirror permutation.
        probability: share of the samples to mirror.
        dims: coordinates, 2 or 3; a joint is present that is not zero in all of them.

    Returns:
        Array like x.
    """
    flips = rng.random(len(x)) < probability
    if not flips.any():
        return x.copy()
    part = x[flips]
    planes = part.reshape(len(part), -1, part.shape[-1])[..., :dims].swapaxes(1, 2)
    present, _, centroid = _centroid(planes)
    across = planes[:, 0]
    part[..., 0] = np.where(present, 2 * centroid[:, :1] - across, across).reshape(part.shape[:-1])
    result = x.copy()
    result[flips] = part[..., np.asarray(layout.mirror), :]
    return result


def motion_stream(x):
    """Each joint's displacement to the next frame; zero in the last, and where the joint is absent in either frame.

    Args:
        x: (..., T, V, C), coordinates alone.

    Returns:
        Array like x.
    """
    following = np.concatenate([x[..., 1:, :, :], x[..., -1:, :, :]], axis=-3)
    dims = x.shape[-1]
    return np.where(_present(x, dims) & _present(following, dims), following - x, 0).astype(x.dtype, copy=False)


def _present(x, dims):
    present = x[..., :1] != 0
    for axis in range(1, dims):  # a reduction over so short an axis is slow
        present |= x[..., axis : axis + 1] != 0
    return present


def _centroid(planes):
    """Of (B, dims, N): which joints are present, (B, N) bool, how many (B,), and their centroid (B, dims)."""
    present = planes[:, 0] != 0
    for axis in range(1, planes.shape[1]):
        present |= planes[:, axis] != 0
    count = np.maximum(np.count_nonzero(present, axis=1), 1)
    return present, count, (planes.sum(axis=-1) / count[:, None]).astype(planes.dtype)


@functools.cache
def _normal_numbers():
    """2^20 standard normal numbers, float32, always the same."""
    return np.random.default_rng(0).standard_normal(2**20, dtype=np.float32)


def _gaussian(rng, count, shape):
    """(count, *shape) standard normal numbers, float32: each row is a stretch of one long table.

    Drawing them again took a third of the time of a batch. Rows longer than an eighth of the table are drawn.
    """
    table, length = _normal_numbers(), math.prod(shape)
    if length > len(table) // 8:
        return rng.standard_normal((count, *shape), dtype=np.float32)
    stretches = np.lib.stride_tricks.sliding_window_view(table, length)
    return stretches[rng.integers(0, len(stretches), count)].reshape(count, *shape)


def _rotations(rng, count, max_angle, dims):
    if dims == 2:
        return _axis_rotation(rng.uniform(-max_angle, max_angle, count), 2)[:, :2, :2]
    vertical, pitch, roll = rng.uniform(-max_angle, max_angle, (3, count))
    return _axis_rotation(roll / 4, 2) @ _axis_rotation(pitch / 4, 0) @ _axis_rotation(vertical, 1)


def _scalings(rng, count, amount, dims):
    return rng.uniform(1 - amount, 1 + amount, count)[:, None, None] * np.eye(dims)


def _shears(rng, count, amount, dims):
    return np.where(np.eye(dims, dtype=bool), 1.0, rng.uniform(-amount, amount, (count, dims, dims)))


def _axis_rotation(angles, axis):
    """(N, 3, 3) rotations by angles (N,) in radians about coordinate axis 0, 1 or 2."""
    one, two = (axis + 1) % 3, (axis + 2) % 3
    matrices = np.tile(np.eye(3), (len(angles), 1, 1))
    matrices[:, one, one] = matrices[:, two, two] = np.cos(angles)
    matrices[:, two, one] = np.sin(angles)
    matrices[:, one, two] = -np.sin(angles)
    return matrices
