"""Annotation pickles of PYSKL and mmaction2 to stores.

A dict with `split` (name -> ids) and `annotations` (a list of dicts), the bare list, a dict of annotations by id, or a
single annotation. Source: PYSKL and mmaction2 tools/data/skeleton README files.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from ..benchmarks import class_names, match_name, name_numbers, ntu_benchmark
from ..errors import DataError
from ..layouts import get_layout
from ..store import Sample, StoreWriter
from ..store.facts import EXPECTED, is_fact, is_whole
from ..transforms.presence import MIN_SCORE, seen_only
from .journal import Journal
from .json_file import told
from .kinetics import KeypointFiles
from .labels import ClassTable, LabelNote, label_of, plain, plain_label
from .report import Conversion, looks_scored, parse_channels, usual_layout, with_scores
from .restricted_pickle import restricted_load

_POINTS, _SCORES = "keypoint", "keypoint_score"


def convert_pyskl(
    path,
    output,
    layout=None,
    classes=None,
    progress=None,
    strict=False,
    kpfiles=None,
    people=None,
    channels=None,
    up=None,
    unit=None,
    force=False,
):
    """Convert an annotation pickle into a store.

    C = 2 gives channels x, y (pixels), with `keypoint_score` x, y, score; C = 3 gives x, y, z (metres), and scores
    beside it tell only what was seen. Labels may be numbers from 0 or 1, or class names; those without names that are
    not 0..K-1 are renumbered in rising order, the originals named as classes and kept in provenance["labels"]. People
    are as `people.arrange_people` finds them.

    Args:
        path: the pickle, or a gzip of it, opened by the restricted reader. output: the store to write.
        layout: SkeletonLayout, name or TOML file; by default the usual one for V joints.
        classes: class names in label order; by default those in the file (meta.classes) or of a known benchmark.
        progress: called with (done, total). strict: raise on the first bad annotation instead of skipping it.
        kpfiles: the folder of Kinetics' keypoint files, without which its annotations hold no keypoints.
        people: the most persons kept, as `people.join_tracks`.
        channels: what the values of `keypoint` are, where C = 3: ("x", "y", "z") or ("x", "y", "score").
        up, unit: as `Conversion`. force: replace an output that is no store.
    Returns: as `Conversion.conclude`; and labels (the originals if renumbered, else None).
    Raises: DataError where the file or every annotation is unusable, OSError where it cannot be read.
    """
    file = AnnotationFile(path, layout, kpfiles, parse_channels(channels))
    table = file.classes(classes)
    provenance = {"reader": "pyskl", "source": file.source, "labels": table.originals}
    provenance |= {f"meta.{name}": text for name, text in file.meta.items() if isinstance(text, str)}
    form = {"layout": file.layout, "channels": file.channels, "dtype": file.dtype}
    writer = StoreWriter(output, classes=table.names, provenance=provenance, **form)
    with Journal(output, force=force), writer:
        conversion = Conversion(writer, file.source, strict, people, notes=file.notes + table.notes, up=up, unit=unit)
        for number in range(len(file)):
            conversion.add(file.name(number) or str(number), lambda n=number: file.sample(n, table))
            if progress:
                progress(number + 1, len(file))
        ntu = [match_name(name) for name in writer.ids]
        report = conversion.conclude(file.splits, ntu_benchmark(ntu) if all(ntu) else None)
    return report | {"labels": table.originals}


class AnnotationFile:
    """An opened annotation pickle, and what all its annotations have in common.

    Args:
        path, layout, kpfiles, channels: as `convert_pyskl`.
    Attributes: annotations, a list; splits, dict name -> ids; meta, a dict; key, which holds the ids; layout; channels;
        dtype, the precision of the arrays; notes, what is read otherwise than it is written.
    Raises: DataError where the file is no such pickle, OSError where it cannot be read.
    """

    def __init__(self, path, layout=None, kpfiles=None, channels=None):
        self.path, self.notes = Path(path), []
        self.source = self.path.name
        self.annotations, self.splits, self.meta = _parts(restricted_load(path), self.source)
        self.key = "filename" if "filename" in self.annotations[0] else "frame_dir"
        self._files = None
        if kpfiles is not None and "raw_file" in self.annotations[0]:
            self._files = KeypointFiles(kpfiles)
            self.annotations.sort(key=lambda a: str(a.get("raw_file")) if isinstance(a, dict) else "")
        typical = list(map(_arrays, self.annotations if self._files is None else self._first_filled()))
        if self._files is None:
            self.annotations = typical
        self._survey(typical, layout, channels)

    def __len__(self):
        return len(self.annotations)

    def name(self, number):
        """The id of an annotation; "" where it has none."""
        annotation = self.annotations[number]
        return _name(annotation.get(self.key)) if isinstance(annotation, dict) else ""

    def sample(self, number, table):
        """One checked Sample, its label a number of the ClassTable. Raises DataError where it is unusable."""
        annotation, where = self.annotations[number], f"annotations[{number}]"
        if self._files is not None:
            annotation = _arrays(self._files.fill(annotation, self.key))
        if not isinstance(annotation, dict):
            raise DataError(self.source, where, "a dict", told(annotation))
        for key in (self.key, _POINTS):
            if key not in annotation:
                raise DataError(self.source, f"{where}.{key}", "the key", "none")

        def fail(key, expected, value):
            raise DataError(self.source, f"{where}.{key}", expected, told(value))

        if not _name(annotation[self.key]):
            fail(self.key, "a text", annotation[self.key])
        keypoint = self._keypoint(annotation, fail)
        facts = self._facts(annotation, fail)
        label = table.number(label_of(annotation.get("label", -1)))
        if label is None:
            expected = f"a class name or a number below {len(table.names)} (--classes names them)"
            fail("label", expected, annotation["label"])
        return Sample(_name(annotation[self.key]), keypoint, label, **facts)

    def classes(self, given=None):
        """The ClassTable of the labels; given: class names, else the file's or those of a benchmark it is of."""
        annotations = [a for a in self.annotations if isinstance(a, dict)]
        labels = {label_of(a.get("label", -1)) for a in annotations}
        named = given if given is not None else self.meta.get("classes")
        named = named.tolist() if isinstance(named, np.ndarray) else named
        if named is not None:
            if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
                raise DataError(self.source, "classes", "a list of names", told(named))
            return ClassTable(labels, named)
        return ClassTable(labels, self._benchmark_names(annotations, set(map(plain_label, labels))))

    def _benchmark_names(self, annotations, labels):
        """Class names of the benchmark that the file is of by its samples' names or its own; None where of none."""
        present = {label for label in labels if isinstance(label, int) and label >= 0}
        if not present or any(isinstance(label, str) for label in labels):
            return None
        first = annotations[:100]
        actions = [(match_name(_name(a.get(self.key))) or {}).get("action", 0) - 1 for a in first]
        is_ntu = min(actions) >= 0 and actions == [plain_label(a.get("label", -1)) for a in first]
        ntu, file = "ntu60" if max(present) < 60 else "ntu120", self.source.lower()
        for fits, benchmark, number in (
            (is_ntu, ntu, 120),
            ("diving48" in file and len(present) > 24, "diving48", 48),
            ("gym" in file and len(present) > 49, "finegym99", 99),
        ):
            if fits and max(present) < number:
                text = f"classes are named as those of {benchmark} (--classes FILE names them otherwise)"
                self.notes.append(LabelNote(text))
                return class_names(benchmark)
        return None

    def _first_filled(self):
        """The first annotation that its kpfile fills, in a list; the last error where there is none."""
        problem = None
        for annotation in self.annotations:
            try:
                return [self._files.fill(annotation, self.key)]
            except (DataError, OSError) as error:
                problem = error
        raise problem

    def _survey(self, annotations, layout, channels):
        """Find the layout, channels and precision that the annotations have in common."""
        good = [a for a in annotations if isinstance(a, dict) and _is_keypoint(a.get(_POINTS))]
        if not good:
            self._refuse(annotations)
        shapes = Counter(a[_POINTS].shape[2:] for a in good)
        joints, self._values = shapes.most_common(1)[0][0]
        self.layout = usual_layout(joints, self.notes, self._values) if layout is None else get_layout(layout)
        if self.layout.num_joints != joints:
            raise DataError(self.source, _POINTS, f"{self.layout.num_joints} joints ({self.layout.name})", f"{joints}")
        scores = [a[_SCORES] for a in good if _is_numbers(a.get(_SCORES)) and a[_SCORES].size]
        self._scale = 1
        if any(score.dtype == np.uint8 and score.max() > 1 for score in scores):
            self._scale = 255
            self.notes.append("scores of 0 to 255 are divided by 255")
        self._scored = any((score > MIN_SCORE).any() for score in scores)
        if scores and not self._scored:
            self.notes.append(f"no score is above {MIN_SCORE}: they say nothing and are left out")
        if self._scored and len(scores) < len(good):
            self.notes.append(f"{len(good) - len(scores)} sequences have no scores: taken as 1 where a joint was seen")
        self.channels = self._channels(good, channels)
        arrays = [a[_POINTS] for a in good] + scores * self._scored
        self.dtype = "float16" if all(array.dtype == np.float16 for array in arrays) else "float32"

    def _channels(self, good, given):
        """What the channels are: told by `given` where the third value of C = 3 is in doubt."""
        if self._values == 2:
            found = ("x", "y", "score") if self._scored else ("x", "y")
            if given and given != found:
                raise DataError(self.source, _POINTS, f"channels {','.join(given)}", ",".join(found))
            return found
        if given is None and any(looks_scored(a[_POINTS], self.layout) for a in good[:8]):
            expected = "a third value that is a depth, or convert-pyskl --channels x,y,score (or x,y,z)"
            raise DataError(self.source, _POINTS, expected, "values of 0 to 1, in doubt")
        if given and "z" in given and "score" in given and not self._scored:
            raise DataError(self.source, _SCORES, "scores, for channels x,y,z,score", "none")
        if self._scored and given != ("x", "y", "score"):
            return with_scores(("x", "y", "z"), given, self.notes)
        return given or ("x", "y", "z")

    def _refuse(self, annotations):
        """The DataError of annotations without a single keypoint array."""
        number = next((i for i, a in enumerate(annotations) if isinstance(a, dict) and _POINTS in a), None)
        if number is not None:
            found = told(annotations[number][_POINTS])
            raise DataError(self.source, f"annotations[{number}].{_POINTS}", "numbers (M, T, V, 2 or 3)", found)
        if "raw_file" in annotations[0]:
            found = "raw_file: the Kinetics form, whose keypoints are in kpfiles; name their folder (--kpfiles)"
            raise DataError(self.source, "annotations[0]", _POINTS, found)
        raise DataError(self.source, f"annotations[0].{_POINTS}", "the key", ", ".join(map(told, annotations[0]))[:120])

    def _keypoint(self, annotation, fail):
        """(M, T, V, C) float16 or float32."""
        keypoint, score = annotation[_POINTS], annotation.get(_SCORES)
        form = self.layout.num_joints, self._values
        if not _is_keypoint(keypoint) or keypoint.shape[2:] != form:
            fail(_POINTS, f"numbers (M, T, {form[0]}, {form[1]})", keypoint)
        frames = plain(annotation.get("total_frames"))
        if frames is not None and (not is_whole(frames) or frames != keypoint.shape[1]):
            fail("total_frames", keypoint.shape[1], frames)
        values, names = keypoint, ("x", "y", "z")[: self._values]
        if self._scored:
            score = np.ones(keypoint.shape[:3], "float16") if score is None else score
            if not _is_numbers(score) or score.shape != keypoint.shape[:3]:
                fail(_SCORES, f"numbers {keypoint.shape[:3]}", score)
            score = score.astype("float32") / self._scale if score.dtype == np.uint8 else score
            dtype, names = np.result_type(keypoint, score, np.float16), (*names, "score")
            values = np.concatenate([keypoint, score[..., None]], -1, dtype=dtype)  # (M, T, V, 3 or 4)
        if len(names) > len(self.channels):
            values = seen_only(values, names)[..., : len(self.channels)]
        with np.errstate(over="ignore"):
            return values.astype(self.dtype, copy=False)

    def _facts(self, annotation, fail):
        """dict of a Sample's subject, camera, setup and image_size."""
        found = name_numbers(_name(annotation[self.key]))
        for field, other in (("subject", "subject"), ("camera", "view"), ("setup", "setup")):
            value = plain(annotation.get(field, annotation.get(other, found[field])))
            value = plain_label(value) if field == "subject" else -1 if value is None else value
            if not is_fact(field, value):
                fail(field, EXPECTED[field], value)
            found[field] = value
        return found | {"image_size": image_size_in(annotation, self.channels, fail)}


def image_size_in(annotation, channels, fail):
    """(height, width) of the image of an annotation, zeros where it has none; fail(key, expected, value) raises."""
    size = (0, 0) if "z" in channels else annotation.get("img_shape")
    size = (0, 0) if size is None else size
    sized = isinstance(size, list | tuple | np.ndarray) and np.ndim(size) == 1 and len(size) >= 2
    sides = [plain(side) for side in size[:2]] if sized else [None]
    if not all(is_whole(side) and 0 <= side < 2**20 for side in sides):
        fail("img_shape", "(height, width)", size)
    return tuple(sides)


def _parts(content, source):
    """(annotations, splits, meta), each of the right type."""
    splits, meta, annotations = {}, {}, content
    if isinstance(content, dict) and "annotations" in content:
        annotations, splits, meta = (content.get(name) for name in ("annotations", "split", "meta"))
        splits = {} if splits is None else splits
    elif isinstance(content, dict) and _POINTS in content:
        annotations = [content]
    if isinstance(annotations, dict) and annotations and all(isinstance(a, dict) for a in annotations.values()):
        annotations = [{"frame_dir": name} | entry for name, entry in annotations.items()]
    if isinstance(content, dict) and annotations is content:
        found = ", ".join(map(told, list(content)[:5])) or "an empty dict"
        raise DataError(source, "annotations", "the key", found)
    if not isinstance(annotations, list | tuple) or not annotations:
        raise DataError(source, "annotations", "a list of dicts", told(annotations))
    if not isinstance(annotations[0], dict):
        raise DataError(source, "annotations[0]", "a dict", told(annotations[0]))
    if not isinstance(splits, dict):
        raise DataError(source, "split", "a dict of lists of ids", told(splits))
    named = {}
    for name, ids in splits.items():
        if not isinstance(ids, list | tuple | set | frozenset | np.ndarray | dict):
            raise DataError(source, f"split[{name!r}]", "a list of ids", told(ids))
        if isinstance(ids, set | frozenset):
            ids = sorted(ids, key=str)
        elif isinstance(ids, np.ndarray):
            ids = ids.ravel()
        named[str(name)] = [_name(i) for i in ids]
    return list(annotations), named, meta if isinstance(meta, dict) else {}


def _arrays(annotation):
    """The annotation with nested lists as arrays, an axis of people, and scores (M, T, V); what does not fit stays."""
    if not isinstance(annotation, dict):
        return annotation
    found = annotation | {key: _array(annotation[key]) for key in (_POINTS, _SCORES) if key in annotation}
    points, scores = found.get(_POINTS), found.get(_SCORES)
    if not isinstance(points, np.ndarray):
        return found
    if isinstance(scores, np.ndarray):
        scores = scores[..., 0] if scores.ndim == points.ndim and scores.shape[-1:] == (1,) else scores
        found[_SCORES] = scores[None] if scores.ndim == 2 else scores
    return found | {_POINTS: points[None] if points.ndim == 3 else points}


def _array(value):
    """Nested lists of numbers as an array; anything else as it is."""
    try:
        found = np.asarray(value) if isinstance(value, list | tuple) else value
    except (ValueError, OverflowError):
        return value
    return found if _is_numbers(found) else value


def _is_numbers(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu"


def _is_keypoint(value):
    return _is_numbers(value) and value.ndim == 4 and 0 not in value.shape and value.shape[3] in (2, 3)


def _name(value):
    """An identifier as text; "" for what cannot be one."""
    value = plain(value)
    return str(value) if isinstance(value, str) or (is_whole(value) and abs(value) < 2**63) else ""
