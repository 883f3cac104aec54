"""Which joints were seen: the one rule for every way in, file, stream or array."""

import numpy as np

MIN_SCORE = 0.01  # of PYSKL: a joint scored so or lower was not seen
MAX_VALUE = 1e9  # what is larger is damage; sums of squares of smaller ones keep their digits in float32


def is_seen(points):
    """(..., V) bool: which joints of (..., V, D) coordinates are not all exactly zero."""
    seen = points[..., 0] != 0
    for axis in range(1, points.shape[-1]):  # a reduction over so short an axis is slow
        seen |= points[..., axis] != 0
    return seen


def mask_absent(points, seen):
    """(..., V, D) points with joints at zero that are not seen, (..., V) bool; the argument where all are."""
    return points if seen.all() else points * seen[..., None]


def seen_only(keypoints, channels):
    """The keypoints with every channel of a joint that was not seen at zero.

    Not seen is a joint whose coordinates are all 0 or all exactly -1, of which one is not finite or beyond `MAX_VALUE`
    in size, or whose score is not finite or at most `MIN_SCORE`.

    Args:
        keypoints: (..., V, C) numbers.
        channels: names of the C channels, such as ("x", "y", "score").
    Returns: (..., V, C) of the same dtype; the argument itself where nothing changes.
    """
    keypoints = np.asarray(keypoints)
    scored = "score" in channels
    place = [index for index, name in enumerate(channels) if name != "score"]
    xyz = keypoints if not scored else keypoints[..., place]
    sound = np.isfinite(keypoints).all(-1)  # (..., V)
    if keypoints.dtype.itemsize > 2:
        with np.errstate(invalid="ignore"):
            sound &= (np.abs(xyz) <= MAX_VALUE).all(-1)
    gone = ~sound | ~xyz.any(-1) | (xyz == -1).all(-1)
    if scored:
        with np.errstate(invalid="ignore"):
            gone |= keypoints[..., channels.index("score")] <= keypoints.dtype.type(MIN_SCORE)
    if not keypoints[gone].any():
        return keypoints
    return np.where(gone[..., None], keypoints.dtype.type(0), keypoints)
