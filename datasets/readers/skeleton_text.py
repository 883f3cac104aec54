"""The `.skeleton` text format: bytes to tracks, without a Python object for each number.

Per frame: a body count; per body 10 values (the first a 64-bit body id), a joint count, and 12 values a joint:
x y z, depth x y, colour x y, orientation w x y z, tracking state. Source: read_skeleton_file.m of the NTU RGB+D
authors.
"""

import re
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .people import Track

JOINTS, BODY_VALUES, JOINT_VALUES = 25, 10, 12
_BODY_SIZE = BODY_VALUES + 1 + JOINTS * JOINT_VALUES
_GROUPS = (slice(0, 3), slice(3, 5), slice(5, 7), slice(7, 11))
_MAX_TOKEN = 40
_DIGITS = 15  # so many digits are exact in a float64, and so is their quotient by a power of ten
_BLOCK = 1 << 13  # numbers converted at a time: what they take stays in the cache
_TENS = 10.0 ** np.arange(_DIGITS + 1)
_COLUMNS = np.arange(_DIGITS - 1, -1, -1, dtype="uint8")  # column of the window -> power of ten
_PLAIN = b"0123456789+-.eE \t\r\n\v\f"
# glibc gives blocks back to the system at once until it has seen a larger one freed; the arrays of a file would be
# mapped and cleared again for every file, which takes as long as reading it. No memory is touched by this.
np.empty(16 << 20, "uint8")
_WINDOWS_NAN = re.compile(rb"[+-]?(1\.#(QNAN|SNAN|IND|INF)\d*|nan\((ind|snan)\))", re.IGNORECASE)


@dataclass
class RawSequence:
    """A parsed file: tracks is dict body id -> Track, by appearance; num_frames counts empty frames too."""

    tracks: dict
    num_frames: int


def parse_skeleton(data, source="skeleton", values=11):
    """Parse the text of one file.

    Args:
        data: bytes or str.
        source: what errors name.
        values: how many of a joint's leading values are kept: 3, 5, 7 or 11. The others are only looked at for
            characters that no number has.
    Returns: RawSequence; joints are (F, 25, values) float32. A group of values (x y z, depth, colour, orientation)
        with one that is not finite becomes zero. A body id twice in a frame: the first counts.
    Raises: DataError where the text ends early, goes on, or holds something else.
    """
    data = data.encode() if isinstance(data, str) else bytes(data)
    if data.translate(None, _PLAIN):
        _refuse_words(data, source)
    text = b" " * _DIGITS + data + b" "  # room for a window that ends at any number
    blank = np.frombuffer(text, "uint8") < 33
    marks = np.flatnonzero(blank[1:] != blank[:-1])  # the blank before a number, its last character, and so on
    bodies, num_frames = _structure(text, marks, source)
    if not bodies:
        return RawSequence({}, num_frames)
    positions = np.concatenate([found for _, found in bodies.values()])
    wanted = (np.arange(JOINTS)[:, None] * JOINT_VALUES + np.arange(values)).ravel()
    joints = np.empty((len(positions), len(wanted)), "float32")
    step = max(1, _BLOCK // len(wanted))
    for first in range(0, len(positions), step):
        index = (positions[first : first + step, None] + wanted).ravel()
        block = _numbers(text, marks[2 * index] + 1, marks[2 * index + 1] + 1, source)
        with np.errstate(over="ignore"):
            joints[first : first + step] = block.reshape(-1, len(wanted))
    joints = joints.reshape(-1, JOINTS, values)
    if not np.isfinite(joints).all():
        for group in _GROUPS:
            part = joints[..., group]
            part[~np.isfinite(part).all(axis=-1)] = 0.0
    tracks, first = {}, 0
    for body, (frames, _) in bodies.items():
        tracks[body] = Track(frames, joints[first : first + len(frames)])
        first += len(frames)
    return RawSequence(tracks, num_frames)


def _structure(text, marks, source):
    """(dict body id -> (frames, positions of the first joint value), frames in all), every count checked."""
    regular = _regular(text, marks)
    if regular:
        return regular
    marks, size = memoryview(marks), len(marks) // 2

    def count(position, key):
        """The number there as an int >= 0 (body ids exceed 2**53, so never by way of float)."""
        if position >= size:
            raise DataError(source, key, "a number", "the end of the file")
        token = text[marks[2 * position] + 1 : marks[2 * position + 1] + 1]
        if not token.isdigit() or len(token) > 20:
            raise DataError(source, key, "a whole number", ascii(token[:20]))
        return int(token)

    bodies, position = {}, 1
    num_frames = count(0, "frame count")
    if num_frames > size - 1:
        raise DataError(source, "frame count", f"at most {size - 1}, the values that follow", num_frames)
    for frame in range(num_frames):
        number = count(position, "body count of a frame")
        position += 1
        if number * _BODY_SIZE > size - position:
            raise DataError(source, f"frame {frame}", f"{number} bodies of {_BODY_SIZE} values", size - position)
        for _ in range(number):
            body, at = count(position, "body id"), position + BODY_VALUES
            joints = count(at, "joint count")
            if joints != JOINTS:
                raise DataError(source, f"frame {frame}: joint count", JOINTS, joints)
            bodies.setdefault(body, {}).setdefault(frame, at + 1)
            position += _BODY_SIZE
    if position != size:
        raise DataError(source, "end", f"nothing after frame {num_frames}", f"{size - position} more values")
    arrays = {body: [np.fromiter(part, "int64") for part in (at, at.values())] for body, at in bodies.items()}
    return arrays, num_frames


def _regular(text, marks):
    """As `_structure` where every frame has the same bodies in one order, as most have; None where in doubt."""
    size, chars = len(marks) // 2, np.frombuffer(text, "uint8")
    starts, lengths = marks[::2], marks[1::2] - marks[::2]

    def is_text(tokens, wanted):
        if not (lengths[tokens] == len(wanted)).all():
            return False
        first = starts[tokens] + 1
        return all((chars[first + i] == char).all() for i, char in enumerate(wanted))

    def token(position):
        return text[starts[position] + 1 : starts[position] + 1 + lengths[position]]

    people = token(1) if size > 2 else b""
    if len(people) != 1 or not b"1" <= people <= b"6":
        return None
    step = 1 + int(people) * _BODY_SIZE
    num_frames, rest = divmod(size - 1, step)
    every = 1 + np.arange(num_frames) * step  # where the body counts should be
    if rest or not is_text(np.zeros(1, int), b"%d" % num_frames) or not is_text(every, people):
        return None
    bodies = {}
    for first in range(1, step, _BODY_SIZE):
        body = token(first + 1)
        if not body.isdigit() or len(body) > 20 or int(body) in bodies:
            return None
        if not is_text(every + first, body) or not is_text(every + first + BODY_VALUES, b"%d" % JOINTS):
            return None
        bodies[int(body)] = np.arange(num_frames), every + first + BODY_VALUES + 1
    return bodies, num_frames


def _numbers(text, starts, ends, source):
    """(N,) float64 of the text between starts and ends, each correctly rounded.

    Plain decimals of up to 15 characters (sign apart) are put together column by column: all digits as one whole
    number, divided by the power of ten that the point asks for. The rest goes through float().
    """
    padded = np.frombuffer(text, "uint8")
    windows = np.ndarray((len(text) - _DIGITS + 1,), f"V{_DIGITS}", text, 0, (1,))
    chars = windows[ends - _DIGITS].view("uint8").reshape(-1, _DIGITS).T.copy()  # (15, N), last character below
    first = padded[starts]
    minus = first == 45
    short = np.minimum(ends - starts, 99).astype("uint8") - (minus | (first == 43))  # without the sign
    chars *= _COLUMNS[:, None] < short
    points = chars == 46
    chars -= 48
    digits = chars < 10
    chars *= digits
    found, dots = (np.add.reduce(mask.view("uint8"), axis=0, dtype="uint8") for mask in (digits, points))
    place = np.minimum(np.einsum("ji,j->i", points.view("uint8"), _COLUMNS), _DIGITS - 1)  # digits after the point
    whole = np.einsum("ji,j->i", chars.astype("float64"), _TENS[_COLUMNS])  # the point counts as a zero
    scale = _TENS[place]
    upper = np.floor(whole / (10.0 * scale)) * (dots == 1)
    values = (whole - 9.0 * scale * upper) / np.where(minus, -scale, scale)
    for i in np.flatnonzero((found + dots != short) | (dots > 1) | (found == 0)).tolist():
        token = text[starts[i] : ends[i]]
        value = _number(token)
        if value is None:
            raise DataError(source, "", f"a number of at most {_MAX_TOKEN} characters", ascii(token[:20]))
        values[i] = value
    return values


def _number(token):
    """The token as a float, or None where it is not a number."""
    try:
        return None if b"_" in token or len(token) > _MAX_TOKEN else float(token)
    except ValueError:
        return float("nan") if _WINDOWS_NAN.fullmatch(token) else None


def _refuse_words(data, source):
    """Raise DataError at the first token with foreign characters that is not a number such as nan."""
    for position, token in enumerate(data.split()):
        if token.translate(None, _PLAIN) and _number(token) is None:
            raise DataError(source, f"value {position}", "a number", ascii(token[:20]))
