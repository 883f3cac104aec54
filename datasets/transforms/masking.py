"""Masks over joints. True = masked, to be reconstructed."""

import numpy as np

from .augmentation import motion_stream


def default_parts(layout):
    """The paper's best mask, right arm and right leg; the last part where a layout has not got them."""
    usual = tuple(part for part in ("right_arm", "right_leg") if part in layout.parts)
    return usual or (list(layout.parts)[-1],)


def part_mask(layout, parts):
    """(V,) bool mask of the joints of the named body parts; True = masked, to be reconstructed.

    Raises:
        ValueError: no part named, or a part the layout has not got.
    """
    names = list(layout.parts)
    unknown = [part for part in parts if part not in names]
    if unknown or not parts:
        raise ValueError(f"parts: expected some of {', '.join(names)}, found {', '.join(unknown) or 'none'}")
    return layout.part_masks[[names.index(part) for part in parts]].any(axis=0)


def sample_part_masks(layout, shape, rng, num_parts=None, parts=None, per_frame=False, max_parts=3):
    """Mask whole body parts, drawn for each person of each sample (SkeletonMAE, figure 2d).

    Args:
        layout: `SkeletonLayout`.
        shape: (B, M, T).
        rng: `numpy.random.Generator`.
        num_parts: how many parts to mask; None draws that too, evenly from 1..max_parts, leaving a part.
        parts: names of the parts to mask everywhere; nothing is drawn then.
        per_frame: draw afresh for each frame; otherwise a person's frames share one mask.
        max_parts: the largest count drawn when `num_parts` is None.

    Returns:
        (B, M, T, V) bool; True = masked, to be reconstructed.

    Raises:
        ValueError: a part the layout has not got, or a count outside 1..number of parts.
    """
    batch, people, frames = shape
    if parts is not None:
        return np.tile(part_mask(layout, parts), (batch, people, frames, 1))
    table = np.asarray(layout.part_masks)  # (P, V)
    total = len(table)
    draws = (batch, people, frames if per_frame else 1)
    if num_parts is None:
        if max_parts < 1:
            raise ValueError(f"max_parts: expected at least 1, found {max_parts}")
        counts = rng.integers(1, max(1, min(max_parts, total - 1)) + 1, size=draws)[..., None]
    elif 1 <= num_parts <= total:
        counts = num_parts
    else:
        raise ValueError(f"num_parts: expected 1..{total}, found {num_parts}")
    chosen = _ranks(rng, (*draws, total)) < counts  # (B, M, T or 1, P)
    masks = (chosen.astype(np.uint8) @ table.astype(np.uint8)) > 0  # (B, M, T or 1, V)
    return masks if per_frame else np.repeat(masks, frames, axis=2)


def sample_joint_masks(num_joints, shape, num_masked, rng, per_frame=False):
    """Mask `num_masked` joints drawn at random, for each person of each sample.

    Args:
        num_joints: V.
        shape: (B, M, T).
        num_masked: joints to mask, 0..V.
        rng: `numpy.random.Generator`.
        per_frame: draw afresh for each frame; otherwise a person's frames share one mask.

    Returns:
        (B, M, T, V) bool; True = masked, to be reconstructed.

    Raises:
        ValueError: `num_masked` outside 0..V.
    """
    if not 0 <= num_masked <= num_joints:
        raise ValueError(f"num_masked: expected 0..{num_joints}, found {num_masked}")
    batch, people, frames = shape
    masks = _ranks(rng, (batch, people, frames if per_frame else 1, num_joints)) < num_masked
    return masks if per_frame else np.repeat(masks, frames, axis=2)


def motion_intensity(x, dims):
    """How far each joint moves from its frame to the next; the last frame repeats the one before.

    Args:
        x: (B, M, T, V, C).
        dims: number of coordinates, which come first in C.

    Returns:
        (B, M, T, V) float, in the units of x; 0 where the joint is absent in either frame.
    """
    steps = np.linalg.norm(motion_stream(x[..., :dims]), axis=-1)
    if x.shape[2] > 1:
        steps[:, :, -1] = steps[:, :, -2]
    return steps


def sample_motion_masks(intensity, num_masked, rng, temperature=0.75):
    """Mask `num_masked` joints, those that move more being likelier (motion-aware masking).

    Joints are drawn one after the other without replacement, with p_i proportional to exp(a_i / temperature)
    over the joints left, a_i = intensity_i / max_j intensity_j. Where nothing moves, all are equally likely.

    Args:
        intensity: (..., V) float, not negative.
        num_masked: joints to mask, 0..V.
        rng: `numpy.random.Generator`.
        temperature: above 0; the larger, the nearer to even draws.

    Returns:
        (..., V) bool; True = masked, to be reconstructed.

    Raises:
        ValueError: `num_masked` outside 0..V, or a temperature that is not above 0.

    Reference:
        Mao et al., "Masked Motion Predictors are Strong 3D Action Representation Learners", ICCV 2023.
    """
    num_joints = intensity.shape[-1]
    if not 0 <= num_masked <= num_joints:
        raise ValueError(f"num_masked: expected 0..{num_joints}, found {num_masked}")
    if not temperature > 0:
        raise ValueError(f"temperature: expected above 0, found {temperature}")
    largest = intensity.max(axis=-1, keepdims=True)
    logits = intensity / np.where(largest > 0, largest, 1) / temperature
    keys = logits + rng.gumbel(size=intensity.shape)  # the largest of these are such draws: Gumbel's trick
    return keys.argsort(axis=-1).argsort(axis=-1) >= num_joints - num_masked


def _ranks(rng, shape):
    """A random permutation of 0..n-1 along the last axis."""
    return rng.random(shape).argsort(axis=-1)
