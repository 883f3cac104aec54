"""The Skeleton Sequence Learning network: an STRL backbone and a classifier, as a functional model."""

import keras
import numpy as np

from keras_skelmae.layers import PresencePooling
from keras_skelmae.models.preset import Preset, arguments, own_arguments
from keras_skelmae.models.strl_backbone import STRLBackbone
from skelmae_datasets.runs.published import model_card
from skelmae_datasets.runs.saved_model import NoNames
from skelmae_datasets.runs.settings import read_preset


@keras.saving.register_keras_serializable(package="keras_skelmae")
class STRLClassifier(Preset, keras.Model):
    """From raw keypoints to class probabilities: backbone, pooling, an MLP and softmax.

    Args:
        backbone: STRLBackbone, trained in place.
        num_classes: int.
        class_names: list of str kept with the model, or None.
        time_pooling: "mean" or "mean+max", see PresencePooling.
        dropout_rate: float, before the classifier.
        head_units: int, width of the hidden layer of the classifying MLP; 0 for none.
        trained_on: None, or what the clips were that it was trained on, as ``describe_clips`` gives it: from it comes
            the length of the windows that long recordings are cut into.

    Input shape:
        ``(B, M, T, V, C)`` in the units of the recording.

    Output shape:
        ``(B, num_classes)``, probabilities.

    Raises:
        ValueError: another number of class names than classes.

    Reference:
        Yan et al., "SkeletonMAE: Graph-based Masked Autoencoder for Skeleton Sequence Pre-training", ICCV 2023.
    """

    parts = (STRLBackbone,)

    def __init__(
        self,
        backbone,
        num_classes,
        class_names=None,
        time_pooling="mean",
        dropout_rate=0.0,
        head_units=128,
        trained_on=None,
        name="strl_classifier",
        **kwargs,
    ):
        if class_names is not None and len(class_names) != num_classes:
            raise ValueError(f"class_names: expected {num_classes} names, found {len(class_names)}")

        # === Functional graph ===
        keypoints = keras.Input(backbone.input_shape[1:], name="keypoints")
        found = backbone(keypoints)  # (B, M, T', V', D), (B, M, T')
        x = PresencePooling(time_pooling, name="pooling")(found["features"], found["presence"])  # (B, D or 2 * D)
        if dropout_rate:
            # Without a noise_shape Keras would draw from PyTorch's own state there, which no checkpoint holds.
            x = keras.layers.Dropout(dropout_rate, noise_shape=(None, None), name="dropout")(x)
        if head_units:
            x = keras.layers.Dense(head_units, activation="relu", name="head")(x)
        outputs = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name="classifier")(x)
        super().__init__(inputs=keypoints, outputs=outputs, name=name, **kwargs)

        # === Config ===
        self.backbone = backbone
        self.num_classes = num_classes
        self.class_names = None if class_names is None else [str(item) for item in class_names]
        self.time_pooling = time_pooling
        self.dropout_rate = dropout_rate
        self.head_units = head_units
        self.trained_on = trained_on

    @classmethod
    def from_settings(cls, values, data):
        """A classifier with these settings (dict) for a store, whose classes it takes unless they are named."""
        own = arguments(cls, values)
        backbone = own.pop("backbone", None) or STRLBackbone.from_settings(values, data)
        if "num_classes" not in own and not hasattr(data, "classes"):
            raise ValueError(f"num_classes: expected it, or a store as data, found {type(data).__name__} as data")
        if "num_classes" not in own:
            own |= {"num_classes": len(data.classes), "class_names": list(data.classes)}
        return cls(backbone, **own)

    @classmethod
    def from_published(cls, name, data, load_weights=True, **settings):
        """A classifier of a store on a published backbone, with the preset that its card names."""
        for key in sorted(set(settings) - set(own_arguments(cls)) | set(settings) & {"backbone"}):
            raise ValueError(f"{name}: expected settings of the classifier alone, found {key}")
        values = read_preset(model_card(name)["recipe"], settings)
        return cls.from_settings({**values, "backbone": STRLBackbone.from_published(name, data, load_weights)}, data)

    @property
    def preprocessor(self):
        """The backbone's SkeletonPreprocessor."""
        return self.backbone.preprocessor

    @property
    def names(self):
        """The classes' names; NoNames where it has none."""
        return self.class_names or NoNames(self.num_classes)


def describe_clips(store, indices):
    """What samples of a store are as clips: frames [shortest, median, longest], fps or None, people, their median."""
    frames = store.frames[indices]
    lengths = [float(value) for value in (np.min(frames), np.median(frames), np.max(frames))]
    return {"frames": lengths, "fps": store.fps, "people": float(np.median(store.people[indices]))}
