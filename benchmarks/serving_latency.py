"""Milliseconds for one sequence in Keras, TensorFlow, ONNX Runtime and LiteRT: `serving_latency.py MODEL`.

Each runtime gets the same raw clip, batch 1, on one thread where it can be told; after a warm-up the median
and the 95th percentile of the calls are printed. Exports go to a temporary folder.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np


def timed(call, repeats):
    """(median, 95th percentile) in milliseconds."""
    for _ in range(3):
        call()
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - started))
    return float(np.median(spent)), float(np.percentile(spent, 95))


def runtimes(model_path, folder, frames):
    """{name: call} for one clip; each call computes it again."""
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from keras_skelmae.evaluation import load_classifier
    from keras_skelmae.export import export_model, serving_model

    files = {
        kind: folder / name
        for kind, name in (("saved-model", "model"), ("onnx", "model.onnx"), ("litert", "model.tflite"))
    }
    for kind, file in files.items():
        export_model(model_path, kind, file)
    serving = serving_model(load_classifier(model_path))
    _, people, _, joints, channels = serving.input_shape
    clip = np.random.default_rng(0).normal(0, 1, (1, people, frames, joints, channels)).astype("float32")
    served = tf.saved_model.load(str(files["saved-model"])).signatures["serving_default"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(files["onnx"]), options)
    interpreter = Interpreter(str(files["litert"]), num_threads=1)
    (entry,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(entry["index"], clip.shape, strict=True)
    interpreter.allocate_tensors()

    def litert():
        interpreter.set_tensor(entry["index"], clip)
        interpreter.invoke()

    return {
        "Keras predict_on_batch": lambda: serving.predict_on_batch(clip),
        "TensorFlow SavedModel": lambda: served(keypoints=tf.constant(clip)),
        "ONNX Runtime": lambda: session.run(None, {"keypoints": clip}),
        "LiteRT": litert,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="run folder or .keras file of a classifier")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--json", metavar="OUT.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {}
        for name, call in runtimes(arguments.model, Path(folder), arguments.frames).items():
            figures[name] = timed(call, arguments.repeats)
            print(f"{name:24s} {figures[name][0]:8.2f} ms  (95 %: {figures[name][1]:.2f})", flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
