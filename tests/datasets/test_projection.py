"""3D recordings to views: motion capture read, ids, labels and splits carried over, faults named."""

import os
from pathlib import Path

import numpy as np
import pytest

from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter, open_recordings, project_recordings
from skelmae_datasets.layouts import get_layout

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
COCO = get_layout("coco17")


def arrays(**changes):
    """Two sequences of 5 and 7 frames."""
    rng = np.random.default_rng(0)
    rel = rng.normal(size=(12, 17, 3)).astype("float16")
    root = rng.normal(size=(12, 3)).astype("float32")
    own = {"rel": rel, "root": root, "start": [0, 5, 12], "joints": COCO.joints, "name": ["a", "b"], "fps": 30}
    own |= {"action": ["walk", "jump"], "source": ["lab", "home"], "subject": ["s2", "s1"]}
    return {key: np.asarray(value) for key, value in (own | changes).items() if value is not None}


@pytest.fixture
def mocap(tmp_path):
    np.savez(tmp_path / "mocap.npz", **arrays())
    return tmp_path / "mocap.npz"


def test_motion_capture_is_read(mocap):
    with open_recordings(mocap) as store:
        assert store.ids == ["a", "b"] and store.channels == ("x", "y", "z") and store.layout == COCO
        assert [store.classes[label] for label in store.labels] == ["walk", "jump"]
        assert store.select("subject=s1").tolist() == [1] and store.splits["home"].tolist() == [1]
        values = arrays()
        np.testing.assert_array_equal(store.read(1)[0], values["root"][5:, None] + values["rel"][5:].astype("float32"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": [0, 5, 13]}, "start: expected rising numbers from 0 to 12"),
        ({"start": [0, 5, 5]}, "start: expected rising numbers"),
        ({"root": np.zeros((11, 3))}, r"root: expected numbers \(12, 3\), found float64 \(11, 3\)"),
        ({"joints": COCO.joints[::-1]}, "joints: expected the names of a built-in layout, or --layout"),
        ({"name": ["a"]}, r"name: expected \(2,\) texts"),
        ({"rel": np.zeros((12, 17, 2))}, r"rel: expected numbers \(F, V, 3\)"),
        ({"action": np.array(["walk", None], object)}, "a sound .npz archive without pickles"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_faults_of_motion_capture_name_file_and_key(change, told, tmp_path):
    np.savez(tmp_path / "bad.npz", **arrays(**change))
    with pytest.raises(DataError, match=f"bad.npz: .*{told}") as caught:
        project_recordings(tmp_path / "bad.npz", tmp_path / "out.h5")
    assert "\n" not in str(caught.value) and not (tmp_path / "out.h5").exists()


def test_views_have_the_labels_and_splits_of_their_sequence(mocap, tmp_path):
    report = project_recordings(mocap, tmp_path / "out.h5", views=3, seed=1)
    assert report["samples"] == 6 and report["splits"] == {"home": 3, "lab": 3}
    with SkeletonStore(tmp_path / "out.h5") as store:
        assert store.ids[:4] == ["a-view0", "a-view1", "a-view2", "b-view0"] and store.channels == ("x", "y", "score")
        assert store.camera.tolist() == [0, 1, 2] * 2 and store.select("subject=s2").tolist() == [0, 1, 2]
        assert [store.classes[label] for label in store.labels[::3]] == ["walk", "jump"]
        assert store.image_size.tolist() == [[240, 320]] * 6 and store.frames.tolist() == [5] * 3 + [7] * 3
        assert not np.array_equal(store.read(0), store.read(1))
        first = [store.read(index) for index in range(6)]
    project_recordings(mocap, tmp_path / "more.h5", views=4, seed=1)
    with SkeletonStore(tmp_path / "more.h5") as store:
        for index, name in enumerate(["a-view0", "a-view1", "a-view2", "b-view0"]):
            np.testing.assert_array_equal(store.read(store.ids.index(name)), first[index], "more views change none")


def test_3d_views_of_another_layout_without_errors_keep_bone_lengths(mocap, tmp_path):
    report = project_recordings(mocap, tmp_path / "out.h5", dims=3, layout="h36m17", clean=True)
    assert report["layout"] == "h36m17" and "pelvis = mean of left_hip, right_hip" in report["notes"][0]
    with SkeletonStore(tmp_path / "out.h5") as store, open_recordings(mocap) as recorded:
        assert store.channels == ("x", "y", "z") and store.units == "metres"
        knee, ankle = (store.layout.joints.index(f"left_{joint}") for joint in ("knee", "ankle"))
        one = np.linalg.norm(store.read(0)[:, :, knee] - store.read(0)[:, :, ankle], axis=-1)
        two = np.linalg.norm(recorded.read(0)[:, :, 13] - recorded.read(0)[:, :, 15], axis=-1)
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_what_cannot_be_projected_is_told_with_its_file(tmp_path, mocap):
    with StoreWriter(tmp_path / "flat.h5", layout="coco17", classes=["a"], channels=("x", "y")) as writer:
        writer.append(Sample("one", np.ones((1, 3, 17, 2))))
    with pytest.raises(DataError, match="flat.h5: channels: expected x,y,z in metres, .* found x,y in pixels"):
        project_recordings(tmp_path / "flat.h5", tmp_path / "out.h5")
    with pytest.raises(DataError, match="mocap.npz: coco17 to hand21: expected"):
        project_recordings(mocap, tmp_path / "out.h5", layout="hand21")
    with pytest.raises(ValueError, match="views 1 or more"):
        project_recordings(mocap, tmp_path / "out.h5", views=0)


def test_real_motion_capture_is_read():
    path = DATA / "mocap_coco17_30fps.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with open_recordings(path) as store:
        assert (
            len(store) == 2194
            and store.layout == COCO
            and set(store.splits) == {"cmu-daz", "reactidle", "uiprmd-vicon"}
        )
        pose = store.read(0)[0, 0]
        assert 1 < np.ptp(pose[:, 1]) < 2.2 and pose[0, 1] > pose[15, 1], "metres, y up"
