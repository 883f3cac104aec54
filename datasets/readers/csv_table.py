"""A table of joints, one joint of one frame per line, to a store: the way in for data of no known format.

Read twice or more and never held whole: first for names, classes, times and the split, then for the samples, as many
at a time as `_HELD` allows.
"""

import csv
import itertools
import math
from array import array
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..layouts import get_layout, layout_names
from ..store import Sample, StoreWriter
from ..store.facts import EXPECTED, is_fact
from ..transforms.presence import MIN_SCORE, seen_only
from . import mediapipe
from .clip import Clip
from .clock import Clock
from .journal import Journal
from .labels import ClassTable, plain_label
from .named_joints import MOST
from .notes import grouped
from .people import MAX_VALUES, Track, join_tracks
from .rates import evened, time_key
from .report import Conversion, usual_layout
from .table_text import (
    COMMAS,
    DELIMITERS,
    FACTS,
    MAX_NAME,
    SYNONYMS,
    column_of,
    encoding_of,
    fact_in,
    label_in,
    loose_name,
    number_in,
    numbered_lines,
    plain_name,
    splits_in,
    unread,
)

NAME = "table of joints"
REQUIRED = ("sample", "frame", "joint", "x", "y")
OPTIONAL = ("z", "score", "person", "label", "subject", "camera", "setup", "split")
_MAX_NAMES = 1 << 17
_LOOKED_AT = 1 << 12  # lines that tell what x and y are
_HELD = 1 << 19  # joints in memory at a time, unless one sample has more


def convert_csv(
    path,
    output,
    layout=None,
    classes=None,
    progress=None,
    strict=False,
    people=None,
    columns=None,
    step=None,
    up=None,
    unit=None,
    force=False,
):
    """Convert a table of joints into a store.

    Columns: sample, frame, joint, x, y; optional z, score, person, label, subject, camera, setup, split. Their order
    does not matter, nor that of the lines; others are not read. Fields are separated by commas, semicolons or tabs.
    Frames are whole numbers and keep their distance, or times in even steps; a joint that has no line or no x and y is
    absent. Joints are given by name (whether in capitals, with spaces or underscores) or by index, labels by name or
    number; both may count from 1. A score beside z tells only what was seen.

    Args:
        path: the table, UTF-8, UTF-16 or else Latin-1. output: the store to write.
        layout: SkeletonLayout, name or TOML file; by default the built-in one whose joints are named so, or the usual
            one for so many joints.
        classes: class names in label order; by default those found, sorted (numbers by value).
        progress: called with (done, total) bytes. strict: raise on the first bad sample instead of leaving it out.
        people: the most persons kept, as `people.join_tracks`.
        columns: dict column -> how the header of the table calls it, for those with another name.
        step: how much `frame` grows from one frame to the next; by default found in the table.
        up, unit: as `Conversion`. force: replace an output that is no store.

    Returns: as `Conversion.conclude`.
    Raises: DataError naming file, line and column; OSError where the file cannot be read.
    """
    if step is not None and not step > 0:
        raise DataError("step", "", "more than 0", step)
    path = Path(path)
    table = _Table(path, columns or {})
    survey = _Survey(table)
    form = _Form(table, survey, layout, classes, step)
    provenance = {"reader": "csv", "source": path.name, "step": form.clock.step}
    options = {"layout": form.layout, "classes": form.classes.names, "channels": form.channels}
    options["fps"] = form.clock.fps
    writer, splits = StoreWriter(output, provenance=provenance, **options), {}
    with Journal(output, force=force), writer:
        conversion = Conversion(writer, path.name, strict, arranged=True, notes=form.notes, up=up, unit=unit)
        for gathered in _gathered(table, survey.lines, form, progress):
            if conversion.add(gathered.name, lambda g=gathered: g.sample(conversion.counts, people)):
                for split in gathered.splits():
                    splits.setdefault(split, []).append(gathered.name)
        form.notes += grouped(form.resampled)
        return conversion.conclude(splits)


def fits_header(names):
    """Whether these are the columns of such a table."""
    return set(REQUIRED) <= set(_called([name.strip().lower() for name in names]))


def fits(path):
    """Whether a file is such a table, by its header. Raises OSError where it cannot be read."""
    table = _Table(path, {})
    try:
        next(table.lines(), None)
    except DataError:
        return bool(table.columns)
    return True


def clips(path, channels=None, layout=None):
    """[(name of the sample, or "" where there is one only, its Clip or the DataError)] of a table, read as
    `convert_csv` does; layout: SkeletonLayout asked for."""
    table = _Table(path, {})
    survey = _Survey(table)
    form = _Form(table, survey, layout, None, None)
    found = []
    for gathered in _gathered(table, survey.lines, form, None):
        try:
            found.append((gathered.name, _clip_of(gathered, form)))
        except DataError as error:
            found.append((gathered.name, error))
    if channels not in (None, form.channels, tuple(name for name in form.channels if name != "score")):
        raise DataError(path.name, "channels", ",".join(channels), ",".join(form.channels))
    return found if len(found) > 1 else [("", clip) for _, clip in found]


def _clip_of(gathered, form):
    """The sample of a _Gathered as a Clip."""
    counts = Counter()
    sample = gathered.sample(counts, None)
    frames, people = np.nonzero(sample.keypoints.any(axis=(2, 3)).T)
    points, length = sample.keypoints[people, frames], sample.keypoints.shape[1]
    clip = Clip(points, form.channels, frames, people, length, layout=form.layout, fps=form.clock.fps)
    clip.label = form.classes.names[sample.label] if sample.label >= 0 else -1
    clip.notes, clip.arranged, clip.counts = [*form.notes, *form.resampled], True, counts
    form.resampled.clear()
    facts = {key: getattr(sample, key) for key in EXPECTED} | {"split": gathered.splits()}
    clip.facts = {key: value for key, value in facts.items() if value not in (-1, [])}
    return clip


def _called(names):
    """Names of columns, in small letters, as REQUIRED calls them; each is taken for one."""
    names = list(names)
    for name in SYNONYMS:
        place = column_of(name, names)
        if place is not None:
            names[place] = name
    if "frame" not in names:
        names = ["frame" if place == _first_time(names) else name for place, name in enumerate(names)]
    return names


def _first_time(names):
    return next((place for place, name in enumerate(names) if time_key(name)), None)


class _Table:
    """The header of a table, and its lines one after the other. Attributes: columns, notes."""

    def __init__(self, path, renamed):
        self.path, self.columns, self.notes, self.decimal_comma = path, {}, [], False
        unknown = [name for name in renamed if name not in REQUIRED + OPTIONAL]
        if unknown:
            raise DataError("columns", "", f"some of {', '.join(REQUIRED + OPTIONAL)}", repr(unknown[0]))
        self.renamed = {name: header.strip().lower() for name, header in renamed.items()}
        self.encoding = encoding_of(path)
        if self.encoding == "latin-1":
            self.notes.append("the text is not UTF-8: read as Latin-1")

    def lines(self, tell=None):
        """Yield (line number, {column: text}); `tell`, if given, is called with (bytes read, bytes in all)."""
        size = self.path.stat().st_size
        with open(self.path, encoding=self.encoding, newline="") as file:
            lines = ((number, line) for number, line in self._read(file) if line.strip())
            header = next(lines, None)
            if header is None:
                raise DataError(self.path.name, "line 1", f"a header with {', '.join(REQUIRED)}", "an empty file")
            if not self.columns:
                self._header(*header)
            for number, line in lines:
                row = self._split(line, self.delimiter, number)
                if len(row) != self.width:
                    raise DataError(self.path.name, f"line {number}", f"{self.width} columns", len(row))
                if tell and number % 1000 == 0:
                    tell(min(file.buffer.tell(), size), size)
                yield number, {name: row[index].strip() for name, index in self.columns.items()}
            if tell:
                tell(size, size)

    def value(self, text, number, column):
        """A text as a float, NaN where there is none. Raises DataError for what is no number."""
        value, comma = number_in(text, self.delimiter)
        if value is None:
            expected = "a number (empty: not observed)" if column != "frame" else "a whole number or a time"
            raise DataError(self.path.name, f"line {number}: {column}", expected, ascii(text)[:60])
        if comma and not self.decimal_comma:
            self.decimal_comma = True
            self.notes.append(COMMAS)
        return value

    def _read(self, file):
        number = 0
        try:
            for number, line in numbered_lines(file, self.path.name):
                yield number, line.rstrip("\r\n")
        except UnicodeError as error:
            found = getattr(error, "reason", "") or str(error)
            raise DataError(self.path.name, f"line {number + 1}", f"{self.encoding} text", found) from None

    def _split(self, line, delimiter, number):
        try:
            return next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise DataError(self.path.name, f"line {number}", "separated fields", error) from None

    def _header(self, number, line):
        back = {header: name for name, header in self.renamed.items()}
        rows = []
        for delimiter in DELIMITERS:
            names = [name.strip().lower() for name in self._split(line, delimiter, number)]
            gone = [header for header in back if header not in names]
            names = [back.get(name, f"({name})" if name in self.renamed else name) for name in names]
            rows.append((delimiter, names, gone))
        self.delimiter, found, gone = max(rows, key=lambda row: len(set(_called(row[1])) & set(REQUIRED)))
        names = _called(found)
        self.notes += [f"{own} is read as {name}" for own, name in zip(found, names, strict=True) if own != name]
        missing = [name for name in REQUIRED if name not in names]
        if missing or gone:
            told = f"columns {', '.join(missing)} (or --columns {missing[0]}=ITS_NAME; " if missing else ""
            told += "docs/own-data.md has other forms)" if missing else f"a column called {gone[0]!r}"
            raise DataError(self.path.name, f"line {number}", told, ascii(", ".join(names))[1:-1][:160])
        known = [name for name in names if name in REQUIRED + OPTIONAL]
        twice = [name for name, times in Counter(known).items() if times > 1]
        if twice:
            raise DataError(self.path.name, f"line {number}", "each column once", f"{twice[0]!r} twice")
        self.notes += unread(name for name in names if name not in known)
        self.columns, self.width = {name: names.index(name) for name in known}, len(names)


class _Survey:
    """What the first reading of a table finds.

    Attributes: lines, dict sample -> how many; times, dict sample -> array; joints and labels, sets of texts; scored,
    whether a score is above MIN_SCORE.
    """

    def __init__(self, table):
        self.lines, self.times, self.joints, self.labels, self.scored = Counter(), {}, set(), set(), False
        before = None
        for number, fields in table.lines():
            name = fields["sample"]
            self.lines[name] += 1
            try:
                if before != (name, fields["frame"]):
                    before = name, fields["frame"]
                    time, times = table.value(before[1], number, "frame"), self.times.setdefault(name, array("d"))
                    if math.isfinite(time):
                        times.append(time)
                if "score" in fields and not self.scored:
                    self.scored = table.value(fields["score"], number, "score") > MIN_SCORE
            except DataError:
                pass  # told of its sample, later
            for store, key in ((self.joints, "joint"), (self.labels, "label")):
                value = fields.get(key)
                if value and value not in store:
                    if len(store) >= _MAX_NAMES or len(value) > MAX_NAME:
                        found = f"more than {_MAX_NAMES}" if len(store) >= _MAX_NAMES else f"{value[:40]!r}..."
                        raise DataError(table.path.name, f"line {number}: {key}", "a name out of a few", found)
                    store.add(value)
        if not self.lines:
            raise DataError(table.path.name, "line 2", "a joint", "the end of the file")


class _Form:
    """How the texts of a table are to be read. Attributes: layout, classes, clock, channels, notes;
    resampled, a note for each sample that is."""

    def __init__(self, table, survey, layout, classes, step):
        self.table, self.source, self.notes, self.resampled = table, table.path.name, table.notes, []
        self._first, self._joints, self.facts = 0, {}, [name for name in FACTS if name in table.columns]
        self.layout = self._layout(survey.joints, layout)
        self._names = {loose_name(name): index for index, name in enumerate(self.layout.joints)}
        self._names |= {plain_name(name): index for index, name in enumerate(self.layout.joints)}
        self.classes = ClassTable(map(label_in, survey.labels), classes)
        self.clock = Clock(survey.times.values(), self.source, step)
        self.read = [name for name in ("x", "y", "z", "score") if name in table.columns]
        if "z" in self.read and self.layout.name in mediapipe.LAYOUTS and self._inside():
            self.read.remove("z")
            self.notes.append(mediapipe.NO_DEPTH)
        if "score" in self.read and not survey.scored:
            self.read.remove("score")
            self.notes.append(f"no score is above {MIN_SCORE}: they say nothing and are left out")
        self.channels = tuple(self.read)
        self.notes += self.classes.notes + [self.clock.note] * bool(self.clock.note)

    def _inside(self):
        """Whether x and y of the first lines are those of MediaPipe's landmarks of the image."""
        flat = []
        for number, fields in itertools.islice(self.table.lines(), _LOOKED_AT):
            try:
                flat.append([self.table.value(fields[axis], number, axis) for axis in "xy"])
            except DataError:
                continue  # told of its sample, later
        flat = np.array(flat, "float64").reshape(-1, 2)
        flat = flat[np.isfinite(flat).all(-1) & flat.any(-1)]
        return bool(len(flat)) and mediapipe.are_inside(flat)

    def joint(self, text, number):
        """Index of a joint given by name or index."""
        if text not in self._joints:
            index = self._names.get(plain_name(text), self._names.get(loose_name(text)))
            if index is None and isinstance(whole := plain_label(text), int):
                index = whole - self._first
            if index is None or not 0 <= index < self.layout.num_joints:
                expected = f"a joint of {self.layout.name} or an index below {self.layout.num_joints}"
                raise DataError(self.source, f"line {number}: joint", expected, ascii(text)[:60])
            self._joints[text] = index
        return self._joints[text]

    def point(self, fields, number):
        """The values of a joint, NaN where there is none."""
        return [self.table.value(fields[name], number, name) for name in self.read]

    def _layout(self, joints, layout):
        """The skeleton asked for, or the one that the joints' names or number tell."""
        given = None if layout is None else get_layout(layout)
        if not joints:
            raise DataError(self.source, "joint", "names or numbers", "none")
        numbers = {name: plain_label(name) for name in joints}
        if all(isinstance(number, int) and number >= 0 for number in numbers.values()):
            return self._numbered(set(numbers.values()), given)
        if given is not None:
            return given
        named = {name for name, number in numbers.items() if not isinstance(number, int)}
        for plain in (plain_name, loose_name):
            for name in layout_names():
                known = {plain(joint) for joint in get_layout(name).joints}
                if {plain(joint) for joint in named} <= known and len(named) > MOST * len(known):
                    return get_layout(name)
        found = ", ".join(sorted(named)[:4])
        raise DataError(self.source, "joint", "names of a built-in layout, or --layout FILE.toml", f"{found}, ...")

    def _numbered(self, numbers, given):
        """As `_layout`, of joints that are numbers: from 0, or from 1 where none is 0 and the highest is V."""
        high, from_one = max(numbers), 0 not in numbers
        known = {given.num_joints} if given else {get_layout(name).num_joints for name in layout_names()}
        firsts = [first for first in (0, 1)[: 1 + from_one] if high + 1 - first in known]
        if len(numbers) == high and from_one:  # 1 to V without a gap
            firsts = firsts[-1:]
        if len(firsts) > 1:
            expected = f"--layout, of {high + 1} joints from 0 or of {high} from 1"
            raise DataError(self.source, "joint", expected, f"numbers up to {high} and no joint 0")
        self._first = firsts[0] if firsts else 0
        skeleton = given or usual_layout(high + 1 - self._first, self.notes)
        if self._first:
            self.notes.append(f"joints count from 1: 1 is {skeleton.joints[0]}, {high} is {skeleton.joints[-1]}")
        elif from_one:
            self.notes.append(f"no line has joint 0, {skeleton.joints[0]}: it was never seen")
        return skeleton


def _gathered(table, lines, form, tell):
    """Yield _Gathered of every sample, in the order of their first lines, wherever the others stand.

    What goes beyond `_HELD` is put off to a further reading of the table.
    """
    waiting = dict.fromkeys(lines)
    while waiting:
        held, samples, full, before = 0, {}, False, len(waiting)
        for number, fields in table.lines(tell):
            name = fields["sample"]
            if name not in waiting or (full and name not in samples):
                continue
            gathered = samples.setdefault(name, _Gathered(name, form))
            gathered.add(number, fields)
            held += 1
            while held > _HELD and len(samples) > 1:
                held, full = held - samples.popitem()[1].lines, True
            while samples and (first := next(iter(samples.values()))).lines == lines[first.name]:
                held -= samples.pop(first.name).lines
                del waiting[first.name]
                yield first
        if len(waiting) == before:
            raise DataError(table.path.name, "", "the same lines in every reading", "a file that changes")


class _Gathered:
    """The lines of one sample as they come. Attributes: name, lines (how many so far)."""

    def __init__(self, name, form):
        self.name, self.form, self.lines = name, form, 0
        self._values, self._persons, self._fields, self._number, self._error = {}, {}, None, 0, None

    def add(self, number, fields):
        """Take a line; a fault is kept until `sample`."""
        self.lines += 1
        if self._error is None:
            try:
                self._add(number, fields)
            except DataError as error:
                self._error, self._values = error, {}

    def _add(self, number, fields):
        source, where, values = self.form.source, f"line {number}: ", self._values
        if not self.name:
            raise DataError(source, where + "sample", "a name", "none")
        if self._fields is None:
            self._fields, self._number = fields, number
        joint = self.form.joint(fields["joint"], number)
        time = self.form.table.value(fields["frame"], number, "frame")
        if not math.isfinite(time) or (self.form.clock.whole and not time.is_integer()):
            raise DataError(source, where + "frame", "a whole number", ascii(fields["frame"])[:60])
        person = self._persons.setdefault(fields.get("person", ""), len(self._persons))
        for key in self.form.facts:
            if fields[key] != self._fields[key]:
                expected = f"the same in all lines of {self.name!r}"
                raise DataError(source, where + key, expected, ascii(fields[key])[:60])
        key = (time, person, joint)
        if key in values:
            found = ascii(fields["joint"])[:60]
            raise DataError(source, where + "joint", "each joint once per frame and person", found)
        if len(values) * len(self.form.read) >= MAX_VALUES:
            raise DataError(source, where + "sample", f"at most {MAX_VALUES} values", "more")
        values[key] = self.form.point(fields, number)

    def sample(self, counts, people):
        """The Sample of the lines; what was done on the way is added to counts."""
        if self._error is not None:
            raise self._error
        form, where = self.form, f"line {self._number}: "
        index = np.array(list(self._values), "float64")  # (N, 3) time, person, joint
        frames = form.clock.frames(index[:, 0])
        length, size = int(frames.max()) + 1, form.layout.num_joints * len(form.channels)
        if length * size > MAX_VALUES:
            times = f"{index[:, 0].min():.10g} to {index[:, 0].max():.10g}"
            raise DataError(form.source, where + "frame", f"frames within {MAX_VALUES} values", times)
        given = np.array(list(self._values.values()), "float64")
        points = seen_only(given, form.read)
        counts["unseen"] += int((np.nan_to_num(given).any(-1) & ~points.any(-1)).sum())
        keypoints, joined, _ = self._people(frames, index[:, 1:].astype("int64"), points, length, people)
        counts["joined"] += joined
        seconds = form.clock.seconds(index[:, 0])
        if seconds is not None:
            keypoints, note = evened(keypoints, seconds, form.clock.fps, form.channels)
            form.resampled.append(note)
        numbers = {key: self._whole(key, where) for key in EXPECTED}
        return Sample(self.name, keypoints, self._label(where), **numbers)

    def _people(self, frames, index, points, length, people):
        """As `join_tracks`, of N points in these frames (N,), of these persons and joints (N, 2)."""
        form, tracks = self.form, []
        points = points[:, : len(form.channels)].astype("float32")
        seen = points.any(-1)
        for person in np.unique(index[seen, 0]):
            mine = seen & (index[:, 0] == person)
            present, row = np.unique(frames[mine], return_inverse=True)
            joints = np.zeros((len(present), form.layout.num_joints, points.shape[1]), "float32")
            joints[row, index[mine, 1]] = points[mine]
            tracks.append(Track(present, joints))
        if not tracks:
            return np.zeros((1, length, form.layout.num_joints, points.shape[1]), "float32"), 0, 0
        return join_tracks(tracks, length, form.channels, people)

    def splits(self):
        """Names of the splits that the sample belongs to."""
        return splits_in(self._fields.get("split", ""))

    def _label(self, where):
        text = self._fields.get("label", "")
        number = self.form.classes.number(label_in(text))
        if number is None:
            expected = f"one of {len(self.form.classes.names)} classes"
            raise DataError(self.form.source, where + "label", expected, ascii(text)[:60])
        return number

    def _whole(self, key, where):
        text = self._fields.get(key, "")
        number = fact_in(text)
        if not is_fact(key, number):
            raise DataError(self.form.source, where + key, EXPECTED[key], ascii(text)[:60])
        return number
