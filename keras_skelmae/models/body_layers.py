"""The temporal network over the whole body, as part of a functional graph: a stem per stream, then convolutions."""

import keras
from keras import ops

from keras_skelmae.fast.ops.frames import thinned
from keras_skelmae.layers import BodyEmbedding, SkeletonStreams, TemporalConv
from keras_skelmae.layers.skeleton_streams import STREAMS

BODY_STREAMS = ("features", "motion2", *STREAMS)
STEM_STRIDE = 2
# Measured: ReLU or Glorot's larger weights each cost a network on raw streams about five points (docs/results.md)
ACTIVATION = "leaky_relu"


def small_weights():
    """Uniform within 1 / sqrt(fan in), a third of the usual variance; what follows is normalised."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def body_layers(
    x, placed, valid, presence, preprocessor, normalization, body_streams, temporal_units, temporal_dropout, strides
):
    """One vector of the whole body per frame, then temporal convolutions.

    Every stream has a stem: the joints side by side to ``temporal_units[0]`` channels, two temporal convolutions of
    half that width, half the frames. Side by side they enter the convolutions of the other widths.

    Args:
        x: (B, M, T, V, D) joint features. placed: (B, M, T, V, C) coordinates.
        valid: (B, M, T, V), True = observed. presence: (B, M, T), True = the person is there.
        preprocessor: SkeletonPreprocessor. strides: one int per convolution. Others as in STRLBackbone.

    Returns:
        (B, M, T', 1, temporal_units[-1]) features and (B, M, T') presence.

    Reference:
        Yang et al., "Make Skeleton-based Action Recognition Model Smaller, Faster and Better", ACM MM Asia 2019, for
        stems of distances and of motion at two speeds.
    """
    unknown = sorted(set(body_streams) - set(BODY_STREAMS))
    if unknown or not body_streams:
        raise ValueError(f"body_streams: expected a selection of {BODY_STREAMS}, found {list(body_streams)}")
    if x.shape[2] % STEM_STRIDE:
        raise ValueError(f"num_frames: expected an even number with temporal='body', found {x.shape[2]}")
    several = preprocessor.num_people > 1  # a lone person's gaps are too few to matter to the statistics
    seen = placed * ops.cast(valid, placed.dtype)[..., None]  # (B, M, T, V, C)
    half = thinned(presence, STEM_STRIDE)  # (B, M, T / 2)
    width, *convolutions = temporal_units
    stems = []
    for name in body_streams:
        stride = 1 if name == "motion2" else STEM_STRIDE
        there = None if not several else presence if stride > 1 else half
        stream = x if name == "features" else _stream(name, seen, valid, preprocessor)  # (B, M, T or T / 2, V, C')
        stems.append(_stem(name, stream, there, width, stride, normalization, temporal_dropout))
    x, presence = stems[0] if len(stems) == 1 else ops.concatenate(stems, axis=-1), half
    for index, (width, stride) in enumerate(zip(convolutions, strides, strict=True)):
        conv = TemporalConv(width, strides=stride, name=f"body_{index}", **_options(normalization))
        x = conv(x, presence=presence if several else None)  # (B, M, T', 1, width)
        presence = thinned(presence, stride)
    return x, presence


def _options(normalization):
    return {"normalization": normalization, "activation": ACTIVATION, "kernel_initializer": small_weights()}


def _stream(name, seen, valid, preprocessor):
    """A stream of coordinates; "motion2" is the motion between every second frame."""
    layer = SkeletonStreams(
        [name.rstrip("2")], preprocessor.num_coordinates, preprocessor.graph_layout.bones, name=f"body_{name}"
    )
    step = STEM_STRIDE if name == "motion2" else 1
    return layer(seen[:, :, ::step], valid[:, :, ::step])


def _stem(name, stream, presence, width, stride, normalization, dropout_rate):
    """(B, M, T / 2, 1, width / 2) of one stream (B, M, T or T / 2, V, C')."""
    embedding = BodyEmbedding(
        width, dropout_rate=dropout_rate, name=f"body_{name}_embedding", **_options(normalization)
    )
    conv = TemporalConv(width // 2, name=f"body_{name}_conv", **_options(normalization))
    pool = TemporalConv(width // 2, 1, stride, name=f"body_{name}_pool", **_options(normalization))
    x = embedding(stream, presence=presence)  # (B, M, T, 1, width)
    return pool(conv(x, presence=presence), presence=presence)
