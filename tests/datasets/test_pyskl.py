"""Annotation pickles: the restricted reader, validation, class names, labels, real files."""

import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert_pyskl
from skelmae_datasets.readers.restricted_pickle import restricted_load

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def annotation(i, **changes):
    rng = np.random.default_rng(i)
    values = {
        "frame_dir": f"v{i}",
        "label": i,
        "img_shape": (240, 320),
        "original_shape": (240, 320),
        "total_frames": 4 + i,
    }
    values["keypoint"] = rng.uniform(0, 240, (1, 4 + i, 17, 2)).astype("float16")
    values["keypoint_score"] = rng.uniform(0, 1, (1, 4 + i, 17)).astype("float16")
    values |= changes
    return {key: value for key, value in values.items() if value is not None}


def dump(path, content, protocol=pickle.DEFAULT_PROTOCOL):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def convert(tmp_path, content, name="a.pkl", **options):
    report = convert_pyskl(dump(tmp_path / name, content), tmp_path / "s.h5", **options)
    return report, SkeletonStore(tmp_path / "s.h5")


@pytest.mark.parametrize("protocol", range(6))
def test_restricted_load_gives_what_pickle_gives(tmp_path, protocol):
    values = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3, 2)), np.float32(2), np.arange(3, dtype=">i4")]
    values += [
        np.array(["a", "bc"]),
        np.zeros((0, 3)),
        np.int64(5),
        True,
        None,
        2**70,
        b"b",
        "t",
        {1: (2, {3})},
        bytearray(b"x"),
    ]
    found = restricted_load(dump(tmp_path / "a.pkl", values, protocol))
    for a, b in zip(pickle.loads(pickle.dumps(values, protocol)), found, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not isinstance(a, np.ndarray) or a.dtype == b.dtype


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Persistent(pickle.Pickler):
    def persistent_id(self, value):
        return "elsewhere" if value == "x" else None


def test_code_is_refused_by_name(tmp_path):
    marker = tmp_path / "ran"
    for call, name in (
        (Runs(os.system, f"touch {marker}"), "system"),
        (Runs(eval, "1"), "builtins.eval"),
        (Runs(getattr, "", "join"), "builtins.getattr"),
        (Runs(np.load, "x"), "load"),
        (Path("x"), "pathlib"),
    ):
        with pytest.raises(DataError, match=name):
            restricted_load(dump(tmp_path / "a.pkl", [1, call]))
    assert not marker.exists()
    stream = io.BytesIO()
    Persistent(stream).dump(["x"])
    (tmp_path / "a.pkl").write_bytes(stream.getvalue())
    with pytest.raises(DataError, match="persistent"):
        restricted_load(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",  # bytes of 4 EiB
        b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",  # a frame of 4 EiB
        b"\x80\x02]r\xff\xff\xff\x7f0N",  # a memo index of 2**31
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cbuiltins\nbytearray\n(I100000000000\ntR.",
        b"cbuiltins\nlist\n(tR}b.",  # state for a list
        b"ccollections\nOrderedDict\n}b.",  # attributes for a class
    ],
)
def test_broken_and_hostile_pickles_are_told(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match="a.pkl: pickle"):
        restricted_load(tmp_path / "a.pkl")


def test_arrays_of_objects_and_shapes_without_data_are_refused(tmp_path):
    with pytest.raises(DataError, match="object"):
        restricted_load(dump(tmp_path / "a.pkl", np.array([{}, None])))
    good = pickle.dumps(np.arange(300, dtype="int64"), 2)
    bad = good.replace(b"M,\x01", b"M,\x02")  # the length 300 becomes 556
    assert bad != good
    (tmp_path / "a.pkl").write_bytes(bad)
    with pytest.raises(DataError, match="shape"):
        restricted_load(tmp_path / "a.pkl")


def test_convert_keeps_values_splits_and_precision(tmp_path):
    items = [annotation(i) for i in range(4)]
    content = {
        "split": {"train": ["v0", "v2", "gone"], "test": ["v3"]},
        "annotations": items,
        "meta": {"classes": list("abcd")},
    }
    report, store = convert(tmp_path, content)
    assert report["splits"] == {"train": 2, "test": 1} and report["split_missing"] == {"train": 1, "test": 0}
    assert store.channels == ("x", "y", "score") and store.classes == list("abcd") and store.dtype == np.float16
    expected = np.concatenate([items[2]["keypoint"], items[2]["keypoint_score"][..., None]], -1)
    np.testing.assert_array_equal(store.sample(2).keypoints, expected)
    assert store.sample(2).image_size == (240, 320)


def test_labels_that_are_numbers_are_places_of_classes_called_by_numbers(tmp_path):
    names = ["1", "2", "3"]
    report, store = convert(tmp_path, [annotation(i, label=i % 3) for i in range(6)], classes=names)
    assert store.labels.tolist() == [0, 1, 2] * 2 and report["class_counts"] == {"1": 2, "2": 2, "3": 2}
    assert "labels are places of classes from 0, not names: 1 is '2'" in report["notes"]
    _, store = convert(tmp_path, [annotation(i, label=i % 3 + 1) for i in range(6)], classes=names)
    assert store.labels.tolist() == [0, 1, 2] * 2
    with pytest.raises(DataError, match="labels: expected numbers .* found 1: '2' by place, '1' by name"):
        convert(tmp_path, [annotation(i, label=i + 1) for i in range(2)], classes=names)


def test_labels_that_are_texts_of_digits_are_names(tmp_path):
    items = [annotation(i, label=f"00{i % 2 + 1}") for i in range(4)]
    for options in ({}, {"classes": ["001", "002", "003"]}):
        _, store = convert(tmp_path, items, **options)
        assert [store.classes[label] for label in store.labels] == ["001", "002"] * 2


def test_labels_and_names(tmp_path):
    report, store = convert(tmp_path, [annotation(i, label=3 * i + 1) for i in range(3)])
    assert report["labels"] == [1, 4, 7] == store.provenance["labels"]
    assert store.classes == ["1", "4", "7"] and store.labels.tolist() == [0, 1, 2] and not store.splits
    report, store = convert(tmp_path, [annotation(i) for i in range(30)], "diving48_hrnet.pkl")
    assert len(store.classes) == 48 and "named as those of diving48" in report["notes"][0]
    _, store = convert(tmp_path, [annotation(i) for i in range(3)], "gym_exercises.pkl")
    assert store.classes == ["0", "1", "2"], "three classes are not FineGym's"
    _, store = convert(tmp_path, [annotation(i, frame_dir=f"S018C001P004R001A{i + 1:03d}") for i in range(3)])
    assert store.classes[0] == "drink water" and store.subject.tolist() == [4] * 3 and store.setup.tolist() == [18] * 3
    _, store = convert(tmp_path, [annotation(i, label=None, filename=f"f{i}") for i in range(3)])
    assert store.labels.tolist() == [-1] * 3 and store.ids == ["f0", "f1", "f2"]
    _, store = convert(tmp_path, [annotation(i, view=2, subject=np.int64(5)) for i in range(3)])
    assert store.camera.tolist() == [2] * 3 and store.subject.tolist() == [5] * 3


def test_three_coordinates_and_no_score(tmp_path):
    spatial = {"keypoint": np.ones((2, 5, 25, 3), "float32"), "total_frames": 5, "keypoint_score": None}
    _, store = convert(tmp_path, [annotation(0, **spatial)])
    assert store.channels == ("x", "y", "z") and store.units == "metres" and store.layout.name == "ntu25"
    _, store = convert(tmp_path, [annotation(0, keypoint_score=None)])
    assert store.channels == ("x", "y") and store.units == "pixels"
    points = annotation(0)["keypoint"]
    points[0, 1, 3, 0] = np.nan
    _, store = convert(tmp_path, [annotation(0, keypoint=points)])
    assert not store.read(0)[0, 1, 3].any() and store.read(0)[0, 1, 4].any()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"keypoint": np.zeros((1, 5, 18, 2), "float16")},
            r"\[1\].keypoint: expected numbers .*found float16 \(1, 5, 18, 2\)",
        ),
        ({"keypoint": [1, 2]}, r"\[1\].keypoint"),
        ({"keypoint": None}, r"\[1\].keypoint: expected the key"),
        ({"keypoint_score": np.zeros((1, 4, 17), "float16")}, "keypoint_score"),
        ({"total_frames": 7}, "total_frames: expected 5, found 7"),
        ({"frame_dir": "v0"}, "new, printable id"),
        ({"frame_dir": None}, "frame_dir"),
        ({"label": "x"}, "label"),
        ({"label": 10**5000}, "label"),
        ({"img_shape": (1,)}, "img_shape"),
        ({"subject": 1.5}, "subject"),
    ],
)
def test_a_bad_annotation_is_skipped_or_raised(tmp_path, change, match):
    content = [annotation(0), annotation(1, **change), annotation(2)]
    report, store = convert(tmp_path, content, classes=["a", "b", "c"])
    assert store.ids == ["v0", "v2"] and len(report["skipped"]) == 1
    with pytest.raises(DataError, match=match):
        convert(tmp_path, content, classes=["a", "b", "c"], strict=True)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"split": {}}, "annotations"),
        ([], "annotations"),
        ([1], r"annotations\[0\]"),
        ("text", "annotations"),
        ({"split": [], "annotations": [annotation(0)]}, "split"),
        ([{"frame_dir": "a", "raw_file": "b", "label": 0, "total_frames": 3}], "Kinetics"),
        ([annotation(0, keypoint=np.zeros((1, 4, 19, 2)), keypoint_score=None)], "19 joints"),
    ],
)
def test_an_unusable_file_is_told(tmp_path, content, match):
    with pytest.raises(DataError, match=match):
        convert(tmp_path, content)
    assert not (tmp_path / "s.h5").exists()


@pytest.mark.parametrize(
    ("name", "samples", "classes", "layout", "split"),
    [
        ("jhmdb_coco17", 928, 21, "coco17", ("train1", 660)),
        ("nwucla_3d", 1484, 10, "kinect20", ("xview_test_nodup", 369)),
        ("penn_coco17", 2326, 15, "coco17", ("test", 1068)),
        ("custom16_coco17", 243, 16, "coco17", ("train", 187)),
    ],
)
def test_real_files(tmp_path, name, samples, classes, layout, split):
    path = DATA / f"{name}.pkl"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    report = convert_pyskl(path, tmp_path / "s.h5")
    assert (report["samples"], report["classes"], report["layout"], report["skipped"]) == (samples, classes, layout, [])
    assert report["splits"][split[0]] == split[1] and not any(report["split_missing"].values())
