"""mmpose and RTMPose predictions: of videos and images, 17, 26, 133 and 21 joints, 2D and lifted, JSON and pickles."""

import pickle

import numpy as np
import pytest

from skelmae_datasets import DataError, convert, get_layout


def instances(points):
    """Instances of (M, V, D)."""
    box = [[0.0, 0.0, 1.0, 1.0]]
    return [
        {"keypoints": p.tolist(), "keypoint_scores": [0.5] * len(p), "bbox": box, "bbox_score": 0.9} for p in points
    ]


def video(points, first=1):
    frames = [{"frame_id": first + t, "instances": instances(points[:, t])} for t in range(points.shape[1])]
    return {"meta_info": {"dataset_name": "coco"}, "instance_info": frames}


@pytest.mark.parametrize(("joints", "layout"), [(17, "coco17"), (26, "halpe26"), (133, "wholebody133"), (21, "hand21")])
@pytest.mark.parametrize("bare", [False, True])
def test_a_video(read, write_json, walkers, joints, layout, bare):
    points, content = walkers(2, 4, joints), video(walkers(2, 4, joints))
    found, store, report = read(write_json("results_v.json", content["instance_info"] if bare else content))
    np.testing.assert_array_equal(found[..., :2], points)
    assert store.layout.name == layout and (found[..., 2] == 0.5).all() and report["read"] == {"mmpose JSON": 1}


def test_joints_are_taken_by_the_names_of_the_model(read, write_json, walkers):
    points, order, joints = walkers(2, 4), np.random.default_rng(0).permutation(17), get_layout("coco17").joints
    content = video(points[:, :, order])
    content["meta_info"]["keypoint_id2name"] = {str(i): joints[joint] for i, joint in enumerate(order)}
    found, store, _ = read(write_json("v.json", content))
    np.testing.assert_array_equal(found[..., :2], points)
    assert store.layout.name == "coco17"


FINGERS = [f"{side}_hand_{name}" for side in ("left", "right") for name in ("root", *(f"thumb{n}" for n in range(20)))]


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("wholebody133", [*get_layout("wholebody133").joints[:23], *(f"face-{n}" for n in range(68)), *FINGERS]),
        ("hand21", ["wrist", *(f"{name}{n}" for name in ("thumb", "a", "b", "c", "d") for n in range(4))]),
        ("halpe26", list(get_layout("halpe26").joints)),
    ],
)
def test_fingers_and_faces_may_have_other_names(read, write_json, walkers, layout, names):
    points = walkers(2, 4, len(names))
    content = video(points)
    content["meta_info"]["keypoint_id2name"] = dict(enumerate(names))
    found, store, _ = read(write_json("v.json", content))
    np.testing.assert_array_equal(found[..., :2], points)
    assert store.layout.name == layout


def test_an_animal_is_not_taken_for_a_person(write_json, walkers, tmp_path):
    content = video(walkers(1, 4))
    names = [
        "L_Eye",
        "R_Eye",
        "Nose",
        "Neck",
        "Root of tail",
        *(f"{side}_{joint}" for side in "LR" for joint in range(6)),
    ]
    content["meta_info"]["keypoint_id2name"] = dict(enumerate(names))
    with pytest.raises(DataError, match="joints: expected the names of a built-in layout.*found 17: L_Eye"):
        convert(write_json("v.json", content), tmp_path / "o.h5")


def test_frames_of_nobody_and_numbers_with_gaps(read, write_json, walkers):
    content = video(walkers(1, 9))
    content["instance_info"][2]["instances"] = []
    del content["instance_info"][5]
    found, _, _ = read(write_json("v.json", content))
    assert found.any(axis=(0, 2, 3)).tolist() == [t not in (2, 5) for t in range(9)]


def test_images_of_a_folder(read, write_json, walkers):
    points = walkers(2, 4)
    for t in range(4):
        path = write_json(f"predictions/{t:06d}.json", instances(points[:, t]))
    found, store, report = read(path.parent)
    np.testing.assert_array_equal(found[..., :2], points)
    assert report["read"] == {"mmpose JSON, one file a frame": 1} and store.ids == ["predictions"]


def test_a_lifter_gives_three_values(read, write_json, walkers):
    points = np.concatenate([walkers(1, 4), np.ones((1, 4, 17, 1))], -1) / 1000
    found, store, report = read(write_json("v.json", video(points)))
    np.testing.assert_allclose(found[..., :3], points, rtol=1e-6)
    assert (found[..., 3] == 0.5).all() and store.channels == ("x", "y", "z", "score")
    assert store.layout.name == "h36m17" and store.units == "metres"
    assert any("h36m17" in note for note in report["notes"])


def test_pickles_of_a_folder(read, tmp_path, walkers):
    (tmp_path / "p" / "wave").mkdir(parents=True)
    points = walkers(2, 5)
    content = {"keypoint": points.astype("float32"), "keypoint_score": np.full((2, 5, 17), 0.5, "float32")}
    (tmp_path / "p" / "wave" / "a.pkl").write_bytes(pickle.dumps(content))
    (tmp_path / "p" / "wave" / "b.pkl").write_bytes(pickle.dumps(video(points)))
    found, store, _ = read(tmp_path / "p", labels="folders")
    np.testing.assert_array_equal(found[..., :2], points)
    assert store.ids == ["wave/a", "wave/b"] and store.classes == ["wave"]
    (tmp_path / "p" / "wave" / "b.pkl").write_bytes(pickle.dumps(np.random.default_rng(0)))
    with pytest.raises(DataError, match="containers, numbers, text and arrays only"):
        convert(tmp_path / "p", tmp_path / "o.h5", strict=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"instances": 1}, r"instance_info\[2\]\.instances: expected a list"),
        ({"instances": [{"keypoints": []}]}, "expected keypoints and keypoint_scores"),
        ({"instances": [{"keypoints": [[1, 2]], "keypoint_scores": [1]}]}, "17 x 2 numbers as for the first"),
        ({"instances": [{"keypoints": [[1, 2, 3]] * 17, "keypoint_scores": [1] * 17}]}, "17 x 2 numbers"),
        ({"instances": [{"keypoints": [[1, True]] * 17, "keypoint_scores": [[]] * 17}]}, "a score of each joint"),
    ],
)
def test_faults(write_json, walkers, tmp_path, change, match):
    content = video(walkers(1, 4))
    content["instance_info"][2] |= change
    with pytest.raises(DataError, match=match):
        convert(write_json("v.json", content), tmp_path / "o.h5", strict=True)
