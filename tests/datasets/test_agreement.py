"""The same content gives the same samples in whatever form it comes; a sound file in another type is read."""

import gzip
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skelmae_datasets import (
    DataError,
    Sample,
    SkeletonStore,
    StoreWriter,
    convert_arrays,
    convert_csv,
    convert_pyskl,
    get_layout,
    open_recordings,
    validate,
)

CLASSES = ["kick", "sit", "wave"]
CONVERT = {".pkl": convert_pyskl, ".npz": convert_arrays, ".csv": convert_csv}
TEXT = {2: "sample,frame,person,joint,x,y,label", 3: "sample,frame,person,joint,x,y,z,label"}


def recordings(rng, layout, dims, number, people):
    """dict id -> (label, (M, T, V, C)): some joints absent, the first and last frame never empty."""
    found = {}
    for index in range(number):
        keypoints = rng.uniform(1, 9, (people, int(rng.integers(3, 9)), layout.num_joints, dims)).astype("float32")
        keypoints[rng.random(keypoints.shape[:3]) < 0.1] = rng.choice([0, -1])
        keypoints[:, [0, -1]] = np.abs(keypoints[:, [0, -1]]) + 1
        found[f"train-{index:06d}"] = index % len(CLASSES), keypoints
    return found


def write_pickle(path, found, first=0, **more):
    items = [
        {"frame_dir": name, "label": label + first, "total_frames": k.shape[1], "keypoint": k} | more
        for name, (label, k) in found.items()
    ]
    path.write_bytes(pickle.dumps(items))


def write_npz(path, found, first=0):
    length, some = max(k.shape[1] for _, k in found.values()), next(iter(found.values()))[1]
    x = np.zeros((len(found), length, *np.delete(some.shape, 1)), "float32")  # (N, T, M, V, C)
    for row, (_, k) in zip(x, found.values(), strict=True):
        row[: k.shape[1]] = k.swapaxes(0, 1)
    np.savez(path, x_train=x.reshape(*x.shape[:2], -1), y_train=[label + first for label, _ in found.values()])


def write_csv(path, found, layout, first=0):
    lines = [
        f"{name},{t},{m},{layout.joints[v]},{','.join(map(str, k[m, t, v].tolist()))},{label + first}"
        for name, (label, k) in found.items()
        for m, t, v in np.ndindex(k.shape[:3])
    ]
    path.write_text("\n".join([TEXT[k.shape[-1]] for _, k in list(found.values())[:1]] + lines))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(["coco17", "ntu25", "kinect20"]),
    dims=st.sampled_from([2, 3]),
    people=st.integers(1, 2),
    first=st.integers(0, 1),
    named=st.booleans(),
)
def test_pickle_arrays_table_and_store_agree(tmp_path_factory, seed, name, dims, people, first, named):
    folder, layout = tmp_path_factory.mktemp("same"), get_layout(name)
    found = recordings(np.random.default_rng(seed), layout, dims, 4, people)
    write_pickle(folder / "a.pkl", found, first)
    write_npz(folder / "a.npz", found, first)
    write_csv(folder / "a.csv", found, layout, first)
    classes = CLASSES if named else [str(label + first) for label in range(3)]
    with StoreWriter(folder / "a.h5", layout=layout, classes=classes, channels=("x", "y", "z")[:dims]) as writer:
        for sample, (label, k) in found.items():
            writer.append(Sample(sample, k, label))
    with SkeletonStore(folder / "a.h5") as expected:
        for suffix, convert in CONVERT.items():
            options = {"layout": layout} | ({"classes": CLASSES} if named else {})
            options |= {"channels": ("x", "y", "z")[:dims]} if suffix == ".npz" else {}
            report = convert(folder / f"a{suffix}", folder / "out.h5", **options)
            with SkeletonStore(folder / "out.h5") as store:
                assert (store.ids, store.classes, store.channels) == (expected.ids, expected.classes, expected.channels)
                assert store.labels.tolist() == expected.labels.tolist() and report["unseen"] >= 0
                for index in range(len(store)):
                    a, b = store.read(index), expected.read(index)
                    order = [next(i for i in range(len(b)) if np.array_equal(b[i], row)) for row in a]
                    assert sorted(order) == list(range(len(b))), "the same people, the best first"
            if not named and suffix != ".npz":
                with (
                    open_recordings(folder / f"a{suffix}", layout) as opened,
                    SkeletonStore(folder / "out.h5") as store,
                ):
                    assert opened.fingerprint == store.fingerprint


# === Annotations in other types ===

TRUTH = {"frame_dir": "a", "label": 1, "img_shape": (240, 320), "total_frames": 4}
POINTS = np.random.default_rng(0).integers(1, 200, (1, 4, 17, 2)).astype("float32")
SCORES = np.full((1, 4, 17), 0.5, "float32")
TRUTH |= {"keypoint": POINTS, "keypoint_score": SCORES}
TYPES = {
    "whole pixels": {"keypoint": POINTS.astype("int32")},
    "lists": {"keypoint": POINTS.tolist(), "keypoint_score": SCORES.tolist()},
    "no people": {"keypoint": POINTS[0], "keypoint_score": SCORES[0]},
    "one score a joint": {"keypoint_score": SCORES[..., None]},
    "float64": {"keypoint": POINTS.astype("float64"), "keypoint_score": SCORES.astype("float64")},
    "bytes": {"keypoint_score": np.full((1, 4, 17), 127.5, "float32").round().astype("uint8")},
    "whole floats": {"label": 1.0, "total_frames": 4.0, "img_shape": (240.0, 320.0)},
    "arrays of one": {"label": np.array(1), "total_frames": np.array([4]), "img_shape": np.array([240, 320])},
    "text": {"label": "1", "frame_dir": np.str_("a")},
    "more": {"img_shape": [240, 320, 3], "subject": None, "view": np.int16(2)},
}


def convert(tmp_path, content, write=pickle.dumps, **options):
    (tmp_path / "a.pkl").write_bytes(write(content))
    report = convert_pyskl(tmp_path / "a.pkl", tmp_path / "s.h5", strict=True, **options)
    return report, SkeletonStore(tmp_path / "s.h5")


@pytest.mark.parametrize("case", TYPES)
def test_an_annotation_in_other_types(tmp_path, case):
    report, store = convert(tmp_path, [TRUTH | {"label": 0, "frame_dir": "b"}, TRUTH | TYPES[case]])
    sample = store.sample(1)
    np.testing.assert_array_equal(sample.keypoints[..., :2], POINTS)
    np.testing.assert_allclose(sample.keypoints[..., 2], 0.5, atol=1 / 255)
    assert (sample.id, sample.label, sample.image_size, store.classes) == ("a", 1, (240, 320), ["0", "1"])
    assert report["notes"] == (["scores of 0 to 255 are divided by 255"] if case == "bytes" else [])


@pytest.mark.parametrize(
    "content",
    [
        {"a": {k: v for k, v in TRUTH.items() if k != "frame_dir"}},
        {"annotations": {"a": TRUTH}, "split": {"t": {"a"}}},
        {"annotations": (TRUTH,), "split": {"t": ("a",)}},
        {"annotations": [TRUTH], "split": {"t": np.array(["a"])}},
        {"annotations": [TRUTH], "split": {"t": frozenset(["a"])}, "meta": None},
        TRUTH,
    ],
)
def test_a_pickle_of_another_shape(tmp_path, content):
    for write in (pickle.dumps, lambda content: gzip.compress(pickle.dumps(content))):
        report, store = convert(tmp_path, content, write)
        np.testing.assert_array_equal(store.read(0)[..., :2], POINTS)
        assert store.ids == ["a"] and report["splits"] == ({"t": 1} if "split" in content else {})


def test_gzip_by_suffix_and_bombs(tmp_path):
    (tmp_path / "a.pkl.gz").write_bytes(gzip.compress(pickle.dumps([TRUTH])))
    with open_recordings(tmp_path / "a.pkl.gz") as store:
        assert store.ids == ["a"]
    for content in (gzip.compress(b"\0" * (200 << 20)), b"\x1f\x8bjunk", gzip.compress(pickle.dumps([TRUTH]))[:-9]):
        (tmp_path / "b.pkl").write_bytes(content)
        with pytest.raises(DataError, match=r"b\.pkl: pickle: "):
            convert_pyskl(tmp_path / "b.pkl", tmp_path / "s.h5")


@pytest.mark.parametrize(
    ("change", "notes", "channels"),
    [
        ({"keypoint_score": SCORES * 0}, "no score is above 0.01", "x,y"),
        ({"keypoint": np.concatenate([POINTS, POINTS[..., :1] / 100], -1)}, "scores beside x, y, z tell what", "x,y,z"),
    ],
)
def test_scores_that_say_nothing_else(tmp_path, change, notes, channels):
    options = {"channels": channels} if channels == "x,y,z" else {}
    report, store = convert(tmp_path, [TRUTH | change], **options)
    assert ",".join(store.channels) == channels and notes in " ".join(report["notes"])
    assert store.read(0).any(-1).all()


def test_some_without_scores_and_splits_of_any_name(tmp_path):
    items = [TRUTH, {k: v for k, v in TRUTH.items() if k != "keypoint_score"} | {"frame_dir": "b", "label": 0}]
    split = {"train/1": ["a", "a"], "all": ["b"], 3: ["b"], "größe": ["a", "b"]}
    report, store = convert(tmp_path, {"annotations": items, "split": split})
    assert (store.read(1)[..., 2] == 1).all() and "1 sequences have no scores" in report["notes"][0]
    assert report["splits"] == {"train_1": 1, "all_": 1, "3": 1, "größe": 2}
    assert "split 'train/1' is called 'train_1'" in report["notes"]
    assert "split 'train_1' names 1 ids more than once, taken once" in report["notes"]


def test_a_third_value_in_doubt_needs_a_word(tmp_path):
    third = TRUTH | {"keypoint": np.concatenate([POINTS, SCORES[..., None]], -1), "keypoint_score": None}
    with pytest.raises(
        DataError, match=r"keypoint: expected a third value that is a depth, or convert-pyskl --channels x,y,score"
    ):
        convert(tmp_path, [third])
    assert convert(tmp_path, [third], channels="x,y,score")[1].channels == ("x", "y", "score")
    assert convert(tmp_path, [third], channels=("x", "y", "z"))[1].units == "metres"
    with pytest.raises(DataError, match="channels: expected x,y,score or x,y or x,y,z or x,y,z,score, found x,y,w"):
        convert(tmp_path, [third], channels="x,y,w")
    x = third["keypoint"].reshape(1, 4, -1)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0])
    with pytest.raises(DataError, match="--channels x,y,score"):
        convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5", "coco17")
    convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5", "coco17", channels="x,y,score")
    with SkeletonStore(tmp_path / "s.h5") as store:
        np.testing.assert_array_equal(store.read(0), third["keypoint"])


# === Arrays of other shapes ===


@pytest.mark.parametrize("people", [1, 2])
@pytest.mark.parametrize(("layout", "dims"), [("coco17", 2), ("kinect20", 3), ("ntu25", 3)])
@pytest.mark.parametrize("axes", ["N T MVC", "N T M V C", "N M T V C", "N C T V M"])
def test_axes(tmp_path, axes, layout, dims, people):
    x = np.random.default_rng(0).uniform(1, 9, (3, people, 7, get_layout(layout).num_joints, dims)).astype("float32")
    moved = {
        "N T MVC": x.swapaxes(1, 2).reshape(3, 7, -1),
        "N T M V C": x.swapaxes(1, 2),
        "N M T V C": x,
        "N C T V M": x.transpose(0, 4, 2, 3, 1),
    }[axes]
    np.savez(tmp_path / "a.npz", x_train=moved, y_train=np.eye(3))
    options = {"channels": ("x", "y", "z")[:dims]}
    if people == dims and axes in ("N M T V C", "N C T V M"):
        with pytest.raises(DataError, match="5 axes that --layout and --channels tell apart"):
            convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5", layout, **options)
        return
    report = convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5", layout, **options)
    with SkeletonStore(tmp_path / "s.h5") as store:
        for index in range(3):
            assert sorted(map(np.sum, store.read(index))) == pytest.approx(sorted(map(np.sum, x[index])), rel=1e-5)
    assert report["splits"] == {"train": 3}


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x_train": np.ones((2, 5, 34)), "y_train": [0, 1]}, r"2 or 3 values a frame \(--layout .*coco17"),
        ({"x_train": np.ones((2, 5, 35)), "y_train": [0, 1]}, r"\(--layout FILE.toml\), found 35 values"),
        ({"x_train": np.ones((2, 2, 5, 25, 3)), "y_train": [0, 1]}, "5 axes that --layout and --channels tell apart"),
        ({"x_train": np.array([np.ones(3), np.ones(2)], object), "y_train": [0, 1]}, "pad its samples with zeros"),
        ({"x_train": np.ones((2, 5, 75))}, "y_train: expected an array"),
        ({"x_train": np.ones((2, 5, 75)), "y_train": [0]}, "y_train: expected 2 rows, found 1"),
        ({"y_train": [0]}, "x_train: expected an array, found none"),
        ({"a": np.ones(3), "b": np.ones(3)}, "expected arrays x_train and y_train .* found a, b"),
    ],
)
def test_arrays_that_are_refused_say_what_is_needed(tmp_path, arrays, match):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=match):
        convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5")
    assert [problem.error for problem in validate(tmp_path / "a.npz")] == [True]


@pytest.mark.parametrize("labels", [["a", "b", "a"], [[1.0], [2.0], [1.0]], np.eye(3)[[1, 2, 1]]])
def test_labels_of_arrays(tmp_path, labels):
    names = {"train": "train", "valid": "valid", "val": "val"}
    np.savez(tmp_path / "a.npz", **{f"x_{n}": np.ones((3, 5, 75)) for n in names}, **{f"y_{n}": labels for n in names})
    report = convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5")
    with SkeletonStore(tmp_path / "s.h5") as store:
        found = [store.classes[label] for label in store.labels[:3]]
        assert report["splits"] == dict.fromkeys(names, 3) and len(store.classes) == 2
        assert found in (["a", "b", "a"], ["1", "2", "1"])


def test_scores_of_own_openpose_arrays_are_not_centred(tmp_path):
    x = np.concatenate([np.full((1, 4, 18, 2), 300.0), np.full((1, 4, 18, 1), 0.5)], -1)
    np.savez(tmp_path / "a.npz", x_train=x.reshape(1, 4, -1), y_train=[0])
    convert_arrays(tmp_path / "a.npz", tmp_path / "s.h5", "openpose18", channels="x,y,score")
    with SkeletonStore(tmp_path / "s.h5") as store:
        assert (store.read(0)[..., 0] == 300).all() and store.image_size.tolist() == [[0, 0]]


def test_labels_of_digits_in_arrays_are_names(tmp_path):
    names = ["001", "010", "001"]
    np.savez(tmp_path / "a.npz", x_train=np.ones((3, 5, 75)), y_train=names)
    for classes in (None, ["010", "002", "001"]):
        convert_arrays(tmp_path / "a.npz", tmp_path / "o.h5", classes=classes)
        with SkeletonStore(tmp_path / "o.h5") as store:
            assert [store.classes[label] for label in store.labels] == names
