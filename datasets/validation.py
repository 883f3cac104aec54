"""Every problem of an input or a store, sample by sample, instead of the first one only; and a repaired copy."""

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .benchmarks import match_name
from .errors import DataError
from .layout_map import layout_map
from .layouts import SkeletonLayout, get_layout, layout_faults
from .readers.convert import convert
from .readers.journal import Journal
from .readers.ntu import read_people, skeleton_files
from .readers.recordings import convert_recordings, kind_of, open_recordings
from .readers.skeleton_text import parse_skeleton
from .store import SkeletonStore, StoreWriter


@dataclass
class Problem:
    """One fault: the sample's name ("": the whole file), the key, what was expected and found, what a repair does.

    error: True where the sample or file cannot be used as it is, False where it can but one should know.
    """

    sample: str
    key: str
    expected: str
    found: str
    fix: str = "left out"
    error: bool = True

    def __str__(self):
        text = str(DataError(self.sample or "file", self.key, self.expected, self.found))
        return f"{'error' if self.error else 'note'}: {text}"

    def to_dict(self):
        return asdict(self)


def validate(path, fix=None, layout=None, to=None):
    """Every problem of a `.skeleton` file or a folder of them, an annotation `.pkl`, array files, a layout or a store.

    Args:
        path: the file or folder, never changed.
        layout: SkeletonLayout, name or TOML file of what has no layout of its own; by default the usual one.
        to: a layout to take the joints for by name: what is derived and missing is told.
        fix: a store to write with what is sound; each problem says what was done about it, nothing else is changed.
    Returns: list of Problem, empty where all is well.
    Raises: OSError where the path cannot be read; DataError where nothing is left to write, or what would be written
        over is no store.
    """
    path = Path(path)
    path.stat()  # an OSError where there is nothing
    kind = kind_of(path)
    checks = {"skeletons": _skeletons, "store": _store, "layout": _layout}
    problems = list(checks[kind](path) if kind in checks else _converted(path, kind, layout, to))
    if kind == "store" and layout is not None:
        problems += _other_layout(path, layout)
    if to is not None:
        problems += _mapped(path, kind, layout, to)
    if fix is not None:
        if kind == "layout":
            raise DataError(path, "output", "a data file", "a layout")
        if Path(fix).resolve() == path.resolve():
            raise DataError(fix, "output", "another file than the one validated")
        if kind == "store":
            _salvage(path, fix, to)
        else:
            convert(path, fix, layout, to=to)
    return problems


def _problem(error, sample="", fix="left out"):
    """A DataError or OSError as a Problem."""
    if not isinstance(error, DataError):
        return Problem(sample, "", "a readable file", str(error), fix)
    source, key, expected, found = error.args
    return Problem(sample or source, key, expected, found, fix)


def _skeletons(path):
    files = [path] if path.is_file() else skeleton_files(path)
    if not files:
        yield Problem("", "", ".skeleton files", "none", "")
    seen = set()
    for file in files:
        if match_name(file.stem) is None:
            yield Problem(file.name, "name", "the form SsssCcccPpppRrrrAaaa", file.stem, error=path.is_dir())
        if file.stem in seen:
            yield Problem(file.name, "name", "unique names", "a second file of this name")
        seen.add(file.stem)
        try:
            _, verdicts = read_people(file)
            raw = parse_skeleton(file.read_bytes(), file.name)  # every value, also those not used
        except (DataError, OSError) as error:
            yield _problem(error, file.name)
            continue
        for body, track in raw.tracks.items():
            absent = int((~track.joints[..., :3].any(axis=-1)).sum())
            if absent:
                found = f"{absent} of {track.joints[..., 0].size} joints not finite or all zero"
                yield Problem(file.name, f"body {body}", "x y z", found, "taken as absent", False)
        for verdict in verdicts:
            if verdict.person is None:
                yield Problem(file.name, f"body {verdict.body}", "a person", verdict.reason, "dropped", False)


def _store(path):
    try:
        with SkeletonStore(path) as store:
            for index, name in enumerate(store.ids):
                try:
                    rows = store.read(index)
                except DataError as error:
                    yield _problem(error, name)
                    continue
                if not np.isfinite(rows).all():
                    yield Problem(name, "keypoints", "finite values", f"{int((~np.isfinite(rows)).sum())} that are not")
            for name in (name for name, times in Counter(store.ids).items() if times > 1):
                yield Problem(name, "samples/id", "unique names", "a repeated name")
            try:
                store.verify()
            except DataError as error:
                yield _problem(error, "", "computed again")
    except DataError as error:
        yield _problem(error)


def _other_layout(path, layout):
    """A problem where a store, which knows its own layout, is said to have another."""
    try:
        asked = get_layout(layout)
        with SkeletonStore(path) as store:
            own = store.layout
    except DataError as error:
        return [_problem(error, fix="")]
    if asked.joints == own.joints:
        return []
    return [Problem("", "layout", f"{own.name}, as the store has (--to reads it as another)", asked.name, "kept")]


def _converted(path, kind, layout, to):
    """The problems that a conversion of annotations, array files or a table meets, and what it mends."""
    options = {"by_names": True} if to is not None and kind == "clips" else {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = convert_recordings(path, Path(folder) / path.name, layout, **options)
        except DataError as error:
            yield _problem(error)
            return
    for name, reason in report["skipped"]:
        yield _problem(reason.error, name)
    for name, missing in report["split_missing"].items():
        if missing:
            yield Problem("", f"split[{name!r}]", "ids of usable samples", f"{missing} of others", "left out of it")
    for text in report["notes"]:
        yield Problem("", text, "", "", "", False)


def _mapped(path, kind, layout, to):
    """What `to` makes of the joints, as a note."""
    try:
        if kind == "layout":
            mapping = layout_map(path, to)
        else:
            with open_recordings(path, layout, to=to, strict=False) as store:
                mapping = store.mapping
    except DataError as error:
        return [_problem(error)]
    return [Problem("", str(mapping), "", "", "", False)]


def _layout(path):
    faults = layout_faults(path)
    yield from map(_problem, faults)
    if faults:
        return
    layout = SkeletonLayout.from_toml(path)
    if len(layout.edges) < layout.num_joints - 1:
        found = f"{len(layout.edges)} edges for {layout.num_joints} joints"
        yield Problem("", "edges", "a connected skeleton", found, "", False)


def _salvage(path, output, to):
    """The readable, finite samples of a store whose header is sound."""
    with SkeletonStore(path) as store:
        if to is not None:
            store.map_to(to)
        options = {name: getattr(store, name) for name in ("layout", "classes", "channels", "units", "dtype", "fps")}
        provenance = store.provenance | {"salvaged": path.name}
        with Journal(output), StoreWriter(output, **options, provenance=provenance) as writer:
            for index in range(len(store)):
                try:
                    writer.append(store.sample(index))
                except DataError:
                    continue
            writer.set_splits({name: [store.ids[i] for i in members] for name, members in store.splits.items()})
