"""AlphaPose's results and COCO's of the same form: one list for all frames."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert


def results(points, image="{}.jpg", ids=None, score=0.5):
    """A list for (M, T, V, 2)."""
    return [
        {
            "image_id": image.format(t) if isinstance(image, str) else image + t,
            "category_id": 1,
            "keypoints": [value for x, y in points[m, t].tolist() for value in (x, y, score)],
            "score": 2.5,
        }
        | ({"idx": ids[m]} if ids else {})
        for t in range(points.shape[1])
        for m in range(points.shape[0])
    ]


@pytest.mark.parametrize(("joints", "layout"), [(17, "coco17"), (26, "halpe26")])
@pytest.mark.parametrize(("image", "ids"), [("{}.jpg", None), ("frame_{:05d}.png", [3, 8]), (139, [[1], [2]])])
def test_golden(read, write_json, walkers, joints, layout, image, ids):
    points = walkers(2, 12, joints)
    found, store, report = read(write_json("alphapose-results.json", results(points, image, ids)))
    np.testing.assert_array_equal(found[..., :2], points)
    assert store.layout.name == layout and report["read"] == {"AlphaPose JSON": 1}


def test_frames_without_people_are_gaps(read, write_json, walkers):
    content = [person for person in results(walkers(1, 9)) if person["image_id"] not in ("4.jpg", "5.jpg")]
    found, _, _ = read(write_json("a.json", content))
    assert found.any(axis=(0, 2, 3)).tolist() == [t not in (4, 5) for t in range(9)]


def test_pose_flow(read, write_json, walkers):
    points, content = walkers(2, 4), {}
    for person in results(points, ids=[1, 2]):
        content.setdefault(person.pop("image_id"), []).append(person)
    found, _, _ = read(write_json("alphapose-results-forvis-tracked.json", content))
    np.testing.assert_array_equal(found[..., :2], points)


def test_scores_above_1_are_told(read, write_json, walkers):
    _, _, report = read(write_json("a.json", results(walkers(1, 4), score=4.5)))
    assert any("scores up to 4.5 are left as they are" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"image_id": None}, r"\[3\]: expected image_id and keypoints"),
        ({"keypoints": [1.0] * 50}, r"\[3\]\.keypoints: expected 51 numbers as for the first person"),
        ({"keypoints": "x"}, r"\[3\]\.keypoints: expected numbers"),
        ({"keypoints": [10**400] + [1] * 50}, r"\[3\]\.keypoints: expected numbers"),
    ],
)
def test_faults(write_json, walkers, tmp_path, change, match):
    content = results(walkers(1, 6))
    content[3] |= change
    with pytest.raises(DataError, match=match):
        convert(write_json("a.json", content), tmp_path / "o.h5", strict=True)
