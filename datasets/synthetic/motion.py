"""An articulated NTU-25 body and ten things it does: joint angles over time, then forward kinematics.

In metres: x to the right of the person, y up, z backwards. Facing the camera, these are the axes of Kinect's
camera space (x to the sensor's left, y up, z away from the sensor).
"""

from dataclasses import dataclass

import numpy as np

from ..layouts import get_layout

_FPS = 30
_MIRROR = get_layout("ntu25").mirror.tolist()
# joint: (parent, offset from it when standing with the arms down); a parent stands above its children.
_LEFT_HALF = {
    1: (0, (0, 0.20, 0)),
    20: (1, (0, 0.25, 0)),
    2: (20, (0, 0.08, 0)),
    3: (2, (0, 0.14, -0.02)),
    4: (20, (-0.17, -0.03, 0)),
    5: (4, (0, -0.28, 0)),
    6: (5, (0, -0.25, 0)),
    7: (6, (0, -0.08, 0)),
    21: (7, (0, -0.08, 0)),
    22: (7, (0.02, -0.03, -0.04)),
    12: (0, (-0.09, -0.04, 0)),
    13: (12, (0, -0.42, 0)),
    14: (13, (0, -0.40, 0)),
    15: (14, (0, -0.07, -0.13)),
}
_BODY = _LEFT_HALF | {_MIRROR[j]: (_MIRROR[parent], (-x, y, z)) for j, (parent, (x, y, z)) in _LEFT_HALF.items()}
ARMS, LEGS = (5, 6, 7, 9, 10, 11, 21, 22, 23, 24), (13, 14, 15, 17, 18, 19)
_PITCH, _YAW, _ROLL = 0, 1, 2  # about x (a hanging limb swings forward), y, z (it swings to the right)
_L, _R = (4, 5, 12, 13, 14), (8, 9, 16, 17, 18)  # shoulder, elbow, hip, knee, ankle


@dataclass
class _Motion:
    """Joint angles in degrees (T, 25, 3), travel of the root in metres (T, 3), joints that stay in place."""

    angles: np.ndarray
    travel: np.ndarray
    anchors: tuple = (14, 18)

    def add(self, joint, axis, degrees):
        self.angles[:, joint, axis] += degrees

    def both(self, index, axis, degrees):
        """The same on both sides; yaw and roll are mirrored, positive being the right side's sense."""
        self.add(_R[index], axis, degrees)
        self.add(_L[index], axis, degrees if axis == _PITCH else -degrees)

    def bend(self, degrees):
        """Lean forward at the hips, legs where they are."""
        self.add(0, _PITCH, -0.7 * degrees)
        self.both(2, _PITCH, 0.7 * degrees)
        self.add(1, _PITCH, -0.3 * degrees)

    def crouch(self, degrees):
        """Flex hips by `degrees` and knees by twice that, soles on the floor."""
        for index, factor in ((2, 1), (3, -2), (4, 1)):
            self.both(index, _PITCH, factor * degrees)


def act(action, subject, length, seed, rng):
    """One person doing one action.

    Args:
        action: a key of ACTIONS.
        subject: number of the person; with `seed` it fixes size, build and style.
        length: frames.
        seed: integer >= 0.
        rng: generator for all that differs between recordings.

    Returns:
        Joints (T, 25, 3) in metres, near the origin and 0.85 above the floor; global rotations (T, 25, 3, 3).
    """
    style = np.random.default_rng([seed, 1000 + subject])  # the same in every recording of this subject
    offsets = np.zeros((25, 3))
    for joint, (_, offset) in _BODY.items():
        offsets[joint] = offset
    build = style.normal(1, 0.05, 3)
    for members, factor in ((ARMS, build[0]), (LEGS, build[1]), ((1, 20, 2, 3), build[2])):
        offsets[list(members)] *= factor
    offsets *= style.uniform(0.86, 1.12)
    vigour = style.uniform(0.75, 1.15) * rng.uniform(0.4, 1.1)
    left_handed = rng.random() < (0.75 if style.random() < 0.25 else 0.2)

    start, end = rng.uniform(-0.05, 0.25), rng.uniform(0.8, 1.1)
    time = np.clip((np.linspace(0, 1, length) - start) / (end - start), 0, None) ** rng.uniform(0.75, 1.3)
    motion = _Motion(np.zeros((length, 25, 3)), np.zeros((length, 3)))
    motion.angles += style.normal(0, 2.5, (25, 3)) + rng.normal(0, 1.5, (25, 3))
    motion.both(0, _ROLL, style.uniform(3, 12))
    motion.both(1, _PITCH, style.uniform(5, 25))
    _fidget(motion, time, rng)
    ACTIONS[action](motion, time, vigour, rng)
    if left_handed:
        motion.angles = motion.angles[:, _MIRROR] * [1, -1, -1]
        motion.travel[:, 0] *= -1
        motion.anchors = tuple({14: 18, 18: 14}[joint] for joint in motion.anchors)

    turns = np.empty((length, 25, 3, 3))
    joints = np.zeros((length, 25, 3))
    local = euler(motion.angles)
    turns[:, 0] = local[:, 0]
    for joint, (parent, _) in _BODY.items():
        joints[:, joint] = joints[:, parent] + turns[:, parent] @ offsets[joint]
        turns[:, joint] = turns[:, parent] @ local[:, joint]
    if motion.anchors:
        joints -= joints[:, motion.anchors].mean(axis=1, keepdims=True) * [1, 0, 1]
    joints[..., 1] -= joints[:, LEGS, 1].min(axis=1, keepdims=True) + 0.85
    return joints + motion.travel[:, None], turns


def _fidget(motion, time, rng):
    """Slow sway, and idle movements that have nothing to do with the action."""
    for joint in (0, 1, 2, 4, 8):
        for axis in range(3):
            motion.add(joint, axis, rng.normal(0, 1.5) * _beat(time, rng, 0.3, 1.5))
    for chance, kind in ((0.5, "arm"), (0.3, "lean"), (0.25, "knees"), (0.25, "turn")):
        if rng.random() < chance:
            start = rng.uniform(0, 0.6)
            rise = _bump(time, start, start + rng.uniform(0.3, 0.6)) * rng.uniform(0.3, 1)
            if kind == "arm":
                side = _L if rng.random() < 0.5 else _R
                motion.add(side[0], _PITCH, 45 * rise)
                motion.add(side[1], _PITCH, 85 * rise)
            elif kind == "lean":
                motion.bend(rng.uniform(10, 40) * rise)
            elif kind == "knees":
                motion.crouch(28 * rise)
            else:
                motion.add(0, _YAW, rng.choice([-35, 35]) * rise)


def _ramp(time, start, end):
    """0 before `start`, 1 after `end`, smooth between."""
    share = np.clip((time - start) / (end - start), 0, 1)
    return share * share * (3 - 2 * share)


def _bump(time, start, end):
    """0 to 1 and back within start..end, smooth."""
    middle = (start + end) / 2
    return _ramp(time, start, middle) - _ramp(time, middle, end)


def _hold(time, rng):
    """Up early, held, and down again in some recordings."""
    start = rng.uniform(0, 0.2)
    end = rng.uniform(0.75, 1.1)
    return _ramp(time, start, start + 0.2) - _ramp(time, end, end + 0.2)


def _beat(time, rng, low, high):
    """A sine of `low`..`high` cycles a recording, at a random phase."""
    return np.sin(2 * np.pi * (rng.uniform(low, high) * time + rng.random()))


def _wave(motion, time, vigour, rng):
    held = _hold(time, rng)
    raised = rng.uniform(45, 125)
    motion.add(8, _ROLL, held * raised * vigour)
    motion.add(8, _PITCH, held * rng.uniform(0, 40))
    motion.add(9, _ROLL, held * (rng.uniform(20, 60) + 28 * vigour * _beat(time, rng, 2, 5)))


def _clap(motion, time, vigour, rng):
    held = _hold(time, rng)
    motion.both(0, _PITCH, held * rng.uniform(25, 60))
    motion.both(1, _PITCH, held * rng.uniform(35, 75))
    motion.both(0, _YAW, held * (6 + 12 * vigour * (1 + _beat(time, rng, 2.5, 6))))


def _kick(motion, time, vigour, rng):
    start = rng.uniform(0.05, 0.35)
    middle, end = start + rng.uniform(0.15, 0.25), start + rng.uniform(0.45, 0.6)
    swing = _bump(time, middle - 0.08, end)
    motion.anchors = (14,)
    motion.add(16, _PITCH, vigour * (-20 * _bump(time, start, middle) + 70 * swing))
    motion.add(17, _PITCH, -vigour * (60 * _bump(time, start, middle + 0.1) + 12 * swing))
    motion.bend(-8 * vigour * swing)
    motion.add(4, _PITCH, 25 * vigour * swing)
    motion.add(8, _PITCH, -20 * vigour * swing)


def _squat(motion, time, vigour, rng):
    start, times = rng.uniform(0, 0.15), rng.integers(1, 3)
    depth = sum(_bump(time, start + k * 0.8 / times, start + (k + 1) * 0.8 / times) for k in range(times))
    motion.crouch(58 * vigour * depth)
    motion.bend(22 * vigour * depth)
    motion.both(0, _PITCH, rng.choice([15, 70]) * depth)


def _jump(motion, time, vigour, rng):
    start = rng.uniform(0.02, 0.2)
    leave, land = start + rng.uniform(0.25, 0.35), start + rng.uniform(0.5, 0.6)
    dip = _bump(time, start, leave + 0.05) + 0.7 * _bump(time, land - 0.03, land + 0.22)
    flight = np.clip((time - leave) / (land - leave), 0, 1)
    motion.crouch(38 * vigour * dip)
    motion.bend(15 * vigour * dip)
    swing = rng.uniform(20, 100) * _bump(time, leave - 0.1, land + 0.1)
    motion.both(0, _PITCH, swing - 30 * _bump(time, start, leave))
    motion.travel[:, 1] += 0.28 * vigour**2 * 4 * flight * (1 - flight)


def _walk(motion, time, vigour, rng):
    seconds = len(time) / _FPS
    phase = 2 * np.pi * (rng.uniform(0.7, 1.0) * seconds * time + rng.random())
    stride = np.sin(phase) * 24 * vigour
    for side, sign in ((_R, 1), (_L, -1)):
        motion.add(side[2], _PITCH, sign * stride)
        motion.add(side[3], _PITCH, -12 - 26 * vigour * np.clip(np.cos(phase) * sign, 0, None))
        motion.add(side[0], _PITCH, -sign * stride * rng.uniform(0.4, 1))
    heading = np.radians(rng.uniform(-60, 60))
    travel = rng.uniform(0.15, 0.6) * vigour * seconds * (0.5 - time)
    motion.travel[:, 0] += np.sin(heading) * travel
    motion.travel[:, 2] += np.cos(heading) * travel
    motion.add(0, _YAW, np.degrees(heading))
    motion.anchors = ()


def _throw(motion, time, vigour, rng):
    start = rng.uniform(0.05, 0.3)
    release = start + rng.uniform(0.25, 0.35)
    back, forward = _bump(time, start, release + 0.06), _bump(time, release - 0.08, release + 0.3)
    motion.add(8, _PITCH, vigour * (rng.uniform(40, 110) * back + 75 * forward))
    motion.add(8, _ROLL, vigour * 45 * back)
    motion.add(9, _PITCH, vigour * (85 * back + 10 * forward))
    motion.add(1, _YAW, vigour * (-20 * back + 22 * forward))
    motion.bend(12 * vigour * forward)


def _sit_down(motion, time, vigour, rng):
    start = rng.uniform(0.05, 0.3)
    seated = _ramp(time, start, start + rng.uniform(0.3, 0.5))
    depth = rng.uniform(65, 90)
    motion.both(2, _PITCH, depth * seated)
    motion.both(3, _PITCH, -depth * seated)
    motion.bend(30 * vigour * _bump(time, start - 0.05, start + 0.55))
    motion.both(0, _PITCH, rng.uniform(5, 35) * seated)
    motion.both(1, _PITCH, rng.uniform(10, 55) * seated)


def _bow(motion, time, vigour, rng):
    start = rng.uniform(0, 0.25)
    motion.bend(vigour * rng.uniform(25, 75) * _bump(time, start, start + rng.uniform(0.5, 0.75)))
    motion.add(2, _PITCH, -15 * _bump(time, start, start + 0.6))
    motion.both(0, _PITCH, rng.uniform(0, 30) * _bump(time, start, start + 0.6))


def _handshake(motion, time, vigour, rng):
    held = _hold(time, rng)
    motion.add(8, _PITCH, held * rng.uniform(25, 50))
    motion.add(9, _PITCH, held * (rng.uniform(30, 60) + 9 * vigour * _beat(time, rng, 2, 5)))
    motion.add(8, _YAW, held * rng.uniform(0, 20))
    motion.bend(held * rng.uniform(0, 12))


_KINDS = (_wave, _clap, _kick, _squat, _jump, _walk, _throw, _sit_down, _bow, _handshake)
ACTIONS = {kind.__name__.strip("_").replace("_", " "): kind for kind in _KINDS}


def euler(degrees):
    """Rotations (..., 3, 3) from pitch, then roll, then yaw (..., 3) in degrees."""
    (cx, cy, cz), (sx, sy, sz) = (np.moveaxis(f(np.radians(degrees)), -1, 0) for f in (np.cos, np.sin))
    rows = [
        [cy * cz, sy * sx - cy * sz * cx, cy * sz * sx + sy * cx],
        [sz, cz * cx, -cz * sx],
        [-sy * cz, sy * sz * cx + cy * sx, cy * cx - sy * sz * sx],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
