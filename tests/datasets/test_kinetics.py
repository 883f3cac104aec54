"""Kinetics' header-only pickle with its kpfiles, and 2D people by score."""

import pickle

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert_pyskl


def make(folder, counts=(2, 0, 12, 1)):
    """One annotation whose frames have so many skeletons; the points of skeleton i are all i."""
    folder.mkdir(exist_ok=True)
    total = sum(counts)
    frames = np.repeat(np.arange(len(counts)), counts).astype("int16")
    points = np.ones((total, 17, 3), "float16") * np.arange(1, total + 1)[:, None, None]
    points[..., 2] = 0.5
    (folder / "k0.pkl").write_bytes(pickle.dumps({"clip": {"keypoint": points}}))
    box = np.linspace(0.1, 0.9, total).astype("float16")
    return {
        "frame_dir": "clip",
        "label": 0,
        "img_shape": (240, 320),
        "total_frames": len(counts),
        "raw_file": "data/k400/k0.pkl",
        "frame_inds": frames,
        "box_score": box,
    }


def convert(tmp_path, annotations, **options):
    (tmp_path / "k400_hrnet.pkl").write_bytes(pickle.dumps({"split": {"val": ["clip"]}, "annotations": annotations}))
    return convert_pyskl(tmp_path / "k400_hrnet.pkl", tmp_path / "s.h5", **options)


def test_headers_alone_are_refused_with_an_explanation(tmp_path):
    with pytest.raises(DataError, match="Kinetics form, whose keypoints are in kpfiles"):
        convert(tmp_path, [make(tmp_path / "kp")])


def test_kpfiles_are_regrouped_by_frame(tmp_path):
    bad = make(tmp_path / "kp") | {"frame_dir": "gone"}
    absent = make(tmp_path / "kp") | {"frame_dir": "a", "raw_file": "/etc/passwd"}
    report = convert(tmp_path, [bad, make(tmp_path / "kp"), absent], kpfiles=tmp_path / "kp")
    assert report["samples"] == 1 and report["splits"] == {"val": 1} and report["crowded"] == 1
    assert "passwd" in str(report["skipped"]) and str(tmp_path / "kp") in str(report["skipped"])
    points = SkeletonStore(tmp_path / "s.h5").read(0)[..., 0, 0]  # (M, T)
    assert points.shape == (10, 3), "the frame without a skeleton is gone, ten people are the most"
    assert points[:, 0].tolist() == [2, 1, *[0] * 8] and points[:, 1].tolist() == [14 - i for i in range(10)]
    assert convert(tmp_path, [make(tmp_path / "kp")], kpfiles=tmp_path / "kp", people=2)["people"] == {2: 1}


@pytest.mark.parametrize("change", [{"frame_inds": np.zeros(3, "int16")}, {"raw_file": 5}, {"frame_inds": None}])
def test_what_does_not_fit_is_told(tmp_path, change):
    with pytest.raises(DataError):
        convert(tmp_path, [make(tmp_path / "kp") | change], kpfiles=tmp_path / "kp")


def test_people_are_ordered_by_score(tmp_path):
    score = np.zeros((4, 6, 17), "float16")
    score[:] = np.array([0.2, 0.9, 0.1, 0.5])[:, None, None]
    points = np.ones((4, 6, 17, 2), "float16") * np.arange(1, 5)[:, None, None, None]
    many = {"frame_dir": "clip", "label": 0, "total_frames": 6, "keypoint": points, "keypoint_score": score}
    two = many | {"frame_dir": "two", "keypoint": points[:2], "keypoint_score": score[:2]}
    report = convert(tmp_path, [many, two])
    assert report["crowded"] == 1 and report["people"] == {2: 1, 4: 1}
    store = SkeletonStore(tmp_path / "s.h5")
    assert store.read(0)[:, 0, 0, 0].tolist() == [2, 4, 1, 3]
    assert store.read(1)[:, 0, 0, 0].tolist() == [2, 1]
    convert(tmp_path, [many, two], people=1)
    assert SkeletonStore(tmp_path / "s.h5").read(0)[:, 0, 0, 0].tolist() == [2]
