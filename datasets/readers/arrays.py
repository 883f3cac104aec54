"""Array files of other projects to stores: CTR-GCN and MAMP `.npz`, st-gcn and 2s-AGCN `.npy` with `.pkl` labels.

They are zero-padded to a fixed length and two persons; what is padding is left out. Read a sample at a time, and no
pickle inside an array file is ever opened.
"""

import contextlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..benchmarks import class_names, name_numbers, unique_names
from ..errors import DataError
from ..layouts import default_layout, get_layout
from ..store import Sample, StoreWriter
from .journal import Journal
from .report import conclude
from .restricted_pickle import restricted_load

_PROTOCOLS = dict.fromkeys(("CS", "CSUB", "XSUB"), "xsub") | dict.fromkeys(("CV", "XVIEW"), "xview")
_PROTOCOLS |= dict.fromkeys(("CSET", "XSET"), "xset")
_DATA_ENDINGS = ("_data_joint.npy", "_data.npy", "_position.npy")
_MAX_SAMPLE = 1 << 28


def convert_arrays(path, output, layout=None, classes=None, progress=None, strict=False, people=None):
    """Convert array files into a store.

    Args:
        path: a CTR-GCN `.npz` (x_train, y_train, x_test, y_test; x (N, T, M*V*C)); an st-gcn `.npy` (N, C, T, V, M)
            with its `_label.pkl` or `_label.npy` beside it; or the folder of such train and val pairs.
        output: the store to write. layout: SkeletonLayout, name or TOML file; by default the usual one for V joints.
        classes: class names in label order; by default NTU's for 60 or 120 classes, else the numbers.
        progress: called with (done, total). strict: raise on the first bad sample instead of leaving it out.
        people: the most persons kept, all where None.
    Returns: as `report.conclude`; and copied (samples whose second person only repeats the first and was left out).
    Raises: DataError where a file is not as described, OSError where it cannot be read.
    """
    path = Path(path)
    parts = list(_npz_parts(path) if path.suffix.lower() == ".npz" else _npy_parts(path))
    try:
        writer = _writer(path, parts, output, layout, classes)
        total, done, copied, skipped, splits = sum(len(part.labels) for part in parts), 0, 0, [], {}
        with Journal(output), writer:
            for part in parts:
                splits[part.split] = []
                for number, keypoints in part.read():
                    name = part.name(number)
                    try:
                        sample, copy = _sample(part, number, keypoints, _is_centred(writer.layout))
                        sample.keypoints = sample.keypoints[:people]
                        writer.append(sample)
                        copied += copy
                        splits[part.split].append(name)
                    except DataError as error:
                        if strict:
                            raise DataError(path, name, "", error) from None
                        skipped.append((name, str(error)))
                    done += 1
                    if progress:
                        progress(done, total)
            report = conclude(writer, path, skipped, splits, parts[0].benchmark)
        return report | {"copied": copied}
    finally:
        for part in parts:
            part.rows.close()


@dataclass
class _Part:
    """One split of array files.

    rows: _Rows of the samples. arrange: makes (M, T, V, C) of a row. names, frames: of each sample, None where unknown.
    classes: number, 0 where unknown.
    """

    split: str
    rows: "_Rows"
    labels: np.ndarray
    joints: int
    dims: int
    arrange: Callable
    names: list | None = None
    frames: np.ndarray | None = None
    classes: int = 0
    benchmark: str | None = None

    def name(self, number):
        return self.names[number] if self.names else f"{self.split}-{number:06d}"

    def read(self):
        """Yield (number, keypoints (M, T, V, C)), padding included."""
        for number in range(len(self.labels)):
            yield number, self.arrange(self.rows.read().astype("float32"))
        self.rows.finish()


def _writer(path, parts, output, layout, classes):
    joints, dims, benchmark = parts[0].joints, parts[0].dims, parts[0].benchmark
    skeleton = default_layout(joints) if layout is None else get_layout(layout)
    if skeleton.num_joints != joints or any((part.joints, part.dims) != (joints, dims) for part in parts):
        raise DataError(path, "joints", skeleton.num_joints, joints)
    flat = _is_centred(skeleton)
    highest = max(int(part.labels.max(initial=-1)) for part in parts)
    names = unique_names(classes) if classes else class_names(benchmark) if benchmark else None
    names = names or [str(label) for label in range(max(highest + 1, parts[0].classes))]
    if highest >= len(names):
        raise DataError(path, "labels", f"below {len(names)}", highest)
    return StoreWriter(
        output,
        layout=skeleton,
        classes=names,
        channels=("x", "y", "score") if flat and dims == 3 else ("x", "y", "z")[:dims],
        provenance={"reader": "arrays", "source": path.name},
    )


def _is_centred(layout):
    """Whether the keypoints are x, y, score in an image of size 1, which st-gcn centres on 0."""
    return layout.name.startswith("openpose")


def _sample(part, number, keypoints, flat):
    """(Sample, whether its second person was a copy of the first)."""
    keypoints, copy = _trim(keypoints, None if part.frames is None else part.frames[number])
    if flat:
        keypoints[..., :2] += 0.5 * (keypoints[..., :2].any(-1, keepdims=True))
    name = part.name(number)
    size = (1, 1) if flat else (0, 0)
    return Sample(name, keypoints, int(part.labels[number]), image_size=size, **name_numbers(name)), copy


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
        data = self._bytes(self.row)
        if len(data) != self.row:
            raise DataError(self.source, "", f"{self.shape[0]} rows", "the end of the file")
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])

    def finish(self):
        """Read past the last row, where a zip member's checksum is compared."""
        self._bytes(1)

    def _bytes(self, size):
        try:
            return self.file.read(size)
        except Exception as error:  # zlib's, zipfile's and the system's have no common base
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
            raise DataError(path, f"x_{part}", "75 or 150 values per frame (25 joints, x y z)", x[2])
        labels = np.array([_one_hot(rows["y"].read(), rows["y"].source) for _ in range(y[0])], "int64")
        rows["y"].close()
        number = y[1] if len(y) == 2 else 0
        yield _Part(
            split=f"{kind}_{official}" if kind else part,
            rows=rows["x"],
            labels=labels,
            joints=25,
            dims=3,
            arrange=lambda row: row.reshape(len(row), -1, 25, 3).swapaxes(0, 1),
            classes=number,
            benchmark=f"ntu{number}" if number in (60, 120) and kind else None,
        )


def _one_hot(row, source):
    if row.ndim == 0:
        return int(row)
    if np.count_nonzero(row) != 1:
        raise DataError(source, "", "one-hot rows", f"{np.count_nonzero(row)} values that are not zero")
    return int(np.argmax(row))


def _npy_parts(path):
    files = [path]
    if path.is_dir():
        found = {
            part: [path / (part + end) for end in _DATA_ENDINGS if (path / (part + end)).is_file()]
            for part in ("train", "val")
        }
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
        counts = file.parent / f"{stem}_num_frame.npy"
        frames = _vector(counts, shape[0]) if counts.is_file() else None
        yield _Part(stem, rows, labels, shape[3], shape[1], lambda row: row.transpose(3, 1, 2, 0), names, frames)


def _open_rows(path):
    file = path.open("rb")
    try:
        return _Rows(file, path.stat().st_size, path.name)
    except BaseException:
        file.close()
        raise


def _vector(path, count):
    with contextlib.closing(_open_rows(path)) as rows:
        if rows.shape[0] != count or rows.shape[1:] not in ((), (1,)) or rows.dtype.kind not in "iu":
            raise DataError(path, "", f"{count} whole numbers", f"{rows.dtype} {rows.shape}")
        return np.array([int(rows.read().ravel()[0]) for _ in range(count)], "int64")


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
