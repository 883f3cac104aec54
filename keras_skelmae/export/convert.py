"""Export of a classifier to one of the formats, from whichever backend trained it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

from keras_skelmae.evaluation import load_classifier
from keras_skelmae.export.litert_file import write_litert
from keras_skelmae.export.onnx_file import write_onnx
from keras_skelmae.export.saved_model import write_saved_model
from keras_skelmae.export.serving import answers, greatest_difference
from keras_skelmae.models import model_file
from skelmae_datasets.files import TEMPORARY
from skelmae_datasets.runs.run_folder import MODEL


def write_keras(model, path):
    """Write the .keras file; return a function that runs it on a batch."""
    model.save(path)
    return answers(load_classifier(path))


WRITERS = {"saved-model": write_saved_model, "onnx": write_onnx, "litert": write_litert, "keras": write_keras}
FORMATS = tuple(WRITERS)
SUFFIXES = {"saved-model": "", "onnx": ".onnx", "litert": ".tflite", "keras": ".keras"}
TOLERANCE = 1e-4
EXTRAS = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}  # extra -> modules it brings


def export_model(model_path, format="saved-model", output=None):
    """Export a classifier; the result is checked against the Keras model before anything is put in place.

    All but "keras" are converted by TensorFlow; under another backend in a process of its own, for a .keras file
    belongs to no backend.

    Args:
        model_path: run folder or .keras file of an STRLClassifier or Ensemble.
        format: "saved-model", "onnx", "litert" or "keras".
        output: folder or file to write; ``saved_models/NAME`` by default. It must not exist. With "litert" a .json of
            the same name is written beside it.

    Returns:
        dict of path, format and max_abs_difference.

    Raises:
        ValueError: an unknown format; a difference above TOLERANCE.
        ModuleNotFoundError: naming what to install.
        FileExistsError: naming the output.
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    source, suffix = model_file(model_path), SUFFIXES[format]
    name = source.parent.name if source.name == MODEL else source.stem
    output = Path(output or Path("saved_models") / (name + suffix))
    if format in ("onnx", "litert") and output.suffix != suffix:
        found = output.suffix or "no suffix"
        raise ValueError(f"{output}: expected a name ending in {suffix} for {format}, found {found}")
    for path in _written(format, output):
        if path.exists():
            raise FileExistsError(17, "already there; remove it or choose another output", str(path))
    _require(format)
    model = load_classifier(model_path)
    output.parent.mkdir(parents=True, exist_ok=True)
    if format != "keras" and keras.config.backend() != "tensorflow":
        return _in_tensorflow(source, format, output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=TEMPORARY) as folder:
        target = Path(folder) / f"model{suffix}"
        difference = greatest_difference(WRITERS[format](model, target), model)
        if not difference <= TOLERANCE:
            expected = f"the Keras model's probabilities to {TOLERANCE:g}"
            raise ValueError(f"{output}: expected {expected}, found a difference of {difference:.3g}")
        for made, path in reversed(list(zip(_written(format, target), _written(format, output), strict=True))):
            shutil.move(str(made), str(path))
    return {"path": str(output), "format": format, "max_abs_difference": difference}


def _written(format, output):
    """The files or folders of an export, the main one first."""
    return [output, output.with_suffix(".json")] if format == "litert" else [output]


def _require(format):
    """ModuleNotFoundError, in one line, where a library that the format needs is not installed."""
    missing = [name for name in EXTRAS.get(format, ()) if importlib.util.find_spec(name) is None]
    needed, install = ", ".join(missing), f"pip install 'keras-skelmae[{format}]'"
    if not missing and format != "keras" and importlib.util.find_spec("tensorflow") is None:
        needed, install = "TensorFlow", "pip install tensorflow (the model may come from any backend)"
    if needed:
        raise ModuleNotFoundError(f"{format} needs {needed}, not installed: {install}")


def _in_tensorflow(source, format, output):
    """The same in a process that runs the TensorFlow backend."""
    code = "import json, sys; from keras_skelmae import export; print(json.dumps(export.export_model(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, str(source), format, str(output)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{format} needs TensorFlow, and exporting with it failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])
