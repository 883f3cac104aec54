"""Classifiers of several streams as one model: the weighted mean of their probabilities."""

import keras

from keras_skelmae.models.settings import keep_settings
from keras_skelmae.models.strl import STRLClassifier

AGREE = ("num_classes", "class_names", "num_people", "num_frames", "num_coordinates", "use_score")


def find_difference(first, other):
    """What keeps two classifiers from being fused: (setting, its value in ``first``, in ``other``), or None."""
    if (first.layout.edges, first.layout.joints) != (other.layout.edges, other.layout.joints):
        return "layout", first.layout.name, other.layout.name
    for key in AGREE:
        if getattr(first, key) != getattr(other, key):
            return key, getattr(first, key), getattr(other, key)
    return None


@keras.saving.register_keras_serializable(package="keras_skelmae")
class FusedClassifier(keras.Model):
    """The weighted mean of the class probabilities of several classifiers of the same clips.

    Args:
        members: two or more STRLClassifiers of the same skeleton, classes and clips; they are copied. Or their configs.
        weights: one positive number a member, of which only the proportions matter; None for equal ones.

    Input shape:
        ``(B, M, T, V, C)`` in pixels or metres.

    Output shape:
        ``(B, num_classes)``, probabilities.

    Raises:
        ValueError: naming the setting in which a member differs from the first, or the weight that does not fit.

    Reference:
        Shi et al., "Two-Stream Adaptive Graph Convolutional Networks", CVPR 2019, for fusing joints and bones.
    """

    def __init__(self, members, weights=None, name="fused_classifier", **kwargs):
        configs = [dict(member) if isinstance(member, dict) else member.get_config() for member in members]
        weights = [1.0] * len(configs) if weights is None else [float(weight) for weight in weights]
        if len(configs) < 2:
            raise ValueError(f"members: expected two or more classifiers, found {len(configs)}")
        if len(weights) != len(configs) or not all(0 < weight < float("inf") for weight in weights):
            raise ValueError(f"weights: expected {len(configs)} positive numbers, found {weights}")
        copies = []
        for index, config in enumerate(configs):
            with keras.name_scope(f"member_{index}"):  # weights of one path are one to Keras's trainer for PyTorch
                copies.append(STRLClassifier.from_config({**config, "name": f"member_{index}"}))
        first = copies[0]
        for index, member in enumerate(copies[1:], 2):
            difference = find_difference(first, member)
            if difference:
                raise ValueError("members: expected {} = {!r}, found {!r} in number {}".format(*difference, index))
        for member, source in zip(copies, members, strict=True):
            if not isinstance(source, dict):
                member.set_weights(source.get_weights())

        # === Functional graph ===
        inputs = keras.Input(first.input_shape[1:], name="keypoints")
        outputs = sum(member(inputs) * (weight / sum(weights))
                      for member, weight in zip(copies, weights, strict=True))  # (B, num_classes)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

        # === Config ===
        self.weighting = weights
        keep_settings(self, layout=first.layout, **{key: getattr(first, key) for key in AGREE})

    @property
    def members(self):
        """The classifiers, in their order."""
        return [self.get_layer(f"member_{index}") for index in range(len(self.weighting))]

    def get_config(self):
        return {"name": self.name, "members": [member.get_config() for member in self.members],
                "weights": self.weighting}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
