"""Anything readable to one store, with the same options whatever it is."""

import contextlib
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..layout_map import advised
from ..layouts import get_layout
from ..store import SkeletonStore, StoreWriter
from ..store.writer import check_rate
from .adaptation import Adaptation
from .clips import convert_clips
from .intervals import IntervalTable, cut_intervals, has_intervals
from .journal import Journal
from .label_source import LabelSource
from .labels import ClassTable, LabelNote
from .notes import grouped
from .recordings import CALLED, convert_recordings, kind_of, open_recordings
from .report import NEVER_SEEN, Conversion, parse_channels, threshold_note, unscored
from .units import UNITS, check_said, in_metres
from .upright import AXES, NOT_UP, turned

_OWN = {  # what the converters of each kind take besides layout, people, strict and progress
    "skeletons": ("workers", "resume", "up", "force"),
    "annotations": ("classes", "channels", "up", "unit", "force"),
    "arrays": ("classes", "channels", "up", "unit", "force"),
    "table": ("classes", "up", "unit", "force"),
    "mocap": ("up", "unit", "force"),
}
_OF_CLIPS = ("channels", "image_size", "min_score", "fps", "source_fps", "unit", "up", "workers")


def convert(inputs, output, layout=None, *, people=None, strict=False, progress=None, **options):
    """Convert files and folders of any readable kind into one store.

    One input whose own converter has all the options asked for goes to that; estimators' files go to `convert_clips`;
    several of other kinds, or with further options, are read one after the other as `open_recordings` opens them.

    Args:
        inputs: a path or a list of them. output, layout, people, strict, progress: as `convert_clips`.
        options: to, channels, image_size, min_score, fps, source_fps, unit, up, classes, labels, workers, resume,
            force as `convert_clips`; labels may also be an `IntervalTable` file: its intervals become the samples.
    Returns: as `Conversion.conclude`; and read {what it was taken for: how many inputs or recordings}.
    Raises: DataError where an input is unsound or does not fit the others, OSError where it cannot be read.
    """
    inputs = [Path(path) for path in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    if has_intervals(options.get("labels")):
        return _cut(inputs, output, layout, people, {"strict": strict, "progress": progress}, options)
    kinds = [kind_of(path) for path in inputs]
    given = {name: value for name, value in options.items() if value not in (None, False)}
    common = {"people": people, "strict": strict, "progress": progress}
    if set(kinds) == {"clips"}:
        return convert_clips(inputs, output, layout, **common, **options)
    for path, kind in zip(inputs, kinds, strict=True):
        if kind == "layout":
            raise DataError(path, "", "recordings", "a layout")
        if Path(output).resolve() == path.resolve():
            raise DataError(output, "output", "another file than the input")
    if len(inputs) == 1 and kinds[0] in _OWN and set(given) <= set(_OWN[kinds[0]]):
        report = convert_recordings(inputs[0], output, layout, **common, **given)
        return report | {"read": {CALLED[kinds[0]]: 1}}
    if "resume" in given:
        expected = "estimators' files, or a folder of .skeleton files and no other option, for --resume"
        raise DataError(inputs[0], "", expected, CALLED.get(kinds[0], "others"))
    return _together(inputs, kinds, output, layout, common, given)


def _cut(inputs, output, layout, people, common, options):
    """Whole recordings to a store for a while, then their labelled intervals to the output."""
    table, classes, force = (options.pop(name, None) for name in ("labels", "classes", "force"))
    table = IntervalTable(table)
    with tempfile.TemporaryDirectory(prefix="skelmae-") as folder:
        whole = Path(folder) / "recordings.h5"
        read = convert(inputs, whole, layout, people=people, **common, **options)
        with SkeletonStore(whole, source=inputs[0]) as store:
            report = cut_intervals(store, table, output, people, classes, options.get("fps"), bool(force))
    return report | {"read": read["read"], "skipped": read["skipped"]}


def _together(inputs, kinds, output, layout, common, given):
    """The samples of all inputs, each opened as a store."""
    rate, adaptation = check_rate("source_fps", given.get("source_fps")), Adaptation(None, given.get("fps"))
    with contextlib.ExitStack() as stack:
        stores = [
            stack.enter_context(_opened(path, kind, layout, common, given))
            for path, kind in zip(inputs, kinds, strict=True)
        ]
        first, notes = stores[0], _common_notes(inputs, kinds, stores, given)
        check_said("up", given.get("up"), AXES, first.channels)
        check_said("unit", given.get("unit"), UNITS, first.channels)
        source = LabelSource(given.get("labels"), [name for store in stores for name in store.ids])
        table = _classes(stores, source, given)
        writer = StoreWriter(
            output,
            layout=first.layout,
            classes=table.names,
            channels=first.channels,
            units=first.units,
            dtype=np.result_type(*(store.dtype for store in stores)),
            provenance={"reader": "convert", "sources": [path.name for path in inputs]},
        )
        splits, done, unknown, total = {}, 0, 0, sum(map(len, stores))
        with Journal(output, force=given.get("force", False)), writer:
            conversion = Conversion(
                writer,
                first.path.name,
                common["strict"],
                arranged=True,
                notes=notes,
                unit="m" if "z" in first.channels else None,
                turned_by=given.get("up"),
                absent=_absent(stores),
            )
            for kind, store in zip(kinds, stores, strict=True):
                clips = kind == "clips"  # adapted while they were read, besides the joints
                threshold = given.get("min_score") if first.has_score and not clips else None
                fps = store.fps if clips else rate or store.fps
                conversion.skipped += store.left_out
                for split, members in store.splits.items():
                    splits.setdefault(split, []).extend(store.ids[index] for index in members)
                for index, name in enumerate(store.ids):
                    facts = dict(source.facts(name))
                    for split in facts.pop("split", ()):
                        splits.setdefault(split, []).append(name)
                    label = _label(store, index, table, facts, given)
                    unknown += label == -1

                    def sample(
                        kind=kind, store=store, index=index, label=label, facts=facts, threshold=threshold, fps=fps
                    ):
                        made = _sample(store, index, label, facts, threshold)
                        if kind == "store" and "unit" in given:  # others were turned while they were read
                            made.keypoints = in_metres(made.keypoints, given["unit"])
                        if kind == "store" and "up" in given:
                            made.keypoints = turned(made.keypoints, given["up"])
                        return adaptation.apply(made, store.channels, fps)

                    conversion.add(name, sample)
                    done += 1
                    if common["progress"]:
                        common["progress"](done, total)
            writer.fps = adaptation.rate
            notes += [*table.notes, *source.notes(unknown, total), *adaptation.notes()]
            taken = Counter()
            for kind, store in zip(kinds, stores, strict=True):
                taken.update(store.provenance.get("forms") or {CALLED[kind]: 1})
            return conversion.conclude(splits) | {"read": dict(taken)}


def _opened(path, kind, layout, common, given):
    """An input as a store, opened with what its reader takes of the options."""
    taken = _OF_CLIPS if kind == "clips" else set(_OWN.get(kind, ())) & {"channels", "image_size", "up", "unit"}
    joints = "coco17" if layout is not None and get_layout(layout).num_joints == 17 else "all"
    own = {name: given[name] for name in taken if name in given}
    shared = {"people": common["people"], "strict": common["strict"]}
    return open_recordings(path, layout, to=given.get("to"), joints=joints, **shared, **own)


def _common_notes(inputs, kinds, stores, given):
    """The notes of all stores, each once. Raises DataError where one is of another kind than the first."""
    first, notes, asked = stores[0], [], parse_channels(given.get("channels"))
    for path, kind, store in zip(inputs, kinds, stores, strict=True):
        if kind == "table" and asked not in (None, store.channels):
            raise DataError(path, "channels", ",".join(asked), ",".join(store.channels))
        for key in ("layout", "channels", "units"):
            expected, found = getattr(first, key), getattr(store, key)
            if expected != found:
                way = advised((found, expected), (expected, found)) if key == "layout" else ""
                way = f" ({way} reads all in one)" if way else ""
                expected, found = (getattr(value, "name", value) for value in (expected, found))
                raise DataError(path, key, f"{expected} as in {inputs[0].name}{way}", found)
        notes += [*map(LabelNote, store.provenance.get("label_notes", ())), *store.notes]
    notes = [note for note in notes if not note.startswith((NOT_UP, NEVER_SEEN))]  # found anew
    if "min_score" in given:
        notes.append(threshold_note(given["min_score"], first.has_score))
    return grouped(notes)


def _absent(stores):
    """(V,) True where a mapping of the stores says that it has no joint: told by it."""
    return np.any([np.zeros(s.layout.num_joints, bool) if s.mapping is None else s.mapping.missing for s in stores], 0)


def _classes(stores, source, given):
    """The ClassTable of all stores' labels, or of those given."""
    named = source.labels if "labels" in given else {name for store in stores for name in _in_order(store)}
    classes = given.get("classes")
    if classes is None and "labels" not in given and len({tuple(store.classes) for store in stores}) == 1:
        classes = stores[0].classes
    return ClassTable(named, classes)


def _label(store, index, table, facts, given):
    """The number of a sample's class, -1 unknown, None where it is none; takes the label out of the facts."""
    own = store.classes[store.labels[index]] if store.labels[index] >= 0 and "labels" not in given else -1
    return table.number(facts.pop("label", own))


def _in_order(store):
    return {store.classes[label] for label in store.labels if label >= 0}


def _sample(store, index, label, facts, threshold):
    sample = store.sample(index)
    if label is None:
        raise DataError("", sample.id, "a label that is a class", "another")
    sample.label = label
    for key, value in facts.items():
        setattr(sample, key, value)
    if threshold is not None:
        scores = sample.keypoints[..., store.channels.index("score")]
        sample.keypoints = unscored(sample.keypoints, scores, threshold)
    return sample
