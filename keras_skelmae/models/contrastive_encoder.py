"""A contrastive encoder, the baseline SkeletonMAE is compared with: GraphCL on the same network."""

import keras
from keras import ops

from keras_skelmae.layers import GraphEncoder, PositionEmbedding
from keras_skelmae.losses import VIEW_LOSSES, target_spread, view_loss
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.skeleton_encoder import ENCODER_KEYS, SkeletonEncoder


def check_view_loss(loss, temperature):
    """ValueError unless both are such as the two-view models take."""
    if loss not in VIEW_LOSSES:
        raise ValueError(f"loss: expected one of {VIEW_LOSSES}, found {loss!r}")
    if not temperature > 0:
        raise ValueError(f"temperature: expected above 0, found {temperature}")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ContrastiveEncoder(keras.Model):
    """Two views of a clip through SkeletonMAE's embedding and encoder, pooled, projected and drawn together.

    The layers up to the encoder are SkeletonMAE's, by the same names, so that they can be transferred. Their output
    is averaged over the observed joints of all frames and people, then projected by two Dense layers. Both views are
    one batch, so that they share its statistics. How views are made is decided outside: see SkeletonBatches.

    Args:
        layout: SkeletonLayout, its dict, a built-in name or a TOML file.
        loss: "nt_xent" or "vicreg", see keras_skelmae.losses.
        temperature: float, see nt_xent; the smaller, the more the hardest clips count.
        Others as in SkeletonMAE.

    Input shape:
        dict of ``keypoints`` and ``other``, the views, both ``(B, M, T, V, C)`` in pixels or metres.

    Output shape:
        ``(B, 2, units)``, the projections of the two views.

    Reference:
        You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020; there the sum in the loss has
        neither the clip itself nor the views on its own side.
    """

    def __init__(self, layout, num_coordinates=2, use_score=False, num_frames=64, num_people=2, units=64,
                 encoder_layers=3, normalize="clip", image_size=(1080, 1920), streams=("joint",),
                 normalization="batch", backbone="gin", joint_positions=False, loss="nt_xent", temperature=0.2,
                 name="contrastive_encoder", **kwargs):
        check_view_loss(loss, temperature)
        layout = as_layout(layout)
        shape = (num_people, num_frames, layout.num_joints, num_coordinates + bool(use_score))

        # === Layers ===
        encoder = GraphEncoder(units, layout.edges, encoder_layers, normalization, backbone, name="encoder")
        hidden = keras.layers.Dense(units, activation="relu", name="projection_hidden")
        projection = keras.layers.Dense(units, name="projection", dtype="float32")

        # === Functional graph ===
        keypoints = keras.Input(shape, name="keypoints")
        other = keras.Input(shape, name="other")
        views = ops.reshape(ops.stack([keypoints, other], axis=1), (-1, *shape))  # (2B, M, T, V, C)
        embedding = JointEmbedding(views, layout, units=units, num_coordinates=num_coordinates, normalize=normalize,
                                   image_size=image_size, streams=streams)
        x, presence = embedding(), embedding.presence
        if joint_positions:
            x = PositionEmbedding(axis=-2, name="joint_positions")(x)
        x = encoder(x, presence=ops.any(presence, axis=-1) if num_people > 1 else None)
        weight = ops.cast(presence, x.dtype)[..., None]
        count = ops.maximum(ops.sum(weight, axis=(1, 2, 3)), 1)
        x = ops.sum(x * weight, axis=(1, 2, 3)) / count  # (2B, units)
        x = ops.reshape(projection(hidden(x)), (-1, 2, units))  # (B, 2, units)
        super().__init__(inputs={"keypoints": keypoints, "other": other}, outputs=x, name=name, **kwargs)

        # === Config ===
        keep_settings(self, layout=layout, num_coordinates=num_coordinates, use_score=use_score, num_frames=num_frames,
                      num_people=num_people, units=units, encoder_layers=encoder_layers, normalize=normalize,
                      image_size=image_size, streams=streams, normalization=normalization, backbone=backbone,
                      joint_positions=joint_positions, view_loss=loss, temperature=temperature)
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @property
    def metrics(self):
        return [*super().metrics, self.spread_tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        clips = ops.transpose(y_pred, (1, 0, 2))  # (2, B, units)
        self.spread_tracker.update_state(target_spread(clips, ops.ones_like(clips[..., 0])))
        return view_loss(self.view_loss, y_pred, self.temperature)

    @property
    def encoder(self):
        """Functional model: raw keypoints ``(B, M, T, V, C)`` -> joint features ``(B, M, T, V, D)``."""
        return SkeletonEncoder(weights_from=self, **{key: self.get_config()[key] for key in ENCODER_KEYS})

    def get_config(self):
        return {"name": self.name, "layout": self.layout.to_dict(), "loss": self.view_loss,
                "temperature": self.temperature,
                **{key: getattr(self, key) for key in ENCODER_KEYS[1:]}}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
