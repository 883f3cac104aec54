"""OpenPose folders: one JSON file a frame, in the forms of its versions and of AlphaPose's writers."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert


def frame(points, key="pose_keypoints_2d", identity=-1, version=1.3):
    """A frame's JSON of (M, V, 2), scores 0.5."""
    people = []
    for person in points:
        flat = [value for x, y in person.tolist() for value in (x, y, 0.5)]
        people.append({"person_id": [identity], key: flat, "face_keypoints_2d": [], "hand_left_keypoints_2d": []})
    return {"version": version, "people": people}


def folder(write_json, points, name="op/clip_{:012d}_keypoints.json", **options):
    for number in range(points.shape[1]):
        path = write_json(name.format(number), frame(points[:, number], **options))
    return path.parent


@pytest.mark.parametrize(("joints", "layout"), [(25, "openpose25"), (18, "openpose18")])
def test_a_folder_is_a_clip(read, write_json, walkers, joints, layout):
    points = walkers(2, 5, joints)
    found, store, report = read(folder(write_json, points))
    np.testing.assert_array_equal(found[..., :2], points)
    assert (found[..., 2] == 0.5).all() and store.ids == ["op"] and store.layout.name == layout
    assert store.channels == ("x", "y", "score") and store.labels.tolist() == [-1]
    assert report["read"] == {"OpenPose JSON, one file a frame": 1}


def test_gaps_stay_and_order_of_people_does_not_matter(read, write_json, walkers):
    points = walkers(2, 13, 25)
    path = folder(write_json, points)
    write_json("op/clip_000000000003_keypoints.json", frame(points[:0, 3]))
    write_json("op/clip_000000000005_keypoints.json", frame(points[::-1, 5]))
    (path / "clip_000000000008_keypoints.json").unlink()  # a frame that is not there
    found, _, report = read(path)
    expected = points.copy()
    expected[:, [3, 8]] = 0
    np.testing.assert_array_equal(found[..., :2], expected)
    assert "2 frames between others in which nobody was seen stay empty" in report["notes"]


def test_zeros_are_joints_not_seen(read, write_json, walkers):
    points = walkers(1, 3, 25)
    points[0, 1, 7] = 0
    content = frame(points[:, 1])
    content["people"][0]["pose_keypoints_2d"][23] = 0  # x, y and score of joint 7
    path = folder(write_json, points)
    write_json("op/clip_000000000001_keypoints.json", content)
    found, _, _ = read(path)
    assert not found[0, 1, 7].any() and found[0, 1, 8].all()


def test_frames_count_by_number_and_not_by_text(read, write_json, walkers):
    points = walkers(1, 11, 25)
    found, _, _ = read(folder(write_json, points, "op/v-{}.json"))
    np.testing.assert_array_equal(found[..., :2], points)


def test_several_clips_of_a_folder_and_folders_of_classes(read, write_json, walkers):
    points = walkers(1, 3, 25)
    for name in ("wave/a", "wave/b", "kick/a"):
        folder(write_json, points, f"set/{name}_{{:03d}}_keypoints.json")
    path = folder(write_json, points, "set/kick/deep/{:03d}_keypoints.json").parents[1]
    _, store, report = read(path, labels="folders")
    assert store.ids == ["kick/a", "kick/deep", "wave/a", "wave/b"] and store.classes == ["kick", "wave"]
    assert store.labels.tolist() == [0, 0, 1, 1]
    folder(write_json, points, "set/c_{:03d}_keypoints.json")
    _, store, report = read(path, labels="folders")
    assert store.labels.tolist() == [-1, 0, 0, 1, 1] and "1 of 5 sequences have no label" in report["notes"]
    _, store, report = read(path)
    assert store.classes == [] and "folders may name classes: --labels folders takes them" in report["notes"]


@pytest.mark.parametrize("key", ["pose_keypoints", "bodies"])
def test_older_forms_and_cmu(read, write_json, walkers, key):
    points = walkers(1, 3, 18)
    for number in range(3):
        content = frame(points[:, number], "joints" if key == "bodies" else key, version=0.1)
        content = {"version": 0.1, "bodies": content["people"]} if key == "bodies" else content
        path = write_json(f"op/{number}.json", content)
    np.testing.assert_array_equal(read(path.parent)[0][..., :2], points)


def test_people_of_whom_only_a_hand_is_seen_are_nobody(read, write_json, walkers):
    path = folder(write_json, walkers(1, 3, 25))
    content = frame(walkers(2, 3, 25)[:, 1])
    content["people"][1]["pose_keypoints_2d"] = []
    write_json("op/clip_000000000001_keypoints.json", content)
    assert read(path)[0].shape == (1, 3, 25, 3)


def test_coordinates_of_0_to_1_are_told_or_made_pixels(read, write_json, walkers):
    points = walkers(1, 3, 25)
    path = folder(write_json, points / [1000, 500])
    found, store, report = read(path)
    np.testing.assert_allclose(found[..., :2], points / [1000, 500], rtol=1e-6)
    assert store.image_size.tolist() == [[1, 1]] and any("--image-size" in note for note in report["notes"])
    found, store, report = read(path, image_size=(1000, 500))
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-6)
    assert store.image_size.tolist() == [[500, 1000]] and not report["notes"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "not an empty file"),
        ('{"people": [', "expected JSON"),
        ('{"version": 1.3, "people": [{"pose_keypoints_2d": [NaN, 1, 1]}]}', "NaN, which JSON has not"),
        ({"people": [7]}, r"people\[0\]: expected an object, found 7"),
        ({"people": [{"pose": []}]}, r"people\[0\]\.pose_keypoints_2d: expected the key"),
        ({"people": [{"pose_keypoints_2d": [1, "2", 3] * 25}]}, r"people\[0\]\..*: expected numbers, found '2'"),
        ({"people": [{"pose_keypoints_2d": [1, 2, 3] * 24}]}, "as for the first person"),
        ({"people": [{"pose_keypoints_2d": 5}]}, "expected numbers"),
        ({"boxes": []}, "expected OpenPose JSON as in the other files"),
        ("[" * 100_000, "little more than brackets"),
    ],
)
def test_faults_are_told_in_one_line(read, write_json, walkers, tmp_path, content, match):
    path = folder(write_json, walkers(1, 3, 25))
    write_json("op/clip_000000000001_keypoints.json", content)
    with pytest.raises(DataError, match=match) as error:
        convert(path, tmp_path / "o.h5", strict=True)
    assert str(error.value).startswith("clip_000000000001_keypoints.json: ") and "\n" not in str(error.value)
    assert not (tmp_path / "o.h5").exists()


def test_an_empty_folder_and_nobody(write_json, tmp_path):
    write_json("op/a_0_keypoints.json", {"version": 1.3, "people": []})
    with pytest.raises(DataError, match="somebody in one frame or more"):
        convert(tmp_path / "op", tmp_path / "o.h5")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError):
        convert(tmp_path / "none", tmp_path / "o.h5")


def test_a_number_of_joints_that_no_layout_has(write_json, walkers, tmp_path):
    with pytest.raises(DataError, match="--layout NAME or FILE.toml for 15 joints"):
        convert(folder(write_json, walkers(1, 2, 15)), tmp_path / "o.h5")
