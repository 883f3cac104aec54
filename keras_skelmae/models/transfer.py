"""Weights of a pre-trained model into a classifier, by layer name."""

import keras
import numpy as np

from keras_skelmae.models.strl_autoencoder import TRUNK_KEYS, STRLAutoencoder
from keras_skelmae.models.strl_siamese import STRLSiamese

ENCODER_AGREES = ("num_coordinates", "use_score", "units", "encoder_layers", "streams", "normalization", "backbone",
                  "joint_positions")
EMBEDDING_LAYERS = ("stream_normalization", "joint_embedding", "joint_positions")
WHOLE = (STRLAutoencoder, STRLSiamese)  # models that hold all of the STRL layers
TRANSFERS = ("all", "kernels")
ANY = ("normalize", "image_size")  # change the input, not the weights


def transfer_weights(source, classifier, weights="all"):
    """Copy what ``source`` has learned into ``classifier``, in place.

    From a SkeletonMAE or SkeletonEncoder: the joint embedding, and the graph encoder into every STRL layer and
    person. From an STRLAutoencoder or STRLSiamese: the whole network below the pooling.

    Args:
        weights: "all", or "kernels": only what a network begins with at random (kernels, position embeddings), each
            array scaled to the norm that it begins with; biases, slopes and normalisation begin anew. Learned biases
            draw a layer's channels together (fewer directions vary), and training does not spread them again; where
            labels are many that costs accuracy (docs/results.md).

    Returns:
        list of the layers that have learned weights now.

    Raises:
        ValueError: naming the setting in which the two differ.
    """
    if weights not in TRANSFERS:
        raise ValueError(f"weights: expected one of {TRANSFERS}, found {weights!r}")
    trunk = isinstance(source, WHOLE)
    if source.layout.edges != classifier.layout.edges or source.layout.num_joints != classifier.layout.num_joints:
        raise ValueError(f"pre-trained encoder: expected layout {classifier.layout.name!r}, "
                         f"found {source.layout.name!r}")
    for key in [key for key in TRUNK_KEYS if key not in ANY] if trunk else ENCODER_AGREES:
        if getattr(source, key) != getattr(classifier, key):
            raise ValueError(f"pre-trained encoder: expected {key} = {getattr(classifier, key)!r}, "
                             f"found {getattr(source, key)!r}")
    names = {layer.name for layer in source.layers if layer.weights}
    if trunk:
        learned = [layer for layer in classifier.layers if layer.name in names]
    else:
        learned = [classifier.get_layer(name) for name in EMBEDDING_LAYERS if name in names]
    sources = [source.get_layer(layer.name) for layer in learned]
    if not trunk:
        for index in range(classifier.num_layers):
            encoders = classifier.get_layer(f"spatial_{index}").encoders
            learned += encoders
            sources += [source.get_layer("encoder")] * len(encoders)
    for layer, origin in zip(learned, sources, strict=True):
        arrays = origin.get_weights()
        layer.set_weights(arrays if weights == "all" else
                          [_scaled_like(*pair) for pair in zip(arrays, layer.get_weights(), strict=True)])
    return learned


def _scaled_like(array, initial):
    """``array`` with the norm of ``initial``; ``initial`` where that is no random numbers."""
    if np.ptp(initial) == 0:
        return initial
    return array * (np.linalg.norm(initial) / max(np.linalg.norm(array), 1e-12))


def feature_model(model):
    """Functional model: raw keypoints (B, M, T, V, C) -> joint features (B, M, T', V, D) of any of our models."""
    from keras_skelmae.models.fused_classifier import FusedClassifier
    from keras_skelmae.models.strl import STRLClassifier

    if isinstance(model, FusedClassifier):
        raise ValueError(f"{model.name}: expected a model of its own features, found {len(model.members)} fused ones; "
                         "take one of them")
    if isinstance(model, WHOLE):
        config = {key: getattr(model, key) for key in TRUNK_KEYS}
        model = STRLClassifier(model.layout, num_classes=2, encoder=model, **config)
    if isinstance(model, STRLClassifier):
        return keras.Model(model.input, model.get_layer("pooling").input[0], name="features")
    return getattr(model, "encoder", model)
