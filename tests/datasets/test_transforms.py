"""Normalisation, augmentation and streams."""

import numpy as np
import pytest

from skelmae_datasets import transforms
from skelmae_datasets.layouts import get_layout

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
    "rotate": lambda x, r, dims: transforms.augment(x, r, dims, rotate=1.0),
    "scale": lambda x, r, dims: transforms.augment(x, r, dims, scale=0.3),
    "shear": lambda x, r, dims: transforms.augment(x, r, dims, shear=0.3),
    "noise": lambda x, r, dims: transforms.augment(x, r, dims, joint_noise=0.05),
    "flip": lambda x, r, dims: transforms.random_flip(x, r, NTU, 0.5, dims),
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
    y = transforms.augment(x, rng(), dims, rotate=0.7)
    np.testing.assert_allclose(distances(y), distances(x), atol=1e-4)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3)), x.mean(axis=(1, 2, 3)), atol=1e-5)
    same = transforms.augment(np.repeat(x[:1], 6, axis=0), rng(), dims, rotate=0.7)
    assert not np.allclose(same[0], same[1])


def test_rotation_angles_stay_within_bounds():
    x = np.zeros((500, 1, 1, 2, 2), "float32")
    x[..., 0, 0], x[..., 1, 0] = 1, 3
    y = transforms.augment(x, rng(), 2, rotate=0.5)
    angles = np.arctan2(*(y[:, 0, 0, 1] - y[:, 0, 0, 0]).T[::-1])
    assert 0.45 < angles.max() <= 0.5 + 1e-6 and -0.5 - 1e-6 <= angles.min() < -0.45
    upright = np.zeros((500, 1, 1, 2, 3), "float32")
    upright[..., 0, 1], upright[..., 1, 1] = 1, 3
    z = transforms.augment(upright, rng(), 3, rotate=1.2)
    spine = (z[:, 0, 0, 1] - z[:, 0, 0, 0]) / 2
    assert np.arccos(spine[:, 1].clip(-1, 1)).max() < 0.3 * np.sqrt(2) + 1e-3, (
        "the vertical tips by a quarter only"
    )


def test_scale_is_one_factor_a_sample():
    x = rng(3).normal(5, 1, (200, 1, 3, 5, 3)).astype("float32")
    y = transforms.augment(x, rng(), 3, scale=0.2)
    factor = distances(y)[:, 0, 1:] / distances(x)[:, 0, 1:]
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), rtol=1e-4)
    assert 0.79 < factor.min() < 0.85 and 1.15 < factor.max() < 1.21


def test_noise_is_relative_to_the_extent():
    x = rng(3).normal(0, 1, (3, 2, 50, 25, 3)).astype("float32")
    x[1] *= 100
    error = (transforms.augment(x, rng(), 3, joint_noise=0.05) - x).std(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(error, 0.05 * np.sqrt(3) * np.array([1, 100, 1]), rtol=0.05)


@pytest.mark.parametrize("joints", [500, 2500])
def test_noise_is_gaussian(joints):
    """Moments, tails and independence of neighbours, within five standard errors; the longer clips are drawn anew."""
    x = np.ones((4, 1, 50, joints, 2), np.float32)
    x[..., ::2, :] = -1  # the extent is the root of 2
    noise = (transforms.augment(x, rng(), 2, joint_noise=1.0) - x) / np.sqrt(2)
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
        expected = transforms.augment(expected, other, dims, **{name: amount})
    np.testing.assert_allclose(transforms.augment(x, one, dims, **amounts), expected, rtol=1e-10)
    assert one.random() == other.random()


def test_flip_twice_is_nothing_and_mirrors_names():
    x = batch(2, 17, score=True)
    once = transforms.random_flip(x, rng(), COCO, 1.0)
    np.testing.assert_allclose(transforms.random_flip(once, rng(), COCO, 1.0), x, atol=1e-5)
    left, right = COCO.joints.index("left_wrist"), COCO.joints.index("right_wrist")
    assert (once[..., left, 1:] == x[..., right, 1:]).all()
    assert (transforms.random_flip(x, rng(), COCO, 0.0) == x).all()


def test_pre_normalize_2d_fix():
    x = np.array([[0.0, 50, 0.9], [200, 0, 0.9], [100, 50, 0.9], [150, 75, 0.005], [0, 0, 0]], "float32")
    y = transforms.pre_normalize_2d(x[None, None], (100, 200))[0, 0]
    np.testing.assert_allclose(y[:2, :2], [[-1, 0], [1, -1]])
    assert y[2].any() and np.abs(y[2, :2]).max() < 1e-5, "a joint at the very centre is still present"
    assert (y[3:, :2] == 0).all() and (y[:, 2] == x[:, 2]).all() and y.dtype == np.float32
    bare = transforms.pre_normalize_2d(x[None, None, :, :2].astype("float16"), (0, 0))[0, 0]
    np.testing.assert_allclose(bare[0], [-1, 50 / 540 - 1], rtol=1e-6)
    assert (bare[4] == 0).all() and bare.dtype == np.float32


def test_pre_normalize_2d_auto_fills_the_box_or_falls_back():
    x = np.zeros((2, 5, 17, 3), "float32")
    x[0] = rng().uniform(300, 500, (5, 17, 3))
    x[..., 2] = 0.8
    y = transforms.pre_normalize_2d(x, (1080, 1920), "auto")
    np.testing.assert_allclose(
        [y[0, ..., :2].min(axis=(0, 1)), y[0, ..., :2].max(axis=(0, 1))], [[-1] * 2, [1] * 2], 1e-5
    )
    assert (y[1, ..., :2] == 0).all()
    x[0, ..., 0] = 300 + rng().uniform(0, 9, (5, 17))
    expected = transforms.pre_normalize_2d(x, (1080, 1920), "fix")
    assert (transforms.pre_normalize_2d(x, (1080, 1920), "auto") == expected).all()


def test_pre_normalize_3d_axes_origin_and_frames():
    x = rng(1).normal(0, 0.3, (2, 9, 25, 3)).astype("float32")
    x[0, :4] = 0  # the second person has more frames, and comes first
    x[1, 0] = 0
    y = transforms.pre_normalize_3d(x, NTU)
    assert y.shape == (2, 8, 25, 3) and y.dtype == np.float32
    for before, after in ((x[1, 1:], y[0]), (x[0, 4:], y[1, 3:])):
        np.testing.assert_allclose(distances(after), distances(before), atol=1e-5)
    assert (y[1, :3] == 0).all()
    lower, upper = NTU.spine
    left, right = NTU.shoulders
    first = y[0, 0]
    assert np.abs(first[upper]).max() < 1e-5 and first[upper].any()
    across = first[right] - first[left]
    assert across[0] > 0 and np.abs(across[1:]).max() < 1e-5
    # The rotations follow one another: before the second, the spine was exactly on z.
    spine = x[1, 1, upper] - x[1, 1, lower]
    across = x[1, 1, right] - x[1, 1, left]
    angle = np.dot(spine, across) / np.linalg.norm(spine) / np.linalg.norm(across)
    turned = (first[upper] - first[lower]) / np.linalg.norm(spine)
    np.testing.assert_allclose(turned[0], angle, atol=1e-4)


def test_pre_normalize_3d_by_hand():
    """A body that stands along y with its shoulders along z: two quarter turns, worked out on paper."""
    x = np.zeros((2, 3, 25, 3), "float32")
    x[0, 1:] = (5, 7, 9)  # frame 0 is empty: cut. All joints of person 0 at one place, then apart:
    x[0, 1:, 0] = (5, 6, 9)  # base of the spine, 1 below its middle (joint 1, the origin)
    x[0, 1:, 4] = (5, 7, 9.5)  # left shoulder
    x[0, 1:, 8] = (5, 7, 8.5)  # right shoulder
    x[0, 2, 3] = (5, 9, 9)  # the head, 2 above
    x[0, 2, 7] = (6, 7, 9)  # the left hand, 1 along x
    x[1, 2, 5] = (5, 7, 7)  # a second person's joint, 2 along -z
    y = transforms.pre_normalize_3d(x, NTU)
    assert y.shape == (2, 2, 25, 3)
    # y (up) turns to z; then the shoulders, from left to right -z, hence y after the first turn, turn to x.
    np.testing.assert_allclose(y[0, 0, 0], [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(y[0, 0, [4, 8]], [[-0.5, 0, 0], [0.5, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(y[0, 1, 3], [0, 0, 2], atol=1e-6)
    np.testing.assert_allclose(y[0, 1, 7], [0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(y[1, 1, 5], [2, 0, 0], atol=1e-6)
    assert not y[1, 0].any() and not y[1, 1, :5].any()


def test_pre_normalize_3d_edge_cases():
    nobody = np.zeros((2, 4, 25, 3), "float32")
    assert transforms.pre_normalize_3d(nobody).shape == nobody.shape
    body = rng(1).normal(0, 0.3, (1, 4, 25, 3)).astype("float32")
    body[0, 0, 1] = 0  # the origin joint is absent in the first frame
    assert np.isfinite(transforms.pre_normalize_3d(body)).all()
    body[...] = 1.0  # every joint in one place: no direction to turn
    assert np.isfinite(transforms.pre_normalize_3d(body)).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: transforms.pre_normalize_2d(np.zeros((1, 2, 17, 4)), (1, 1)),
        lambda: transforms.pre_normalize_2d(np.zeros((1, 2, 17, 2)), (1, 1), "other"),
        lambda: transforms.pre_normalize_3d(np.zeros((1, 2, 17, 3)), NTU),
    ],
)
def test_wrong_input_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_bones_sum_to_the_joints():
    x = rng(2).normal(0, 1, (2, 1, 3, 25, 3)).astype("float32")
    bones = transforms.bone_stream(x, NTU)
    assert bones.dtype == np.float32
    for joint, parent in NTU.bones:
        np.testing.assert_array_equal(bones[..., joint, :], x[..., joint, :] - x[..., parent, :])


def test_streams_leave_absent_joints_at_zero_and_average_scores():
    x = batch(2, 17, score=True)
    absent = ~np.any(x[..., :2], axis=-1)
    bones = transforms.bone_stream(x, COCO, dims=2)
    child, parent = next(pair for pair in COCO.bones if 3 in pair and pair[0] != pair[1])
    assert (bones[..., child, :2][absent[..., 3]] == 0).all()
    np.testing.assert_allclose(bones[..., 2][..., child], x[..., [child, parent], 2].mean(axis=-1), rtol=1e-6)
    motion = transforms.motion_stream(x, dims=2)
    np.testing.assert_array_equal(motion[:, :, 0, :, :2], x[:, :, 1, :, :2] - x[:, :, 0, :, :2])
    assert (motion[:, :, 1:3, 3, :2] == 0).all() and (motion[:, :, -1, :, :2] == 0).all()
    np.testing.assert_allclose(motion[:, :, 0, :, 2], x[:, :, :2, :, 2].mean(axis=2), rtol=1e-6)
    np.testing.assert_array_equal(transforms.motion_stream(x[0, 0], dims=2), motion[0, 0])
