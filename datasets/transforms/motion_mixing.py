"""Limbs exchanged between two 3D recordings: the arms of one on the body of the other, or its legs.

Pure functions. Arrays are (..., T, V, 3) in metres with y up; a joint at exactly zero is absent.
"""

import functools

import numpy as np

from .presence import is_seen

ARMS, LEGS = ("left_arm", "right_arm"), ("left_leg", "right_leg")  # names of parts


def exchange_limbs(clip, other, layout, parts=ARMS):
    """The clip with limbs of another one, hung on its own shoulders or hips.

    Arms are turned with the torso, so that they move as before relative to it; legs about the vertical alone, as they
    stand on the ground. The torso is given by the middles of the shoulders and of the hips, and by the line through
    both shoulders. Limbs keep their bone lengths. Where a shoulder or hip is absent in either clip they are absent.

    Args:
        clip, other: (..., T, V, 3).
        layout: `SkeletonLayout` with arms and legs among its parts.
        parts: the limbs to take from `other`, of ARMS and LEGS.

    Returns:
        Array like clip.

    Raises:
        ValueError: the layout has no such limbs, or clips of different shapes.
    """
    if clip.shape != other.shape:
        raise ValueError(f"other: expected the shape of the clip {clip.shape}, found {other.shape}")
    limbs = find_limbs(layout)
    corners = [limbs[part][0] for part in (*ARMS, *LEGS)]
    sound = (is_seen(clip[..., corners, :]) & is_seen(other[..., corners, :])).all(-1)[..., None, None]
    result = clip.copy()
    turns = {}
    for part in parts:
        joint, members = limbs[part]
        upright = part in LEGS
        if upright not in turns:
            own, others = (_torso_axes(points, corners, upright) for points in (clip, other))
            turns[upright] = others.swapaxes(-1, -2) @ own  # points are rows
        limb = other[..., members, :]
        moved = (limb - other[..., [joint], :]) @ turns[upright] + clip[..., [joint], :]
        result[..., members, :] = moved * (sound & is_seen(limb)[..., None])
    return result


@functools.cache
def find_limbs(layout):
    """dict part -> (the joint it hangs on, its joints), for ARMS and LEGS. Raises ValueError where they are not so."""
    limbs = {}
    for part in (*ARMS, *LEGS):
        members = list(layout.parts.get(part, ()))
        border = layout.adjacency[members].any(0) if members else np.zeros(layout.num_joints, bool)
        border[members] = False
        if border.sum() != 1:
            expected = f"a part {part} that hangs on one joint, to find hips and shoulders"
            raise ValueError(f"layout {layout.name}: parts: expected {expected}, found {int(border.sum())} such joints")
        limbs[part] = int(border.argmax()), members
    if any(limbs[left][0] == limbs[right][0] for left, right in (ARMS, LEGS)):
        raise ValueError(f"layout {layout.name}: parts: expected arms and legs that hang on two joints each, found one")
    return limbs


def _torso_axes(points, corners, upright):
    """(..., T, 3, 3) rows: to the left, up and forward; with `upright` up is y, and the hips tell where left is."""
    left_shoulder, right_shoulder, left_hip, right_hip = (points[..., joint, :] for joint in corners)
    up = np.zeros_like(left_hip)
    if upright:
        up[..., 1] = 1
        across = left_hip - right_hip
    else:
        up = _unit(left_shoulder + right_shoulder - left_hip - right_hip, (0, 1, 0))
        across = left_shoulder - right_shoulder
    across = _unit(across - (across * up).sum(-1, keepdims=True) * up, (1, 0, 0))
    return np.stack([across, up, np.cross(across, up)], -2)


def _unit(vectors, default):
    length = np.sqrt((vectors**2).sum(-1, keepdims=True))
    return np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), np.asarray(default, vectors.dtype))
