"""What an export is to write, and whether it can: checked before Keras is imported."""

import importlib.util
import os
from pathlib import Path

from .run_folder import MODEL
from .saved_model import read_classifier

SUFFIXES = {"saved-model": "", "onnx": ".onnx", "litert": ".tflite", "keras": ".keras"}
FORMATS = tuple(SUFFIXES)
EXTRAS = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}  # extra -> modules it brings


def plan_export(model_path, format, output=None):
    """(the .keras file of a classifier, the file or folder to write).

    Args:
        model_path: run folder or .keras file. format: one of FORMATS.
        output: where to; None for ``saved_models`` and the name of the run.

    Raises:
        ValueError: an unknown format, another suffix than its own. FileExistsError: the output is there already.
        ModuleNotFoundError: naming what to install. DataError: the model is no classifier.
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    source, suffix = read_classifier(model_path).file, SUFFIXES[format]
    whole = Path(os.path.abspath(source))  # "." has no name of its own
    name = whole.parent.name if source.name == MODEL else source.stem
    output = Path(output or Path("saved_models") / (name + suffix))
    if suffix and output.suffix != suffix:
        found = output.suffix or "no suffix"
        raise ValueError(f"{output}: expected a name ending in {suffix} for {format}, found {found}")
    if not suffix and output.suffix in filter(None, SUFFIXES.values()):
        raise ValueError(f"{output}: expected the name of a folder for {format}, found {output.suffix}; see --format")
    for path in written(format, output):
        if path.exists():
            raise FileExistsError(17, "already there; remove it or choose another output", str(path))
    _require(format)
    return source, output


def written(format, output):
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
