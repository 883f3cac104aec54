"""From one layout to another by names: published maps, what is derived and missing, presence and scores."""

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonLayout, get_layout, layout_map, layout_names
from skelmae_datasets.layout_map import advised
from skelmae_datasets.layouts import NTU25_TO_COCO17

XYS = ("x", "y", "score")
BODIES = [name for name in layout_names() if name != "hand21"]


def told(found):
    """dict target joint -> names of the source joints."""
    return {
        joint: tuple(found.source.joints[index] for index in sources)
        for joint, sources in zip(found.target.joints, found.sources, strict=True)
    }


@pytest.mark.parametrize("name", layout_names())
def test_a_layout_maps_onto_itself_unchanged(name):
    found = layout_map(name, name)
    assert found.sources == tuple((joint,) for joint in range(found.source.num_joints))
    assert not found.derived and not found.missing.any()
    x = np.random.default_rng(0).normal(size=(2, 4, found.source.num_joints, 3)).astype("float32")
    np.testing.assert_array_equal(found.apply(x, ("x", "y", "z")), x)


def test_ntu_to_coco_is_the_map_of_convert_ntu_without_eyes_and_ears():
    found = layout_map("ntu25", "coco17")
    for joint, (sources, source) in enumerate(zip(found.sources, NTU25_TO_COCO17, strict=True)):
        assert sources == (() if 1 <= joint <= 4 else (source,))
    assert found.derived == (0,) and found.missing.nonzero()[0].tolist() == [1, 2, 3, 4]


def test_known_maps():
    hips, shoulders = ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")
    ntu = told(layout_map("coco17", "ntu25"))
    assert ntu["spine_base"] == hips and ntu["spine_shoulder"] == ntu["neck"] == shoulders
    assert ntu["spine_middle"] == hips + shoulders and ntu["head"] == ("left_ear", "right_ear")
    assert not ntu["left_hand"] and not ntu["right_foot"]
    assert told(layout_map("ntu25", "kinect20"))["shoulder_center"] == ("spine_shoulder",)
    assert told(layout_map("ntu25", "openpose18"))["neck"] == ("spine_shoulder",), "OpenPose's is between the shoulders"
    assert told(layout_map("ntu25", "h36m17"))["neck"] == ("neck",)
    assert not told(layout_map("h36m17", "coco17"))["nose"], "the top of the head is no nose"
    assert told(layout_map("mediapipe33", "ntu25"))["left_hand"] == ("left_pinky", "left_index")
    assert told(layout_map("openpose25", "kinect20"))["left_foot"] == ("left_big_toe", "left_small_toe")
    assert told(layout_map("mediapipe33", "openpose25"))["right_big_toe"] == ("right_foot_index",)


@pytest.mark.parametrize("source", BODIES)
@pytest.mark.parametrize("target", [name for name in BODIES if name != "wholebody133"])  # too few of its joints
def test_left_stays_left_and_the_mirror_may_come_before_or_after(source, target):
    found = layout_map(source, target)
    x = np.random.default_rng(1).normal(size=(3, found.source.num_joints, 3))
    mirrored = found.apply(x[:, found.source.mirror], ("x", "y", "z"))
    np.testing.assert_allclose(mirrored, found.apply(x, ("x", "y", "z"))[:, found.target.mirror])
    for joint, origins in told(found).items():
        assert len(origins) != 1 or joint.partition("_")[0] not in ("left", "right") or origins[0][:4] == joint[:4]


def test_a_derived_joint_is_seen_where_all_its_sources_are_and_scored_as_the_least():
    found, coco = layout_map("coco17", "h36m17"), get_layout("coco17")
    left, right = coco.joints.index("left_hip"), coco.joints.index("right_hip")
    x = np.ones((2, 17, 3), "float32")
    x[:, left], x[:, right] = (10, 20, 0.9), (20, 40, 0.3)
    x[1, left] = 0
    y = found.apply(x, XYS)
    np.testing.assert_allclose(y[0, 0], (15, 30, 0.3), rtol=1e-6)
    assert not y[1, 0].any() and not y[1, 4].any() and y[1, 1].any()


def test_the_option_is_advised_where_it_works():
    coco, openpose, hand = map(get_layout, ("coco17", "openpose25", "hand21"))
    assert advised((openpose, coco)) == advised((coco, openpose), (openpose, coco)) == "--to coco17"
    assert advised((coco, openpose)) == "--to openpose25" and advised((hand, coco), (coco, hand)) == ""
    own = type(coco).from_dict(coco.to_dict() | {"name": "own"})
    assert advised((openpose, own)) == "--to FILE.toml of own", "no command knows it by its name"


def test_what_was_done_is_told():
    text = str(layout_map("kinect20", "coco17"))
    assert text == (
        "kinect20 to coco17: 13 of 17 joints. derived: nose = head. missing: left_eye, right_eye, left_ear, right_ear"
    )
    assert "mid_hip = mean of left_hip, right_hip" in str(layout_map("openpose18", "openpose25"))


@pytest.mark.parametrize(("source", "target"), [("hand21", "coco17"), ("ntu25", "hand21")])
def test_layouts_with_too_little_in_common_are_refused(source, target):
    with pytest.raises(DataError, match=f"{source} to {target}.*a third of the .* joints .* found 0") as caught:
        layout_map(source, target)
    assert "\n" not in str(caught.value)


def test_own_layouts_map_by_name_too():
    names = ["Head", "neck", "pelvis", "left-elbow", "right elbow"]
    own = SkeletonLayout.from_dict({"name": "own", "joints": names, "edges": [[0, 1]], "parts": {"all": names}})
    five = SkeletonLayout.from_dict(own.to_dict() | {"name": "five", "joints": [*names[:2], "nose", *names[3:]]})
    assert told(layout_map(own, five)) == dict(
        zip(five.joints, [(n,) for n in ["Head", *names[1:2], "Head", *names[3:]]], strict=True)
    )
    assert told(layout_map("ntu25", own))["left-elbow"] == ("left_elbow",)


def test_another_number_of_joints_is_refused():
    with pytest.raises(DataError, match=r"\(\.\.\., 17, 3\) \(coco17\), found \(4, 25, 3\)"):
        layout_map("coco17", "ntu25").apply(np.zeros((4, 25, 3)), XYS)
