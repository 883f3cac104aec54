"""Recordings made worse: by how much, and that nothing else changes."""

import numpy as np
import pytest

from skelmae_datasets import get_layout
from skelmae_datasets.transforms.degradation import DEGRADATIONS
from skelmae_datasets.transforms.faults import body_extent
from skelmae_datasets.transforms.presence import is_seen

COCO, NTU = get_layout("coco17"), get_layout("ntu25")


def recording(dims=2, frames=40, people=2, seed=0):
    """(M, T, V, C), a score as the last channel in 2D; a joint and some frames not seen."""
    rng, layout = np.random.default_rng(seed), COCO if dims == 2 else NTU
    x = rng.normal(200, 40, (people, frames, layout.num_joints, dims + (dims == 2))).astype("float32")
    x[:, :, 3] = x[1, :7] = 0
    return x, layout


def degraded(kind, amount, dims=2, seed=0, **options):
    x, layout = recording(dims, **options)
    before = x.copy()
    found = DEGRADATIONS[kind][0](x, dims, layout, amount, np.random.default_rng(seed))
    np.testing.assert_array_equal(x, before)  # the argument stays
    return x, found, layout


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_the_first_amount_changes_nothing_and_others_do(kind, dims):
    first, *others = DEGRADATIONS[kind][1]
    x, found, _ = degraded(kind, first, dims)
    np.testing.assert_allclose(found, x, atol=1e-4)
    for amount in others:
        x, found, _ = degraded(kind, amount, dims)
        again = degraded(kind, amount, dims)[1]
        np.testing.assert_array_equal(found, again)
        assert found.dtype == x.dtype and (found.shape != x.shape or np.abs(found - x).max() > 0.5)


@pytest.mark.parametrize("kind", ["jitter", "rotation"])
@pytest.mark.parametrize("dims", [2, 3])
def test_what_was_not_seen_stays_so(kind, dims):
    x, found, _ = degraded(kind, DEGRADATIONS[kind][1][2], dims)
    np.testing.assert_array_equal(is_seen(found[..., :dims]), is_seen(x[..., :dims]))
    np.testing.assert_array_equal(found[..., dims:], x[..., dims:])


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
def test_joints_and_frames_are_lost_in_the_share_asked_for(share):
    x, found, layout = degraded("joints", share)
    lost = ~found.any(axis=(0, 1, 3))
    assert lost.sum() - round(share * 17) in (0, 1)  # one was not seen before either
    np.testing.assert_array_equal(found[:, :, ~lost], x[:, :, ~lost])
    x, found, _ = degraded("frames", share)
    assert (~found.any(axis=(0, 2, 3))).sum() == round(share * 40)
    assert degraded("frames", share, frames=1)[1].any() and degraded("rate", 16, frames=3)[1].shape[1] == 1


def test_whole_parts_are_lost():
    for count in (1, 2, 4):
        _, found, layout = degraded("parts", count)
        gone = [not found[:, :, list(part)].any() for part in layout.parts.values()]
        assert sum(gone) == count
    assert degraded("parts", 60)[1].any()


def test_jitter_is_as_large_as_it_says():
    x, found, _ = degraded("jitter", 0.1, frames=400)
    seen = is_seen(x[0, ..., :2])
    spread = (found - x)[0, ..., :2][seen].std()
    assert spread == pytest.approx(0.1 * body_extent(x[0, ..., :2].astype(float), seen), rel=0.02)


@pytest.mark.parametrize(("dims", "axis"), [(2, None), (3, 1)])
def test_a_turn_keeps_distances(dims, axis):
    x, found, _ = degraded("rotation", 30, dims, frames=3)
    kept = [joint for joint in range(x.shape[2]) if joint != 3]
    one, other = (array[0, :, kept, :dims] for array in (x, found))
    for array in (one, other):
        array -= array.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(one, axis=-1), np.linalg.norm(other, axis=-1), rtol=1e-3)
    if axis is not None:
        np.testing.assert_allclose(x[..., axis], found[..., axis], rtol=1e-5)
    cosine = np.cos(np.deg2rad(30))
    plane = [place for place in range(dims) if place != axis]
    dots = (one[..., plane] * other[..., plane]).sum(-1) / np.square(one[..., plane]).sum(-1)
    np.testing.assert_allclose(dots, cosine, rtol=1e-2)


def test_sides_are_swapped_in_so_many_frames():
    x, found, layout = degraded("swaps", 0.5)
    swapped = x[:, :, list(layout.mirror)]
    rows = [(found[:, frame] == swapped[:, frame]).all() for frame in range(40)]
    kept = [(found[:, frame] == x[:, frame]).all() for frame in range(40)]
    assert sum(rows) == 20 == sum(kept) and not any(a and b for a, b in zip(rows, kept, strict=True))
