"""A stack of graph convolutions: the encoder (several) and the decoder (one) of SkeletonMAE."""

import keras
from keras import ops

from keras_skelmae.layers.channelwise import ChannelPReLU
from keras_skelmae.layers.gat_conv import GATConv
from keras_skelmae.layers.gcn_conv import GCNConv
from keras_skelmae.layers.gin_conv import GINConv
from keras_skelmae.layers.graph import NORMALIZATIONS, check_edges, make_normalization, normalize

BACKBONES = {"gin": GINConv, "gcn": GCNConv, "gat": GATConv}
JOINTS_FIRST = ("gin", "gcn")  # with the joints in front one large matrix product sums the neighbours of all frames


@keras.saving.register_keras_serializable(package="keras_skelmae")
class GraphEncoder(keras.layers.Layer):
    """``num_layers`` times graph convolution, normalisation, PReLU.

    Args:
        units: int, width of every layer.
        edges: pairs of joint indices.
        num_layers: int, number of graph convolutions (the paper's L_D; 3 is best there).
        normalization: "batch", "layer" or "none", after each convolution.
        backbone: "gin", "gcn" or "gat".

    Call arguments:
        inputs: ``(..., V, C)`` float.
        presence: None or bool ``(..., )`` matching leading axes of ``inputs``; True = present. Absent
            entries stay out of the batch statistics.
        fields: None, or num_layers + 1 int arrays, the joints that ``inputs`` holds and those wanted of each layer, see
            :func:`~keras_skelmae.layers.graph.receptive_fields`. Not with normalization "batch", whose statistics are
            of all joints.

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

    def __init__(self, units, edges, num_layers=3, normalization="batch", backbone="gin", **kwargs):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(f"num_layers: expected at least 1, found {num_layers}")
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization: expected one of {NORMALIZATIONS}, found {normalization!r}")
        if backbone not in BACKBONES:
            raise ValueError(f"backbone: expected one of {tuple(BACKBONES)}, found {backbone!r}")
        self.units = units
        self.edges = check_edges(edges)
        self.num_layers = num_layers
        self.normalization = normalization
        self.backbone = backbone

    def build(self, input_shape):
        self.blocks = []
        shape, options = tuple(input_shape), {"dtype": self.dtype_policy}
        if self.backbone in JOINTS_FIRST:
            shape, options["joint_axis"] = (shape[-2], *shape[:-2], shape[-1]), 0
        output = (*shape[:-1], self.units)
        for index in range(self.num_layers):
            conv = BACKBONES[self.backbone](self.units, self.edges, name=f"conv_{index}", **options)
            norm = make_normalization(self.normalization, f"norm_{index}", self.dtype_policy)
            activation = ChannelPReLU(name=f"activation_{index}", dtype=self.dtype_policy)
            conv.build(shape)
            if norm is not None:
                norm.build(output)
            activation.build(output)
            self.blocks.append((conv, norm, activation))
            # tracked one by one: a list of tuples would not be
            setattr(self, f"conv_{index}", conv)
            setattr(self, f"norm_{index}", norm)
            setattr(self, f"activation_{index}", activation)
            shape = output
        self.built = True

    def call(self, inputs, presence=None, fields=None, training=None):
        x, first = inputs, self.backbone in JOINTS_FIRST
        if first:
            x = ops.moveaxis(x, -2, 0)  # (V, ..., C)
            presence = None if presence is None else ops.expand_dims(presence, 0)
        for index, (conv, norm, activation) in enumerate(self.blocks):
            x = conv(x, fields=None if fields is None else fields[index:index + 2])
            x = activation(normalize(norm, x, presence, training))  # (..., V, units)
        return ops.moveaxis(x, 0, -2) if first else x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "edges": self.edges, "num_layers": self.num_layers,
                "normalization": self.normalization, "backbone": self.backbone}
