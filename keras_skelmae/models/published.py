"""Weights of backbones that come with the package: reading them for any data whose joints map, writing them."""

import re
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.models.skeleton_encoder import as_preprocessor
from keras_skelmae.models.skeleton_preprocessor import SkeletonPreprocessor
from skelmae_datasets.files import write_atomically, write_json
from skelmae_datasets.runs.published import WEIGHTS, read_published, weights_file
from skelmae_datasets.runs.saved_model import check_published


def published_config(name, data=None):
    """The config of a published backbone, for its own layout or for data whose joints map to it by their names.

    Args:
        name: see ``skelmae_datasets.runs.published``.
        data: None, SkeletonStore or SkeletonPreprocessor, whose joints, people and image size the backbone takes.

    Raises:
        DataError: the data have other coordinates or units, or too few joints in common. ValueError: unknown name.
    """
    config = read_published(name)["config"]
    if data is None:
        return config
    own = keras.saving.deserialize_keras_object(config["encoder"]["preprocessor"])
    found = as_preprocessor(data)
    check_published(name, found)
    kept = {key: found.get_config()[key] for key in ("layout", "num_people", "image_size")}
    fitted = SkeletonPreprocessor(**{**own.get_config(), **kept, "graph_layout": own.layout})
    encoder = {**config["encoder"], "preprocessor": keras.saving.serialize_keras_object(fitted)}
    return {**config, "encoder": encoder}


def assign_published(backbone, name):
    """Put published weights into a backbone that is made from their config.

    Raises:
        ValueError: it has other weights.
    """
    with np.load(weights_file(name), allow_pickle=False) as arrays:
        assign_by_path(backbone, {key: arrays[key] for key in arrays.files}, name)


def assign_by_path(backbone, given, source):
    """Put weights (dict of path to array) into a backbone, which may be of more people than they were learned from.

    Raises:
        ValueError: naming the source, where it has weights that are not given.
    """
    for variable in backbone.weights:
        path = path_of(variable)
        if path in given:
            variable.assign(given[path].astype("float32"))
        elif "interaction_conv" in path:  # what a person takes from others: one alone told nothing of that
            variable.assign(np.zeros(variable.shape, "float32"))
        else:
            raise ValueError(f"{source}: expected weights of {path}, found none")


def path_of(variable):
    """The path of a backbone's variable, whether or not the backbone is of a member of an Ensemble."""
    return re.sub(r"^member_\d+/", "", variable.path)


def publish(backbone, name, card, folder=WEIGHTS):
    """Write a backbone's weights in half precision, its architecture and its card.

    Args:
        backbone: STRLBackbone. name: str. folder: where to.
        card: dict, JSON-able: what it was made of; "recipe" is that of a fine-tuning from it.
    """
    arrays = {}
    for variable in backbone.weights:
        value = np.asarray(keras.ops.convert_to_numpy(variable.value))
        arrays[path_of(variable)] = value.astype("float16") if value.ndim > 1 else value  # statistics need their range

    def write(path):
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)

    Path(folder).mkdir(parents=True, exist_ok=True)
    write_atomically(Path(folder) / f"{name}.npz", write)
    write_json(Path(folder) / f"{name}.json", {"card": card, "config": backbone.get_config()})
