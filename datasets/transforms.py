"""Normalisation, augmentation and streams: pure functions from an array (and a generator) to a new array.

Axes, channels last: (B, M, T, V, C) batch, person, frame, joint, channel. The first `dims` channels are
coordinates, the rest (a score) is left alone. A joint whose coordinates are all exactly zero is absent, and
stays so. The dtype stays.
"""

import functools
import math

import numpy as np

from .layouts import get_layout

DEFAULT_IMAGE_SIZE = (1080, 1920)  # (height, width) where a recording does not say its own
_NUDGE = 1e-6  # a present joint that lands exactly on the origin moves by this, or it would read as absent


def pre_normalize_2d(keypoints, image_size, mode="fix", threshold=0.01):
    """Map pixels to about [-1, 1]: PYSKL's PreNormalize2D.

    "fix" centres on the image and divides by half its size, x and y each by their own. "auto" does so with
    the bounding box of the visible joints of the whole recording where it is over 10 pixels both ways, else
    as "fix".

    Args:
        keypoints: (M, T, V, 2) x, y or (M, T, V, 3) x, y, score.
        image_size: (height, width) in pixels; a zero stands for 1080 x 1920.
        mode: "fix" or "auto".
        threshold: joints with a score up to this become absent (x = y = 0); the score stays.

    Returns:
        Array of the same shape, float32 (float64 stays float64).

    Raises:
        ValueError: an unknown mode or a wrong shape.
    """
    keypoints = _as_float(keypoints)
    if keypoints.ndim != 4 or keypoints.shape[-1] not in (2, 3):
        raise ValueError(f"keypoints: expected (M, T, V, 2) or (M, T, V, 3), found {keypoints.shape}")
    if mode not in ("fix", "auto"):
        raise ValueError(f"mode: expected fix or auto, found {mode}")
    height, width = image_size if all(image_size) else DEFAULT_IMAGE_SIZE
    points = keypoints[..., :2]
    present = _present(keypoints, 2)
    if keypoints.shape[-1] == 3:
        present &= keypoints[..., 2:] > threshold
    half = np.array([width / 2, height / 2], keypoints.dtype)
    centre = half
    if mode == "auto" and present.any():
        visible = points[present[..., 0]]
        low, high = visible.min(axis=0), visible.max(axis=0)
        if np.all(high - low > 10):
            centre, half = (high + low) / 2, (high - low) / 2
    result = keypoints.copy()
    result[..., :2] = _restore(np.where(present, (points - centre) / half, 0), present)
    return result


def pre_normalize_3d(keypoints, layout="ntu25"):
    """Put the body at the origin, upright along z, its shoulders along x: PYSKL's PreNormalize3D.

    The person with most frames comes first, and only the frames that show that person are kept. The upper
    joint of `layout.spine` (the root where a layout has no spine) in the first kept frame is subtracted
    everywhere; then two rotations, one after the other, take spine to +z and left-to-right shoulder to +x in
    that frame. A rotation is left out where its joints are absent or the layout names none.

    Args:
        keypoints: (M, T, V, 3) in metres.
        layout: `SkeletonLayout`, or what `get_layout` takes.

    Returns:
        (M, T', V, 3) with T' <= T, float32 (float64 stays float64). Nobody present: a copy of the input.

    Raises:
        ValueError: a wrong shape.
    """
    keypoints = _as_float(keypoints)
    layout = get_layout(layout)
    if keypoints.ndim != 4 or keypoints.shape[-2:] != (layout.num_joints, 3):
        raise ValueError(f"keypoints: expected (M, T, {layout.num_joints}, 3), found {keypoints.shape}")
    shown = np.any(keypoints != 0, axis=(2, 3))  # (M, T)
    if not shown.any():
        return keypoints.copy()
    first = int(shown.sum(axis=1).argmax())
    order = [first, *(person for person in range(len(shown)) if person != first)]
    body = keypoints[order][:, shown[first]].astype(np.float64)
    present = _present(body, 3)
    seen = present[0, 0, :, 0]
    origin = layout.spine[1] if layout.spine else layout.root
    centre = body[0, 0, origin] if seen[origin] else body[0, 0, seen].mean(axis=0)
    body = np.where(present, body - centre, 0)
    for pair, axis in ((layout.spine, (0, 0, 1)), (layout.shoulders, (1, 0, 0))):
        if pair and seen[list(pair)].all():
            body = body @ _rotation_between(body[0, 0, pair[1]] - body[0, 0, pair[0]], axis).T
    return _restore(body.astype(keypoints.dtype), present)


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
    steps = [make(rng, batch, amount, dims) for make, amount in (
        (_rotations, rotate), (_scalings, scale), (_shears, shear)) if amount]
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
        dims: coordinates that say whether a joint is present; 2 serves two- and three-dimensional data.

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


def bone_stream(x, layout, dims=None):
    """Each joint minus the joint it hangs from (`layout.bones`); joints without one get zero.

    Args:
        x: (..., V, C).
        layout: `SkeletonLayout`.
        dims: number of coordinates, None for all channels; a score becomes the mean of the two joints'.

    Returns:
        Array like x; zero coordinates where either joint is absent.
    """
    reference = np.arange(x.shape[-2])
    for joint, parent in layout.bones:
        reference[joint] = parent
    return _difference(x, x[..., reference, :], dims)


def motion_stream(x, dims=None):
    """Each joint's displacement to the next frame; zero in the last.

    Args:
        x: (..., T, V, C).
        dims: number of coordinates, None for all channels; a score becomes the mean of the two frames'.

    Returns:
        Array like x; zero coordinates where the joint is absent in either frame.
    """
    following = np.concatenate([x[..., 1:, :, :], x[..., -1:, :, :]], axis=-3)
    return _difference(following, x, dims)


def _difference(x, reference, dims):
    dims = x.shape[-1] if dims is None else dims
    result = (x + reference) / 2
    both = _present(x, dims) & _present(reference, dims)
    result[..., :dims] = np.where(both, x[..., :dims] - reference[..., :dims], 0)
    return result.astype(x.dtype, copy=False)


def _as_float(x):
    x = np.asarray(x)
    return x if x.dtype == np.float64 else x.astype(np.float32, copy=False)


def _present(x, dims):
    present = x[..., :1] != 0
    for axis in range(1, x.shape[-1] if dims is None else dims):  # a reduction over so short an axis is slow
        present |= x[..., axis:axis + 1] != 0
    return present


def _restore(points, present):
    """Keep present joints from reading as absent."""
    points[..., 0][present[..., 0] & ~np.any(points != 0, axis=-1)] = _NUDGE
    return points


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
    return np.random.default_rng(0).standard_normal(2 ** 20, dtype=np.float32)


def _gaussian(rng, count, shape):
    """(count, *shape) standard normal numbers, float32: each row a stretch of one long table, begun anywhere.

    Drawing them anew took a third of the time of a batch. Rows longer than an eighth of the table are drawn.
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


def _rotation_between(vector, target):
    """3 x 3 rotation taking the direction of `vector` to the unit vector `target` (Rodrigues)."""
    axis = np.cross(vector, target)
    length = np.linalg.norm(vector)
    if np.abs(axis).sum() < 1e-6 or length < 1e-6:
        return np.eye(3)
    angle = np.arccos(np.clip(np.dot(vector, target) / length, -1, 1))
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
