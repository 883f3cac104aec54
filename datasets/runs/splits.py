"""Which sequences a training and a measurement take, and whether they may: checked before Keras is imported."""

import numpy as np

from ..errors import DataError
from .run_folder import trained_ids

SHOWN_SEEN = 3


def hold_out(store, indices, fraction, seed):
    """Split indices into (training, validation): whole subjects where at least four are known, else by class.

    Args:
        store: SkeletonStore.
        indices: int array.
        fraction: float, share to set aside, at least one sequence.
        seed: int.
    """
    rng = np.random.default_rng(seed)
    indices = np.asarray(indices)
    subjects = np.unique(store.subject[indices])
    chosen = np.zeros(len(indices), bool)
    if len(subjects) >= 4 and subjects[0] >= 0:
        for subject in rng.permutation(subjects)[:-1]:
            if chosen.any() and chosen.mean() >= fraction:
                break
            chosen |= store.subject[indices] == subject
    else:
        labels = store.labels[indices]
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            if len(rows) > 1:
                chosen[rows[: max(1, round(fraction * len(rows)))]] = True
    if chosen.all() or not chosen.any():
        raise ValueError(f"{store.path}: expected enough sequences to set {fraction:.0%} aside, found {len(indices)}")
    return indices[~chosen], indices[chosen]


def training_splits(store, train_split, val_split, settings, allow_overlap=False):
    """Indices to train and to validate on; without a validation split a part of the training split is set aside.

    With ``validation_fraction = 0`` nothing is: the second is empty then.

    Raises:
        DataError: a sequence without a label, a single class, a sequence in both unless ``allow_overlap``.
    """
    train = store.select(train_split)
    if val_split is None and not settings.finetune.validation_fraction:
        validation = train[:0]
    elif val_split is None:
        train, validation = hold_out(store, train, settings.finetune.validation_fraction, settings.data.seed)
    else:
        validation = store.select(val_split)
        if not allow_overlap:
            check_apart(store, train_split, train, val_split, validation)
    for split, indices in ((train_split, train), (val_split or train_split, validation)):
        check_labelled(store, f"split {split}", indices)
    classes = np.unique(store.labels[train])
    if len(classes) < 2:
        found = f"{store.classes[classes[0]]!r} alone"
        raise DataError(store.path, f"split {train_split}", "sequences of two classes or more", found)
    return train, validation


def check_unseen(model_path, store, split, indices):
    """DataError where a model was trained on one of these samples, going by the train_ids.txt beside it."""
    _refuse_overlap(store, split, indices, set(trained_ids(model_path)), "the model was not trained on", "it was")


def check_apart(store, train_split, train, split, indices):
    """DataError where some sequences of a split are in the one that is trained on too."""
    found = {store.ids[index] for index in train}
    _refuse_overlap(store, split, indices, found, f"are not in the training split {train_split}", "are")


def check_labelled(store, split, indices):
    """DataError where some sequences of a split have no label."""
    without = int((store.labels[indices] < 0).sum())
    if without:
        raise DataError(store.path, split, "a label on every sequence", f"{without} without")


def _refuse_overlap(store, split, indices, trained, expected, contrary):
    seen = [store.ids[index] for index in indices if store.ids[index] in trained]
    if seen:
        more = ", ..." if len(seen) > SHOWN_SEEN else ""
        found = f"{len(seen)} of {len(indices)} that {contrary} ({', '.join(seen[:SHOWN_SEEN])}{more})"
        told = f"{found}; --allow-overlap goes on all the same, and the accuracy flatters"
        raise DataError(store.path, f"split {split}", f"sequences that {expected}", told)
