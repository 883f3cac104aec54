"""Two views of a clip drawn together: pre-training without reconstruction, on the graph encoder or a whole backbone."""

import keras
from keras import ops

from keras_skelmae.layers import PresencePooling
from keras_skelmae.losses import nt_xent, target_spread
from keras_skelmae.models.preset import Preset, arguments
from keras_skelmae.models.skeleton_encoder import SkeletonEncoder
from keras_skelmae.models.strl_backbone import STRLBackbone


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ContrastiveModel(Preset, keras.Model):
    """Two views of a clip through a backbone, pooled, projected and drawn together.

    Features are pooled over time and people, then projected by two Dense layers with normalisation between. Both views
    are one batch, so that they share its statistics. How views are made is decided outside: see
    ``keras_skelmae.data.views``.

    Args:
        backbone: SkeletonEncoder (every frame by itself) or STRLBackbone, trained in place.
        projection_units: int, width of both projecting layers.
        temperature: float above 0, see nt_xent; the smaller, the more the hardest clips count.

    Input shape:
        dict of ``keypoints`` and ``other``, the views, both ``(B, M, T, V, C)`` in the units of the recording.

    Output shape:
        ``(B, 2, projection_units)``, the projections of the two views.

    Raises:
        ValueError: a temperature that is not above 0.

    Reference:
        You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020; Chen et al., "A Simple Framework for
        Contrastive Learning of Visual Representations", ICML 2020.
    """

    parts = (STRLBackbone,)

    def __init__(self, backbone, projection_units=256, temperature=0.2, name="contrastive_model", **kwargs):
        if not temperature > 0:
            raise ValueError(f"temperature: expected above 0, found {temperature}")
        shape = backbone.preprocessor.clip_shape if isinstance(backbone, STRLBackbone) else backbone.input_shape[1:]

        # === Functional graph ===
        keypoints = keras.Input(shape, name="keypoints")
        other = keras.Input(shape, name="other")
        both = ops.concatenate([keypoints, other], axis=0)  # (2B, M, T, V, C)
        found = backbone(both)  # (2B, M, T', V', D), (2B, M, T')
        x = PresencePooling(name="pooling")(found["features"], found["presence"])  # (2B, D)
        x = projected(x, projection_units, projection_units)  # (B, 2, projection_units)
        super().__init__(inputs={"keypoints": keypoints, "other": other}, outputs=x, name=name, **kwargs)

        # === Config ===
        self.backbone = backbone
        self.projection_units = projection_units
        self.temperature = temperature
        self.spread_tracker = keras.metrics.Mean(name="target_spread")

    @classmethod
    def from_settings(cls, values, data):
        """A model with these settings (dict), on the graph encoder alone where ``scope`` is "encoder"."""
        own = arguments(cls, values)
        kind = SkeletonEncoder if values.get("scope") == "encoder" else STRLBackbone
        return cls(own.pop("backbone", None) or kind.from_settings(values, data), **own)

    @property
    def preprocessor(self):
        """The backbone's SkeletonPreprocessor."""
        return self.backbone.preprocessor

    @property
    def metrics(self):
        return [*super().metrics, self.spread_tracker]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        clips = ops.transpose(y_pred, (1, 0, 2))  # (2, B, projection_units)
        self.spread_tracker.update_state(target_spread(clips, ops.ones_like(clips[..., 0])))
        return nt_xent(y_pred, self.temperature)


def projected(x, hidden_units, units):
    """Projections (B, 2, units) of pooled features (2B, C), first the one view of all clips, then the other."""
    x = keras.layers.Dense(hidden_units, use_bias=False, name="projection_hidden")(x)
    x = ops.relu(keras.layers.BatchNormalization(name="projection_norm")(x))
    return views_apart(keras.layers.Dense(units, dtype="float32", name="projection")(x))


def views_apart(x):
    """(2B, ...), first the one view of all clips, then the other, to (B, 2, ...)."""
    return ops.swapaxes(ops.reshape(x, (2, -1, *x.shape[1:])), 0, 1)
