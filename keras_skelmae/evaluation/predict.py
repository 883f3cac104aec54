"""From a trained classifier and recordings to probabilities: the one loop over batches."""

import re

import numpy as np

from keras_skelmae.data import LabelledBatches, SequenceSource
from keras_skelmae.fast.networks.batch_slices import prediction_function
from keras_skelmae.models import Ensemble, STRLClassifier, load_model, model_file
from skelmae_datasets import DataError, open_recordings
from skelmae_datasets.readers.recordings import kind_of


def load_classifier(path):
    """An STRLClassifier or Ensemble from a run folder or file, or DataError."""
    model = load_model(path)
    if not isinstance(model, STRLClassifier | Ensemble):
        raise DataError(model_file(path), "model", "a classifier", type(model).__name__)
    return model


def predict_batches(data, predict, progress=None):
    """What ``predict`` gives for the clips of every batch, in a list.

    Args:
        data: SkeletonBatches, not in training. predict: function of the clips (B, M, T, V, C).
        progress: called with (done, total) batches.
    """
    found = []
    for number in range(len(data)):
        found.append(predict(data[number][0]))
        if progress:
            progress(number + 1, len(data))
    return found


def predict_store(model, store, indices, num_clips=1, batch_size=64, progress=None):
    """Probabilities, averaged over the clips of each sequence.

    Args:
        model: STRLClassifier or Ensemble. store: SkeletonStore. indices: samples of it.
        num_clips: int, of each sequence. batch_size: int, clips in a batch.
        progress: called with (done, total) batches.

    Returns:
        (N, K) float32; NaN in the row of a sequence in which nobody was seen.

    Raises:
        DataError: the store does not fit the model, or the model gives what is no probability.
    """
    size = max(1, batch_size // num_clips)
    source = SequenceSource(store, 0)
    options = {"batch_size": size, "training": False, "num_clips": num_clips}
    data = LabelledBatches(source, indices, model.preprocessor, **options)
    predict = prediction_function(model, size * num_clips, len(data))
    dims = model.preprocessor.num_coordinates

    def told(x):
        return predict(x), x[..., :dims].any(axis=(1, 2, 3, 4))

    found, seen = map(np.concatenate, zip(*predict_batches(data, told, progress), strict=True))
    if not np.isfinite(found[seen]).all():
        raise DataError(store.path, "probabilities", "finite numbers", "others; the model's weights are damaged")
    weight = seen.reshape(len(indices), num_clips, 1)
    with np.errstate(invalid="ignore"):
        return (found.reshape(*weight.shape[:2], -1) * weight).sum(axis=1) / weight.sum(axis=1)


def predict_clip(model, recording):
    """(K,) probabilities of one recording (M, T, V, C); people and channels beyond the model's are left out."""
    return np.asarray(model.predict_on_batch(model.preprocessor(recording)[None]))[0]


def open_inputs(stack, model, inputs, image_size=None, to=None, told=None):
    """Yield (path, store) of files of any readable kind, checked against a model; closed with the ExitStack.

    Args:
        image_size: (width, height) in pixels of inputs whose coordinates are 0 to 1, or None.
        to: the layout, the model's, to read their joints in by name; None for inputs that have it.
        told: called with a line for each kind of note on how inputs were read, before the last of them is given.

    Raises:
        DataError: an input does not fit the model, or as `open_recordings`.
    """
    layout, dims = model.preprocessor.layout, model.preprocessor.num_coordinates
    joints = "coco17" if layout.num_joints == 17 and dims == 2 else "all"
    notes = {}  # of each kind [the first input, note, how many more]
    for number, path in enumerate(inputs, 1):
        kind = kind_of(path)
        reading = {"joints": joints}
        if kind == "clips":
            reading |= {"image_size": image_size} | (
                {"channels": tuple(model.preprocessor.channels)} if dims == 3 else {}
            )
        if kind == "store" or to is not None:  # a store knows its own layout
            store = stack.enter_context(open_recordings(path, to=to, **reading))
        else:
            store = _opened_as(stack, model, path, reading)
        model.preprocessor.check(store)
        for note in store.notes:
            notes.setdefault(_NUMBER.sub("N", note), [path, note, -1])[-1] += 1
        if told and number == len(inputs):
            for first, note, more in notes.values():
                told(f"{first}{f' and {more} more' if more else ''}: {note}")
        yield path, store


_NUMBER = re.compile(r"(?<!\w)\d[\d.]*(e[+-]?\d+)?(?!\w)")  # one kind of note may count differently for each input


def _opened_as(stack, model, path, reading):
    """A recording as a store of the model's layout; where it has another, the error says so."""
    try:
        return stack.enter_context(open_recordings(path, model.preprocessor.layout, **reading))
    except DataError as error:
        try:
            with open_recordings(path, strict=False, **reading) as store:
                found = store
        except DataError:
            raise error from None
        model.preprocessor.check(found)  # what is wrong is told by its own layout
        raise


def result_of(path, sample, names, probability, known=None):
    """What is told of one sequence.

    Args:
        path: of its file. sample: its id. names: of the classes. probability: (K,), NaN where nobody was seen.
        known: whether it is like anything trained on; None where that cannot be told.

    Returns:
        dict of input, sample, label, probability of the likeliest class, probabilities by class name. Where it can be
        told and somebody was seen also known; where False label is None and nearest the likeliest class.
    """
    nobody = np.isnan(probability).any()
    probability, best = np.nan_to_num(probability), int(probability.argmax())
    told = {} if known is None or nobody else {"known": bool(known)}
    if not told.get("known", True):
        told["nearest"] = names[best]
    return {
        "input": str(path),
        "sample": sample,
        "label": None if nobody or "nearest" in told else names[best],
        "probability": float(probability[best]),
        **told,
        "probabilities": {name: float(p) for name, p in zip(names, probability, strict=True)},
    }
