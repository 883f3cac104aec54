"""SkeletonMAE: the asymmetric graph masked autoencoder, as a functional model."""

from types import SimpleNamespace

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers import GraphEncoder, JointMasking, PositionEmbedding, SkeletonStreams
from keras_skelmae.layers.graph import receptive_fields
from keras_skelmae.losses import masked_mean_squared_error, reweighted_cosine_error, target_spread
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.skeleton_encoder import ENCODER_KEYS, SkeletonEncoder

TARGETS = ("embedding", "coordinates", "motion")
REMEDIES = ("none", "stop_gradient", "variance", "center")
LOSSES = ("rce", "sce", "mse")


SPREAD_FRAMES = 8


def reconstruct(net, embedding, mask, needed=None, training=None):
    """What SkeletonMAE gives out, from its layers; of all joints, or of the masked ones alone.

    Args:
        net: namespace of the layers and the settings that matter here. embedding: JointEmbedding on the keypoints.
        mask: (B, M, T, V) bool.
        needed: None, or see SkeletonMAE.needed_joints.
        training: bool or None, as in Keras.

    Returns:
        dict of the model's outputs; with ``needed`` also ``some``, the targets of all joints in some frames, and with
        an embedding target ``features``, what is embedded.
    """
    def at(x, joints):
        return x if joints is None else ops.take(x, joints, axis=3)

    masked, first, fields, decoded, decoder_fields = [None] * 5
    if needed is not None:
        masked, fields, decoded = needed["masked"], needed["encoder"], needed["decoder"]
        first, decoder_fields = fields[0], (decoded, masked)
    presence = embedding.presence
    here = ops.any(presence, axis=-1) if net.num_people > 1 else None  # (B, M, T)

    # === Encoder ===
    seen = embedding.features(ops.logical_and(presence, ops.logical_not(mask)), training=training)
    x = net.masking(embedding.dense(at(seen, first)), joint_mask=at(mask, first))
    if net.positions is not None:
        x = net.positions(x, joints=first)
    x = net.encoder(x, presence=here, fields=fields, training=training)

    # === Decoder ===
    x = net.encoder_to_decoder(x)
    if net.remasking is not None:
        if masked is not None:  # the encoder did without them, since a token takes their place
            blank = ops.zeros_like(at(mask, masked), dtype=x.dtype)[..., None]  # (B, M, T, masked, 1)
            x = ops.concatenate([ops.repeat(blank, x.shape[-1], axis=-1), x], axis=3)
        x = net.remasking(x, joint_mask=at(mask, decoded))
    x = net.readout(net.decoder(x, presence=here, fields=decoder_fields, training=training))

    # === Target ===
    extra = {}
    if net.target == "embedding":
        features = embedding.features(training=training)
        stopped = ops.stop_gradient if net.remedy in ("stop_gradient", "center") else lambda vectors: vectors
        goal = stopped(embedding.dense(at(features, masked)))
        if needed is not None:
            extra = {"features": features, "some": embedding.dense(features[:, :, ::SPREAD_FRAMES])}
        if net.remedy == "center":  # the mean of embedded joints is the embedded mean
            goal = goal - stopped(embedding.dense(ops.mean(features, axis=-2, keepdims=True)))
            if needed is not None:
                extra["some"] = extra["some"] - ops.mean(extra["some"], axis=-2, keepdims=True)
    else:
        if net.target == "coordinates":
            goal = embedding.coordinates[..., :net.num_coordinates]
        else:
            goal = net.motion(embedding.coordinates, presence)
        if needed is not None:
            extra = {"some": goal[:, :, ::SPREAD_FRAMES]}
            goal = at(goal, masked)
    weight = ops.cast(ops.logical_and(at(mask, masked), at(presence, masked)), "float32")
    return {"reconstruction": x, "target": goal, "weight": weight, **extra}


def variance_of_dense(x, dense):
    """Variance of each unit of a Dense layer over all of ``x`` (..., C), from the covariance of its C inputs."""
    flat = ops.reshape(ops.cast(x, "float32"), (-1, x.shape[-1]))
    flat = flat - ops.mean(flat, axis=0)
    covariance = ops.matmul(ops.transpose(flat), flat) / ops.cast(ops.shape(flat)[0], "float32")
    kernel = ops.cast(dense.kernel, "float32")
    return ops.maximum(ops.sum(ops.matmul(covariance, kernel) * kernel, axis=0), 0)


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonMAE(keras.Model):
    """Graph masked autoencoder over single frames: mask joints, encode, re-mask, decode, reconstruct.

    Args:
        layout: SkeletonLayout, its dict, a built-in name such as "coco17", or a TOML file.
        num_coordinates: int, 2 or 3.
        use_score: bool, whether a confidence channel follows the coordinates.
        num_frames: int, T.
        num_people: int, M.
        units: int, D.
        encoder_layers: int, L_D; the decoder always has one layer.
        normalize: "clip", "image" or "none", see SkeletonNormalization; image_size belongs to "image".
        streams: input streams, see SkeletonStreams.
        normalization: "batch", "layer" or "none" inside the graph encoder.
        backbone: "gin" (the paper's), "gcn" or "gat".
        joint_positions: bool, a learnable vector a joint, added after masking.
        target: "embedding" (the paper's), "coordinates" or "motion".
        remedy: what keeps an embedding target from collapsing: "none", "stop_gradient", "variance" (a hinge on the
            standard deviation of each feature, as in VICReg) or "center" (stopped gradient, mean over the joints
            removed).
        loss_function: "rce" (the paper's sum), "sce" (mean of the scaled cosine error) or "mse".
        beta: exponent of rce and sce.
        remask: bool, replace masked joints by a token again before the decoder.

    Input shape:
        dict of ``keypoints`` ``(B, M, T, V, C)`` in pixels or metres and ``mask`` ``(B, M, T, V)``, True = masked, to
        be reconstructed.

    Output shape:
        dict of ``reconstruction`` and ``target`` ``(B, M, T, V, C')`` and ``weight`` ``(B, M, T, V)``, 1 where a joint
        is masked and was observed.

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    def __init__(self, layout, num_coordinates=2, use_score=False, num_frames=64, num_people=2, units=64,
                 encoder_layers=3, normalize="clip", image_size=(1080, 1920), streams=("joint",),
                 normalization="batch", backbone="gin", joint_positions=False, target="embedding", remedy="variance",
                 loss_function="rce", beta=2.0, remask=True, name="skeleton_mae", **kwargs):
        for key, value, known in (("target", target, TARGETS), ("remedy", remedy, REMEDIES),
                                  ("loss_function", loss_function, LOSSES)):
            if value not in known:
                raise ValueError(f"{key}: expected one of {known}, found {value!r}")
        layout = as_layout(layout)
        edges = layout.edges
        shape = (num_people, num_frames, layout.num_joints, num_coordinates + bool(use_score))

        # === Layers ===
        width = units if target == "embedding" else num_coordinates
        net = SimpleNamespace(
            masking=JointMasking(name="masking"),
            positions=PositionEmbedding(axis=-2, name="joint_positions") if joint_positions else None,
            encoder=GraphEncoder(units, edges, encoder_layers, normalization, backbone, name="encoder"),
            encoder_to_decoder=keras.layers.Dense(units, use_bias=False, name="encoder_to_decoder"),
            remasking=JointMasking(name="remasking") if remask else None,
            decoder=GraphEncoder(units, edges, 1, normalization, backbone, name="decoder"),
            readout=keras.layers.Dense(width, name="readout", dtype="float32"),
            motion=SkeletonStreams(["motion"], num_coordinates, edges, name="motion_target"),
            target=target, remedy=remedy, num_people=num_people, num_coordinates=num_coordinates)

        # === Functional graph ===
        keypoints = keras.Input(shape, name="keypoints")
        mask = keras.Input(shape[:-1], dtype="bool", name="mask")
        net.embedding = JointEmbedding(keypoints, layout, units=units, num_coordinates=num_coordinates,
                                       normalize=normalize, image_size=image_size, streams=streams)
        outputs = reconstruct(net, net.embedding, mask)
        super().__init__(inputs={"keypoints": keypoints, "mask": mask}, outputs=outputs, name=name, **kwargs)
        self._net = net

        # === Config ===
        keep_settings(self, layout=layout, num_coordinates=num_coordinates, use_score=use_score, num_frames=num_frames,
                      num_people=num_people, units=units, encoder_layers=encoder_layers, normalize=normalize,
                      image_size=image_size, streams=streams, normalization=normalization, backbone=backbone,
                      joint_positions=joint_positions, target=target, remedy=remedy, loss_function=loss_function,
                      beta=beta, remask=remask)
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @property
    def metrics(self):
        return [*super().metrics, self.spread_tracker]

    def call(self, inputs, training=None, mask=None):
        if "needed" not in inputs:
            return super().call(inputs, training=training, mask=mask)
        return reconstruct(self._net, self._net.embedding.on(inputs["keypoints"]), inputs["mask"], inputs["needed"],
                           training)

    def needed_joints(self, mask):
        """Where a batch shares one mask: the joints that the loss depends on, as a further input.

        The model computes them alone if its inputs hold this under ``needed``; the loss and its gradients are the same
        but for rounding. Outputs are then of the masked joints only.

        Args:
            mask: bool ``(V,)``, True = masked in all frames of the batch.

        Returns:
            dict of int32 arrays: ``masked`` joints; ``encoder``, a tuple of those of its input and its layers;
            ``decoder``, those of its input. None if all joints are needed: with batch statistics, or nothing masked.
        """
        masked = np.flatnonzero(mask).astype("int32")
        if self.normalization == "batch" or not len(masked):
            return None
        around, _ = receptive_fields(self.layout.edges, self.layout.num_joints, masked, 1)
        border = np.setdiff1d(around, masked).astype("int32") if self.remask else around
        encoder = receptive_fields(self.layout.edges, self.layout.num_joints, border, self.encoder_layers)
        decoder = np.concatenate([masked, border]) if self.remask else border
        return {"decoder": decoder, "encoder": tuple(encoder), "masked": masked}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        target, weight = y_pred["target"], y_pred["weight"]
        some = y_pred["some"] if "some" in y_pred else target[:, :, ::SPREAD_FRAMES]  # enough for a mean
        self.spread_tracker.update_state(target_spread(some, ops.ones_like(some[..., 0])))
        if self.loss_function == "mse":
            loss = masked_mean_squared_error(target, y_pred["reconstruction"], weight)
        else:
            reduction = "paper" if self.loss_function == "rce" else "mean"
            loss = reweighted_cosine_error(target, y_pred["reconstruction"], weight, self.beta, reduction)
        if self.target == "embedding" and self.remedy == "variance":
            if "features" in y_pred:
                variance = variance_of_dense(y_pred["features"], self._net.embedding.dense)
            else:
                variance = ops.var(ops.reshape(ops.cast(target, "float32"), (-1, self.units)), axis=0)
            loss = loss + ops.mean(ops.relu(1 - ops.sqrt(variance + 1e-4)))
        return loss

    @property
    def encoder(self):
        """Functional model: raw keypoints ``(B, M, T, V, C)`` -> joint features ``(B, M, T, V, D)``, nothing masked."""
        return SkeletonEncoder(weights_from=self, **{key: self.get_config()[key] for key in ENCODER_KEYS})

    def get_config(self):
        config = {"name": self.name, "layout": self.layout.to_dict()}
        for key in (*ENCODER_KEYS[1:], "target", "remedy", "loss_function", "beta", "remask"):
            config[key] = getattr(self, key)
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)
