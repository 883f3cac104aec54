"""The two reductions against hand-computed cases."""

import keras
import numpy as np
import pytest

from keras_skelmae.losses import (
    cosine_similarity,
    masked_mean_squared_error,
    nt_xent,
    reweighted_cosine_error,
    target_spread,
)

# Frame 1 masks joints with cosines 1, 0, -1; frame 2 masks one joint with cosine 0.6; frame 3 masks none.
TARGET = np.array([[[1, 0], [1, 0], [1, 0]], [[3, 4], [1, 1], [1, 1]], [[1, 0], [1, 0], [1, 0]]], "float32")
OUTPUT = np.array([[[2, 0], [0, 5], [-3, 0]], [[1, 0], [9, 9], [9, 9]], [[0, 1], [0, 1], [0, 1]]], "float32")
MASK = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        # frame 1: (0 + (1/3)^2 + (2/3)^2) = 5/9; frame 2: (1 - 0.6)^2 = 0.16; frame 3 does not count
        (2.0, (5 / 9 + 0.16) / 2),
        (1.0, ((0 + 1 + 2) / 3 + 0.4) / 2),
    ],
)
def test_paper_reduction(beta, expected):
    assert float(reweighted_cosine_error(TARGET, OUTPUT, MASK, beta)) == pytest.approx(expected, rel=1e-5)


def test_mean_reduction():
    expected = (0 + 1 + 4 + 0.16) / 4
    assert float(reweighted_cosine_error(TARGET, OUTPUT, MASK, 2.0, "mean")) == pytest.approx(expected, rel=1e-5)


def test_nothing_masked_costs_nothing():
    nothing = np.zeros_like(MASK)
    for value in (reweighted_cosine_error(TARGET, OUTPUT, nothing), masked_mean_squared_error(TARGET, OUTPUT, nothing)):
        assert float(value) == pytest.approx(0, abs=1e-9)


def test_zero_vectors_give_no_nan():
    zero = np.zeros_like(TARGET)
    assert np.isfinite(float(reweighted_cosine_error(zero, OUTPUT, MASK)))
    assert np.isfinite(float(target_spread(zero, np.ones((3, 3)))))


def test_mean_squared_error_sees_masked_joints_only():
    # errors 1, (1 + 25), 16 over 2 channels each; then (4 + 16) / 2
    expected = ((1 + 26 + 16) / 2 + 20 / 2) / 4
    assert float(masked_mean_squared_error(TARGET, OUTPUT, MASK)) == pytest.approx(expected)


def test_target_spread_tells_collapse():
    same = np.tile(np.array([[[3.0, 4.0]]], "float32"), (2, 5, 1)) * np.arange(1, 6)[None, :, None]
    assert float(target_spread(same, np.ones((2, 5)))) == pytest.approx(0, abs=1e-5)
    opposite = np.array([[[1.0, 0], [-1, 0]]], "float32")
    assert float(target_spread(opposite, np.ones((1, 2)))) == pytest.approx(1)


def test_unknown_reduction_is_named():
    with pytest.raises(ValueError, match="reduction: expected one of"):
        reweighted_cosine_error(TARGET, OUTPUT, MASK, reduction="sum")


def test_nt_xent_by_hand():
    # two clips: views along x and along y, of lengths that must not matter; the cosines with the rest are 1, 0, 0
    views = np.array([[[1, 0], [5, 0]], [[0, 2], [0, 3]]], "float32")
    expected = -np.log(np.exp(1 / 0.5) / (np.exp(1 / 0.5) + 2))
    assert float(nt_xent(views, 0.5)) == pytest.approx(expected, rel=1e-5)
    crossed = views[[[0, 1], [0, 1]], [[0, 0], [1, 1]]]  # the other view is the one at right angles
    assert float(nt_xent(crossed, 0.5)) == pytest.approx(-np.log(1 / (np.exp(1 / 0.5) + 2)), rel=1e-5)


def test_nt_xent_agrees_with_a_loop_and_knows_its_bounds():
    views = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")
    flat = views.reshape(10, 3) / np.linalg.norm(views.reshape(10, 3), axis=1, keepdims=True)
    total = 0
    for i in range(10):
        similar = {k: np.exp(flat[i] @ flat[k] / 0.2) for k in range(10) if k != i}
        total -= np.log(similar[i + 1 if i % 2 == 0 else i - 1] / sum(similar.values())) / 10
    assert float(nt_xent(views, 0.2)) == pytest.approx(total, rel=1e-5)
    assert float(nt_xent(views[::-1, ::-1].copy(), 0.2)) == pytest.approx(total, rel=1e-5)
    assert float(nt_xent(np.ones((5, 2, 3)))) == pytest.approx(np.log(9), rel=1e-5)
    assert float(nt_xent(views[:1])) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(float(nt_xent(np.zeros((5, 2, 3)))))


@pytest.mark.parametrize("loss", [reweighted_cosine_error, masked_mean_squared_error, nt_xent])
def test_losses_are_registered(loss):
    assert keras.saving.get_registered_name(loss) == f"keras_skelmae>{loss.__name__}"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("length", [1e-4, 1.0, 1e4])
def test_a_cosine_does_not_ask_for_the_length(dtype, length):
    one, other = np.array([[length, 0]], dtype), np.array([[length, length]], dtype)

    def cosine(x):
        return keras.ops.convert_to_numpy(cosine_similarity(keras.ops.array(one), keras.ops.array(x)))[0]

    np.testing.assert_allclose([cosine(one), cosine(other)], [1, 0.5**0.5], rtol=1e-3)
    assert cosine(0 * one) == 0
