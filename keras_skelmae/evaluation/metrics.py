"""Accuracies, and what is measured on frozen features without training a network."""

import numpy as np


def scores(probabilities, labels, names):
    """Top-1, top-5, mean-class accuracy and confusion matrix.

    Args:
        probabilities: (N, K) float.
        labels: (N,) int.
        names: K class names.

    Returns:
        dict; accuracies in 0..1. ``per_class`` and ``mean_class`` know only the classes that occur.
    """
    num_classes = probabilities.shape[1]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    count = confusion.sum(axis=1)
    per_class = {str(names[k]): float(confusion[k, k] / count[k]) for k in range(num_classes) if count[k]}
    return {
        "top1": float((order[:, 0] == labels).mean()),
        "top5": float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_class": float(np.mean(list(per_class.values()))),
        "per_class": per_class,
        "confusion": confusion.tolist(),
        "num_samples": int(len(labels)),
    }


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
    (unit,) = _unit_vectors(features, features)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
    hit = labels[order] == labels[:, None]  # (N, N - 1)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    relevant = hit.sum(axis=1)
    average = (precision * hit).sum(axis=1)[relevant > 0] / relevant[relevant > 0]
    return float(average.mean()) if len(average) else float("nan")
