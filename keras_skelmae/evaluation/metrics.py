"""Accuracies, and what is measured on frozen features without training a network."""

import warnings

import numpy as np

INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # the C of a linear probe


def scores(probabilities, labels, names):
    """Top-1, top-5, mean-class accuracy and confusion matrix.

    Args:
        probabilities: (N, K) float; a row that is not finite is no answer, and wrong.
        labels: (N,) int.
        names: K class names.

    Returns:
        dict; accuracies in 0..1. ``per_class`` and ``mean_class`` know only the classes that occur; ``num_per_class``
        are all clips of each class, the confusion matrix has those with an answer.
    """
    num_classes = probabilities.shape[1]
    answered = np.isfinite(probabilities).all(axis=1)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    order[~answered] = -1
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (labels[answered], order[answered, 0]), 1)
    count = np.bincount(labels, minlength=num_classes)
    per_class = {str(names[k]): float(confusion[k, k] / count[k]) for k in range(num_classes) if count[k]}
    return {
        "top1": float((order[:, 0] == labels).mean()),
        "top5": float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_class": float(np.mean(list(per_class.values()))),
        "per_class": per_class,
        "confusion": confusion.tolist(),
        "num_per_class": count.tolist(),
        "num_samples": int(len(labels)),
    }


def _unit_vectors(reference, *arrays):
    """The arrays, standardised as ``reference`` asks, every row of length 1 (or 0)."""
    mean, spread = reference.mean(axis=0), np.maximum(reference.std(axis=0), 1e-6)
    scaled = [(array - mean) / spread for array in arrays]
    return [array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12) for array in scaled]


def linear_probe(train, train_labels, test, seed=0):
    """A logistic regression on standardised, frozen features.

    Its C is the one of INVERSE_PENALTIES with the best accuracy over five folds of the training sequences, or as many
    as the largest class has members; the middle one where no two classes have two.

    Returns:
        ((N, K) probabilities, K = 1 + the largest label; the C that was chosen).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed))
    key, counts = "logisticregression__C", np.sort(np.bincount(train_labels, minlength=2))
    folds = min(5, int(counts[-1])) if counts[-2] > 1 else 1  # else one class would be all that some folds leave
    chosen = INVERSE_PENALTIES[len(INVERSE_PENALTIES) // 2]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # has fewer members than there are folds
        warnings.filterwarnings("ignore", "The number of unique classes")  # of a clip or two each they are many
        if folds > 1:
            cut = StratifiedKFold(folds, shuffle=True, random_state=seed)
            search = GridSearchCV(probe, {key: INVERSE_PENALTIES}, cv=cut, refit=False)
            chosen = search.fit(train, train_labels).best_params_[key]
        probe.set_params(**{key: chosen}).fit(train, train_labels)
    probabilities = np.zeros((len(test), int(train_labels.max()) + 1), np.float32)
    probabilities[:, probe.classes_] = probe.predict_proba(test)
    return probabilities, chosen


def nearest_neighbours(train, train_labels, test, k=1):
    """(N, K) shares of the votes of the k nearest training sequences by cosine, after standardisation.

    Of classes with equally many votes that of the nearest neighbour comes first.

    Raises:
        ValueError: more neighbours than training sequences.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f"neighbours: expected 1 to {len(train)}, the training sequences, found {k}")
    train, test = _unit_vectors(train, train, test)
    similarity = test @ train.T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    votes = np.zeros((len(test), int(train_labels.max()) + 1), np.float32)
    rows = np.arange(len(test))
    for rank in range(k):
        np.add.at(votes, (rows, train_labels[nearest[:, rank]]), 1)
    for rank in reversed(range(k)):  # less than half a vote in all, which breaks ties alone
        votes[rows, train_labels[nearest[:, rank]]] += 0.25 / 2 ** min(rank, 20)
    return votes / votes.sum(axis=1, keepdims=True)


def average_precisions(features, labels):
    """(N,) of each sequence the average precision of finding those of its class among the others, by cosine.

    NaN where there is none of its class. Features are standardised by themselves.
    """
    (unit,) = _unit_vectors(features, features)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
    hit = labels[order] == labels[:, None]  # (N, N - 1)
    precision = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    relevant = hit.sum(axis=1)
    return np.where(relevant > 0, (precision * hit).sum(axis=1) / np.maximum(relevant, 1), np.nan)
