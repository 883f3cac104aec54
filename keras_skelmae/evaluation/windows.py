"""What recordings in windows have in common, a file's or a stream's: windows, people, smoothing, answers, segments."""

import numpy as np

from skelmae_datasets.timelines import NOBODY, UNKNOWN, Segment, agreed_rate

SMOOTHING = 0.3
MIN_PROBABILITY = 0.6  # measured on pauses of synthetic recordings, docs/long-recordings.md
OVERLAP = 4  # windows that cover a frame
CLEARLY_LONGER = 1.5  # times the longest clip trained on: from there on a recording is cut
SHORTEST = 2  # a segment is no shorter than one part of so many of a window


def default_window(model, fps=None):
    """Frames of a window: the median of the clips trained on, in seconds where both rates are known.

    Args:
        model: STRLClassifier or Ensemble. fps: frames per second of the recording, or None.

    Returns:
        int; the model's own number of frames where it does not know what it was trained on.
    """
    trained = model.trained_on
    if trained is None:
        return model.preprocessor.num_frames
    return max(1, round(trained["frames"][1] * _rate(trained, fps)))


def is_long(model, frames, fps=None):
    """Whether a recording is clearly longer than every clip that the model was trained on; False where unknown."""
    trained = model.trained_on
    return trained is not None and frames > CLEARLY_LONGER * trained["frames"][2] * _rate(trained, fps)


def frame_rate(store, fps=None):
    """Frames per second of the recordings of a store: its own, or ``fps`` where it does not say; None for neither.

    Raises:
        DataError: the store says another rate than ``fps``.
    """
    hint = "; `skelmae convert --source-fps` corrects a rate that is wrong"
    return agreed_rate(store.fps, fps, store.path, hint=hint)


def _rate(trained, fps):
    """How many frames of a recording are one of the training clips."""
    return fps / trained["fps"] if fps and trained["fps"] else 1.0


def checked(window, stride, smoothing):
    """(window, stride), a stride of None being a part of the window; ValueError names what is out of range."""
    stride = max(window // OVERLAP, 1) if stride is None else stride
    for name, value in (("window", window), ("stride", stride)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing: expected 0 <= smoothing < 1, found {smoothing}")
    return window, stride


def is_due(count, window, stride):
    """Whether a window ends with the frame number ``count``, counted from 1."""
    return count >= window and (count - window) % stride == 0


def window_starts(frames, window, stride):
    """First frames of the windows of a recording, the last one ending with it: (N,) int64.

    A recording shorter than the window is one window, as long as itself.
    """
    last = max(frames - window, 0)
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def most_seen(counts, order, most):
    """Keys of the ``most`` people seen in most frames, among equals those first in ``order``; sorted by ``order``.

    Args:
        counts: dict of key to frames in which someone was seen; 0 is nobody. order: dict of key to a number.
    """
    present = sorted((key for key in counts if counts[key]), key=lambda key: (-counts[key], order[key]))
    return sorted(present[:most], key=lambda key: order[key])


def smooth(before, now, smoothing):
    """Probabilities of a window, averaged with those of the windows before it; before: None for the first."""
    return now if before is None else smoothing * before + (1 - smoothing) * now


def smooth_both_ways(probabilities, seen, smoothing):
    """The mean of smoothing forwards and backwards in time, which moves nothing; begun again after nobody was there.

    Args:
        probabilities: (N, K) of windows in the order of time. seen: (N,) bool, windows with somebody.

    Returns:
        (N, K) float32; zeros where nobody was seen.
    """
    result = np.zeros(probabilities.shape, np.float32)
    for order in (range(len(seen)), range(len(seen) - 1, -1, -1)):
        last = None
        for number in order:
            last = smooth(last, probabilities[number], smoothing) if seen[number] else None
            if last is not None:
                result[number] += last / 2
    return result


def answer_rule(known=None, min_probability=MIN_PROBABILITY):
    """The function that says which windows have an answer.

    Args:
        known: None, or a function of features (N, F) and probabilities (N, K) of windows that returns (N,) bool; one
            that comes with a model sees what is like nothing trained on.
        min_probability: the least probability of an answer.

    Raises:
        ValueError: a probability outside 0..1.
    """
    if not 0 <= min_probability <= 1:
        raise ValueError(f"min_probability: expected 0 <= min_probability <= 1, found {min_probability}")

    def answers(features, probabilities):
        sure = probabilities.max(axis=-1) >= min_probability
        return sure if known is None else sure & known(features, probabilities)

    return answers


def segments(starts, window, probabilities, known, seen, names, shortest, gone=None):
    """From windows to the segments of one timeline.

    A window answers for the frames that are nearer to its middle than to that of another. Where nobody was seen for
    ``gone`` frames or longer, nobody is there. Then what is shorter than ``shortest`` goes: a gap within one
    label is closed, a label becomes "nothing known".

    Args:
        starts: (N,) first frames of the windows. window: their length. probabilities: (N, K), smoothed. known: (N,)
            bool, windows with an answer. seen: (T,) bool, frames in which somebody was seen. names: K class names.
            shortest: frames. gone: frames; ``shortest`` by default.

    Returns:
        list of Segment from frame 0 to T, neighbours different.
    """
    middles = starts + window / 2
    edges = np.concatenate([[0], np.ceil((middles[1:] + middles[:-1]) / 2), [len(seen)]]).astype(np.int64)
    best = np.where(known, probabilities.argmax(axis=1), _UNKNOWN)
    labels = np.repeat(best, np.diff(edges))  # (T,)
    for start, end in runs(~seen):
        if end - start >= (gone or shortest):
            labels[start:end] = _NOBODY
    _close_gaps(labels, shortest)
    for start, end in _label_runs(labels):
        if labels[start] >= 0 and end - start < shortest:
            labels[start:end] = _UNKNOWN
    owner = np.repeat(np.arange(len(starts)), np.diff(edges))  # the window of each frame
    return [_segment(start, end, int(labels[start]), owner, probabilities, names) for start, end in _label_runs(labels)]


_UNKNOWN, _NOBODY = -1, -2


def _segment(start, end, label, owner, probabilities, names):
    if label < 0:
        return Segment(int(start), int(end), None, None, UNKNOWN if label == _UNKNOWN else NOBODY)
    share = float(probabilities[owner[start:end], label].mean(dtype=np.float64))
    return Segment(int(start), int(end), names[label], round(share, 6))


def runs(flags):
    """(first, one after the last) of each stretch of True in (T,) bool."""
    steps = np.diff(np.concatenate([[0], np.asarray(flags, np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def _label_runs(labels):
    """(first, one after the last) of each stretch of one label."""
    cuts = (np.flatnonzero(np.diff(labels)) + 1).tolist()
    return list(zip([0, *cuts], [*cuts, len(labels)], strict=True))


def _close_gaps(labels, shortest):
    """What is shorter than ``shortest`` and not nobody's, between two stretches of one label, becomes that label."""
    found = _label_runs(labels)
    for (first, _), (start, end), (after, _) in zip(found, found[1:], found[2:], strict=False):
        if labels[first] == labels[after] >= 0 and end - start < shortest and labels[start] != _NOBODY:
            labels[start:end] = labels[first]
