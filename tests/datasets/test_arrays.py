"""Array files of other projects: values, padding, splits, and files that are not what they say."""

import pickle
import zipfile

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert_arrays


def sequence(seed, people=1, frames=5):
    """(M, T, 25, 3)"""
    return np.random.default_rng(seed).normal(0, 1, (people, frames, 25, 3)).astype("float32")


def by_motion(keypoints):
    """(M, T, V, C), the people who move most first."""
    return keypoints[np.argsort(-keypoints.reshape(len(keypoints), -1, 3).astype("float64").var(axis=1).sum(axis=-1))]


def padded(sequences, frames=12):
    """CTR-GCN's (N, T, 150)."""
    rows = np.zeros((len(sequences), frames, 2, 25, 3), "float32")
    for row, s in zip(rows, sequences, strict=True):
        row[: s.shape[1], : len(s)] = s.swapaxes(0, 1)
    return rows.reshape(len(rows), frames, 150)


def save_npz(path, train, test, classes=60, save=np.savez):
    hot = np.eye(classes)
    save(path, x_train=padded(train), y_train=hot[range(len(train))], x_test=padded(test), y_test=hot[[3] * len(test)])
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ctr_gcn_npz(tmp_path, save):
    train = [sequence(0), sequence(1, 2, 12), np.repeat(sequence(2), 2, 0), np.zeros((1, 3, 25, 3))]
    path = save_npz(tmp_path / "NTU60_CS.npz", train, [sequence(5)], save=save)
    report = convert_arrays(path, tmp_path / "s.h5")
    assert report["splits"] == {"xsub_train": 4, "xsub_val": 1} and report["people"] == {1: 4, 2: 1}
    assert report["copied"] == 1 and report["empty"] == 1 and not report["skipped"]
    assert report["benchmark"] is None and not report["partial"] and "too few to be it" in report["notes"][0]
    store = SkeletonStore(tmp_path / "s.h5")
    np.testing.assert_array_equal(store.read(0), train[0])
    np.testing.assert_array_equal(store.read(1), by_motion(train[1]))
    np.testing.assert_array_equal(store.read(2), train[2][:1])
    assert store.labels.tolist() == [0, 1, 2, 3, 3] and store.classes[3] == "brushing hair" and store.units == "metres"
    report = convert_arrays(save_npz(tmp_path / "own.npz", train, [sequence(5)], 7), tmp_path / "s.h5")
    assert list(report["splits"]) == ["train", "test"] and report["benchmark"] is None and not report["counts"]


def save_npy(folder, part, sequences, labels, ending="_data_joint", frames=12):
    array = np.zeros((len(sequences), 3, frames, sequences[0].shape[2], 2), "float32")
    for row, s in zip(array, sequences, strict=True):
        row[:, : s.shape[1], :, : len(s)] = s.transpose(3, 1, 2, 0)
    np.save(folder / f"{part}{ending}.npy", array)
    names = [f"S001C00{1 + i}P00{2 + i}R001A00{1 + k}.skeleton" for i, k in enumerate(labels)]
    (folder / f"{part}_label.pkl").write_bytes(pickle.dumps((names, labels)))


def test_st_gcn_npy(tmp_path):
    train, val = [sequence(0), sequence(1, 2)], [sequence(2, 1, 12)]
    save_npy(tmp_path, "train", train, [0, 2])
    save_npy(tmp_path, "val", val, [1], "_data")
    convert_arrays(tmp_path, tmp_path / "s.h5")
    store = SkeletonStore(tmp_path / "s.h5")
    assert store.ids[:2] == ["S001C001P002R001A001", "S001C002P003R001A003"] or len(set(store.ids)) == 3
    for index, expected in enumerate(train):
        np.testing.assert_array_equal(store.read(index), by_motion(expected))
    assert store.splits["train"].tolist() == [0, 1] and store.subject.tolist()[:2] == [2, 3]
    np.save(tmp_path / "train_num_frame.npy", np.array([3, 5]))
    (tmp_path / "train_label.pkl").unlink()
    np.save(tmp_path / "train_label.npy", np.array([[4], [5]]))
    convert_arrays(tmp_path / "train_data_joint.npy", tmp_path / "s.h5")
    store = SkeletonStore(tmp_path / "s.h5")
    assert store.frames.tolist() == [3, 5] and store.classes == ["4", "5"] and store.ids[0] == "train-000000"


def test_st_gcn_kinetics_is_put_back_into_0_to_1(tmp_path):
    points = np.zeros((1, 4, 18, 3), "float32")
    points[..., :10, :] = (-0.25, 0.25, 0.9)
    save_npy(tmp_path, "val", [points], [0], "_data")
    convert_arrays(tmp_path / "val_data.npy", tmp_path / "s.h5")
    store = SkeletonStore(tmp_path / "s.h5")
    assert store.layout.name == "openpose18" and store.channels == ("x", "y", "score") and store.units == "pixels"
    np.testing.assert_allclose(store.read(0)[0, 0, 0], [0.25, 0.75, 0.9], rtol=1e-6)
    assert not store.read(0)[0, 0, 10:].any() and store.image_size.tolist() == [[1, 1]]


def write(path, array):
    np.save(path, array, allow_pickle=True)


def cut(path, array):
    np.save(path, array)
    path.write_bytes(path.read_bytes()[:-100])


def claim(path, array):
    np.save(path, array)
    path.write_bytes(path.read_bytes().replace(b"(2, 3,", b"(9, 3,"))


GOOD = np.ones((2, 3, 4, 25, 1), "float32")


@pytest.mark.parametrize(
    ("save", "array", "match"),
    [
        (write, np.array([{}, None]), "numbers"),
        (write, np.asfortranarray(GOOD), "Fortran"),
        (write, GOOD[0], "C 2 or 3"),
        (cut, GOOD, "bytes for shape"),
        (claim, GOOD, "bytes for shape"),
        (lambda path, _: path.write_bytes(b"text"), 0, "npy"),
    ],
)
def test_bad_npy(tmp_path, save, array, match):
    np.save(tmp_path / "a_label.npy", np.zeros(2, int))
    save(tmp_path / "a_data.npy", array)
    with pytest.raises(DataError, match=match):
        convert_arrays(tmp_path / "a_data.npy", tmp_path / "s.h5")
    assert not (tmp_path / "s.h5").exists()


def test_bad_npz_and_labels(tmp_path):
    path = save_npz(tmp_path / "a.npz", [sequence(0)], [sequence(1)], 5)
    whole = path.read_bytes()
    at = whole.index(b"x_test") - 20_000
    spoilt = whole[:at] + b"\xff" * 50 + whole[at + 50 :]
    for content in (b"", whole[:500], spoilt, whole.replace(b"x_test", b"z_test")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz"):
            convert_arrays(path, tmp_path / "s.h5")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # a bomb: rows that are announced, not there
        archive.writestr("y_train.npy", whole[:0])
        archive.writestr("x_train.npy", b"\0" * 10_000_000)
    with pytest.raises(DataError, match="y_train"):
        convert_arrays(path, tmp_path / "s.h5")
    save_npy(tmp_path, "b", [sequence(0)], [0])
    for content in (([], []), (["a"], [1.5]), (["a"], [10**5000]), "x"):
        (tmp_path / "b_label.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match="b_label.pkl"):
            convert_arrays(tmp_path / "b_data_joint.npy", tmp_path / "s.h5")
    assert not (tmp_path / "s.h5").exists()
