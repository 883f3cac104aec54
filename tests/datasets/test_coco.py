"""COCO keypoint annotations: images in order, flags, several videos."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert, get_layout


def annotations(points, name="{:06d}.jpg", first=0, flag=2):
    """The file of (M, T, 17, 2)."""
    people, frames = points.shape[:2]
    images = [{"id": first + t, "file_name": name.format(t), "width": 640, "height": 480} for t in range(frames)]
    found = [
        {
            "id": 100 + frames * m + t,
            "image_id": first + t,
            "category_id": 1,
            "num_keypoints": 17,
            "keypoints": [value for x, y in points[m, t].tolist() for value in (x, y, flag)],
        }
        for m in range(people)
        for t in range(frames)
    ]
    return {"images": images, "annotations": found, "categories": [{"id": 1, "name": "person"}]}


def test_golden(read, write_json, walkers):
    points, content = walkers(2, 12), annotations(walkers(2, 12))
    content["annotations"][3]["keypoints"][2] = 0  # joint 0 of person 0 in frame 3
    content["annotations"][4]["keypoints"][2] = 1
    found, store, report = read(write_json("person_keypoints.json", content))
    points[0, 3, 0] = 0
    np.testing.assert_array_equal(found[::-1], points)  # the first has a joint less
    assert store.channels == ("x", "y") and store.image_size.tolist() == [[480, 640]]
    assert any("flags 0, 1, 2" in note for note in report["notes"])


def test_images_without_people_and_boxes_alone_are_gaps(read, write_json, walkers):
    content = annotations(walkers(1, 6))
    del content["annotations"][2]
    content["annotations"][3] |= {"num_keypoints": 0, "keypoints": [0] * 51}
    found, _, _ = read(write_json("c.json", content))
    assert found.any(axis=(0, 2, 3)).tolist() == [True, True, False, True, False, True]


def test_several_videos_are_as_many_clips(read, write_json, walkers):
    one, two = annotations(walkers(1, 3), "wave/{}.jpg"), annotations(walkers(1, 4), "kick/{}.jpg", 10)
    content = {key: one[key] + two[key] for key in ("images", "annotations")}
    _, store, _ = read(write_json("c.json", content))
    assert store.ids == ["c-wave", "c-kick"] and store.frames.tolist() == [3, 4]
    for image in content["images"]:
        image["video_id"] = image["id"] // 10
    _, store, _ = read(write_json("c.json", content))
    assert store.ids == ["c-0", "c-1"]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("images", [1], r"images\[0\]\.id"),
        ("annotations", [{"image_id": 99}], r"annotations\[0\]\.image_id: expected the id of an image"),
        ("annotations", [{"image_id": 0, "keypoints": [1, 2]}], "x, y, score of each joint"),
        ("annotations", [], "somebody in one frame"),
    ],
)
def test_faults(write_json, walkers, tmp_path, key, value, match):
    with pytest.raises(DataError, match=match):
        convert(write_json("c.json", annotations(walkers(1, 3)) | {key: value}), tmp_path / "o.h5", strict=True)


COCO, POSETRACK = get_layout("coco17").joints, ("nose", "head_bottom", "head_top", *get_layout("coco17").joints[3:])


def test_joints_are_taken_by_the_names_of_their_category(read, write_json, walkers):
    points, order = walkers(2, 12), np.random.default_rng(0).permutation(17)
    content = annotations(points[:, :, order])
    content["categories"][0]["keypoints"] = [COCO[joint] for joint in order]
    found, store, _ = read(write_json("a.json", content))
    np.testing.assert_array_equal(found, read(write_json("b.json", annotations(points)))[0])
    assert store.layout.name == "coco17"


def test_names_of_no_layout_are_refused_where_their_number_fits(write_json, walkers, tmp_path):
    content = annotations(walkers(1, 3))
    content["categories"][0]["keypoints"] = POSETRACK
    with pytest.raises(DataError, match="joints: expected the names of a built-in layout.*found 17: nose, head_bottom"):
        convert(write_json("c.json", content), tmp_path / "o.h5")
    assert not (tmp_path / "o.h5").exists()
    content["categories"][0]["keypoints"] = COCO[:3]
    with pytest.raises(DataError, match=r"c.json: categories\[0\].keypoints: expected 17 names.*found 3"):
        convert(write_json("c.json", content), tmp_path / "o.h5")


def test_people_of_two_categories_of_other_joints(write_json, walkers, tmp_path):
    content = annotations(walkers(1, 3))
    content["categories"] = [{"id": id, "keypoints": names} for id, names in ((1, COCO), (2, COCO[::-1]))]
    content["annotations"][0]["category_id"] = 2
    with pytest.raises(DataError, match="annotations: expected people of one category"):
        convert(write_json("c.json", content), tmp_path / "o.h5")
