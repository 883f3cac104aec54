"""Estimators' files, or folders of them, to a store: what was found, read, labelled and joined, in order."""

import math
import os
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..layout_map import layout_map
from ..store import Sample, StoreWriter
from .adaptation import Adaptation
from .clip_reader import ClipReader, Part, Result
from .inputs import find_recordings
from .journal import Journal
from .label_source import LabelSource
from .labels import ClassTable, LabelNote
from .notes import grouped
from .pool import read_in_order
from .report import Conversion, parse_channels

_AHEAD = 4  # recordings that a process is given at a time


def convert_clips(
    paths,
    output,
    layout=None,
    people=None,
    strict=False,
    progress=None,
    *,
    to=None,
    channels=None,
    image_size=None,
    min_score=None,
    fps=None,
    source_fps=None,
    classes=None,
    labels=None,
    unit=None,
    up=None,
    by_names=False,
    workers=None,
    resume=False,
    force=False,
):
    """Convert files of pose estimators, or folders of them, into a store.

    Forms: `inputs.FORMS`, YOLO-pose text, arrays of one clip, tables of landmarks. People who are found frame by frame
    are joined by `tracking.link_people`, then as `people.join_tracks`; frames in which nobody was found stay.

    Args:
        paths: a file or folder, or a list of these. output: the store to write.
        layout: SkeletonLayout, name or TOML file; by default the form's own, or the usual one for V joints.
        to: the layout to write, by the joints' names (`layout_map`); by default that of the recordings.
        people: the most persons kept, as `people.join_tracks`.
        strict: raise on the first bad recording instead of leaving it out. progress: called with (done, total).
        channels: what to read or, where in doubt, what the values are, such as ("x", "y", "z").
        image_size: (width, height) in pixels; coordinates of 0 to 1 become pixels by it.
        min_score: joints scored lower count as not seen.
        fps: frames per second of the store: recordings whose rate is known and another are resampled.
        source_fps: frames per second of the recordings, where they do not tell it or wrongly.
        classes: class names in label order; by default those found, sorted. labels: as `LabelSource`.
        unit, up: as `Conversion`; motion capture becomes metres and is turned as its file or body tells without them.
        by_names: take joints whose names are no built-in layout's in a layout made of the names, for `layout_map`.
        workers: processes that read, a recording each at a time. resume: continue a killed conversion with the same
            settings; files that changed are read again.
        force: replace an output that is no store.
    Returns: as `Conversion.conclude`; and read {what recordings were taken for: how many}; resumed, recordings taken
        from the killed conversion.
    Raises: DataError where nothing can be read, OSError where a path is absent.
    """
    paths = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    channels = ("y", "x", "score") if channels in ("y,x,score", ("y", "x", "score")) else parse_channels(channels)
    recordings, others = [], 0
    for path in paths:
        path.stat()
        found, count = find_recordings(
            path, path.resolve().name if len(paths) > 1 else "", {"unit": unit and "m", "up": up and "y"}
        )
        recordings, others = recordings + found, others + count
    _distinguish(recordings)
    source = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    reader = ClipReader(
        recordings, source, layout, channels, image_size, min_score, people, by_names or to is not None, source_fps
    )
    adaptation = Adaptation(None if to is None else layout_map(reader.layout, to), fps)
    named = LabelSource(labels, [recording.name for recording in recordings])
    table = ClassTable(named.labels | (set() if labels is not None else reader.own_labels()), classes)
    notes = [*reader.notes, *table.notes, *([f"{others} other files are not read"] if others else [])]
    if labels is None and len({name.partition("/")[0] for name in reader.names if "/" in name}) > 1:
        notes.append(LabelNote("folders may name classes: --labels folders takes them"))
    writer = StoreWriter(
        output,
        layout=adaptation.mapping.target if adaptation.mapping else reader.layout,
        classes=table.names,
        channels=reader.channels,
        provenance={"reader": "clips", "source": source},
    )
    settings = {"source": [str(path.resolve()) for path in paths], "layout": reader.layout.name, "unit": unit, "up": up}
    settings |= reader.settings
    with Journal(output, settings if len(recordings) > 1 else None, resume, force) as journal, writer:
        resumed = len(journal.done)
        conversion = Conversion(
            writer, source, strict, arranged=True, notes=notes, up=up, unit=unit, absent=adaptation.absent
        )
        taking = _Taking(conversion, adaptation, named, table, labels is not None, reader.source_fps)
        taken = Counter()
        for number, result in enumerate(_read_all(reader, recordings, workers or 1, journal), 1):
            taking.take(result)
            taken[result.form] += 1
            if progress:
                progress(number, len(recordings))
        notes += named.notes(taking.unknown, conversion.num_samples)
        notes += [note for note in grouped(taking.notes) if note not in notes]
        notes += adaptation.notes()
        writer.fps = adaptation.rate
        writer.provenance |= {"forms": dict(taken)}
        return conversion.conclude(taking.splits) | {"read": dict(taken), "resumed": resumed}


def _distinguish(recordings):
    """Give files of one name their folder's too."""
    twice = {name for name, count in Counter(recording.name for recording in recordings).items() if count > 1}
    for recording in recordings:
        if recording.name in twice and recording.paths:
            recording.name = f"{Path(recording.paths[0]).resolve().parent.name}/{recording.name}"


class _Taking:
    """Results on their way into a Conversion. Attributes: splits {name: ids}; unknown, how many have no label; notes"""

    def __init__(self, conversion, adaptation, named, table, labelled, source_fps):
        self.conversion, self.adaptation, self.named, self.table = conversion, adaptation, named, table
        self.labelled, self.source_fps, self.taken = labelled, source_fps, set()
        self.splits, self.unknown, self.notes = {}, 0, []

    def take(self, result):
        """Add the samples of a Result, or leave them out."""
        if result.error is not None:
            self.conversion.leave_out(result.name, result.error)
        for part in result.parts:
            facts = part.facts | (self.named.facts(part.name) or self.named.facts(result.name))
            label = self.table.number(facts.pop("label", -1 if self.labelled else part.label))
            chosen = facts.pop("split", ())
            name = part.id if part.id and part.id not in self.taken else part.name
            if self.conversion.add(
                name, lambda n=name, p=part, k=label, f=facts: self._sample(n, p, k, f), part.metres
            ):
                self.taken.add(name)
                self.unknown += label == -1
                for split in chosen:
                    self.splits.setdefault(split, []).append(name)
        self.conversion.counts.update(result.counts)
        self.notes += result.notes

    def _sample(self, name, part, label, facts):
        if isinstance(part.sample, Exception):
            raise part.sample
        if label is None:
            raise DataError("", name, f"one of {len(self.table.names)} classes", "another label")
        part.sample.id, part.sample.label = name, label
        for key, value in facts.items():
            setattr(part.sample, key, value)
        return self.adaptation.apply(part.sample, self.conversion.writer.channels, self.source_fps or part.fps)


def _read_all(reader, recordings, workers, journal):
    """Yield the Result of each recording, in order; what is new goes into the journal, where that is kept."""
    kept = len(recordings) > 1
    stamps = [_stamp(recording) if kept else "" for recording in recordings]
    tasks = [recording for recording, stamp in zip(recordings, stamps, strict=True) if stamp not in journal.done]
    read = reader.result if workers <= 1 else reader.alone().result
    fresh = read_in_order(read, tasks, workers, _AHEAD)
    for recording, stamp in zip(recordings, stamps, strict=True):
        if stamp in journal.done:
            yield _resumed(*journal.read(stamp), recording.name)
            continue
        result = next(fresh)
        if kept and not isinstance(result.error, OSError):
            journal.append(stamp, *_recorded(result))
        yield result


def _stamp(recording):
    """What a recording's files were when they were read."""
    found = [os.stat(path) for path in recording.paths]
    size, changed = sum(entry.st_size for entry in found), max(entry.st_mtime_ns for entry in found)
    return f"{recording.name} {len(found)} {size} {changed}"


def _recorded(result):
    """(meta, numbers) of a Result, for the journal."""
    parts, rows = [], []
    for part in result.parts:
        failed = isinstance(part.sample, Exception)
        if failed:
            sample = {"error": part.sample.args}
        else:
            sample = {"shape": part.sample.keypoints.shape, "image_size": part.sample.image_size}
            rows.append(part.sample.keypoints.ravel())
        parts.append({"name": part.name, "sample": sample, "label": part.label, "facts": part.facts, "fps": part.fps})
        parts[-1] |= {"metres": part.metres, "id": part.id}
    meta = {"form": result.form, "parts": parts, "notes": result.notes, "counts": dict(result.counts)}
    meta["error"] = None if result.error is None else result.error.args
    return meta, np.concatenate(rows) if rows else None


def _resumed(meta, rows, name):
    """The Result that `_recorded` gave."""
    parts, start = [], 0
    for part in meta["parts"]:
        kept = part.pop("sample")
        if "error" in kept:
            sample = DataError(*kept["error"])
        else:
            shape = tuple(kept["shape"])
            keypoints = rows[start : start + math.prod(shape)].reshape(shape)
            sample = Sample(part["name"], keypoints, image_size=tuple(kept["image_size"]))
            start += keypoints.size
        parts.append(Part(sample=sample, **part))
    error = None if meta["error"] is None else DataError(*meta["error"])
    return Result(name, meta["form"], parts, error, meta["notes"], meta["counts"])
