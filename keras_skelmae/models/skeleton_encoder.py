"""The per-frame graph encoder with its embedding: what SkeletonMAE pre-trains."""

import keras
from keras import ops

from keras_skelmae.layers import (
    GraphEncoder,
    JointEmbedding,
    JointMapping,
    JointPresence,
    PositionEmbedding,
    SkeletonNormalization,
)
from keras_skelmae.models.preset import Preset, arguments
from keras_skelmae.models.skeleton_preprocessor import SkeletonPreprocessor


def as_preprocessor(data, values=None):
    """A SkeletonPreprocessor from itself, a store, or a layout (with the defaults of all else)."""
    if isinstance(data, SkeletonPreprocessor):
        return data
    if data is None:
        raise ValueError("data: expected a SkeletonStore or a SkeletonPreprocessor, found None")
    if hasattr(data, "channels"):
        return SkeletonPreprocessor.for_data(data, **arguments(SkeletonPreprocessor.for_data, values or {}))
    return SkeletonPreprocessor(data)


class InputLayers:
    """The layers between raw keypoints and the first graph convolution, made from an encoder's settings.

    ``mapped``: keypoints of the network's joints. ``presence``: which joints were observed. ``place``: centred, scaled
    coordinates. ``embedding``: joint features. ``positions``: a learnable vector per joint, or None.
    """

    def __init__(self, preprocessor, units, streams, joint_positions):
        dims, layout = preprocessor.num_coordinates, preprocessor.graph_layout
        self.mapping = None
        if preprocessor.maps_joints:
            self.mapping = JointMapping(preprocessor.joint_map.sources, name="joint_mapping")
        self.presence = JointPresence(dims, name="presence")
        self.place = SkeletonNormalization(dims, preprocessor.normalize, preprocessor.image_size, name="place")
        self.embedding = JointEmbedding(units, streams, dims, layout.bones, name="joint_embedding")
        self.positions = PositionEmbedding(axis=-2, name="joint_positions") if joint_positions else None

    def mapped(self, keypoints):
        """Keypoints (B, M, T, V, C) of the joints that the network has, from those of the recordings."""
        return keypoints if self.mapping is None else self.mapping(keypoints)

    def positioned(self, x):
        """``x`` with the joints' positions, where there are such."""
        return x if self.positions is None else self.positions(x)


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonEncoder(Preset, keras.Model):
    """Raw keypoints to joint features, every frame by itself: embedding, then graph convolutions.

    It takes any number of people and frames, so that one encoder serves the autoencoder, which sees one person's frame
    at a time, and the classifier.

    Args:
        preprocessor: SkeletonPreprocessor: what the data are. Or a layout, with that class's defaults.
        units: int, D.
        encoder_layers: int, L_D.
        graph_conv: "gin" (the paper's), "gcn", "gat" or "adaptive", see GraphEncoder.
        normalization: "batch", "layer" or "none", after every graph convolution.
        streams: input streams, see SkeletonStreams.
        joint_positions: bool, a learnable vector per joint.

    Input shape:
        ``(B, M, T, V, C)`` in the units of the recording, any M and T.

    Output shape:
        dict of ``features`` ``(B, M, T, V, units)`` and ``presence`` bool ``(B, M, T)``, True = the person is there.

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    def __init__(
        self,
        preprocessor,
        units=64,
        encoder_layers=3,
        graph_conv="gin",
        normalization="batch",
        streams=("joint",),
        joint_positions=False,
        name="skeleton_encoder",
        **kwargs,
    ):
        preprocessor = as_preprocessor(preprocessor)
        joints, channels = preprocessor.clip_shape[2:]

        # === Layers ===
        inputs = InputLayers(preprocessor, units, streams, joint_positions)
        graph = GraphEncoder(
            units, preprocessor.graph_layout.edges, encoder_layers, normalization, graph_conv, name="graph_encoder"
        )

        # === Functional graph ===
        keypoints = keras.Input((None, None, joints, channels), name="keypoints")
        x = inputs.mapped(keypoints)  # (B, M, T, V, C)
        valid = inputs.presence(x)  # (B, M, T, V)
        presence = ops.any(valid, axis=-1)  # (B, M, T)
        x = inputs.embedding(inputs.place(x), valid)  # (B, M, T, V, D)
        x = graph(inputs.positioned(x), presence=presence)  # (B, M, T, V, D)
        super().__init__(inputs=keypoints, outputs={"features": x, "presence": presence}, name=name, **kwargs)

        # === Config ===
        self.input_layers, self.graph = inputs, graph
        self.preprocessor = preprocessor
        self.units = units
        self.encoder_layers = encoder_layers
        self.graph_conv = graph_conv
        self.normalization = normalization
        self.streams = [str(stream) for stream in streams]
        self.joint_positions = joint_positions

    @classmethod
    def from_settings(cls, values, data):
        """An encoder with these settings (dict) for a store or a preprocessor."""
        return cls(as_preprocessor(data, values), **arguments(cls, values))
