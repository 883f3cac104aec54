"""YOLO-pose: text labels a frame with and without confidence and ids, and the JSON of results."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert


def line(points, tail="", score=" 0.5"):
    return "0 0.5 0.5 0.2 0.6 " + " ".join(f"{x:.6f} {y:.6f}{score}" for x, y in points) + tail + "\n"


def labels(folder, points, tails, score=" 0.5", first=1):
    """A folder of text for (M, T, V, 2); tails: what ends the line of each person."""
    folder.mkdir(parents=True, exist_ok=True)
    for t in range(points.shape[1]):
        text = "".join(line(p, tail, score) for p, tail in zip(points[:, t], tails, strict=True))
        (folder / f"video_{first + t}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("tails", [("", ""), (" 0.9", " 0.8"), (" 4", " 7"), (" 0.9 4", " 0.8 7")])
def test_a_folder_of_labels(read, tmp_path, walkers, tails):
    points = walkers(2, 12) / [1000, 500]
    path = labels(tmp_path / "labels", points, tails)
    found, store, report = read(path)
    np.testing.assert_allclose(found[..., :2], points, atol=1e-6)
    assert (found[..., 2] == 0.5).all() and store.ids == ["labels"] and store.layout.name == "coco17"
    assert report["read"] == {"YOLO-pose text, one file a frame": 1}
    found, _, _ = read(path, image_size=(1000, 500))
    np.testing.assert_allclose(found[..., :2], walkers(2, 12), atol=1e-3)


def test_frames_without_a_file_are_gaps(read, tmp_path, walkers):
    path = labels(tmp_path / "labels", walkers(1, 9) / 1000, [""])
    for number in (3, 4):
        (path / f"video_{number}.txt").unlink()
    found, _, _ = read(path)
    assert found.shape[1] == 9 and found.any(axis=(0, 2, 3)).tolist() == [t not in (2, 3) for t in range(9)]


def test_other_texts_beside_labels_are_not_read(read, tmp_path, walkers):
    path = labels(tmp_path / "labels", walkers(1, 3) / 1000, [""])
    (path / "classes.txt").write_text("person\n")
    assert "1 other files are not read" in read(path)[2]["notes"]


def test_training_labels_have_flags(read, tmp_path, walkers):
    points = walkers(1, 3) / 1000
    path = labels(tmp_path / "labels", points, [""], " 2")
    (path / "video_2.txt").write_text(line(points[0, 1], "", " 2").replace(" 2", " 0", 1).replace(" 2", " 1", 1))
    found, store, _ = read(path)
    assert store.channels == ("x", "y") and not found[0, 1, 0].any() and found[0, 1, 1:].any(-1).all()


@pytest.mark.parametrize(("joints", "layout", "score"), [(17, "coco17", ""), (21, "hand21", " 0.5")])
def test_other_numbers_of_joints_and_no_scores(read, tmp_path, walkers, joints, layout, score):
    points = walkers(1, 3, joints) / 1000
    found, store, _ = read(labels(tmp_path / "l", points, [""], score))
    assert store.layout.name == layout and store.has_score == bool(score)
    np.testing.assert_allclose(found[..., :2], points, atol=1e-6)


def test_numbers_that_fit_several_forms_are_asked_for(read, tmp_path, walkers):
    path = labels(tmp_path / "l", walkers(1, 3, 18) / 1000, [" 0.9"], " 0.5")  # 55: 18 x 3 + 1; others fit too?
    _, store, _ = read(path, layout="openpose18")
    assert store.layout.name == "openpose18"
    path = labels(tmp_path / "m", walkers(1, 3, 5) / 1000, [""], " 0.5")
    with pytest.raises(DataError, match="--layout says which"):
        convert(path, tmp_path / "o.h5")


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.2 x\n", "0 0.5 0.5 0.2 0.6 0.1\n", b"\xff\xfe\0\n", "0 0.1 0.2\n" * 2])
def test_faults(tmp_path, walkers, text):
    path = labels(tmp_path / "l", walkers(1, 3) / 1000, [""])
    data = text if isinstance(text, bytes) else text.encode()
    (path / "video_2.txt").write_bytes(data)
    with pytest.raises(DataError) as error:
        convert(path, tmp_path / "o.h5", strict=True)
    assert "video_2.txt" in str(error.value)


def result(points, identity=None, score=0.5):
    """A frame of `Results.to_json` for (M, V, 2)."""
    found = []
    for number, person in enumerate(points):
        x, y = person.T.tolist()
        keypoints = {"x": x, "y": y} | ({"visible": [score] * len(x)} if score else {})
        found.append({"name": "person", "class": 0, "confidence": 0.9, "box": {}, "keypoints": keypoints})
        if identity:
            found[-1]["track_id"] = identity + number
    return found


@pytest.mark.parametrize("score", [0.5, None])
def test_results_of_a_video_and_of_frames(read, write_json, walkers, score):
    points = walkers(2, 4)
    frames = [result(points[:, t], 3, score) for t in range(4)]
    found, store, report = read(write_json("r.json", frames))
    np.testing.assert_array_equal(found[..., :2], points)
    assert report["read"] == {"Ultralytics JSON": 1} and store.has_score == bool(score)
    for t in range(4):
        path = write_json(f"frames/r_{t}.json", frames[t] if t != 2 else [])
    found, _, report = read(path.parent)
    assert report["read"] == {"Ultralytics JSON, one file a frame": 1} and not found[:, 2].any() and found[:, 3].any()


@pytest.mark.parametrize("keypoints", [{}, {"x": [1], "y": [1, 2]}, {"x": [], "y": []}, 5, {"x": ["1"], "y": [1]}])
def test_faults_of_results(write_json, walkers, tmp_path, keypoints):
    frames = [result(walkers(1, 4)[:, t]) for t in range(4)]
    frames[2][0]["keypoints"] = keypoints
    with pytest.raises(DataError, match=r"r\.json: \[2\]\[0\]\.keypoints|r\.json: \[2\]\[0\]"):
        convert(write_json("r.json", frames), tmp_path / "o.h5", strict=True)
