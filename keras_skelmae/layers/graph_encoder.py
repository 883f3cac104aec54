"""A stack of graph convolutions: the encoder (several) and the decoder (one) of SkeletonMAE."""

import keras
from keras import ops

from keras_skelmae.layers.adaptive_gcn_conv import AdaptiveGCNConv
from keras_skelmae.layers.channel_prelu import ChannelPReLU
from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.gat_conv import GATConv
from keras_skelmae.layers.gcn_conv import GCNConv
from keras_skelmae.layers.gin_conv import GINConv
from keras_skelmae.layers.graph import NORMALIZATIONS, check_edges, make_normalization, normalize

GRAPH_CONVS = {"gin": GINConv, "gcn": GCNConv, "gat": GATConv, "adaptive": AdaptiveGCNConv}
# With the joints in front one large matrix product sums the neighbours of all frames
JOINTS_FIRST = ("gin", "gcn", "adaptive")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class GraphEncoder(keras.layers.Layer):
    """``num_layers`` times graph convolution, normalisation, PReLU.

    Args:
        units: int, width of every layer.
        edges: pairs of joint indices.
        num_layers: int, number of graph convolutions (the paper's L_D; 3 is best there).
        normalization: "batch", "layer" or "none", after each convolution.
        graph_conv: "gin", "gcn", "gat" or "adaptive" (learned joint-to-joint weights).

    Call arguments:
        inputs: ``(..., V, C)`` float.
        presence: None or bool ``(..., )`` matching leading axes of ``inputs``; True = present. Absent
            entries stay out of the batch statistics.
        joints_first: bool, whether V stands in front of all else in input and output, as it does in between; of a
            layer that is built, with ``(..., V, C)``.

    Input shape:
        ``(..., V, C)``.

    Output shape:
        ``(..., V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = GraphEncoder(8, edges=[(1, 0), (2, 1)], num_layers=2)
        >>> tuple(layer(np.ones((4, 3, 2), "float32")).shape[1:])
        (3, 8)

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    def __init__(self, units, edges, num_layers=3, normalization="batch", graph_conv="gin", **kwargs):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(f"num_layers: expected at least 1, found {num_layers}")
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization: expected one of {NORMALIZATIONS}, found {normalization!r}")
        if graph_conv not in GRAPH_CONVS:
            raise ValueError(f"graph_conv: expected one of {tuple(GRAPH_CONVS)}, found {graph_conv!r}")
        self.units = units
        self.edges = check_edges(edges)
        self.num_layers = num_layers
        self.normalization = normalization
        self.graph_conv = graph_conv

    def build(self, input_shape):
        shape, options = tuple(input_shape), {"dtype": self.dtype_policy}
        if shape[-2] is None:  # the frames of a clone: its first call has the joints in front
            shape = (*shape[1:-1], shape[0], shape[-1])
        if self.graph_conv in JOINTS_FIRST:
            shape, options["joint_axis"] = (shape[-2], *shape[:-2], shape[-1]), 0
        output = (*shape[:-1], self.units)
        self.convs, self.norms, self.activations = [], [], []
        for index in range(self.num_layers):
            self.convs.append(GRAPH_CONVS[self.graph_conv](self.units, self.edges, name=f"conv_{index}", **options))
            self.convs[-1].build(shape if index == 0 else output)
            self.norms.append(make_normalization(self.normalization, f"norm_{index}", self.dtype_policy))
            if self.norms[-1] is not None:
                self.norms[-1].build(output)
            self.activations.append(ChannelPReLU(name=f"activation_{index}", dtype=self.dtype_policy))
            self.activations[-1].build(output)
        self.built = True

    def call(self, inputs, presence=None, training=None, joints_first=False):
        inside = self.graph_conv in JOINTS_FIRST
        x = _moved(inputs, joints_first, inside)  # (V, ..., C)
        if inside and presence is not None:
            presence = ops.expand_dims(presence, 0)
        for conv, norm, activation in zip(self.convs, self.norms, self.activations, strict=True):
            x = activation(normalize(norm, conv(x), presence, training))  # (V, ..., units)
        return _moved(x, inside, joints_first)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(self, "units", "edges", "num_layers", "normalization", "graph_conv"),
        }


def _moved(x, first, wanted):
    """``x`` with its joints in front of all else, or before the channels, as wanted."""
    if first == wanted:
        return x
    return ops.moveaxis(x, -2, 0) if wanted else ops.moveaxis(x, 0, -2)
