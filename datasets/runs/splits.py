"""Which sequences a training and a measurement take, and whether they may: checked before Keras is imported."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import read_json
from ..transforms.masking import part_mask
from .run_folder import METRICS, trained_ids
from .saved_model import NoNames, check_completed, check_score, check_start, read_classifier

SHOWN_SEEN = 3
FEW = 5  # sequences, of fewer of which a class is hardly learnt: it is told


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
    _check_classes(store, train_split, train)
    return train, validation


def pretraining_split(store, split, settings):
    """Indices to pre-train on.

    Raises:
        DataError: a single sequence, where sequences are told from each other.
    """
    indices = store.select(split)
    if settings.pretrain.objective != "masked" and len(indices) < 2:
        wanted = "two sequences or more, which are told apart; --set objective=masked takes one"
        raise DataError(store.path, f"split {split}", wanted, len(indices))
    return indices


def check_training(stage, store, splits, settings, pretrained=None, allow_overlap=False):
    """Refuse what a training of these splits, settings and start would refuse.

    Args:
        stage: "pretrain" or "finetune". splits: (train,) or (train, validation) as of :func:`training_splits`.
        settings: Settings. pretrained: None, or as :func:`check_start`.
    """
    if settings.data.use_score:
        check_score(store)
    if stage == "pretrain":
        if settings.pretrain.mask_parts:
            part_mask(store.layout, settings.pretrain.mask_parts)
        pretraining_split(store, *splits, settings)
        if settings.pretrain.objective == "complete":
            check_completed(settings.pretrain.camera, store, pretrained)
            return
    else:
        training_splits(store, *splits, settings, allow_overlap)
    if pretrained is not None:
        check_start(pretrained, store)


def measured_split(model_path, store, split, allow_overlap=False):
    """Indices of a split that a classifier is to be measured on.

    Raises:
        DataError: no classifier, a store or classes that do not fit it, a sequence without a label, one that the model
            was trained on unless ``allow_overlap``.
    """
    saved = read_classifier(model_path)
    saved.preprocessor.check(store, model_path)
    indices = store.select(split)
    if not allow_overlap:
        check_unseen(model_path, store, split, indices)
    class_labels(store, saved.names, indices)
    check_labelled(store, f"split {split}", indices)
    return indices


def protocol_splits(store, train_split, test_split, allow_overlap=False, retrieval=False):
    """Indices of the splits that a protocol learns from and measures on.

    Args:
        allow_overlap: whether the splits may share sequences; None where nobody can ask for it.
        retrieval: sequences of the test split are looked for among each other, and no class is learned: the splits may
            share some.

    Raises:
        DataError: a sequence without a label, or in both splits unless ``allow_overlap``; classes too few to learn
            from, or to find.
    """
    train, test = store.select(train_split), store.select(test_split)
    for split, indices in ((train_split, train), (test_split, test)):
        check_labelled(store, f"split {split}", indices)
    if retrieval:
        if np.bincount(store.labels[test]).max() < 2:
            raise DataError(store.path, f"split {test_split}", "a class with two sequences to find", "one of each")
        return train, test
    if not allow_overlap:
        check_apart(store, train_split, train, test_split, test, told=allow_overlap is not None)
    _check_classes(store, train_split, train)
    return train, test


def untrained_classes(store, train, test):
    """dict of the classes of ``test`` without a sequence in ``train``, which no answer can be, to how many it has."""
    count = np.bincount(store.labels[test], minlength=len(store.classes))
    count[store.labels[train]] = 0
    return {store.classes[label]: int(count[label]) for label in np.flatnonzero(count)}


def stratified_fraction(labels, fraction, seed):
    """Positions of a random ``fraction`` of each class, at least one of each, in rising order.

    Args:
        labels: (N,) int; fraction: in (0, 1]; seed: int.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: expected 0 < fraction <= 1, found {fraction}")
    rng = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        chosen.append(rows[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(chosen))


def few_shots(labels, shots, seed):
    """Positions of ``shots`` random sequences of each class, of all that a smaller class has, in rising order.

    Args:
        labels: (N,) int; shots: int, at least 1; seed: int.
    """
    if shots < 1:
        raise ValueError(f"shots: expected at least 1, found {shots}")
    rng = np.random.default_rng(seed)
    return np.sort(
        np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:shots] for label in np.unique(labels)])
    )


def training_split(run, store):
    """The split that a pre-training run learned from.

    Raises:
        DataError: the run does not say, or was trained on another store.
    """
    metrics = read_json(Path(run) / METRICS, missing_ok=True) if Path(run).is_dir() else None
    if not metrics or "train_split" not in metrics:
        raise DataError(run, METRICS, "a pre-training run folder, or --fit-split NAME", "no training split")
    if metrics.get("fingerprint") != store.fingerprint:
        found = f"another ({str(metrics.get('fingerprint'))[:16]})"
        raise DataError(store.path, "fingerprint", f"the data {run} was trained on, or --fit-split NAME", found)
    return metrics["train_split"]


def sample_index(store, sample):
    """The index of a sample by its id, else DataError."""
    if sample not in store.ids:
        raise DataError(store.path, "sample", f"an id such as {', '.join(store.ids[:3])}", repr(sample))
    return store.ids.index(sample)


def class_labels(store, names, indices):
    """For every sequence of a store the number of its class among ``names``; -1 without a label.

    A class is the one of exactly its name. Capitals and spaces around a name are passed over only where that leaves one
    class of the store and one of the model. A model without names of its own takes those of a store, where these are
    words and as many, as they come; one whose classes are called by numbers does not.

    Args:
        store: SkeletonStore. names: of the classes of a model, NoNames of one without. indices: the samples that are
            asked about.

    Returns:
        (N,) int64.

    Raises:
        DataError: one of ``indices`` is of a class whose name is not there, or may be of several; others are -1 then.
    """
    numbers = _matched(names, store.classes)
    if isinstance(names, NoNames) and len(names) == len(store.classes) and all(map(_is_word, store.classes)):
        numbers = range(len(names))
    labels = np.array([*numbers, -1], np.int64)[store.labels]
    missing = next((index for index in indices if labels[index] < 0 <= store.labels[index]), None)
    if missing is not None:
        found = _told_class(store.classes[store.labels[missing]], [*names, *store.classes])
        raise DataError(store.path, "classes", f"those of the model: {_some(names)}", found)
    return labels


def _matched(names, classes):
    """For each of ``classes`` the only place that its name has among ``names``; -1 for none, or for several."""
    exact, alike, own = defaultdict(list), defaultdict(list), Counter(map(_plain, classes))
    for place, name in enumerate(names):
        exact[name].append(place)
        alike[_plain(name)].append(place)
    found = (exact.get(name) or (alike[_plain(name)] if own[_plain(name)] == 1 else ()) for name in classes)
    return [places[0] if len(places) == 1 else -1 for places in found]


def _plain(name):
    return name.strip().casefold()


def _is_word(name):
    return any(map(str.isalpha, name))


def _told_class(name, others):
    """The name of a class that is none of a model's, and the first that it may have been meant for."""
    alike = next((other for other in others if other != name and _plain(other) == _plain(name)), None)
    told = f", told from {alike!r} by capitals or spaces alone: call it exactly as the model does"
    return repr(name) + (told if alike is not None else "")


def _some(names, most=8):
    return ", ".join([*names[:most], *["..."] * (len(names) > most)])


def check_unseen(model_path, store, split, indices):
    """DataError where a model was trained on one of these samples, going by the train_ids.txt beside it."""
    _refuse_overlap(store, split, indices, set(trained_ids(model_path)), "the model was not trained on", "it was")


def check_apart(store, train_split, train, split, indices, told=True):
    """DataError where some sequences of a split are in the one that is trained on too.

    Args:
        told: whether the command has --allow-overlap, which the error then names.
    """
    found = {store.ids[index] for index in train}
    _refuse_overlap(store, split, indices, found, f"are not in the training split {train_split}", "are", told)


def _check_classes(store, split, indices):
    """DataError where the sequences of a split that is learned from are all of one class."""
    classes = np.unique(store.labels[indices])
    if len(classes) < 2:
        found = f"{store.classes[classes[0]]!r} alone"
        raise DataError(store.path, f"split {split}", "sequences of two classes or more", found)


def check_labelled(store, split, indices):
    """DataError where some sequences of a split have no label."""
    without = int((store.labels[indices] < 0).sum())
    if without:
        raise DataError(store.path, split, "a label on every sequence", f"{without} without")


def _refuse_overlap(store, split, indices, trained, expected, contrary, told=True):
    seen = [store.ids[index] for index in indices if store.ids[index] in trained]
    if seen:
        more = ", ..." if len(seen) > SHOWN_SEEN else ""
        found = f"{len(seen)} of {len(indices)} that {contrary} ({', '.join(seen[:SHOWN_SEEN])}{more})"
        found += "; --allow-overlap goes on all the same, and the accuracy flatters" * told
        raise DataError(store.path, f"split {split}", f"sequences that {expected}", found)
