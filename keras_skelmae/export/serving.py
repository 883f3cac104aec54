"""What all formats share: the network from raw coordinates on, what its users must know, what to check it with."""

import keras
import numpy as np

from keras_skelmae.layers import ResampleFrames

INPUT, OUTPUT = "keypoints", "probabilities"


def serving_model(model):
    """Raw coordinates of any length -> class probabilities, as one functional model."""
    people, frames, joints, channels = model.preprocessor.clip_shape
    inputs = keras.Input((people, None, joints, channels), name=INPUT)
    resample = ResampleFrames(frames, model.preprocessor.num_coordinates, model.preprocessor.sampling)
    return keras.Model(inputs, {OUTPUT: model(resample(inputs))}, name="serving")


def signature(serving):
    """What the network takes, for ``export``: any batch, any number of frames."""
    return [keras.InputSpec(shape=(None, *serving.input_shape[1:]), dtype="float32", name=INPUT)]


def metadata(model):
    """What a user of the exported model needs to know, JSON-able."""
    preprocessor = model.preprocessor
    size = {"image_size": preprocessor.image_size} if preprocessor.units == "pixels" else {}  # (height, width)
    return {
        "classes": model.names,
        "layout": preprocessor.layout.to_dict(),
        "num_people": preprocessor.num_people,
        "num_frames": preprocessor.num_frames,
        "channels": preprocessor.channels,
        "units": preprocessor.units,
        "normalize": preprocessor.normalize,
        **size,
        "input": "(B, M, T, V, C) in the units of the recording, T >= 1; of more people the best seen M",
        "not_seen": "a joint whose coordinates are all 0 or all -1, or one of them not finite; absent people are zeros",
        "scale": "x * image width / own width, y likewise, for a recording of another image size than image_size"
        if preprocessor.normalize == "image"
        else "any; the model centres and scales the clip"
        if preprocessor.normalize == "clip"
        else "as trained",
    }


def sample_inputs(model, seed=0):
    """Batches (B, M, T, V, C) of several sizes and lengths, people absent in some, to compare two models with.

    Bodies whose bones have about one length and sway slowly: frames of noise are so unlike any recording that a trained
    model is certain of one class, and probabilities of 1 and 0 hide what differs.
    """
    rng = np.random.default_rng(seed)
    people, frames, joints, channels = model.preprocessor.clip_shape
    chain = np.eye(joints)  # (V, V), 1 where bone v lies between joint u and the root
    for _ in range(joints):
        for child, parent in model.preprocessor.layout.edges:
            chain[child] = np.maximum(chain[parent], np.eye(joints)[child])
    cases = []
    for batch, length in ((1, frames), (3, 2 * frames + 1), (2, 5)):
        bones = rng.normal(0, 40, (batch, people, 1, joints, channels))
        pose = 300 + np.einsum("uv,bmtvc->bmtuc", chain, bones)
        sway = rng.normal(0, 20, pose.shape) * np.sin(np.linspace(0, 2 * np.pi, length))[:, None, None]
        cases.append((pose + sway).astype("float32"))
    cases[1][0, -1] = 0  # an absent person (or an empty clip)
    return cases


def greatest_difference(run, model):
    """Largest absolute difference between ``run(batch)`` and the Keras model over :func:`sample_inputs`."""
    expected = answers(model)
    return max(float(np.abs(run(case) - expected(case)).max()) for case in sample_inputs(model))


def answers(model):
    """A function from batches of any length to the probabilities of a Keras model, both NumPy."""
    serving = serving_model(model)
    return lambda case: keras.ops.convert_to_numpy(serving(case, training=False)[OUTPUT])
