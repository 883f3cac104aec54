"""A residual block of graph and time, as part of a functional graph."""

from keras import layers, ops

from keras_skelmae.fast.ops.frames import thinned
from keras_skelmae.layers import MultiScaleTemporalConv, PointwiseUpdate

DILATIONS = (1, 2, 3, 4)


def residual_layer(x, presence, spatial, strides, drop_path, name):
    """``ReLU(T(ReLU(SM(H))) + H)``, T six temporal branches: an STRL layer that holds a block of ST-GCN++.

    Args:
        x: (B, M, T, V, C). presence: bool (B, M, T), True = the person is there.
        spatial: SpatialModeling with ``residual="add"``. strides: int, frames are thinned by it.
        drop_path: float, how probable it is that a sequence passes T by in training.

    Returns:
        (B, M, T', V, units) features and (B, M, T') presence.

    Reference:
        Duan et al., "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM MM 2022, for ST-GCN++; Huang
        et al., "Deep Networks with Stochastic Depth", ECCV 2016, for dropped paths.
    """
    config = spatial.encoder_config
    units, normalization = config["units"], config["normalization"]
    several = x.shape[1] > 1  # a lone person's gaps are too few to matter to the statistics
    there, then = presence if several else None, thinned(presence, strides)
    skip = x if strides == 1 else x[:, :, ::strides]
    if strides > 1 or x.shape[-1] != units:
        update = PointwiseUpdate(units, normalization, None, name=f"skip_{name}")
        skip = update(skip, presence=presence[:, :, ::strides] if several else None)
    x = ops.relu(spatial(x, presence=there))  # (B, M, T, V, units)
    module = MultiScaleTemporalConv(
        units,
        3,
        DILATIONS,
        strides=strides,
        fused=True,
        normalization=normalization,
        activation=None,
        name=f"temporal_{name}",
    )
    x = module(x, presence=there)  # (B, M, T', V, units)
    if drop_path:
        x = layers.Dropout(drop_path, noise_shape=(None, 1, 1, 1, 1), name=f"drop_path_{name}")(x)
    return ops.relu(x + skip), then
