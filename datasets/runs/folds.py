"""What a cross-validation is made of: clips that must not be apart, and how many folds there can be."""

import numpy as np

from ..errors import DataError
from .splits import FEW

FOLDS = 5  # where no number is asked for


def clip_groups(store, indices):
    """What must not be in two folds at once, and what it is called.

    Args:
        store: SkeletonStore. indices: samples of it.

    Returns:
        ((N,) int, "subject" where that is known of all and there are two or more, else "file": the clips that were cut
        from one recording are called ``recording@start-end``).
    """
    subjects = store.subject[indices]
    if subjects.min() >= 0 and len(np.unique(subjects)) > 1:
        return subjects, "subject"
    names = [store.ids[index].partition("@")[0] for index in indices]
    return np.unique(names, return_inverse=True)[1], "file"


def fold_groups(store, folds=None, leave_one_out=False):
    """What a cross-validation of a store's labelled clips is made of.

    Returns:
        (indices, their groups and what these are as of :func:`clip_groups`, the number of folds: FOLDS, or as many as
        there are groups, where none is asked for).

    Raises:
        DataError: fewer than two classes, no subjects to leave out. ValueError: the number of folds.
    """
    indices = np.flatnonzero(store.labels >= 0)
    if len(np.unique(store.labels[indices])) < 2:
        raise DataError(store.path, "labels", "clips of two classes or more", "fewer")
    groups, kind = clip_groups(store, indices)
    if leave_one_out and kind != "subject":
        raise DataError(store.path, "subject", "a subject for every clip, two or more", "none; use folds, by file")
    folds = min(FOLDS, len(np.unique(groups))) if folds is None else folds
    check_folds(store.labels[indices], groups, folds, leave_one_out)
    return indices, groups, kind, folds


def thin_classes(store, indices, groups):
    """Classes of which a cross-validation tells little, by name.

    Args:
        store: SkeletonStore. indices, groups: as of :func:`fold_groups`.

    Returns:
        (list of those whose clips are all of one group: what tests them was never trained on them; dict of those with
        fewer than FEW clips to how many they have).
    """
    labels = store.labels[indices]
    apart = {label: groups[labels == label] for label in np.unique(labels)}
    alone = [store.classes[label] for label, own in apart.items() if len(np.unique(own)) == 1]
    return alone, {store.classes[label]: len(own) for label, own in apart.items() if len(own) < FEW}


def check_folds(labels, groups, folds, leave_one_out=False):
    """ValueError unless clips of these labels and groups, (N,) int, can be tested in so many folds."""
    count = len(np.unique(groups))
    if leave_one_out and count < 2:
        raise ValueError(f"leave_one_out: expected two groups or more, found {count}")
    if not leave_one_out and not 2 <= folds <= count:
        raise ValueError(f"folds: expected 2 to {count}, the groups of clips there are, found {folds}")
    if not leave_one_out and folds > np.bincount(labels).max():
        raise ValueError(f"folds: expected at most {np.bincount(labels).max()}, a class's clips, found {folds}")
