"""Anything readable to one store, with the same options whatever it is."""

import contextlib
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..layouts import get_layout
from ..store import SkeletonStore, StoreWriter
from .clips import convert_clips
from .intervals import IntervalTable, cut_intervals, has_intervals
from .journal import Journal
from .label_source import LabelSource
from .labels import ClassTable
from .recordings import CALLED, convert_recordings, kind_of, open_recordings
from .report import Conversion

_OWN = {  # what the converters of each kind take besides layout, people, strict and progress
    "skeletons": ("force",),
    "annotations": ("classes", "channels", "force"),
    "arrays": ("classes", "channels", "force"),
    "table": ("classes", "force"),
    "mocap": ("force",),
}


def convert(inputs, output, layout=None, *, people=None, strict=False, progress=None, **options):
    """Convert files and folders of any readable kind into one store.

    One input whose own converter has all the options asked for goes to that; estimators' files go to `convert_clips`;
    several of other kinds, or with further options, are read one after the other as `open_recordings` opens them.

    Args:
        inputs: a path or a list of them. output, layout, people, strict, progress: as `convert_clips`.
        options: channels, image_size, min_score, fps, classes, labels, force as `convert_clips`; labels may also be an
            `IntervalTable` file: its intervals become the samples.
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
    report["notes"] += [note for note in read["notes"] if note not in report["notes"]]
    return report | {"read": read["read"], "skipped": read["skipped"]}


def _together(inputs, kinds, output, layout, common, given):
    """The samples of all inputs, each opened as a store."""
    joints = "coco17" if layout is not None and get_layout(layout).num_joints == 17 else "all"
    own = {name: given[name] for name in ("channels", "image_size", "min_score") if name in given}
    with contextlib.ExitStack() as stack:
        stores, notes = [], []
        for path, kind in zip(inputs, kinds, strict=True):
            options = own if kind == "clips" else {name: own[name] for name in own if name in _OWN.get(kind, ())}
            opened = open_recordings(
                path, layout, people=common["people"], joints=joints, strict=common["strict"], **options
            )
            stores.append(stack.enter_context(opened))
        first = stores[0]
        for path, store in zip(inputs, stores, strict=True):
            for key in ("layout", "channels", "units"):
                expected, found = getattr(first, key), getattr(store, key)
                if expected != found:
                    expected, found = (getattr(value, "name", value) for value in (expected, found))
                    raise DataError(path, key, f"{expected} as in {inputs[0].name}", found)
            notes += [note for note in store.provenance.get("notes", ()) if note not in notes]
        source = LabelSource(given.get("labels"), [name for store in stores for name in store.ids])
        named = source.labels if "labels" in given else {n for s in stores for n in _in_order(s)}
        classes = given.get("classes")
        if classes is None and "labels" not in given and len({tuple(s.classes) for s in stores}) == 1:
            classes = first.classes
        table = ClassTable(named, classes)
        rates = {store.fps for store in stores}
        fps = given.get("fps", rates.pop() if len(rates) == 1 else None)
        threshold = given.get("min_score") if first.has_score else None
        if "min_score" in given:
            told = f"joints scored below {given['min_score']:g} count as not seen"
            notes += [told if first.has_score else "there are no scores: --min-score has no effect"]
        writer = StoreWriter(
            output,
            layout=first.layout,
            classes=table.names,
            channels=first.channels,
            units=first.units,
            dtype=np.result_type(*(store.dtype for store in stores)),
            provenance={"reader": "convert", "sources": [path.name for path in inputs]},
            fps=fps,
        )
        splits, done, unknown, total = {}, 0, 0, sum(map(len, stores))
        with Journal(output, force=given.get("force", False)), writer:
            conversion = Conversion(writer, first.path.name, common["strict"], arranged=True, notes=notes)
            for store in stores:
                for split, members in store.splits.items():
                    splits.setdefault(split, []).extend(store.ids[index] for index in members)
                for index, name in enumerate(store.ids):
                    facts = dict(source.facts(name))
                    for split in facts.pop("split", ()):
                        splits.setdefault(split, []).append(name)
                    label = store.classes[store.labels[index]] if store.labels[index] >= 0 else -1
                    label = table.number(facts.pop("label", -1 if "labels" in given else label))
                    unknown += label == -1
                    conversion.add(name, lambda s=store, i=index, k=label, f=facts: _sample(s, i, k, f, threshold))
                    done += 1
                    if common["progress"]:
                        common["progress"](done, total)
            notes += [*table.notes, *source.notes(unknown, total)]
            taken = Counter()
            for kind, store in zip(kinds, stores, strict=True):
                taken.update(store.provenance.get("forms") or {CALLED[kind]: 1})
            return conversion.conclude(splits) | {"read": dict(taken)}


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
        gone = sample.keypoints[..., store.channels.index("score")] < threshold
        sample.keypoints = np.where(gone[..., None], sample.keypoints.dtype.type(0), sample.keypoints)
    return sample
