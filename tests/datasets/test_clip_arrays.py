"""Plain arrays of one clip, MoveNet's outputs among them: axes told, values never guessed."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert


def save(tmp_path, values, name="clip.npy"):
    np.save(tmp_path / name, values)
    return tmp_path / name


@pytest.mark.parametrize("form", ["TVC", "MTVC", "TMVC"])
def test_axes(read, tmp_path, walkers, form):
    points = walkers(1 if form == "TVC" else 2, 7)
    values = {"TVC": points[0], "MTVC": points, "TMVC": points.swapaxes(0, 1)}[form]
    found, store, report = read(save(tmp_path, values))
    np.testing.assert_array_equal(found, points)
    assert store.ids == ["clip"] and report["read"] == {"array of one clip": 1}
    assert any("axes" in note for note in report["notes"]) == (form != "TVC")


@pytest.mark.parametrize(
    "names", [("keypoints", "scores"), ("keypoint", "keypoint_score"), ("data", "confidence"), ("any", None)]
)
def test_npz_with_scores(read, tmp_path, walkers, names):
    arrays = {names[0]: walkers(2, 7)} | ({names[1]: np.full((2, 7, 17), 0.5)} if names[1] else {})
    np.savez(tmp_path / "c.npz", **arrays)
    found, store, _ = read(tmp_path / "c.npz")
    assert store.has_score == bool(names[1])
    np.testing.assert_array_equal(found[..., :2], walkers(2, 7))


def test_channels_decide_what_is_in_doubt(read, tmp_path, walkers):
    scored = np.concatenate([walkers(1, 5), np.full((1, 5, 17, 1), 0.5)], -1)[0]
    with pytest.raises(DataError, match="--channels x,y,score or x,y,z, found a third value of 0 to 1, in doubt"):
        convert(save(tmp_path, scored), tmp_path / "o.h5")
    found, store, _ = read(tmp_path / "clip.npy", channels="x,y,score")
    assert store.channels == ("x", "y", "score") and (found[..., 2] == 0.5).all()
    metres = np.concatenate([walkers(1, 5) / 100, np.full((1, 5, 17, 1), -2.5)], -1)[0]
    _, store, _ = read(save(tmp_path, metres))
    assert store.channels == ("x", "y", "z") and store.units == "metres"


@pytest.mark.parametrize("shape", [(7, 1, 1, 17, 3), (7, 1, 17, 3)])
def test_movenet(read, tmp_path, walkers, shape):
    points = walkers(1, 7) / 1000
    values = np.concatenate([points[..., ::-1], np.full((1, 7, 17, 1), 0.5)], -1).reshape(shape)
    found, store, _ = read(save(tmp_path, values.astype("float32")))
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-6)
    assert store.channels == ("x", "y", "score") and store.image_size.tolist() == [[1, 1]]
    with pytest.raises(DataError, match="y,x,score"):
        convert(save(tmp_path, values.reshape(7, 17, 3)), tmp_path / "o.h5")
    found, _, _ = read(tmp_path / "clip.npy", channels="y,x,score", image_size=(1000, 1000))
    np.testing.assert_allclose(found[..., :2], walkers(1, 7), rtol=1e-6)


def test_movenet_multipose(read, tmp_path, walkers):
    points, values = walkers(2, 9) / 1000, np.zeros((9, 1, 6, 56), "float32")
    for t in range(9):
        for place, person in enumerate((0, 1) if t % 2 else (1, 0)):  # the model has no ids
            triples = np.concatenate([points[person, t, :, ::-1], np.full((17, 1), 0.5)], -1)
            values[t, 0, place, :51], values[t, 0, place, 55] = triples.ravel(), 0.9
    values[:, 0, 4, :51] = 0.7  # a box of no confidence
    found, _, report = read(save(tmp_path, values))
    np.testing.assert_allclose(found[::-1, ..., :2], points, rtol=1e-6)  # in the order of the first frame
    assert any("MultiPose" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros(3), "docs/own-data.md"),
        (np.zeros((4, 4, 17, 2)), "people and frames of different number"),
        (np.zeros((2, 3, 4, 17, 2)), "people and frames of different number"),
        (np.zeros((5, 17, 7)), "docs/own-data.md"),
        (np.array(["a"]), "array of numbers"),
        (np.zeros((3, 17, 2)), "somebody in one frame"),
        (np.full((3, 17, 2), np.nan), "somebody in one frame"),
    ],
)
def test_faults(tmp_path, values, match):
    with pytest.raises(DataError, match=match):
        convert(save(tmp_path, values), tmp_path / "o.h5")
