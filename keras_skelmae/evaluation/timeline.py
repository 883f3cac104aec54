"""Recordings of any length to timelines: windows that overlap, their probabilities smoothed, cut into segments."""

from contextlib import ExitStack

import numpy as np

from keras_skelmae.evaluation.features import window_features
from keras_skelmae.evaluation.known import load_known
from keras_skelmae.evaluation.predict import load_classifier
from keras_skelmae.evaluation.predict_files import answers_of
from keras_skelmae.evaluation.windows import (
    MIN_PROBABILITY,
    SHORTEST,
    SMOOTHING,
    answer_rule,
    checked,
    default_window,
    frame_rate,
    is_long,
    most_seen,
    segments,
    smooth_both_ways,
    window_starts,
)
from keras_skelmae.fast.networks.batch_slices import prediction_function
from skelmae_datasets.runs.model_inputs import open_inputs
from skelmae_datasets.runs.saved_model import read_classifier
from skelmae_datasets.store.writer import check_rate
from skelmae_datasets.timelines import Timeline

BATCH = 64


class TimelinePredictor:
    """Timelines of recordings, one for each person or one of all people together.

    A recording is read and predicted a few windows at a time: what memory it takes does not grow with its length but
    for the probabilities and a byte a frame.

    Args:
        model: STRLClassifier or Ensemble.
        window, stride: frames of a window and from one to the next; by default the median of the clips trained on and
            a quarter of the window.
        smoothing: as in ``StreamingPredictor``, here both ways in time.
        min_probability, known: as in ``windows.answer_rule``.
        together: whether people are one clip, as interactions are; by default where most clips trained on show several.
        fps: frames per second of the recordings, where they do not say; another rate than theirs is refused.
        shortest: frames of the shortest segment; half the window by default.
        batch_size: windows in a batch.

    Raises:
        ValueError: naming the argument, what was expected and what was found.
    """

    def __init__(
        self,
        model,
        window=None,
        stride=None,
        smoothing=SMOOTHING,
        min_probability=MIN_PROBABILITY,
        known=None,
        together=None,
        fps=None,
        shortest=None,
        batch_size=BATCH,
    ):
        self.model, self.batch_size = model, batch_size
        trained = model.trained_on
        self.together = bool(trained and trained["people"] > 1) if together is None else together
        self.window, self.stride, self.smoothing = window, stride, smoothing
        self.fps, self.shortest = check_rate("TimelinePredictor", fps), shortest
        self.known, self.answers = known, answer_rule(known, min_probability)
        checked(1 if window is None else window, stride, smoothing)

    def wants(self, store, index):
        """Whether a recording is to be cut: where a window is asked for and shorter, or it is clearly longer."""
        frames = int(store.frames[index])
        if self.window is not None:
            return frames > self.window
        return is_long(self.model, frames, frame_rate(store, self.fps))

    def windows(self, store, index, progress=None):
        """The Windows of one recording of a store; progress: called with (done, total) of them."""
        rate, frames = frame_rate(store, self.fps), int(store.frames[index])
        window = default_window(self.model, rate) if self.window is None else self.window
        window, stride = checked(min(window, frames), self.stride, self.smoothing)
        store.check(index)
        found = Windows(self, store, index, window, stride)
        found.predict(progress)
        return found

    def timelines(self, store, index, progress=None):
        """The Timelines of one recording of a store; progress: called with (done, total) windows."""
        return self.cut(self.windows(store, index, progress))

    def cut(self, windows):
        """The Timelines of Windows that are predicted."""
        store, index, window, found = windows.store, windows.index, windows.window, []
        settings = {"window": window, "stride": windows.stride, "smoothing": self.smoothing}
        for row in range(len(windows.present)):
            present, probabilities = windows.present[row], windows.probabilities[row]
            smoothed = smooth_both_ways(probabilities, present, self.smoothing)
            features = None if windows.features is None else windows.features[row]
            known = np.asarray(self.answers(features, smoothed), bool) & present
            gone = max(1, window // SHORTEST)
            shortest = gone if self.shortest is None else self.shortest
            names, seen = self.model.names, windows.seen[row]
            parts = segments(windows.starts, window, smoothed, known, seen, names, shortest, gone)
            person = None if self.together else row + 1
            told = (person, frame_rate(store, self.fps), str(store.path), settings)
            found.append(Timeline(store.ids[index], len(seen), parts, *told))
        return found


class Windows:
    """The windows of a recording, of P people or of all together.

    Attributes: starts (N,), window and stride; present (P, N) bool, whether somebody is there; probabilities (P, N, K);
    features (P, N, F), None unless a rule needs them; seen (P, T) bool, in which frames.
    """

    def __init__(self, settings, store, index, window, stride):
        self.settings, self.store, self.index, self.window, self.stride = settings, store, index, window, stride
        starts = self.starts = window_starts(int(store.frames[index]), window, stride)
        model = settings.model
        self.preprocessor, people = model.preprocessor, int(store.people[index])
        rows = 1 if settings.together else people
        self.present = np.zeros((rows, len(starts)), bool)
        self.seen = np.zeros((rows, int(store.frames[index])), bool)
        self.probabilities = np.zeros((rows, len(starts), model.num_classes), np.float32)
        self.features = None
        batches = -(-rows * len(starts) // settings.batch_size)
        self._predict = prediction_function(model, settings.batch_size, batches)
        self._features = None if settings.known is None else window_features(model)

    def predict(self, progress):
        """Fill the arrays."""
        waiting, clips = [], []  # (row, window) of the clips that wait for a batch to be full
        total, size = len(self.starts), self.settings.batch_size
        for first in range(0, total, size):
            for places, batch in self._clips(range(first, min(first + size, total))):
                waiting += places
                clips += [batch]
            if len(waiting) >= size:
                x = np.concatenate(clips)
                full = len(x) // size * size
                for start in range(0, full, size):
                    self._take(waiting[start : start + size], x[start : start + size])
                waiting, clips = waiting[full:], [x[full:]]
            if progress:
                progress(min(first + size, total), total)
        if waiting:
            self._take(waiting, np.concatenate(clips))

    def _clips(self, numbers):
        """Yield ([(row, window)], clips of them) of some windows that follow each other."""
        starts = self.starts[numbers.start : numbers.stop]
        offset, stop = int(starts[0]), int(starts[-1]) + self.window
        block = self.store.read_frames(self.index, offset, stop)  # (M, n, V, C)
        there = block[..., : self.preprocessor.num_coordinates].any(axis=(2, 3))  # (M, n)
        counts = np.cumsum(np.pad(there, ((0, 0), (1, 0))), axis=1, dtype=np.int64)
        counts = counts[:, starts - offset + self.window] - counts[:, starts - offset]  # (M, windows)
        times = self.preprocessor.times([self.window])[0] + (starts - offset)[:, None]  # (windows, T')
        size = self.store.image_size[self.index]
        if self.settings.together:
            self.seen[0, offset:stop] |= there.any(axis=0)
            chosen, most = np.flatnonzero(counts.any(axis=0)), self.preprocessor.num_people
            order = {person: person for person in range(len(block))}
            for column in chosen:
                people = most_seen(dict(enumerate(counts[:, column])), order, most)
                yield [(0, numbers[column])], self.preprocessor.clips(block[people], times[column][None], size)
            return
        self.seen[:, offset:stop] |= there
        for person in range(len(block)):
            chosen = np.flatnonzero(counts[person])
            if len(chosen):
                clips = self.preprocessor.clips(block[person : person + 1], times[chosen], size)
                yield [(person, numbers[column]) for column in chosen], clips

    def _take(self, places, x):
        rows, columns = np.array(places).T
        self.present[rows, columns] = True
        self.probabilities[rows, columns] = self._predict(x)
        if self._features:
            found = self._features(x)
            if self.features is None:
                self.features = np.zeros((*self.present.shape, found.shape[1]), np.float32)
            self.features[rows, columns] = found


def predict_recordings(model_path, inputs, reading=None, told=None, progress=None, **settings):
    """Timelines of long recordings, and the class probabilities of those that are no longer than a training clip.

    Args:
        model_path: run folder or .keras file. inputs: paths. reading, told: as `predict_files`.
        progress: called with (done, total) windows of each long recording. settings: as
            TimelinePredictor.

    Returns:
        list in the order of the recordings: Timelines of the long ones, dicts as of ``predict_files`` of the others.
    """
    with ExitStack() as stack:
        opened = open_inputs(stack, read_classifier(model_path).preprocessor, inputs, told, **reading or {})
        return predict_opened_recordings(model_path, list(opened), progress, **settings)


def predict_opened_recordings(model_path, opened, progress=None, **settings):
    """The same of inputs that are open: opened is a list of (path, store) as of ``open_inputs``."""
    for _, store in opened:  # none is predicted before the rates of all are known to hold
        frame_rate(store, settings.get("fps"))
    model = load_classifier(model_path)
    known = load_known(model_path, model)
    predictor = TimelinePredictor(model, **{"known": known, **settings})
    results = []
    for path, store in opened:
        whole = [index for index in range(len(store)) if not predictor.wants(store, index)]
        answers = dict(zip(whole, answers_of(model, store, whole, path, known), strict=True))
        for index in range(len(store)):
            if index in answers:
                results.append(answers[index])
            else:
                results += predictor.timelines(store, index, progress)
    return results
