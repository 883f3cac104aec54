"""Array files of other projects to stores: CTR-GCN and MAMP `.npz`, st-gcn and 2s-AGCN `.npy` with `.pkl` labels.

They are zero-padded to a fixed length and two persons; what is padding is left out. Read a sample at a time, and no
pickle inside an array file is ever opened.
"""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from .benchmarks import check_counts, class_names, match_name, unique_names
from .errors import DataError
from .journal import only_conversion
from .layouts import default_layout, get_layout
from .restricted_pickle import restricted_load
from .store import Sample, StoreWriter

_PROTOCOLS = {"CS": "xsub", "CSUB": "xsub", "XSUB": "xsub", "CV": "xview", "XVIEW": "xview", "CSET": "xset",
              "XSET": "xset"}  # fmt: skip
_DATA_ENDINGS = ("_data_joint.npy", "_data.npy", "_position.npy")
_MAX_SAMPLE = 1 << 28


def convert_arrays(path, output, layout=None, classes=None, progress=None, strict=False):
    """Convert array files into a store.

    Args:
        path: a CTR-GCN `.npz` (x_train, y_train, x_test, y_test; x (N, T, M*V*C)); an st-gcn `.npy` (N, C, T, V, M)
            with its `_label.pkl` or `_label.npy` beside it; or the folder of such train and val pairs.
        output: the store to write. layout: SkeletonLayout, name or TOML file; by default the usual one for V joints.
        classes: class names in label order; by default NTU's for 60 or 120 classes, else the numbers.
        progress: called with (done, total). strict: raise on the first bad sample instead of leaving it out.
    Returns: dict with samples, skipped [(id, reason)], copied (samples whose second person only repeats the first and
        was left out), people {M: samples}, splits {name: samples}, benchmark, counts, partial.
    Raises: DataError where a file is not as described, OSError where it cannot be read.
    """
    path = Path(path)
    parts = list(_npz_parts(path) if path.suffix == ".npz" else _npy_parts(path))
    try:
        return _convert(path, parts, output, layout, classes, progress, strict)
    finally:
        for part in parts:
            part["data"].close()


def _convert(path, parts, output, layout, classes, progress, strict):
    joints, dims = parts[0]["joints"], parts[0]["dims"]
    skeleton = default_layout(joints) if layout is None else get_layout(layout)
    if skeleton.num_joints != joints or any((p["joints"], p["dims"]) != (joints, dims) for p in parts):
        raise DataError(path, "joints", skeleton.num_joints, joints)
    flat = skeleton.name.startswith("openpose")  # x, y, score; centred on 0 by st-gcn
    channels = ("x", "y", "score") if flat and dims == 3 else ("x", "y", "z")[:dims]
    highest = max(int(p["labels"].max(initial=-1)) for p in parts)
    benchmark = parts[0]["benchmark"]
    names = unique_names(classes) if classes else class_names(benchmark) if benchmark else None
    names = names or [str(label) for label in range(max(highest + 1, parts[0]["classes"]))]
    if highest >= len(names):
        raise DataError(path, "labels", f"below {len(names)}", highest)
    total, done, skipped, copied, people, splits = sum(len(p["labels"]) for p in parts), 0, [], 0, Counter(), {}
    writer = StoreWriter(output, layout=skeleton, classes=names, channels=channels, dtype="float32",
                     units="pixels" if flat or dims == 2 else "metres",
                     provenance={"reader": "arrays", "source": path.name})  # fmt: skip
    with only_conversion(writer):
        for part in parts:
            splits[part["split"]] = []
            for number, label in enumerate(part["labels"].tolist()):
                name = part["names"][number] if part["names"] else f"{part['split']}-{number:06d}"
                keypoints = part["read"](part["data"].read())  # (M, T, V, C); always read: the stream goes on
                done += 1
                try:
                    keypoints, copy = _trim(keypoints, part["frames"][number] if part["frames"] is not None else None)
                    if flat:
                        keypoints[..., :2] += 0.5 * (keypoints[..., :2].any(-1, keepdims=True))
                    fields = match_name(name) or {}
                    numbers = {key: fields.get(key, -1) for key in ("subject", "camera", "setup")}
                    writer.append(Sample(name, keypoints, label, image_size=(1, 1) if flat else (0, 0), **numbers))
                    copied += copy
                    people[len(keypoints)] += 1
                    splits[part["split"]].append(name)
                except DataError as error:
                    if strict:
                        raise DataError(path, name, "", error) from None
                    skipped.append((name, str(error)))
                if progress:
                    progress(done, total)
            part["data"].finish()
        if not writer.ids:
            raise DataError(path, "samples", "one usable sample or more", skipped[0][1] if skipped else "none")
        writer.set_splits(splits)
        splits = {name: len(ids) for name, ids in splits.items()}
        counts = {name: entry for name, entry in check_counts(benchmark, len(writer.ids), splits).items()
                  if name == "all" or name in splits}  # fmt: skip
        partial = bool(skipped) or any(entry["found"] != entry["expected"] for entry in counts.values())
        writer.provenance |= {"benchmark": benchmark, "skipped": len(skipped), "partial": partial}
    return {"samples": len(writer.ids), "skipped": skipped, "copied": copied, "people": dict(sorted(people.items())),
            "splits": splits, "benchmark": benchmark, "counts": counts, "partial": partial}  # fmt: skip


def _trim(keypoints, frames):
    """((M, T, V, C) without padding, whether the second person was a copy of the first)."""
    if not np.isfinite(keypoints).all():
        keypoints = np.where(np.isfinite(keypoints).all(-1, keepdims=True), keypoints, 0)
    there = keypoints.any(axis=(2, 3))  # (M, T)
    if not there.any():
        raise DataError("", "", "a joint in one frame or more", "zeros")
    end = int(np.flatnonzero(there.any(0))[-1]) + 1 if frames is None else max(1, min(int(frames), there.shape[1]))
    keypoints = np.ascontiguousarray(keypoints[: int(np.flatnonzero(there.any(1))[-1]) + 1, :end])
    copy = len(keypoints) == 2 and np.array_equal(keypoints[0], keypoints[1])
    return (keypoints[:1] if copy else keypoints), copy


class _Rows:
    """The rows of a `.npy` stream of known size, one after the other; the announced shape is checked first."""

    def __init__(self, file, size, source):
        self.file, self.source = file, source
        try:
            version = np.lib.format.read_magic(file)
            reader = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
            self.shape, fortran, self.dtype = reader(file)
            header = file.tell()
        except Exception as error:  # NumPy lets those of its tokenizer and its evaluator through
            raise DataError(source, "", "a .npy array", error) from None
        row = self.dtype.itemsize
        for length in self.shape[1:]:
            row *= length
        if self.dtype.kind not in "fiub" or fortran or not self.shape or 0 in self.shape or row > _MAX_SAMPLE:
            found = f"{self.dtype} {self.shape}{', Fortran order' if fortran else ''}"
            raise DataError(source, "", "an array of numbers, rows first", found)
        if row * self.shape[0] != size - header:
            raise DataError(source, "", f"{row * self.shape[0]} bytes for shape {self.shape}", size - header)
        self.row = row

    def read(self):
        try:
            data = self.file.read(self.row)
        except Exception as error:  # zlib's, zipfile's and the system's have no common base
            raise DataError(self.source, "", "sound data", error) from None
        if len(data) != self.row:
            raise DataError(self.source, "", f"{self.shape[0]} rows", "the end of the file")
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])

    def finish(self):
        """Read past the last row, where a zip member's checksum is compared."""
        try:
            self.file.read(1)
        except Exception as error:
            raise DataError(self.source, "", "sound data", error) from None

    def close(self):
        self.file.close()


def _npz_parts(path):
    with open(path, "rb"):
        pass  # a plain OSError where it cannot be read
    name, _, protocol = path.stem.partition("_")
    kind = _PROTOCOLS.get(protocol.upper())
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:
        raise DataError(path, "", "a .npz archive", error) from None
    for part, official in (("train", "train"), ("test", "val")):
        rows = {}
        for key in ("y", "x"):
            member = f"{key}_{part}.npy"
            try:
                info = archive.getinfo(member)
                rows[key] = _Rows(archive.open(info), info.file_size, f"{path.name}: {key}_{part}")
            except DataError:
                raise
            except Exception as error:
                raise DataError(path, f"{key}_{part}", "an array", error) from None
        x, y = rows["x"].shape, rows["y"].shape
        if len(x) != 3 or len(y) not in (1, 2) or y[0] != x[0] or (len(y) == 2 and y[1] > 10000):
            raise DataError(path, f"x_{part}, y_{part}", "(N, T, M*V*C) and one-hot (N, K)", f"{x} and {y}")
        if x[2] not in (75, 150):
            raise DataError(path, f"x_{part}", "75 or 150 values a frame (25 joints, x y z)", x[2])
        labels = np.array([_one_hot(rows["y"].read(), rows["y"].source) for _ in range(y[0])], "int64")
        rows["y"].close()
        number = y[1] if len(y) == 2 else 0
        yield {"data": rows["x"], "labels": labels, "names": None, "frames": None, "joints": 25, "dims": 3,
               "classes": number, "benchmark": f"ntu{number}" if number in (60, 120) and kind else None,
               "split": f"{kind}_{official}" if kind else part,
               "read": lambda row: row.astype("float32").reshape(len(row), -1, 25, 3).swapaxes(0, 1)}  # fmt: skip


def _one_hot(row, source):
    if row.ndim == 0:
        return int(row)
    if np.count_nonzero(row) != 1:
        raise DataError(source, "", "one-hot rows", f"{np.count_nonzero(row)} values that are not zero")
    return int(np.argmax(row))


def _npy_parts(path):
    files = [path]
    if path.is_dir():
        found = {part: [path / (part + end) for end in _DATA_ENDINGS if (path / (part + end)).is_file()]
                 for part in ("train", "val")}  # fmt: skip
        files = [candidates[0] for candidates in found.values() if candidates]
        if not files:
            raise DataError(path, "", "train_data.npy and val_data.npy (or _data_joint, _position)", "none")
    for file in files:
        stem = next((file.name[: -len(end)] for end in _DATA_ENDINGS if file.name.endswith(end)), None)
        if stem is None:
            raise DataError(file, "name", f"one that ends in {', '.join(_DATA_ENDINGS)}", file.name)
        rows = _open_rows(file)
        shape = rows.shape
        if len(shape) != 5 or shape[1] not in (2, 3):
            raise DataError(file, "", "(N, C, T, V, M), C 2 or 3", shape)
        names, labels = _labels(file.parent / f"{stem}_label", shape[0])
        frames = file.parent / f"{stem}_num_frame.npy"
        yield {"data": rows, "labels": labels, "names": names, "joints": shape[3], "dims": shape[1], "classes": 0,
               "frames": _vector(frames, shape[0]) if frames.is_file() else None, "benchmark": None, "split": stem,
               "read": lambda row: row.astype("float32").transpose(3, 1, 2, 0)}  # fmt: skip


def _open_rows(path):
    file = path.open("rb")
    try:
        return _Rows(file, path.stat().st_size, path.name)
    except BaseException:
        file.close()
        raise


def _vector(path, count):
    rows = _open_rows(path)
    try:
        if rows.shape[0] != count or rows.shape[1:] not in ((), (1,)) or rows.dtype.kind not in "iu":
            raise DataError(path, "", f"{count} whole numbers", f"{rows.dtype} {rows.shape}")
        return np.array([int(rows.read().ravel()[0]) for _ in range(count)], "int64")
    finally:
        rows.close()


def _labels(base, count):
    """(names or None, (N,) int64 labels) of `<base>.pkl` or `<base>.npy`."""
    pickled = base.parent / f"{base.name}.pkl"
    if not pickled.is_file():
        return None, _vector(base.parent / f"{base.name}.npy", count)
    content = restricted_load(pickled)
    names, labels = content if isinstance(content, list | tuple) and len(content) == 2 else (None, None)
    ok = all(isinstance(part, list | tuple | np.ndarray) and len(part) == count for part in (names, labels))
    if not ok or not all(isinstance(name, str) for name in names):
        raise DataError(pickled, "", f"(names, labels), {count} each", type(content).__name__)
    if not all(isinstance(n, int | np.integer) and -1 <= n < 2**31 for n in labels):
        raise DataError(pickled, "labels", "whole numbers", "others")
    return [Path(name).stem if name.endswith(".skeleton") else name for name in names], np.array(labels, "int64")
