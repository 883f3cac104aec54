"""From a trained classifier and recordings to probabilities: the one loop over batches."""

import numpy as np

from keras_skelmae.data import LabelledBatches, SequenceSource
from keras_skelmae.fast.networks.batch_slices import prediction_function
from keras_skelmae.models import load_model
from skelmae_datasets import DataError
from skelmae_datasets.runs.saved_model import read_classifier


def load_classifier(path):
    """An STRLClassifier or Ensemble from a run folder or file, or DataError."""
    read_classifier(path)
    return load_model(path)


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
