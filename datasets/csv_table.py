"""A table of joints, one joint of one frame a line, to a store: the way in for data of no known format.

Read twice and never held whole: first for names, classes and the split, then a sample at a time.
"""

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np

from .benchmarks import unique_names
from .errors import DataError
from .journal import only_conversion
from .layouts import default_layout, get_layout, layout_names
from .store import Sample, StoreWriter

REQUIRED = ("sample", "frame", "joint", "x", "y")
OPTIONAL = ("z", "score", "person", "label", "subject", "camera", "setup", "split")
_NUMBERS = ("subject", "camera", "setup")
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

    Returns: dict with samples, skipped [(id, reason)], people {M: samples}, layout, channels, classes, splits.
    Raises: DataError naming file, line and column; OSError where the file cannot be read.
    """
    path = Path(path)
    survey = _Survey(path, columns or {})
    for _ in survey.lines(lambda *_: None):
        pass
    if not survey.samples:
        raise DataError(path.name, "line 2", "a joint", "the end of the file")
    skeleton = survey.layout(layout)
    names = unique_names(classes) if classes else survey.classes()
    dims, channels = (3, ("x", "y", "z")) if "z" in survey.columns else (2, ("x", "y"))
    channels += ("score",) * ("score" in survey.columns)
    skipped, counted, splits, seen = [], Counter(), {}, set()
    writer = StoreWriter(output, layout=skeleton, classes=names, channels=channels, dtype="float32",
                     units="metres" if dims == 3 else "pixels",
                     provenance={"reader": "csv", "source": path.name})  # fmt: skip
    with only_conversion(writer):
        for name, first, rows in _samples(survey, progress):
            try:
                if name in seen:
                    raise DataError(path.name, f"line {first}: sample", "the lines of a sample together",
                                    f"{name!r} once more")
                seen.add(name)
                sample, members = _sample(name, rows, skeleton, channels, names, path.name, people)
                writer.append(sample)
            except DataError as error:
                for _ in rows:  # the rest of a bad sample is passed over
                    pass
                if strict:
                    raise
                skipped.append((name, str(error)))
                continue
            counted[len(sample.keypoints)] += 1
            for split in members:
                splits.setdefault(split, []).append(name)
        if not writer.ids:
            raise DataError(path.name, "samples", "one usable sample or more", skipped[0][1])
        writer.set_splits(splits)
        writer.provenance |= {"skipped": len(skipped)}
    return {"samples": len(writer.ids), "skipped": skipped, "people": dict(sorted(counted.items())),
            "layout": skeleton.name, "channels": list(channels), "classes": len(names),
            "splits": {name: len(ids) for name, ids in splits.items()}}  # fmt: skip


class _Survey:
    """The header of a table, its lines one after the other, and the names met on the way."""

    def __init__(self, path, renamed):
        self.path, self.columns, self.samples = path, {}, 0
        unknown = [name for name in renamed if name not in REQUIRED + OPTIONAL]
        if unknown:
            raise DataError("columns", "", f"some of {', '.join(REQUIRED + OPTIONAL)}", repr(unknown[0]))
        self.renamed = {name: header.strip().lower() for name, header in renamed.items()}
        self.joints, self.labels = {}, {}

    def lines(self, tell):
        """Yield (line number, {column: text}); `tell` is called with (bytes read, bytes in all)."""
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            reader = None
            for number, line in self._read(file):
                if reader is None:
                    if not line.strip():
                        continue
                    self._header(number, line)
                    reader = csv
                    continue
                if not line.strip():
                    continue
                row = self._split(line, self.delimiter, number)
                if len(row) != self.width:
                    raise DataError(self.path.name, f"line {number}", f"{self.width} columns", len(row))
                fields = {name: row[index].strip() for name, index in self.columns.items()}
                self._note(number, fields)
                if number % 1000 == 0:
                    tell(file.tell(), size)
                yield number, fields
            tell(size, size)
        if reader is None:
            raise DataError(self.path.name, "line 1", f"a header with {', '.join(REQUIRED)}", "an empty file")

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


def _samples(survey, progress):
    """Yield (name, first line, rows of that sample alone)."""
    lines = survey.lines(progress or (lambda *_: None))
    pending = next(lines, None)

    def rows(name):
        nonlocal pending
        while pending is not None and pending[1]["sample"] == name:
            yield pending
            pending = next(lines, None)

    while pending is not None:
        name = pending[1]["sample"]
        part = rows(name)
        yield name, pending[0], part
        for _ in part:
            pass


def _sample(name, rows, layout, channels, classes, source, people):
    """(Sample, its splits) of the lines of one sample."""
    numbers = {_plain(joint): index for index, joint in enumerate(layout.joints)}
    lookup = {label: index for index, label in enumerate(classes)}
    values, persons, facts = {}, {}, None
    for number, fields in rows:
        where = f"line {number}: "
        if not name:
            raise DataError(source, where + "sample", "a name", "none")
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
        told = tuple(fields.get(key, "") for key in ("label", *_NUMBERS, "split"))
        if facts is None:
            facts, first = told, (number, fields)
        elif facts != told:
            key = next(k for k, a, b in zip(("label", *_NUMBERS, "split"), facts, told, strict=True) if a != b)
            raise DataError(source, where + key, f"the same in all lines of {name!r}", ascii(fields[key])[:60])
        if (frame, person, joint) in values:
            raise DataError(source, where + "joint", "each joint once a frame and person", ascii(fields["joint"])[:60])
        if len(values) * len(channels) >= _MAX_SAMPLE:
            raise DataError(source, where + "sample", f"at most {_MAX_SAMPLE} values", "more")
        values[frame, person, joint] = _point(fields, channels, source, where)
    number, fields = first
    where = f"line {number}: "
    label = lookup.get(fields.get("label", ""), -1)
    if label < 0 and fields.get("label", "").isdecimal():
        label = lookup.get(str(int(fields["label"])), -1)
        if label < 0 and int(fields["label"]) < len(classes):  # names given, labels as numbers
            label = int(fields["label"])
    if label < 0 and fields.get("label"):
        raise DataError(source, where + "label", f"one of {len(classes)} classes", ascii(fields["label"])[:60])
    start, end = min(key[0] for key in values), max(key[0] for key in values)
    shape = (len(persons), end - start + 1, layout.num_joints, len(channels))
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
    splits = [split.strip() for split in fields.get("split", "").replace("|", ";").split(";") if split.strip()]
    return Sample(name, keypoints[order[:people]], label, **numbers), splits


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
