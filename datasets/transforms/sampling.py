"""Choosing frames: from a recording of any length to clips of a fixed one.

Two ways: `*_places` are evenly spaced in time, and `interpolate_frames` gives what lies between two frames, so motion
is that of the body and not of rounding. `*_indices` are numbers of frames, thinned or looped, by the rules of
`UniformSampleFrames` in PYSKL (pyskl/datasets/pipelines/sampling.py), written again.
"""

import numpy as np

SAMPLINGS = ("stretch", "pyskl")  # by places, by indices


def uniform_sample_indices(num_frames, length, rng, interval=(1.0, 1.0)):
    """Sample a training clip: one random frame from each of `length` equal stretches.

    A recording shorter than the clip is looped from a random start; one under twice the clip loses random
    frames.

    Args:
        num_frames: frames in the recording, at least 1; or those of N recordings, which get a clip each.
        length: frames in the clip, at least 1.
        rng: `numpy.random.Generator`.
        interval: (low, high) share of the recording to sample from; the share and its place are drawn too.

    Returns:
        (length,) or (N, length) int64.

    Raises:
        ValueError: a count below 1, or an interval outside 0 < low <= high <= 1.
    """
    counts, window, offset = _windows(num_frames, length, rng, interval)
    clips = np.empty((len(counts), length), np.int64)
    looped, thinned = window < length, (window >= length) & (window < 2 * length)
    if looped.any():
        clips[looped] = rng.integers(0, window[looped])[:, None] + np.arange(length)
    if thinned.any():
        order = rng.random((np.count_nonzero(thinned), length + 1)).argsort(axis=1)
        clips[thinned] = _thinned(length, order < (window[thinned] - length)[:, None])
    rest = ~looped & ~thinned
    if rest.any():
        bounds = _bounds(window[rest, None], length)
        clips[rest] = bounds[:, :-1] + rng.integers(0, np.diff(bounds))
    return ((clips + offset[:, None]) % counts[:, None]).reshape(*np.shape(num_frames), length)


def stretch_places(num_frames, length, rng, interval=(1.0, 1.0)):
    """Sample a training clip: places in time, evenly spaced over a random part of the recording.

    Args:
        num_frames: frames in the recording, at least 1; or those of N recordings, which get a clip each.
        length: frames in the clip, at least 1.
        rng: `numpy.random.Generator`.
        interval: (low, high) share of the recording to sample from; the share and its place are drawn.

    Returns:
        (length,) or (N, length) float64 in 0..num_frames - 1, rising, for `interpolate_frames`.

    Raises:
        ValueError: a count below 1, or an interval outside 0 < low <= high <= 1.
    """
    counts, window, offset = _windows(num_frames, length, rng, interval)
    places = _places(window[:, None], length, rng.random(counts.shape)[:, None]) + offset[:, None]
    return places.reshape(*np.shape(num_frames), length)


def grid_places(num_frames, length, num_clips=1):
    """Places in time, evenly spaced over the whole recording.

    A single clip takes the middles of equal stretches; several take other places of these, as training draws them.

    Returns:
        (num_clips, length) float64 in 0..num_frames - 1, rising.

    Raises:
        ValueError: a count below 1.
    """
    _check_counts(num_frames, length)
    if num_clips < 1:
        raise ValueError(f"num_clips: expected at least 1, found {num_clips}")
    return _places(num_frames, length, (np.arange(num_clips)[:, None] + 0.5) / num_clips)


def interpolate_frames(recording, places, channels):
    """A recording at places between its frames.

    Between two frames coordinates are interpolated along a line where the joint was seen in both, else those of the
    nearer frame are taken; a score is the lower of the two.

    Args:
        recording: (M, T, V, C), joints not seen at zero.
        places: (clips, T') float in 0..T - 1, or int: these very frames.
        channels: names of the C channels.

    Returns:
        (M, clips, T', V, C) float32.
    """
    if places.dtype.kind != "f":
        return recording.take(places, axis=1).astype(np.float32, copy=False)
    before = np.floor(places).astype(np.int64)
    after = np.minimum(before + 1, recording.shape[1] - 1)
    share = (places - before).astype(np.float32)[..., None, None]  # (clips, T', 1, 1)
    one, other = (recording.take(frames, axis=1).astype(np.float32) for frames in (before, after))
    dims = len(channels) - ("score" in channels)
    both = one[..., :dims].any(-1, keepdims=True) & other[..., :dims].any(-1, keepdims=True)
    between = one + share * (other - one)
    if dims < len(channels):
        between[..., dims:] = np.minimum(one[..., dims:], other[..., dims:])
    return np.where(both & (share > 0), between, np.where(share < 0.5, one, other))


def resample_frames(recording, rate, fps, channels):
    """A recording at another frame rate, between its first and its last frame.

    Args:
        recording, channels: as `interpolate_frames`.
        rate, fps: frames per second that it has and that it gets.

    Returns:
        (M, T', V, C) float32, the first frame unchanged.

    Raises:
        ValueError: a rate that is not above 0.
    """
    if not min(rate, fps) > 0:
        raise ValueError(f"rate, fps: expected more than 0, found {rate}, {fps}")
    last = recording.shape[1] - 1
    places = np.arange(int(last * fps / rate + 1e-6) + 1) * (rate / fps)
    return interpolate_frames(recording, np.minimum(places, last)[None], channels)[:, 0]


def uniform_sample_test_indices(num_frames, length, num_clips=1, seed=255):
    """Sample `num_clips` test clips, the same ones at every call and the same ones as PYSKL.

    PYSKL resets NumPy's global generator to 255 for each recording; a local legacy generator gives the same
    frames without touching the global one. Each clip draws one number first, as PYSKL does for its unused
    interval.

    Returns:
        (num_clips, length) int64.

    Raises:
        ValueError: a count below 1.
    """
    _check_counts(num_frames, length)
    if num_clips < 1:
        raise ValueError(f"num_clips: expected at least 1, found {num_clips}")
    rng = np.random.RandomState(seed)
    clips = np.empty((num_clips, length), np.int64)
    for clip in range(num_clips):
        rng.rand()
        rng.randint(0, 1)
        if num_frames < length:
            start = clip if num_frames < num_clips else clip * num_frames // num_clips
            clips[clip] = start + np.arange(length)
        elif num_frames < 2 * length:
            skipped = np.zeros(length + 1, bool)
            skipped[rng.choice(length + 1, num_frames - length, replace=False)] = True
            clips[clip] = _thinned(length, skipped)
        else:
            bounds = _bounds(num_frames, length)
            clips[clip] = bounds[:-1] + rng.randint(np.diff(bounds))
    return clips % num_frames


def uniform_grid_indices(num_frames, length):
    """Middle frame of each of `length` equal stretches: floor((i + 0.5) * num_frames / length). No chance.

    Returns:
        (length,) int64, never decreasing; frames repeat where the recording is shorter than the clip.

    Raises:
        ValueError: a count below 1.
    """
    _check_counts(num_frames, length)
    return (2 * np.arange(length, dtype=np.int64) + 1) * num_frames // (2 * length)


def loop_grid_indices(num_frames, length):
    """As `uniform_grid_indices`, but a recording shorter than the clip is looped from its start, as PYSKL does."""
    if num_frames >= length:
        return uniform_grid_indices(num_frames, length)
    _check_counts(num_frames, length)
    return np.arange(length) % num_frames


def _check_counts(num_frames, length):
    for name, value in (("num_frames", np.min(num_frames)), ("length", length)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")


def _windows(num_frames, length, rng, interval):
    """(N,) frames of each recording, of the part of it to sample from, and where that part begins."""
    _check_counts(num_frames, length)
    low, high = interval
    if not 0 < low <= high <= 1:
        raise ValueError(f"interval: expected 0 < low <= high <= 1, found {tuple(interval)}")
    counts = np.atleast_1d(np.asarray(num_frames, np.int64))
    window = np.maximum(1, ((low + rng.random(counts.shape) * (high - low)) * counts).astype(np.int64))
    return counts, window, rng.integers(0, counts - window + 1)


def _places(window, length, start):
    """`length` places, evenly spaced over `window` frames; start: that of the first in its stretch, in 0..1."""
    return np.clip((np.arange(length) + start) * window / length - 0.5, 0, window - 1)


def _bounds(num_frames, length):
    return np.arange(length + 1, dtype=np.int64) * num_frames // length


def _thinned(length, skipped):
    """0..length-1 with a step of two at each of the skipped slots, (..., length + 1) bool."""
    return np.arange(length) + np.cumsum(skipped, axis=-1)[..., :length]
