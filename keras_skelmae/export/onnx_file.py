"""ONNX, for ONNX Runtime and what else reads it."""

import contextlib
import io
import json
import logging
import warnings

import keras

from keras_skelmae.export.serving import INPUT, OUTPUT, greatest_difference, metadata, serving_model


def write_onnx(model, path):
    """Write the file; return the greatest difference of what ONNX Runtime computes from the Keras model.

    Input ``keypoints`` (batch, M, frames, V, C), output ``probabilities`` (batch, K); the metadata are the model's
    ``metadata_props``, the values that are no strings as JSON.
    """
    import onnx
    import onnxruntime

    serving = serving_model(model)
    shape = (None, *serving.input_shape[1:])
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # NumPy's about tf2onnx
        serving.export(str(path), format="onnx", verbose=False,
                       input_signature=[keras.InputSpec(shape=shape, dtype="float32", name=INPUT)])
    graph = onnx.load(str(path))
    _rename_output(graph, OUTPUT)
    for value, names in ((graph.graph.input[0], {0: "batch", 2: "frames"}), (graph.graph.output[0], {0: "batch"})):
        for axis, name in names.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    facts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata(model).items()}
    onnx.helper.set_model_props(graph, facts)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return greatest_difference(lambda case: session.run([OUTPUT], {INPUT: case})[0], model)


def _rename_output(graph, name):
    """Give the only output a name of ours; the converter's is made up."""
    found = graph.graph.output[0].name
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for index, other in enumerate(names):
                if other == found:
                    names[index] = name
    graph.graph.output[0].name = name
