"""From a recording of any length to a clip: one object does it for training, evaluation and prediction."""

import json

import keras
import numpy as np
import pytest

from keras_skelmae.data import labelled
from keras_skelmae.models import SkeletonPreprocessor
from skelmae_datasets import DataError, Sample, SkeletonLayout, SkeletonStore, StoreWriter, get_layout


@pytest.mark.parametrize("kind", ["2d", "3d", "score", "small_images"])
def test_config_survives_json(kind, tiny_stores):
    one = SkeletonPreprocessor.for_data(tiny_stores[kind], num_frames=5)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(one)))
    assert config["registered_name"] == "keras_skelmae>SkeletonPreprocessor"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == one.get_config() and again.layout == one.layout


def test_a_store_says_what_its_data_are(tiny_stores):
    found = {kind: SkeletonPreprocessor.for_data(store, normalize="auto") for kind, store in tiny_stores.items()}
    assert found["2d"].clip_shape == (2, 64, 17, 2) and found["3d"].clip_shape == (2, 64, 25, 3)
    assert [one.channels for one in found.values()] == [["x", "y"], ["x", "y", "z"], ["x", "y"], ["x", "y"]]
    assert [one.num_coordinates for one in found.values()] == [2, 3, 2, 2]
    assert [one.normalize for one in found.values()] == ["image", "clip", "image", "image"]
    assert [one.units for one in found.values()] == ["pixels", "metres", "pixels", "pixels"]
    assert found["2d"].image_size == [1080, 1920] and found["small_images"].image_size == [240, 320]
    assert SkeletonPreprocessor.for_data(tiny_stores["score"], use_score=True).channels == ["x", "y", "score"]
    assert SkeletonPreprocessor.for_data(tiny_stores["2d"], num_people=1).num_people == 1
    with pytest.raises(ValueError, match="use_score: expected a score channel"):
        SkeletonPreprocessor.for_data(tiny_stores["2d"], use_score=True)


@pytest.mark.parametrize(("people", "frames"), [(1, 8), (2, 30), (3, 12), (1, 3)])
def test_frames_of_pyskls_sampling_are_taken_as_they_are(people, frames):
    recording = np.random.default_rng(0).normal(size=(people, frames, 17, 2)).astype("float32")
    clip = SkeletonPreprocessor("coco17", num_frames=6, sampling="pyskl")(recording)
    assert clip.shape == (2, 6, 17, 2) and clip.dtype == np.float32
    middles = (2 * np.arange(6) + 1) * frames // 12 if frames >= 6 else np.arange(6) % frames
    kept = min(people, 2)
    np.testing.assert_array_equal(clip[:kept], recording[:kept, middles])
    assert not clip[kept:].any()


@pytest.mark.parametrize("kind", ["2d", "3d", "score", "small_images"])
def test_a_clip_is_what_evaluation_batches(kind, tiny_stores):
    store = tiny_stores[kind]
    preprocessor = SkeletonPreprocessor.for_data(store, num_frames=6, use_score=store.has_score)
    data = labelled(store, "test", preprocessor, batch_size=8, training=False)
    channels = len(preprocessor.channels)
    expected = [preprocessor(store.read(index)[..., :channels]) for index in store.select("test")]
    np.testing.assert_array_equal(data[0][0], np.stack(expected))


def test_clips_by_frame_numbers():
    recording = np.random.default_rng(0).normal(size=(1, 9, 17, 2)).astype("float32")
    found = SkeletonPreprocessor("coco17", num_frames=3).clips(recording, np.array([[0, 4, 8], [8, 8, 1]]))
    assert found.shape == (2, 2, 3, 17, 2)
    np.testing.assert_array_equal(found[:, 0], [recording[0, [0, 4, 8]], recording[0, [8, 8, 1]]])


@pytest.mark.parametrize(
    "shape", [(8, 17, 2), (1, 8, 25, 3), (1, 8, 17, 1), (1, 8, 17, 4), (0, 8, 17, 2), (1, 0, 17, 2)]
)
def test_a_recording_that_does_not_fit_is_named(shape):
    with pytest.raises(ValueError, match=r"keypoints: expected \((M, T|...), 17, 2\).*, found \("):
        SkeletonPreprocessor("coco17")(np.zeros(shape))


def test_a_channel_more_is_a_score_or_refused():
    rng = np.random.default_rng(0)
    x, score = rng.normal(size=(1, 6, 17, 2)), rng.uniform(0.1, 1, (1, 6, 17, 1))
    score[0, 2, 5], score[0, 3, 1] = 0.01, np.nan
    preprocessor = SkeletonPreprocessor("coco17", num_frames=6, num_people=1)
    found = preprocessor(np.concatenate([x, score], axis=-1))
    x[0, 2, 5] = x[0, 3, 1] = 0
    np.testing.assert_allclose(found, x, rtol=1e-6)
    with pytest.raises(ValueError, match="or a score from 0 to 1 as one more, found values from -"):
        preprocessor(rng.normal(size=(1, 6, 17, 3)))
    with pytest.raises(ValueError, match="expected numbers"):
        preprocessor([[[["a", "b"]] * 17]])


def test_joints_not_seen_are_zeros_whatever_says_so():
    x = np.random.default_rng(0).normal(100, 10, (1, 4, 17, 2))
    wanted = x.astype("float32")
    for place, value in (((0, 0, 3), (-1, -1)), ((0, 1, 4), (np.nan, 5)), ((0, 2, 5), (1e39, 5)), ((0, 3, 6), (-1, 7))):
        x[place] = value
        wanted[place] = 0 if value != (-1, 7) else value
    preprocessor = SkeletonPreprocessor("coco17", num_frames=4, num_people=1)
    np.testing.assert_array_equal(preprocessor(x), wanted)


def test_recordings_of_another_image_size_are_scaled_to_the_models():
    x = np.random.default_rng(0).uniform(1, 100, (1, 4, 17, 2)).astype("float32")
    options = {"num_frames": 4, "num_people": 1, "image_size": (480, 640)}
    placed = SkeletonPreprocessor("coco17", normalize="image", **options)
    np.testing.assert_allclose(placed(x, (240, 160)), x * [4, 2], rtol=1e-6)
    np.testing.assert_array_equal(placed(x), x)
    np.testing.assert_array_equal(SkeletonPreprocessor("coco17", **options)(x, (240, 160)), x)


def test_check_refuses_other_units_and_a_coordinate_more(tiny_stores):
    metres = SkeletonPreprocessor(tiny_stores["3d"].layout, ("x", "y"), units="metres")
    with pytest.raises(DataError, match="channels: expected x, y as run takes, found x, y, z"):
        metres.check(tiny_stores["3d"], "run")
    with pytest.raises(DataError, match="units: expected metres as the model takes, found pixels"):
        SkeletonPreprocessor("coco17", units="metres").check(tiny_stores["2d"])


def test_check_refuses_other_joints_their_order_and_other_channels(tiny_stores):
    coco, store = get_layout("coco17"), tiny_stores["2d"]
    SkeletonPreprocessor("coco17").check(store)
    SkeletonPreprocessor("coco17").check(tiny_stores["score"])  # a channel more is left out
    with pytest.raises(DataError, match="layout: expected coco17 in 2D, as the model takes, found ntu25 in 3D"):
        SkeletonPreprocessor("coco17").check(tiny_stores["3d"])
    swapped = coco.to_dict() | {"joints": ["left_eye", "nose", *coco.joints[2:]], "name": "own"}
    with pytest.raises(
        DataError, match="expected own with joint 0 'left_eye', as run takes, found coco17 with joint 0"
    ):
        SkeletonPreprocessor(SkeletonLayout.from_dict(swapped)).check(store, "run")
    renamed = coco.to_dict() | {"name": "own"}
    SkeletonPreprocessor(renamed).check(store)  # a name is not what joints are
    for channels in (("x", "y", "score"), ("x", "y", "z")):
        with pytest.raises(DataError, match=f"channels: expected {', '.join(channels)} as the model takes, found x, y"):
            SkeletonPreprocessor("coco17", channels).check(store)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ("y", "x")}, "channels: expected x, y, then z, score or both"),
        ({"channels": ("x", "y", "speed")}, "channels: expected x, y, then z, score or both"),
        ({"channels": ("x", "y", "score", "z")}, "channels: expected x, y, then z, score or both"),
        ({"num_frames": 0}, "num_frames: expected at least 1, found 0"),
        ({"num_people": 0}, "num_people: expected at least 1, found 0"),
        ({"channels": ("x", "y", "z"), "normalize": "image"}, "normalize: expected clip or none"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SkeletonPreprocessor("coco17", **options)


def test_a_score_beside_three_coordinates(tiny, tmp_path):
    """A store keeps it; a model sees it where `use_score` says so, and augmentation turns the coordinates alone."""
    rng = np.random.default_rng(0)
    with StoreWriter(
        tmp_path / "s.h5", layout="ntu25", classes=["a", "b"], channels=("x", "y", "z", "score")
    ) as writer:
        for number in range(4):
            x = rng.normal(3, 0.5, (1, 12, 25, 4)).astype("float32")
            x[..., 3] = rng.uniform(0.2, 1, x.shape[:3])
            x[0, 3, 4, 3] = 0.005  # as good as not seen
            writer.append(Sample(f"s{number}", x, number % 2))
    with SkeletonStore(tmp_path / "s.h5") as store:
        assert store.units == "metres" and not store.read(0)[0, 3, 4].any()
        plain, scored = (SkeletonPreprocessor.for_data(store, 8, use_score=use) for use in (False, True))
        assert plain.channels == ["x", "y", "z"] and scored.channels == ["x", "y", "z", "score"]
        for preprocessor in (plain, scored):
            preprocessor.check(store)
            recording = store.read(0)
            clip = preprocessor(recording)
            width = len(preprocessor.channels)
            assert clip.shape == (1, 8, 25, width)
            np.testing.assert_array_equal(plain(recording), clip[..., :3])
            given = labelled(store, "all", preprocessor, batch_size=2, augment={"rotate": 0.5, "scale": 0.2})
            scores = given[0][0][..., 3:]
            assert scores.shape[-1] == width - 3 and (scores <= 1).all() and (scores >= 0).all()
        model = tiny.classifier("ntu25", 2, channels=scored.channels, num_frames=8, num_people=1)
        one = model.predict_on_batch(scored(store.read(0))[None])
        changed = store.read(0)
        changed[..., 3] = np.where(changed[..., 3] > 0, 1, 0)
        other = model.predict_on_batch(scored(changed)[None])
        assert np.isfinite(one).all() and np.abs(one - other).max() > 0  # the model sees the scores
