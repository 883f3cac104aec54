"""What all formats share: the network from raw coordinates on, what its users must know, what to check it with."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers import ResampleFrames
from keras_skelmae.layers.joint_presence import observed
from skelmae_datasets.transforms.presence import MAX_VALUE, MIN_SCORE

INPUT, OUTPUT = "keypoints", "probabilities"
FAR = 2 * MAX_VALUE  # in place of what is no number: a joint there counts as not seen


def serving_model(model):
    """Raw coordinates of any length -> class probabilities, as one functional model."""
    people, frames, joints, channels = model.preprocessor.clip_shape
    inputs = keras.Input((people, None, joints, channels), name=INPUT)
    dims = model.preprocessor.num_coordinates
    resample = ResampleFrames(frames, dims, model.preprocessor.sampling)
    return keras.Model(inputs, {OUTPUT: model(resample(seen_only(inputs, dims)))}, name="serving")


def seen_only(keypoints, dims):
    """Keypoints (..., C) with joints that were not seen at zero, by ``skelmae_datasets.transforms.presence``.

    In ONNX a choice is a product with 0 and 1, in which what is no number would stay, unless ``isnan`` chooses.
    """
    x = ops.clip(ops.where(ops.isnan(keypoints), FAR, keypoints), -FAR, FAR)
    seen = observed(x[..., :dims])
    if x.shape[-1] > dims:
        score = x[..., dims:]  # (..., 1)
        seen = ops.logical_and(seen, ops.all(ops.logical_and(score > MIN_SCORE, score <= MAX_VALUE), axis=-1))
    return ops.where(ops.expand_dims(seen, -1), x, 0.0)  # [..., None] LiteRT has not of an open number of frames


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
        **({"trained_on": model.trained_on} if model.trained_on else {}),
        "not_seen": "a joint whose coordinates are all 0 or all -1, of which a channel is not finite, or whose score "
        f"is {MIN_SCORE} or lower; absent people are zeros; of a clip of nobody the answer means nothing",
        "scale": "x * image width / own width, y likewise, for a recording of another image size than image_size"
        if preprocessor.normalize == "image"
        else "any; the model centres and scales the clip"
        if preprocessor.normalize == "clip"
        else "as trained",
    }


def sample_inputs(model, seed=0):
    """Batches (B, M, T, V, C) of several sizes and lengths, people absent in some, to compare two models with.

    Bodies whose bones have about one length in the model's units and sway slowly, with scores from 0 to 1: frames of
    noise are so unlike any recording that a trained model is certain of one class, and probabilities of 1 and 0 hide
    what differs. Some joints are not seen, told in every way that there is.
    """
    rng = np.random.default_rng(seed)
    preprocessor = model.preprocessor
    people, frames, joints, channels = preprocessor.clip_shape
    dims = preprocessor.num_coordinates
    bone = 0.2 if preprocessor.units == "metres" else min(preprocessor.image_size) / 25
    chain = np.eye(joints)  # (V, V), 1 where bone v lies between joint u and the root
    for _ in range(joints):
        for child, parent in preprocessor.layout.edges:
            chain[child] = np.maximum(chain[parent], np.eye(joints)[child])
    cases = []
    for batch, length in ((1, frames), (3, 2 * frames + 1), (2, 5)):
        pose = np.einsum("uv,bmtvc->bmtuc", chain, rng.normal(0, 1, (batch, people, 1, joints, dims)))
        sway = rng.normal(0, 0.5, pose.shape) * np.sin(np.linspace(0, 2 * np.pi, length))[:, None, None]
        case = np.ones((batch, people, length, joints, channels), "float32")
        case[..., :dims] = bone * (10 + pose + sway)
        case[..., dims:] = rng.uniform(0.1, 1, case[..., dims:].shape)
        gone = rng.random(case.shape[:-1])
        for place, value in enumerate((0, -1, np.nan, np.inf, 1e30)):
            case[..., :dims][(gone > 0.02 * place) & (gone < 0.02 * place + 0.02)] = value
        for place, value in enumerate((0.005, np.nan) if channels > dims else ()):
            case[..., dims][gone > 0.98 - 0.02 * place] = value
        cases.append(case)
    cases[1][0, -1] = 0  # an absent person (or an empty clip)
    return cases


def greatest_difference(run, model):
    """Largest absolute difference between ``run(batch)`` and the Keras model over :func:`sample_inputs`; NaN counts."""
    expected = answers(model)
    return float(np.max([np.abs(run(case) - expected(case)).max() for case in sample_inputs(model)]))


def answers(model):
    """A function from batches of any length to the probabilities of a Keras model, both NumPy."""
    serving = serving_model(model)
    return lambda case: keras.ops.convert_to_numpy(serving(case, training=False)[OUTPUT])
