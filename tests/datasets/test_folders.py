"""Folders of recordings: classes by folders, links, pickles of one clip, and what a third value is."""

import json
import pickle

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert, convert_arrays, convert_pyskl
from skelmae_datasets.synthetic import write_dataset


def openpose(folder, prefix, frames=4):
    """The files of one clip, one a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for t in range(frames):
        person = {"pose_keypoints_2d": [100.0 + t, 200.0, 0.9] * 25}
        (folder / f"{prefix}_{t:012d}_keypoints.json").write_text(json.dumps({"people": [person]}))


def converted(path, output, **options):
    report = convert(path, output, **options)
    with SkeletonStore(output) as store:
        return dict(zip(store.ids, (store.classes[k] if k >= 0 else None for k in store.labels), strict=True)), report


def test_a_class_of_a_single_clip_keeps_its_name(tmp_path):
    for folder, prefix in (("wave", "a"), ("squat", "b"), ("squat", "c")):
        openpose(tmp_path / "in" / folder, prefix)
    found, _ = converted(tmp_path / "in", tmp_path / "o.h5", labels="folders")
    assert found == {"squat/b": "squat", "squat/c": "squat", "wave/a": "wave"}
    for prefix in "bc":
        for file in (tmp_path / "in" / "squat").glob(f"{prefix}_*"):
            file.unlink()
    openpose(tmp_path / "in" / "squat", "d")
    assert list(converted(tmp_path / "in", tmp_path / "p.h5")[0]) == ["squat", "wave"]  # a folder a clip


def test_links_to_folders_are_followed_and_a_circle_ends(tmp_path):
    for place, prefixes in (("in/squat", "ab"), ("elsewhere", "cd")):
        for prefix in prefixes:
            openpose(tmp_path / place, prefix)
    (tmp_path / "in" / "wave").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "squat" / "back").symlink_to(tmp_path / "in")
    found, _ = converted(tmp_path / "in", tmp_path / "o.h5", labels="folders")
    assert found == {"squat/a": "squat", "squat/b": "squat", "wave/c": "wave", "wave/d": "wave"}


def test_linked_folders_of_skeleton_files(tmp_path):
    raw = write_dataset(tmp_path / "raw", subjects=1, repetitions=1, actions=["wave", "clap"], frames=(8, 8))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "here").symlink_to(tmp_path / "raw")
    report = convert(tmp_path / "in", tmp_path / "o.h5")
    assert report["samples"] == len(raw)


def test_pickles_of_one_clip_have_labels_and_an_image(tmp_path, walkers):
    (tmp_path / "in").mkdir()
    for number in range(3):
        clip = {
            "keypoint": walkers(1, 8),
            "keypoint_score": np.full((1, 8, 17), 0.9),
            "label": number,
            "img_shape": (480, 640),
        }
        (tmp_path / "in" / f"c{number}.pkl").write_bytes(pickle.dumps(clip))
    found, _ = converted(tmp_path / "in", tmp_path / "o.h5")
    assert found == {"c0": "0", "c1": "1", "c2": "2"}
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.image_size.tolist() == [[480, 640]] * 3
    clip["img_shape"] = "wide"
    (tmp_path / "in" / "c0.pkl").write_bytes(pickle.dumps(clip))
    with pytest.raises(DataError, match="c0.pkl: img_shape: expected .height, width., found 'wide'"):
        convert(tmp_path / "in", tmp_path / "p.h5", strict=True)


def test_a_null_among_numbers_is_a_joint_not_seen(tmp_path):
    content = [{"image_id": f"{t}.jpg", "keypoints": [100.0 + t, 200.0, 0.9] * 17, "score": 1} for t in range(4)]
    content[2]["keypoints"][3:5] = [None, None]
    (tmp_path / "a.json").write_text(json.dumps(content))
    convert(tmp_path / "a.json", tmp_path / "o.h5")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.read(0)[0, :, 1].any(axis=-1).tolist() == [True, True, False, True]


def parts_of_an_image(scored):
    x = np.random.default_rng(0).uniform(0.2, 0.8, (1, 12, 17, 3)).astype("float32")
    x[..., 2] = scored
    return x


def test_a_score_beside_parts_of_an_image_is_no_depth(tmp_path):
    """Of the joints that estimators find in images; three values of a body in a room are as they were."""
    points = parts_of_an_image(0.9)
    (tmp_path / "a.pkl").write_bytes(
        pickle.dumps([{"frame_dir": "c", "label": 0, "total_frames": 12, "keypoint": points}])
    )
    np.savez(tmp_path / "a.npz", x_train=points.reshape(1, 12, 51), y_train=[0])
    for function, name, option in ((convert_pyskl, "a.pkl", {}), (convert_arrays, "a.npz", {"layout": "coco17"})):
        with pytest.raises(DataError, match="--channels x,y,score .or x,y,z., found values of 0 to 1, in doubt"):
            function(tmp_path / name, tmp_path / "o.h5", **option)
        for channels in ("x,y,score", "x,y,z"):
            function(tmp_path / name, tmp_path / "o.h5", channels=channels, **option)
            with SkeletonStore(tmp_path / "o.h5") as store:
                assert ",".join(store.channels) == channels
    body = np.random.default_rng(0).uniform(0, 1, (1, 12, 25, 3)).astype("float32")
    (tmp_path / "b.pkl").write_bytes(
        pickle.dumps([{"frame_dir": "c", "label": 0, "total_frames": 12, "keypoint": body}])
    )
    convert_pyskl(tmp_path / "b.pkl", tmp_path / "o.h5")
