"""LiteRT (TensorFlow Lite), for phones and small computers."""

import contextlib
from pathlib import Path

import keras
from keras import ops

from keras_skelmae.export.serving import INPUT, greatest_difference, serving_model, write_metadata


def metadata_path(path):
    """The JSON file beside a .tflite file."""
    return Path(path).with_suffix(".json")


@contextlib.contextmanager
def _spelled_out_prelu():
    """PReLU as a choice: of Keras's form the converter makes an operation of its own, which takes four axes at most."""
    original = keras.layers.PReLU.call
    keras.layers.PReLU.call = lambda self, x: ops.where(x > 0, x, ops.cast(self.alpha, x.dtype) * x)
    try:
        yield
    finally:
        keras.layers.PReLU.call = original


def write_litert(model, path):
    """Write the .tflite file and a .json beside it; return the greatest difference of what it computes.

    Batch and frames are open: the interpreter's ``resize_tensor_input`` sets them, and they are 1 until then.
    """
    from ai_edge_litert.interpreter import Interpreter

    with _spelled_out_prelu():
        serving = serving_model(model)
        signature = [keras.InputSpec(shape=(None, *serving.input_shape[1:]), dtype="float32", name=INPUT)]
        serving.export(str(path), format="litert", verbose=False, input_signature=signature)
    write_metadata(model, metadata_path(path), sizes="M, V, C are fixed; B and T as resize_tensor_input sets them, 1 "
                   "until then")
    interpreter = Interpreter(str(path))
    entry, = interpreter.get_input_details()
    result, = interpreter.get_output_details()

    def run(case):
        interpreter.resize_tensor_input(entry["index"], case.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], case)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return greatest_difference(run, model)
