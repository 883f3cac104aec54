"""What samples become on their way into a store where it is asked for: another layout's joints, another frame rate."""

from collections import Counter

from ..errors import DataError
from ..store.writer import check_rate
from ..transforms.sampling import resample_frames
from .people import MAX_VALUES

_ALIKE = 2e-3  # rates that differ by a smaller part are one, such as 29.97 and 30, or a frame time that was rounded


class Adaptation:
    """Gives samples the joints and the rate that are asked for.

    Args:
        mapping: LayoutMap or None. fps: frames per second wanted, or None for those of the recordings.
    """

    def __init__(self, mapping=None, fps=None):
        self.mapping, self.fps, self._rates = mapping, check_rate("fps", fps), Counter()

    def apply(self, sample, channels, rate=None):
        """The Sample, changed. channels: of its keypoints. rate: frames per second that it has, or None.

        Raises: DataError where there would be too many frames.
        """
        if self.fps and rate and not self._alike(rate, self.fps):
            if sample.keypoints.size * self.fps / rate > MAX_VALUES:
                raise DataError("", sample.id, f"at most {MAX_VALUES} values", f"more at {self.fps:g} frames a second")
            sample.keypoints = resample_frames(sample.keypoints, rate, self.fps, channels)
        if self.mapping is not None:
            sample.keypoints = self.mapping.apply(sample.keypoints, channels)
        if rate or sample.keypoints.shape[1] > 1:  # one frame has no rate that could differ
            self._rates[rate] += 1
        return sample

    @property
    def absent(self):
        """(V,) True where the mapping says that it has no joint; None without one."""
        return None if self.mapping is None else self.mapping.missing

    @property
    def rate(self):
        """Frames per second of all samples so far, None where they differ or one is not known."""
        if self.fps or not self._rates:
            return self.fps
        first = next(iter(self._rates))
        return first if first and all(rate and self._alike(rate, first) for rate in self._rates) else None

    def notes(self):
        """What was done, line by line."""
        if self.mapping is not None:
            yield str(self.mapping)
        told = {rate: count for rate, count in self._rates.items() if rate}
        if self.fps:
            for rate, count in sorted(told.items()):
                if not self._alike(rate, self.fps):
                    yield f"{count} sequences are resampled from {rate:g} to {self.fps:g} frames a second"
        elif told and self.rate is None:
            rates = ", ".join(f"{rate:g}" for rate in sorted(told)[:4])
            yield f"no one frame rate is kept ({rates} and others or unknown): convert --fps N resamples to one"

    @staticmethod
    def _alike(one, other):
        return abs(one - other) <= _ALIKE * other
