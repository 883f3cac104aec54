"""Times to frames: what is a rate, what is a gap, and what cannot be told."""

import numpy as np
import pytest

from skelmae_datasets import DataError
from skelmae_datasets.readers.clock import Clock

FRAMES = np.array([0, 1, 2, 3, 5, 6, 7, 9])  # two are missing


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (FRAMES, 1),
        (FRAMES + 100, 1),
        (FRAMES * 5 + 2, 5),
        (FRAMES * 40, 40),
        (np.round(FRAMES * 1000 / 30), 33.3),
        (1_700_000_000_000 + np.round(FRAMES * 1000 / 30), 33.3),
        (np.round(FRAMES / 30, 3), 0.0333),
        (np.round(FRAMES / 25, 2), 0.04),
        (FRAMES / 30 + np.random.default_rng(0).uniform(-0.003, 0.003, 8), 0.033),
        (FRAMES * 0.5 + 0.25, 0.5),
    ],
)
def test_a_rhythm_is_found_and_its_gaps_stay(times, step):
    clock = Clock([times], "t.csv")
    assert clock.step == pytest.approx(step, rel=0.06) and bool(clock.note) == (clock.step != 1)
    shuffled = np.random.default_rng(1).permutation(len(times))
    assert clock.frames(np.asarray(times)[shuffled]).tolist() == FRAMES[shuffled].tolist()


def test_one_rate_for_all_samples():
    clock = Clock([np.arange(0, 40, 2), np.arange(10)], "t.csv")
    assert clock.step == 1, "one sample has every frame, the other every second"
    assert clock.frames(np.array([4.0, 0.0, 2.0])).tolist() == [4, 0, 2]
    assert Clock([np.array([3.0]), np.array([])], "t.csv").step == 1 and Clock([], "t.csv").step == 1


@pytest.mark.parametrize("times", [[0, 2], [0, 5, 10], [0, 4, 10, 14], [0, 7, 19, 24, 50], [0, 1, 30, 61, 93, 120]])
def test_what_is_in_doubt_is_refused_with_the_option(times):
    with pytest.raises(
        DataError, match=r"t\.csv: frame: expected even steps, or convert-csv --step N .* found steps of"
    ):
        Clock([np.array(times)], "t.csv")
    assert Clock([np.array(times)], "t.csv", 1).frames(np.array(times)).tolist() == times
    assert Clock([np.array(times)], "t.csv", times[1]).frames(np.array(times))[1] == 1


def test_a_fraction_among_whole_numbers_is_a_fault_of_its_sample():
    clock = Clock([np.arange(5), np.array([0, 1, 2.5])], "t.csv")
    assert clock.step == 1
    with pytest.raises(DataError, match=r"expected a whole number, found 2\.5"):
        clock.frames(np.array([0, 1, 2.5]))


def test_numbers_too_far_apart_are_no_frames():
    clock = Clock([np.arange(5)], "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: frame: expected numbers that are frames, found 1e\+30 after 0"):
        clock.frames(np.array([0, 1, 1e30]))
