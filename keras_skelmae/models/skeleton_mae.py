"""SkeletonMAE: the asymmetric graph masked autoencoder, as a functional model."""

import keras
from keras import ops

from keras_skelmae.layers import GraphEncoder, JointMasking, PositionEmbedding, SkeletonStreams
from keras_skelmae.losses import masked_mean_squared_error, reweighted_cosine_error, target_spread
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.skeleton_encoder import ENCODER_KEYS, SkeletonEncoder

TARGETS = ("embedding", "coordinates", "motion")
REMEDIES = ("none", "stop_gradient", "variance", "center")
LOSSES = ("rce", "sce", "mse")


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
        masking = JointMasking(name="masking")
        encoder = GraphEncoder(units, edges, encoder_layers, normalization, backbone, name="encoder")
        encoder_to_decoder = keras.layers.Dense(units, use_bias=False, name="encoder_to_decoder")
        remasking = JointMasking(name="remasking") if remask else None
        decoder = GraphEncoder(units, edges, 1, normalization, backbone, name="decoder")
        width = units if target == "embedding" else num_coordinates
        readout = keras.layers.Dense(width, name="readout", dtype="float32")

        # === Functional graph ===
        keypoints = keras.Input(shape, name="keypoints")
        mask = keras.Input(shape[:-1], dtype="bool", name="mask")
        embedding = JointEmbedding(keypoints, layout, units=units, num_coordinates=num_coordinates,
                                   normalize=normalize, image_size=image_size, streams=streams)
        presence = embedding.presence
        here = None
        if num_people > 1:
            here = ops.any(presence, axis=-1)  # (B, M, T)
        x = masking(embedding(visible=ops.logical_and(presence, ops.logical_not(mask))), joint_mask=mask)
        if joint_positions:
            x = PositionEmbedding(axis=-2, name="joint_positions")(x)
        x = encoder(x, presence=here)
        x = encoder_to_decoder(x)
        if remask:
            x = remasking(x, joint_mask=mask)
        x = readout(decoder(x, presence=here))
        if target == "embedding":
            goal = embedding()
            if remedy in ("stop_gradient", "center"):
                goal = ops.stop_gradient(goal)
            if remedy == "center":
                goal = goal - ops.mean(goal, axis=-2, keepdims=True)
        elif target == "coordinates":
            goal = embedding.coordinates[..., :num_coordinates]
        else:
            motion = SkeletonStreams(["motion"], num_coordinates, edges, name="motion_target")
            goal = motion(embedding.coordinates, presence)
        outputs = {"reconstruction": x, "target": goal,
                   "weight": ops.cast(ops.logical_and(mask, presence), "float32")}
        super().__init__(inputs={"keypoints": keypoints, "mask": mask}, outputs=outputs, name=name, **kwargs)

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

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        target, weight = y_pred["target"], y_pred["weight"]
        self.spread_tracker.update_state(target_spread(target, ops.ones_like(weight)))
        if self.loss_function == "mse":
            loss = masked_mean_squared_error(target, y_pred["reconstruction"], weight)
        else:
            reduction = "paper" if self.loss_function == "rce" else "mean"
            loss = reweighted_cosine_error(target, y_pred["reconstruction"], weight, self.beta, reduction)
        if self.target == "embedding" and self.remedy == "variance":
            flat = ops.reshape(ops.cast(target, "float32"), (-1, self.units))
            loss = loss + ops.mean(ops.relu(1 - ops.sqrt(ops.var(flat, axis=0) + 1e-4)))
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
