"""The store: one HDF5 file of skeleton sequences with its layout, classes, splits and provenance.

A sample of M people and T frames is M*T consecutive rows of `keypoints` (rows, V, C), person by person. The
file says what it is, refuses what it is not, and appears under its name only when complete.
"""

import contextlib
import difflib
import hashlib
import json
import os
import zlib
from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError
from ..layout_map import layout_map
from ..layouts import SkeletonLayout
from .facts import EXPECTED
from .writer import COLUMNS, CRC32, FORMAT, VERSION, Sample, check_header, check_rate, content_fingerprint

SELECTORS = tuple(EXPECTED)
_COUNTS = {"min": np.min, "median": np.median, "max": np.max, "total": np.sum}
_BLOCK_ROWS = 1 << 14
_INDEX_BYTES = 16 << 20  # HDF5 keeps 1 MiB of a file's index: too little for 100,000 sequences in any order
MAX_INFLATION = 4096  # gzip cannot exceed 1032:1, so a larger announced size is not backed by data


class SkeletonStore:
    """Reads a store. Cheap to pickle (the path travels), safe to use in forked workers, a context manager.

    Args:
        path: the file. source: what errors name instead, where the file is a converted copy.
    Attributes: ids, labels, people, frames, splits, ... of the samples; layout, classes, channels, units; fps, frames
        per second or None; subjects, their names, [] where they are numbers; dtype, provenance, fingerprint;
        mapping, the LayoutMap of `map_to` or None;
        left_out, [(name, why)] where a conversion left out what it could not read.
    Raises: DataError where the file is not a sound store, OSError where it cannot be read.
    """

    def __init__(self, path, source=None):
        self.path, self._location = Path(path if source is None else source), Path(path)
        self._file, self._keypoints, self._process = None, None, None
        self.mapping, self.left_out = None, []
        try:
            self._load(self._open())
        except DataError:
            self.close()
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OSError, MemoryError) as error:
            self.close()
            if isinstance(error, OSError) and error.filename is not None:
                raise  # the file cannot be read at all
            raise DataError(self.path, "", "a sound store", error) from None

    def __reduce__(self):
        return type(self), (self._location, self.path), {"layout": self.layout, "mapping": self.mapping}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __len__(self):
        return len(self.ids)

    def close(self):
        """Close the file; it opens again when needed."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = self._keypoints = None

    @property
    def num_coordinates(self):
        """2 or 3: the leading channels that are coordinates."""
        return 3 if "z" in self.channels else 2

    @property
    def has_score(self):
        return "score" in self.channels

    @property
    def notes(self):
        """What a user has to know of how the joints were read, by the conversion and by `map_to`, line by line."""
        return [*([str(self.mapping)] if self.mapping else []), *self.provenance.get("notes", ())]

    def subject_name(self, number):
        """The name of a subject, or the number where subjects have none; -1 unknown."""
        return self.subjects[number] if self.subjects and number >= 0 else int(number)

    def map_to(self, layout):
        """Read all samples as another layout's from now on. Returns the LayoutMap; raises DataError as `layout_map`."""
        self.mapping = layout_map(self.layout, layout)
        self.layout = self.mapping.target
        return self.mapping

    def read(self, index):
        """Keypoints of one sample, (M, T, V, C) float32."""
        return self._mapped(index).astype("float32", copy=False)

    def read_frames(self, index, start, stop):
        """Frames start..stop - 1 of one sample, (M, stop - start, V, C) float32: a long one needs no memory for all.

        The sum against damage is that of a whole sample and is not compared, see `check`. Raises ValueError where the
        frames are not within the sample, DataError where they cannot be read.
        """
        frames = int(self.frames[index])
        if not 0 <= start < stop <= frames:
            raise ValueError(f"frames: expected 0 <= start < stop <= {frames}, found {start} and {stop}")
        found = np.stack([rows.astype("float32", copy=False) for rows in self._rows(index, start, stop)])
        return found if self.mapping is None else self.mapping.apply(found, self.channels)

    def check(self, index):
        """Raise DataError where the keypoints of one sample are not those that were written; a part at a time."""
        if self._crc32 is None:
            return
        first, count = int(self._offset[index]), int(self.people[index]) * int(self.frames[index])
        data, found = self._open()["keypoints"], 0
        try:
            for start in range(0, count, _BLOCK_ROWS):
                found = zlib.crc32(data[first + start : first + min(start + _BLOCK_ROWS, count)], found)
        except OSError as error:
            raise DataError(self.path, f"sample {self.ids[index]!r}", "", error) from None
        if found != self._crc32[index]:
            raise DataError(self.path, f"sample {self.ids[index]!r}", "the keypoints that were written", "others")

    def sample(self, index):
        """One Sample, keypoints in the precision stored."""
        values = {name: int(getattr(self, name)[index]) for name in SELECTORS}
        values["subject"] = self.subject_name(values["subject"])
        size = tuple(map(int, self.image_size[index]))
        return Sample(self.ids[index], self._mapped(index), int(self.labels[index]), image_size=size, **values)

    def select(self, expression):
        """Indices, int64, of "all", a split, "subject=1,2", "camera=1", "setup=3" or "ids=FILE" (one per line).

        Subjects that have names are selected by these, "subject=anna,ben". A sample that is named twice is there once.

        Raises DataError, listing what there is, where the name is unknown or nothing is selected.
        """
        found = list(dict.fromkeys(self._select(str(expression)).tolist()))
        if not found:
            filled = ", ".join([*(name for name, indices in self.splits.items() if len(indices)), "all"])
            raise DataError(self.path, f"split {expression}", f"a sequence or more, as in {filled}", "none")
        return np.array(found, "int64")

    def _select(self, expression):
        key, equals, value = expression.partition("=")
        if expression == "all":
            return np.arange(len(self))
        if expression in self.splits:
            return self.splits[expression]
        if equals and key == "ids":
            return self._select_ids(value)
        if not equals or key not in SELECTORS:
            known = [*self.splits, "all", *(f"{name}=" for name in (*SELECTORS, "ids"))]
            close = difflib.get_close_matches(expression, known, 3, 0.5)
            listed = ", ".join(close + [name for name in known if name not in close])
            raise DataError(self.path, "split", f"one of {listed}", repr(expression))
        column = getattr(self, key)
        name = self.subject_name if key == "subject" else int
        present = {str(name(number)): number for number in np.unique(column).tolist()}
        wanted = [item.strip() for item in value.split(",")]
        wanted = [str(int(item)) if item.lstrip("-").isdecimal() else item for item in wanted]  # 01 is 1
        for item in wanted:
            if item not in present:
                raise DataError(self.path, key, f"values of {', '.join(present)}", repr(item))
        return np.flatnonzero(np.isin(column, [present[item] for item in wanted]))

    def verify(self):
        """Recompute the fingerprint from the content. Raises DataError where it differs."""
        data, digest = self._open()["keypoints"], hashlib.sha256()
        for start in range(0, len(data), _BLOCK_ROWS):
            try:
                digest.update(data[start : start + _BLOCK_ROWS])
            except OSError as error:
                raise DataError(self.path, f"keypoints, row {start} on", "", error) from None
        try:
            columns = {name: self._open()["samples"][name][()] for name in COLUMNS}
        except OSError as error:
            raise DataError(self.path, "samples", "", error) from None
        found = content_fingerprint(digest, self._header, self.ids, columns, self.splits)
        if found != self.fingerprint:
            raise DataError(self.path, "fingerprint", self.fingerprint[:16], found[:16])

    def _select_ids(self, path):
        numbers = {name: index for index, name in enumerate(self.ids)}
        lines = Path(path).read_text("utf-8-sig").splitlines()
        wanted = [line.strip() for line in lines if line.strip()]
        unknown = [name for name in wanted if name not in numbers]
        if unknown or not wanted:
            close = difflib.get_close_matches(unknown[0] if unknown else "", self.ids, 3, 0.5)
            listed = f" (close: {', '.join(close)})" if close else ""
            raise DataError(path, "ids", f"ids of {self.path.name}{listed}", repr(unknown[0]) if unknown else "none")
        return np.array([numbers[name] for name in wanted], "int64")

    def _open(self):
        if self._file is None or self._process != os.getpid():
            with open(self._location, "rb") as file:  # a plain OSError where it cannot be read
                magic = file.read(8)
            if magic != b"\x89HDF\r\n\x1a\n":
                raise DataError(self.path, "", "an HDF5 store", "another kind of file")
            try:
                self._file, self._process = h5py.File(self._location, "r", locking=False), os.getpid()
                self._keypoints = None
                cache = self._file.id.get_mdc_config()
                cache.set_initial_size, cache.initial_size = True, _INDEX_BYTES  # at most
                self._file.id.set_mdc_config(cache)
            except OSError as error:
                raise DataError(self.path, "", "an HDF5 store", error) from None
        return self._file

    def _rows(self, index, start, stop):
        """Frames of a sample, an array (stop - start, V, C) for each person."""
        first, frames = int(self._offset[index]), int(self.frames[index])
        try:
            file = self._open()
            if self._keypoints is None:
                self._keypoints = file["keypoints"]
            for person in range(int(self.people[index])):
                place = first + person * frames
                yield self._keypoints[place + start : place + stop]
        except OSError as error:
            raise DataError(self.path, f"sample {self.ids[index]!r}", "", error) from None

    def _mapped(self, index):
        keypoints = self._read(index)
        return keypoints if self.mapping is None else self.mapping.apply(keypoints, self.channels)

    def _read(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        start, people, frames = int(self._offset[index]), int(self.people[index]), int(self.frames[index])
        try:
            file = self._open()
            if self._keypoints is None:  # looking it up takes longer than reading from it
                self._keypoints = file["keypoints"]
            rows = self._keypoints[start : start + people * frames]
        except OSError as error:
            raise DataError(self.path, f"sample {self.ids[index]!r}", "", error) from None
        if self._crc32 is not None and zlib.crc32(rows) != self._crc32[index]:
            raise DataError(self.path, f"sample {self.ids[index]!r}", "the keypoints that were written", "others")
        return rows.reshape(people, frames, *rows.shape[1:])

    def _load(self, file):
        attrs = {name: file.attrs[name] for name in file.attrs}
        attrs = {name: v.decode() if isinstance(v, bytes) else v for name, v in attrs.items()}
        if "format" not in attrs:
            raise DataError(self.path, "format", FORMAT, "another HDF5 file; make a table of it, docs/own-data.md")
        if attrs.get("format") != FORMAT or int(attrs.get("version", 0)) != VERSION:
            found = f"{attrs.get('format')} {attrs.get('version')}"
            raise DataError(self.path, "format", f"{FORMAT} {VERSION}", found)
        self._header = {name: str(attrs[name]) for name in ("layout", "classes", "channels", "units")}
        self.layout = SkeletonLayout.from_dict(json.loads(attrs["layout"]), self.path)
        self.classes, self.channels = json.loads(attrs["classes"]), tuple(json.loads(attrs["channels"]))
        self.units, self.provenance = str(attrs["units"]), json.loads(attrs["provenance"])
        self.fingerprint, self.fps = str(attrs["fingerprint"]), None
        if "fps" in attrs:
            self._header["fps"] = str(attrs["fps"])
            self.fps = check_rate(self.path, attrs["fps"])
        self.subjects = []
        if "subjects" in attrs:
            self._header["subjects"] = str(attrs["subjects"])
            self.subjects = list(map(str, json.loads(attrs["subjects"])))
        data = self._dataset(file, "keypoints")
        check_header(self.path, self.channels, self.units, data.dtype)
        self.dtype, shape = data.dtype, (self.layout.num_joints, len(self.channels))
        if data.ndim != 3 or data.shape[1:] != shape:
            raise DataError(self.path, "keypoints", f"shape (rows, {shape[0]}, {shape[1]})", data.shape)
        if data.nbytes > MAX_INFLATION * (data.id.get_storage_size() + 4096):
            raise DataError(self.path, "keypoints", "the announced rows", "no data behind them")
        self._group(file, "samples")
        known = (CRC32,) if CRC32 in file["samples"] else ()  # the first stores relied on HDF5's checksums
        columns = {name: self._dataset(file, f"samples/{name}") for name in ("id", *COLUMNS, *known)}
        count = columns["id"].shape[0] if columns["id"].ndim == 1 else -1
        for name, column in columns.items():
            wanted = (count, 2) if name == "image_size" else (count,)
            if column.shape != wanted or column.dtype.kind != ("S" if name == "id" else "i") or count < 1:
                raise DataError(self.path, f"samples/{name}", f"shape {wanted}", f"{column.dtype} {column.shape}")
        self.ids = [value.decode("utf-8") for value in columns.pop("id")[()].tolist()]
        values = {name: column[()] for name, column in columns.items()}
        self.labels, self._offset = values.pop("label"), values.pop("offset")
        self._crc32 = values.pop(CRC32, None)
        for name, column in values.items():
            setattr(self, name, column)
        ends = self._offset.astype(float) + self.people.astype(float) * self.frames
        if min(self._offset.min(), self.people.min() - 1, self.frames.min() - 1) < 0 or ends.max() > len(data):
            raise DataError(self.path, "samples", f"rows within {len(data)}", "a sample outside")
        if self.labels.min() < -1 or self.labels.max() >= len(self.classes):
            raise DataError(self.path, "samples/label", f"-1 to {len(self.classes) - 1}", self.labels.max())
        if self.subjects and not -1 <= self.subject.min() <= self.subject.max() < len(self.subjects):
            raise DataError(self.path, "samples/subject", f"-1 to {len(self.subjects) - 1}", self.subject.max())
        self._group(file, "splits")
        self.splits = {name: self._dataset(file, f"splits/{name}")[()] for name in file["splits"]}
        for name, indices in self.splits.items():
            ok = indices.ndim == 1 and indices.dtype.kind == "i"
            if not ok or (len(indices) and not 0 <= indices.min() <= indices.max() < count):
                raise DataError(self.path, f"splits/{name}", f"indices below {count}")

    def _group(self, file, name):
        if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Group):
            raise DataError(self.path, name, "a group in this file")

    def _dataset(self, file, name):
        if "/" in name:
            self._group(file, name.partition("/")[0])
        item = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
            raise DataError(self.path, name, "a dataset held in this file", "none" if item is None else "another")
        if name != "keypoints" and item.nbytes > os.path.getsize(self._location):  # the others are not compressed
            raise DataError(self.path, name, "the announced rows", "no data behind them")
        return item


def describe_store(path):
    """What a store holds, a JSON-able dict. path: the file, or an open SkeletonStore."""
    with contextlib.nullcontext(path) if isinstance(path, SkeletonStore) else SkeletonStore(path) as store:
        counts = np.bincount(store.labels[store.labels >= 0], minlength=len(store.classes)).tolist()
        people, number = np.unique(store.people, return_counts=True)
        known = {
            name: np.unique(column[column >= 0]).tolist() for name in SELECTORS for column in [getattr(store, name)]
        }
        known["subject"] = [store.subject_name(number) for number in known["subject"]]
        return {
            "path": str(store.path),
            "samples": len(store),
            "size_bytes": os.path.getsize(store._location),
            "layout": store.layout.name,
            "joints": store.layout.num_joints,
            "channels": list(store.channels),
            "units": store.units,
            "fps": store.fps,
            "dtype": str(store.dtype),
            "frames": {name: count(store.frames).item() for name, count in _COUNTS.items()},
            "people": dict(zip(map(str, people.tolist()), number.tolist(), strict=True)),
            "classes": dict(zip(store.classes, counts, strict=True)),
            "splits": {name: len(indices) for name, indices in store.splits.items()},
            **known,
            "provenance": store.provenance,
            "fingerprint": store.fingerprint,
        }
