"""The journal of a conversion: what was read so far, so that a killed one is continued and not begun again.

It lies beside the output as `.<name>.resume`, a header and one checksummed record per recording, and is deleted when
the conversion ends in success or in an error. Only a kill leaves it behind.
"""

import contextlib
import json
import os
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError, naming
from ..files import leftovers
from ..store.writer import FORMAT

try:
    import fcntl
except ImportError:  # not on Windows, where nothing keeps two conversions apart
    fcntl = None

_HEAD = struct.Struct("<III")  # bytes of JSON, bytes of rows, CRC-32 of both


class Journal:
    """A context manager. `done` is what an earlier, killed conversion left: dict key -> (meta, rows) reader.

    Args:
        output: the store the conversion makes.
        settings: JSON-able dict; a killed conversion with other settings is not continued. None where the input is one
            file: there is nothing to continue, but only one conversion runs, and what a killed one left is removed.
        resume: continue an earlier one; otherwise it is thrown away.
        force: let the conversion replace a file that is no store.
    Raises: DataError on entering where the settings differ, another process converts to the same output, or this is
        another file.
    """

    def __init__(self, output, settings=None, resume=False, force=False):
        output, self.force = Path(output), force
        self.output, self.settings, self.resume = output, json.loads(json.dumps(settings or {})), resume
        self.path = output.parent / f".{output.name}.resume"
        self.done, self._file = {}, None

    def __enter__(self):
        if not self.force and self.output.is_file() and not _is_store(self.output):
            raise DataError(self.output, "output", "a new file or a store (--force replaces any)", "another file")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b")
        try:
            if fcntl:
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise DataError(self.output, "", "no other conversion to it", "one that is running") from None
            end, found = self._scan()
            if self.resume and found is not None and found != self.settings:
                differing = sorted(k for k in {*found, *self.settings} if found.get(k) != self.settings.get(k))
                found = f"other {', '.join(differing)}"
                raise DataError(self.path, "settings", "those of the killed conversion", found)
            if not self.resume or found is None:
                self.done, end = {}, 0
            for left in leftovers(self.output):  # of a killed conversion: whoever has the lock is alone here
                with contextlib.suppress(OSError):
                    left.unlink()
            self._file.truncate(end)
            if not end:
                self._write({"settings": self.settings})
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is None or issubclass(kind, Exception):
            self.path.unlink(missing_ok=True)
        with naming(self.path):
            self._file.close()

    def append(self, key, meta, rows):
        """Add one result: meta a JSON-able dict, rows an array or None."""
        shape = None if rows is None else rows.shape
        self._write({"key": key, "meta": meta, "shape": shape}, b"" if rows is None else rows.tobytes())

    def read(self, key):
        """(meta, rows) of a key of `done`; rows (M, T, V, C) float32 or None."""
        meta, shape, offset, size = self.done[key]
        if shape is None:
            return meta, None
        with open(self.path, "rb") as file:
            file.seek(offset)
            return meta, np.frombuffer(file.read(size), "float32").reshape(shape)

    def _write(self, record, rows=b""):
        text = json.dumps(record).encode()
        with naming(self.path):
            self._file.write(_HEAD.pack(len(text), len(rows), zlib.crc32(rows, zlib.crc32(text))) + text + rows)
            self._file.flush()

    def _scan(self):
        """(end of the last sound record, settings or None); fills `done`."""
        file, size, end, settings = self._file, os.fstat(self._file.fileno()).st_size, 0, None
        file.seek(0)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, rows, crc = _HEAD.unpack(head)
            if length + rows > size - end - _HEAD.size:
                break
            text, data = file.read(length), file.read(rows)
            if zlib.crc32(data, zlib.crc32(text)) != crc:
                break
            record = json.loads(text)
            end += _HEAD.size + length + rows
            settings = record.get("settings", settings)
            if "key" in record:
                self.done[record["key"]] = record["meta"], record["shape"], end - rows, rows
        return end, settings


def _is_store(path):
    try:
        with h5py.File(path, "r", locking=False) as file:
            return file.attrs.get("format") == FORMAT.encode()
    except (OSError, RuntimeError, TypeError, ValueError):
        return False
