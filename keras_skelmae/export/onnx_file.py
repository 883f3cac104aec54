"""ONNX, for ONNX Runtime and what else reads it."""

import contextlib
import io
import json
import logging
import warnings

from keras_skelmae.export.serving import INPUT, OUTPUT, metadata, serving_model, signature


def write_onnx(model, path):
    """Write the file; return a function that runs it on a batch.

    Input ``keypoints`` (batch, M, frames, V, C), output ``probabilities`` (batch, K); the metadata are the model's
    ``metadata_props``, the values that are no strings as JSON.
    """
    import onnx
    import onnxruntime

    serving = serving_model(model)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # NumPy's about tf2onnx
        serving.export(str(path), format="onnx", verbose=False, input_signature=signature(serving))
    file = onnx.load(str(path))
    graph = file.graph
    _rename_output(graph, OUTPUT)
    for value, names in ((graph.input[0], {0: "batch", 2: "frames"}), (graph.output[0], {0: "batch"})):
        for axis, name in names.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    facts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata(model).items()}
    onnx.helper.set_model_props(file, facts)
    onnx.checker.check_model(file)
    onnx.save(file, str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda case: session.run([OUTPUT], {INPUT: case})[0]


def _rename_output(graph, name):
    """Give the only output a name of ours; the converter's is made up."""
    found = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name if other == found else other for other in names]
    graph.output[0].name = name
