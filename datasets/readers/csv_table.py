"""A table of joints, one joint of one frame per line, to a store: the way in for data of no known format.

Read twice and never held whole: first for names, classes and the split, then a sample at a time.
"""

import csv
import math
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np

from ..benchmarks import unique_names
from ..errors import DataError
from ..layouts import default_layout, get_layout, layout_names
from ..store import Sample, StoreWriter
from .journal import Journal
from .report import conclude

REQUIRED = ("sample", "frame", "joint", "x", "y")
OPTIONAL = ("z", "score", "person", "label", "subject", "camera", "setup", "split")
_NUMBERS = ("subject", "camera", "setup")
_FACTS = ("label", *_NUMBERS, "split")  # the same in all lines of a sample
_DELIMITERS = (",", ";", "\t")
_MAX_LINE, _MAX_NAMES, _MAX_PEOPLE, _MAX_SAMPLE = 1 << 16, 1 << 17, 32, 1 << 26  # characters, names, people, values


def convert_csv(path, output, layout=None, classes=None, progress=None, strict=False, people=None, columns=None):
    """Convert a table of joints into a store.

    Columns: sample, frame, joint, x, y; optional z, score (with x, y only), person, label, subject, camera, setup,
    split. Their order does not matter, others are not read; fields are separated by commas, semicolons or tabs. The
    lines of a sample stand together. Frames are whole numbers and keep their distance; a joint that has no line or no
    x and y is absent. Joints are given by name (whether in capitals, with spaces or underscores) or by index, labels by
    name or number.

    Args:
        path: the table, UTF-8. output: the store to write.
        layout: SkeletonLayout, name or TOML file; by default the built-in one whose joints are named so, or the usual
            one for so many joints.
        classes: class names in label order; by default those found, sorted (numbers by value).
        progress: called with (done, total) bytes. strict: raise on the first bad sample instead of leaving it out.
        people: the most persons kept, those in most frames first; all where None.
        columns: dict column -> how the header of the table calls it, for those with another name.

    Returns: as `report.conclude`.
    Raises: DataError naming file, line and column; OSError where the file cannot be read.
    """
    path = Path(path)
    survey = _Survey(path, columns or {})
    for _ in survey.lines():
        pass
    if not survey.samples:
        raise DataError(path.name, "line 2", "a joint", "the end of the file")
    skeleton = survey.layout(layout)
    names = unique_names(classes) if classes else survey.classes()
    channels = ("x", "y", *(name for name in ("z", "score") if name in survey.columns))
    skipped, splits, seen = [], {}, set()
    provenance = {"reader": "csv", "source": path.name}
    writer = StoreWriter(output, layout=skeleton, classes=names, channels=channels, provenance=provenance)
    with Journal(output), writer:
        for name, rows in groupby(survey.lines(progress), lambda line: line[1]["sample"]):
            try:
                sample, members = _sample(name, rows, name in seen, skeleton, channels, names, path.name, people)
                writer.append(sample)
                for split in members:
                    splits.setdefault(split, []).append(name)
            except DataError as error:
                if strict:
                    raise
                skipped.append((name, str(error)))
            seen.add(name)
        return conclude(writer, path.name, skipped, splits)


class _Survey:
    """The header of a table, its lines one after the other, and the names met on the way."""

    def __init__(self, path, renamed):
        self.path, self.columns, self.samples = path, {}, 0
        unknown = [name for name in renamed if name not in REQUIRED + OPTIONAL]
        if unknown:
            raise DataError("columns", "", f"some of {', '.join(REQUIRED + OPTIONAL)}", repr(unknown[0]))
        self.renamed = {name: header.strip().lower() for name, header in renamed.items()}
        self.joints, self.labels = {}, {}

    def lines(self, tell=None):
        """Yield (line number, {column: text}); `tell`, if given, is called with (bytes read, bytes in all)."""
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            lines = ((number, line) for number, line in self._read(file) if line.strip())
            header = next(lines, None)
            if header is None:
                raise DataError(self.path.name, "line 1", f"a header with {', '.join(REQUIRED)}", "an empty file")
            self._header(*header)
            for number, line in lines:
                row = self._split(line, self.delimiter, number)
                if len(row) != self.width:
                    raise DataError(self.path.name, f"line {number}", f"{self.width} columns", len(row))
                fields = {name: row[index].strip() for name, index in self.columns.items()}
                self._note(number, fields)
                if tell and number % 1000 == 0:
                    tell(file.tell(), size)
                yield number, fields
            if tell:
                tell(size, size)

    def _read(self, file):
        number = 0
        while data := file.readline(_MAX_LINE + 1):
            number += 1
            if len(data) > _MAX_LINE:
                raise DataError(self.path.name, f"line {number}", f"at most {_MAX_LINE} characters", "more")
            try:
                yield number, data.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(self.path.name, f"line {number}", "UTF-8 text", error.reason) from None

    def _split(self, line, delimiter, number):
        try:
            return next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise DataError(self.path.name, f"line {number}", "separated fields", error) from None

    def _header(self, number, line):
        back = {header: name for name, header in self.renamed.items()}
        rows = []
        for delimiter in _DELIMITERS:
            names = [name.strip().lower() for name in self._split(line, delimiter, number)]
            gone = [header for header in back if header not in names]
            names = [back.get(name, f"({name})" if name in self.renamed else name) for name in names]
            rows.append((delimiter, names, gone))
        self.delimiter, names, gone = max(rows, key=lambda row: len(set(row[1]) & set(REQUIRED)))
        missing = [name for name in REQUIRED if name not in names]
        if missing or gone:
            told = f"columns {', '.join(missing)} (or --columns {missing[0]}=ITS_NAME)" if missing else ""
            wanted = told or f"a column called {gone[0]!r}"
            raise DataError(self.path.name, f"line {number}", wanted, ascii(", ".join(names))[1:-1][:160])
        known = [name for name in names if name in REQUIRED + OPTIONAL]
        twice = [name for name, times in Counter(known).items() if times > 1]
        if twice:
            raise DataError(self.path.name, f"line {number}", "each column once", f"{twice[0]!r} twice")
        if "score" in known and "z" in known:
            raise DataError(self.path.name, f"line {number}", "a score beside x and y only", "a score beside z")
        self.columns, self.width = {name: names.index(name) for name in known}, len(names)

    def _note(self, number, fields):
        self.samples += 1
        for store, key in ((self.joints, "joint"), (self.labels, "label")):
            value = fields.get(key)
            value = _plain(value) if key == "joint" else value
            if value and value not in store:
                if len(store) >= _MAX_NAMES or len(value) > 200:
                    found = f"more than {_MAX_NAMES}" if len(store) >= _MAX_NAMES else f"{value[:40]!r}..."
                    raise DataError(self.path.name, f"line {number}: {key}", "a name out of a few", found)
                store[value] = number

    def layout(self, layout):
        """The skeleton asked for, or the one that the joints' names or number tell."""
        if layout is not None:
            return get_layout(layout)
        if all(name.isdecimal() for name in self.joints):
            return default_layout(1 + max(map(int, self.joints)))
        named = {name for name in self.joints if not name.isdecimal()}
        for name in layout_names():
            known = {_plain(joint) for joint in get_layout(name).joints}
            if named <= known and len(named) > 0.8 * len(known):
                return get_layout(name)
        found = ", ".join(sorted(named)[:4])
        raise DataError(self.path.name, "joint", "names of a built-in layout, or --layout FILE.toml", f"{found}, ...")

    def classes(self):
        """Class names in label order: numbers 0..K-1 by value, other texts sorted."""
        if all(label.isdecimal() for label in self.labels):
            return [str(label) for label in sorted({int(label) for label in self.labels})]
        return sorted(self.labels)


def _sample(name, rows, repeated, layout, channels, classes, source, people):
    """(Sample, its splits) of the lines of one sample."""
    values, persons, number, fields = _values(name, rows, repeated, layout, channels, source)
    where = f"line {number}: "
    start, end = min(key[0] for key in values), max(key[0] for key in values)
    shape = (persons, end - start + 1, layout.num_joints, len(channels))
    if math.prod(shape) > _MAX_SAMPLE:
        raise DataError(source, where + "frame", f"frames within {_MAX_SAMPLE} values", f"{start} to {end}")
    keypoints = np.zeros(shape, "float32")
    index = np.array(list(values), "int64")
    with np.errstate(over="ignore"):
        keypoints[index[:, 1], index[:, 0] - start, index[:, 2]] = np.array(list(values.values()))
    if not keypoints[..., :2].any():
        raise DataError(source, where + "x, y", "a joint in one frame or more", "none")
    order = np.argsort(-keypoints[..., :2].any(axis=(2, 3)).sum(axis=1), kind="stable")
    numbers = {key: _whole(fields, key, source, where, -1) for key in _NUMBERS}
    label = _label(fields.get("label", ""), classes, source, where)
    splits = [split.strip() for split in fields.get("split", "").replace("|", ";").split(";") if split.strip()]
    return Sample(name, keypoints[order[:people]], label, **numbers), splits


def _values(name, rows, repeated, layout, channels, source):
    """({(frame, person, joint): values}, persons, number and fields of the first line) of a sample's lines."""
    numbers = {_plain(joint): index for index, joint in enumerate(layout.joints)}
    values, persons, first = {}, {}, None
    for number, fields in rows:
        where = f"line {number}: "
        if not name:
            raise DataError(source, where + "sample", "a name", "none")
        if repeated:
            raise DataError(source, where + "sample", "the lines of a sample together", f"{name!r} once more")
        joint = numbers.get(_plain(fields["joint"]))
        if joint is None and fields["joint"].isdecimal() and int(fields["joint"]) < layout.num_joints:
            joint = int(fields["joint"])
        if joint is None:
            expected = f"a joint of {layout.name} or an index below {layout.num_joints}"
            raise DataError(source, where + "joint", expected, ascii(fields["joint"])[:60])
        frame = _whole(fields, "frame", source, where)
        person = persons.setdefault(fields.get("person", ""), len(persons))
        if person >= _MAX_PEOPLE:
            raise DataError(source, where + "person", f"at most {_MAX_PEOPLE} persons", "more")
        first = first or (number, fields)
        for key in _FACTS:
            if fields.get(key) != first[1].get(key):
                raise DataError(source, where + key, f"the same in all lines of {name!r}", ascii(fields[key])[:60])
        if (frame, person, joint) in values:
            raise DataError(
                source, where + "joint", "each joint once per frame and person", ascii(fields["joint"])[:60]
            )
        if len(values) * len(channels) >= _MAX_SAMPLE:
            raise DataError(source, where + "sample", f"at most {_MAX_SAMPLE} values", "more")
        values[frame, person, joint] = _point(fields, channels, source, where)
    return values, len(persons), *first


def _label(text, classes, source, where):
    """The number of a class given by name or number; -1 for no text."""
    if not text:
        return -1
    if text in classes:
        return classes.index(text)
    if text.isdecimal():
        if str(int(text)) in classes:
            return classes.index(str(int(text)))
        if int(text) < len(classes):  # names given, labels as numbers
            return int(text)
    raise DataError(source, where + "label", f"one of {len(classes)} classes", ascii(text)[:60])


def _plain(name):
    """A joint's name without what differs between programs: Left Elbow, LEFT_ELBOW and left-elbow are one."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _whole(fields, key, source, where, default=None):
    text = fields.get(key, "")
    if not text and default is not None:
        return default
    digits = text[1:] if text.startswith("-") else text
    if not digits.isdecimal() or len(digits) > 9:
        raise DataError(source, where + key, "a whole number", ascii(text)[:60])
    return int(text)


def _point(fields, channels, source, where):
    """The values of a joint, zeros where it was not observed."""
    texts = [fields[channel] for channel in channels]
    if not any(texts[:2]):
        return [0.0] * len(channels)
    point = []
    for channel, text in zip(channels, texts, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = math.inf
        if math.isinf(value) or abs(value) > 1e30:
            raise DataError(source, where + channel, "a number (empty: not observed)", ascii(text)[:60])
        point.append(value)
    if any(math.isnan(value) for value in point):
        return [0.0] * len(channels)
    return point
