"""The one rule of what was seen."""

import numpy as np
import pytest

from skelmae_datasets.transforms.presence import MIN_SCORE, seen_only

SCORED, FLAT, SPACE = ("x", "y", "score"), ("x", "y"), ("x", "y", "z")


def joint(values, channels, dtype="float32"):
    """What becomes of one joint beside a sound one, which has to stay."""
    sound = np.arange(1, len(channels) + 1) / 4
    with np.errstate(over="ignore"):
        keypoints = np.array([[values, sound]]).astype(dtype)  # (1, 2, C)
    result = seen_only(keypoints, channels)
    assert result.dtype == keypoints.dtype and result.shape == keypoints.shape
    np.testing.assert_array_equal(result[0, 1], keypoints[0, 1])
    return list(result[0, 0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "channels, values",
    [
        (FLAT, (0, 0)),
        (FLAT, (-1, -1)),
        (SPACE, (-1, -1, -1)),
        (SCORED, (-1, -1, 0.9)),
        (SCORED, (0, 0, 0.9)),
        (SCORED, (30, 40, 0)),
        (SCORED, (30, 40, MIN_SCORE)),
        (SCORED, (30, 40, -1)),
        (SCORED, (30, 40, np.nan)),
        (SCORED, (30, np.inf, 0.9)),
        (FLAT, (np.nan, 4)),
        (SPACE, (1, 2, -np.inf)),
        (SPACE, (1, 2, 1e39)),
        (FLAT, (-3e30, 2)),
    ],
)
def test_not_seen_is_zero_in_every_channel(channels, values, dtype):
    assert joint(values, channels, dtype) == [0] * len(channels)


@pytest.mark.parametrize(
    "channels, values",
    [(FLAT, (0, 5)), (FLAT, (-1, 5)), (SPACE, (-1, -1, 2)), (SCORED, (30, 40, 0.5)), (SPACE, (1, 2, -0.5))],
)
def test_seen_stays_as_it_is(channels, values):
    assert joint(values, channels) == list(values)


def test_a_clean_array_is_returned_itself_and_an_unclean_one_left_alone():
    clean = np.ones((2, 3, 4, 3), "float32")
    assert seen_only(clean, SCORED) is clean
    unclean = clean.copy()
    unclean[0, 0, 0] = np.nan
    before = unclean.copy()
    assert not seen_only(unclean, SPACE)[0, 0, 0].any()
    np.testing.assert_array_equal(unclean, before)


def test_whole_numbers_and_no_joints_are_fine():
    whole = np.array([[[-1, -1], [3, 4]]])
    assert seen_only(whole, FLAT).tolist() == [[[0, 0], [3, 4]]]
    assert seen_only(np.zeros((0, 17, 3)), SCORED).shape == (0, 17, 3)
