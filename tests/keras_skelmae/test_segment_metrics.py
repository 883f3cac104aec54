"""The measures of temporal segmentation: values worked out by hand, and the same by another, slow road."""

import functools

import numpy as np
import pytest

from keras_skelmae.evaluation.segment_metrics import (
    OVERLAPS,
    edit_score,
    f1,
    labels_of,
    matches,
    segment_scores,
    segments_of,
)
from skelmae_datasets.timelines import Segment


def frames(text):
    """Labels of frames by letters; "." is background."""
    return np.array([-1 if letter == "." else ord(letter) - ord("a") for letter in text])


def test_by_hand():
    #             0         1         2
    #             0123456789012345678901234
    true = frames("..aaaaaaaaaa..bbbbbbbb...")
    told = frames(".aaaaaabaaaa...bbbb..cc..")
    # Segments told: a 1-7 (with a 2-12: 5 of 11, 0.4545), b 7-8 (with b 14-22: none), a 8-12 (4 of 10, 0.4; the true a
    # is taken), b 15-19 (4 of 8, 0.5), c 21-23 (none). Right at 10 and 25 %: a, b; at 50 %: b alone.
    result = segment_scores([(true, told)])
    assert result["f1"] == pytest.approx({"10": 4 / 7, "25": 4 / 7, "50": 2 / 7})
    # Right are 2 to 6 and 8 to 11 of a, 15 to 18 of b, and 0, 12, 13, 23, 24 of the background: 9 + 4 + 5.
    assert result["frame_accuracy"] == pytest.approx(18 / 25) and result["labelled_accuracy"] == pytest.approx(13 / 18)
    # a b against a b a b c: three more, of five.
    assert result["edit"] == pytest.approx(1 - 3 / 5)
    assert (result["true_segments"], result["predicted_segments"], result["frames"]) == (2, 5, 25)


def test_the_second_on_one_true_segment_is_too_many():
    true, told = [(0, 0, 10)], [(0, 0, 4), (0, 5, 10)]
    assert matches(true, told, 0.1) == (1, 1, 0)
    assert matches(true, told, 0.5) == (1, 1, 0), "0.4 is not enough, 0.5 is"
    assert matches(true, told, 0.51) == (0, 2, 1)


@pytest.mark.parametrize(
    ("true", "told", "score"),
    [
        ("", "", 1),
        ("a", "", 0),
        ("", "a", 0),
        ("abc", "abc", 1),
        ("abc", "bc", 2 / 3),
        ("kitten", "sitting", 1 - 3 / 7),
        ("ab", "ba", 0),
    ],
)
def test_edit_scores_by_hand(true, told, score):
    assert edit_score(true, told) == pytest.approx(score)


def test_background_is_no_segment_but_what_is_told_there_is_one_too_many():
    nothing = frames("......")
    assert segment_scores([(nothing, nothing)])["f1"] == {"10": 1, "25": 1, "50": 1}
    assert segment_scores([(nothing, nothing)])["labelled_accuracy"] is None
    result = segment_scores([(nothing, frames("..aa.."))])
    assert result["f1"]["10"] == 0 and result["edit"] == 0 and result["frame_accuracy"] == pytest.approx(4 / 6)


def test_segments_are_counted_over_all_timelines_and_edit_is_their_mean():
    pairs = [(frames("aabb"), frames("aabb")), (frames("aa.."), frames("bbbb"))]
    result = segment_scores(pairs)
    assert result["f1"]["50"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1)) and result["edit"] == pytest.approx(0.5)
    assert result["timelines"] == 2
    for bad in ([], [(frames("aa"), frames("a"))]):
        with pytest.raises(ValueError, match="expected"):
            segment_scores(bad)


def slow_scores(true, told):
    """(f1 by overlap, edit) once more: sets of frames and a recursion."""

    def parts(labels):
        found = []
        for place, label in enumerate(labels):
            if place and label == labels[place - 1]:
                found[-1][1].add(place)
            else:
                found.append((label, {place}))
        return [(label, where) for label, where in found if label != -1]

    one, other = parts(list(true)), parts(list(told))
    f1s = []
    for overlap in OVERLAPS:
        hit = [False] * len(one)
        right = 0
        for label, where in other:
            shares = [len(where & w) / len(where | w) if label == name else 0.0 for name, w in one]
            best = int(np.argmax(shares)) if shares else -1
            if best >= 0 and shares[best] >= overlap and not hit[best]:
                hit[best], right = True, right + 1
        precision = right / len(other) if other else 0.0
        recall = right / len(one) if one else 0.0
        f1s.append(2 * precision * recall / (precision + recall) if right else float(not one and not other))

    @functools.cache
    def distance(i, j):
        if not i or not j:
            return i + j
        change = distance(i - 1, j - 1) + (one[i - 1][0] != other[j - 1][0])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, change)

    return f1s, 1 - distance(len(one), len(other)) / max(len(one), len(other), 1)


@pytest.mark.parametrize("seed", range(40))
def test_another_road_gives_the_same(seed):
    rng = np.random.default_rng(seed)
    length, kinds = int(rng.integers(1, 60)), int(rng.integers(1, 4))
    true = np.repeat(rng.integers(-1, kinds, length), rng.integers(1, 6, length))
    told = np.where(rng.random(len(true)) < 0.2, np.roll(true, int(rng.integers(-2, 3))), true)
    told[: len(told) // 4] = rng.integers(-1, kinds)
    result, (f1s, edit) = segment_scores([(true, told)]), slow_scores(true, told)
    assert list(result["f1"].values()) == pytest.approx(f1s) and result["edit"] == pytest.approx(edit)
    assert result["frame_accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(true, told, strict=True)]))


def test_labels_and_segments_are_two_forms_of_one_thing():
    parts = [Segment(0, 2, "x"), Segment(2, 5, None), Segment(5, 6, "y")]
    labels = labels_of(parts, 8, {"x": 0, "y": 1})
    assert labels.tolist() == [0, 0, -1, -1, -1, 1, -1, -1] and segments_of(labels) == [(0, 0, 2), (1, 5, 6)]
    assert segments_of([]) == [] and f1((0, 0, 0)) == 1
