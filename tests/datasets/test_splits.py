"""Which samples a training takes, and which class of a model each sample of a store is of."""

import numpy as np
import pytest

from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.runs.run_folder import trained_ids
from skelmae_datasets.runs.saved_model import NoNames
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.runs.splits import (
    check_training,
    class_labels,
    pretraining_split,
    protocol_splits,
    training_splits,
    untrained_classes,
)

NUMBERS = ["0", "1", "2"]


@pytest.fixture
def make(tmp_path):
    """A store with two samples of each class; splits train, val and none, which is empty."""

    def made(classes=("wave", "squat", "kick")):
        path = tmp_path / "s.h5"
        with StoreWriter(path, layout="coco17", classes=classes, channels=("x", "y")) as writer:
            for number in range(2 * len(writer.classes)):
                writer.append(Sample(f"s{number}", np.ones((1, 4, 17, 2), "float32"), number % len(writer.classes)))
            ids = list(writer.ids)
            writer.set_splits({"train": ids[: len(ids) // 2], "val": ids[len(ids) // 2 :], "none": []})
        return SkeletonStore(path)

    return made


# === Classes ===


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        (["wave", "squat"], ["squat", "wave"], [1, 0]),
        (["wave", "squat"], [" SQUAT", "Wave"], [1, 0]),  # capitals and spaces, where nothing else is called so
        (["Wave", "wave"], ["wave", "Wave"], [1, 0]),  # two classes stay two
        (["Wave", "wave", "wave "], ["wave ", "Wave", "wave"], [2, 0, 1]),
        (NUMBERS, ["2", "1", "0"], [2, 1, 0]),  # names, though they are numbers
        (NUMBERS, ["1", "0"], [1, 0]),
        (["2", "1", "0"], NUMBERS, [2, 1, 0]),
        (NUMBERS, NUMBERS, [0, 1, 2]),
        (NoNames(3), ["wave", "squat", "kick"], [0, 1, 2]),  # a model without names takes as many words as they come
    ],
)
def test_each_class_is_the_one_of_its_name(make, names, classes, expected):
    with make(classes) as store:
        labels = class_labels(store, names, range(len(store)))
        assert labels.tolist() == 2 * expected and labels.dtype == np.int64


@pytest.mark.parametrize(
    ("names", "classes", "found"),
    [
        (["Wave", "squat"], ["Wave", "wave"], "'wave', told from 'Wave' by capitals or spaces alone"),
        (["Wave", "wave"], ["WAVE", "squat"], "'WAVE', told from 'Wave' by capitals or spaces alone"),
        (["Wave", "squat"], ["wave", "WAVE"], "'wave', told from 'Wave' by"),
        (["wave", "wave"], ["wave"], "'wave'"),  # two of one name
        (NoNames(3), ["1", "2", "3"], "'3'"),  # as many, and other numbers
        (NoNames(3), ["7", "8", "9"], "'7'"),
        (NoNames(3), ["wave", "squat", "2"], "'wave'"),
        (NoNames(3), ["wave", "squat"], "'wave'"),  # fewer
        (NUMBERS, ["wave", "squat", "kick"], "'wave'"),  # called by numbers
        (["wave", "squat", "kick"], NUMBERS, "'0'"),
        (["1", "2", "3"], ["wave", "squat", "kick"], "'wave'"),  # names of its own
    ],
)
def test_what_may_be_another_class_is_refused(make, names, classes, found):
    with make(classes) as store:
        with pytest.raises(DataError) as error:
            class_labels(store, names, range(len(store)))
        told = str(error.value)
        assert f"s.h5: classes: expected those of the model: {', '.join(names)}, found {found}" in told
        assert "\n" not in told


def test_a_class_that_is_not_asked_about_is_not_missed(make):
    with make(["Wave", "wave", "kick"]) as store:
        assert class_labels(store, ["Wave", "kick"], [0, 2, 3]).tolist() == 2 * [0, -1, 1]


# === Splits ===


def test_a_split_without_a_sequence_is_refused(make):
    told = "s.h5: split none: expected a sequence or more, as in train, val, all, found none"
    settings = resolve_settings("finetune")
    with make() as store:
        for splits in (("none", "val"), ("none", None), ("train", "none")):
            with pytest.raises(DataError, match=told):
                training_splits(store, *splits, settings)
            with pytest.raises(DataError, match=told):
                check_training("finetune", store, splits, settings)
        with pytest.raises(DataError, match=told):
            pretraining_split(store, "none", resolve_settings("pretrain"))
        for splits in (("none", "val"), ("train", "none")):
            with pytest.raises(DataError, match=told):
                protocol_splits(store, *splits)


def test_ids_that_are_repeated_count_once(make, tmp_path):
    """Else one clip is on both sides of the part that is set aside."""
    file = tmp_path / "ids.txt"
    with make() as store:
        file.write_text("".join(f"{name}\n" for name in store.ids * 3))
        train, validation = training_splits(store, f"ids={file}", None, resolve_settings("finetune"))
        assert sorted([*train, *validation]) == list(range(len(store))) and len(validation)
        assert not set(train) & set(validation)


def test_a_protocol_needs_classes_to_tell_apart(make):
    with make() as store:
        store.splits |= {"one": np.array([0, 3]), "rest": np.array([1, 4, 5]), "each": np.array([0, 1, 2])}
        for option in ({}, {"allow_overlap": True}):
            with pytest.raises(DataError, match="split one: expected sequences of two classes or more, found 'wave'"):
                protocol_splits(store, "one", "rest", **option)
        assert [part.tolist() for part in protocol_splits(store, "one", "one", retrieval=True)] == [[0, 3], [0, 3]]
        with pytest.raises(
            DataError, match="split each: expected a class with two sequences to find, found one of each"
        ):
            protocol_splits(store, "one", "each", retrieval=True)
        assert untrained_classes(store, np.array([0, 1]), np.array([2, 3, 5])) == {"kick": 2}
        assert untrained_classes(store, np.arange(6), np.arange(6)) == {}


def test_an_option_is_named_where_the_command_has_it(make):
    """`skelmae study` has no --allow-overlap, and `keep_run` is no command."""
    with make() as store:
        store.splits |= {"one": np.array([0, 1, 2]), "two": np.array([2, 3])}
        expected = "split two: expected sequences that are not in the training split one, found 1 of 2 that are"
        with pytest.raises(DataError, match=f"{expected} .*; --allow-overlap goes on"):
            protocol_splits(store, "one", "two")
        with pytest.raises(DataError, match=expected) as told:
            protocol_splits(store, "one", "two", allow_overlap=None)
        assert "--" not in str(told.value)


def test_the_folder_one_is_in_says_nothing_of_published_weights(tmp_path, monkeypatch):
    (tmp_path / "train_ids.txt").write_text("s0\n")
    (tmp_path / "model.keras").touch()
    monkeypatch.chdir(tmp_path)
    assert trained_ids("coco17-motion") == []
    assert trained_ids("model.keras") == trained_ids(tmp_path) == ["s0"]
