"""From joints to points on paper: what is up, what is seen from where, what is there at all."""

import numpy as np

OBLIQUE = np.deg2rad(25.0)  # how far the shoulders are turned out of the paper's plane in 3D


def observed(keypoints, dims):
    """(M, T, V) bool: a joint whose coordinates are all exactly zero was not observed."""
    return np.asarray(keypoints)[..., :dims].any(axis=-1)


def project(keypoints, dims, layout, present=None):
    """Points on paper, x to the right and y upwards.

    2D: image coordinates, whose y points down, turned upright. 3D: seen along the horizon, turned about the vertical
    until one person is seen from nearly in front, the left shoulder on the right, or two are beside each other.

    Args:
        keypoints: (M, T, V, C). dims: 2 or 3. layout: SkeletonLayout.
        present: (M, T, V) bool, the joints that count; by default those observed.

    Returns:
        (M, T, V, 2) float64.
    """
    x = np.asarray(keypoints, np.float64)[..., :dims]
    if dims == 2:
        return x * [1.0, -1.0]
    seen = observed(keypoints, dims) if present is None else present
    axis, sign = _vertical(x, seen, layout)
    right, depth = (other for other in range(3) if other != axis)
    turn = _turn(x[..., [right, depth]], seen, layout)
    across = x[..., right] * np.cos(turn) + x[..., depth] * np.sin(turn)
    return np.stack([across, sign * x[..., axis]], axis=-1)


def _mean_difference(x, seen, lower, upper):
    """Mean of upper minus lower joint where both are seen; None where they never are."""
    both = seen[..., lower] & seen[..., upper]
    return (x[..., upper, :] - x[..., lower, :])[both].mean(axis=0) if both.any() else None


def _vertical(x, seen, layout):
    """(axis, +1 or -1) that points upwards: along the spine, else from the legs to the head, else y."""
    up = _mean_difference(x, seen, *layout.spine) if layout.spine else None
    if up is None and {"head", "left_leg", "right_leg"} <= set(layout.parts):
        head, legs = list(layout.parts["head"]), [*layout.parts["left_leg"], *layout.parts["right_leg"]]
        if seen[..., head].any() and seen[..., legs].any():
            up = x[..., head, :][seen[..., head]].mean(axis=0) - x[..., legs, :][seen[..., legs]].mean(axis=0)
    if up is None:
        return 1, 1.0
    axis = int(np.abs(up).argmax())
    return axis, 1.0 if up[axis] >= 0 else -1.0


def _turn(ground, seen, layout):
    """Angle about the vertical for (M, T, V, 2) right and depth."""
    line, oblique = None, OBLIQUE
    there = [person for person in range(len(seen)) if seen[person].any()]
    if len(there) > 1:  # beside each other rather than one behind the other
        one, two = (ground[person][seen[person]].mean(axis=0) for person in there[:2])
        line, oblique = two - one, 0.0
    elif layout.shoulders:
        line = _mean_difference(ground, seen, *layout.shoulders[::-1])  # from right to left
    if line is None or not np.hypot(*line):
        return 0.0
    angle = np.arctan2(line[1], line[0])  # of the line, with the paper's plane
    if not oblique:
        return float(angle - np.pi * np.round(angle / np.pi))  # from where the camera was: within a right angle
    return float(angle - np.sign(angle or 1.0) * min(oblique, abs(angle)))
