"""Labels of every type and from 0 or 1: told apart, named, or refused."""

import numpy as np
import pytest

from skelmae_datasets import DataError
from skelmae_datasets.readers.labels import ClassTable, label_of, plain, plain_label

NAMES = ["wave", "kick", "sit"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (3.0, 3),
        ("3", 3),
        ("3.0", 3),
        (np.int64(3), 3),
        (np.float32(3), 3),
        (np.array(3), 3),
        (np.array([[3.0]]), 3),
        ([3], 3),
        (b"wave", "wave"),
        (" wave ", "wave"),
        ("None", "None"),
        (-1, -1),
        ("-1", -1),
        ("", -1),
        ("nan", -1),
        (np.nan, -1),
        (None, -1),
        (True, None),
        (1.5, None),
        (-2, None),
        (2**40, None),
        ({}, None),
        (np.zeros(3), None),
    ],
)
def test_a_label_in_any_type(value, expected):
    found = plain_label(value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", "3"),
        (" 003 ", "003"),
        ("3.0", "3.0"),
        (b"01", "01"),
        (3.0, 3),
        (np.int64(3), 3),
        ("none", "none"),
        ("nan", -1),
        ("-1", -1),
        ("-1.0", -1),
        (None, -1),
        (1.5, None),
        (True, None),
    ],
)
def test_a_label_is_kept_as_it_is_written(value, expected):
    found = label_of(value)
    assert found == expected and type(found) is type(expected)


def test_plain_values():
    assert plain(24.0) == 24 and plain(np.array([2.5])) == 2.5 and plain("a") == "a" and plain(None) is None


@pytest.mark.parametrize(
    ("labels", "names", "found", "note"),
    [
        ([0, 1, 2], None, {0: "0", 2: "2"}, ""),
        ([1, 2, 3], None, {1: "1", 3: "3"}, "labels are not 0 to 2"),
        ([2, 10, 9], None, {2: "2", 9: "9", 10: "10"}, "labels are not 0 to 2"),
        (["b", "a"], None, {"a": "a", "b": "b"}, ""),
        ([1, "other"], None, {1: "1", "other": "other"}, ""),
        ([0, 1, 2], NAMES, {0: "wave", 2: "sit"}, ""),
        ([1, 2, 3], NAMES, {1: "wave", 3: "sit", 0: None}, "labels count from 1 to 3: 1 is 'wave', 3 is 'sit'"),
        ([1, 3], NAMES, {1: "wave", 3: "sit"}, "labels count from 1"),
        ([1, 2], NAMES, {1: "kick", 2: "sit"}, "no label is 0: they are counted from 0, so 1 is 'kick'"),
        ([0, 3], NAMES, {0: "wave", 3: None}, ""),
        ([1, 2, 4], NAMES, {1: "kick", 4: None}, ""),
        (["sit", "run"], NAMES, {"sit": "sit", "run": None}, ""),
        (["3", "10", "9"], None, {"3": "3", "10": "10"}, "labels are not 0 to 2: the classes are called by them, 3, 9"),
        (["1.0", "2.0", "0.0"], None, {"1.0": "1", "0.0": "0"}, ""),
        (["1.0", "1.1"], None, {"1.0": "1.0", "1.1": "1.1"}, ""),
        (["1.0", "1"], None, {"1.0": "1.0", "1": "1"}, ""),
        (["001", "010", "002"], None, {"001": "001", "010": "010"}, ""),
        ([0, "1"], None, {0: "0", "1": "1"}, ""),
        (["0", "1", "2"], NAMES, {"0": "wave", "2": "sit"}, ""),
        (["1.0", "3.0"], NAMES, {"1.0": "wave", "3.0": "sit"}, "labels count from 1"),
        (["001", "002"], NAMES, {"001": "kick", "002": "sit"}, "no label is 0"),
        (["001", "002"], ["001", "002", "003"], {"001": "001", "002": "002", "003": "003", "1": None}, ""),
        (["1", "2"], ["1", "2", "3"], {"1": "1", "2": "2"}, ""),
        (["1", "2"], ["2", "1"], {"1": "1", "2": "2"}, ""),
        ([0, 1, 2], ["1", "2", "3"], {0: "1", 1: "2", 2: "3"}, "labels are places of classes from 0, not names: 1 is"),
        (["0", "1", "2"], ["1", "2", "3"], {"0": "1", "2": "3"}, "labels are places of classes from 0, not names"),
        ([1, 2, 3], ["1", "2", "3"], {1: "1", 3: "3"}, ""),
        ([1, 2, 3], ["001", "002", "003"], {1: "001", 3: "003"}, ""),
        ([0, 2], ["0", "1", "2"], {0: "0", 2: "2"}, ""),
        ([20, 10], ["10", "20"], {20: "20", 10: "10", 0: None}, ""),
        (["1", "wave"], NAMES, {"1": None, "wave": "wave"}, ""),
        ([2, "wave"], NAMES, {2: "sit", "wave": "wave"}, "no label is 0"),
    ],
)
def test_what_labels_mean(labels, names, found, note):
    table = ClassTable([*labels, -1, None], names)
    for label, name in found.items():
        number = table.number(label)
        assert (None if number is None else table.names[number]) == name
    assert table.number(-1) == -1 and table.number(None) is None
    assert " ".join(table.notes).startswith(note) and bool(table.notes) == bool(note)


@pytest.mark.parametrize(
    ("labels", "names", "found"),
    [
        ([1, 2], ["1", "2", "3"], "1: '2' by place, '1' by name"),
        ([1, 2], ["2", "1"], "1: '2' by place, '1' by name"),
        ([1, 2], ["001", "002", "003"], "1: '002' by place, '001' by name"),
        (["01", "02"], ["1", "2", "3"], "1: '2' by place, '1' by name"),
        (["1", "7"], ["1", "2", "3"], "1: '2' by place, '1' by name"),
        ([0, 5], ["a", "b", "5"], "5: no class by place, '5' by name"),
    ],
)
def test_numbers_that_may_be_places_or_names_are_refused(labels, names, found):
    with pytest.raises(DataError, match=f"labels: expected numbers .* words decide.*, found {found}$"):
        ClassTable(labels, names)
