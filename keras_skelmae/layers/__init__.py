"""Custom Keras layers; importing this module registers all of them for ``keras.saving``."""

from keras_skelmae.layers.adaptive_gcn_conv import AdaptiveGCNConv
from keras_skelmae.layers.body_embedding import BodyEmbedding
from keras_skelmae.layers.channel_normalization import ChannelNormalization
from keras_skelmae.layers.channel_prelu import ChannelPReLU
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.gat_conv import GATConv
from keras_skelmae.layers.gcn_conv import GCNConv
from keras_skelmae.layers.gin_conv import GINConv
from keras_skelmae.layers.graph_encoder import GraphEncoder
from keras_skelmae.layers.joint_embedding import JointEmbedding
from keras_skelmae.layers.joint_mapping import JointMapping
from keras_skelmae.layers.joint_masking import JointMasking
from keras_skelmae.layers.joint_presence import JointPresence
from keras_skelmae.layers.multi_scale_temporal_conv import MultiScaleTemporalConv
from keras_skelmae.layers.pointwise_update import PointwiseUpdate
from keras_skelmae.layers.position_embedding import PositionEmbedding
from keras_skelmae.layers.presence_batch_normalization import PresenceBatchNormalization
from keras_skelmae.layers.presence_pooling import PresencePooling
from keras_skelmae.layers.resample_frames import ResampleFrames
from keras_skelmae.layers.skeleton_mirror import SkeletonMirror
from keras_skelmae.layers.skeleton_normalization import SkeletonNormalization
from keras_skelmae.layers.skeleton_streams import SkeletonStreams
from keras_skelmae.layers.spatial_modeling import SpatialModeling
from keras_skelmae.layers.temporal_conv import TemporalConv

__all__ = [
    "AdaptiveGCNConv",
    "BodyEmbedding",
    "ChannelNormalization",
    "ChannelPReLU",
    "Dense",
    "GATConv",
    "GCNConv",
    "GINConv",
    "GraphEncoder",
    "JointEmbedding",
    "JointMapping",
    "JointMasking",
    "JointPresence",
    "MultiScaleTemporalConv",
    "PointwiseUpdate",
    "PositionEmbedding",
    "PresenceBatchNormalization",
    "PresencePooling",
    "ResampleFrames",
    "SkeletonMirror",
    "SkeletonNormalization",
    "SkeletonStreams",
    "SpatialModeling",
    "TemporalConv",
]
