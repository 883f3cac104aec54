"""A masked autoencoder over the whole STRL network: beyond the paper, whose own sees one frame at a time."""

import keras
from keras import ops

from keras_skelmae.layers import GraphEncoder, JointMasking, SkeletonStreams
from keras_skelmae.losses import masked_mean_squared_error, target_spread
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.strl_layers import strl_layers, total_stride

TRUNK_TARGETS = ("coordinates", "motion")
TRUNK_KEYS = ("num_coordinates", "use_score", "num_frames", "num_people", "units", "encoder_layers", "num_layers",
              "normalize", "image_size", "streams", "normalization", "backbone", "joint_positions", "share_people",
              "residual", "readout", "encoder_pool", "temporal", "temporal_strides", "body_streams", "body_units",
              "body_dropout")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class STRLAutoencoder(keras.Model):
    """Mask joints over stretches of frames, run the STRL layers, reconstruct with a light decoder.

    The spatio-temporal layers are the classifier's, by the same names, so that all of them can be transferred. The
    decoder is one graph convolution and a Dense that gives the frames a stride took away back.

    Args:
        layout: SkeletonLayout, its dict, a built-in name or a TOML file.
        target: "motion" (to the next frame) or "coordinates"; the error is relative to the target's mean square.
        Others as in STRLClassifier.

    Input shape:
        dict of ``keypoints`` ``(B, M, T, V, C)`` in pixels or metres and ``mask`` ``(B, M, T, V)``, True = masked, to
        be reconstructed. T must be a multiple of the product of the strides.

    Output shape:
        dict of ``reconstruction`` and ``target`` ``(B, M, T, V, num_coordinates)`` and ``weight`` ``(B, M, T, V)``, 1
        where a joint is masked and was observed.

    Reference:
        Mao et al., "Masked Motion Predictors are Strong 3D Action Representation Learners", ICCV 2023, for motion as
        the target.
    """

    def __init__(self, layout, num_coordinates=2, use_score=False, num_frames=64, num_people=2, units=64,
                 encoder_layers=3, num_layers=3, normalize="clip", image_size=(1080, 1920), streams=("joint",),
                 normalization="batch", backbone="gin", joint_positions=False, share_people=False, residual="concat",
                 readout="pooled", encoder_pool="sum", temporal="last", temporal_strides=(),
                 body_streams=("features",), body_units=(), body_dropout=0.0, target="motion",
                 name="strl_autoencoder", **kwargs):
        if target not in TRUNK_TARGETS:
            raise ValueError(f"target: expected one of {TRUNK_TARGETS}, found {target!r}")
        layout = as_layout(layout)
        stride = total_stride(temporal, temporal_strides)
        if num_frames % stride:
            raise ValueError(f"num_frames: expected a multiple of the strides' product {stride}, found {num_frames}")
        shape = (num_people, num_frames, layout.num_joints, num_coordinates + bool(use_score))

        # === Functional graph ===
        keypoints = keras.Input(shape, name="keypoints")
        mask = keras.Input(shape[:-1], dtype="bool", name="mask")
        embedding = JointEmbedding(keypoints, layout, units=units, num_coordinates=num_coordinates,
                                   normalize=normalize, image_size=image_size, streams=streams)
        presence = embedding.presence
        visible = ops.logical_and(presence, ops.logical_not(mask))
        x = embedding(visible=visible)
        x = JointMasking(name="masking")(x, joint_mask=mask)
        x, here = strl_layers(
            x, presence, embedding.coordinates, visible, layout, num_coordinates=num_coordinates, units=units,
            encoder_layers=encoder_layers, num_layers=num_layers,
            num_people=num_people, share_people=share_people, normalization=normalization, backbone=backbone,
            joint_positions=joint_positions, residual=residual, readout=readout, encoder_pool=encoder_pool,
            temporal=temporal, temporal_strides=temporal_strides, body_streams=body_streams, body_units=body_units,
            body_dropout=body_dropout)
        joints = layout.num_joints
        if x.shape[3] == joints:
            x = keras.layers.Dense(units, use_bias=False, name="encoder_to_decoder")(x)
        else:  # one vector for all joints
            x = keras.layers.Dense(joints * units, use_bias=False, name="encoder_to_decoder")(x)
            x = ops.reshape(x, (-1, *x.shape[1:3], joints, units))
        x = GraphEncoder(units, layout.edges, 1, normalization, name="decoder")(
            x, presence=here if num_people > 1 else None)
        x = keras.layers.Dense(stride * num_coordinates, dtype="float32", name="decoder_readout")(x)
        x = ops.reshape(x, (-1, num_people, num_frames // stride, layout.num_joints, stride, num_coordinates))
        x = ops.transpose(x, (0, 1, 2, 4, 3, 5))  # (B, M, T', stride, V, C)
        x = ops.reshape(x, (-1, *shape[:3], num_coordinates))
        goal = embedding.coordinates[..., :num_coordinates]
        if target == "motion":
            motion = SkeletonStreams(["motion"], num_coordinates, layout.edges, name="motion_target")
            goal = motion(embedding.coordinates, presence)
        super().__init__(inputs={"keypoints": keypoints, "mask": mask}, name=name, outputs={
            "reconstruction": x, "target": goal, "weight": ops.cast(ops.logical_and(mask, presence), "float32")},
            **kwargs)

        # === Config ===
        keep_settings(self, layout=layout, num_coordinates=num_coordinates, use_score=use_score, num_frames=num_frames,
                      num_people=num_people, units=units, encoder_layers=encoder_layers, num_layers=num_layers,
                      normalize=normalize, image_size=image_size, streams=streams, normalization=normalization,
                      backbone=backbone, joint_positions=joint_positions, share_people=share_people, residual=residual,
                      readout=readout, encoder_pool=encoder_pool, temporal=temporal, temporal_strides=temporal_strides,
                      body_streams=body_streams, body_units=body_units, body_dropout=body_dropout, target=target)
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @property
    def metrics(self):
        return [*super().metrics, self.spread_tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        target, weight = y_pred["target"], y_pred["weight"]
        self.spread_tracker.update_state(target_spread(target, ops.ones_like(weight)))
        scale = masked_mean_squared_error(target, ops.zeros_like(target), weight)
        return masked_mean_squared_error(target, y_pred["reconstruction"], weight) / ops.maximum(scale, 1e-8)

    def get_config(self):
        return {"name": self.name, "layout": self.layout.to_dict(), "target": self.target,
                **{key: getattr(self, key) for key in TRUNK_KEYS}}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
