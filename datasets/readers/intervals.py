"""Labelled intervals of long recordings: a table of file, start, end and label, and the clips it makes."""

import csv
import dataclasses
import math
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..store import Sample, StoreWriter
from ..store.facts import EXPECTED
from .journal import Journal
from .label_source import FOLDERS, parse_facts, plain_name
from .labels import ClassTable, LabelNote
from .report import Conversion
from .table_text import dict_rows

FRAMES, SECONDS = ("start_frame", "end_frame"), ("start", "end")
_MAX_LINES = 1 << 22
_DIGITS = 6  # of a frame's number made of seconds: 0.1 s at 30 fps is frame 3


@dataclasses.dataclass(frozen=True)
class Interval:
    """One line of the table: start and end (the frame after the last) in frames, or in seconds until they are known.

    label: None where nothing is known. person: number from 1, None where it is not said. probability: None likewise.
    facts: subject, camera, setup, split as far as there are. line: in the file.
    """

    start: float
    end: float
    label: str | int | None
    person: int | None = None
    probability: float | None = None
    facts: dict = dataclasses.field(default_factory=dict)
    line: int = 0

    @property
    def named(self):
        """The label as text."""
        return None if self.label is None else str(self.label)


def has_intervals(labels):
    """Whether what `--labels` names is a table of intervals, by its header. Raises OSError where it cannot be read."""
    if labels is None or labels == FOLDERS or "(?P<" in str(labels):
        return False
    try:
        _, names = next(dict_rows(Path(labels)))
    except (UnicodeError, csv.Error):
        return False  # told by who reads it
    return bool(set(names) & {FRAMES[0], SECONDS[0]})


class IntervalTable:
    """A CSV of file, start, end, label[, person, probability, subject, camera, setup, split].

    start and end are seconds; columns start_frame and end_frame, which go before them, are frames from 0, the end
    being the frame after the last. A line without a label says that nothing is known there.

    Args:
        path: the file.
    Attributes: path; in_frames, whether start and end are frames; files, dict of a file's name without suffix to its
        Intervals in the order of their starts.
    Raises: DataError, naming the line, where a line is no interval or two of the same file and person overlap; OSError
        where the file cannot be read.
    """

    def __init__(self, path):
        self.path, self.files, self.used = Path(path), {}, {}
        try:
            self._read()
        except (UnicodeError, csv.Error) as error:
            raise DataError(self.path.name, "", "a table of intervals", error) from None
        if not self.files:
            raise DataError(self.path.name, "line 2", "a file, its start, end and label", "the end of the file")
        for found in self.files.values():
            found.sort(key=lambda interval: (interval.start, interval.line))
            self._refuse_overlaps(found)
        self._call()

    def _call(self):
        """Call the labels as classes that have no other names are called: 3.0 is 3 where all are whole numbers."""
        classes = ClassTable({one.label for found in self.files.values() for one in found})
        for found in self.files.values():
            places = [classes.number(one.label) for one in found]
            found[:] = [
                one if place is None else dataclasses.replace(one, label=classes.names[place])
                for one, place in zip(found, places, strict=True)
            ]

    def _read(self):
        rows = dict_rows(self.path)
        _, names = next(rows)
        self.in_frames = set(FRAMES) <= set(names)
        if not {"file", "label"} <= set(names) or not (self.in_frames or set(SECONDS) <= set(names)):
            expected = "columns file, start, end (seconds) or start_frame, end_frame, and label"
            raise DataError(self.path.name, "line 1", expected, ", ".join(names)[:80] or "nothing")
        for number, row in rows:
            where = f"line {number}"
            name = (row["file"] or "").strip().replace("\\", "/")
            if not name or number > _MAX_LINES:
                raise DataError(self.path.name, where, "the name of a file", "none")
            self.files.setdefault(plain_name(name), []).append(self._interval(row, number, where))

    def _interval(self, row, line, where):
        keys = FRAMES if self.in_frames else SECONDS
        start, end = (self._number(row[key], f"{where}: {key}", self.in_frames) for key in keys)
        if not 0 <= start < end:
            raise DataError(self.path.name, where, f"0 <= {keys[0]} < {keys[1]}", f"{start:g} and {end:g}")
        person = row.get("person") or None
        if person is not None:
            person = self._number(person, f"{where}: person", True)
            if person < 1:
                raise DataError(self.path.name, f"{where}: person", "a number from 1", person)
        share = row.get("probability") or None
        share = None if share is None else self._number(share, f"{where}: probability", False)
        facts = parse_facts({**row, "label": row["label"] or ""}, self.path.name, where)
        label = facts.pop("label")
        return Interval(start, end, None if label == -1 else label, person, share, facts, line)

    def _number(self, text, where, whole):
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value) or (whole and value != int(value)):
            expected = "a whole number" if whole else "a number"
            raise DataError(self.path.name, where, expected, ascii(text)[:40])
        return int(value) if whole else value

    def _refuse_overlaps(self, found):
        ends = {}  # person: the Interval that ends last
        for interval in found:
            for person, before in ends.items():
                alike = person == interval.person or None in (person, interval.person)
                if alike and before.end > interval.start:
                    told = f"one that begins at {interval.start:g}, while line {before.line} goes on to {before.end:g}"
                    raise DataError(self.path.name, f"line {interval.line}", "intervals that do not overlap", told)
            last = ends.get(interval.person)
            if last is None or interval.end > last.end:
                ends[interval.person] = interval

    def of(self, name):
        """The Intervals of a recording by its name, with folders and suffix or without; none where there are none.

        Raises: DataError where a name without folders is that of two recordings.
        """
        whole, found = plain_name(name), []
        for key in dict.fromkeys((name, whole, PurePosixPath(whole).name)):
            found += self.files.get(key, ())
            if key in self.files and self.used.setdefault(key, name) != name:
                told = f"two: {self.used[key]} and {name}"
                raise DataError(self.path.name, f"file {key!r}", "the name of one recording, with its folders", told)
        found.sort(key=lambda interval: (interval.start, interval.line))
        self._refuse_overlaps(found)
        return found

    def in_recording(self, name, frames, fps=None, people=None):
        """The Intervals of a recording, start and end in frames.

        Args:
            name: of the recording. frames: its length. fps: frames per second, needed for seconds. people: how many
                there are; None where that does not matter.
        Raises: DataError, naming the line: seconds without a rate, an interval or a person outside the recording.
        """
        found = self.of(name)
        if found and not self.in_frames and fps is None:
            told = "frames per second (--fps), as start and end are seconds, or columns start_frame and end_frame"
            raise DataError(self.path.name, f"file {name!r}", told, "none")
        return [self._placed(interval, name, frames, fps, people) for interval in found]

    def _placed(self, interval, name, frames, fps, people):
        where, start, end = f"line {interval.line}", interval.start, interval.end
        if not self.in_frames:
            start, end = (math.floor(round(value * fps, _DIGITS) + 0.5) for value in (start, end))
        if end > frames + (not self.in_frames) or start >= frames:  # seconds are rounded
            length = f"{frames} frames" + ("" if fps is None else f" or {frames / fps:.3f} s")
            unit = "frame" if self.in_frames else "second"
            raise DataError(self.path.name, where, f"an end within {name}, {length}", f"{unit} {interval.end:g}")
        if people is not None and (interval.person or 1) > people:
            raise DataError(self.path.name, f"{where}: person", f"one of {people} in {name}", interval.person)
        end = min(end, frames)
        if start >= end:
            raise DataError(self.path.name, where, "an interval of one frame or more", f"less at {fps:g} a second")
        return dataclasses.replace(interval, start=start, end=end)


def cut_intervals(store, table, output, people=None, classes=None, fps=None, force=False):
    """Write the labelled intervals of recordings as clips.

    Args:
        store: SkeletonStore of the recordings. table: IntervalTable. output: store to write. people: the most kept in a
            clip. classes: class names in label order. fps: frames per second where the store does not say.
        force: replace an output that is no store.
    Returns: as `Conversion.conclude`.
    Raises: DataError, naming file and line, where an interval does not fit its recording, or none is of one of them.
    """
    rate, chosen = store.fps if fps is None else fps, []
    for index, name in enumerate(store.ids):
        found = table.in_recording(name, int(store.frames[index]), rate, int(store.people[index]))
        chosen += [(index, interval) for interval in found if interval.label is not None]
    if not chosen:
        found = f"{next(iter(table.files))!r}" if not table.used else "lines without labels"
        raise DataError(table.path.name, "file", f"names of recordings, such as {store.ids[0]!r}", found)
    names = ClassTable({interval.label for _, interval in chosen}, classes)
    notes, splits = [*names.notes, *store.notes], {}
    if len(table.used) < len(table.files):
        left = sorted(set(table.files) - set(table.used))
        text = f"{len(left)} names of the table of intervals are of no recording, such as {left[0]!r}"
        notes.append(LabelNote(text))
    facts = {"layout": store.layout, "channels": store.channels, "units": store.units, "dtype": store.dtype}
    provenance = {"reader": "intervals", "table": table.path.name, "recordings": store.provenance}
    writer = StoreWriter(output, classes=names.names, fps=rate, provenance=provenance, **facts)
    with Journal(output, force=force), writer:
        conversion = Conversion(writer, table.path.name, strict=True, people=people, notes=notes, upright=True)
        for index, interval in chosen:
            conversion.add(f"line {interval.line}", lambda i=index, x=interval: _clip(store, i, x, names))
            for split in interval.facts.get("split", ()):
                splits.setdefault(split, []).append(_clip_id(store.ids[index], interval))
        return conversion.conclude(splits)


def _clip_id(name, interval):
    person = "" if interval.person is None else f"-person{interval.person}"
    return f"{name}@{interval.start}-{interval.end}{person}"


def _clip(store, index, interval, names):
    label = names.number(interval.label)
    if label is None:
        raise DataError("", f"line {interval.line}", f"one of {len(names.names)} classes", repr(interval.label))
    keypoints = store.read_frames(index, interval.start, interval.end)
    if interval.person is not None:
        keypoints = keypoints[interval.person - 1 : interval.person]
    own = {key: int(getattr(store, key)[index]) for key in EXPECTED}
    own["subject"] = store.subject_name(own["subject"])
    own |= {key: value for key, value in interval.facts.items() if key in own and value != -1}
    size = tuple(map(int, store.image_size[index]))
    return Sample(_clip_id(store.ids[index], interval), keypoints, label, image_size=size, **own)
