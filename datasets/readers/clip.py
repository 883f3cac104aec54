"""People frame by frame, as files of estimators tell them, before anybody knows who is who."""

from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError
from .clock import Clock
from .json_file import told
from .labels import plain
from .people import MAX_VALUES

MAX_EXTENT = 3  # normalised coordinates may leave the image by so much; pixels hardly stay within


@dataclass
class Clip:
    """One recording of N detections.

    points: (N, V, C), joints that were not seen as the file has them. channels: names of the C values. frames: (N,)
    int64 from 0. ids: (N,) int64, -1 unknown. length: number of frames. normalized: whether x and y are parts of the
    image's width and height; None where only the values tell. layout: name, None: the usual one. label: class as in
    the file, -1 unknown. image_size: (height, width). notes: what is read otherwise than it is written.
    """

    points: np.ndarray
    channels: tuple[str, ...]
    frames: np.ndarray
    ids: np.ndarray
    length: int
    normalized: bool | None = None
    layout: str | None = None
    label: int | str = -1
    image_size: tuple[int, int] = (0, 0)
    notes: list[str] = field(default_factory=list)

    @property
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
        self._points, self._scores, self._at, self._ids, self._where, self._values = [], [], [], [], [], 0

    def __len__(self):
        return len(self._points)

    def frame(self, key):
        """A new frame; the people added next are in it."""
        self.keys.append(key)

    def add(self, points, scores=None, person=None, where="keypoints"):
        """A person: numbers flat or (V, D), scores (V,) beside them or None, an id or None; where: key in the file."""
        self._values += len(points) if isinstance(points, list) else 0
        if self._values > MAX_VALUES:
            raise DataError(self.source, where, f"at most {MAX_VALUES} values in a recording", "more")
        self._points.append(points)
        self._scores.append(scores)
        self._at.append(len(self.keys) - 1)
        self._ids.append(person)
        self._where.append(where)

    def fail(self, where, expected, value):
        raise DataError(self.source, where, expected, told(value))

    def clip(self, channels, **facts):
        """The Clip. channels: of the numbers, "score" last where scores stand beside."""
        scored = any(scores is not None for scores in self._scores)
        width = len(channels) - scored
        points = self._table(self._points, "numbers")
        if len(points) and points.ndim == 2 and points.shape[1] % width == 0:
            points = points.reshape(len(points), -1, width)
        if len(points) and (points.ndim != 3 or points.shape[2] != width or 0 in points.shape):
            found = " x ".join(map(str, points.shape[1:]))
            self.fail(self._where[0], f"{', '.join(channels[:width])} of each joint", f"{found} numbers")
        if scored and len(points):
            scores = self._table(self._scores, "a score of each joint")
            if scores.shape == (*points.shape[:2], 1):
                scores = scores[..., 0]
            if scores.shape != points.shape[:2]:
                self.fail(self._where[0], f"{points.shape[1]} scores", f"{scores.shape[1:]}")
            points = np.concatenate([points, scores[..., None]], -1)
        if not len(points):
            points = np.zeros((0, 0, len(channels)))
        frames, length = self._times()
        frames = frames[np.array(self._at, "int64")]
        rows = np.argsort(frames, kind="stable")
        with np.errstate(over="ignore"):
            points = points[rows].astype("float32")
        return Clip(points, channels, frames[rows], self._numbered()[rows], length, notes=self.notes, **facts)

    def _table(self, rows, what):
        """Rows of numbers of one shape as an array."""
        if not rows:
            return np.zeros((0, 0))
        found = _numbers(rows)
        if found is None:  # which row is it?
            first = None
            for row, where in zip(rows, self._where, strict=True):
                values = _numbers(row)
                if values is None or values.ndim < 1:
                    self.fail(where, what, _odd(row))
                first = values.shape if first is None else first
                if values.shape != first:
                    shapes = [" x ".join(map(str, shape)) for shape in (first, values.shape)]
                    self.fail(where, f"{shapes[0]} {what} as for the first person", shapes[1])
            self.fail(self._where[0], what, "others")
        return found

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


def _numbers(values):
    """Nested lists of numbers as an array; None for anything else."""
    try:
        found = np.array(values)
    except (ValueError, OverflowError):
        return None
    return found if found.dtype.kind in "fiu" else None


def _odd(row):
    """The first value of a row that is no number, to be told."""
    while isinstance(row, list) and row:
        row = next((value for value in row if isinstance(value, bool) or not isinstance(value, int | float)), row[0])
    return row
