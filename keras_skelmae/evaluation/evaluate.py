"""Accuracy of a trained classifier on a split, and what a path holds."""

import importlib.metadata
import platform
from dataclasses import dataclass

import keras
import numpy as np

from keras_skelmae.evaluation.calibration import compare_calibration
from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.known import load_known
from keras_skelmae.evaluation.metrics import scores
from keras_skelmae.evaluation.predict import load_classifier, predict_store
from keras_skelmae.models import load_model
from keras_skelmae.version import __version__
from skelmae_datasets.runs.run_folder import HELD_IDS, PRETRAIN_IDS, TRAIN_IDS, trained_ids
from skelmae_datasets.runs.splits import check_labelled, class_labels, measured_split


def versions():
    """Versions of what the figures depend on."""
    found = {"keras_skelmae": __version__, "python": platform.python_version(), "backend": keras.config.backend()}
    names = ["keras", "numpy", "h5py", keras.config.backend()]
    if keras.config.backend() == "tensorflow":
        names.append("tensorflow-cpu")  # the same under another name
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass
class Measured:
    """A model on some sequences: loaded once, run once."""

    model: object
    indices: np.ndarray  # samples of the store
    probabilities: np.ndarray  # (N, K)
    result: dict  # of `scores`, and where it came from


def tell_seen(measured, model_path, store):
    """Write into a Measured how many of its samples the model knows from before, going by the files beside it.

    A temperature was fitted on none in which nobody was seen: they have no answer.
    """
    answered = measured.indices[np.isfinite(measured.probabilities).all(axis=1)]
    measured.result["seen_in_training"] = count_seen(model_path, store, measured.indices, TRAIN_IDS)
    measured.result["seen_in_pretraining"] = count_seen(model_path, store, measured.indices, PRETRAIN_IDS)
    measured.result["calibration"]["fitted_on"] = count_seen(model_path, store, answered, HELD_IDS)


def count_seen(model_path, store, indices, *names):
    """How many of these samples stand in files of ids beside a model, such as TRAIN_IDS."""
    found = {sample for name in names for sample in trained_ids(model_path, name)}
    return sum(store.ids[index] in found for index in indices)


def measure(model, store, indices, split, num_clips=1, batch_size=64, progress=None):
    """A classifier on samples of a store, as a Measured.

    Raises:
        DataError: the store does not fit the model, or has classes that it has not got, or sequences without a label.
    """
    labels = class_labels(store, model.names, indices)[indices]
    check_labelled(store, split, indices)
    probabilities = predict_store(model, store, indices, num_clips, batch_size, progress)
    result = {
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "split": split,
        "num_clips": num_clips,
        "nobody_seen": int(np.isnan(probabilities).any(axis=1).sum()),
        "more_people": int((store.people[indices] > model.preprocessor.num_people).sum()),
        **scores(probabilities, labels, model.names),
        "calibration": compare_calibration(probabilities, labels, getattr(model, "temperature", 1.0), num_clips),
    }
    return Measured(model, indices, probabilities, result)


def evaluate_model(model_path, store, split, num_clips=1, batch_size=64, progress=None, allow_overlap=False):
    """Evaluate a run folder or .keras file on a split, as a Measured.

    Raises:
        DataError: the store does not fit the model; the model was trained on some of the split and ``allow_overlap``
            is False.
    """
    indices = measured_split(model_path, store, split, allow_overlap)
    model = load_classifier(model_path)
    found = measure(model, store, indices, split, num_clips, batch_size, progress)
    found.result = {"model": str(model_path), **found.result, "versions": versions()}
    tell_seen(found, model_path, store)
    known = load_known(model_path, model)
    if known is not None:
        strange = ~known(embed(model, store, indices), found.probabilities)
        found.result["nothing_known"] = int((strange & np.isfinite(found.probabilities).all(axis=1)).sum())
    return found


def describe(path):
    """What a .keras file holds, as a dict; see also ``describe_store`` and ``describe_run`` of skelmae_datasets."""
    model = load_model(path)
    return {
        "kind": type(model).__name__,
        "layout": model.preprocessor.layout.name,
        "parameters": int(model.count_params()),
        "config": _plain(model.get_config()),
    }


def _plain(config):
    """A config without layouts, and without Keras's words around the objects in it."""
    if isinstance(config, dict):
        config = config.get("config", config) if "registered_name" in config else config
        return {key: _plain(value) for key, value in config.items() if key != "layout"}
    return [_plain(item) for item in config] if isinstance(config, list) else config
