"""Feature vectors of sequences, from any of our models, and what can be measured on them without training a network."""

import numpy as np

from keras_skelmae.models import feature_model
from keras_skelmae.training.feeding import SequenceSource, SkeletonBatches


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
    """Features of sequences, one row each: :func:`pool_features` of the model's joint features.

    Args:
        model: SkeletonMAE, SkeletonEncoder, STRLAutoencoder or STRLClassifier.
        store: SkeletonStore; indices: samples of it.
        progress: called with (done, total) batches.

    Returns:
        (N, F) float32.
    """
    network = feature_model(model)
    data = SkeletonBatches(SequenceSource(store, 0), indices, batch_size=batch_size, num_frames=model.num_frames,
                           num_people=model.num_people, use_score=model.use_score, training=False,
                           each_person=False)
    if model.num_people == 1 and store.people[indices].max() > 1:
        return _embed_people(model, network, store, indices, batch_size, progress)
    parts, rows = list(store.layout.parts.values()), []
    for number in range(len(data)):
        x = data[number][0]
        rows.append(_pooled(network, x, parts, model.num_coordinates))
        if progress:
            progress(number + 1, len(data))
    return np.concatenate(rows)


def _pooled(network, x, parts, dims):
    features = np.asarray(network.predict_on_batch(x), np.float32)
    if features.shape[3] == 1:  # one vector for the whole body
        parts = [[0]]
    presence = x[..., :dims].any(axis=(3, 4))  # (B, M, T)
    stride = presence.shape[2] // features.shape[2]
    length = features.shape[2] * stride
    presence = presence[:, :, :length].reshape(*presence.shape[:2], -1, stride).any(axis=3)
    return pool_features(features, presence, parts)


def _embed_people(model, network, store, indices, batch_size, progress):
    """Each person by itself, then the mean: an encoder made for one person, sequences of several."""
    data = SkeletonBatches(SequenceSource(store, 0), indices, batch_size=batch_size, num_frames=model.num_frames,
                           num_people=2, use_score=model.use_score, training=False)
    parts, rows = list(store.layout.parts.values()), []
    for number in range(len(data)):
        x = data[number][0]
        there = x[..., :model.num_coordinates].any(axis=(2, 3, 4)).astype(np.float32)  # (B, 2)
        each = [_pooled(network, x[:, person:person + 1], parts, model.num_coordinates) for person in range(2)]
        total = sum(row * there[:, person:person + 1] for person, row in enumerate(each))
        rows.append(total / np.maximum(there.sum(axis=1, keepdims=True), 1))
        if progress:
            progress(number + 1, len(data))
    return np.concatenate(rows)


def _unit_vectors(reference, *arrays):
    """The arrays, standardised as ``reference`` asks, every row of length 1 (or 0)."""
    mean, spread = reference.mean(axis=0), np.maximum(reference.std(axis=0), 1e-6)
    scaled = [(array - mean) / spread for array in arrays]
    return [array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12) for array in scaled]


def linear_probe(train, train_labels, test, seed=0):
    """(N, K) probabilities of a logistic regression on standardised, frozen features; K = 1 + the largest label."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000, random_state=seed))
    probe.fit(train, train_labels)
    probabilities = np.zeros((len(test), int(train_labels.max()) + 1), np.float32)
    probabilities[:, probe.classes_] = probe.predict_proba(test)
    return probabilities


def nearest_neighbours(train, train_labels, test, k=1):
    """(N, K) votes of the k nearest training sequences by cosine, after standardisation."""
    train, test = _unit_vectors(train, train, test)
    similarity = test @ train.T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    votes = np.zeros((len(test), int(train_labels.max()) + 1), np.float32)
    for rank in range(k):  # an earlier neighbour weighs a little more, which breaks ties
        np.add.at(votes, (np.arange(len(test)), train_labels[nearest[:, rank]]), 1 - rank / (2 * k))
    return votes / votes.sum(axis=1, keepdims=True)


def retrieval_precision(features, labels):
    """Mean average precision of retrieving the sequences of the same class from the others, by cosine."""
    unit, = _unit_vectors(features, features)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
    hit = labels[order] == labels[:, None]  # (N, N - 1)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    relevant = hit.sum(axis=1)
    average = (precision * hit).sum(axis=1)[relevant > 0] / relevant[relevant > 0]
    return float(average.mean()) if len(average) else float("nan")
