"""Tables of one clip or more with a line a frame; or, as people write MediaPipe's landmarks, a line a landmark.

Wide: columns `nose_x`, `nose_y`, `nose_z`, `nose_visibility`; `LeftShoulder_X`, `leftShoulderX`, `Left Shoulder X`;
`x0`, `y0`, `v0` or `x1` ... `x33`; `0_x`. Long: `frame`, `landmark` (name or number), `x`, `y`, `z`, `visibility`.
World landmarks are columns with `world` in their names. Others that are read: a time, what `table_text.SYNONYMS`
calls frame, person and sample (the clip, where a table has several), and label, subject, camera, setup and split where
all lines of a clip say the same; all others are told. Of one clip, person and frame there is one line. Joints are taken
by their names; x, y, z are places in space but for MediaPipe's landmarks of the image.
"""

import csv
import re

import numpy as np

from ..errors import DataError
from ..layouts import get_layout, layout_names
from ..store.facts import is_fact
from .clip import People
from .csv_table import fits_header
from .labels import plain_label
from .mediapipe import LANDMARKS, LAYOUTS, from_table
from .rates import time_key
from .table_text import (
    COMMAS,
    FACTS,
    column_of,
    delimiter_of,
    encoding_of,
    fact_in,
    label_in,
    loose_name,
    number_in,
    numbered_lines,
    splits_in,
    unread,
)

NAME = "table of landmarks"
MAX_BYTES, _MAX_COLUMNS = 256 << 20, 1 << 12
_SCORES = ("v", "visibility", "vis", "score", "conf", "confidence", "c", "likelihood")
_AXES = {"x": 0, "y": 1, "z": 2} | dict.fromkeys(_SCORES, 3)
_JOINT = ("landmark", "joint", "landmark_name", "name", "keypoint", "landmark_id", "landmark_index", "index")
_WIDE = re.compile(
    r"(?P<joint>.+?)([ _.:\-]+\(?(?P<axis>[a-z]+)\)?|(?-i:(?<=[a-z0-9])(?P<camel>[XYZ])))"
    r"|(?P<axis2>[a-z]+)[ _.]?(?P<number>\d{1,3})",
    re.IGNORECASE,
)
_WORLD = re.compile("world_|_world", re.IGNORECASE)
_ONCE = "each person once in a frame (name the column that tells people apart person, clips sample, frames frame)"
EXPECTED = "columns left_hip_x, left_hip_y, ... (a line a frame), or sample, frame, joint, x, y (a line a joint)"


def fits(path):
    """Whether a table is in one of these forms, and not in that of `convert_csv`."""
    try:
        names = _header(path)
    except DataError:
        return False
    return not fits_header(names) and _Form(names, path.name, None).kind is not None


def says_label(path):
    """Whether a table has a column for the class of its clips."""
    return "label" in [name.lower() for name in _header(path)]


def clips(path, channels=None, layout=None):
    """[(name of the clip, or "" where there is one only, Clip)] of a table; layout: SkeletonLayout asked for."""
    if path.stat().st_size > MAX_BYTES:
        raise DataError(path.name, "", f"at most {MAX_BYTES >> 20} MiB (one table a clip)", "more")
    form, tables, facts = None, {}, {}
    for number, row, delimiter in _rows(path):
        if form is None:
            form = _Form([name.strip() for name in row], path.name, channels, layout, delimiter)
            if form.kind is None:
                raise DataError(path.name, f"line {number}", EXPECTED, ascii(", ".join(row))[1:-1][:160])
            continue
        if len(row) != form.width:
            raise DataError(path.name, f"line {number}", f"{form.width} columns", len(row))
        name = form.text(row, "sample") or ""
        form.take(tables.setdefault(name, {}), row, number)
        for key, column in form.facts.items():
            facts.setdefault(name, {}).setdefault(key, set()).add(row[column].strip())
    if not tables:
        raise DataError(path.name, "line 2", "a frame", "the end of the file")
    return [(name if len(tables) > 1 else "", form.clip(found, facts.get(name, {}))) for name, found in tables.items()]


def _header(path):
    _, row, _ = next(_rows(path), (0, [], ""))
    return [name.strip() for name in row]


def _rows(path):
    """Yield (line number, fields, what separates them)."""
    with open(path, encoding=encoding_of(path), newline="") as file:
        number, delimiter = 0, None
        try:
            for number, line in numbered_lines(file, path.name):
                if not line.strip():
                    continue
                delimiter = delimiter or delimiter_of(line)
                yield number, next(csv.reader([line], delimiter=delimiter, strict=True), []), delimiter
        except (UnicodeError, csv.Error) as error:
            raise DataError(path.name, f"line {number}", "text in columns", error) from None


class _Form:
    """What the columns are. Attributes: kind, "wide", "long" or None; width; world; deep, whether there is a z; at,
    {sample, frame, person: its column or None}; facts, {one of FACTS: its column}; unread, [a note] or [] on the
    columns that are not read."""

    def __init__(self, names, source, channels, layout=None, delimiter=","):
        self.names, self.source, self.width, self.kind = [name.lower() for name in names], source, len(names), None
        self.channels, self.given, self.layout, self.untimed = channels, layout, None, ""
        self.delimiter, self.commas = delimiter, False
        if len(names) > _MAX_COLUMNS or len(set(self.names)) < len(names):
            return
        self.timed = next(((i, key) for i, name in enumerate(names) if (key := time_key(name))), None)
        self.at = {name: column_of(name, self.names) for name in ("sample", "frame", "person")}
        flat = {(bool(_WORLD.search(name)), _WORLD.sub("", name)): i for i, name in enumerate(names)}
        columns = self._long(flat) or self._wide(flat)
        if self.kind is not None:
            self.facts = {key: i for i, key in enumerate(self.names) if key in FACTS and i not in columns}
            columns |= {*self.at.values(), *self.facts.values(), self.timed and self.timed[0]}
            self.unread = unread(name for i, name in enumerate(self.names) if i not in columns)

    def _long(self, flat):
        """The columns of a table with a line a landmark; none where it is no such. flat: {(world, name): column}."""
        joint = next((self.names.index(name) for name in _JOINT if name in self.names), None)
        low = {(kind, name.lower()): i for (kind, name), i in flat.items()}
        when = self.timed or self.at["frame"] is not None
        if joint is None or not when or not {"x", "y"} <= {name for _, name in low}:
            return set()
        self.world = self._world({kind for kind, name in low if name == "x"})
        self.values = {_AXES[n]: i for (kind, n), i in low.items() if n in _AXES and kind == self.world}
        score = next((i for (_, n), i in low.items() if _AXES.get(n) == 3), None)
        self.values |= {} if score is None else {3: score}
        self.kind, self.joint, self.deep = "long", joint, 2 in self.values
        return {joint, *self.values.values()}

    def _wide(self, flat):
        """As `_long`, of a table with a line a frame."""
        found = {}
        for (world, name), index in flat.items():
            match = _WIDE.fullmatch(name)
            axis = match and (match["axis"] or match["camel"] or match["axis2"]).lower()
            if match and axis in _AXES:
                found.setdefault((world, match["joint"] or match["number"], _AXES[axis]), index)
        self.world = self._world({world for world, _, axis in found if axis == 0})
        chosen = {(name, axis): i for (world, name, axis), i in found.items() if world == self.world}
        joints = list(dict.fromkeys(name for name, axis in chosen if axis == 0 and (name, 1) in chosen))
        if not joints:
            return set()
        visible = {name: i for (_, name, axis), i in found.items() if axis == 3}
        deep = [name for name in joints if (name, 2) in chosen]
        self.kind, self.deep = "wide", bool(deep)
        self.flat = next((name for name in joints if name not in deep), None) if deep else None
        self.joints = self._order(joints)
        self.places = [[chosen.get((n, axis), -1) for axis in range(3)] + [visible.get(n, -1)] for n in self.joints]
        if self.at["person"] is None and "id" in self.names:
            self.at["person"] = self.names.index("id")
        return {place for places in self.places for place in places}

    def _world(self, kinds):
        """Whether the world's columns are read, of those there are (True: world, False: image)."""
        return True in kinds and (False not in kinds or self.channels == ("x", "y", "z"))

    def _order(self, names):
        """The names of the joints in the order of the layout that has all of them, else as they are or by number."""
        numbers = [plain_label(re.sub(r"^(landmark|joint|keypoint|kp|lm|point)[ _]?", "", n.lower())) for n in names]
        self.numbered = all(isinstance(number, int) for number in numbers)
        if self.numbered:
            first = min(numbers)
            if first not in (0, 1) or sorted(numbers) != list(range(first, first + len(numbers))):
                expected = "joints with names, or numbers from 0 or 1 without a gap"
                raise DataError(self.source, "joints", expected, ", ".join(map(str, sorted(numbers)))[:80])
            return [n for _, n in sorted(zip(numbers, names, strict=True))]
        own = {loose_name(name): name for name in names}
        for layout in map(get_layout, layout_names() if self.given is None else ()):
            wanted = [loose_name(joint) for joint in layout.joints]
            if set(wanted) == set(own) and len(own) == len(names):
                self.layout = layout.name
                return [own[joint] for joint in wanted]
        return names

    def text(self, row, name):
        """The field of the column of this meaning; None without one."""
        return None if self.at[name] is None else row[self.at[name]].strip()

    def take(self, clip, row, number):
        """Add a line to {frame: (its time or None, {person: points})} of its clip; without frame and time a line is a
        frame, and its key a text."""
        time = self._time(row)
        key, person = self._key(row, number, time), self.text(row, "person") or ""
        _, people = clip.setdefault(key, (time, {}))
        if self.kind == "wide":
            if person in people:
                self._fail_twice(row, number)
            people[person] = [[self._number(row, i, number) if i >= 0 else np.nan for i in p] for p in self.places]
            return
        joints, values = people.setdefault(person, {}), [np.nan] * 4
        for axis, index in self.values.items():
            values[axis] = self._number(row, index, number)
        name = row[self.joint].strip()
        if name in joints:
            raise DataError(self.source, f"line {number}", "each landmark once in a frame", ascii(name)[:60])
        joints[name] = values

    def _key(self, row, number, time):
        """What tells the frame of a line from others: its number, else its time, else its line."""
        column = self.at["frame"]
        if column is None and (time is not None or self.kind == "wide"):
            return f"line {number}" if time is None else time
        frame = np.nan if column is None else self._number(row, column, number)
        if not np.isfinite(frame):
            found = ascii(row[column])[:60] if column is not None else self.untimed
            raise DataError(self.source, f"line {number}: frame", "a number", found)
        return frame

    def _fail_twice(self, row, number):
        when = self.timed[0] if self.at["frame"] is None else self.at["frame"]
        columns = [i for i in (when, self.at["person"], self.at["sample"]) if i is not None]
        found = ", ".join(f"{self.names[i]} {ascii(row[i].strip())[:60]}" for i in columns)
        raise DataError(self.source, f"line {number}", _ONCE, "; ".join([f"a second line of {found}", *self.unread]))

    def _time(self, row):
        """The time of a line; None without one. What is no number takes the times of the whole table away."""
        if self.timed is None:
            return None
        text = row[self.timed[0]]
        time, comma = number_in(text, self.delimiter)
        self.commas |= comma
        if time is not None and np.isfinite(time):
            return time
        self.untimed, self.timed = f"{self.names[self.timed[0]]} has {ascii(text)[:40]}", None
        return None

    def _number(self, row, column, number):
        value, comma = number_in(row[column], self.delimiter)
        if value is None:
            raise DataError(self.source, f"line {number}: {self.names[column]}", "a number", ascii(row[column])[:60])
        self.commas |= comma
        return value

    def clip(self, frames, facts):
        """The Clip of a table's frames. facts: {one of FACTS: the texts of its column in the clip's lines}."""
        people = People(self.source, self.channels)
        if self.kind == "wide" and self.flat:
            raise DataError(self.source, "joints", "a z of all joints or of none", f"none of {self.flat}")
        if self.kind == "long":
            found = (n for _, persons in frames.values() for p in persons.values() for n in p)
            self.joints = self._order(list(dict.fromkeys(found)))
        known = self._people_known(frames)
        people.notes += self._notes(known)
        if self.at["frame"] is not None or self.timed:
            frames = dict(sorted(frames.items()))
        if self.at["frame"] is not None:
            people.numbers = list(frames)
        for place, (frame, (time, persons)) in enumerate(frames.items()):
            people.frame(place, None if time is None or self.timed is None else {self.timed[1]: time})
            for person, points in persons.items():
                if self.kind == "long":
                    points = [points.get(name, [np.nan] * 4) for name in self.joints]
                if any(point[0] == point[0] for point in points):
                    where = frame if isinstance(frame, str) else f"frame {frame:g}"
                    people.add(points, person=person if known else None, where=where)
        clip = people.clip(("x", "y", "z", "score"), layout=self.layout)
        unscored = not len(clip.points) or np.isnan(clip.points[..., 3]).all()
        gone = np.isnan(clip.points[..., :2]).any(-1)
        if self.deep and not np.isnan(clip.points[..., 2]).all():
            gone |= np.isnan(clip.points[..., 2])
        clip.points[gone] = 0
        clip.points[..., 3] = 0 if unscored else np.nan_to_num(clip.points[..., 3])
        if self.layout is None and not self.numbered:
            clip.names = tuple(self.joints)
        clip = from_table(clip, self.source, self.world, self.deep, self.channels, self._landmarks())
        for key, texts in facts.items():
            value = _fact(key, texts)
            if value is None:
                clip.notes.append(f"{key} is not read: it is not the same, or no {key}, in all lines of a clip")
            elif key == "label":
                clip.label = value
            elif value not in (-1, []):
                clip.facts[key] = value
        return clip

    def _notes(self, known):
        """What is read otherwise than it is written, or not at all; known: as `_people_known` tells."""
        for name, column in self.at.items():
            if column is not None and self.names[column] != name and (known or name != "person"):
                yield f"{self.names[column]} is read as {name}"
        if not known:
            yield "id is another in every line and is not read"
        yield from self.unread
        if self.commas:
            yield COMMAS
        if self.untimed:
            yield f"the times are no numbers and are not used: {self.untimed}"

    def _people_known(self, frames):
        """Whether the persons of a clip's frames are people; an id that is another in every line is that of the line.

        Raises: DataError where several people have neither frames nor times.
        """
        persons = [person for _, persons in frames.values() for person in persons]
        names = list(dict.fromkeys(persons))
        if len(names) < 2:
            return True
        column = self.names[self.at["person"]]
        if column == "id" and len(names) == len(persons):
            return False
        if self.at["frame"] is None and not self.timed:
            found = f"{len(names)} of {column}, such as {ascii(names[0])[:40]}, and neither"
            raise DataError(self.source, "frame", "a column frame, or time in numbers, where people are several", found)
        return True

    def _landmarks(self):
        """Whether the joints are MediaPipe's by their names, or by their number where that alone tells."""
        if self.layout is not None:
            return self.layout in LAYOUTS
        return self.numbered and (self.given.name in LAYOUTS if self.given else len(self.joints) in LANDMARKS)


def _fact(key, texts):
    """What all lines of a clip say by these texts of a column of FACTS; None where they do not say one thing."""
    if len(texts) > 1:
        return None
    (text,) = texts
    if key == "split":
        return splits_in(text)
    value = label_in(text) if key == "label" else fact_in(text)
    return value if key == "label" or is_fact(key, value) else None
