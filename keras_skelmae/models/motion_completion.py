"""Pre-training of a whole backbone in space and time: spoiled clips in, the clean motion of every joint out."""

import keras
from keras import ops

from keras_skelmae.layers import Dense, PresencePooling, TemporalConv
from keras_skelmae.losses import motion_error, nt_xent, target_spread
from keras_skelmae.models.contrastive_model import projected, views_apart
from keras_skelmae.models.preset import Preset, arguments
from keras_skelmae.models.skeleton_encoder import as_preprocessor
from keras_skelmae.models.skeleton_preprocessor import SkeletonPreprocessor
from keras_skelmae.models.strl_backbone import STRLBackbone

VELOCITY = 4.0  # weight of the error of velocities beside that of positions
WIDTHS = (256, 128, 128)  # of the decoder on the backbone's frames, of that on all frames, and of projections


@keras.saving.register_keras_serializable(package="keras_skelmae")
class MotionCompletion(Preset, keras.Model):
    """Two spoiled views of a clip through a backbone, each decoded to the clean motion; what they share drawn together.

    The masked autoencoder in space and time. What a view lacks (body parts as tubes in time, joints, frames) and how it
    is spoiled is decided outside, see ``keras_skelmae.data.completion``. Of recordings in 3D, views are what two
    virtual cameras see and the target is the motion in 3D along each camera's axes: lifting and completing in one. Of
    recordings in 2D it is the recording itself.

    The decoder sees everything: a temporal convolution over the backbone's frames, a linear map from each of these to
    the frames that it stands for, another temporal convolution, and a linear map to the joints.

    Args:
        backbone: STRLBackbone of one person, trained in place.
        target_coordinates: int, 2 or 3, of the target.
        num_classes: int, of the recordings' own labels.
        contrast: float, weight of drawing the two views of a clip together, see nt_xent.
        recognition: float, weight of telling the label of the recording; those without one do not count.

    Input shape:
        dict of ``keypoints`` and ``other``, the views, ``(B, 1, T, V, C)`` in the units of the recording, ``clean``
        ``(B, 2, T, V, D)``, what they are to become, ``known`` ``(B, 2, T, V)``, 1 where that is known, and ``label``
        ``(B,)`` int, -1 without one.

    Output shape:
        dict of ``reconstruction`` ``(B, 2, T, V, D)``, ``projection`` ``(B, 2, 128)`` (the pooled features where
        ``contrast`` is 0), ``logits`` ``(B, 2, num_classes)`` (absent where ``recognition`` is 0), and ``clean``,
        ``known`` and ``label`` as given.

    Raises:
        ValueError: a backbone of several people, or one that maps joints.

    Reference:
        Zhu et al., "MotionBERT: A Unified Perspective on Learning Human Motion Representations", ICCV 2023, for motion
        recovered from spoiled 2D; Yan et al., ICCV 2023, for masked body parts.
    """

    parts = (STRLBackbone,)

    def __init__(
        self,
        backbone,
        target_coordinates=3,
        num_classes=1,
        contrast=0.5,
        recognition=0.3,
        name="motion_completion",
        **kwargs,
    ):
        preprocessor = backbone.preprocessor
        if preprocessor.num_people != 1:
            raise ValueError(f"backbone: expected one person, found {preprocessor.num_people}")
        if preprocessor.maps_joints:
            raise ValueError(
                "backbone: expected one of the recordings' own joints, which are completed, found a joint map; "
                "objective = contrastive takes any"
            )
        _, frames, joints, _ = preprocessor.clip_shape
        wide, narrow, projection_units = WIDTHS

        # === Functional graph ===
        keypoints = keras.Input(preprocessor.clip_shape, name="keypoints")
        other = keras.Input(preprocessor.clip_shape, name="other")
        clean = keras.Input((2, frames, joints, target_coordinates), name="clean")
        known = keras.Input((2, frames, joints), name="known")
        label = keras.Input((), dtype="int32", name="label")
        found = backbone(ops.concatenate([keypoints, other], axis=0))  # (2B, 1, T', V', C), (2B, 1, T')
        x = TemporalConv(wide, name="decoder_0")(found["features"])  # (2B, 1, T', V', wide)
        coarse, apart = x.shape[2:4]
        step = -(-frames // coarse)
        x = Dense(step * narrow, name="frames")(x)  # (2B, 1, T', V', step * narrow)
        x = ops.transpose(ops.reshape(x, (-1, 1, coarse, apart, step, narrow)), (0, 1, 2, 4, 3, 5))
        x = ops.reshape(x, (-1, 1, coarse * step, apart, narrow))[:, :, :frames]  # (2B, 1, T, V', narrow)
        x = x + TemporalConv(narrow, name="decoder_1")(x)
        x = Dense(joints // apart * target_coordinates, name="head", dtype="float32")(x)
        x = views_apart(ops.reshape(x, (-1, frames, joints, target_coordinates)))  # (B, 2, T, V, D)
        pooled = PresencePooling(name="pooling")(found["features"], found["presence"])  # (2B, C)
        z = projected(pooled, wide, projection_units) if contrast else views_apart(pooled)  # (B, 2, projection_units)
        told = {"reconstruction": x, "projection": z}
        if recognition:
            logits = keras.layers.Dropout(0.3, noise_shape=(None, None), name="dropout")(pooled)
            told["logits"] = views_apart(keras.layers.Dense(num_classes, dtype="float32", name="logits")(logits))
        given = {"clean": clean, "known": known, "label": label}
        passed = {key: ops.stop_gradient(value) for key, value in given.items()}  # Keras 3.12 wants inputs to be used
        super().__init__(
            inputs={"keypoints": keypoints, "other": other, **given}, outputs={**told, **passed}, name=name, **kwargs
        )

        # === Config ===
        self.backbone = backbone
        self.target_coordinates = target_coordinates
        self.num_classes = num_classes
        self.contrast = contrast
        self.recognition = recognition
        self.position_tracker = keras.metrics.Mean(name="position_error")
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @classmethod
    def from_settings(cls, values, data):
        """A model with these settings (dict) for a store or a preprocessor; every person is a clip of its own."""
        own, found = arguments(cls, values), as_preprocessor(data, values)
        alone = SkeletonPreprocessor(**{**found.get_config(), "num_people": 1})
        own = {"target_coordinates": found.num_coordinates, **own}
        return cls(own.pop("backbone", None) or STRLBackbone.from_settings(values, alone), **own)

    @property
    def preprocessor(self):
        """The backbone's SkeletonPreprocessor."""
        return self.backbone.preprocessor

    @property
    def metrics(self):
        return [*super().metrics, self.position_tracker, self.spread_tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        position, velocity = motion_error(y_pred["clean"], y_pred["reconstruction"], y_pred["known"])
        self.position_tracker.update_state(position)
        z = ops.cast(ops.swapaxes(y_pred["projection"], 0, 1), "float32")  # (2, B, projection_units)
        self.spread_tracker.update_state(target_spread(z, ops.ones_like(z[..., 0])))
        loss = position + VELOCITY * velocity
        if self.contrast:
            loss = loss + self.contrast * nt_xent(y_pred["projection"])
        if self.recognition:
            loss = loss + self.recognition * _recognition_loss(y_pred["logits"], y_pred["label"])
        return loss


def _recognition_loss(logits, label):
    """Cross entropy of logits (B, 2, K) and labels (B,), over those that are not -1."""
    weight = ops.cast(label >= 0, "float32")
    wanted = ops.repeat(ops.maximum(label, 0)[:, None], 2, axis=1)  # (B, 2)
    error = keras.losses.sparse_categorical_crossentropy(wanted, logits, from_logits=True)  # (B, 2)
    return ops.sum(ops.mean(error, axis=1) * weight) / ops.maximum(ops.sum(weight), 1)
