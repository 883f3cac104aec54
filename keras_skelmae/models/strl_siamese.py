"""Two views of a clip through the whole STRL network: pre-training without reconstruction, beyond the paper."""

import keras
from keras import ops

from keras_skelmae.layers import PresencePooling
from keras_skelmae.losses import target_spread, view_loss
from keras_skelmae.models.contrastive_encoder import check_view_loss
from keras_skelmae.models.joint_embedding import JointEmbedding, as_layout
from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.strl_autoencoder import TRUNK_KEYS
from keras_skelmae.models.strl_layers import strl_layers


@keras.saving.register_keras_serializable(package="keras_skelmae")
class STRLSiamese(keras.Model):
    """Two views of a clip through the STRL layers, pooled, projected and drawn together.

    The spatio-temporal layers are the classifier's, by the same names, so that all of them can be transferred. Their
    output is pooled over time and people, then projected by two Dense layers with normalisation between. Both views
    are one batch, so that they share its statistics. How views are made is decided outside: see SkeletonBatches.

    Args:
        layout: SkeletonLayout, its dict, a built-in name or a TOML file.
        time_pooling: "mean" or "mean+max", see PresencePooling.
        projection_units: int, width of both projecting layers.
        loss: "nt_xent" or "vicreg", see keras_skelmae.losses.
        temperature: float, see nt_xent.
        decorrelation: float, weight of the correlations between the channels of the features and, with
            ``temporal="body"``, of the stems, see Decorrelation; 0 for none.
        Others as in STRLClassifier.

    Input shape:
        dict of ``keypoints`` and ``other``, the views, both ``(B, M, T, V, C)`` in pixels or metres.

    Output shape:
        ``(B, 2, projection_units)``, the projections of the two views.

    Reference:
        Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR
        2022; Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
    """

    def __init__(self, layout, num_coordinates=2, use_score=False, num_frames=64, num_people=2, units=64,
                 encoder_layers=3, num_layers=3, normalize="clip", image_size=(1080, 1920), streams=("joint",),
                 normalization="batch", backbone="gin", joint_positions=False, share_people=False, residual="concat",
                 readout="pooled", encoder_pool="sum", temporal="last", temporal_strides=(),
                 body_streams=("features",), body_units=(), body_dropout=0.0, time_pooling="mean",
                 projection_units=256, loss="vicreg", temperature=0.2, decorrelation=0.0,
                 name="strl_siamese", **kwargs):
        check_view_loss(loss, temperature)
        layout = as_layout(layout)
        shape = (num_people, num_frames, layout.num_joints, num_coordinates + bool(use_score))

        # === Functional graph ===
        keypoints = keras.Input(shape, name="keypoints")
        other = keras.Input(shape, name="other")
        views = ops.reshape(ops.stack([keypoints, other], axis=1), (-1, *shape))  # (2B, M, T, V, C)
        embedding = JointEmbedding(views, layout, units=units, num_coordinates=num_coordinates, normalize=normalize,
                                   image_size=image_size, streams=streams)
        x, here = strl_layers(
            embedding(), embedding.presence, embedding.coordinates, embedding.presence, layout,
            num_coordinates=num_coordinates, units=units, encoder_layers=encoder_layers, num_layers=num_layers,
            num_people=num_people, share_people=share_people, normalization=normalization, backbone=backbone,
            joint_positions=joint_positions, residual=residual, readout=readout, encoder_pool=encoder_pool,
            temporal=temporal, temporal_strides=temporal_strides, body_streams=body_streams, body_units=body_units,
            body_dropout=body_dropout, decorrelation=decorrelation)
        x = PresencePooling("mean", None, time_pooling, name="pooling")(x, here)  # (2B, a multiple of units)
        x = keras.layers.Dense(projection_units, use_bias=False, name="projection_hidden")(x)
        x = ops.relu(keras.layers.BatchNormalization(name="projection_norm")(x))
        x = keras.layers.Dense(projection_units, dtype="float32", name="projection")(x)
        x = ops.reshape(x, (-1, 2, projection_units))
        super().__init__(inputs={"keypoints": keypoints, "other": other}, outputs=x, name=name, **kwargs)

        # === Config ===
        keep_settings(self, layout=layout, num_coordinates=num_coordinates, use_score=use_score, num_frames=num_frames,
                      num_people=num_people, units=units, encoder_layers=encoder_layers, num_layers=num_layers,
                      normalize=normalize, image_size=image_size, streams=streams, normalization=normalization,
                      backbone=backbone, joint_positions=joint_positions, share_people=share_people, residual=residual,
                      readout=readout, encoder_pool=encoder_pool, temporal=temporal, temporal_strides=temporal_strides,
                      body_streams=body_streams, body_units=body_units, body_dropout=body_dropout,
                      time_pooling=time_pooling,
                      projection_units=projection_units, view_loss=loss, temperature=temperature,
                      decorrelation=float(decorrelation))
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @property
    def metrics(self):
        return [*super().metrics, self.spread_tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        clips = ops.transpose(y_pred, (1, 0, 2))  # (2, B, C)
        self.spread_tracker.update_state(target_spread(clips, ops.ones_like(clips[..., 0])))
        return sum(self.losses, view_loss(self.view_loss, y_pred, self.temperature))

    def get_config(self):
        return {"name": self.name, "layout": self.layout.to_dict(), "time_pooling": self.time_pooling,
                "projection_units": self.projection_units, "loss": self.view_loss, "temperature": self.temperature,
                "decorrelation": self.decorrelation,
                **{key: getattr(self, key) for key in TRUNK_KEYS}}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
