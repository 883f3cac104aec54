"""JSON files of others: bounded in size, and nothing in them but JSON."""

import json
import os

import numpy as np
import orjson

from ..errors import DataError

MAX_BYTES = 256 << 20  # of a file; parsed, numbers take four times as much
_CONTAINER_BYTES = 6  # of text for each list or object at least, on the average: empty ones take much memory


def load_json(path):
    """The content of a JSON file, UTF-8 or UTF-16 with a mark. Raises DataError, OSError where it cannot be read."""
    name = str(path).rpartition(os.sep)[2]
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise DataError(name, "", f"at most {MAX_BYTES >> 20} MiB of JSON (one file a clip)", "more")
        data = file.readall()
    return parse_json(data, name)


def parse_json(data, source):
    """The content of JSON bytes. Raises DataError for anything else, NaN and Infinity included."""
    if data.count(b"[") + data.count(b"{") > 64 + len(data) // _CONTAINER_BYTES:
        raise DataError(source, "", "JSON of people", "little more than brackets")
    try:
        return orjson.loads(data)
    except ValueError:
        return _decode(data, source)


def _decode(data, source):
    """What Python's own decoder makes of bytes that orjson refuses: it takes more encodings, and says what is wrong."""
    try:
        return _DECODER.decode(data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"))
    except (ValueError, RecursionError) as error:
        expected = "JSON" if data.strip() else "JSON, not an empty file"
        raise DataError(source, "", expected, str(error)[:160] or type(error).__name__) from None


def _no_number(name):
    raise ValueError(f"{name}, which JSON has not: write 0 or null for what was not seen")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def told(value):
    """A value of JSON or of a pickle in few words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if value is None:
        return "null"
    if isinstance(value, str | float) or (isinstance(value, int) and abs(value) < 2**63):
        return ascii(value)[:60]
    return type(value).__name__  # Python refuses to write the largest numbers
