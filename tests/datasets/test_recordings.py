"""One code path: a file opened is the file converted, whatever its kind."""

import pickle
import tempfile

import h5py
import numpy as np
import pytest

from skelmae_datasets import (
    DataError,
    SkeletonStore,
    convert_arrays,
    convert_csv,
    convert_ntu,
    convert_pyskl,
    get_layout,
    open_recordings,
    read_sequence,
    validate,
)
from skelmae_datasets.readers.recordings import SUFFIXES, kind_of
from skelmae_datasets.synthetic import write_dataset


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """dict kind -> (path, convert_*)."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    raw = write_dataset(folder / "raw", subjects=2, repetitions=1, actions=["wave", "handshake"], frames=(12, 14))
    items = []
    for number in range(3):  # three persons, the best scores last
        scores = np.linspace(0.1, 0.9, 3)[:, None, None] * np.ones((3, 4, 17))
        points = rng.uniform(1, 99, (3, 4, 17, 2))
        items.append({"frame_dir": f"v{number}", "label": 2 * number, "img_shape": (99, 99), "keypoint": points})
        items[-1]["keypoint_score"] = scores
    (folder / "a.pkl").write_bytes(pickle.dumps(items))
    x, y = rng.normal(size=(2, 5, 150)).astype("float32"), np.eye(3)[:2]
    np.savez(folder / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (folder / "arrays").mkdir()
    np.save(folder / "arrays" / "train_data.npy", rng.normal(size=(2, 3, 6, 25, 2)).astype("float32"))
    np.save(folder / "arrays" / "train_label.npy", np.array([1, 0]))
    joints = get_layout("coco17").joints
    lines = [f"{s},{t},{p},{j},{t + 1},{2 + p},{s}" for s in "ab" for t in range(3) for p in range(2) for j in joints]
    (folder / "t.csv").write_text("\n".join(["sample,frame,person,joint,x,y,label", *lines]))
    convert_ntu(folder / "raw", folder / "s.h5")
    return {
        "folder": (folder / "raw", convert_ntu),
        "file": (raw[0], convert_ntu),
        "pickle": (folder / "a.pkl", convert_pyskl),
        "npz": (folder / "own.npz", convert_arrays),
        "npy": (folder / "arrays" / "train_data.npy", convert_arrays),
        "arrays": (folder / "arrays", convert_arrays),
        "table": (folder / "t.csv", convert_csv),
        "store": (folder / "s.h5", None),
    }


KINDS = ("folder", "file", "pickle", "npz", "npy", "arrays", "table", "store")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_opened_is_what_is_converted(files, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path, convert = files[kind]
    for options in ({}, {"people": 1}) if convert else ({},):
        made = tmp_path / "s.h5" if convert else path
        if convert:
            convert(path, made, **options)
        with open_recordings(path, **options) as found, SkeletonStore(made) as expected:
            assert found.fingerprint == expected.fingerprint and found.path == path
            for index in range(len(expected)):
                np.testing.assert_array_equal(found.read(index), expected.read(index))
            found.verify()
            sequence = read_sequence(path, expected.ids[-1])
            assert sequence.sample.id == expected.ids[-1] and sequence.layout == expected.layout
    assert not list((tmp_path / "temporary").iterdir()), "the temporary store is gone"


def test_people_come_best_first(files):
    with open_recordings(files["pickle"][0], people=2) as store:
        assert store.read(0)[:, 0, 0, 2].tolist() == pytest.approx([0.9, 0.5])


def test_a_single_recording(files, tmp_path):
    path = tmp_path / "any name.skeleton"
    path.write_bytes(files["file"][0].read_bytes())
    with open_recordings(path) as store:
        assert store.ids == ["any name"] and store.labels.tolist() == [-1] and store.layout.name == "ntu25"
    with (
        open_recordings(path, joints="coco17") as flat,
        open_recordings(files["folder"][0], joints="coco17") as all_flat,
    ):
        assert flat.channels == ("x", "y") and flat.layout.name == "coco17"
        np.testing.assert_array_equal(flat.read(0), all_flat.read(all_flat.ids.index(files["file"][0].stem)))
    path.write_bytes(b"1\nno body count")
    for strict in (True, False):
        with pytest.raises(DataError, match=r"^any name\.skeleton: value 1: expected a number"):
            open_recordings(path, strict=strict).__enter__()


@pytest.mark.parametrize("kind", ["pickle", "npz", "npy", "arrays", "table", "folder", "store"])
def test_errors_name_the_file_of_the_user(files, kind):
    path = files[kind][0]
    with open_recordings(path) as store:
        other = "coco17" if store.layout.num_joints == 25 else "ntu25"
        for call in (lambda: store.select("nowhere"), lambda: store.select("subject=99")):
            with pytest.raises(DataError) as error:
                call()
            assert str(error.value).startswith(f"{path}: ") and tempfile.gettempdir() + "/skelmae-" not in str(
                error.value
            )
    with pytest.raises(DataError, match="joint") as error, open_recordings(path, other):
        pass
    assert path.name in str(error.value) and "skelmae-" not in str(error.value)
    with pytest.raises(DataError, match=f"{path.name}: sample: expected an id such as .*, found 'nobody'"):
        read_sequence(path, "nobody")


def test_a_bad_sample_is_raised_or_left_out(files, tmp_path):
    items = pickle.loads(files["pickle"][0].read_bytes())
    items[1]["total_frames"] = 7
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(items))
    with pytest.raises(DataError, match=r"b\.pkl: annotations\[1\]\.total_frames: expected 4, found 7"):
        open_recordings(tmp_path / "b.pkl").__enter__()
    with open_recordings(tmp_path / "b.pkl", strict=False) as store:
        assert store.ids == ["v0", "v2"] and store.classes == ["0", "2", "4"] and store.labels.tolist() == [0, 2]
    assert read_sequence(tmp_path / "b.pkl").action == "0"
    with pytest.raises(DataError, match="found 'v1'; 1 left out as bad"):
        read_sequence(tmp_path / "b.pkl", "v1")


@pytest.mark.parametrize("name", ["a.txt", "a.toml", "a.tar.gz", "noend"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(
        DataError, match="suffix: expected .skeleton, .pkl, .pickle, .h5, .hdf5, .npz, .npy, .csv"
    ) as error:
        open_recordings(tmp_path / name).__enter__()
    assert name in str(error.value)


def test_kinds_are_told_by_suffix_and_content(tmp_path):
    assert {kind_of(f"x{suffix.upper()}") for suffix in SUFFIXES} == {
        "skeletons",
        "annotations",
        "store",
        "arrays",
        "table",
        "clips",
    }
    with pytest.raises(DataError, match=r"a folder with .* or \.skeleton files, found an empty folder"):
        kind_of(tmp_path)
    (tmp_path / "a.npy").touch()
    assert kind_of(tmp_path) == "clips"
    (tmp_path / "train_data.npy").touch()
    assert kind_of(tmp_path) == "arrays"
    for name in ("absent", "absent.pkl", "absent.skeleton", "absent.h5"):
        with pytest.raises(FileNotFoundError) as error:
            open_recordings(tmp_path / name).__enter__()
        assert error.value.filename == str(tmp_path / name)


OTHERS = ["a.jsonl", "a.parquet", "a.txt", "mocap/a.xlsx"]


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_estimators_name_the_way(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    path = tmp_path / name.partition("/")[0]
    with pytest.raises(DataError, match="make a table of it, docs/own-data.md") as error:
        validate(path)
    assert "\n" not in str(error.value)


def test_another_hdf5_file_and_another_npy_name_the_way(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tracks"] = np.zeros(3)
    np.save(tmp_path / "a.npy", np.zeros(3))
    for name in ("a.h5", "a.npy"):
        assert "docs/own-data.md" in str(validate(tmp_path / name)[0])


@pytest.mark.parametrize("kind", ["pickle", "npz", "npy", "table", "folder"])
def test_only_a_store_is_replaced_without_force(files, tmp_path, kind):
    path, convert = files[kind]
    output = tmp_path / "o.h5"
    for _ in range(2):
        convert(path, output)
    for text in (b"a thesis", b"\x89HDF\r\n\x1a\n and no store"):
        output.write_bytes(text)
        with pytest.raises(
            DataError, match="output: expected a new file or a store .--force replaces any., found another"
        ):
            convert(path, output)
        assert output.read_bytes() == text
    convert(path, output, force=True)
    SkeletonStore(output).verify()


def test_a_layout_of_ones_own(tmp_path):
    (tmp_path / "l.toml").write_text(
        'name = "pair"\njoints = ["top", "end"]\nedges = [["end", "top"]]\n[parts]\nall = ["top", "end"]\n'
    )
    item = {"frame_dir": "a", "label": 0, "keypoint": np.ones((1, 3, 2, 2)), "img_shape": (9, 9)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([item, item | {"frame_dir": "b", "label": 1}]))
    assert "--layout NAME or FILE.toml for 2 joints" in str(validate(tmp_path / "a.pkl")[0])
    assert validate(tmp_path / "a.pkl", layout=str(tmp_path / "l.toml")) == []
    assert read_sequence(tmp_path / "a.pkl", layout=str(tmp_path / "l.toml")).layout.name == "pair"


@pytest.mark.parametrize("name", ["clip.npz", "x_clip.npz", "motion.npz"])
def test_an_archive_of_an_unknown_version_is_refused(name, tmp_path):
    file = tmp_path / name
    np.savez(file, keypoints=np.zeros((4, 17, 2)), root=np.zeros((4, 3)))
    content = bytearray(file.read_bytes())
    for at in range(len(content) - 4):
        if content[at : at + 4] in (b"PK\x01\x02", b"PK\x03\x04"):  # central directory, members
            content[at + (6 if content[at + 2] == 1 else 4)] = 109
    file.write_bytes(content)
    with pytest.raises(DataError, match=name), open_recordings(file):
        pass
