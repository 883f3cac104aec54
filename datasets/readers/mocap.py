"""Motion capture of many sequences in one `.npz` to a store: places of joints relative to a root that moves."""

import zipfile
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..layouts import get_layout, layout_names
from ..store import Sample, StoreWriter
from .journal import Journal
from .report import Conversion

REQUIRED = ("root", "rel", "start", "joints")
_TEXTS = ("name", "source", "subject", "action", "licence")


def is_mocap(path):
    """Whether an `.npz` has the arrays of motion capture; False too where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {f"{key}.npy" for key in REQUIRED} <= set(archive.namelist())
    except Exception:  # zipfile lets many through: the reader tells what is wrong
        return False


def convert_mocap(path, output, layout=None, progress=None, strict=False, people=None, up=None, unit=None, force=False):
    """Convert motion capture into a store of x, y, z in metres.

    Args:
        path: an `.npz`: root (F, 3) and rel (F, V, 3) of all sequences one after the other, whose sums are places in
            metres with y up; start (N + 1,), frames start[i] to start[i + 1] are sequence i; joints (V,) names; and if
            there, of each sequence name, source, subject, action and licence, and fps.
        output: the store to write. Actions become classes, sources splits; subjects keep their names.
        layout: SkeletonLayout, name or TOML file; by default the built-in one with joints of these names.
        progress: called with (done, total). strict: raise on the first bad sequence instead of leaving it out.
        people: as other readers; there is one person in each sequence.
        up, unit: as `Conversion`. force: replace an output that is no store.

    Returns: as `Conversion.conclude`.
    Raises: DataError naming file and key; OSError where the file cannot be read.
    """
    path = Path(path)
    arrays = _read(path)
    skeleton, start, texts = _layout(path, arrays["joints"], layout), arrays["start"], _texts(path, arrays)
    classes = sorted(set(texts["action"]) - {""})
    provenance = {"reader": "mocap", "source": path.name}
    provenance |= {"licences": sorted(set(texts["licence"]) - {""})}
    options = {"classes": classes or ["motion"], "provenance": provenance, "fps": arrays.get("fps")}
    writer = StoreWriter(output, layout=skeleton, channels=("x", "y", "z"), **options)
    with Journal(output, force=force), writer:
        conversion, splits, count = Conversion(writer, path.name, strict, people, up=up, unit=unit), {}, len(start) - 1
        for number in range(count):
            frames = slice(start[number], start[number + 1])
            text = {key: values[number] for key, values in texts.items()}
            name = text["name"] or f"sequence-{number:05d}"
            places = arrays["root"][frames, None].astype("float32") + arrays["rel"][frames].astype("float32")
            label = classes.index(text["action"]) if text["action"] else -1
            sample = Sample(name, places[None], label, text["subject"] or -1)
            if conversion.add(name, lambda sample=sample: sample) and text["source"]:
                splits.setdefault(text["source"], []).append(name)
            if progress:
                progress(number + 1, count)
        return conversion.conclude(splits)


def _read(path):
    """The arrays of the file, their shapes checked."""
    with open(path, "rb"):
        pass  # a plain OSError where it cannot be read
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in (*REQUIRED, *_TEXTS, "fps") if key in file or key in REQUIRED}
    except KeyError as error:
        raise DataError(path, " ".join(error.args), f"arrays {', '.join(REQUIRED)}") from None
    except Exception as error:  # NumPy's, zlib's and zipfile's have no common base
        raise DataError(path, "", "a sound .npz archive without pickles", error) from None
    root, rel, start, joints = (arrays[key] for key in REQUIRED)
    forms = {
        "rel": (rel.ndim == 3 and rel.shape[2] == 3 and rel.dtype.kind in "fiu", "numbers (F, V, 3)", rel),
        "root": (root.shape == (*rel.shape[:1], 3) and root.dtype.kind in "fiu", f"numbers ({len(rel)}, 3)", root),
        "joints": (joints.shape == rel.shape[1:2] and joints.dtype.kind == "U", f"{rel.shape[1:2]} names", joints),
        "start": (start.ndim == 1 and start.dtype.kind in "iu" and len(start) > 1, "whole numbers (N + 1,)", start),
    }
    for key, (sound, expected, found) in forms.items():
        if not sound:
            raise DataError(path, key, expected, f"{found.dtype} {found.shape}")
    if start[0] < 0 or start[-1] > len(rel) or (np.diff(start.astype("int64")) < 1).any():
        raise DataError(path, "start", f"rising numbers from 0 to {len(rel)}", start[:4].tolist())
    return arrays


def _layout(path, joints, layout):
    names = tuple(joints.tolist())
    if layout is None:
        layout = next((name for name in layout_names() if get_layout(name).joints == names), None)
        if layout is None:
            expected = "the names of a built-in layout, or --layout NAME or FILE.toml"
            raise DataError(path, "joints", expected, ", ".join(names)[:80])
    skeleton = get_layout(layout)
    if skeleton.num_joints != len(names):
        raise DataError(path, "joints", f"{skeleton.num_joints} ({skeleton.name})", len(names))
    return skeleton


def _texts(path, arrays):
    """dict key -> a text for each sequence, "" where the file has none."""
    count, texts = len(arrays["start"]) - 1, {}
    for key in _TEXTS:
        values = arrays.get(key, np.full(count, ""))
        if values.shape != (count,) or values.dtype.kind != "U":
            raise DataError(path, key, f"({count},) texts", f"{values.dtype} {values.shape}")
        texts[key] = values.tolist()
    return texts
