"""Batches: what is in them, and that a seed decides them."""

import numpy as np
import pytest

from keras_skelmae.training.feeding import SequenceSource, SkeletonBatches, batches
from skelmae_datasets import Sample, SkeletonStore, StoreWriter
from skelmae_datasets.sampling import uniform_grid_indices

FRAMES = 8


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "s.h5", layout="coco17", classes=["a", "b", "c"], channels=("x", "y", "score"),
                     units="pixels", provenance={}, dtype="float32") as writer:
        for i in range(10):
            people = 1 + i % 2
            keypoints = rng.uniform(10, 200, (people, 5 + 3 * i, 17, 3)).astype("float32")
            keypoints[:, 2] = 0  # nobody was seen in frame 2
            writer.append(Sample(f"s{i}", keypoints, label=i % 3, subject=i % 5))
        writer.set_splits({"train": [f"s{i}" for i in range(8)], "test": ["s8", "s9"]})
    return SkeletonStore(tmp_path / "s.h5")


def all_batches(data):
    return [data[i] for i in range(len(data))]


def test_the_seed_decides_everything(store):
    def epochs(seed):
        data = batches(store, "train", batch_size=4, num_frames=FRAMES, masked=True, seed=seed,
                       augment={"rotate": 0.3, "joint_noise": 0.1, "crop_min": 0.5, "flip": 0.5})
        first = all_batches(data)
        data.on_epoch_end()
        return first + all_batches(data)
    one, again, other = epochs(1), epochs(1), epochs(2)
    for (a,), (b,) in zip(one, again, strict=True):
        np.testing.assert_array_equal(a["keypoints"], b["keypoints"])
        np.testing.assert_array_equal(a["mask"], b["mask"])
    assert any((a[0]["keypoints"] != b[0]["keypoints"]).any() for a, b in zip(one, other, strict=True))
    assert (one[0][0]["keypoints"] != one[2][0]["keypoints"]).any()  # epochs differ


def test_starting_at_an_epoch_gives_that_epochs_batches(store):
    data = batches(store, "train", batch_size=4, num_frames=FRAMES)
    data.on_epoch_end()
    later = batches(store, "train", batch_size=4, num_frames=FRAMES, first_epoch=1)
    for (x, y), (u, v) in zip(all_batches(data), all_batches(later), strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def test_without_training_frames_are_the_middles_of_equal_stretches(store):
    x, y = batches(store, "test", batch_size=4, num_frames=FRAMES, training=False)[0]
    raw = store.read(8)[..., :2]
    assert not raw[:, 2].any() and raw[:, 3].any()  # nobody seen: the frame keeps its place
    np.testing.assert_array_equal(x[0, :1], raw[:, uniform_grid_indices(raw.shape[1], FRAMES)])
    assert not x[0, 1].any() and x[1, 1].any()  # padded with an absent person; the other sequence has two
    np.testing.assert_array_equal(y.argmax(1), [8 % 3, 9 % 3])


def test_shuffling_uses_every_sequence_once_and_drops_the_rest(store):
    data = batches(store, "train", batch_size=3, num_frames=FRAMES)
    assert len(data) == 2
    assert sorted(data.order) == list(range(8))
    assert len(batches(store, "test", batch_size=3, training=False)) == 1


def test_every_person_becomes_a_sequence(store):
    data = SkeletonBatches(SequenceSource(store), store.select("train"), num_people=1, each_person=True,
                           num_frames=FRAMES)
    assert len(data.items) == 4 * 1 + 4 * 2
    for x, _ in all_batches(data):
        assert x.any(axis=(1, 2, 3, 4)).all()


def test_whole_parts_are_masked(store):
    batch, = batches(store, "train", num_frames=FRAMES, batch_size=8, masked={"mask_parts": ("left_arm",)})[0]
    assert batch["mask"].dtype == bool
    np.testing.assert_array_equal(np.flatnonzero(batch["mask"][0, 0, 0]), [7, 9])
    assert (batch["mask"] == batch["mask"][:1, :1, :1]).all()


def test_random_joints_have_equal_counts(store):
    batch, = batches(store, "train", num_frames=FRAMES, batch_size=8,
                     masked={"mask": "joints", "num_masked": 5, "mask_frames": 1})[0]
    assert (batch["mask"].sum(axis=-1) == 5).all()
    assert (batch["mask"][:, :, 0] != batch["mask"][:, :, 1]).any()


@pytest.mark.parametrize("kind", ["parts", "joints", "motion"])
def test_sequences_share_a_mask(kind, store):
    options = {"num_frames": FRAMES, "batch_size": 5, "num_people": 1}
    for share, starts in ((0, [0]), (2, [0, 2, 4]), (1, list(range(5)))):
        data = batches(store, "train", masked={"mask": kind, "num_masked": 2, "mask_sequences": share}, **options)
        mask = data[0][0]["mask"]
        changes = [row for row in range(1, 5) if (mask[row] != mask[row - 1]).any()]
        assert set(changes) <= set(starts) and (share == 0 or changes)
        assert data.shares_mask == (share == 0)


def test_what_is_needed_comes_with_a_shared_mask_alone(store):
    for people, mask, there in ((1, {"mask_sequences": 0}, True), (2, {"mask_sequences": 0}, False), (1, {}, False),
                                (2, {"mask_parts": ("torso", "head")}, True)):
        data = batches(store, "train", num_frames=FRAMES, batch_size=4, num_people=people, masked=mask)
        data.needed = np.flatnonzero
        inputs, = data[1]
        assert ("needed" in inputs) == there
        if there:
            assert (inputs["mask"] == np.isin(np.arange(17), inputs["needed"])).all()


@pytest.mark.parametrize(("lasts", "draws"), [(0, 1), (3, 3), (1, 8)])
def test_motion_masks_share_a_draw_over_a_stretch(lasts, draws, store):
    data = batches(store, "train", num_frames=FRAMES, batch_size=8, seed=1,
                   masked={"mask": "motion", "num_masked": 4, "mask_frames": lasts})
    mask = data[0][0]["mask"]
    assert mask.shape == (8, 2, FRAMES, 17) and (mask.sum(axis=-1) == 4).all()
    stretch = np.arange(FRAMES) // (lasts or FRAMES)
    for number in range(draws):
        part = mask[:, :, stretch == number]
        assert (part == part[:, :, :1]).all()
    assert draws == 1 or (mask != mask[:, :, :1]).any()
    np.testing.assert_array_equal(mask, data[0][0]["mask"])


def test_motion_masks_prefer_what_moves(tmp_path):
    still = np.random.default_rng(0).uniform(10, 90, (1, 1, 17, 2)).repeat(20, axis=1)
    still[:, :, 9] += 50 * np.random.default_rng(1).random((1, 20, 2))  # a wrist that waves
    with StoreWriter(tmp_path / "w.h5", layout="coco17", classes=["a"], channels=("x", "y"), units="pixels",
                     provenance={}, dtype="float32") as writer:
        for i in range(400):
            writer.append(Sample(f"s{i}", still.astype("float32"), label=0))
    data = batches(SkeletonStore(tmp_path / "w.h5"), "all", num_frames=4, num_people=1, batch_size=400,
                   masked={"mask": "motion", "num_masked": 1})
    share = data[0][0]["mask"][:, 0, 0].mean(axis=0)
    wanted = np.exp(1 / 0.75) / (np.exp(1 / 0.75) + 16)
    np.testing.assert_allclose(share[9], wanted, atol=0.06)
    np.testing.assert_allclose(share[[0, 16]], (1 - wanted) / 16, atol=0.04)


def test_two_views_of_a_sequence_differ_in_frames_augmentation_and_joints(store):
    options = {"num_frames": FRAMES, "batch_size": 8, "seed": 3}
    data = batches(store, "train", contrast={"node_drop": 0.2}, augment={"rotate": 0.3, "crop_min": 0.5}, **options)
    batch, = data[0]
    for view in batch.values():
        seen = view.any(axis=-1)  # (B, M, T, V)
        left, frames = seen.any(axis=2, keepdims=True), seen.any(axis=3, keepdims=True)
        np.testing.assert_array_equal(seen, left & frames)  # the same joints are missing in all frames
        assert (left[:, 0].sum(axis=-1) == 17 - round(0.2 * 17)).all()
    one, other = batch["keypoints"], batch["other"]
    assert (one.any(axis=-1) != other.any(axis=-1)).any(axis=(1, 2, 3)).all()
    both = (one.any(axis=-1) & other.any(axis=-1))[:, 0]
    assert (np.abs(one - other)[:, 0][both] > 1e-3).mean() > 0.9
    again, = data[0]
    np.testing.assert_array_equal(other, again["other"])
    # nothing drawn, nothing dropped: both views are the sequence itself
    plain, = batches(store, "train", contrast={"node_drop": 0.0}, training=False, **options)[0]
    wanted, _ = batches(store, "train", training=False, **options)[0]
    for view in plain.values():
        np.testing.assert_array_equal(view, wanted)
    nearly, = batches(store, "train", contrast={"node_drop": 0.99}, **options)[0]
    assert (nearly["other"][:, 0].any(axis=(1, 3)).sum(axis=-1) == 1).all()  # a joint is left


@pytest.mark.parametrize("budget", [0, 20_000, 2**30])
def test_a_full_cache_changes_nothing(store, budget):
    source = SequenceSource(store, budget)
    expected = SequenceSource(store)
    for _ in range(2):
        for index in range(10):
            np.testing.assert_array_equal(source.read(index), expected.read(index))
    assert sum(array.nbytes for array in source.cache.values()) <= max(budget, 0)


def test_clips_of_a_sequence_lie_side_by_side(store):
    x, y = batches(store, "test", batch_size=2, num_frames=FRAMES, training=False, num_clips=3)[0]
    assert x.shape[0] == 6
    np.testing.assert_array_equal(y.argmax(1), [2, 2, 2, 0, 0, 0])


@pytest.mark.parametrize(("options", "message"), [
    ({"augment": {"spin": 1}}, "augment: expected keys"),
    ({"contrast": {"node_drop": 1.0}}, "node_drop: expected a share"),
])
def test_bad_options_are_named(store, options, message):
    with pytest.raises(ValueError, match=message):
        batches(store, "train", **options)
    with pytest.raises(ValueError, match="found an empty selection"):
        SkeletonBatches(store, [])
