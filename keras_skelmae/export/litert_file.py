"""LiteRT (TensorFlow Lite), for phones and small computers."""

from pathlib import Path

import keras

from keras_skelmae.export.serving import INPUT, greatest_difference, serving_model, write_metadata


def metadata_path(path):
    """The JSON file beside a .tflite file."""
    return Path(path).with_suffix(".json")


def write_litert(model, path):
    """Write the .tflite file and a .json beside it; return the greatest difference of what it computes.

    Batch and frames are open: the interpreter's ``resize_tensor_input`` sets them, and they are 1 until then.
    """
    from ai_edge_litert.interpreter import Interpreter

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
