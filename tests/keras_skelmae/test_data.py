"""Batches: what is in them, and that a seed decides them."""

import numpy as np
import pytest

from keras_skelmae.data import LabelledBatches, MaskedBatches, SequenceSource, ViewBatches, labelled, masked, views
from keras_skelmae.models import SkeletonPreprocessor
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.transforms.sampling import grid_places, interpolate_frames

FRAMES = 8
TWO, ONE = (SkeletonPreprocessor("coco17", num_frames=FRAMES, num_people=people) for people in (2, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten recordings of three classes, every second one of two people; nobody is in frame 2."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("store") / "s.h5"
    header = {"layout": "coco17", "classes": ["a", "b", "c"], "channels": ("x", "y", "score"), "units": "pixels"}
    with StoreWriter(path, provenance={}, dtype="float32", **header) as writer:
        for i in range(10):
            people = 1 + i % 2
            keypoints = rng.uniform(10, 200, (people, 5 + 3 * i, 17, 3)).astype("float32")
            keypoints[..., 2] /= 200  # scores
            keypoints[:, 2] = 0
            writer.append(Sample(f"s{i}", keypoints, label=i % 3, subject=i % 5))
        writer.set_splits({"train": [f"s{i}" for i in range(8)], "test": ["s8", "s9"]})
    with SkeletonStore(path) as opened:
        yield opened


def all_batches(data):
    return [data[i] for i in range(len(data))]


def test_the_seed_decides_everything(store):
    def epochs(seed):
        augment = {"rotate": 0.3, "joint_noise": 0.1, "crop_min": 0.5, "flip": 0.5}
        data = masked(store, "train", TWO, batch_size=4, seed=seed, augment=augment)
        first = all_batches(data)
        data.on_epoch_end()
        return first + all_batches(data)

    one, again, other = epochs(1), epochs(1), epochs(2)
    for (a,), (b,) in zip(one, again, strict=True):
        np.testing.assert_array_equal(a["keypoints"], b["keypoints"])
        np.testing.assert_array_equal(a["mask"], b["mask"])
    assert any((a[0]["keypoints"] != b[0]["keypoints"]).any() for a, b in zip(one, other, strict=True))
    assert (one[0][0]["keypoints"] != one[len(one) // 2][0]["keypoints"]).any()  # epochs differ


def test_beginning_at_a_batch_of_an_epoch_gives_what_comes_there(store):
    data, later = (labelled(store, "train", TWO, batch_size=3) for _ in range(2))
    data.on_epoch_end()
    later.begin(1)
    whole = all_batches(data)
    for (x, y), (u, v) in zip(whole, all_batches(later), strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)
    later.begin(1, 1)
    assert (len(later), later.num_batches_of_epoch) == (1, 2)
    np.testing.assert_array_equal(later[0][0], whole[1][0])
    with pytest.raises(IndexError):
        later[1]
    assert [later.samples(number) for number in range(2)] == [data.samples(number) for number in range(2)]
    np.testing.assert_array_equal(whole[0][1].argmax(1), [int(name[1]) % 3 for name in data.samples(0)])


def test_without_training_clips_are_evenly_spaced_in_time(store):
    data = labelled(store, "test", TWO, batch_size=4, training=False)
    x, y = data[0]
    raw = store.read(8)[..., :2]
    assert not raw[:, 2].any() and raw[:, 3].any()  # nobody seen: the frame keeps its place
    np.testing.assert_array_equal(
        x[0, :1], interpolate_frames(raw, grid_places(raw.shape[1], FRAMES), ("x", "y"))[:, 0]
    )
    assert not x[0, 1].any() and x[1, 1].any()  # padded with an absent person; the other sequence has two
    np.testing.assert_array_equal(y.argmax(1), [8 % 3, 9 % 3])
    np.testing.assert_array_equal(data.labels, [8 % 3, 9 % 3])
    np.testing.assert_array_equal(x[1], TWO(store.read(9)))  # as everywhere else
    looped = SkeletonPreprocessor("coco17", num_frames=FRAMES, sampling="pyskl")
    x, _ = labelled(store, "test", looped, batch_size=4, training=False)[0]
    np.testing.assert_array_equal(x[0, :1], raw[:, (2 * np.arange(FRAMES) + 1) * 29 // (2 * FRAMES)])


def test_a_sequence_without_a_label_has_zeros(tmp_path):
    with StoreWriter(tmp_path / "u.h5", layout="coco17", classes=["a", "b"], channels=("x", "y")) as writer:
        for i, label in enumerate((1, -1)):
            writer.append(Sample(f"s{i}", np.ones((1, 9, 17, 2), "float32"), label=label))
    with SkeletonStore(tmp_path / "u.h5") as unlabelled:
        assert labelled(unlabelled, "all", ONE, training=False)[0][1].tolist() == [[0, 1], [0, 0]]


def test_the_score_comes_with_a_preprocessor_that_takes_it(store):
    seen = SkeletonPreprocessor.for_data(store, FRAMES, use_score=True)
    x, _ = labelled(store, "test", seen, training=False)[0]
    place = grid_places(29, FRAMES)[0, -1]
    before, after = store.read(8)[0, int(place)], store.read(8)[0, int(place) + 1]
    np.testing.assert_array_equal(x[0, 0, -1, :, 2], np.minimum(before, after)[:, 2])
    assert labelled(store, "test", TWO)[0][0].shape[-1] == 2


def test_shuffling_uses_every_sequence_once_and_drops_the_rest(store):
    data = labelled(store, "train", TWO, batch_size=3)
    assert len(data) == 2
    assert sorted(data.order) == list(range(8)) and list(data.order) != list(range(8))
    first = list(data.order)
    data.on_epoch_end()
    assert list(data.order) != first
    assert len(labelled(store, "test", TWO, batch_size=3, training=False)) == 1
    assert len(labelled(store, "test", TWO, batch_size=3)) == 1  # an epoch is never empty


def test_every_person_becomes_a_sequence(store):
    for data in (masked(store, "train", TWO), views(store, "train", TWO, each_person=True)):
        assert len(data.items) == 4 * 1 + 4 * 2
        for (batch,) in all_batches(data):
            assert batch["keypoints"].shape[1:] == (1, FRAMES, 17, 2)
            assert batch["keypoints"].any(axis=(1, 2, 3, 4)).all()
    assert TWO.num_people == 2  # the model's own preprocessor stays as it is
    assert views(store, "train", TWO)[0][0]["other"].shape[1:] == TWO.clip_shape


def test_whole_parts_are_masked(store):
    (batch,) = masked(store, "train", TWO, batch_size=8, masking={"mask_parts": ("left_arm",)})[0]
    assert batch["mask"].dtype == bool and batch["mask"].shape == batch["keypoints"].shape[:4]
    np.testing.assert_array_equal(np.flatnonzero(batch["mask"][0, 0, 0]), [7, 9])
    assert (batch["mask"] == batch["mask"][:1, :1, :1]).all()


def test_random_joints_have_equal_counts(store):
    masking = {"mask": "joints", "num_masked": 5, "mask_frames": 1}
    (batch,) = masked(store, "train", TWO, batch_size=8, masking=masking)[0]
    assert (batch["mask"].sum(axis=-1) == 5).all()
    assert (batch["mask"][:, :, 0] != batch["mask"][:, :, 1]).any()


@pytest.mark.parametrize("kind", ["parts", "joints", "motion"])
def test_sequences_share_a_mask(kind, store):
    for share, starts in ((0, [0]), (2, [0, 2, 4]), (1, list(range(5)))):
        masking = {"mask": kind, "num_masked": 2, "mask_sequences": share}
        data = masked(store, "train", ONE, batch_size=5, masking=masking)
        mask = data[0][0]["mask"]
        changes = [row for row in range(1, 5) if (mask[row] != mask[row - 1]).any()]
        assert set(changes) <= set(starts) and (share == 0 or changes)
        assert data.shares_mask == (share == 0)


@pytest.mark.parametrize(
    ("masking", "shared"),
    [
        ({}, False),
        ({"mask_sequences": 0}, True),
        ({"mask_sequences": 4}, True),  # of a batch of four
        ({"mask_sequences": 0, "mask_frames": 3}, False),
        ({"mask_sequences": 0, "mask_frames": FRAMES}, True),
        ({"mask_parts": ("torso", "head")}, True),
        ({"mask_parts": ("torso", "head"), "mask_frames": 3}, True),
    ],
)
def test_what_a_mask_can_do_without_comes_with_each_batch(masking, shared, store):
    data = masked(store, "train", TWO, batch_size=4, masking=masking)
    assert data.shares_mask == shared
    for (inputs,) in all_batches(data):
        assert (inputs["mask"] == inputs["mask"][:1, :, :1]).all() or not shared
        assert "trim" not in inputs
    data.trim = np.flatnonzero
    for (inputs,) in all_batches(data):
        assert (inputs["mask"] == np.isin(np.arange(17), inputs["trim"])).all() or not shared


@pytest.mark.parametrize(("lasts", "draws"), [(0, 1), (3, 3), (1, 8)])
def test_motion_masks_share_a_draw_over_a_stretch(lasts, draws, store):
    masking = {"mask": "motion", "num_masked": 4, "mask_frames": lasts}
    data = masked(store, "train", TWO, batch_size=8, seed=1, masking=masking)
    mask = data[0][0]["mask"]
    assert mask.shape == (8, 1, FRAMES, 17) and (mask.sum(axis=-1) == 4).all()
    stretch = np.arange(FRAMES) // (lasts or FRAMES)
    for number in range(draws):
        part = mask[:, :, stretch == number]
        assert (part == part[:, :, :1]).all()
    assert draws == 1 or (mask != mask[:, :, :1]).any()
    np.testing.assert_array_equal(mask, data[0][0]["mask"])


def test_motion_masks_prefer_what_moves(tmp_path):
    still = np.random.default_rng(0).uniform(10, 90, (1, 1, 17, 2)).repeat(20, axis=1)
    still[:, :, 9] += 50 * np.random.default_rng(1).random((1, 20, 2))  # a wrist that waves
    header = {"layout": "coco17", "classes": ["a"], "channels": ("x", "y"), "units": "pixels"}
    with StoreWriter(tmp_path / "w.h5", provenance={}, dtype="float32", **header) as writer:
        for i in range(400):
            writer.append(Sample(f"s{i}", still.astype("float32"), label=0))
    with SkeletonStore(tmp_path / "w.h5") as waving:
        short = SkeletonPreprocessor("coco17", num_frames=4, num_people=1)
        data = masked(waving, "all", short, batch_size=400, masking={"mask": "motion", "num_masked": 1})
        share = data[0][0]["mask"][:, 0, 0].mean(axis=0)
    wanted = np.exp(1 / 0.75) / (np.exp(1 / 0.75) + 16)
    np.testing.assert_allclose(share[9], wanted, atol=0.06)
    np.testing.assert_allclose(share[[0, 16]], (1 - wanted) / 16, atol=0.04)


def test_two_views_of_a_sequence_differ_in_frames_augmentation_and_joints(store):
    options = {"batch_size": 8, "seed": 3}
    augment = {"rotate": 0.3, "crop_min": 0.5}
    data = views(store, "train", TWO, view={"node_drop": 0.2, "part_drop": 0.0}, augment=augment, **options)
    (batch,) = data[0]
    for view in batch.values():
        seen = view.any(axis=-1)  # (B, M, T, V)
        left, frames = seen.any(axis=2, keepdims=True), seen.any(axis=3, keepdims=True)
        np.testing.assert_array_equal(seen, left & frames)  # the same joints are missing in all frames
        assert (left[:, 0].sum(axis=-1) == 17 - round(0.2 * 17)).all()
    one, other = batch["keypoints"], batch["other"]
    assert (one.any(axis=-1) != other.any(axis=-1)).any(axis=(1, 2, 3)).all()
    both = (one.any(axis=-1) & other.any(axis=-1))[:, 0]
    assert (np.abs(one - other)[:, 0][both] > 1e-3).mean() > 0.9
    (again,) = data[0]
    np.testing.assert_array_equal(other, again["other"])
    # nothing drawn, nothing dropped: both views are the sequence itself
    (plain,) = views(store, "train", TWO, view={"node_drop": 0.0, "part_drop": 0.0}, training=False, **options)[0]
    wanted, _ = labelled(store, "train", TWO, training=False, **options)[0]
    for view in plain.values():
        np.testing.assert_array_equal(view, wanted)
    (nearly,) = views(store, "train", TWO, view={"node_drop": 0.99, "part_drop": 0.0}, **options)[0]
    assert (nearly["other"][:, 0].any(axis=(1, 3)).sum(axis=-1) == 1).all()  # a joint is left


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_view_may_lack_a_whole_body_part(probability, store):
    (batch,) = views(store, "train", ONE, view={"node_drop": 0.0, "part_drop": probability}, batch_size=8)[0]
    missing = ~batch["keypoints"][:, 0].any(axis=(1, 3))  # (B, V)
    parts = {tuple(sorted(joints)) for joints in store.layout.parts.values()}
    for row in missing:
        assert (tuple(np.flatnonzero(row)) in parts) if probability else not row.any()


@pytest.mark.parametrize("budget", [0, 20_000, 2**30])
def test_a_full_cache_changes_nothing(store, budget):
    source = SequenceSource(store, budget)
    for _ in range(2):
        for index in range(10):
            np.testing.assert_array_equal(source.read(index), store.read(index))
    assert sum(array.nbytes for array in source.cache.values()) <= budget
    assert bool(source.cache) == (budget > 0)


def test_clips_of_a_sequence_lie_side_by_side(store):
    x, y = labelled(store, "test", TWO, batch_size=2, training=False, num_clips=3)[0]
    assert x.shape[0] == 6
    np.testing.assert_array_equal(y.argmax(1), [2, 2, 2, 0, 0, 0])
    for clip, times in zip(x[:3], grid_places(29, FRAMES, 3), strict=True):
        wanted = interpolate_frames(store.read(8)[..., :2], times[None], ("x", "y"))[0, 0]
        np.testing.assert_array_equal(clip[0], wanted)


def test_what_a_model_has_is_what_its_batches_have(store, tiny):
    model = tiny.classifier(num_frames=5, num_people=1, num_classes=3)
    assert labelled(store, "train", model)[0][0].shape[1:] == (1, 5, 17, 2) == model.preprocessor.clip_shape


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (labelled, {"augment": {"spin": 1}}, r"augment: expected keys of \('crop_min', .*, found \['spin'\]"),
        (views, {"view": {"node_drop": 1.0}}, "node_drop: expected a share in 0 <= share < 1, found 1.0"),
        (views, {"view": {"part_drop": 1.5}}, "part_drop: expected a probability, found 1.5"),
    ],
)
def test_bad_options_are_named(make, options, message, store):
    with pytest.raises(ValueError, match=message):
        make(store, "train", TWO, **options)


@pytest.mark.parametrize("kind", [LabelledBatches, MaskedBatches, ViewBatches])
def test_an_empty_selection_and_another_skeleton_are_named(kind, store):
    with pytest.raises(ValueError, match="s.h5: expected at least one sequence, found an empty selection"):
        kind(store, [], TWO)
    with pytest.raises(DataError, match="s.h5: layout: expected ntu25, 25 joints, as the model takes, found coco17"):
        kind(store, [0], SkeletonPreprocessor("ntu25"))
    with pytest.raises(DataError, match="s.h5: channels: expected x, y, z as the model takes, found x, y, score"):
        kind(store, [0], SkeletonPreprocessor("coco17", channels=("x", "y", "z")))


def test_a_split_without_people_is_named(tmp_path):
    with StoreWriter(tmp_path / "e.h5", layout="coco17", classes=["a"], channels=("x", "y")) as writer:
        for i, value in enumerate((0, 0, 1)):
            writer.append(Sample(f"s{i}", np.full((1, 9, 17, 2), value, "float32"), label=0))
    with SkeletonStore(tmp_path / "e.h5") as empty:
        with pytest.raises(ValueError, match="e.h5: expected at least one person, found none in 2 sequences"):
            MaskedBatches(empty, [0, 1], ONE)
        assert MaskedBatches(empty, [0, 1, 2], ONE).items == [(2, 0)]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Classes of 12, 4 and 1 sequences, and one of none."""
    path = tmp_path_factory.mktemp("uneven") / "u.h5"
    labels = np.repeat([0, 1, 3], [12, 4, 1])
    with StoreWriter(path, layout="coco17", classes=list("abcd"), channels=("x", "y")) as writer:
        for number, label in enumerate(labels):
            writer.append(Sample(f"s{number}", np.full((1, 6, 17, 2), number + 1, "float32"), label=int(label)))
    with SkeletonStore(path) as opened:
        yield opened


def test_weights_let_classes_count_alike(uneven):
    batches = labelled(uneven, "all", TWO, batch_size=17, class_balance="weights")
    _, target, weight = batches[0]
    sums = (target * weight[:, None]).sum(axis=0)
    np.testing.assert_allclose(sums, [17 / 3, 17 / 3, 0, 17 / 3], rtol=1e-6)
    assert weight.mean() == pytest.approx(1)
    assert len(labelled(uneven, "all", TWO, training=False, class_balance="weights")[0]) == 2


def test_sampling_gives_classes_as_many_places_and_uses_all_of_a_class(uneven):
    batches = labelled(uneven, "all", TWO, batch_size=17, class_balance="sampling", seed=3)
    plain = labelled(uneven, "all", TWO, batch_size=17, seed=3)
    drawn = []
    for epoch in range(14):
        batches.begin(epoch)
        first = batches[0]
        np.testing.assert_allclose(first[1].sum(axis=0), [6, 6, 0, 5])
        drawn.append(batches.samples(0))
        batches.begin(epoch)
        np.testing.assert_array_equal(batches[0][0], first[0])
    assert len(batches) == len(plain) and {name for epoch in drawn for name in epoch} == set(uneven.ids)
    assert all({f"s{number}" for number in range(12, 16)} <= set(epoch) for epoch in drawn)
    with pytest.raises(ValueError, match="class_balance: expected one of none, weights, sampling, found 'even'"):
        labelled(uneven, "all", TWO, class_balance="even")


def test_without_balance_batches_are_what_they_were(uneven):
    for one, other in zip(
        labelled(uneven, "all", TWO, seed=1)[0],
        labelled(uneven, "all", TWO, seed=1, class_balance="none")[0],
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
