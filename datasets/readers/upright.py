"""Which axis of x, y, z points up: found by the body, its head above its feet, and turned so that y does."""

import numpy as np

from .named_joints import body_names

AXES = ("x", "y", "z", "-x", "-y", "-z")
_UPRIGHT = 0.75  # share of the way from feet to head that is along the axis which is up
_HIGH, _LOW = ("head_top", "head", "nose", "neck", "_shoulder"), ("_ankle", "_heel", "_big_toe", "_foot", "_knee")
NOT_UP = "bodies stand along "  # how the note begins that y is not up


class UpFinder:
    """Finds which axis is up. names: of the joints. Attributes: known, whether head and feet are among them."""

    def __init__(self, names):
        meant = body_names(names)
        self._high, self._low = (
            next((at for end in ends if (at := [i for i, name in enumerate(meant) if name.endswith(end)])), [])
            for ends in (_HIGH, _LOW)
        )
        self.known = bool(self._high and self._low)

    def way(self, points):
        """(3,) from feet to head, the median of the frames (F, V, 3) that show them; zeros where none does."""
        both = points[:, self._high + self._low].any(-1).all(-1) & self.known
        if not both.any():
            return np.zeros(3)
        points = points[both].astype("float64")
        return np.median(points[:, self._high].mean(1) - points[:, self._low].mean(1), axis=0)


def axis_of(way):
    """One of AXES that a way (3,) goes along; None where it goes between them."""
    axis = int(np.abs(way).argmax())
    if not np.abs(way[axis]) >= _UPRIGHT * np.linalg.norm(way) > 0:
        return None
    return ("-" if way[axis] < 0 else "") + "xyz"[axis]


def turned(points, up):
    """(..., C) of x, y, z and perhaps a score, turned so that the axis `up` is y; a rotation: left stays left."""
    x, y, z = np.moveaxis(points[..., :3], -1, 0)
    found = {"y": (x, y, z), "-y": (x, -y, -z), "z": (x, z, -y), "-z": (x, -z, y), "x": (-y, x, z), "-x": (y, -x, z)}
    return np.concatenate([np.stack(found[up], -1) + points.dtype.type(0), points[..., 3:]], -1)  # no zero is -0
