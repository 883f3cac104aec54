"""Kinetics-skeleton: a JSON file a clip, that says its class."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert


def clip(points, label="wave", first=1):
    """JSON of (M, T, 18, 2)."""
    data = [
        {
            "frame_index": first + t,
            "skeleton": [{"pose": p.ravel().tolist(), "score": [0.5] * 18} for p in points[:, t]],
        }
        for t in range(points.shape[1])
    ]
    return {"data": data, "label": label, "label_index": 3}


def test_golden(read, write_json, walkers):
    points = walkers(2, 4, 18) / 1000
    found, store, report = read(write_json("k.json", clip(points)))
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-6)
    assert store.layout.name == "openpose18" and store.classes == ["wave"] and store.image_size.tolist() == [[1, 1]]
    assert report["read"] == {"Kinetics-skeleton JSON": 1}
    found, store, _ = read(write_json("k.json", clip(points)), image_size=(1000, 1000))
    np.testing.assert_allclose(found[..., :2], points * 1000, rtol=1e-6)


def test_a_folder_has_its_classes(read, write_json, walkers):
    for name, label in (("a", "wave"), ("b", "kick"), ("c", "wave")):
        path = write_json(f"k/{name}.json", clip(walkers(1, 3, 18) / 1000, label))
    _, store, _ = read(path.parent)
    assert store.ids == ["a", "b", "c"] and store.classes == ["kick", "wave"] and store.labels.tolist() == [1, 0, 1]
    _, store, _ = read(path.parent, classes=["wave", "run", "kick"])
    assert store.labels.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"data": [{"skeleton": 1}]}, r"data\[0\]\.skeleton: expected a list"),
        ({"data": [{"skeleton": [{"pose": [1, 2]}]}]}, "expected pose and score"),
        ({"data": [{"skeleton": [{"pose": [1.0] * 36, "score": [1.0]}]}]}, "expected 18 scores"),
        ({"label": [1, 2]}, "label: expected a class name"),
    ],
)
def test_faults(write_json, walkers, tmp_path, change, match):
    path = write_json("k.json", clip(walkers(1, 3, 18) / 1000) | change)
    with pytest.raises(DataError, match=match):
        convert(path, tmp_path / "o.h5", strict=True)
