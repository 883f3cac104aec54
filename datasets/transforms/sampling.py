"""Choosing frames: from a recording of any length to clips of a fixed one.

Every function returns int64 frame numbers into the recording, thinned or looped to the length of the clip.
The rules are those of `UniformSampleFrames` in PYSKL (pyskl/datasets/pipelines/sampling.py), written again.
"""

import numpy as np


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


def stretch_indices(num_frames, length, rng, interval=(1.0, 1.0)):
    """Sample a training clip: one frame from each of `length` equal stretches of a random part of the recording.

    The rule `uniform_sample_indices` has for long recordings, for all: a recording shorter than the clip is stretched,
    never looped, as `uniform_grid_indices` does. The same place of every stretch is taken, so motion stays smooth.

    Args:
        num_frames: frames in the recording, at least 1; or those of N recordings, which get a clip each.
        length: frames in the clip, at least 1.
        rng: `numpy.random.Generator`.
        interval: (low, high) share of the recording to sample from; the share and its place are drawn.

    Returns:
        (length,) or (N, length) int64, never decreasing.

    Raises:
        ValueError: a count below 1, or an interval outside 0 < low <= high <= 1.
    """
    counts, window, offset = _windows(num_frames, length, rng, interval)
    places = (np.arange(length) + rng.random(counts.shape)[:, None]) * window[:, None] / length
    return (offset[:, None] + places.astype(np.int64)).reshape(*np.shape(num_frames), length)


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


def _bounds(num_frames, length):
    return np.arange(length + 1, dtype=np.int64) * num_frames // length


def _thinned(length, skipped):
    """0..length-1 with a step of two at each of the skipped slots, (..., length + 1) bool."""
    return np.arange(length) + np.cumsum(skipped, axis=-1)[..., :length]
