"""Export of a classifier to runtimes without Keras, each checked against the Keras model."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.layers import ResampleFrames
from keras_skelmae.training.evaluation import load_classifier
from keras_skelmae.training.runs import model_file

FORMATS = ("saved-model", "keras")
TOLERANCE = 1e-4


def serving_model(model):
    """Raw coordinates of any length -> class probabilities, as one functional model."""
    _, people, _, joints, channels = model.input_shape
    inputs = keras.Input((people, None, joints, channels), name="keypoints")
    return keras.Model(inputs, model(ResampleFrames(model.num_frames)(inputs)), name="serving")


def metadata(model):
    """What a user of the exported model needs to know, JSON-able."""
    return {"classes": model.class_names or [str(k) for k in range(model.num_classes)],
            "layout": model.layout.to_dict(), "num_people": model.num_people, "num_frames": model.num_frames,
            "channels": model.input_shape[-1], "input": "(B, M, T, V, C) in the units of the recording, T >= 1"}


def _sample_inputs(model, seed=0):
    rng = np.random.default_rng(seed)
    _, people, frames, joints, channels = model.input_shape
    cases = [rng.normal(300, 80, (batch, people, length, joints, channels)).astype("float32")
             for batch, length in ((1, frames), (3, 2 * frames + 1), (2, 5))]
    cases[1][0, -1] = 0  # an absent person (or an empty clip)
    return cases


def _write_saved_model(model, folder):
    import tensorflow as tf

    serving = serving_model(model)
    names = tf.constant(metadata(model)["classes"])
    archive = keras.export.ExportArchive()
    archive.track(serving)
    shape = (None, *serving.input_shape[1:])
    archive.add_endpoint("serve", lambda keypoints: {"probabilities": serving(keypoints, training=False)},
                         [tf.TensorSpec(shape, tf.float32, "keypoints")])
    archive.add_endpoint("class_names", lambda: {"class_names": names}, [])
    archive.write_out(folder, verbose=False)
    extra = Path(folder) / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "metadata.json").write_text(json.dumps(metadata(model), indent=2) + "\n", "utf-8")
    served = tf.saved_model.load(folder).signatures["serving_default"]
    return max(float(np.abs(served(keypoints=tf.constant(case))["probabilities"].numpy()
                            - np.asarray(serving(case, training=False))).max()) for case in _sample_inputs(model))


def export_model(model_path, format="saved-model", output=None):
    """Export a classifier; the result is checked against the Keras model before anything is put in place.

    Args:
        model_path: run folder or .keras file.
        format: "saved-model" or "keras".
        output: folder or file to write; ``saved_models/NAME`` by default. It must not exist.

    Returns:
        dict of path, format and max_abs_difference.
    """
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, found {format!r}")
    source = model_file(model_path)
    name = source.parent.name if source.name == "model.keras" else source.stem
    output = Path(output or Path("saved_models") / (name + (".keras" if format == "keras" else "")))
    if output.exists():
        raise FileExistsError(17, "already there; remove it or choose another output", str(output))
    model = load_classifier(model_path)
    output.parent.mkdir(parents=True, exist_ok=True)
    if format == "saved-model" and keras.config.backend() != "tensorflow":
        return _in_tensorflow(source, format, output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as folder:
        target = Path(folder) / "model"
        if format == "keras":
            target = target.with_suffix(".keras")
            model.save(target)
            again = load_classifier(target)
            case = _sample_inputs(model)[0]
            difference = float(np.abs(np.asarray(model.predict_on_batch(case))
                                      - np.asarray(again.predict_on_batch(case))).max())
        else:
            difference = _write_saved_model(model, str(target))
        if not difference <= TOLERANCE:
            raise ValueError(f"{output}: expected the Keras model's probabilities to {TOLERANCE:g}, "
                             f"found a difference of {difference:.3g}")
        shutil.move(str(target), str(output))
    return {"path": str(output), "format": format, "max_abs_difference": difference}


def _in_tensorflow(source, kind, output):
    """The same in a process that runs the TensorFlow backend: a .keras file belongs to no backend."""
    code = ("import json, sys; from keras_skelmae.export import export_model; "
            "print(json.dumps(export_model(*sys.argv[1:])))")
    done = subprocess.run([sys.executable, "-c", code, str(source), kind, str(output)], capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{kind} needs TensorFlow, and exporting with it failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])
