"""From recordings to answers, and to "nothing known" where a clip is like none that was trained on."""

from contextlib import ExitStack

import numpy as np

from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.known import load_known
from keras_skelmae.evaluation.predict import load_classifier, predict_store, result_of
from skelmae_datasets.runs.model_inputs import open_inputs
from skelmae_datasets.runs.saved_model import read_classifier


def predict_files(model_path, inputs, reading=None, told=None):
    """Class probabilities for every sequence of the given files.

    Args:
        model_path: run folder or .keras file. inputs: paths. told: as `open_inputs`.
        reading: dict of what else that takes: to, image_size, unit, up.

    Returns:
        list of dict as of ``result_of``: input, sample, label, probability and probabilities by class name; label None,
        the others 0, where nobody was seen. With a known.npz beside the model also known, and label None where False.
    """
    with ExitStack() as stack:
        opened = open_inputs(stack, read_classifier(model_path).preprocessor, inputs, told, **reading or {})
        return predict_opened(model_path, list(opened))


def predict_opened(model_path, opened):
    """The same of inputs that are open: opened is a list of (path, store) as of ``open_inputs``."""
    model = load_classifier(model_path)
    known = load_known(model_path, model)
    return [row for path, store in opened for row in answers_of(model, store, range(len(store)), path, known)]


def answers_of(model, store, indices, path, known=None):
    """What is told of samples of a store, each as one clip: a list of dict as of ``result_of``.

    Args:
        model: classifier. path: of the file that the store is of. known: None, or KnownClasses.
    """
    if not len(indices):
        return []
    indices = np.asarray(indices)
    found = predict_store(model, store, indices)
    like = [None] * len(indices) if known is None else known(embed(model, store, indices), found)
    samples = (store.ids[index] for index in indices)
    return [result_of(path, *row) for row in zip(samples, [model.names] * len(found), found, like, strict=True)]
