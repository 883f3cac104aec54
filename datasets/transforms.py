"""Normalisation, augmentation and streams: pure functions from an array (and a generator) to a new array.

Axes, channels last: (B, M, T, V, C) batch, person, frame, joint, channel. The first `dims` channels are
coordinates, the rest (a score) is left alone. A joint whose coordinates are all exactly zero is absent, and
stays so. The dtype stays.
"""

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


def random_rotate(x, rng, max_angle, dims):
    """Rotate each sample about its centroid.

    2D: in the plane, by an angle within +-max_angle. 3D: about the vertical y axis within +-max_angle, then
    about x and z within a quarter of it.

    Args:
        x: (B, M, T, V, C).
        rng: `numpy.random.Generator`.
        max_angle: radians.
        dims: number of coordinates, 2 or 3.

    Returns:
        Array like x.
    """
    if dims == 2:
        matrices = _axis_rotation(rng.uniform(-max_angle, max_angle, len(x)), 2)[:, :2, :2]
    else:
        vertical, pitch, roll = rng.uniform(-max_angle, max_angle, (3, len(x)))
        matrices = _axis_rotation(roll / 4, 2) @ _axis_rotation(pitch / 4, 0) @ _axis_rotation(vertical, 1)
    return _apply_linear(x, matrices)


def random_scale(x, rng, amount, dims):
    """Scale each sample about its centroid by one factor within 1 +- amount, the same along every axis.

    x: (B, M, T, V, C). Returns an array like x.
    """
    factors = rng.uniform(1 - amount, 1 + amount, len(x))
    return _apply_linear(x, factors[:, None, None] * np.eye(dims))


def random_shear(x, rng, amount, dims):
    """Shear each sample about its centroid: the identity plus off-diagonal entries within +-amount.

    x: (B, M, T, V, C). Returns an array like x.
    """
    shears = rng.uniform(-amount, amount, (len(x), dims, dims))
    return _apply_linear(x, np.where(np.eye(dims, dtype=bool), 1.0, shears))


def joint_noise(x, rng, std, dims):
    """Add Gaussian noise to every coordinate of every present joint.

    Args:
        x: (B, M, T, V, C).
        rng: `numpy.random.Generator`.
        std: standard deviation, relative to the sample's extent (rms distance from its centroid).
        dims: number of coordinates.

    Returns:
        Array like x.
    """
    centred, _, present = _centred(x, dims)
    count = np.maximum(present.sum(axis=(1, 2, 3, 4), keepdims=True), 1)
    squares = np.square(centred, dtype=np.float64).sum(axis=(1, 2, 3, 4), keepdims=True)
    extent = np.sqrt(squares / count).astype(x.dtype)
    noise = rng.standard_normal(centred.shape, dtype=np.float32)
    result = x.copy()
    result[..., :dims] = np.where(present, x[..., :dims] + (std * extent).astype(x.dtype) * noise, 0)
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
    _, centroid, present = _centred(part, dims)
    part[..., :1] = np.where(present, 2 * centroid[..., :1] - part[..., :1], part[..., :1])
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


def _centred(x, dims):
    """Coordinates about the centroid of each sample's present joints (absent: zero), centroid, presence."""
    points = x[..., :dims]
    present = _present(x, dims)
    count = np.maximum(np.count_nonzero(present.reshape(len(x), -1), axis=1), 1)
    flat = points.reshape(len(x), -1, points.shape[-1])
    sums = np.stack([flat[..., axis].sum(axis=1, dtype=np.float64) for axis in range(flat.shape[-1])], axis=-1)
    centroid = (sums / count[:, None]).astype(x.dtype)[:, None, None, None]
    return np.where(present, points - centroid, 0), centroid, present


def _apply_linear(x, matrices):
    """Apply each sample's (dims, dims) matrix to its coordinates about their centroid."""
    dims = matrices.shape[-1]
    centred, centroid, present = _centred(x, dims)
    turned = centred.reshape(len(x), -1, dims) @ matrices.astype(x.dtype).transpose(0, 2, 1)
    result = x.copy()
    result[..., :dims] = np.where(present, turned.reshape(centred.shape) + centroid, 0)
    return result


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
