"""Masks: True = masked, to be reconstructed."""

import numpy as np
import pytest

from skelmae_datasets.layouts import get_layout
from skelmae_datasets.transforms.masking import (
    motion_intensity,
    part_mask,
    sample_joint_masks,
    sample_motion_masks,
    sample_part_masks,
)

COCO = get_layout("coco17")


def rng(seed=0):
    return np.random.default_rng(seed)


def masked_parts(masks, layout):
    """(..., P) bool: which parts are masked, after checking that no part is masked by halves."""
    share = masks.astype(float) @ layout.part_masks.T.astype(float) / layout.part_masks.sum(axis=1)
    assert np.isin(share, (0.0, 1.0)).all()
    return share == 1


def test_part_mask_is_the_named_joints():
    mask = part_mask(COCO, ["left_arm", "head"])
    assert np.flatnonzero(mask).tolist() == [0, 1, 2, 3, 4, 7, 9]


@pytest.mark.parametrize("parts", [[], ["left_arm", "tail"]])
def test_wrong_part_is_refused_by_name(parts):
    with pytest.raises(ValueError, match="left_arm"):
        part_mask(COCO, parts)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("num_parts", [1, 3, 6])
def test_part_masks_mask_exactly_so_many_whole_parts(num_parts, per_frame):
    masks = sample_part_masks(COCO, (8, 2, 5), rng(), num_parts, per_frame=per_frame)
    assert masks.shape == (8, 2, 5, 17) and masks.dtype == bool
    assert (masked_parts(masks, COCO).sum(axis=-1) == num_parts).all()
    same = (masks == masks[:, :, :1]).all()
    assert same == (not per_frame or num_parts == 6)


def test_drawn_counts_and_parts_are_even():
    parts = masked_parts(sample_part_masks(COCO, (6000, 1, 1), rng(1)), COCO)[:, 0, 0]
    counts = np.bincount(parts.sum(axis=1), minlength=7) / 6000
    np.testing.assert_allclose(counts, [0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0], atol=0.03)
    np.testing.assert_allclose(parts.mean(axis=0), np.full(6, 2 / 6), atol=0.03)


def test_drawn_count_leaves_a_part():
    parts = masked_parts(sample_part_masks(COCO, (500, 1, 1), rng(), max_parts=99), COCO)
    assert set(parts.sum(axis=-1).ravel()) == {1, 2, 3, 4, 5}


def test_given_parts_are_masked_everywhere_and_writable():
    masks = sample_part_masks(COCO, (2, 1, 3), rng(), parts=["right_leg"])
    assert (masks == part_mask(COCO, ["right_leg"])).all() and masks.shape == (2, 1, 3, 17)
    masks[0] = False
    assert masks[1].any()


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("num_masked", [0, 4, 25])
def test_joint_masks_mask_exactly_so_many(num_masked, per_frame):
    masks = sample_joint_masks(25, (6, 2, 4), num_masked, rng(), per_frame)
    assert masks.shape == (6, 2, 4, 25) and masks.dtype == bool
    assert (masks.sum(axis=-1) == num_masked).all()
    assert (masks == masks[:, :, :1]).all() == (not per_frame or num_masked in (0, 25))
    assert (masks == sample_joint_masks(25, (6, 2, 4), num_masked, rng(), per_frame)).all()


def test_motion_is_the_way_to_the_next_frame():
    x = np.ones((1, 1, 4, 3, 3))  # the third channel is a score
    x[0, 0, :, 0, 0] = [1, 4, 4, 4]
    x[0, 0, :, 0, 1] = [1, 5, 5, 6]
    x[0, 0, :, 1, 0] = [1, 0, 9, 9]
    x[0, 0, 1, 1, :2] = 0  # absent there
    x[0, 0, :, 2, 2] = [0.1, 0.9, 0.1, 0.9]
    expected = [[5, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]]
    np.testing.assert_allclose(motion_intensity(x, 2)[0, 0], expected)
    assert not motion_intensity(x[:, :, :1], 2).any()


def test_joints_are_drawn_as_the_formula_says():
    intensity = np.tile([0.0, 1.0, 3.0, 6.0], (40000, 1))
    weights = np.exp(intensity[0] / 6 / 0.5)
    p = weights / weights.sum()
    one = sample_motion_masks(intensity, 1, rng(), temperature=0.5)
    np.testing.assert_allclose(one.mean(axis=0), p, atol=0.01)
    # both of a pair in either order, without replacement
    two = sample_motion_masks(intensity, 2, rng(), temperature=0.5)
    pair = p[2] * p[3] / (1 - p[2]) + p[3] * p[2] / (1 - p[3])
    np.testing.assert_allclose((two[:, 2] & two[:, 3]).mean(), pair, atol=0.01)
    cold = sample_motion_masks(intensity, 2, rng(), temperature=1e-3)
    assert (cold == [False, False, True, True]).all()


def test_a_still_clip_draws_evenly_and_the_unit_does_not_matter():
    even = sample_motion_masks(np.zeros((20000, 5)), 2, rng())
    np.testing.assert_allclose(even.mean(axis=0), 2 / 5, atol=0.02)
    intensity = rng().random((6, 2, 4, 17))
    masks = sample_motion_masks(intensity, 5, rng(3))
    assert masks.shape == intensity.shape and (masks.sum(axis=-1) == 5).all()
    np.testing.assert_array_equal(masks, sample_motion_masks(1000 * intensity, 5, rng(3)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: sample_part_masks(COCO, (1, 1, 1), rng(), num_parts=0),
        lambda: sample_part_masks(COCO, (1, 1, 1), rng(), num_parts=7),
        lambda: sample_part_masks(COCO, (1, 1, 1), rng(), max_parts=0),
        lambda: sample_joint_masks(17, (1, 1, 1), 18, rng()),
        lambda: sample_joint_masks(17, (1, 1, 1), -1, rng()),
        lambda: sample_motion_masks(np.ones((2, 17)), 18, rng()),
        lambda: sample_motion_masks(np.ones((2, 17)), 3, rng(), temperature=0),
    ],
)
def test_counts_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
