"""Pickles as data: plain containers, numbers, text and NumPy arrays; anything that could run code is refused.

The pure-Python unpickler is used because the compiled one lets a short file claim gigabytes of memo, and
because its BUILD step can be limited to the two classes below. No class of another module is ever handed to a
pickle.
"""

import contextlib
import gzip
import os
import pickle
import struct
import tempfile
from collections import OrderedDict

import numpy as np

from ..errors import DataError

_NDARRAY = object()  # what the pickle gets in place of numpy.ndarray: something it cannot call
_SLACK = 64 << 20
_INFLATION = 64  # what a gzip may hold at most, times its own size, beyond _SLACK


class _DType:
    """A dtype under construction: its state carries the byte order and nothing else of use."""

    def __init__(self, code):
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufSU":
            raise pickle.UnpicklingError(f"arrays of {self.dtype} are refused, lists of numbers are not")

    def __setstate__(self, state):
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an unknown byte order")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array under construction; the state is checked before NumPy sees it."""

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        _check_shape(shape, dtype, raw)
        super().__setstate__((1, shape, dtype.dtype, bool(fortran), raw))


def _check_shape(shape, dtype, raw):
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes | bytearray) or not isinstance(shape, tuple):
        raise pickle.UnpicklingError("an array in an unknown form")
    size = dtype.dtype.itemsize
    for length in shape:
        if type(length) is not int or length < 0:
            raise pickle.UnpicklingError("an array of an impossible shape")
        size *= length
    if size != len(raw):
        raise pickle.UnpicklingError(f"an array of shape {shape} with {len(raw)} bytes of data")


def _reconstruct(kind, shape, code):
    if kind is not _NDARRAY or shape != (0,):
        raise pickle.UnpicklingError("an array in an unknown form")
    return np.ndarray.__new__(_Array, (0,), "int8")


def _frombuffer(raw, dtype, shape, order, axes=None):
    _check_shape(shape, dtype, raw)
    values = np.frombuffer(raw, dtype.dtype)
    if axes is not None or order not in ("C", "F"):
        raise pickle.UnpicklingError("an array in an unknown order")
    return values.reshape(shape, order=order)


def _scalar(dtype, raw):
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw
    _check_shape((), dtype, raw)
    return np.frombuffer(raw, dtype.dtype)[0]


def _dtype(code, align=False, copy=False):
    if not isinstance(code, str):
        raise pickle.UnpicklingError("a dtype in an unknown form")
    return _DType(code)


def _encode(text, encoding="latin1"):
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin-1")


def _bytes(*values):
    if any(not isinstance(value, bytes | list) for value in values):
        raise pickle.UnpicklingError("bytes of an announced length")
    return bytes(*values)


def _bytearray(*values):
    return bytearray(_bytes(*(value.encode("latin-1") if isinstance(value, str) else value for value in values[:1])))


_GLOBALS = {("collections", "OrderedDict"): OrderedDict, ("_codecs", "encode"): _encode}
for _module in ("builtins", "__builtin__"):
    _plain = {"dict": dict, "list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    for _name, _value in (_plain | {"bytes": _bytes, "bytearray": _bytearray}).items():
        _GLOBALS[_module, _name] = _value
for _core in ("numpy.core", "numpy._core"):
    _GLOBALS[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _GLOBALS[f"{_core}.multiarray", "scalar"] = _scalar
    _GLOBALS[f"{_core}.numeric", "_frombuffer"] = _frombuffer
_GLOBALS["numpy", "ndarray"], _GLOBALS["numpy", "dtype"] = _NDARRAY, _dtype


class _Bounded:
    """A file of which no more is asked for than it has: a plain read() sets aside what is announced."""

    def __init__(self, file):
        self.file, self.readline = file, file.readline
        self.size = os.fstat(file.fileno()).st_size

    def read(self, size):
        self.check(size)
        return self.file.read(size)

    def check(self, size):
        if size > self.size - self.file.tell():
            raise pickle.UnpicklingError("more data announced than the file holds")


class _Unpickler(pickle._Unpickler):
    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, source):
        self.bounded = _Bounded(file)
        super().__init__(self.bounded, encoding="latin1")
        self.source, self.budget = source, 3 * self.bounded.size + _SLACK

    def find_class(self, module, name):
        try:
            return _GLOBALS[module, name]
        except KeyError:
            found = f"the global {ascii(f'{module}.{name}')[1:-1][:120]}"
            raise DataError(self.source, "pickle", "containers, numbers, text and arrays only", found) from None

    def spend(self, size):
        """Count bytes copied; many arrays over one buffer must not outgrow the file."""
        self.budget -= size
        if self.budget < 0:
            raise pickle.UnpicklingError("more array data than the file holds")

    def load_bytearray8(self):
        (size,) = struct.unpack("<Q", self.read(8))
        if size > self.bounded.size:
            raise pickle.UnpicklingError("more data announced than the file holds")
        self.append(bytearray(self.read(size)))

    def load_build(self):
        target, state = self.stack[-2], self.stack[-1]
        if type(target) not in (_Array, _DType) or not isinstance(state, tuple):
            raise pickle.UnpicklingError("a state for an object that has none")
        if type(target) is _Array:
            self.spend(len(state[-1]) if isinstance(state[-1], bytes | bytearray | str) else 0)
        target.__setstate__(state)
        self.stack.pop()

    def load_reduce(self):
        arguments = self.stack[-1]
        for item in arguments if isinstance(arguments, tuple) else ():
            self.spend(len(item) if isinstance(item, bytes | bytearray | str | tuple | list | dict) else 0)
        super().load_reduce()

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.REDUCE[0]] = load_reduce


def restricted_load(path):
    """Load a pickle of plain containers, numbers, text and NumPy arrays, or a gzip of one; arrays come as stored.

    Raises: DataError naming the first forbidden global, or where the file is broken, cut off or announces
        sizes that it does not hold; OSError where it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(path, "rb"))
        try:
            if file.read(2) == b"\x1f\x8b":
                file = stack.enter_context(_unpacked(file))
            file.seek(0)
            return _Unpickler(file, path).load()
        except DataError:
            raise
        except OSError as error:
            if error.errno is not None:
                raise
            raise DataError(path, "pickle", "", error) from None
        except (Exception, MemoryError) as error:
            found = f"{type(error).__name__}: {error}"[:200]
            raise DataError(path, "pickle", "a whole, sound pickle", found) from None


@contextlib.contextmanager
def _unpacked(file):
    """A temporary file with what a gzip holds."""
    file.seek(0)
    left = _INFLATION * os.fstat(file.fileno()).st_size + _SLACK
    with tempfile.TemporaryFile() as unpacked, gzip.open(file) as packed:
        while data := packed.read(1 << 20):
            left -= len(data)
            if left < 0:
                raise pickle.UnpicklingError(f"a gzip of more than {_INFLATION} times its size")
            unpacked.write(data)
        yield unpacked
