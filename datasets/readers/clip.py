"""People frame by frame, as files of estimators tell them, before anybody knows who is who."""

import functools
import sys
from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError
from ..layouts import SkeletonLayout
from .clock import Clock
from .json_file import told
from .labels import plain
from .people import MAX_VALUES
from .rates import rate_in, time_in, timed

_BLOCK = 1 << 12  # people that are held as lists
MAX_EXTENT = 3  # normalised coordinates may leave the image by so much; pixels hardly stay within


@dataclass
class Clip:
    """One recording of N detections.

    points: (N, V, C), joints that were not seen as the file has them. channels: names of the C values. frames: (N,)
    int64 from 0. ids: (N,) int64, -1 unknown. length: number of frames. normalized: whether x and y are parts of the
    image's width and height; None where only the values tell. layout: it or its name, None: the usual one. label: class
    as in the file, -1 unknown. image_size: (height, width). fps: frames per second, None unknown; seconds: (length,)
    those of each frame where they are not even, and fps is what to resample to. notes: what is read otherwise than it
    is written. arranged: whether the ids are people from 0, the best first, and known to be the same ones over time.
    names: of the joints where the file has them; they are then taken by name. facts: subject, camera, setup and split,
    where the file tells them. metres: whether the file says that x, y, z are metres, or its reader made them so.
    counts: of `report.COUNTED`, what its reader did. id: the name that the file gives the sample, "" where it has none.
    """

    points: np.ndarray
    channels: tuple[str, ...]
    frames: np.ndarray
    ids: np.ndarray
    length: int
    normalized: bool | None = None
    layout: SkeletonLayout | str | None = None
    label: int | str = -1
    image_size: tuple[int, int] = (0, 0)
    fps: float | None = None
    seconds: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    arranged: bool = False
    names: tuple[str, ...] | None = None
    facts: dict = field(default_factory=dict)
    metres: bool = False
    counts: dict = field(default_factory=dict)
    id: str = ""

    @functools.cached_property
    def is_normalized(self):
        """Whether x, y are 0 to 1; None where nobody is there to tell."""
        if self.normalized is not None or not len(self.points):
            return self.normalized
        flat = self.points[..., :2][self.points[..., :2].any(-1)]
        return bool(np.abs(flat[np.isfinite(flat).all(-1)]).max(initial=0) <= MAX_EXTENT) if len(flat) else None


class People:
    """Gathers the people of a recording as they come.

    Args:
        source: what errors name. channels: those asked for, None where the file decides.
    Attributes: keys, which frames there were, people or not: any values that tell one from another. numbers: of the
        frames, None where the keys tell. notes.
    """

    def __init__(self, source, channels=None):
        self.source, self.channels, self.keys, self.numbers = source, channels, [], None
        self.notes, self.facts = [], {}
        self._points, self._scores, self._where, self._at, self._ids = [], [], [], [], []
        self._blocks, self._values, self._first = [], 0, None  # arrays of those before, values in them, shapes
        self._times_told, self._rates_told = [], set()

    def __len__(self):
        return len(self._at)

    def frame(self, key, content=None):
        """A new frame; the people added next are in it. content: its JSON, which may tell its time or the rate."""
        self.keys.append(key)
        self._times_told.append(time_in(content))
        self._rates_told |= {rate_in(content, self.source)} - {None}

    def add(self, points, scores=None, person=None, where="keypoints"):
        """A person: numbers flat or (V, D), scores (V,) beside them or None, an id or None; where: key in the file."""
        if len(self._points) >= _BLOCK:
            self._pack()
        self._points.append(points)
        self._scores.append(scores)
        self._at.append(len(self.keys) - 1)
        self._ids.append(person)
        self._where.append((self.source, where))

    def fail(self, where, expected, value):
        """Raise the DataError of a value at a key of the file."""
        raise DataError(self.source, where, expected, told(value))

    def clip(self, channels, **facts):
        """The Clip. channels: of the numbers, "score" last where scores stand beside."""
        self._pack()
        points = np.concatenate([block for block, _ in self._blocks]) if self._blocks else np.zeros((0, 0))
        scored = [scores is not None for _, scores in self._blocks]
        width = len(channels) - any(scored)
        if points.ndim == 2 and len(points) and points.shape[1] % width == 0:
            points = points.reshape(len(points), -1, width)
        if len(points) and (points.ndim != 3 or points.shape[2] != width or 0 in points.shape):
            found = " x ".join(map(str, points.shape[1:]))
            raise DataError(*self._start, f"{', '.join(channels[:width])} of each joint", f"{found} numbers")
        if any(scored):
            if not all(scored):
                raise DataError(*self._start, "scores of all people or of none", "of some")
            scores = np.concatenate([block for _, block in self._blocks])
            scores = scores[..., 0] if scores.shape == (*points.shape[:2], 1) else scores
            if scores.shape != points.shape[:2]:
                raise DataError(*self._start, f"{points.shape[1]} scores", f"{scores.shape[1:]}")
            points = np.concatenate([points, scores[..., None]], -1)
        points = points if len(points) else np.zeros((0, 0, len(channels)), "float32")
        frames, length = self._times()
        fps, seconds, note = timed(self._times_told, frames)
        if fps is None and len(self._rates_told) == 1:
            (fps,) = self._rates_told
        if seconds is not None:  # each frame has its time, and no number
            rank = np.argsort(np.argsort(frames, kind="stable"), kind="stable")
            frames, length = rank, len(rank)
        self.notes += [note] if note else []
        facts = {"fps": fps, "seconds": seconds} | facts
        frames = frames[np.array(self._at, "int64")]
        rows = np.argsort(frames, kind="stable")
        return Clip(points[rows], channels, frames[rows], self._numbered()[rows], length, notes=self.notes, **facts)

    def _pack(self):
        """Make arrays of the people since the last time."""
        if not self._points:
            return
        if self._first is None:
            self._first, self._start = {}, self._where[0]
        scored = any(scores is not None for scores in self._scores)
        block = (
            self._table(self._points, "numbers"),
            self._table(self._scores, "a score of each joint") if scored else None,
        )
        self._values += block[0].size
        if self._values > MAX_VALUES:
            raise DataError(*self._where[0], f"at most {MAX_VALUES} values in a recording", "more")
        self._blocks.append(block)
        self._points, self._scores, self._where = [], [], []

    def _table(self, rows, what):
        """Rows of numbers of one shape, that of the first person, as a float32 array."""
        found = numbers_of(rows)
        first = self._first.get(what)
        if found is None or found.ndim < 2 or (first and found.shape[1:] != first):  # which row is it?
            for row, where in zip(rows, self._where, strict=True):
                values = numbers_of(row)
                if values is None or values.ndim < 1:
                    raise DataError(*where, what, odd(row))
                first = first or values.shape
                if values.shape != first:
                    shapes = [" x ".join(map(str, shape)) for shape in (first, values.shape)]
                    raise DataError(*where, f"{shapes[0]} {what} as for the first person", shapes[1])
            raise DataError(*self._where[0], what, "others")
        self._first[what] = found.shape[1:]
        with np.errstate(over="ignore"):
            return found.astype("float32")

    def _times(self):
        """(number of each frame from 0, length); frames are numbered by their keys where these can be."""
        count = len(self.keys)
        numbers = [number_of(key) for key in self.keys] if self.numbers is None else self.numbers
        if not count or None in numbers or len(set(numbers)) < count:
            return np.arange(count), count
        given = np.array(numbers, "float64")
        try:
            frames = Clock([given], self.source).frames(given)
        except DataError:
            self.notes.append("frame numbers have no even step: read as one after the other")
            frames = np.argsort(np.argsort(given, kind="stable"), kind="stable")
        return frames, int(frames.max()) + 1

    def _numbered(self):
        """Ids as numbers, -1 where there is none."""
        if all(value is None or (type(value) is list and value == [-1]) for value in self._ids):
            return np.full(len(self._ids), -1, "int64")
        known, found = {}, []
        for value in map(plain, self._ids):
            none = value is None or isinstance(value, bool | float | list | tuple | dict) or value in (-1, "", "-1")
            found.append(-1 if none else known.setdefault(str(value), len(known)))
        return np.array(found, "int64")


def number_of(key):
    """The number at the end of a frame's name or the whole number it is; None where there is none."""
    if isinstance(key, bool) or not isinstance(key, int | str):
        return None
    if isinstance(key, int):
        return key if abs(key) < 2**53 else None
    digits = key[len(key.rstrip("0123456789")) :]
    return int(digits) if digits and digits.isascii() and len(digits) < 16 else None


def numbers_of(values):
    """Nested lists of numbers as an array, NaN for null; None for anything else."""
    try:
        found = np.array(values)
        if found.dtype.kind == "O" and all(value is None or type(value) in (int, float) for value in found.flat):
            found = found.astype("float64")
    except (ValueError, OverflowError):
        return None
    return found if found.dtype.kind in "fiu" else None


def odd(values):
    """What in nested lists is no number, or that they are ragged, in few words."""
    leaf = next((leaf for leaf in _leaves(values) if not _is_number(leaf)), None)
    return "lists of unequal length" if leaf is None else told(leaf)


def _leaves(values):
    """What nested lists hold, an empty list too."""
    if not isinstance(values, list) or not values:
        yield values
        return
    for value in values:
        yield from _leaves(value)


def _is_number(value):
    return value is None or type(value) is float or (type(value) is int and abs(value) <= sys.float_info.max)
