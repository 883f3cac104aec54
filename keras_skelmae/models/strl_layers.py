"""The M layers of spatial-temporal representation learning, shared by the classifier and its autoencoder."""

from keras import ops

from keras_skelmae.layers import (
    BodyEmbedding,
    MultiScaleTemporalConv,
    PointwiseUpdate,
    PositionEmbedding,
    SpatialModeling,
    TemporalConv,
)

TEMPORAL = ("each", "last", "body")


def thinned(presence, stride):
    """Presence (B, M, T) of every ``stride`` frames together: True if in any of them. -> (B, M, ceil(T / stride))."""
    if stride == 1:
        return presence
    people, frames = presence.shape[1:]
    length = -(-frames // stride)
    padded = ops.pad(ops.cast(presence, "int32"), [[0, 0], [0, 0], [0, length * stride - frames]])
    return ops.any(ops.reshape(padded, (-1, people, length, stride)) > 0, axis=-1)


def strl_layers(x, presence, layout, *, units, encoder_layers, num_layers, num_people, share_people, normalization,
                backbone, joint_positions, residual, readout, encoder_pool, temporal, temporal_strides,
                body_units, body_dropout):
    """The M STRL layers on embedded joints, as part of a functional graph.

    Args:
        x: (B, M, T, V, D) joint features; presence: (B, M, T, V), True = observed. Others as in STRLClassifier.

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
        x = BodyEmbedding(body_units[0], normalization, body_dropout, name="body")(x, presence=padding())
        for index, (width, stride) in enumerate(zip(body_units[1:], strides, strict=True)):
            x = TemporalConv(width, strides=stride, normalization=normalization,
                             name=f"body_{index}")(x, presence=padding())
            here = thinned(here, stride)
    return x, here
