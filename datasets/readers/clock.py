"""Times of any kind to frame numbers: even steps, milliseconds and seconds are recognised, real gaps stay gaps."""

import numpy as np

from ..errors import DataError
from .rates import JITTER, seconds_rate, usual_step

_TOLERANCE = JITTER  # how far, in steps, a gap may be from a whole number of them
_MAX_FRAMES = 2**53
_MAX_GAP = 10  # frame numbers as far apart as this are rather times
_MIN_GAPS = 3  # equal gaps that make a rhythm


class Clock:
    """From the times of a sample to its frames.

    Args:
        times: iterable of arrays, the times of each sample, in any order and repeated.
        source: what errors name. step: how much the time grows from one frame to the next; None: to be found out.
    Attributes: step; whole, whether times are whole numbers; note, "" where the times are plain frame numbers; fps,
        frames per second where the times are seconds, for they have fractions, else None.
    Raises: DataError where gaps and the rate cannot be told apart.
    """

    def __init__(self, times, source, step=None):
        self.source, self.step, self.note = source, step, ""
        times = [np.unique(values) for values in times]
        self._uneven = False
        whole = [values for values in times if (values == np.round(values)).all()]
        self.whole = 2 * len(whole) >= len(times)  # a fraction is then a fault of its sample
        if step is None:
            gaps = [np.diff(values) for values in (whole if self.whole else times)]
            self.step = self._found(np.concatenate(gaps) if gaps else np.zeros(0))
        self.fps = None if self.whole else seconds_rate(self.step)
        if self.fps:
            self.note = f"frames are times in seconds, {self.fps:.4g} frames a second"
        elif self.step != 1:
            self.note = f"frames are {self.step:g} apart in the table: read as one after the other"

    def _found(self, gaps):
        if not len(gaps) or (gaps.min() == 1 and np.median(gaps) < _MAX_GAP):
            return 1
        rate = None if self.whole or len(gaps) < _MIN_GAPS else seconds_rate(*usual_step(gaps))
        if rate:
            self._uneven = True  # perhaps: each sample is asked
            return 1 / rate
        single = gaps[gaps < 1.5 * gaps.min()]
        step = float(np.median(single))
        if (np.abs(single - step) > 1e-6 * step).any():  # rounded or uneven times
            step = float(single.mean())
        steps = gaps / step
        even = (np.abs(steps - np.round(steps)) <= _TOLERANCE).all()
        if not even or len(single) < _MIN_GAPS or 2 * len(single) < len(gaps):
            found = ", ".join(f"{gap:g}" for gap in gaps[:4]) + (", ..." if len(gaps) > 4 else "")
            expected = "even steps, or convert-csv --step N (how far apart frames are; 1: frame numbers)"
            raise DataError(self.source, "frame", expected, f"steps of {found}")
        return step

    def frames(self, times):
        """Frame number of each time, int64 from 0: times (N,) of one sample. Raises DataError for a fraction."""
        if self.whole and (times != np.round(times)).any():
            raise DataError(self.source, "frame", "a whole number", f"{times[times != np.round(times)][0]:g}")
        present, index = np.unique(times, return_inverse=True)
        if len(present) and not (present[-1] - present[0]) / self.step < _MAX_FRAMES:
            raise DataError(self.source, "frame", "numbers that are frames", f"{present[-1]:g} after {present[0]:g}")
        if self.step == 1:
            return np.round(times - present[0]).astype("int64")
        if self.seconds(times) is not None:
            return index.astype("int64")
        if self._uneven and not self._even_gaps(present):
            return np.round((present - present[0]) / self.step).astype("int64")[index]
        steps = np.maximum(1, np.round(np.diff(present) / self.step))
        return np.concatenate([[0], np.cumsum(steps)]).astype("int64")[index]

    def seconds(self, times):
        """(F,) seconds of the frames of a sample from 0, where they are not even; else None."""
        present = np.unique(times)
        if not self._uneven or self._even_gaps(present):
            return None
        places = (present - present[0]) / self.step
        even = np.abs(places - np.round(places)).max() <= _TOLERANCE and (np.diff(np.round(places)) > 0).all()
        return None if even else present - present[0]

    def _even_gaps(self, present):
        """Whether each time is a whole number of steps from the one before, nearly."""
        steps = np.diff(present) / self.step
        return bool((np.abs(steps - np.maximum(1, np.round(steps))) <= _TOLERANCE).all())
