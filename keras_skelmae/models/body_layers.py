"""The temporal network over the whole body, as part of a functional graph: a stem a stream, then convolutions."""

import keras
from keras import ops

from keras_skelmae.layers import BodyEmbedding, Decorrelation, SkeletonStreams, TemporalConv
from keras_skelmae.layers.frames import thinned
from keras_skelmae.layers.skeleton_streams import STREAMS

BODY_STREAMS = ("features", "motion2", *STREAMS)
STEM_STRIDE = 2
# Measured: ReLU or Glorot's larger weights each cost a network on raw streams about five points (docs/results.md)
ACTIVATION = "leaky_relu"


def small_weights():
    """Uniform within 1 / sqrt(fan in), a third of the usual variance; what follows is normalised."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def body_layers(x, coordinates, visible, here, layout, *, num_people, num_coordinates, normalization, body_streams,
                body_units, body_dropout, temporal_strides, decorrelation=0.0):
    """One vector of the whole body a frame, then temporal convolutions.

    Every stream has a stem: the joints side by side to ``body_units[0]`` channels, two temporal convolutions of half
    that width, half the frames. Side by side they enter the convolutions of the other widths.

    Args:
        x: (B, M, T, V, D) joint features. coordinates: (B, M, T, V, C), normalised.
        visible: (B, M, T, V), True = observed and not masked. here: (B, M, T), True = the person is there.
        body_streams: of BODY_STREAMS: "features" (x), "motion2" (motion over two frames), streams of SkeletonStreams.
        decorrelation: weight of the correlations between what the stems give.
        Others as in STRLClassifier.

    Returns:
        (B, M, T', 1, body_units[-1]) features and (B, M, T') presence.

    Reference:
        Yang et al., "Make Skeleton-based Action Recognition Model Smaller, Faster and Better", ACM MM Asia 2019, for
        stems of distances and of motion at two speeds.
    """
    unknown = sorted(set(body_streams) - set(BODY_STREAMS))
    if unknown or not body_streams:
        raise ValueError(f"body_streams: expected a selection of {BODY_STREAMS}, found {list(body_streams)}")
    if x.shape[2] % STEM_STRIDE:
        raise ValueError(f"num_frames: expected an even number with temporal='body', found {x.shape[2]}")

    def padding(presence):  # a lone person's gaps are too few to matter to the statistics
        return presence if num_people > 1 else None

    def options():
        return {"normalization": normalization, "activation": ACTIVATION, "kernel_initializer": small_weights()}

    seen = coordinates * ops.cast(visible, coordinates.dtype)[..., None]
    half = thinned(here, STEM_STRIDE)
    width, *convolutions = body_units
    stems = []
    for name in body_streams:
        stride = 1 if name == "motion2" else STEM_STRIDE
        if name == "features":
            stem = x
        elif name == "motion2":
            motion = SkeletonStreams(["motion"], num_coordinates, layout.edges, name="body_motion2")
            stem = motion(seen[:, :, ::STEM_STRIDE], visible[:, :, ::STEM_STRIDE])
        else:
            stem = SkeletonStreams([name], num_coordinates, layout.edges, name=f"body_{name}")(seen, visible)
        there = padding(here if stride > 1 else half)
        stem = BodyEmbedding(width, dropout_rate=body_dropout, name=f"body_{name}_embedding",
                             **options())(stem, presence=there)
        stem = TemporalConv(width // 2, name=f"body_{name}_conv", **options())(stem, presence=there)
        stem = TemporalConv(width // 2, 1, stride, name=f"body_{name}_pool", **options())(stem, presence=there)
        stems.append(stem)
    x, here = stems[0] if len(stems) == 1 else ops.concatenate(stems, axis=-1), half
    if decorrelation:
        x = Decorrelation(decorrelation, name="decorrelation_stems")(x, presence=here)
    for index, (width, stride) in enumerate(zip(convolutions, temporal_strides, strict=True)):
        x = TemporalConv(width, strides=stride, name=f"body_{index}", **options())(x, presence=padding(here))
        here = thinned(here, stride)
    return x, here
