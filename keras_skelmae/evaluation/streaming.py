"""Labels for a stream of frames: a window that slides over tracked people, its probabilities smoothed."""

import json
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from keras_skelmae.evaluation.features import window_features
from keras_skelmae.evaluation.predict import load_classifier, predict_clip
from keras_skelmae.evaluation.windows import SMOOTHING, answer_rule, checked, default_window, is_due, most_seen, smooth
from skelmae_datasets import DataError
from skelmae_datasets.readers.clip import numbers_of, odd
from skelmae_datasets.store.writer import check_rate

FRAME = "a JSON object of track id to joints [[x, y], ...]"  # a line of the standard input


@dataclass(frozen=True)
class WindowLabel:
    """What a stream says about one window."""

    frame: int  # number of the window's last frame, from 0
    label: str | None  # None where nobody is in the window or nothing is known
    probability: float  # of the label, smoothed
    probabilities: np.ndarray | None  # (K,), smoothed
    window_probabilities: np.ndarray | None  # (K,), of this window alone
    tracks: tuple  # ids of the people the model saw, in the order it saw them


class StreamingPredictor:
    """Frames in, labels out: every ``stride`` frames a label of the last ``window`` ones.

    A person is known by a track id. Where a track is missing from a frame it is zeros, as absent people are
    everywhere here. Of more people than the model takes, those seen in most frames of the window are kept, among
    equals those who came first.

    Args:
        model: classifier, or the run folder or .keras file of one.
        window: frames in a window; by default the median of the clips trained on, or the model's own number. Any number
            is resampled to that.
        stride: frames from one label to the next; a quarter of the window by default.
        smoothing: weight of the labels before, in 0 <= smoothing < 1: ``p = smoothing * p + (1 - smoothing) * now``.
        min_probability, known: which windows have a label, see ``windows.answer_rule``; all with somebody by default.
        fps: frames per second, or None; by it the default window lasts as long as the clips trained on.

    Raises:
        ValueError: naming the argument, what was expected and what was found.

    Example:
        >>> predictor = StreamingPredictor("runs/fine", window=48, stride=12)  # doctest: +SKIP
        >>> for frame in camera:  # doctest: +SKIP
        ...     result = predictor.update({person.id: person.keypoints for person in frame})
        ...     if result:
        ...         print(result.frame, result.label, result.probability)
    """

    def __init__(self, model, window=None, stride=None, smoothing=SMOOTHING, min_probability=0.0, known=None, fps=None):
        self.model = model if hasattr(model, "predict_on_batch") else load_classifier(model)
        preprocessor = self.model.preprocessor
        rate = check_rate("StreamingPredictor", fps)
        window = default_window(self.model, rate) if window is None else window
        self.window, self.stride = checked(window, stride, smoothing)
        self.smoothing, self.answers = smoothing, answer_rule(known, min_probability)
        self.features = None if known is None else window_features(self.model)
        self.names = self.model.names
        self.shape = preprocessor.clip_shape[2:]
        self.reset()

    def reset(self):
        """Forget all frames, people and labels."""
        self.frames = deque(maxlen=self.window)
        self.first_seen, self.count, self.told, self.smoothed = {}, 0, 0, None

    def update(self, people):
        """Take one frame.

        Args:
            people: dict of track id (anything hashable) to joints (V, C) in the units of the training data; joints not
                seen are zeros, see ``SkeletonPreprocessor.observed``. An empty dict is a frame without anybody.

        Returns:
            WindowLabel when a window is complete and ``stride`` frames have passed since the last one, else None.
        """
        frame = {}
        for track, joints in people.items():
            if np.ndim(joints) != 2:
                raise ValueError(f"track {track!r}: expected joints of shape {self.shape}, found {np.shape(joints)}")
            try:  # a copy: the caller may use its buffer again
                frame[track] = np.array(self.model.preprocessor.observed(joints))
            except ValueError as error:
                raise ValueError(f"track {track!r}: {error}") from None
            self.first_seen.setdefault(track, self.count)
        self.frames.append(frame)
        self.count += 1
        return self._label() if is_due(self.count, self.window, self.stride) else None

    def flush(self):
        """The label of the frames that no window has covered yet, with those before them; None if there are none."""
        return self._label() if self.count > self.told else None

    def clip(self):
        """((M, T, V, C) float32 of the current window, ids of its M people)."""
        seen = {}
        for frame in self.frames:
            for track, joints in frame.items():
                seen[track] = seen.get(track, 0) + bool(joints.any())
        tracks = most_seen(seen, self.first_seen, self.model.preprocessor.num_people)
        clip = np.zeros((len(tracks), len(self.frames), *self.shape), np.float32)
        for row, track in enumerate(tracks):
            for number, frame in enumerate(self.frames):
                if track in frame:
                    clip[row, number] = frame[track]
        for track in set(self.first_seen) - set(seen):
            del self.first_seen[track]  # a stream may run for days
        return clip, tuple(tracks)

    def _label(self):
        self.told = self.count
        clip, tracks = self.clip()
        if not tracks:
            self.smoothed = None
            return WindowLabel(self.count - 1, None, 0.0, None, None, ())
        now = predict_clip(self.model, clip)
        self.smoothed = smooth(self.smoothed, now, self.smoothing)
        features = self.features and self.features(self.model.preprocessor(clip)[None])
        best = int(self.smoothed.argmax())
        label = self.names[best] if self.answers(features, self.smoothed[None])[0] else None
        return WindowLabel(self.count - 1, label, float(self.smoothed[best]), self.smoothed, now, tracks)


def stream_recording(predictor, keypoints, image_size=(0, 0)):
    """All labels of one recording (M, T, V, C), frame by frame; persons are tracks, zeros are absence.

    Args:
        image_size: (height, width) of the recording in pixels; 0: not known.
    """
    preprocessor, keypoints = predictor.model.preprocessor, np.array(keypoints)
    keypoints[..., : preprocessor.num_coordinates] *= preprocessor.image_scale(image_size)
    frames = (
        {person: joints for person, joints in enumerate(frame) if joints.any()}
        for frame in np.swapaxes(keypoints, 0, 1)
    )
    return _labels(predictor, frames, "frame {}".format)


def stream_lines(predictor, lines, source="-"):
    """All labels of frames that come as JSON, one a line: an object of track id to joints [[x, y], ...].

    Raises:
        DataError, ValueError: naming the source and the line; there is none.
    """
    return _labels(predictor, _frames(lines, source), lambda number: f"{source}: line {number + 1}")


def _frames(lines, source):
    number = 0
    for number, line in enumerate(lines, 1):
        yield _frame(line, source, number)
    if not number:
        raise DataError(source, "line 1", FRAME, "the end of the input")


def _once(pairs):
    """A JSON object as a dict; ValueError where a key is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, times), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{twice!r} {times} times")
    return found


def _frame(line, source, number):
    try:
        people = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DataError(source, f"line {number}", FRAME, error) from error
    if not isinstance(people, dict):
        raise DataError(source, f"line {number}", FRAME, type(people).__name__)
    found = {track: numbers_of(joints) for track, joints in people.items()}
    for track, joints in found.items():
        if joints is None:
            raise DataError(source, f"line {number}, track {track!r}", FRAME, odd(people[track]))
    with np.errstate(over="ignore"):  # what is too large counts as not seen
        return {track: joints.astype("float32") for track, joints in found.items()}


def _labels(predictor, frames, place):
    """All labels of frames; place: function of a frame's number that says where it stands, for errors."""
    predictor.reset()
    for number, people in enumerate(frames):
        try:
            result = predictor.update(people)
        except ValueError as error:
            raise ValueError(f"{place(number)}: {error}") from error
        if result:
            yield result
    last = predictor.flush()
    if last:
        yield last
