"""Procedural motion: an articulated NTU-25 body doing ten actions, written as genuine `.skeleton` files.

It stands in for recordings where none may be had: for examples, tests and a first run that shows the package
at work. Subjects differ in size, build and style, recordings in speed, phase, handedness, idle movements,
place, camera and tracking error; weak actions and idle movements make the classes resemble each other.
`motion.py` moves the body.
"""

from pathlib import Path

import numpy as np

from .motion import ACTIONS, ARMS, LEGS, act, euler

ACTION_NAMES = tuple(ACTIONS)
_SUBJECT_ORDER = (1, 3, 2, 4, 6, 5, *range(7, 41))  # two suffice for both sides of NTU's X-Sub
_BODY_ID = 72057594037927936  # 2**56: as Kinect's, not to be held in a float
_DEPTH = (365.0, 257.0, 208.0)  # focal length, centre x, centre y in pixels of a 512 x 424 image
_COLOR = (1060.0, 975.0, 567.0)  # of a 1920 x 1080 image
_LEAVES = [3, 15, 19, 21, 22, 23, 24]  # Kinect gives these no orientation


def generate_motion(action, subject=1, repetition=1, camera=1, seed=0, frames=(40, 80), noise=1.0):
    """One recording of one action, in camera space.

    Args:
        action: a name of ACTION_NAMES.
        subject, repetition: numbers from 1; with `seed` and `action` they fix the recording.
        camera: 1, 2 or 3: in front, to one side, to the other.
        seed: integer >= 0.
        frames: (fewest, most) frames, the most included.
        noise: factor on the tracking error; 0 for none.

    Returns:
        (M, T, 25, 3) float32 in metres; M is 2 for the handshake, else 1. Nobody is absent.

    Raises:
        ValueError: an unknown action or camera, fewer than 8 frames, more fewest than most.
    """
    return _record(action, subject, repetition, camera, seed, frames, noise)[0].astype(np.float32)


def write_dataset(folder, subjects=6, repetitions=3, actions=None, seed=0, frames=(40, 80), noise=1.0):
    """Write `.skeleton` files with NTU RGB+D names, and `classes.txt` with one action name per line.

    Setup 1; the camera changes with subject and repetition, so that NTU's cross-subject and cross-view rules
    both give training and test recordings. Some recordings start with frames without a body or hold a short
    false track, as the real ones do.

    Args:
        folder: where to write; made if absent. Files of the same names are replaced.
        subjects: 1..40 people; the first two are already one training and one test subject by NTU's rule.
        repetitions: 1..999 of each action by each subject.
        actions: names of ACTION_NAMES, numbered A001... in this order; all where None.
        seed, frames, noise: as `generate_motion`.

    Returns:
        Sorted list of the paths of the recordings.

    Raises:
        ValueError: as `generate_motion`, or a count out of range. OSError: the folder cannot be written.
    """
    actions = ACTION_NAMES if actions is None else tuple(actions)
    for name, value, most in (("subjects", subjects, 40), ("repetitions", repetitions, 999)):
        if not 1 <= value <= most:
            raise ValueError(f"{name}: expected 1..{most}, found {value}")
    for action in actions:
        _check(action, 1, frames)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, action in enumerate(actions, 1):
        for subject in _SUBJECT_ORDER[:subjects]:
            for repetition in range(1, repetitions + 1):
                camera = (subject + repetition - 1) % 3 + 1  # this order meets no name of NTU's missing list
                name = f"S001C{camera:03}P{subject:03}R{repetition:03}A{number:03}.skeleton"
                recording = _record(action, subject, repetition, camera, seed, frames, noise)
                paths.append(folder / name)
                paths[-1].write_text(_skeleton_text(*recording), encoding="ascii", newline="\n")
    (folder / "classes.txt").write_text("".join(f"{action}\n" for action in actions), encoding="utf-8")
    return sorted(paths)


def _check(action, camera, frames):
    if action not in ACTION_NAMES:
        raise ValueError(f"action: expected one of {', '.join(ACTION_NAMES)}, found {action}")
    if camera not in (1, 2, 3):
        raise ValueError(f"camera: expected 1, 2 or 3, found {camera}")
    if not 8 <= frames[0] <= frames[1]:
        raise ValueError(f"frames: expected 8 <= fewest <= most, found {tuple(frames)}")


def _record(action, subject, repetition, camera, seed, frames, noise):
    """Joints (M, T, 25, 3), orientations (M, T, 25, 4), tracking states (M, T, 25) and the generator."""
    _check(action, camera, frames)
    rng = np.random.default_rng([seed, ACTION_NAMES.index(action), subject, repetition])
    length = int(rng.integers(frames[0], frames[1] + 1))
    people = [subject, subject % 40 + 1] if action == "handshake" else [subject]
    bodies = [act(action, person, length, seed, rng) for person in people]
    joints, turns = (np.stack(parts) for parts in zip(*bodies, strict=True))
    facing = rng.normal(0, 15)
    if len(people) == 2:  # face to face, side on to the camera
        facing, half_gap = facing + rng.choice([-90, 90]), rng.uniform(0.42, 0.58)
        joints[..., 2] += half_gap
        other = euler(np.array([0, 180.0, 0]))
        joints[1], turns[1] = joints[1] @ other.T, other @ turns[1]
    view = euler(np.array([0, facing + (0, 35, -35)[camera - 1] + rng.normal(0, 6), 0]))
    view = euler(np.array([rng.normal(0, 3), 0, 0])) @ view  # the camera's tilt
    joints, turns = joints @ view.T, view @ turns
    joints += [rng.normal(0, 0.3), rng.uniform(-0.3, 0.0), rng.uniform(2.6, 4.0)]
    noisy, states = _track(joints, rng, noise)
    return noisy, _quaternions(turns), states, rng


def _quaternions(turns):
    """Unit quaternions (..., 4) w, x, y, z of rotations (..., 3, 3)."""
    a, b, c = (turns[..., i, i] for i in range(3))
    squares = np.stack([1 + a + b + c, 1 + a - b - c, 1 - a + b - c, 1 - a - b + c], axis=-1)
    result = np.sqrt(np.maximum(squares, 0)) / 2
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        result[..., axis + 1] *= np.where(turns[..., two, one] < turns[..., one, two], -1, 1)
    return result


def _track(joints, rng, noise):
    """Joints with tracking error, and tracking states (M, T, 25): 2 tracked, 1 inferred."""
    people, length = joints.shape[:2]
    spread = np.full(25, 0.010)
    spread[[*ARMS, *LEGS]] = 0.018
    error = rng.normal(0, 1, joints.shape) * spread[:, None]
    coarse = rng.normal(0, 2, (people, length // 8 + 2, 25, 3)) * spread[:, None]  # slow drift, between knots
    knots = np.arange(length) / 8
    left, share = knots.astype(int), (knots % 1)[:, None, None]
    error += coarse[:, left] * (1 - share) + coarse[:, left + 1] * share
    states = np.full(joints.shape[:3], 2)
    for person in range(people):
        for members in ((5, 6, 7, 21, 22), (9, 10, 11, 23, 24), (13, 14, 15), (17, 18, 19)):
            if rng.random() < 0.22:  # a limb hidden for a while: guessed, and badly
                start = int(rng.integers(0, length))
                end = min(length, start + int(rng.integers(4, 20)))
                hidden = np.ix_([person], range(start, end), members)
                states[hidden] = 1
                error[hidden] = 2 * error[hidden] + rng.normal(0, 0.07, 3)
    return joints + noise * error, states


def _skeleton_text(joints, turns, states, rng):
    """The file's text; now and then a false track is put in, or empty frames at the start."""
    people, length = joints.shape[:2]
    shown = np.ones((length, people), bool)
    if rng.random() < 0.05:
        shown[: int(rng.integers(1, 4))] = False
    if people == 1 and rng.random() < 0.08:  # a false body, too short a track to be kept
        start = int(rng.integers(0, length - 7))
        away = [rng.choice([-0.8, 0.8]), 0, rng.normal(0, 0.2)]
        ghost = joints[:, start : start + 1] * [0.3, 0.6, 1] + away + rng.normal(0, 0.05, joints.shape)
        joints, turns = np.concatenate([joints, ghost]), np.concatenate([turns, turns])
        states = np.concatenate([states, np.ones_like(states)])
        shown = np.column_stack([shown, np.zeros(length, bool)])
        shown[start : start + int(rng.integers(2, 8)), 1] = True
    turns = np.where(np.isin(np.arange(25), _LEAVES)[:, None], 0, turns)
    ratio = joints[..., :2] / joints[..., 2:] * [1, -1]
    depth, color = (focal * ratio + [x, y] for focal, x, y in (_DEPTH, _COLOR))
    values = np.concatenate([joints, depth, color, turns, states[..., None]], axis=-1)  # (M, T, 25, 12)
    lean = (joints[..., 20, :] - joints[..., 0, :])[..., [0, 2]] * 2
    values = np.concatenate([lean, values.reshape(*values.shape[:2], -1)], axis=-1)
    values = values.swapaxes(0, 1)[shown]  # (bodies in the order of the file, 302)

    joint_lines = " ".join(["%.7g"] * 11 + ["%d\n"]) * 25
    first = int(rng.integers(1, 9999))
    ids = [_BODY_ID + first + 3 * k for k in range(shown.shape[1])]
    bodies = [f"{body} 0 1 1 1 1 0 %.7g %.7g 2\n25\n{joint_lines}" for body in ids]
    frames = [f"{row.sum()}\n" + "".join(bodies[k] for k in np.flatnonzero(row)) for row in shown]
    return f"{length}\n" + "".join(frames) % tuple(values.ravel().tolist())
