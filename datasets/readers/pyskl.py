"""Annotation pickles of PYSKL and mmaction2 to stores.

A dict with `split` (name -> ids) and `annotations` (a list of dicts), or the bare list. Source: PYSKL and
mmaction2 tools/data/skeleton README files.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from ..benchmarks import class_names, match_name, name_numbers, ntu_benchmark, unique_names
from ..errors import DataError
from ..layouts import default_layout, get_layout
from ..store import Sample, StoreWriter
from .journal import Journal
from .kinetics import KeypointFiles
from .report import conclude
from .restricted_pickle import restricted_load


def convert_pyskl(path, output, layout=None, classes=None, progress=None, strict=False, kpfiles=None, people=None):
    """Convert an annotation pickle into a store.

    C = 2 gives channels x, y (pixels), with `keypoint_score` x, y, score; C = 3 gives x, y, z (metres). A joint with a
    value that is not finite becomes zero. Labels without names that are not 0..K-1 are renumbered in rising order, the
    originals named as classes and kept in provenance["labels"]. Of more than two persons with scores the best comes
    first (by the sum of its scores), as readers take the first.

    Args:
        path: the pickle, opened by the restricted reader. output: the store to write.
        layout: SkeletonLayout, name or TOML file; by default the usual one for V joints.
        classes: class names in label order; by default those in the file (meta.classes) or of a known benchmark.
        progress: called with (done, total). strict: raise on the first bad annotation instead of skipping it.
        kpfiles: the folder of Kinetics' keypoint files, without which its annotations hold no keypoints.
        people: the most persons kept, all where None.
    Returns: as `report.conclude`; and empty (samples without any joint), crowded (samples with more than two
        persons), labels (the originals if renumbered, else None).
    Raises: DataError where the file or every annotation is unusable, OSError where it cannot be read.
    """
    file = AnnotationFile(path, layout, kpfiles)
    names, renumbered = file.classes(classes)
    lookup = {label: index for index, label in enumerate(renumbered or ())}
    provenance = {"reader": "pyskl", "source": file.source, "labels": renumbered}
    provenance |= {f"meta.{name}": text for name, text in file.meta.items() if isinstance(text, str)}
    skipped, empty, crowded = [], 0, 0
    form = {"layout": file.layout, "channels": file.channels, "dtype": file.dtype}
    writer = StoreWriter(output, classes=names, provenance=provenance, **form)
    with Journal(output), writer:
        for number in range(len(file)):
            try:
                sample = file.sample(number)
                crowded += len(sample.keypoints) > 2
                sample.keypoints = _best_first(sample.keypoints, "score" in file.channels)[:people]
                sample.label = lookup.get(sample.label, sample.label)
                writer.append(sample)
                empty += not sample.keypoints[..., :2].any()
            except (DataError, OSError) as error:
                if strict:
                    raise
                skipped.append((file.name(number) or str(number), str(error)))
            if progress:
                progress(number + 1, len(file))
        ntu = [match_name(name) for name in writer.ids]
        report = conclude(writer, file.source, skipped, file.splits, ntu_benchmark(ntu) if all(ntu) else None)
    return report | {"empty": empty, "crowded": crowded, "labels": renumbered}


class AnnotationFile:
    """An opened annotation pickle, and what all its annotations have in common.

    Args:
        path, layout, kpfiles: as `convert_pyskl`.
    Attributes: annotations, a list; splits, dict name -> ids; meta, a dict; key, which holds the ids; layout; channels;
        dtype, the precision of the arrays.
    Raises: DataError where the file is no such pickle, OSError where it cannot be read.
    """

    def __init__(self, path, layout=None, kpfiles=None):
        self.path = Path(path)
        self.source = self.path.name
        self.annotations, self.splits, self.meta = _parts(restricted_load(path), self.source)
        self.key = "filename" if "filename" in self.annotations[0] else "frame_dir"
        self._files = None
        if kpfiles is not None and "raw_file" in self.annotations[0]:
            self._files = KeypointFiles(kpfiles)
            self.annotations.sort(key=lambda a: str(a.get("raw_file")) if isinstance(a, dict) else "")
        typical = self.annotations if self._files is None else self._first_filled()
        (self.layout, coordinates), scored, half = _survey(typical, layout, self.source)
        self.channels = ("x", "y", "z") if coordinates == 3 else ("x", "y", "score") if scored else ("x", "y")
        self.dtype = "float16" if half else "float32"

    def __len__(self):
        return len(self.annotations)

    def name(self, number):
        """The id of an annotation; "" where it has none."""
        annotation = self.annotations[number]
        return _name(annotation.get(self.key)) if isinstance(annotation, dict) else ""

    def sample(self, number):
        """One checked Sample, the label as in the file. Raises DataError where the annotation is unusable."""
        annotation, where = self.annotations[number], f"annotations[{number}]"
        if self._files is not None:
            annotation = self._files.fill(annotation, self.key)
        if not isinstance(annotation, dict):
            raise DataError(self.source, where, "a dict", _told(annotation))
        for key in (self.key, "keypoint"):
            if key not in annotation:
                raise DataError(self.source, f"{where}.{key}", "the key", "none")

        def fail(key, expected, value):
            raise DataError(self.source, f"{where}.{key}", expected, _told(value))

        keypoint = self._keypoint(annotation, fail)
        return Sample(_name(annotation[self.key]), keypoint, **self._facts(annotation, fail))

    def classes(self, given=None):
        """(class names, original labels if they are renumbered, else None); given: the names, else the file's."""
        annotations = [a for a in self.annotations if isinstance(a, dict)]
        labels = [a.get("label", -1) for a in annotations]
        present = sorted({int(label) for label in labels if _is_int(label) and 0 <= label < 2**31})
        named = given if given is not None else self.meta.get("classes")
        if named is not None:
            if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
                raise DataError(self.source, "classes", "a list of names", _told(named))
            return unique_names(named), None
        if not present:
            return [], None
        first = annotations[:100]
        actions = [(match_name(_name(a.get(self.key))) or {}).get("action", 0) - 1 for a in first]
        is_ntu = min(actions) >= 0 and actions == [a.get("label") for a in first if _is_int(a.get("label"))]
        ntu = "ntu60" if present[-1] < 60 else "ntu120"
        file = self.source.lower()
        for fits, benchmark, number in (
            (is_ntu, ntu, 120),
            ("diving" in file, "diving48", 48),
            ("gym" in file, "finegym99", 99),
        ):
            if fits and present[-1] < number:
                return class_names(benchmark), None
        renumbered = None if present == list(range(len(present))) else present
        return [str(label) for label in present], renumbered

    def _first_filled(self):
        """The first annotation that its kpfile fills, in a list; the last error where there is none."""
        problem = None
        for annotation in self.annotations:
            try:
                return [self._files.fill(annotation, self.key)]
            except (DataError, OSError) as error:
                problem = error
        raise problem

    def _keypoint(self, annotation, fail):
        """(M, T, V, C) float16 or float32, a joint that is not finite at zero."""
        keypoint, score = annotation["keypoint"], annotation.get("keypoint_score")
        form = self.layout.num_joints, 3 if "z" in self.channels else 2
        if not _is_keypoint(keypoint) or keypoint.shape[2:] != form:
            fail("keypoint", f"float array (M, T, {form[0]}, {form[1]})", keypoint)
        frames = annotation.get("total_frames", keypoint.shape[1])
        if not _is_int(frames) or frames != keypoint.shape[1]:
            fail("total_frames", keypoint.shape[1], frames)
        if "score" in self.channels:
            if not isinstance(score, np.ndarray) or score.shape != keypoint.shape[:3] or score.dtype.kind != "f":
                fail("keypoint_score", f"float array {keypoint.shape[:3]}", score)
            dtype = np.result_type(keypoint, score)
            keypoint = np.concatenate([keypoint, score[..., None]], -1, dtype=dtype)  # (M, T, V, 3)
        with np.errstate(over="ignore"):
            keypoint = keypoint.astype("float32") if keypoint.dtype.itemsize > 4 else keypoint
        bad = ~np.isfinite(keypoint).all(axis=-1)
        return np.where(bad[..., None], keypoint.dtype.type(0), keypoint) if bad.any() else keypoint

    def _facts(self, annotation, fail):
        """dict of a Sample's label, subject, camera, setup and image_size."""
        found = name_numbers(_name(annotation[self.key]))
        for field, other in (("subject", "subject"), ("camera", "view"), ("setup", "setup")):
            value = annotation.get(field, annotation.get(other, found[field]))
            if not _is_int(value) or not -1 <= value < 2**31:
                fail(field, "a whole number", value)
            found[field] = int(value)
        size = (0, 0) if "z" in self.channels else annotation.get("img_shape", (0, 0))
        sized = isinstance(size, list | tuple | np.ndarray) and len(size) >= 2
        if not sized or not all(_is_int(side) and 0 <= side < 2**20 for side in size[:2]):
            fail("img_shape", "(height, width)", size)
        label = annotation.get("label", -1)
        if not _is_int(label) or not -1 <= label < 2**31:
            fail("label", "a whole number, 0 or more", label)
        return found | {"label": int(label), "image_size": (int(size[0]), int(size[1]))}


def _best_first(keypoints, scored):
    """Of more than two persons the one with the highest sum of scores first; otherwise as they are."""
    if not scored or len(keypoints) <= 2:
        return keypoints
    return keypoints[np.argsort(-keypoints[..., 2].sum(axis=(1, 2), dtype="float64"), kind="stable")]


def _parts(content, source):
    """(annotations, splits, meta), each of the right type."""
    splits, meta, annotations = {}, {}, content
    if isinstance(content, dict):
        if "annotations" not in content:
            found = ", ".join(map(_told, list(content)[:5])) or "an empty dict"
            raise DataError(source, "annotations", "the key", found)
        annotations, splits, meta = (content.get(name, {}) for name in ("annotations", "split", "meta"))
    if not isinstance(annotations, list) or not annotations:
        raise DataError(source, "annotations", "a list of dicts", _told(annotations))
    if not isinstance(annotations[0], dict):
        raise DataError(source, "annotations[0]", "a dict", _told(annotations[0]))
    if not isinstance(splits, dict):
        raise DataError(source, "split", "a dict of lists of ids", _told(splits))
    named = {}
    for name, ids in splits.items():
        if not isinstance(name, str) or not isinstance(ids, list | tuple | np.ndarray):
            raise DataError(source, f"split[{name!r}]", "a list of ids", _told(ids))
        named[name] = [_name(i) for i in ids]
    return annotations, named, meta if isinstance(meta, dict) else {}


def _survey(annotations, layout, source):
    """((layout, C), scores present, all float16), from the annotations that have keypoints."""
    if not any(isinstance(a, dict) and "keypoint" in a for a in annotations):
        if "raw_file" in annotations[0]:
            found = "raw_file: the Kinetics form, whose keypoints are in kpfiles; name their folder (--kpfiles)"
            raise DataError(source, "annotations[0]", "keypoint", found)
        raise DataError(source, "annotations[0].keypoint", "the key", ", ".join(map(_told, annotations[0]))[:120])
    good = [a for a in annotations if isinstance(a, dict) and _is_keypoint(a.get("keypoint"))]
    if not good:
        number = next(i for i, a in enumerate(annotations) if isinstance(a, dict) and "keypoint" in a)
        found = _told(annotations[number]["keypoint"])
        raise DataError(source, f"annotations[{number}].keypoint", "float array (M, T, V, 2 or 3)", found)
    shapes = Counter(a["keypoint"].shape[2:] for a in good)
    joints, coordinates = shapes.most_common(1)[0][0]
    skeleton = default_layout(joints) if layout is None else get_layout(layout)
    if skeleton.num_joints != joints:
        raise DataError(source, "keypoint", f"{skeleton.num_joints} joints ({skeleton.name})", f"{joints}")
    scored = coordinates == 2 and any(a.get("keypoint_score") is not None for a in good)
    arrays = [a[k] for a in good for k in ("keypoint", "keypoint_score") if isinstance(a.get(k), np.ndarray)]
    return (skeleton, coordinates), scored, all(array.dtype == np.float16 for array in arrays)


def _is_keypoint(value):
    ok = isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim == 4 and 0 not in value.shape
    return ok and value.shape[3] in (2, 3)


def _is_int(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _name(value):
    """An identifier as text; "" for what cannot be one."""
    return str(value) if isinstance(value, str) or (_is_int(value) and abs(value) < 2**63) else ""


def _told(value):
    """A value in few words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, str | float | type(None)) or (_is_int(value) and abs(value) < 2**63):
        return ascii(value)[:60]
    return type(value).__name__
