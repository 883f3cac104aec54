"""Feature vectors of sequences, from any of our models."""

import numpy as np

from keras_skelmae.data import LabelledBatches, SequenceSource
from keras_skelmae.evaluation.predict import predict_batches
from keras_skelmae.models import SkeletonEncoder, SkeletonPreprocessor, STRLBackbone
from keras_skelmae.models.preset import find_part


def pool_features(features, presence, parts):
    """Mean and standard deviation over present frames of each body part, mean over present people.

    Args:
        features: (B, M, T, V, D); presence: (B, M, T) bool; parts: lists of joint indices.

    Returns:
        (B, 2 * P * D) float32; zeros for a clip without anybody.
    """
    x = np.stack([features[:, :, :, list(part)].mean(axis=3) for part in parts], axis=3)  # (B, M, T, P, D)
    weight = presence[..., None, None].astype(np.float32)
    count = np.maximum(weight.sum(axis=2), 1)  # (B, M, 1, 1)
    mean = (x * weight).sum(axis=2) / count  # (B, M, P, D)
    spread = np.sqrt((np.square(x - mean[:, :, None]) * weight).sum(axis=2) / count)
    people = presence.any(axis=2).astype(np.float32)  # (B, M)
    both = np.concatenate([mean, spread], axis=-1).reshape(*people.shape, -1) * people[..., None]
    return (both.sum(axis=1) / np.maximum(people.sum(axis=1), 1)[:, None]).astype(np.float32)


def embed(model, store, indices, batch_size=64, progress=None):
    """Features of sequences, one row each: :func:`pool_features` of what the model's backbone gives.

    Args:
        model: any of ours; its STRLBackbone where it has one, else its SkeletonEncoder.
        store: SkeletonStore; indices: samples of it.
        progress: called with (done, total) batches.

    Returns:
        (N, F) float32.

    Raises:
        ValueError: an Ensemble of several members, each of which has features of its own.
    """
    network = find_part(model, STRLBackbone | SkeletonEncoder)
    preprocessor = network.preprocessor
    if isinstance(network, SkeletonEncoder):  # it takes any number of people
        people = int(np.clip(store.people[indices].max(), 1, 2))
        preprocessor = SkeletonPreprocessor(**{**preprocessor.get_config(), "num_people": people})
    source = SequenceSource(store, 0)
    data = LabelledBatches(source, indices, preprocessor, batch_size=batch_size, training=False)
    return np.concatenate(predict_batches(data, window_features(network, store.layout), progress))


def window_features(model, layout):
    """The function of clips (B, M, T, V, C) that gives their features (B, F), :func:`pool_features` of the backbone's.

    Raises:
        ValueError: an Ensemble of several members, each of which has features of its own.
    """
    network = find_part(model, STRLBackbone | SkeletonEncoder)
    parts = list(layout.parts.values())

    def pooled(x):
        found = network.predict_on_batch(x)
        features = np.asarray(found["features"], np.float32)
        whole_body = features.shape[3] == 1  # one vector for all joints
        return pool_features(features, np.asarray(found["presence"]), [[0]] if whole_body else parts)

    return pooled
