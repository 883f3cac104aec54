"""What holds for any input: readers read or refuse, transforms keep absent joints absent, sampling stays in range."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skelmae_datasets import DataError, Sample, SkeletonStore
from skelmae_datasets.layouts import get_layout
from skelmae_datasets.readers.restricted_pickle import restricted_load
from skelmae_datasets.readers.skeleton_text import parse_skeleton
from skelmae_datasets.store import StoreWriter
from skelmae_datasets.transforms.augmentation import augment, random_flip
from skelmae_datasets.transforms.masking import sample_joint_masks, sample_part_masks
from skelmae_datasets.transforms.presence import seen_only
from skelmae_datasets.transforms.sampling import (
    stretch_places,
    uniform_grid_indices,
    uniform_sample_indices,
    uniform_sample_test_indices,
)

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
counts = st.integers(1, 200)
seeds = st.integers(0, 2**32 - 1)
layouts = st.sampled_from(["coco17", "ntu25", "kinect20"])


@st.composite
def clips(draw, dims=2):
    """(layout, clip (B, M, T, V, C)): some joints absent, some people too."""
    layout = get_layout(draw(layouts))
    shape = (draw(st.integers(1, 3)), 2, draw(st.integers(1, 5)), layout.num_joints, dims)
    rng = np.random.default_rng(draw(seeds))
    x = rng.uniform(1, 10.0 ** draw(st.integers(1, 4)), shape).astype("float32")
    x[rng.random(shape[:-1]) < draw(st.floats(0, 1))] = 0
    x[rng.random(shape[:2]) < 0.3] = 0
    return layout, x


@quick
@given(frames=counts, length=counts, low=st.floats(0.01, 1), seed=seeds)
def test_sampled_frames_are_frames_of_the_recording(frames, length, low, seed):
    rng = np.random.default_rng(seed)
    clips = [sample(frames, length, rng, (low, 1.0)) for sample in (uniform_sample_indices, stretch_places)]
    clips += [uniform_grid_indices(frames, length), *uniform_sample_test_indices(frames, length, 3)]
    for indices in clips:
        assert indices.shape == (length,) and 0 <= indices.min() <= indices.max() <= frames - 1
    for indices in clips[1:3]:
        assert (np.diff(indices) >= 0).all()


@quick
@given(clips(), seeds)
def test_augmentation_neither_makes_nor_loses_a_joint(drawn, seed):
    layout, x = drawn
    before = x.copy()
    for change in (
        lambda r: augment(x, r, 2, rotate=0.5),
        lambda r: augment(x, r, 2, scale=0.3),
        lambda r: augment(x, r, 2, shear=0.3),
        lambda r: augment(x, r, 2, joint_noise=0.05),
    ):
        after = change(np.random.default_rng(seed))
        np.testing.assert_array_equal((after != 0).any(-1), (x != 0).any(-1))
        assert np.isfinite(after).all()
        np.testing.assert_array_equal(x, before)  # what comes in is not written to


@quick
@given(clips())
def test_a_mirror_image_of_a_mirror_image_is_the_clip(drawn):
    layout, x = drawn
    twice = x
    for _ in range(2):
        twice = random_flip(twice, np.random.default_rng(0), layout, 1.0)
    np.testing.assert_allclose(twice, x, rtol=1e-4, atol=1e-3 * max(1, abs(x).max()))


@quick
@given(layouts, st.integers(1, 4), st.integers(1, 4), seeds)
def test_masks_leave_something_to_see(name, batch, frames, seed):
    layout, rng = get_layout(name), np.random.default_rng(seed)
    parts = sample_part_masks(layout, (batch, 2, frames), rng)
    assert parts.shape == (batch, 2, frames, layout.num_joints)
    assert parts.any(-1).all() and not parts.all(-1).any()
    for mask in parts.reshape(-1, layout.num_joints):  # whole parts or nothing of them
        assert all(mask[list(joints)].all() or not mask[list(joints)].any() for joints in layout.parts.values())
    joints = sample_joint_masks(layout.num_joints, (batch, 2, frames), 5, rng)
    assert (joints.sum(-1) == 5).all()


@quick
@given(
    st.lists(
        st.tuples(
            arrays.arrays(
                "float32",
                st.tuples(st.integers(1, 2), st.integers(1, 6), st.just(17), st.just(3)),
                elements=st.floats(-1e6, 1e6, width=32),
            ),
            st.integers(-1, 2),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_store_gives_back_what_it_was_given(tmp_path_factory, samples):
    path = tmp_path_factory.mktemp("store") / "s.h5"
    header = {"layout": "coco17", "classes": list("abc"), "channels": ("x", "y", "score"), "units": "pixels"}
    with StoreWriter(path, **header) as writer:
        for number, (keypoints, label) in enumerate(samples):
            writer.append(Sample(f"s{number}", keypoints, label))
    with SkeletonStore(path) as store:
        store.verify()
        for number, (keypoints, label) in enumerate(samples):
            np.testing.assert_array_equal(store.read(number), seen_only(keypoints, header["channels"]))
            assert store.labels[number] == label


@quick
@given(st.one_of(st.binary(max_size=400), st.text("0123456789 .-e\n", max_size=400).map(str.encode)))
def test_any_text_is_a_recording_or_refused(data):
    try:
        parse_skeleton(data)
    except DataError as error:
        assert "\n" not in str(error)


@quick
@given(st.binary(max_size=300))
def test_any_bytes_are_an_annotation_pickle_or_refused(tmp_path, data):
    (tmp_path / "a.pkl").write_bytes(data)
    try:
        restricted_load(tmp_path / "a.pkl")
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["coco17", "ntu25", "kinect20", "openpose18", "h36m17", "hand21"])
def test_layouts_are_read_as_they_are_written(name, tmp_path):
    layout = get_layout(name)
    (tmp_path / "l.toml").write_text(layout.to_toml())
    assert get_layout(str(tmp_path / "l.toml")).to_dict() == layout.to_dict()
