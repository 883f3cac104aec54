"""Recordings made worse by a known amount, one kind of fault at a time, to measure what a model makes of them.

Every function takes keypoints (M, T, V, C) with joints not seen at zero, the number of coordinates, the layout, the
amount and a `numpy.random.Generator`, and returns new keypoints; an amount of 0 (a step of 1) changes nothing.
`transforms.faults` draws all faults of an estimator together, as they are found in recordings.
"""

import numpy as np

from .faults import body_extent
from .presence import is_seen

RUN = 5  # frames that are lost one after the other


def lose_joints(keypoints, dims, layout, share, generator):
    """The share of the joints that is lost from the whole recording, drawn."""
    found = keypoints.copy()
    found[:, :, generator.permutation(layout.num_joints)[: round(share * layout.num_joints)]] = 0
    return found


def lose_parts(keypoints, dims, layout, count, generator):
    """So many body parts, drawn, are lost from the whole recording; one at least is left."""
    found, parts = keypoints.copy(), list(layout.parts.values())
    for part in generator.permutation(len(parts))[: min(count, len(parts) - 1)]:
        found[:, :, list(parts[part])] = 0
    return found


def lose_frames(keypoints, dims, layout, share, generator):
    """In the share of the frames, drawn in runs of RUN, nobody is seen; a frame at least is left."""
    found, frames = keypoints.copy(), keypoints.shape[1]
    runs = np.array_split(np.arange(frames), max(1, round(frames / RUN)))
    lost = np.concatenate([runs[number] for number in generator.permutation(len(runs))])
    found[:, lost[: min(round(share * frames), frames - 1)]] = 0
    return found


def shake(keypoints, dims, layout, size, generator):
    """Each joint's place has a normal error in each frame, as large as this share of the body's extent."""
    points, found = keypoints[..., :dims], keypoints.copy()
    seen = is_seen(points)
    noise = generator.standard_normal(points.shape, np.float32)
    for person in range(len(points)):
        extent = body_extent(points[person].astype(float), seen[person])
        found[person, ..., :dims] += size * extent * noise[person] * seen[person][..., None]
    return found


def turn(keypoints, dims, layout, degrees, generator):
    """The recording turned about its middle to either side: in the image, in 3D about the vertical, the second axis."""
    found, points = keypoints.copy(), keypoints[..., :dims]
    seen = is_seen(points)
    if not seen.any():
        return found
    angle = np.deg2rad(degrees) * generator.choice((-1, 1))
    one, other = (0, 1) if dims == 2 else (0, 2)
    rotation = np.eye(dims)
    rotation[[one, one, other, other], [one, other, one, other]] = np.array([1, -1, 1, 1]) * [
        np.cos(angle), np.sin(angle), np.sin(angle), np.cos(angle)
    ]  # fmt: skip
    middle = points[seen].mean(axis=0)
    found[..., :dims][seen] = (points[seen] - middle) @ rotation.T + middle
    return found


def swap_sides(keypoints, dims, layout, share, generator):
    """In the share of the frames, drawn, every left joint is taken for the right one and the other way round."""
    found, frames = keypoints.copy(), keypoints.shape[1]
    chosen = generator.permutation(frames)[: round(share * frames)]
    found[:, chosen] = keypoints[:, chosen][:, :, list(layout.mirror)]
    return found


def thin(keypoints, dims, layout, step, generator):
    """Every so manieth frame, from a frame of the first of them on."""
    return keypoints[:, min(generator.integers(step), keypoints.shape[1] - 1) :: step]


DEGRADATIONS = {  # kind -> (function, amounts, what they are)
    "joints": (lose_joints, (0.0, 0.1, 0.25, 0.5, 0.75), "share of joints missing"),
    "parts": (lose_parts, (0, 1, 2, 3, 4), "body parts missing"),
    "frames": (lose_frames, (0.0, 0.1, 0.25, 0.5, 0.75), "share of frames missing"),
    "jitter": (shake, (0.0, 0.02, 0.05, 0.1, 0.2), "jitter, share of the body's extent"),
    "rotation": (turn, (0, 15, 30, 60, 90), "rotation, degrees"),
    "swaps": (swap_sides, (0.0, 0.1, 0.25, 0.5, 1.0), "share of frames with left and right swapped"),
    "rate": (thin, (1, 2, 4, 8, 16), "one frame of so many"),
}


def check_kinds(kinds):
    """ValueError naming the first of these that is none of DEGRADATIONS."""
    unknown = [kind for kind in kinds if kind not in DEGRADATIONS]
    if unknown:
        raise ValueError(f"kinds: expected some of {', '.join(DEGRADATIONS)}, found {unknown[0]!r}")
