"""Opening .keras files: ours, whole, no larger than they say, self-contained, before Keras is asked to load them."""

import io
import json
import zipfile

import h5py
import keras

from skelmae_datasets import DataError
from skelmae_datasets.runs.run_folder import model_file
from skelmae_datasets.runs.saved_model import MOST_CLASSES, PACKAGE, check_members, check_ours, no_model, sound

MAX_CHUNKED = 4096  # HDF5's gzip cannot exceed 1032:1
DEEPEST = 32
LARGEST = {"num_layers": 256, "encoder_layers": 256, "num_people": 256, "num_classes": MOST_CLASSES}
OBJECT = {"module", "class_name", "config", "registered_name", "build_config", "compile_config", "shared_object_id"}
LARGEST_OTHER = 1 << 16  # of any other whole number: joints, units, frames, pixels


def check_model_file(file):
    """Refuse what is no .keras file of this package, without building or executing anything that it names.

    Members other than Keras's three (and with them paths that lead elsewhere), sizes that the file cannot back
    (decompression bombs), classes that are not ours, objects within the settings, settings out of all proportion,
    links from the weights to other files.

    Raises:
        DataError: naming the file, the member, what was expected and what was found. OSError: it cannot be read.
    """
    with sound(file), zipfile.ZipFile(file) as archive:
        check_members(file, archive)
        _check_config(file, archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
            _check_group(file, weights)


def _check_config(file, content):
    config = json.loads(content)
    _check_object(file, config, "config.json: registered_name")
    pending = [(key, value) for key, value in config.items() if key != "compile_config"]  # the whole is never compiled
    while pending:
        key, value = pending.pop()
        if isinstance(value, dict):
            if "class_name" in value:  # a model may hold models, of this package too
                _check_object(file, value, f"config.json: {key}")
            pending += value.items()
        elif isinstance(value, list):
            pending += [(key, item) for item in value]
        elif isinstance(value, int) and abs(value) > LARGEST.get(key, LARGEST_OTHER):
            raise DataError(file, f"config.json: {key}", f"at most {LARGEST.get(key, LARGEST_OTHER)}", value)


def _check_object(file, value, place):
    """DataError unless a serialised object names a class of this package, and nothing besides."""
    name = check_ours(file, value, place)
    if keras.saving.get_registered_object(name) is None or not set(value) <= OBJECT:
        raise DataError(file, place, f"a class of {PACKAGE[:-1]}", repr(name)[:100])
    module = str(value.get("module"))
    if module.partition(".")[0] != PACKAGE[:-1]:
        raise DataError(file, place, f"a module of {PACKAGE[:-1]}", module[:100])


def _check_group(file, group, seen=()):
    for name in group:
        place = f"model.weights.h5: {group.name.rstrip('/')}/{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise DataError(file, place, "weights in this file", "a link")
        item = group[name]
        if isinstance(item, h5py.Group):
            above = (*seen, h5py.h5o.get_info(item.id).addr)
            if above[-1] in seen or len(above) > DEEPEST:
                raise DataError(file, place, f"at most {DEEPEST} groups within each other", "more, or a circle")
            _check_group(file, item, above)
        elif not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
            raise DataError(file, place, "weights in this file", "an external or virtual dataset")
        elif item.nbytes > MAX_CHUNKED * (item.id.get_storage_size() + 4096):
            raise DataError(file, place, f"{item.nbytes} bytes", "no data behind them")


def load_model(path, name="model.keras"):
    """Load a model of ours in safe mode.

    Args:
        path: run folder, preset folder or .keras file. name: the file in a folder.

    Raises:
        DataError: naming the file when it is not such a model.
    """
    file = model_file(path, name)
    check_model_file(file)
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever a file's content makes Keras raise
        raise no_model(file, error) from error
