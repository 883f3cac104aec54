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

from keras_skelmae.export.serving import greatest_difference
from keras_skelmae.training.evaluation import load_classifier
from keras_skelmae.training.runs import model_file

FORMATS = ("saved-model", "onnx", "litert", "keras")
SUFFIXES = {"saved-model": "", "onnx": ".onnx", "litert": ".tflite", "keras": ".keras"}
TOLERANCE = 1e-4
EXTRAS = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}  # extra -> modules it brings


def export_model(model_path, format="saved-model", output=None):
    """Export a classifier; the result is checked against the Keras model before anything is put in place.

    All but "keras" are converted by TensorFlow; under another backend in a process of its own, for a .keras file
    belongs to no backend.

    Args:
        model_path: run folder or .keras file.
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
    source = model_file(model_path)
    name = source.parent.name if source.name == "model.keras" else source.stem
    output = Path(output or Path("saved_models") / (name + SUFFIXES[format]))
    if format in ("onnx", "litert") and output.suffix != SUFFIXES[format]:
        raise ValueError(f"{output}: expected a name ending in {SUFFIXES[format]} for {format}, "
                         f"found {output.suffix or 'no suffix'}")
    for path in _written(format, output):
        if path.exists():
            raise FileExistsError(17, "already there; remove it or choose another output", str(path))
    _require(format)
    model = load_classifier(model_path)
    output.parent.mkdir(parents=True, exist_ok=True)
    if format != "keras" and keras.config.backend() != "tensorflow":
        return _in_tensorflow(source, format, output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as folder:
        target = Path(folder) / ("model" + SUFFIXES[format])
        difference = _write(model, format, target)
        if not difference <= TOLERANCE:
            raise ValueError(f"{output}: expected the Keras model's probabilities to {TOLERANCE:g}, "
                             f"found a difference of {difference:.3g}")
        for made, path in reversed(list(zip(_written(format, target), _written(format, output), strict=True))):
            shutil.move(str(made), str(path))
    return {"path": str(output), "format": format, "max_abs_difference": difference}


def _written(format, output):
    """The files or folders of an export, the main one first."""
    return [output, output.with_suffix(".json")] if format == "litert" else [output]


def _write(model, format, target):
    if format == "saved-model":
        from keras_skelmae.export.saved_model import write_saved_model

        return write_saved_model(model, target)
    if format == "onnx":
        from keras_skelmae.export.onnx_file import write_onnx

        return write_onnx(model, target)
    if format == "litert":
        from keras_skelmae.export.litert_file import write_litert

        return write_litert(model, target)
    from keras_skelmae.export.serving import serving_model

    model.save(target)
    again = serving_model(load_classifier(target))
    return greatest_difference(lambda case: keras.ops.convert_to_numpy(again(case, training=False)), model)


def _require(format):
    """ModuleNotFoundError, in one line, where a library that the format needs is not installed."""
    missing = [name for name in EXTRAS.get(format, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"{format} needs {', '.join(missing)}, not installed: "
                                  f"pip install 'keras-skelmae[{format}]'")
    if format != "keras" and importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(f"{format} needs TensorFlow, not installed: pip install tensorflow "
                                  "(the model may come from any backend)")


def _in_tensorflow(source, format, output):
    """The same in a process that runs the TensorFlow backend."""
    code = ("import json, sys; from keras_skelmae.export import export_model; "
            "print(json.dumps(export_model(*sys.argv[1:])))")
    done = subprocess.run([sys.executable, "-c", code, str(source), format, str(output)], capture_output=True,
                          text=True, check=False,
                          env={**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{format} needs TensorFlow, and exporting with it failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])
