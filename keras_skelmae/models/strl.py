"""The Skeleton Sequence Learning network: M-layer STRL and a classifier, as a functional model."""

import keras
from keras import ops

from keras_skelmae.layers import PresencePooling
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.strl_layers import strl_layers
from keras_skelmae.models.transfer import transfer_weights

POOLINGS = ("joints", "parts")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class STRLClassifier(keras.Model):
    """Spatial-temporal representation learning and a classifier, from raw keypoints to class probabilities.

    Args:
        layout: SkeletonLayout, its dict, a built-in name or a TOML file.
        num_classes: int.
        class_names: list of str kept with the model, or None.
        num_layers: int, the paper's M.
        share_people: bool, one encoder for all people instead of one a person.
        residual, readout, encoder_pool: see SpatialModeling.
        temporal: "last" (one multi-scale temporal module before the classifier), "each" (one in every layer, with a
            residual connection) or "body" (after the layers the joints become one vector a frame, see BodyEmbedding,
            and a stack of temporal convolutions follows).
        temporal_strides: one int for each temporal module of "each" and "body": frames are thinned by it; empty for
            none.
        body_streams: with ``temporal="body"``, what the body's vectors are made of: "features" (of the STRL layers),
            "motion2" (motion over two frames) and streams of SkeletonStreams, each with a stem of its own.
        body_units: with ``temporal="body"``, the width of the body's vector, then that of each convolution.
        body_dropout: float, see BodyEmbedding.
        people: "mean" or "concat", how the people's features meet, see PresencePooling.
        pooling: "joints" (the mean over all joints) or "parts" (each body part by itself, side by side).
        time_pooling: "mean" or "mean+max", see PresencePooling.
        dropout_rate: float, before the classifier.
        head_units: int, width of the hidden layer of the classifying MLP; 0 for none.
        mirror: bool, outside training the probabilities are the mean of a clip's and its mirror image's. For classes
            that know no left and right; with ``normalize="clip"`` alone, which places the body itself.
        encoder: None, or a SkeletonMAE, SkeletonEncoder or STRLAutoencoder: weights to start from.
        Others as in SkeletonMAE.

    Input shape:
        ``(B, M, T, V, C)`` in pixels or metres.

    Output shape:
        ``(B, num_classes)``, probabilities.

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    def __init__(self, layout, num_classes, class_names=None, num_coordinates=2, use_score=False, num_frames=64,
                 num_people=2, units=64, encoder_layers=3, num_layers=3, normalize="clip", image_size=(1080, 1920),
                 streams=("joint",), normalization="batch", backbone="gin", joint_positions=False, share_people=False,
                 residual="concat", readout="pooled", encoder_pool="sum", temporal="last", temporal_strides=(),
                 body_streams=("features",), body_units=(), body_dropout=0.0, people="mean", pooling="joints",
                 time_pooling="mean",
                 dropout_rate=0.0, head_units=128, mirror=False, encoder=None, name="strl_classifier", **kwargs):
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(f"class_names: expected {num_classes} names, found {len(class_names)}")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {POOLINGS}, found {pooling!r}")
        if mirror and normalize != "clip":
            raise ValueError(f"mirror: expected False with normalize={normalize!r}, found True")
        layout = as_layout(layout)

        # === Functional graph ===
        inputs = keras.Input((num_people, num_frames, layout.num_joints, num_coordinates + bool(use_score)),
                             name="keypoints")
        embedding = JointEmbedding(inputs, layout, units=units, num_coordinates=num_coordinates,
                                   normalize=normalize, image_size=image_size, streams=streams)
        x, here = strl_layers(
            embedding(), embedding.presence, embedding.coordinates, embedding.presence, layout,
            num_coordinates=num_coordinates, units=units, encoder_layers=encoder_layers, num_layers=num_layers,
            num_people=num_people, share_people=share_people, normalization=normalization, backbone=backbone,
            joint_positions=joint_positions, residual=residual, readout=readout, encoder_pool=encoder_pool,
            temporal=temporal, temporal_strides=temporal_strides, body_streams=body_streams, body_units=body_units,
            body_dropout=body_dropout)
        groups = list(layout.parts.values()) if pooling == "parts" and temporal != "body" else None
        x = PresencePooling(people, groups, time_pooling, name="pooling")(x, here)  # (B, a multiple of units)
        if dropout_rate:
            # Without a noise_shape Keras would draw from PyTorch's own state there, which no checkpoint holds.
            x = keras.layers.Dropout(dropout_rate, noise_shape=(None, None), name="dropout")(x)
        if head_units:
            x = keras.layers.Dense(head_units, activation="relu", name="head")(x)
        outputs = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name="classifier")(x)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

        # === Config ===
        class_names = None if class_names is None else [str(item) for item in class_names]
        keep_settings(self, layout=layout, num_classes=num_classes, class_names=class_names,
                      num_coordinates=num_coordinates, use_score=use_score, num_frames=num_frames,
                      num_people=num_people, units=units, encoder_layers=encoder_layers, num_layers=num_layers,
                      normalize=normalize, image_size=image_size, streams=streams, normalization=normalization,
                      backbone=backbone, joint_positions=joint_positions, share_people=share_people, residual=residual,
                      readout=readout, encoder_pool=encoder_pool, temporal=temporal, temporal_strides=temporal_strides,
                      body_streams=body_streams, body_units=body_units, body_dropout=body_dropout, people=people,
                      pooling=pooling,
                      time_pooling=time_pooling, dropout_rate=dropout_rate, head_units=head_units, mirror=mirror)
        if encoder is not None:
            transfer_weights(encoder, self)

    def call(self, inputs, training=None, mask=None):
        if training or not self.mirror:
            return super().call(inputs, training=training, mask=mask)
        both = ops.concatenate([inputs, self.mirrored(inputs)], axis=0)
        return ops.mean(ops.reshape(super().call(both, training=False), (2, -1, self.num_classes)), axis=0)

    def mirrored(self, keypoints):
        """Clips (B, M, T, V, C) with left and right exchanged: the paired joints, and the sign of x."""
        swapped = ops.take(keypoints, list(self.layout.mirror), axis=3)
        return ops.concatenate([-swapped[..., :1], swapped[..., 1:]], axis=-1)

    def get_config(self):
        keys = ("num_classes", "class_names", "num_coordinates", "use_score", "num_frames", "num_people", "units",
                "encoder_layers", "num_layers", "normalize", "image_size", "streams", "normalization", "backbone",
                "joint_positions", "share_people", "residual", "readout", "encoder_pool", "temporal",
                "temporal_strides", "body_streams", "body_units", "body_dropout", "people", "pooling", "time_pooling",
                "dropout_rate", "head_units", "mirror")
        return {"name": self.name, "layout": self.layout.to_dict(), **{key: getattr(self, key) for key in keys}}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
