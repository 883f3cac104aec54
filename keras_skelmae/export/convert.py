"""Export of a classifier to one of the formats, from whichever backend trained it."""

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
from skelmae_datasets.files import TEMPORARY
from skelmae_datasets.runs.exports import SUFFIXES, plan_export, written


def write_keras(model, path):
    """Write the .keras file; return a function that runs it on a batch."""
    model.save(path)
    return answers(load_classifier(path))


WRITERS = {"saved-model": write_saved_model, "onnx": write_onnx, "litert": write_litert, "keras": write_keras}
TOLERANCE = 1e-4


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
    source, output = plan_export(model_path, format, output)
    model = load_classifier(model_path)
    output.parent.mkdir(parents=True, exist_ok=True)
    if format != "keras" and keras.config.backend() != "tensorflow":
        return _in_tensorflow(source, format, output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=TEMPORARY) as folder:
        target = Path(folder) / f"model{SUFFIXES[format]}"
        difference = greatest_difference(WRITERS[format](model, target), model)
        if not difference <= TOLERANCE:
            expected = f"the Keras model's probabilities to {TOLERANCE:g}"
            raise ValueError(f"{output}: expected {expected}, found a difference of {difference:.3g}")
        for made, path in reversed(list(zip(written(format, target), written(format, output), strict=True))):
            shutil.move(str(made), str(path))
    return {"path": str(output), "format": format, "max_abs_difference": difference}


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
