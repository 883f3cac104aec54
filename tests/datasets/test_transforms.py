"""Alignment, augmentation and motion."""

import numpy as np
import pytest

from skelmae_datasets.layouts import get_layout
from skelmae_datasets.transforms import augmentation

NTU, COCO = get_layout("ntu25"), get_layout("coco17")


def rng(seed=0):
    return np.random.default_rng(seed)


def batch(dims=3, joints=25, score=False, dtype=np.float32):
    """(4, 2, 6, V, C); the second person of sample 0 and joint 3 of everyone's frame 2 are absent."""
    x = rng(7).normal(2, 1, (4, 2, 6, joints, dims))
    x[0, 1] = 0
    x[:, :, 2, 3] = 0
    if score:
        x = np.concatenate([x, rng(8).uniform(0, 1, (*x.shape[:-1], 1))], axis=-1)
    return x.astype(dtype)


def distances(x):
    points = x.reshape(len(x), -1, x.shape[-1]).astype(float)
    return np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)


AUGMENTATIONS = {
    "rotate": lambda x, r, dims: augmentation.augment(x, r, dims, rotate=1.0),
    "scale": lambda x, r, dims: augmentation.augment(x, r, dims, scale=0.3),
    "shear": lambda x, r, dims: augmentation.augment(x, r, dims, shear=0.3),
    "noise": lambda x, r, dims: augmentation.augment(x, r, dims, joint_noise=0.05),
    "flip": lambda x, r, dims: augmentation.random_flip(x, r, NTU, 0.5, dims),
}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_contract(name, dims, dtype):
    x = batch(dims, score=dims == 2, dtype=dtype)
    kept = x.copy()
    y = AUGMENTATIONS[name](x, rng(), dims)
    assert y.dtype == dtype and y.shape == x.shape
    assert (x == kept).all(), "the input was changed"
    assert (y == AUGMENTATIONS[name](x, rng(), dims)).all(), "not repeatable"
    assert not np.allclose(y, x)
    absent, absent_after = (~np.any(a[..., :dims], axis=-1) for a in (x, y))
    expected = absent
    if name == "flip":
        moved = ~np.isclose(x[:, 0, 0, :, 0], y[:, 0, 0, :, 0]).all(axis=1)
        expected = np.where(moved[:, None, None, None], absent[..., NTU.mirror], absent)
    else:
        assert (y[..., dims:] == x[..., dims:]).all()
    assert (absent_after == expected).all()
    nobody = np.zeros_like(x)
    assert (AUGMENTATIONS[name](nobody, rng(), dims) == 0).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_rotation_keeps_distances_centroid_and_differs_between_samples(dims):
    x = rng(3).normal(5, 1, (6, 1, 3, 5, dims)).astype("float32")
    y = augmentation.augment(x, rng(), dims, rotate=0.7)
    np.testing.assert_allclose(distances(y), distances(x), atol=1e-4)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), x.mean(axis=(1, 2, 3)), atol=1e-5)
    same = augmentation.augment(np.repeat(x[:1], 6, axis=0), rng(), dims, rotate=0.7)
    assert not np.allclose(same[0], same[1])


def test_rotation_angles_stay_within_bounds():
    x = np.zeros((500, 1, 1, 2, 2), "float32")
    x[..., 0, 0], x[..., 1, 0] = 1, 3
    y = augmentation.augment(x, rng(), 2, rotate=0.5)
    angles = np.arctan2(*(y[:, 0, 0, 1] - y[:, 0, 0, 0]).T[::-1])
    assert 0.45 < angles.max() <= 0.5 + 1e-6 and -0.5 - 1e-6 <= angles.min() < -0.45
    upright = np.zeros((500, 1, 1, 2, 3), "float32")
    upright[..., 0, 1], upright[..., 1, 1] = 1, 3
    z = augmentation.augment(upright, rng(), 3, rotate=1.2)
    spine = (z[:, 0, 0, 1] - z[:, 0, 0, 0]) / 2
    assert np.arccos(spine[:, 1].clip(-1, 1)).max() < 0.3 * np.sqrt(2) + 1e-3, "the vertical tips by a quarter only"


def test_scale_is_one_factor_a_sample():
    x = rng(3).normal(5, 1, (200, 1, 3, 5, 3)).astype("float32")
    y = augmentation.augment(x, rng(), 3, scale=0.2)
    factor = distances(y)[:, 0, 1:] / distances(x)[:, 0, 1:]
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), rtol=1e-4)
    assert 0.79 < factor.min() < 0.85 and 1.15 < factor.max() < 1.21


def test_noise_is_relative_to_the_extent():
    x = rng(3).normal(0, 1, (3, 2, 50, 25, 3)).astype("float32")
    x[1] *= 100
    error = (augmentation.augment(x, rng(), 3, joint_noise=0.05) - x).std(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(error, 0.05 * np.sqrt(3) * np.array([1, 100, 1]), rtol=0.05)


@pytest.mark.parametrize("joints", [500, 2500])
def test_noise_is_gaussian(joints):
    """Moments, tails and independence of neighbours, within five standard errors; the longer clips are drawn again."""
    x = np.ones((4, 1, 50, joints, 2), np.float32)
    x[..., ::2, :] = -1  # the extent is the root of 2
    noise = (augmentation.augment(x, rng(), 2, joint_noise=1.0) - x) / np.sqrt(2)
    count = noise.size
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((noise.astype(np.float64) ** power).mean() - moment) < 5 * np.sqrt(variance / count)
    for bound, tail in ((1, 0.3173105), (2, 0.0455003), (3, 0.0026998)):
        assert abs((abs(noise) > bound).mean() - tail) < 5 * np.sqrt(tail / count)
    for one, other in ((noise[..., 0], noise[..., 1]), (noise[..., :-1, :], noise[..., 1:, :]), (noise[0], noise[1])):
        assert abs((one * other).mean()) < 5 / np.sqrt(one.size)


@pytest.mark.parametrize("dims", [2, 3])
def test_one_pass_equals_one_move_after_the_other(dims):
    x = batch(dims, score=dims == 2, dtype=np.float64)
    amounts = {"rotate": 1.0, "scale": 0.3, "shear": 0.2, "joint_noise": 0.05}
    one, other = rng(), rng()
    expected = x
    for name, amount in amounts.items():
        expected = augmentation.augment(expected, other, dims, **{name: amount})
    np.testing.assert_allclose(augmentation.augment(x, one, dims, **amounts), expected, rtol=1e-10)
    assert one.random() == other.random()


def test_flip_twice_is_nothing_and_mirrors_names():
    x = batch(2, 17, score=True)
    once = augmentation.random_flip(x, rng(), COCO, 1.0)
    np.testing.assert_allclose(augmentation.random_flip(once, rng(), COCO, 1.0), x, atol=1e-5)
    left, right = COCO.joints.index("left_wrist"), COCO.joints.index("right_wrist")
    assert (once[..., left, 1:] == x[..., right, 1:]).all()
    assert (augmentation.random_flip(x, rng(), COCO, 0.0) == x).all()


def test_motion_is_zero_where_a_joint_is_absent_in_either_frame():
    x = batch(2, 17)
    motion = augmentation.motion_stream(x)
    np.testing.assert_array_equal(motion[:, :, 0, 4:], x[:, :, 1, 4:] - x[:, :, 0, 4:])
    assert motion.dtype == np.float32 and not motion[:, :, 1:3, 3].any() and not motion[:, :, -1].any()
    np.testing.assert_array_equal(augmentation.motion_stream(x[0, 0]), motion[0, 0])
