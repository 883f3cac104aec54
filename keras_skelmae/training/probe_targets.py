"""Training targets from frozen features: what a network has learned without labels, handed on without its weights."""

import numpy as np

from keras_skelmae.training.devices import device_count
from keras_skelmae.training.evaluation import check_store
from keras_skelmae.training.features import embed, linear_probe

FOLDS = 10
MOST = 0.5  # below it the label stays the likeliest class


def check_probe_share(share):
    """ValueError unless this share of the targets can come from a probe here."""
    if not 0 <= share < MOST:
        raise ValueError(f"probe_share: expected a share in 0 <= share < {MOST}, found {share}")
    if share and device_count() > 1:
        raise ValueError(f"probe_share: expected 0 on {device_count()} devices, found {share}")


def probe_targets(features, labels, num_classes, share, seed=0):
    """One-hot labels, mixed with what a linear probe says of each sequence that was fitted without it.

    Where two actions look alike to the features, the target says so. Sequences are told by a probe of the other nine
    tenths; one whose class is not among those keeps its label alone.

    Args:
        features: (N, F), frozen. labels: (N,) int. num_classes: int, K. share: float, of the probe in the targets.
        seed: int.

    Returns:
        (N, K) float32, every row with the sum 1.
    """
    from sklearn.model_selection import KFold

    targets = np.eye(num_classes, dtype=np.float32)[labels]
    folds = min(FOLDS, len(labels))
    if folds < 2:
        return targets
    for rest, held in KFold(folds, shuffle=True, random_state=seed).split(features):
        held = held[np.isin(labels[held], labels[rest])]
        if len(held) and np.ptp(labels[rest]):
            found = linear_probe(features[rest], labels[rest], features[held], seed)
            targets[held] *= 1 - share
            targets[held, :found.shape[1]] += share * found
    return targets


def targets_of(network, store, indices, share, seed=0, path="model"):
    """:func:`probe_targets` of sequences of a store, from the features of any of our models.

    Args:
        network: as for :func:`embed`. store: SkeletonStore. indices: samples of it. path: named where they do not fit.

    Raises:
        DataError: the store does not fit the network.
    """
    check_store(network, store, path)
    return probe_targets(embed(network, store, indices), store.labels[indices], len(store.classes), share, seed)
