"""3D data whose y is not up: told, and turned only where it is asked for, whatever the file."""

import contextlib
import json
import pickle

import numpy as np
import pytest

from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter, convert, get_layout
from skelmae_datasets.data_export import export_data
from skelmae_datasets.runs.model_inputs import open_inputs
from skelmae_datasets.runs.saved_model import DataForm
from skelmae_datasets.synthetic import write_dataset
from skelmae_datasets.synthetic.generator import generate_motion

TURNS = {"z": lambda x, y, z: (x, -z, y), "-y": lambda x, y, z: (x, -y, -z), "y": lambda x, y, z: (x, y, z)}


def standing(turn):
    return np.stack(turn(*np.moveaxis(generate_motion("wave", frames=(20, 20))[0], -1, 0)), -1)  # (T, 25, 3)


def written(folder, kind, points):
    """A file of (T, 25, 3) points."""
    folder.mkdir(exist_ok=True)
    store = folder / "own.h5"
    with StoreWriter(store, layout="ntu25", classes=["wave"], channels=("x", "y", "z")) as writer:
        writer.append(Sample("a", points[None], 0))
    if kind == "array":
        np.save(folder / "a.npy", points)
    elif kind == "pickle":
        annotation = {"frame_dir": "a", "keypoint": points[None], "label": 0, "total_frames": len(points)}
        (folder / "a.pkl").write_bytes(pickle.dumps([annotation]))
    elif kind == "arrays":
        export_data(store, folder / "a.npz")
    elif kind == "table":
        export_data(store, folder / "a.csv")
    elif kind == "json":
        export_data(store, folder / "jsons")
        return folder / "jsons"
    elif kind == "mocap":
        root, start = points[:, 0], [0, len(points)]
        np.savez(
            folder / "a.npz", root=root, rel=points - root[:, None], start=start, joints=get_layout("ntu25").joints
        )
    return next((path for path in folder.iterdir() if path != store), store)


@pytest.mark.parametrize("kind", ["array", "pickle", "arrays", "table", "json", "mocap", "store"])
@pytest.mark.parametrize("up", TURNS)
def test_another_axis_is_told_and_turned_where_asked_for(tmp_path, kind, up):
    path, out = written(tmp_path / "in", kind, standing(TURNS[up])), tmp_path / "o.h5"
    report = convert([path], out)
    told = [note for note in report["notes"] if note.startswith("bodies stand along ")]
    with SkeletonStore(out) as store:
        np.testing.assert_allclose(store.read(0)[0], standing(TURNS[up]), atol=1e-5)  # nothing is turned unasked
        assert store.notes.count(*told or [""]) == len(told)
    if up == "y":
        assert not told
        return
    assert len(told) == 1 and f"along {up}," in told[0] and f"--up={up} of convert and predict turns" in told[0]
    turned = convert(path, out, up=up)
    assert not any(note.startswith("bodies stand along ") for note in turned["notes"])
    convert(path, tmp_path / "p.h5", up=up, people=1, min_score=0.1)  # by another way: opened as a store first
    for file in (out, tmp_path / "p.h5"):
        with SkeletonStore(file) as store:
            np.testing.assert_allclose(store.read(0)[0], standing(TURNS["y"]), atol=1e-5)
            form = DataForm(store.layout, list(store.channels[:3]), store.units, 8, 1)
    with contextlib.ExitStack() as stack:  # as predict reads it
        opened = open_inputs(stack, form, [path], up=up)
        if kind == "store":
            with pytest.raises(DataError, match="up: expected a recording, found a store: `skelmae convert --up`"):
                list(opened)
            return
        ((_, store),) = opened
        np.testing.assert_allclose(store.read(0)[0], standing(TURNS["y"]), atol=1e-5)


def test_sensors_are_silent_and_lying_bodies_change_nothing(tmp_path):
    write_dataset(tmp_path / "raw", subjects=1, repetitions=1, actions=["wave", "squat"])
    assert not any("stand along" in note for note in convert(tmp_path / "raw", tmp_path / "n.h5")["notes"])
    lying = standing(lambda x, y, z: (y, x, z))
    np.save(tmp_path / "a.npy", lying)
    assert any("unless they lie" in note for note in convert(tmp_path / "a.npy", tmp_path / "o.h5")["notes"])
    with SkeletonStore(tmp_path / "o.h5") as store:
        np.testing.assert_allclose(store.read(0)[0], lying, atol=1e-6)
    for name in "bcd":  # of several recordings most decide
        np.save(tmp_path / f"raw/{name}.npy", standing(TURNS["y"]))
    inputs = [tmp_path / "a.npy", *(tmp_path / f"raw/{name}.npy" for name in "bcd")]
    assert not any("stand along" in note for note in convert(inputs, tmp_path / "o.h5")["notes"])


def test_what_has_no_depth_cannot_be_turned(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).uniform(1, 400, (5, 17, 2)))
    content = {"frames": [{"landmarks": [[{"x": 0.5, "y": 0.5, "z": 0, "visibility": 1}] * 33]}]}
    (tmp_path / "b.json").write_text(json.dumps(content))
    with StoreWriter(tmp_path / "c.h5", layout="coco17", classes=[], channels=("x", "y")) as writer:
        writer.append(Sample("a", np.ones((1, 2, 17, 2))))
    for name in ("a.npy", "b.json", "c.h5"):
        with pytest.raises(DataError, match="up: expected recordings of x, y, z, found x,y"):
            convert(tmp_path / name, tmp_path / "o.h5", up="z")
    with pytest.raises(DataError, match="up: expected one of x, y, z, -x, -y, -z, found w"):
        convert(tmp_path / "a.npy", tmp_path / "o.h5", up="w")
