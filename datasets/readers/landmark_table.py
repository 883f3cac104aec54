"""Tables of one clip or more, as people write MediaPipe's landmarks: wide, a line a frame; or long, a line a landmark.

Wide: columns `nose_x`, `nose_y`, `nose_z`, `nose_visibility`; `x0`, `y0`, `v0` or `x1` ... `x33`; `0_x`. Long:
`frame`, `landmark` (name or number), `x`, `y`, `z`, `visibility`. World landmarks are columns with `world` in their
names. Others that are read: frame, person or track_id, and video, clip, file or sample where a table has several.
"""

import csv
import re

import numpy as np

from ..errors import DataError
from ..layouts import get_layout, layout_names
from .clip import People
from .csv_table import REQUIRED, encoding_of, loose_name
from .labels import plain_label
from .mediapipe import as_landmarks

NAME = "table of landmarks"
MAX_BYTES, _MAX_LINE, _MAX_COLUMNS = 256 << 20, 1 << 16, 1 << 12
_AXES = {"x": 0, "y": 1, "z": 2} | dict.fromkeys(("v", "visibility", "vis", "score", "conf", "confidence", "c"), 3)
_CLIP, _FRAME = ("sample", "video", "clip", "file", "filename"), ("frame", "frame_number", "frame_id", "frame_index")
_PERSON, _JOINT = ("person", "person_id", "track_id", "id"), ("landmark", "joint", "landmark_name", "name", "keypoint",
    "landmark_id", "landmark_index", "index")  # fmt: skip
_WIDE = re.compile(r"(?P<joint>.+?)[ _.](?P<axis>[a-z]+)|(?P<axis2>[a-z]+)[ _.]?(?P<number>\d{1,3})")
_ABSENT = ("", "nan", "na", "none", "null")


def fits(path):
    """Whether a table is in one of these forms, and not in that of `convert_csv`."""
    try:
        names = _header(path)
    except DataError:
        return False
    if set(REQUIRED) <= set(names):
        return False
    return _Form(names, path.name, None).kind is not None


def clips(path, channels=None):
    """[(name of the clip, or "" where there is one only, Clip)] of a table."""
    if path.stat().st_size > MAX_BYTES:
        raise DataError(path.name, "", f"at most {MAX_BYTES >> 20} MiB (one table a clip)", "more")
    form, tables = None, {}
    for number, row in _rows(path):
        if form is None:
            form = _Form([name.strip().lower() for name in row], path.name, channels)
            continue
        if len(row) != form.width:
            raise DataError(path.name, f"line {number}", f"{form.width} columns", len(row))
        clip = tables.setdefault(form.text(row, _CLIP) or "", {})
        form.take(clip, row, number)
    if not tables:
        raise DataError(path.name, "line 2", "a frame", "the end of the file")
    return [(name if len(tables) > 1 else "", form.clip(found)) for name, found in tables.items()]


def _header(path):
    _, row = next(_rows(path), (0, []))
    return [name.strip().lower() for name in row]


def _rows(path):
    with open(path, encoding=encoding_of(path), newline="") as file:
        number, delimiter = 0, None
        try:
            while line := file.readline(_MAX_LINE + 1):
                number += 1
                if len(line) > _MAX_LINE:
                    raise DataError(path.name, f"line {number}", f"at most {_MAX_LINE} characters", "more")
                if not line.strip():
                    continue
                delimiter = delimiter or max(",;\t", key=line.count)
                yield number, next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except (UnicodeError, csv.Error) as error:
            raise DataError(path.name, f"line {number}", "text in columns", error) from None


class _Form:
    """What the columns are. Attributes: kind, "wide", "long" or None; joints, V; width; world."""

    def __init__(self, names, source, channels):
        self.names, self.source, self.width, self.kind, self.layout = names, source, len(names), None, None
        self.columns, self.joints, self.channels = {}, 0, channels
        if len(names) > _MAX_COLUMNS or len(set(names)) < len(names):
            return
        joint = next((name for name in _JOINT if name in names), None)
        flat = {("world" in name, name.replace("world_", "").replace("_world", "")): i for i, name in enumerate(names)}
        if joint and {"x", "y"} <= {name for _, name in flat} and any(name in names for name in _FRAME):
            self.world = self._world({kind for kind, name in flat if name == "x"})
            self.values = {_AXES[n]: i for (kind, n), i in flat.items() if n in _AXES and kind in (self.world, None)}
            score = next((i for (_, n), i in flat.items() if _AXES.get(n) == 3), None)
            self.values |= {} if score is None else {3: score}
            self.kind, self.joint = "long", names.index(joint)
            return
        found = {}
        for (world, name), index in flat.items():
            match = _WIDE.fullmatch(name)
            axis = match and (match["axis"] or match["axis2"])
            if match and axis in _AXES:
                found[world, match["joint"] or match["number"], _AXES[axis]] = index
        worlds = {world for world, _, axis in found if axis == 0}
        if not worlds:
            return
        self.world = self._world(worlds)
        chosen = {(name, axis): i for (world, name, axis), i in found.items() if world == self.world}
        joints = list(dict.fromkeys(name for name, axis in chosen if axis == 0))
        visible = {name: i for (_, name, axis), i in found.items() if axis == 3}
        order = self._order(joints)
        if order is None or any((name, 1) not in chosen for name in joints):
            return
        self.kind, self.joints = "wide", len(order)
        self.places = [[chosen.get((n, axis), -1) for axis in range(3)] + [visible.get(n, -1)] for n in order]

    def _world(self, kinds):
        """Whether the world's columns are read, of those there are (True: world, False: image)."""
        return True in kinds and (False not in kinds or self.channels == ("x", "y", "z"))

    def _order(self, names):
        """The names of the joints in the order of a layout; None where they are of none."""
        numbers = [plain_label(re.sub(r"^(landmark|joint|keypoint|kp|lm|point)[ _]?", "", name)) for name in names]
        if all(isinstance(number, int) for number in numbers):
            first = min(numbers)
            known = {get_layout(name).num_joints for name in layout_names()}
            if first not in (0, 1) or sorted(numbers) != list(range(first, first + len(numbers))):
                return None
            return [n for _, n in sorted(zip(numbers, names, strict=True))] if len(numbers) in known else None
        own = {loose_name(name): name for name in names}
        for layout in map(get_layout, layout_names()):
            wanted = [loose_name(joint) for joint in layout.joints]
            if set(wanted) == set(own):
                self.layout = layout.name
                return [own[joint] for joint in wanted]
        return None

    def text(self, row, names):
        """The field of the first of these columns that there is; None without one."""
        return next((row[self.names.index(name)].strip() for name in names if name in self.names), None)

    def take(self, clip, row, number):
        """Add a line to {frame: {person: points}} of its clip."""
        frame = self.text(row, _FRAME)
        key = self._number(frame, number, "frame") if frame is not None else len(clip)
        person = self.text(row, _PERSON[: 3 if self.kind == "long" else 4]) or ""
        people = clip.setdefault(key, {})
        if self.kind == "wide":
            people[person] = [[self._number(row[i], number, i) if i >= 0 else np.nan for i in p] for p in self.places]
            return
        joints, values = people.setdefault(person, {}), [np.nan] * 4
        for axis, index in self.values.items():
            values[axis] = self._number(row[index], number, index)
        name = row[self.joint].strip()
        if name in joints:
            raise DataError(self.source, f"line {number}", "each landmark once in a frame", ascii(name)[:60])
        joints[name] = values

    def _number(self, text, number, column):
        try:
            return float(text)
        except ValueError:
            if text.strip().lower() in _ABSENT:
                return np.nan
        name = column if isinstance(column, str) else self.names[column]
        raise DataError(self.source, f"line {number}: {name}", "a number", ascii(text)[:60])

    def clip(self, frames):
        """The Clip of a table's frames."""
        people = People(self.source, self.channels)
        if self.kind == "long":
            order = self._order(list(dict.fromkeys(n for found in frames.values() for p in found.values() for n in p)))
            if order is None:
                expected = "landmarks of a built-in layout, by name or number"
                raise DataError(self.source, "landmark", expected, f"{len(frames)} frames of others")
        numbers = sorted(frames)
        if not np.isfinite(numbers).all():
            raise DataError(self.source, "frame", "a number", "none")
        people.numbers = numbers
        for frame in numbers:
            people.frame(frame)
            for person, points in frames[frame].items():
                if self.kind == "long":
                    points = [points.get(name, [np.nan] * 4) for name in order]
                if any(point[0] == point[0] for point in points):
                    people.add(points, person=person, where=f"frame {frame:g}")
        clip = people.clip(("x", "y", "z", "score"), layout=self.layout)
        unscored = not len(clip.points) or np.isnan(clip.points[..., 3]).all()
        gone = np.isnan(clip.points[..., 0]) | np.isnan(clip.points[..., 1])
        clip.points[gone] = 0
        clip.points[..., 3] = 0 if unscored else np.nan_to_num(clip.points[..., 3])
        return as_landmarks(clip, self.world)
