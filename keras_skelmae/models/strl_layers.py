"""The M layers of spatial-temporal representation learning, shared by the classifier and its autoencoder."""

from keras import ops

from keras_skelmae.layers import (
    Decorrelation,
    MultiScaleTemporalConv,
    PointwiseUpdate,
    PositionEmbedding,
    SpatialModeling,
)
from keras_skelmae.layers.frames import thinned
from keras_skelmae.models.body_layers import STEM_STRIDE, body_layers

TEMPORAL = ("each", "last", "body")


def total_stride(temporal, temporal_strides):
    """How many frames of the input become one of :func:`strl_layers`' output."""
    stride = STEM_STRIDE if temporal == "body" else 1
    for step in temporal_strides:
        stride *= int(step)
    return stride


def strl_layers(x, presence, coordinates, visible, layout, *, num_coordinates, units, encoder_layers, num_layers,
                num_people, share_people, normalization, backbone, joint_positions, residual, readout, encoder_pool,
                temporal, temporal_strides, body_streams, body_units, body_dropout, decorrelation=0.0):
    """The M STRL layers on embedded joints, as part of a functional graph.

    Args:
        x: (B, M, T, V, D) joint features; presence: (B, M, T, V), True = observed.
        coordinates: (B, M, T, V, C), normalised; visible: (B, M, T, V), True = observed and not masked.
        decorrelation: weight of the correlations between channels, see Decorrelation; 0 for no such loss.
        Others as in STRLClassifier.

    Returns:
        (B, M, T', V', width) features and (B, M, T') presence of each person; T' is T without strides, V' is V, or 1
        with ``temporal="body"``.
    """
    if temporal not in TEMPORAL:
        raise ValueError(f"temporal: expected one of {TEMPORAL}, found {temporal!r}")
    if (temporal == "body") != bool(body_units):
        raise ValueError(f"body_units: expected widths with temporal='body' and none without, found "
                         f"{list(body_units)} with temporal={temporal!r}")
    modules = {"each": num_layers, "last": 0, "body": len(body_units) - 1}[temporal]
    if temporal_strides and len(temporal_strides) != modules:
        raise ValueError(f"temporal_strides: expected one for each of {modules} temporal modules "
                         f"(temporal={temporal!r}), found {list(temporal_strides)}")
    strides = [int(stride) for stride in temporal_strides] or [1] * modules

    def padding():  # a lone person's gaps are too few to matter to the statistics
        return here if num_people > 1 else None

    here = ops.any(presence, axis=-1)  # (B, M, T)
    if joint_positions:
        x = PositionEmbedding(axis=-2, name="joint_positions")(x)
    x = PositionEmbedding(axis=-3, name="temporal_positions")(x)
    for index in range(num_layers):
        x = SpatialModeling(units, layout.edges, encoder_layers, num_people, share_people, normalization, residual,
                            readout, encoder_pool, backbone, name=f"spatial_{index}")(x, presence=padding())
        x = PointwiseUpdate(units, normalization, name=f"update_{index}")(x, presence=padding())
        if temporal == "each":
            x = MultiScaleTemporalConv(units, strides=strides[index], residual=True, normalization=normalization,
                                       name=f"temporal_{index}")(x, presence=padding())
            here = thinned(here, strides[index])
    if temporal == "last":
        x = MultiScaleTemporalConv(units, normalization=normalization, name="temporal")(x, presence=padding())
    if temporal == "body":
        x, here = body_layers(
            x, coordinates, visible, here, layout, num_people=num_people, num_coordinates=num_coordinates,
            normalization=normalization, body_streams=body_streams, body_units=body_units, body_dropout=body_dropout,
            temporal_strides=strides, decorrelation=decorrelation)
    if decorrelation:
        x = Decorrelation(decorrelation, name="decorrelation")(x, presence=here)
    return x, here
