"""Array files of other projects to stores: CTR-GCN and MAMP `.npz`, st-gcn and 2s-AGCN `.npy` with `.pkl` labels.

They are zero-padded to a fixed length and two persons; what is padding is left out. Read a sample at a time, and no
pickle inside an array file is ever opened.
"""

import contextlib
import functools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..benchmarks import class_names, name_numbers
from ..errors import DataError
from ..layouts import get_layout, layout_names
from ..store import Sample, StoreWriter
from .journal import Journal
from .labels import ClassTable, label_of, plain
from .report import Conversion, looks_scored, parse_channels, seen_and_not, usual_layout
from .restricted_pickle import restricted_load

_PROTOCOLS = dict.fromkeys(("CS", "CSUB", "XSUB"), "xsub") | dict.fromkeys(("CV", "XVIEW"), "xview")
_PROTOCOLS |= dict.fromkeys(("CSET", "XSET"), "xset")
_DATA_ENDINGS = ("_data_joint.npy", "_data.npy", "_position.npy")
_MAX_SAMPLE = 1 << 28
_PEEKED = 8  # samples of a part that tell what its third value is


def convert_arrays(
    path,
    output,
    layout=None,
    classes=None,
    progress=None,
    strict=False,
    people=None,
    channels=None,
    up=None,
    unit=None,
    force=False,
):
    """Convert array files into a store.

    Args:
        path: an `.npz` as CTR-GCN's (x_train, y_train, x_test, y_test or other parts; x (N, T, M*V*C), (N, C, T, V, M)
            or (N, T, M, V, C), y one-hot or numbers); an st-gcn `.npy` (N, C, T, V, M) with its `_label.pkl` or
            `_label.npy` beside it; or the folder of such train and val pairs.
        output: the store to write. layout: SkeletonLayout, name or TOML file; by default the usual one for V joints.
        classes: class names in label order; by default NTU's for 60 or 120 classes, else the numbers.
        progress: called with (done, total). strict: raise on the first bad sample instead of leaving it out.
        people: the most persons kept, as `people.arrange_people`.
        channels: what the values of a joint are, such as ("x", "y", "score"); by default x, y or x, y, z.
        up, unit: as `Conversion`. force: replace an output that is no store.
    Returns: as `Conversion.conclude`.
    Raises: DataError where a file is not as described, OSError where it cannot be read.
    """
    path, skeleton = Path(path), None if layout is None else get_layout(layout)
    with contextlib.ExitStack() as stack:
        channels = parse_channels(channels)
        reader = _npz_parts if path.suffix.lower() == ".npz" else _npy_parts
        parts = []
        for part in reader(path, skeleton, channels):
            stack.callback(part.rows.close)
            parts.append(part)
        form = _Form(path, parts, skeleton, channels, classes)
        options = {"layout": form.layout, "classes": form.classes.names, "channels": form.channels}
        writer = StoreWriter(output, provenance={"reader": "arrays", "source": path.name}, **options)
        total, done, splits = sum(len(part.labels) for part in parts), 0, {}
        with Journal(output, force=force), writer:
            conversion = Conversion(writer, path.name, strict, people, notes=form.notes, up=up, unit=unit)
            for part in parts:
                members = splits.setdefault(part.split, [])
                for number, keypoints in part.read():
                    name = part.name(number)
                    read = functools.partial(form.sample, part, number, keypoints, conversion.counts)
                    if conversion.add(name, read):
                        members.append(name)
                    done += 1
                    if progress:
                        progress(done, total)
            return conversion.conclude(splits, parts[0].benchmark)


@dataclass
class _Part:
    """One split of array files.

    rows: Rows of the samples. peek: opens them once more. labels: of each sample, as `label_of` gives them.
    joints, dims: V and C. arrange: makes (M, T, V, C) of a row. names, frames: of each sample, None where unknown.
    classes: number, 0 where unknown. note: how the axes were read, where there is a choice.
    """

    split: str
    rows: "Rows"
    peek: Callable
    labels: list
    joints: int
    dims: int
    arrange: Callable
    names: list | None = None
    frames: np.ndarray | None = None
    classes: int = 0
    benchmark: str | None = None
    note: str = ""

    def name(self, number):
        return self.names[number] if self.names else f"{self.split}-{number:06d}"

    def read(self):
        """Yield (number, keypoints (M, T, V, C)), padding included."""
        for number in range(len(self.labels)):
            with np.errstate(over="ignore"):
                yield number, self.arrange(self.rows.read().astype("float32"))
        self.rows.finish()

    def first(self):
        """The points of the first samples, (N, C)."""
        with contextlib.closing(self.peek()) as rows:
            found = [self.arrange(rows.read().astype("float32")) for _ in range(min(_PEEKED, len(self.labels)))]
        return np.concatenate([keypoints.reshape(-1, self.dims) for keypoints in found])


class _Form:
    """What all parts have in common. Attributes: layout, channels, classes, notes; centred, whether x, y are st-gcn's
    of an image of size 1, centred on 0, and the third value a score."""

    def __init__(self, path, parts, skeleton, channels, classes):
        joints, dims, self.source = parts[0].joints, parts[0].dims, path.name
        self.notes = list(dict.fromkeys(part.note for part in parts if part.note))
        self.layout = skeleton or usual_layout(joints, self.notes, dims)
        other = next(((p.joints, p.dims) for p in parts if (p.joints, p.dims) != (joints, dims)), None)
        if self.layout.num_joints != joints or other:
            found = f"{other[0]} of {other[1]} values" if other else joints
            raise DataError(path, "joints", f"{self.layout.num_joints} of {dims} values ({self.layout.name})", found)
        first = np.concatenate([part.first() for part in parts])
        first = first[np.isfinite(first).all(-1)]
        self.centred = self.layout.name.startswith("openpose") and dims == 3 and channels in (None, ("x", "y", "score"))
        self.centred = self.centred and bool(np.abs(first[:, :2]).max(initial=0) <= 1)
        if dims == 3 and channels is None and not self.centred and looks_scored(first, self.layout):
            expected = "a third value that is a depth, or convert-arrays --channels x,y,score (or x,y,z)"
            raise DataError(path, "x", expected, "values of 0 to 1, in doubt")
        self.channels = ("x", "y", "score") if self.centred else channels or ("x", "y", "z")[:dims]
        if len(self.channels) != dims:
            raise DataError(path, "channels", f"{dims} of them", ",".join(self.channels))
        labels, benchmark = {label for part in parts for label in part.labels}, parts[0].benchmark
        names = classes or (class_names(benchmark) if benchmark else None)
        if names is None and parts[0].classes and not labels >= set(range(1, parts[0].classes)):
            names = [str(label) for label in range(parts[0].classes)]  # one-hot, and more classes than are used
        self.classes = ClassTable(labels, names)
        self.notes += self.classes.notes

    def sample(self, part, number, keypoints, counts):
        """The Sample of a row; a second person that only repeats the first is left out and counted."""
        label = self.classes.number(part.labels[number])
        if label is None:
            found = repr(part.labels[number])[:60]
            raise DataError(self.source, part.name(number), f"one of {len(self.classes.names)} classes", found)
        keypoints, unseen = seen_and_not(keypoints, self.channels)
        counts["unseen"] += unseen
        keypoints = _trim(keypoints, None if part.frames is None else part.frames[number])
        if len(keypoints) == 2 and np.array_equal(*keypoints) and keypoints.any():
            keypoints = keypoints[:1]
            counts["copied"] += 1
        if self.centred:
            keypoints[..., :2] += 0.5 * (keypoints[..., :2].any(-1, keepdims=True))
        size = (1, 1) if self.centred else (0, 0)
        return Sample(part.name(number), keypoints, label, image_size=size, **name_numbers(part.name(number)))


def _trim(keypoints, frames):
    """(M, T, V, C) without padding; one frame of one person where there is nobody."""
    there = keypoints.any(axis=(2, 3))  # (M, T)
    end = int(np.flatnonzero(there.any(0))[-1]) + 1 if there.any() else 1
    end = end if frames is None else max(1, min(int(frames), there.shape[1]))
    last = int(np.flatnonzero(there.any(1))[-1]) + 1 if there.any() else 1
    return np.ascontiguousarray(keypoints[:last, :end])


class Rows:
    """The rows of a `.npy` stream of known size, one after the other; the announced shape is checked first."""

    def __init__(self, file, size, source, kinds="fiub"):
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
        if self.dtype.kind == "O":
            found = f"{self.dtype} {self.shape}; pad its samples with zeros to one shape, or write a .pkl"
            raise DataError(source, "", "an array of numbers", found)
        if self.dtype.kind not in kinds or fortran or not self.shape or 0 in self.shape or row > _MAX_SAMPLE:
            found = f"{self.dtype} {self.shape}{', Fortran order (np.ascontiguousarray helps)' if fortran else ''}"
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


def _npz_parts(path, skeleton, channels):
    with open(path, "rb"):
        pass  # a plain OSError where it cannot be read
    name, _, protocol = path.stem.rpartition("_")
    kind = _PROTOCOLS.get(protocol.upper())
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:
        raise DataError(path, "", "a .npz archive", error) from None

    def open_rows(key, kinds="fiub"):
        try:
            info = archive.getinfo(f"{key}.npy")
            return Rows(archive.open(info), info.file_size, f"{path.name}: {key}", kinds)
        except DataError:
            raise
        except Exception as error:
            raise DataError(path, key, "an array", error) from None

    members = [member.removesuffix(".npy") for member in archive.namelist()]
    found = [member[2:] for member in members if member.startswith("x_") and len(member) > 2]
    alone = [member for member in members if member.startswith("y_") and member[2:] not in found]
    if alone:
        raise DataError(path, f"x_{alone[0][2:]}", "an array", "none")
    if not found:
        listed = ", ".join(members[:6]) or "none"
        raise DataError(
            path, "", "arrays x_train and y_train (and x_test, y_test; docs/own-data.md has other ways)", listed
        )
    for part in sorted(found, key=lambda part: (not part.startswith("train"), members.index(f"x_{part}"))):
        labels, number = _read_labels(open_rows(f"y_{part}", "fiubU"))
        rows = open_rows(f"x_{part}")
        if len(labels) != rows.shape[0]:
            raise DataError(path, f"y_{part}", f"{rows.shape[0]} rows", len(labels))
        joints, dims, arrange, note = _axes(rows, skeleton, channels)
        ntu = kind and number in (60, 120) and joints == 25 and "ntu" in name.lower()
        official = {"train": "train", "test": "val", "val": "val"}.get(part)
        yield _Part(
            split=f"{kind}_{official}" if kind and official else part,
            rows=rows,
            peek=functools.partial(open_rows, f"x_{part}"),
            labels=labels,
            joints=joints,
            dims=dims,
            arrange=arrange,
            classes=number,
            benchmark=f"ntu{number}" if ntu else None,
            note=note,
        )


def _axes(rows, skeleton, channels):
    """(V, C, function row -> (M, T, V, C), note) of an .npz array (N, T, M*V*C), or of 5 axes."""
    shape, source = rows.shape, rows.source
    joints = skeleton.num_joints if skeleton else None
    if len(shape) == 3:
        if joints is None and shape[2] in (75, 150):
            joints = 25
        values, left = divmod(shape[2], joints) if joints else (0, 0)
        dims = len(channels) if channels else 3 if values % 3 == 0 else 2
        if not values or left or values % dims:
            fits = [name for name in layout_names() if shape[2] / get_layout(name).num_joints in (2, 3, 4, 6)]
            told = f"--layout FILE.toml{' or ' if fits else ''}{', '.join(fits)}"
            given = f" of {joints} joints" if joints else ""
            expected = f"people x joints x 2 or 3 values a frame{given} ({told})"
            raise DataError(source, "", expected, f"{shape[2]} values a frame")
        usual = joints == 25 and shape[2] in (75, 150)
        note = "" if usual else f"a frame is read as {values // dims} x {joints} joints x {dims} values"
        return joints, dims, lambda row: row.reshape(len(row), -1, joints, dims).swapaxes(0, 1), note
    found = [("(N, T, V, C)", shape[2], shape[3], lambda row: row[None])] if len(shape) == 4 else []
    if len(shape) == 5:
        found.append(("(N, C, T, V, M)", shape[3], shape[1], lambda row: row.transpose(3, 1, 2, 0)))
        if shape[1] != shape[2]:  # there are fewer people than frames
            people_first = shape[1] < shape[2]
            name = "(N, M, T, V, C)" if people_first else "(N, T, M, V, C)"
            found.append((name, shape[3], shape[4], lambda row: row if people_first else row.swapaxes(0, 1)))
    usual = (2, 3) if channels is None else (len(channels),)
    found = [entry for entry in found if entry[2] in usual and joints in (None, entry[1])]
    if len(found) == 2 and (shape[1], shape[4]) == (3, 2):  # x, y, z of two people, as st-gcn has them
        del found[1]
    if len(found) != 1:
        wanted = f" of {joints} joints" if joints else ""
        expected = f"(N, T, M*V*C), or 5 axes that --layout and --channels tell apart, as (N, C, T, V, M){wanted}"
        raise DataError(source, "", expected, shape)
    ((name, joints, dims, arrange),) = found
    return joints, dims, arrange, f"the axes are read as {name}"


def _read_labels(rows):
    """(labels as `label_of` gives them, number of classes or 0) of one-hot rows, numbers or texts."""
    with contextlib.closing(rows):
        count, wide = rows.shape[0], rows.shape[1] if len(rows.shape) == 2 else 1
        if len(rows.shape) > 2 or wide > 10000 or (rows.dtype.kind == "U" and wide > 1):
            raise DataError(rows.source, "", "one-hot (N, K), or N numbers or names", rows.shape)
        labels = [_label(rows.read(), rows.source) for _ in range(count)]
    return labels, wide if wide > 1 else 0


def _label(row, source):
    if row.size > 1:
        if np.count_nonzero(row) != 1:
            raise DataError(source, "", "one-hot rows", f"{np.count_nonzero(row)} values that are not zero")
        return int(np.argmax(row))
    label = label_of(row)
    if label is None:
        raise DataError(source, "", "whole numbers or names", repr(plain(row))[:60])
    return label


def _npy_parts(path, skeleton, channels):
    files = [path]
    if path.is_dir():
        found = {
            part: [path / (part + end) for end in _DATA_ENDINGS if (path / (part + end)).is_file()]
            for part in ("train", "val", "test")
        }
        files = [candidates[0] for candidates in found.values() if candidates]
        if not files:
            raise DataError(path, "", "train_data.npy and val_data.npy (or _data_joint, _position)", "none")
    for file in files:
        stem = next((file.name[: -len(end)] for end in _DATA_ENDINGS if file.name.endswith(end)), None)
        if stem is None:
            expected = f"one that ends in {', '.join(_DATA_ENDINGS)} (docs/own-data.md has other ways)"
            raise DataError(file, "name", expected, file.name)
        rows = open_rows(file)
        shape = rows.shape
        if len(shape) != 5 or shape[1] not in (2, 3):
            raise DataError(file, "", "(N, C, T, V, M), C 2 or 3", shape)
        names, labels = _labels(file.parent / f"{stem}_label", shape[0])
        peek = functools.partial(open_rows, file)
        counts = file.parent / f"{stem}_num_frame.npy"
        frames = _vector(counts, shape[0]) if counts.is_file() else None
        yield _Part(stem, rows, peek, labels, shape[3], shape[1], lambda row: row.transpose(3, 1, 2, 0), names, frames)


def open_rows(path):
    file = path.open("rb")
    try:
        return Rows(file, path.stat().st_size, path.name)
    except BaseException:
        file.close()
        raise


def are_stacked(path):
    """Whether a `.npz` or `.npy` holds many samples as `convert_arrays` reads them, by names inside or its own."""
    if path.suffix.lower() == ".npy":
        return path.name.lower().endswith(_DATA_ENDINGS)
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith(("x_", "y_")) for name in archive.namelist())
    except Exception:  # zipfile lets many through: the reader tells what is wrong
        return True


def _vector(path, count):
    with contextlib.closing(open_rows(path)) as rows:
        if rows.shape[0] != count or rows.shape[1:] not in ((), (1,)) or rows.dtype.kind not in "iu":
            raise DataError(path, "", f"{count} whole numbers", f"{rows.dtype} {rows.shape}")
        return np.array([int(rows.read().ravel()[0]) for _ in range(count)], "int64")


def _labels(base, count):
    """(names or None, N labels as `label_of` gives them) of `<base>.pkl` or `<base>.npy`."""
    pickled = base.parent / f"{base.name}.pkl"
    if not pickled.is_file():
        return None, _vector(base.parent / f"{base.name}.npy", count).tolist()
    content = restricted_load(pickled)
    names, labels = content if isinstance(content, list | tuple) and len(content) == 2 else (None, None)
    ok = all(isinstance(part, list | tuple | np.ndarray) and len(part) == count for part in (names, labels))
    if not ok or not all(isinstance(name, str) for name in names):
        raise DataError(pickled, "", f"(names, labels), {count} each", type(content).__name__)
    labels = list(map(label_of, labels))
    if None in labels:
        raise DataError(pickled, "labels", "whole numbers or names", "others")
    return [Path(name).stem if name.lower().endswith(".skeleton") else name for name in names], labels
