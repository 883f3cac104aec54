"""Annotation pickles of PYSKL and mmaction2 to stores.

A dict with `split` (name -> ids) and `annotations` (a list of dicts), or the bare list. Source: PYSKL and
mmaction2 tools/data/skeleton README files.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from .benchmarks import check_counts, class_names, match_name, ntu_benchmark, unique_names
from .errors import DataError
from .journal import only_conversion
from .kinetics import KeypointFiles
from .layouts import default_layout, get_layout
from .restricted_pickle import restricted_load
from .store import Sample, StoreWriter

__all__ = ["convert_pyskl", "read_annotations", "restricted_load"]


def convert_pyskl(path, output, layout=None, classes=None, progress=None, strict=False, kpfiles=None, people=None):
    """Convert an annotation pickle into a store.

    C = 2 gives channels x, y (pixels), with `keypoint_score` x, y, score; C = 3 gives x, y, z (metres). A
    joint with a value that is not finite becomes zero. Labels without names that are not 0..K-1 are
    renumbered in rising order, the originals named as classes and kept in provenance["labels"]. Of more than two
    persons with scores the best comes first (by the sum of its scores), as readers take the first.

    Args:
        path: the pickle, opened by the restricted reader. output: the store to write.
        layout: SkeletonLayout, name or TOML file; by default the usual one for V joints.
        classes: class names in label order; by default those in the file (meta.classes) or of a known
            benchmark.
        progress: called with (done, total). strict: raise on the first bad annotation instead of skipping it.
        kpfiles: the folder of Kinetics' keypoint files, without which its annotations hold no keypoints.
        people: the most persons kept, all where None.
    Returns: dict with samples, skipped [(id, reason)], people {M: samples}, empty (samples without any
        joint), crowded (samples with more than two persons), layout, channels, classes (number), labels (the
        originals if renumbered, else None), splits {name: samples}, split_missing {name: ids not among the
        samples}, benchmark, counts {split: {found, expected}} and partial for NTU RGB+D.
    Raises: DataError where the file or every annotation is unusable, OSError where it cannot be read.
    """
    content, source = restricted_load(path), Path(path).name
    annotations, splits, meta = _parts(content, source)
    key = "filename" if "filename" in annotations[0] else "frame_dir"
    files = None
    if kpfiles is not None and "raw_file" in annotations[0]:
        files = KeypointFiles(kpfiles)
        annotations = sorted(annotations, key=lambda a: str(a.get("raw_file")) if isinstance(a, dict) else "")
    skeleton, scored, half = _survey(annotations if files is None else _first(files, annotations, key), layout, source)
    channels = ("x", "y", "z") if skeleton[1] == 3 else ("x", "y", "score") if scored else ("x", "y")
    names, renumbered = _classes(annotations, classes, meta, Path(path), key)
    lookup = {label: i for i, label in enumerate(renumbered)} if renumbered else None
    provenance = {"reader": "pyskl", "source": source, "labels": renumbered}
    provenance |= {f"meta.{name}": text for name, text in meta.items() if isinstance(text, str)}
    skipped, counted, empty, crowded = [], Counter(), 0, 0
    writer = StoreWriter(
        output,
        layout=skeleton[0],
        classes=names,
        channels=channels,
        units="metres" if skeleton[1] == 3 else "pixels",
        provenance=provenance,
        dtype="float16" if half else "float32",
    )
    with only_conversion(writer):
        for number, annotation in enumerate(annotations):
            try:
                annotation = files.fill(annotation, key) if files else annotation
                sample = _sample(annotation, key, channels, skeleton[0], source, number)
                crowded += len(sample.keypoints) > 2
                sample.keypoints = _best_first(sample.keypoints, scored)[:people]
                if lookup and sample.label >= 0:
                    sample.label = lookup[sample.label]
                writer.append(sample)
                counted[len(sample.keypoints)] += 1
                empty += not sample.keypoints[..., :2].any()
            except (DataError, OSError) as error:
                if strict:
                    raise
                name = annotation.get(key, number) if isinstance(annotation, dict) else number
                skipped.append((_name(name), str(error)))
            if progress:
                progress(number + 1, len(annotations))
        if not writer.ids:
            raise DataError(source, "annotations", "one usable annotation or more", skipped[0][1])
        missing = writer.set_splits(splits)
        sizes = {name: len(ids) - missing[name] for name, ids in splits.items()}
        ntu = [numbers for numbers in map(match_name, writer.ids) if numbers]
        benchmark = ntu_benchmark(ntu) if len(ntu) == len(writer.ids) else None
        counts = {name: entry for name, entry in check_counts(benchmark, len(writer.ids), sizes).items()
                  if name == "all" or name in sizes}  # fmt: skip
        partial = any(entry["found"] != entry["expected"] for entry in counts.values())
        writer.provenance |= {"skipped": len(skipped), "benchmark": benchmark, "partial": partial}
    return {
        "samples": len(writer.ids), "skipped": skipped, "empty": empty,
        "people": dict(sorted(counted.items())), "crowded": crowded,
        "layout": skeleton[0].name, "channels": list(channels), "classes": len(names), "labels": renumbered,
        "splits": sizes, "split_missing": missing, "benchmark": benchmark, "counts": counts, "partial": partial,
    }  # fmt: skip


def read_annotations(path, layout=None):
    """Yield the samples of an annotation pickle as `convert_pyskl` reads them, labels as in the file.

    Raises: DataError where the file or one of its annotations is unusable.
    """
    content, source = restricted_load(path), Path(path).name
    annotations, _, _ = _parts(content, source)
    skeleton, scored, _ = _survey(annotations, layout, source)
    channels = ("x", "y", "z") if skeleton[1] == 3 else ("x", "y", "score") if scored else ("x", "y")
    key = "filename" if "filename" in annotations[0] else "frame_dir"
    for number, annotation in enumerate(annotations):
        yield _sample(annotation, key, channels, skeleton[0], source, number)


def _first(files, annotations, key):
    """The first annotation that its kpfile fills, in a list; the last error where there is none."""
    problem = None
    for annotation in annotations:
        try:
            return [files.fill(annotation, key)]
        except (DataError, OSError) as error:
            problem = error
    raise problem


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
            raise DataError(
                source, "annotations", "the key", ", ".join(map(_told, list(content)[:5])) or "an empty dict"
            )
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
        raise DataError(
            source, "annotations[0].keypoint", "the key", ", ".join(map(_told, annotations[0]))[:120]
        )
    good = [a for a in annotations if isinstance(a, dict) and _is_keypoint(a.get("keypoint"))]
    if not good:
        number = next(i for i, a in enumerate(annotations) if isinstance(a, dict) and "keypoint" in a)
        _fail(source, number, "keypoint", "float array (M, T, V, 2 or 3)", annotations[number]["keypoint"])
    shapes = Counter(a["keypoint"].shape[2:] for a in good)
    joints, coordinates = shapes.most_common(1)[0][0]
    skeleton = default_layout(joints) if layout is None else get_layout(layout)
    if skeleton.num_joints != joints:
        raise DataError(source, "keypoint", f"{skeleton.num_joints} joints ({skeleton.name})", f"{joints}")
    scored = coordinates == 2 and any(a.get("keypoint_score") is not None for a in good)
    arrays = [a[k] for a in good for k in ("keypoint", "keypoint_score") if isinstance(a.get(k), np.ndarray)]
    return (skeleton, coordinates), scored, all(array.dtype == np.float16 for array in arrays)


def _is_keypoint(value):
    ok = (
        isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim == 4 and 0 not in value.shape
    )
    return ok and value.shape[3] in (2, 3)


def _sample(annotation, key, channels, layout, source, number):
    """One checked Sample, the label as in the file."""
    if not isinstance(annotation, dict):
        raise DataError(source, f"annotations[{number}]", "a dict", _told(annotation))
    for name in (key, "keypoint"):
        if name not in annotation:
            raise DataError(source, f"annotations[{number}].{name}", "the key", "none")
    keypoint, score = annotation["keypoint"], annotation.get("keypoint_score")
    coordinates = 3 if "z" in channels else 2
    if not _is_keypoint(keypoint) or keypoint.shape[2:] != (layout.num_joints, coordinates):
        _fail(source, number, "keypoint", f"float array (M, T, {layout.num_joints}, {coordinates})", keypoint)
    frames = annotation.get("total_frames", keypoint.shape[1])
    if not _is_int(frames) or frames != keypoint.shape[1]:
        _fail(source, number, "total_frames", keypoint.shape[1], frames)
    if "score" in channels:
        if not isinstance(score, np.ndarray) or score.shape != keypoint.shape[:3] or score.dtype.kind != "f":
            _fail(source, number, "keypoint_score", f"float array {keypoint.shape[:3]}", score)
        dtype = np.result_type(keypoint, score)
        keypoint = np.concatenate([keypoint, score[..., None]], -1, dtype=dtype)  # (M, T, V, 3)
    with np.errstate(over="ignore"):
        keypoint = keypoint.astype("float32") if keypoint.dtype.itemsize > 4 else keypoint
    bad = ~np.isfinite(keypoint).all(axis=-1)
    if bad.any():
        keypoint = np.where(bad[..., None], keypoint.dtype.type(0), keypoint)
    name = _name(annotation[key])
    numbers = match_name(name) or {}
    found = {}
    for field, names in (("subject", ("subject",)), ("camera", ("camera", "view")), ("setup", ("setup",))):
        value = next((annotation[n] for n in names if n in annotation), numbers.get(field, -1))
        if not _is_int(value) or not -1 <= value < 2**31:
            _fail(source, number, field, "a whole number", value)
        found[field] = int(value)
    size = annotation.get("img_shape", (0, 0)) if coordinates == 2 else (0, 0)
    if not isinstance(size, list | tuple | np.ndarray) or len(size) < 2 or not all(
        _is_int(side) and 0 <= side < 2**20 for side in size[:2]
    ):  # fmt: skip
        _fail(source, number, "img_shape", "(height, width)", size)
    label = annotation.get("label", -1)
    if not _is_int(label) or not -1 <= label < 2**31:
        _fail(source, number, "label", "a whole number, 0 or more", label)
    return Sample(name, keypoint, int(label), image_size=(int(size[0]), int(size[1])), **found)


def _classes(annotations, classes, meta, path, key):
    """(class names, original labels if they are renumbered, else None)."""
    labels = [a.get("label", -1) for a in annotations if isinstance(a, dict)]
    present = sorted({int(label) for label in labels if _is_int(label) and 0 <= label < 2**31})
    named = classes if classes is not None else meta.get("classes")
    if named is not None:
        if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
            raise DataError(path.name, "classes", "a list of names", _told(named))
        return unique_names(named), None
    if not present:
        return [], None
    name, first = path.name.lower(), [a for a in annotations[:100] if isinstance(a, dict)]
    actions = [(match_name(_name(a.get(key))) or {}).get("action", 0) - 1 for a in first]
    if (
        present[-1] < 120
        and min(actions) >= 0
        and actions == [a.get("label") for a in first if _is_int(a.get("label"))]
    ):
        return class_names("ntu60" if present[-1] < 60 else "ntu120"), None
    if "diving" in name and present[-1] < 48:
        return class_names("diving48"), None
    if "gym" in name and present[-1] < 99:
        return class_names("finegym99"), None
    if present == list(range(len(present))):
        return [str(label) for label in present], None
    return [str(label) for label in present], present


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


def _fail(source, number, key, expected, value):
    raise DataError(source, f"annotations[{number}].{key}", expected, _told(value))
