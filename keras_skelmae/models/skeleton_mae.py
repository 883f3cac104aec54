"""SkeletonMAE: the asymmetric graph masked autoencoder, as a functional model."""

import keras
from keras import ops

from keras_skelmae.fast.ops.channels import moments
from keras_skelmae.layers import Dense, GraphEncoder, JointMasking, SkeletonStreams
from keras_skelmae.losses import masked_mean_squared_error, reweighted_cosine_error, target_spread
from keras_skelmae.models.preset import Preset, arguments
from keras_skelmae.models.skeleton_encoder import SkeletonEncoder

TARGETS = ("embedding", "coordinates", "motion")
REMEDIES = ("none", "stop_gradient", "variance")
LOSSES = ("rce", "sce", "mse")
REMASKS = ("context", "token", "none")
SPREAD_FRAMES = 8  # every one of so many is enough for the mean spread of a target


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonMAE(Preset, keras.Model):
    """Graph masked autoencoder over single frames: mask joints, encode, mask again, decode, reconstruct.

    Args:
        encoder: SkeletonEncoder, trained in place. Its preprocessor says what the data are.
        num_people: int, M. With 1, as ``keras_skelmae.data.masked`` gives them, every person is a clip of its own.
        target: "embedding" (the paper's), "coordinates" or "motion".
        remedy: what keeps an embedding target from collapsing: "none", "stop_gradient" or "variance" (a hinge on the
            standard deviation of each feature, as in VICReg).
        loss_function: "rce" (the paper's sum), "sce" (mean of the scaled cosine error) or "mse".
        beta: float, exponent of rce and sce.
        remask: what the decoder gets. "context": what the encoder made of each joint, and a linear map of the mean of
            the visible ones in its frame, without which joints far inside masked parts see nothing, as a few layers
            reach as many neighbours. "token": one in place of masked joints, as GraphMAE. "none": what the encoder made
            of them.

    Input shape:
        dict of ``keypoints`` ``(B, M, T, V, C)`` in the units of the recording and ``mask`` ``(B, M, T, V)``, True =
        masked, to be reconstructed. Any T.

    Output shape:
        dict of ``reconstruction`` and ``target`` ``(B, M, T, V, C')`` and ``weight`` ``(B, M, T, V)``, 1 where a joint
        is masked and was observed.

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    parts = (SkeletonEncoder,)

    def __init__(
        self,
        encoder,
        num_people=1,
        target="embedding",
        remedy="variance",
        loss_function="rce",
        beta=2.0,
        remask="context",
        name="skeleton_mae",
        **kwargs,
    ):
        for key, value, known in (
            ("target", target, TARGETS),
            ("remedy", remedy, REMEDIES),
            ("loss_function", loss_function, LOSSES),
            ("remask", remask, REMASKS),
        ):
            if value not in known:
                raise ValueError(f"{key}: expected one of {known}, found {value!r}")
        if encoder.preprocessor.maps_joints:
            raise ValueError("encoder: expected one of the recordings' own joints, which are masked, found a joint map")
        layout, dims, units = encoder.preprocessor.layout, encoder.preprocessor.num_coordinates, encoder.units
        joints, channels = encoder.preprocessor.clip_shape[2:]

        # === Layers ===
        inputs, graph = encoder.input_layers, encoder.graph
        masking = JointMasking(name="masking")
        encoder_to_decoder = Dense(units, use_bias=False, name="encoder_to_decoder")
        remasking = JointMasking(name="remasking") if remask == "token" else None
        context = Dense(units, use_bias=False, name="context") if remask == "context" else None
        decoder = GraphEncoder(units, layout.edges, 1, encoder.normalization, encoder.graph_conv, name="decoder")
        decoder.build((None, num_people, None, joints, units))  # it is called with the joints in front
        head = Dense(units if target == "embedding" else dims, name="head", dtype="float32")
        motion = SkeletonStreams(["motion"], dims, layout.bones, name="motion_target")

        # === Functional graph ===
        keypoints = keras.Input((num_people, None, joints, channels), name="keypoints")
        mask = keras.Input((num_people, None, joints), dtype="bool", name="mask")
        valid, placed = inputs.presence(keypoints), inputs.place(keypoints)  # (B, M, T, V), (B, M, T, V, C)
        presence = ops.any(valid, axis=-1) if num_people > 1 else None  # (B, M, T)
        visible = ops.logical_and(valid, ops.logical_not(mask))  # (B, M, T, V)
        x = inputs.embedding(placed, visible)  # (B, M, T, V, D)
        x = inputs.positioned(masking(x, joint_mask=mask))  # (B, M, T, V, D)
        x = ops.moveaxis(x, 3, 0)  # (V, B, M, T, D), up to the reconstruction
        encoded = graph(x, presence=presence, joints_first=True)  # (V, B, M, T, D)
        x = encoder_to_decoder(encoded)  # (V, B, M, T, D)
        if remask == "context":
            x = x + context(mean_of_visible(encoded, ops.moveaxis(visible, 3, 0)))  # (V, B, M, T, D)
        elif remask == "token":
            x = remasking(x, joint_mask=ops.moveaxis(mask, 3, 0))  # (V, B, M, T, D)
        x = head(decoder(x, presence=presence, joints_first=True))  # (V, B, M, T, C')
        x = ops.moveaxis(x, 0, 3)  # (B, M, T, V, C')
        if target == "embedding":
            goal = inputs.embedding(placed, valid)  # (B, M, T, V, D)
            goal = ops.stop_gradient(goal) if remedy == "stop_gradient" else goal
        else:
            goal = placed[..., :dims] if target == "coordinates" else motion(placed, valid)  # (B, M, T, V, dims)
        weight = ops.cast(ops.logical_and(mask, valid), "float32")  # (B, M, T, V)
        super().__init__(
            inputs={"keypoints": keypoints, "mask": mask},
            outputs={"reconstruction": x, "target": goal, "weight": weight},
            name=name,
            **kwargs,
        )

        # === Config ===
        self.encoder = encoder
        self.num_people = num_people
        self.target = target
        self.remedy = remedy
        self.loss_function = loss_function
        self.beta = beta
        self.remask = remask
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @classmethod
    def from_settings(cls, values, data):
        """An autoencoder with these settings (dict) for a store or a preprocessor."""
        own = arguments(cls, values) | {"num_people": 1}
        encoder = own.pop("encoder", None) or SkeletonEncoder.from_settings(values, data)
        return cls(encoder, **own)

    @property
    def preprocessor(self):
        """The encoder's SkeletonPreprocessor."""
        return self.encoder.preprocessor

    @property
    def metrics(self):
        return [*super().metrics, self.spread_tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        target = y_pred["target"]
        self.track_spread(target[:, :, ::SPREAD_FRAMES])
        loss = self.reconstruction_loss(target, y_pred["reconstruction"], y_pred["weight"])
        if self.needs_spread:
            loss = loss + self.spread_loss(moments(ops.cast(target, "float32"))[1])
        return loss

    def track_spread(self, target):
        """Note how far apart the directions of a frame's targets are: 0 is a collapsed target."""
        self.spread_tracker.update_state(target_spread(target, ops.ones_like(target[..., 0])))

    def reconstruction_loss(self, target, reconstruction, weight):
        """``loss_function`` over the joints of weight 1."""
        if self.loss_function == "mse":
            return masked_mean_squared_error(target, reconstruction, weight)
        reduction = "paper" if self.loss_function == "rce" else "mean"
        return reweighted_cosine_error(target, reconstruction, weight, self.beta, reduction)

    @property
    def needs_spread(self):
        """Whether the loss holds the embedded joints apart."""
        return self.target == "embedding" and self.remedy == "variance"

    @staticmethod
    def spread_loss(variance):
        """The hinge on the variance (D,) of the embedded joints."""
        return ops.mean(ops.relu(1 - ops.sqrt(variance + 1e-4)))


def mean_of_visible(x, visible):
    """(1, ..., C): the mean of the joints of x (V, ..., C) that visible (V, ...) names; zeros where there is none."""
    visible = visible[..., None]
    count = ops.sum(ops.cast(visible, x.dtype), axis=0, keepdims=True)
    # a choice: XLA on a CPU sums a product slowly
    return ops.sum(ops.where(visible, x, ops.zeros((), x.dtype)), axis=0, keepdims=True) / ops.maximum(count, 1)
