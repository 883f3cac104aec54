"""LiteRT (TensorFlow Lite), for phones and small computers."""

from pathlib import Path

from keras_skelmae.export.serving import metadata, serving_model, signature
from skelmae_datasets.files import write_json

SIZES = "M, V, C are fixed; B and T as resize_tensor_input(..., strict=True) sets them, 1 until then"


def write_litert(model, path):
    """Write the .tflite file and a .json beside it; return a function that runs it on a batch.

    Batch and frames are open: the interpreter's ``resize_tensor_input`` sets them, and they are 1 until then.
    """
    from ai_edge_litert.interpreter import Interpreter

    serving = serving_model(model)
    serving.export(str(path), format="litert", verbose=False, input_signature=signature(serving))
    write_json(Path(path).with_suffix(".json"), {**metadata(model), "sizes": SIZES})
    interpreter = Interpreter(str(path))
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(case):
        interpreter.resize_tensor_input(entry["index"], case.shape, strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], case)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run
