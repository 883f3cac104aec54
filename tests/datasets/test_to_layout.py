"""Data of one estimator as another's: joints by their names, and frame rates."""

import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import (
    DataError,
    Sample,
    SkeletonStore,
    StoreSet,
    StoreWriter,
    convert,
    get_layout,
    layout_map,
    open_recordings,
    read_sequence,
    validate,
)
from skelmae_datasets.transforms.sampling import resample_frames


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def openpose(tmp_path, write_json, walkers):
    """A folder of BODY_25 frames: 4 of one person who moves."""
    for t, frame in enumerate(walkers(1, 4, 25)[0]):
        people = [{"pose_keypoints_2d": np.concatenate([frame, np.full((25, 1), 0.5)], -1).ravel().tolist()}]
        write_json(f"clip/clip_{t}_keypoints.json", {"people": people})
    return tmp_path / "clip"


def test_every_way_in_maps_alike(openpose, tmp_path):
    mapping, told = layout_map("openpose25", "coco17"), str(layout_map("openpose25", "coco17"))
    convert(openpose, tmp_path / "own.h5")
    report = convert(openpose, tmp_path / "to.h5", to="coco17")
    assert report["layout"] == "coco17" and told in report["notes"]
    with SkeletonStore(tmp_path / "own.h5") as own, SkeletonStore(tmp_path / "to.h5") as store:
        expected = mapping.apply(own.read(0), own.channels)
        np.testing.assert_array_equal(store.read(0), expected)
        assert store.layout == get_layout("coco17") and expected.any()
    for path in (openpose, tmp_path / "own.h5"):
        with open_recordings(path, to="coco17") as store:
            np.testing.assert_array_equal(store.read(0), expected)
            copy = pickle.loads(pickle.dumps(store))
            np.testing.assert_array_equal(copy.sample(0).keypoints, expected)
            assert copy.layout.name == "coco17"
            copy.close()
        sequence = read_sequence(path, to="coco17")
        np.testing.assert_array_equal(sequence.sample.keypoints, expected)
        assert sequence.notes[0] == told
        assert told in [problem.key for problem in validate(path, to="coco17") if not problem.error]
        validate(path, tmp_path / "fixed.h5", to="coco17")
        with SkeletonStore(tmp_path / "fixed.h5") as store:
            np.testing.assert_array_equal(store.read(0), expected)
    with StoreSet([tmp_path / "own.h5"]) as stores:
        stores.map_to("coco17")
        np.testing.assert_array_equal(stores.read(0), expected)


def test_inputs_of_several_layouts_become_one(openpose, tmp_path):
    with pytest.raises(
        DataError,
        match=r"a\.pkl: layout: expected openpose25 as in clip \(--to coco17 reads all in one\), found coco17",
    ):
        convert([openpose, _pickle(tmp_path)], tmp_path / "o.h5")
    report = convert([openpose, _pickle(tmp_path)], tmp_path / "o.h5", to="coco17")
    assert report["samples"] == 2 and report["layout"] == "coco17"


def _pickle(tmp_path):
    points = np.random.default_rng(0).uniform(1, 99, (1, 4, 17, 2))
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([{"frame_dir": "v", "keypoint": points, "keypoint_score": np.ones((1, 4, 17))}]))
    return path


def test_what_has_too_little_in_common_is_refused(openpose, tmp_path):
    with pytest.raises(DataError, match="openpose25 to hand21: expected a layout that has a third"):
        convert(openpose, tmp_path / "o.h5", to="hand21")
    assert not (tmp_path / "o.h5").exists()
    (problem,) = [problem for problem in validate(openpose, to="hand21") if problem.error]
    assert problem.key == "openpose25 to hand21"
    assert run("validate", openpose, "--to", "hand21").exit_code == 1


def test_bad_files_are_told_with_other_kinds_too(tmp_path):
    items = [{"frame_dir": f"v{n}", "label": 0, "keypoint": np.ones((1, 4, 17, 2 + n))} for n in range(2)]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(items))
    report = convert(tmp_path / "a.pkl", tmp_path / "o.h5", to="openpose18")
    assert report["samples"] == 1 and report["skipped"][0][0] == "v1"


def store_of(path, keypoints, fps=None, **options):
    options = {"layout": "coco17", "classes": ["a"], "channels": ("x", "y", "score")} | options
    with StoreWriter(path, fps=fps, **options) as writer:
        writer.append(Sample("s", keypoints, 0))
    return path


def straight(frames, rate):
    """(1, T, 17, 3): joints that move along lines, so that interpolation is exact; scores fall."""
    times = np.arange(frames)[:, None] / rate
    x = 100 + 50 * times + np.arange(17)
    return np.stack([x, 200 - x / 4, np.broadcast_to(0.9 - 0.1 * times, x.shape)], -1)[None].astype("float32")


@pytest.mark.parametrize(("rate", "fps"), [(60, 30), (30, 60), (25, 30), (29.97, 12)])
def test_a_known_rate_is_resampled(tmp_path, rate, fps):
    given = straight(50, rate)
    found = resample_frames(given, rate, fps, ("x", "y", "score"))
    expected = straight(found.shape[1], fps)
    assert found.shape[1] == int(49 * fps / rate + 1e-6) + 1
    np.testing.assert_allclose(found[..., :2], expected[..., :2], rtol=1e-5)
    assert (found[..., 2] <= expected[..., 2] + 1e-5).all()  # the lower of the two beside it
    path = store_of(tmp_path / "s.h5", given, rate)
    report = convert(path, tmp_path / "o.h5", fps=fps)
    assert f"1 sequences are resampled from {rate:g} to {fps:g} frames a second" in report["notes"]
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.fps == fps
        np.testing.assert_array_equal(store.read(0), found)


def test_rates_that_are_alike_unknown_or_given(tmp_path, walkers):
    given = straight(9, 30)
    np.testing.assert_array_equal(resample_frames(given, 30, 30, ("x", "y", "score")), given)
    unknown = store_of(tmp_path / "u.h5", given)
    known = store_of(tmp_path / "k.h5", given, 29.97)
    for path in (unknown, known):
        convert(path, tmp_path / "o.h5", fps=30)
        with SkeletonStore(tmp_path / "o.h5") as store:
            assert store.fps == 30
            np.testing.assert_array_equal(store.read(0), given)
    convert(unknown, tmp_path / "o.h5", fps=30, source_fps=60)
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.frames.tolist() == [5] and store.fps == 30
    convert(known, tmp_path / "o.h5", to="openpose18")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.fps == 29.97
    np.save(tmp_path / "c.npy", walkers(1, 9)[0])
    convert(tmp_path / "c.npy", tmp_path / "o.h5", fps=10, source_fps=20)
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.frames.tolist() == [5]
        np.testing.assert_array_equal(store.read(0)[0], walkers(1, 9)[0, ::2])
    for options in ({"fps": 0}, {"source_fps": -1}, {"fps": 10_000, "source_fps": 1e-5}):
        with pytest.raises(DataError):
            convert(tmp_path / "c.npy", tmp_path / "p.h5", strict=True, **options)
    with pytest.raises(ValueError, match="rate, fps"):
        resample_frames(given, 0, 30, ("x", "y", "score"))


def test_the_commands(openpose, tmp_path):
    done = run("convert", openpose, tmp_path / "o.h5", "--to", "coco17", "--fps", 15, "--source-fps", 30)
    assert done.exit_code == 0 and "openpose25 to coco17: 17 of 17 joints" in done.output, done.output
    assert "resampled from 30 to 15" in done.output
    done = run("show", openpose, "--to", "coco17", "--output", tmp_path / "a.png")
    assert done.exit_code == 0 and "openpose25 to coco17" in done.output
    done = run("validate", openpose, "--to", "coco17", "--json")
    assert done.exit_code == 0 and "openpose25 to coco17" in json.loads(done.output)["problems"][-1]["key"]
