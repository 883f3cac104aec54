"""Every problem of an input or a store, sample by sample, instead of the first one only; and a repaired copy."""

import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .benchmarks import match_name
from .errors import DataError
from .layouts import SkeletonLayout
from .readers.ntu import read_people
from .readers.pyskl import AnnotationFile
from .readers.recordings import convert_recordings, kind_of
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


def validate(path, fix=None):
    """Every problem of a `.skeleton` file or a folder of them, an annotation `.pkl`, array files, a layout or a store.

    Args:
        path: the file or folder, never changed.
        fix: a store to write with what is sound; each problem says what was done about it, nothing else is changed.
    Returns: list of Problem, empty where all is well.
    Raises: OSError where the path cannot be read; DataError where nothing is left to write.
    """
    path = Path(path)
    path.stat()  # an OSError where there is nothing
    kind = kind_of(path)
    checks = {"skeletons": _skeletons, "annotations": _annotations, "store": _store, "layout": _layout}
    problems = list(checks.get(kind, _converted)(path))
    if fix is not None:
        if kind == "layout":
            raise DataError(path, "output", "a data file", "a layout")
        if Path(fix).resolve() == path.resolve():
            raise DataError(fix, "output", "another file than the one validated")
        (_salvage if kind == "store" else convert_recordings)(path, fix)
    return problems


def _problem(error, sample="", fix="left out"):
    """A DataError or OSError as a Problem."""
    if not isinstance(error, DataError):
        return Problem(sample, "", "a readable file", str(error), fix)
    source, key, expected, found = error.args
    return Problem(sample or source, key, expected, found, fix)


def _skeletons(path):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*.skeleton") if p.is_file())
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


def _annotations(path):
    try:
        file = AnnotationFile(path)
    except DataError as error:
        yield _problem(error)
        return
    ids = Counter()
    for number, annotation in enumerate(file.annotations):
        name = file.name(number) or f"annotations[{number}]"
        try:
            sample = file.sample(number)
        except DataError as error:
            yield _problem(error, name)
            continue
        ids[name] += 1
        if ids[name] > 1:
            yield Problem(name, file.key, "unique names", f"{ids[name]} times")
        elif sample.label < 0:
            yield Problem(name, "label", "a label", "none", "kept without", False)
        bad = int((~np.isfinite(annotation["keypoint"])).any(-1).sum())
        if bad:
            yield Problem(name, "keypoint", "finite values", f"{bad} joints that are not", "set to zero", False)
        if not sample.keypoints[..., :2].any():
            yield Problem(name, "keypoint", "a joint in one frame or more", "zeros", "kept", False)
        if "z" not in file.channels and sample.image_size == (0, 0):
            yield Problem(name, "img_shape", "(height, width)", "none", "kept as unknown", False)
    for name, members in file.splits.items():
        for member, times in Counter(members).items():
            if not ids[member]:
                yield Problem(member, f"split[{name!r}]", "an id among the annotations", "none", "left out of it")
            elif times > 1:
                yield Problem(member, f"split[{name!r}]", "unique ids", f"{times} times", "kept", False)


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


def _converted(path):
    """The problems that a conversion of array files or a table meets."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = convert_recordings(path, Path(folder) / path.name)
        except DataError as error:
            yield _problem(error)
            return
    for name, reason in report["skipped"]:
        yield Problem(name, "", "a usable sample", reason)
    if report.get("copied"):
        found = f"{report['copied']} samples in which it repeats the first"
        yield Problem("", "second person", "another person or zeros", found, "the copy is left out", False)


def _layout(path):
    try:
        layout = SkeletonLayout.from_toml(path)
    except DataError as error:
        yield _problem(error)
        return
    if len(layout.edges) < layout.num_joints - 1:
        found = f"{len(layout.edges)} edges for {layout.num_joints} joints"
        yield Problem("", "edges", "a connected skeleton", found, "", False)


def _salvage(path, output):
    """The readable, finite samples of a store whose header is sound."""
    with SkeletonStore(path) as store:
        options = {name: getattr(store, name) for name in ("layout", "classes", "channels", "units", "dtype")}
        with StoreWriter(output, **options, provenance=store.provenance | {"salvaged": path.name}) as writer:
            for index in range(len(store)):
                try:
                    writer.append(store.sample(index))
                except DataError:
                    continue
            writer.set_splits({name: [store.ids[i] for i in members] for name, members in store.splits.items()})
