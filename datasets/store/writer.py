"""Writing the store: the schema, what a sample is, and a writer that leaves a whole file or none."""

import contextlib
import hashlib
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError, naming
from ..files import replacing
from ..layouts import get_layout
from ..transforms.presence import seen_only
from .facts import EXPECTED, is_fact, is_whole, numbered_subjects

FORMAT, VERSION = "skelmae-store", 1
CHANNELS = (("x", "y", "score"), ("x", "y"), ("x", "y", "z"), ("x", "y", "z", "score"))
UNITS = ("pixels", "metres")
COLUMNS = ("label", "offset", "frames", "people", "subject", "camera", "setup", "image_size")
MAX_RATE = 10_000
CRC32 = "crc32"  # of each sample's rows, against damage; not part of the fingerprint
_CHUNK_ROWS, _BUFFER_BYTES = 64, 8 << 20


@dataclass
class Sample:
    """One recording: keypoints (M, T, V, C), absent joints zero or as `seen_only` knows them; -1, (0, 0): unknown.

    subject: a number or a name.
    """

    id: str
    keypoints: np.ndarray
    label: int = -1
    subject: int | str = -1
    camera: int = -1
    setup: int = -1
    image_size: tuple[int, int] = (0, 0)  # (height, width), pixels


class StoreWriter:
    """Writes a store; a context manager. The file appears on a clean exit, and on an error nothing is left.

    Args:
        path: the file to make or replace.
        layout: SkeletonLayout, name or TOML file.
        classes: class names in label order.
        channels: ("x","y","score"), ("x","y"), ("x","y","z") or ("x","y","z","score").
        units: "pixels" or "metres"; by default metres where there is z.
        provenance: JSON-able dict; may be added to until the exit, not part of the fingerprint.
        dtype: "float16" or "float32", the precision kept.
        fps: frames per second of all samples; None where it is not known.
    Attributes: ids, dict id -> number of the samples written.
    """

    def __init__(self, path, *, layout, classes, channels, units=None, provenance=None, dtype="float32", fps=None):
        self.path, self.fps = Path(path), check_rate(path, fps)
        self.layout = get_layout(layout)
        self.classes, self.channels = [str(c) for c in classes], tuple(channels)
        self.units = units or ("metres" if "z" in self.channels else "pixels")
        self.provenance, self.dtype = dict(provenance or {}), np.dtype(dtype)
        check_header(self.path, self.channels, self.units, self.dtype)
        if len(set(self.classes)) != len(self.classes):
            raise DataError(self.path, "classes", "unique names", "a repeated name")
        self.ids, self._rows, self._buffer, self._buffered = {}, 0, [], 0
        self._columns, self._splits, self._digest = {name: [] for name in COLUMNS}, {}, hashlib.sha256()
        self._crc32, self._stack = [], contextlib.ExitStack()

    def __enter__(self):
        if self.path.is_dir():
            raise DataError(self.path, "", "a file to write", "a folder")
        shape = (self.layout.num_joints, len(self.channels))
        options = {"maxshape": (None, *shape), "chunks": (_CHUNK_ROWS, *shape)}
        options |= {"compression": "lzf", "shuffle": True}  # unpacked in half the time of gzip, up to half larger
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(replacing(self.path))
            # this version allows attributes beyond 64 KiB
            self._file = stack.enter_context(h5py.File(temporary, "w", libver=("v110", "v110")))
            self._data = self._file.create_dataset("keypoints", (0, *shape), self.dtype, **options)
            self._stack = stack.pop_all()
        return self

    @property
    def people(self):
        """dict number of persons -> how many of the samples written have so many."""
        return dict(sorted(Counter(self._columns["people"]).items()))

    @property
    def class_counts(self):
        """dict class -> how many of the samples written are of it."""
        found = Counter(self._columns["label"])
        return {name: found[label] for label, name in enumerate(self.classes)}

    def append(self, sample):
        """Add one Sample, joints not seen as zeros. Raises DataError naming it where something does not fit."""
        rows = self._checked(sample)  # (M, T, V, C)
        people, frames = rows.shape[:2]
        rows = rows.reshape(-1, *rows.shape[2:])
        self.ids[sample.id] = len(self.ids)
        values = vars(sample) | {"offset": self._rows, "frames": frames, "people": people}
        for name, column in self._columns.items():
            column.append(values[name])
        self._crc32.append(zlib.crc32(rows))
        self._rows += len(rows)
        self._buffer.append(rows if rows.base is None else rows.copy())
        self._buffered += rows.nbytes
        if self._buffered >= _BUFFER_BYTES:
            self._flush()

    def _checked(self, sample):
        """The keypoints of a Sample that fits, in the store's precision."""
        if not isinstance(sample, Sample):
            raise DataError(self.path.name, "sample", "a Sample", type(sample).__name__)
        key, form = f"sample {str(sample.id)[:80]!r}", self._data.shape[1:]
        try:
            keypoints = np.asarray(sample.keypoints)
        except ValueError:  # rows of several lengths
            keypoints = np.empty(0, object)
        if (
            keypoints.dtype.kind not in "fiu"
            or keypoints.ndim != 4
            or 0 in keypoints.shape
            or keypoints.shape[2:] != form
        ):
            expected = f"numbers (M, T, {form[0]}, {form[1]})"
            raise DataError(self.path.name, key, expected, f"{keypoints.dtype} {keypoints.shape}")
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(seen_only(keypoints, self.channels), self.dtype)
        if not np.isfinite(rows).all():
            raise DataError(self.path.name, key, f"values within {self.dtype}", "a larger one")
        if not isinstance(sample.id, str) or not sample.id or sample.id in self.ids or not sample.id.isprintable():
            raise DataError(self.path.name, key, "a new, printable id")
        for name, expected in EXPECTED.items():
            if not is_fact(name, getattr(sample, name)):
                raise DataError(self.path.name, key, f"{expected} as {name}", repr(getattr(sample, name))[:60])
        numbers, size = {"label": [sample.label]}, sample.image_size
        numbers["image_size"] = size if isinstance(size, list | tuple | np.ndarray) and len(size) == 2 else [None]
        for name, values in numbers.items():
            if not all(is_whole(value) and -1 <= value < 2**31 for value in values):
                expected = "two whole numbers" if name == "image_size" else "a whole number"
                raise DataError(self.path.name, key, f"{expected} as {name}", repr(getattr(sample, name))[:60])
        if sample.label >= len(self.classes):
            raise DataError(self.path.name, key, f"a label below {len(self.classes)}, or -1", sample.label)
        return rows

    def set_splits(self, splits):
        """Name the splits: dict name -> ids. Unknown ids are left out; returns dict name -> how many.

        An id that is named twice is in the split once.
        """
        missing = {}
        for name, ids in splits.items():
            if not isinstance(name, str) or not name.isprintable() or not name.strip("./") or set(name) & set("/=,"):
                raise DataError(self.path.name, "splits", "a name without / = ,", repr(name))
            if name == "all":
                raise DataError(self.path.name, "splits", "another name than 'all', which means every sample")
            ids = dict.fromkeys(ids)
            found = [self.ids[i] for i in ids if i in self.ids]
            missing[name] = len(ids) - len(found)
            self._splits[name] = np.array(found, "int64")
        return missing

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack, naming(self.path):
            self._finish()

    def _flush(self):
        if self._buffer:
            block = np.concatenate(self._buffer)
            self._digest.update(block)
            start = len(self._data)
            with naming(self.path):
                self._data.resize(start + len(block), axis=0)
                self._data[start:] = block
            self._buffer, self._buffered = [], 0

    def _finish(self):
        if not self.ids:
            raise DataError(self.path.name, "samples", "one sample or more", "none")
        self._flush()
        samples, splits = self._file.create_group("samples"), self._file.create_group("splits")
        self._columns["subject"], subjects = numbered_subjects(self._columns["subject"], self.path.name)
        columns = {name: np.array(values, "int64") for name, values in self._columns.items()}
        for name, values in columns.items():
            samples[name] = values
        samples[CRC32] = np.array(self._crc32, "int64")
        width = max(len(i.encode()) for i in self.ids)
        samples.create_dataset("id", data=[i.encode() for i in self.ids], dtype=h5py.string_dtype("utf-8", width))
        for name, indices in self._splits.items():
            splits[name] = indices
        texts = {"layout": self.layout.to_dict(), "classes": self.classes, "channels": list(self.channels)}
        texts |= {"subjects": subjects} if subjects else {}
        header = {name: json.dumps(value, ensure_ascii=False) for name, value in texts.items()} | {"units": self.units}
        header |= {} if self.fps is None else {"fps": repr(self.fps)}
        fingerprint = content_fingerprint(self._digest, header, list(self.ids), columns, self._splits)
        extra = {"provenance": json.dumps(self.provenance, ensure_ascii=False), "fingerprint": fingerprint}
        for name, value in ({"format": FORMAT, "version": VERSION} | header | extra).items():
            if isinstance(value, str):  # of fixed length: HDF5 keeps no checksum of the others
                value = np.bytes_(value.encode())
            self._file.attrs[name] = value
        self._file.close()


def check_header(path, channels, units, dtype):
    if channels not in CHANNELS:
        raise DataError(path, "channels", f"one of {CHANNELS}", channels)
    if units not in UNITS:
        raise DataError(path, "units", f"one of {UNITS}", units)
    if dtype not in (np.dtype("float16"), np.dtype("float32")):
        raise DataError(path, "keypoints", "float16 or float32", dtype)


def check_rate(path, fps):
    """Frames per second as a float, or None for None."""
    try:
        rate = None if fps is None else float(fps)
    except (TypeError, ValueError):
        rate = -1
    if rate is not None and not 0 < rate <= MAX_RATE:
        raise DataError(path, "fps", f"more than 0 and at most {MAX_RATE} frames a second", repr(fps)[:40])
    return rate


def content_fingerprint(digest, header, ids, columns, splits):
    digest.update(json.dumps([sorted(header.items()), ids], ensure_ascii=False).encode())
    for name, values in [*sorted(columns.items()), *sorted(splits.items())]:
        digest.update(name.encode() + np.ascontiguousarray(values, "<i8").tobytes())
    return digest.hexdigest()
