"""Several classifiers, or one and its mirror image, as one model: the weighted mean of what they say, tempered."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers import SkeletonMirror
from keras_skelmae.models.preset import Preset
from keras_skelmae.models.strl_classifier import STRLClassifier
from skelmae_datasets.runs.saved_model import find_difference


@keras.saving.register_keras_serializable(package="keras_skelmae")
class Ensemble(Preset, keras.Model):
    """The weighted mean of the class probabilities of classifiers of the same clips, and of the clips' mirror images.

    Args:
        members: STRLClassifiers of the same skeleton, classes and clips, two or more, or one with ``mirror`` or a
            ``temperature``; they are copied. Or their configs.
        weights: one positive number per member, of which only the proportions matter; None for equal ones.
        mirror: bool, whether the mirror image of each clip counts as much as the clip. For classes that know no left
            and right; with ``normalize="clip"`` alone, which places the body itself.
        one_sided: indices of classes that are told by a side all the same, with ``mirror``: the mirror image counts by
            so much less as the clip itself is taken for one of them.
        temperature: positive float that the logarithms of the mean are divided by, so that probabilities mean what they
            say; the order of the classes stays. See ``evaluation.calibration.fit_temperature``.

    Input shape:
        ``(B, M, T, V, C)`` in the units of the recording.

    Output shape:
        ``(B, num_classes)``, probabilities.

    Raises:
        ValueError: naming the setting in which a member differs from the first, or the number that does not fit.

    Reference:
        Shi et al., "Two-Stream Adaptive Graph Convolutional Networks", CVPR 2019, for fusing joints and bones; Guo et
        al., "On Calibration of Modern Neural Networks", ICML 2017, for the temperature.
    """

    presets = {}  # its members are trained ones

    def __init__(self, members, weights=None, mirror=False, one_sided=(), temperature=1.0, name="ensemble", **kwargs):
        configs = [dict(member) if isinstance(member, dict) else member.get_config() for member in members]
        weights = [1.0] * len(configs) if weights is None else [float(weight) for weight in weights]
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature: expected a positive number, found {temperature}")
        if len(configs) < (1 if mirror or temperature != 1 else 2):
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
        placed = {member.preprocessor.normalize for member in copies}
        if mirror and placed != {"clip"}:
            raise ValueError(f"mirror: expected False with normalize = {', '.join(sorted(placed))}, found True")
        one_sided = sorted({int(index) for index in one_sided})
        if one_sided and not (mirror and 0 <= one_sided[0] <= one_sided[-1] < first.num_classes):
            wanted = f"indices of {first.num_classes} classes" if mirror else "none without mirror"
            raise ValueError(f"one_sided: expected {wanted}, found {one_sided}")
        for member, source in zip(copies, members, strict=True):
            if not isinstance(source, dict):
                member.set_weights(source.get_weights())

        # === Functional graph ===
        keypoints = keras.Input(first.input_shape[1:], name="keypoints")
        x, total = keypoints, sum(weights)
        if mirror:
            layout, dims = first.preprocessor.layout, first.preprocessor.num_coordinates
            mirrored = SkeletonMirror(layout.mirror, dims, name="mirror")(keypoints)
            x = ops.concatenate([keypoints, mirrored], axis=0)  # (2B, M, T, V, C)
        outputs = sum(member(x) * (weight / total) for member, weight in zip(copies, weights, strict=True))
        if mirror:
            clip, image = ops.unstack(ops.reshape(outputs, (2, -1, first.num_classes)), 2)  # (B, num_classes) each
            sided = np.isin(np.arange(first.num_classes), one_sided).astype("float32")
            part = (1 - ops.sum(clip * sided, axis=-1, keepdims=True)) / 2 if one_sided else 0.5
            outputs = clip + part * (image - clip)
        if temperature != 1:
            sharp = ops.power(outputs / ops.max(outputs, axis=-1, keepdims=True), 1 / temperature)
            outputs = sharp / ops.sum(sharp, axis=-1, keepdims=True)
        super().__init__(inputs=keypoints, outputs=outputs, name=name, **kwargs)

        # === Config ===
        self.member_weights = weights
        self.mirror, self.one_sided = bool(mirror), one_sided
        self.temperature = float(temperature)
        self.num_members = len(copies)

    @property
    def members(self):
        """The classifiers, in their order."""
        return [self.get_layer(f"member_{index}") for index in range(self.num_members)]

    @property
    def backbone(self):
        """The backbone of the only member.

        Raises:
            ValueError: several members, each of which has features of its own.
        """
        if self.num_members > 1:
            raise ValueError(f"{self.name}: expected a model of its own features, found {self.num_members} members")
        return self.members[0].backbone

    @property
    def preprocessor(self):
        """The first member's SkeletonPreprocessor; the others' take the same clips."""
        return self.members[0].preprocessor

    @property
    def trained_on(self):
        """The first member's: what its training clips were."""
        return self.members[0].trained_on

    @property
    def num_classes(self):
        """The members'."""
        return self.members[0].num_classes

    @property
    def names(self):
        """The classes' names."""
        return self.members[0].names

    def get_config(self):
        return {
            "name": self.name,
            "members": [member.get_config() for member in self.members],
            "weights": self.member_weights,
            "mirror": self.mirror,
            "one_sided": self.one_sided,
            "temperature": self.temperature,
            **self.frozen_config(),
        }
