"""What a store is written as, and that `convert` reads the same back."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import (
    DataError,
    Sample,
    SkeletonLayout,
    SkeletonStore,
    StoreWriter,
    convert,
    export_data,
    get_layout,
)

SPLITS = {"train": ["wave/a", "kick/c"], "test": ["wave/b"]}
NAMES = ["wave/a", "wave/b", "kick/c"]


def keypoints(channels, people, frames, joints, seed):
    """(M, T, V, C) with joints, frames and the second person's beginning absent; the first person scores best."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(10, 300, (people, frames, joints, len(channels))).astype("float32")
    if "score" in channels:
        x[..., channels.index("score")] = rng.uniform(0.5, 1, x.shape[:3]) / np.arange(1, people + 1)[:, None, None]
    x[0, :, 3] = x[1:, :2] = x[:, 4] = 0
    return x


def store_of(path, channels=("x", "y", "score"), layout="coco17", **options):
    joints = get_layout(layout).num_joints
    with StoreWriter(path, layout=layout, classes=["kick", "wave"], channels=channels, **options) as writer:
        for number, name in enumerate(NAMES):
            sample = Sample(name, keypoints(channels, 2 - number % 2, 6 + number, joints, number), int("wave" in name))
            sample.subject, sample.camera, sample.image_size = 3 + number, -1, (480, 640)
            writer.append(sample)
        writer.set_splits(SPLITS)
    return path


def same(one, two, facts=("subject", "camera", "setup")):
    """Whether two stores have the same samples by name, whatever their order."""
    assert sorted(one.ids) == sorted(two.ids) and one.channels == two.channels and one.layout == two.layout
    for name in one.ids:
        first, second = (store.sample(store.ids.index(name)) for store in (one, two))
        np.testing.assert_array_equal(first.keypoints, second.keypoints)
        labels = [store.classes[s.label] if s.label >= 0 else None for store, s in ((one, first), (two, second))]
        assert labels[0] == labels[1]
        assert [getattr(first, key) for key in facts] == [getattr(second, key) for key in facts]
    for split, members in one.splits.items():
        assert {one.ids[i] for i in members} == {two.ids[i] for i in two.splits[split]}


@pytest.mark.parametrize("channels", [("x", "y", "score"), ("x", "y"), ("x", "y", "z")])
def test_a_folder_of_json_is_read_back(tmp_path, channels):
    own = get_layout("coco17").to_dict() | {"name": "mine"}
    for layout in ("coco17", SkeletonLayout.from_dict(own)):
        source = store_of(tmp_path / "s.h5", channels, layout, fps=25)
        report = export_data(source, tmp_path / "out")
        assert report["samples"] == 3 and report["form"] == "folder of .json"
        files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.json"))
        assert files == ["kick/c.json", "wave/a.json", "wave/b.json"]
        report = convert(tmp_path / "out", tmp_path / "o.h5")
        assert report["read"] == {"skelmae JSON": 3} and not report["skipped"]
        with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
            same(one, two, ("subject", "camera", "setup", "image_size"))
            assert two.fps == 25
        for path in (tmp_path / "out").rglob("*.json"):
            path.unlink()
        for path in (tmp_path / "out").iterdir():
            path.rmdir()  # an empty folder is taken, too
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_json_file_is_what_the_page_says(tmp_path):
    source = store_of(tmp_path / "s.h5", fps=30)
    export_data(source, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "wave" / "a.json").read_text())
    with SkeletonStore(source) as store:
        np.testing.assert_array_equal(np.array(content.pop("keypoints"), "float32"), store.read(0))
    assert content == {
        "format": "skelmae-sequence",
        "version": 1,
        "id": "wave/a",
        "layout": "coco17",
        "joints": list(get_layout("coco17").joints),
        "channels": ["x", "y", "score"],
        "units": "pixels",
        "fps": 30,
        "image_size": [640, 480],
        "label": "wave",
        "subject": 3,
        "camera": None,
        "setup": None,
        "splits": ["train"],
    }


@pytest.mark.parametrize("channels", [("x", "y", "score"), ("x", "y")])
def test_a_table_is_read_back(tmp_path, channels):
    source = store_of(tmp_path / "s.h5", channels)
    export_data(source, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert rows[0] | {"x": 0, "y": 0, "score": 0} == {"sample": "wave/a", "frame": "0", "person": "0", "joint": "nose",
        "x": 0, "y": 0, "score": 0, "label": "wave", "subject": "3", "split": "train"}  # fmt: skip
    convert(tmp_path / "out.csv", tmp_path / "o.h5")
    with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
        same(one, two)


def named_store(path, classes, splits=("train",), ids=None, subject=-1):
    """A store with a sample of each class, in every split."""
    with StoreWriter(path, layout="coco17", classes=classes, channels=("x", "y")) as writer:
        for label in range(len(classes)):
            name = ids[label] if ids else f"s{label}"
            writer.append(Sample(name, keypoints(("x", "y"), 1, 5, 17, label), label, subject))
        writer.append(Sample("unknown", keypoints(("x", "y"), 1, 5, 17, 9)))
        writer.set_splits({split: list(writer.ids) for split in splits})
    return path


@pytest.mark.parametrize(
    "classes",
    [
        ["01", "02", "10"],
        ["1", "2", "3"],
        ["0", "1", "01"],
        ["1.0", "1.1"],
        ["none", "null", "None"],
        ["-", "n/a", "10", "9"],
        ["a;b", 'a "b"', "a,b"],
    ],
)
def test_classes_of_any_name_are_read_back(tmp_path, classes):
    source = named_store(tmp_path / "s.h5", classes)
    for name in ("out", "out.csv"):
        export_data(source, tmp_path / name)
        report = convert(tmp_path / name, tmp_path / "o.h5")
        assert not report["skipped"]
        with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
            same(one, two)
            assert sorted(two.classes) == sorted(classes)
        convert(tmp_path / name, tmp_path / "p.h5", classes=classes)
        with SkeletonStore(source) as one, SkeletonStore(tmp_path / "p.h5") as two:
            same(one, two)
            assert two.classes == classes


def test_ids_are_read_back_from_json_whatever_the_files_are_called(tmp_path):
    ids = ["v:0", "A/b", "a/b", " x", ".hidden/y", "../up"]
    source = named_store(tmp_path / "s.h5", list("abcdef"), ids=ids)
    export_data(source, tmp_path / "out")
    assert {"A/b.json", "a/b~2.json"} <= {str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("*.json")}
    for options in ({}, {"fps": 10}, {"workers": 2}):
        convert(tmp_path / "out", tmp_path / "o.h5", **options)
        with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
            same(one, two)
    export_data(source, tmp_path / "again")
    convert([tmp_path / "out", tmp_path / "again"], tmp_path / "o.h5")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert set(ids) < set(store.ids) and "again/v_0" in store.ids and len(store) == 14
        assert len(store.splits["train"]) == 14
    (tmp_path / "l.csv").write_text("file,label\nv_0.json,007\n")
    convert(tmp_path / "out", tmp_path / "o.h5", labels=str(tmp_path / "l.csv"))
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.classes == ["007"] and store.labels[store.ids.index("v:0")] == 0


def test_json_keeps_what_a_table_cannot_say(tmp_path):
    classes, splits = ["nan", " wave ", "<NA>", "-1"], ["none", "a;b", "-"]
    source = named_store(tmp_path / "s.h5", classes, splits, subject="007")
    export_data(source, tmp_path / "out")
    convert(tmp_path / "out", tmp_path / "o.h5")
    with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
        same(one, two)
        assert set(two.splits) == set(splits) and two.subjects == ["007"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"classes": ["nan"]}, "classes: expected names that stay as they are in a table .* found 'nan'"),
        ({"classes": ["-1"]}, "classes: .* found '-1'"),
        ({"classes": [" wave"]}, "classes: .* found ' wave'"),
        ({"classes": ["a" * 201]}, "classes: .* found 'aaa"),
        ({"classes": ["1.0", "2.0"]}, "classes: .* found '1.0'"),
        ({"classes": [""]}, "classes: .* found ''"),
        ({"splits": ["none"]}, "splits: expected names that stay as they are in a table .* found 'none'"),
        ({"splits": ["train", "a|b"]}, "splits: .* found 'a|b'"),
        ({"ids": [" a"]}, "ids: .* found ' a'"),
        ({"subject": "007"}, "subjects: .* found '007'"),
        ({"subject": "none"}, "subjects: .* found 'none'"),
    ],
)
def test_names_that_a_table_cannot_say_are_refused_before_anything_is_written(tmp_path, changes, match):
    source = named_store(tmp_path / "s.h5", **({"classes": ["a"]} | changes))
    with pytest.raises(DataError, match=f"out.csv: {match}"):
        export_data(source, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


@pytest.mark.parametrize("classes", [[""], ["1.0", "2.0"]])
def test_classes_that_no_file_can_say_are_refused(tmp_path, classes):
    source = named_store(tmp_path / "s.h5", classes)
    with pytest.raises(DataError, match="out: classes: expected names that are not empty"):
        export_data(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_frames_without_anybody_keep_their_place_in_a_table(tmp_path):
    x = keypoints(("x", "y"), 1, 9, 17, 0)
    x[:, [0, 4, 8]] = 0
    with StoreWriter(tmp_path / "s.h5", layout="coco17", classes=["a"], channels=("x", "y")) as writer:
        writer.append(Sample('one, "two"', x, -1))
        writer.append(Sample("nobody", np.zeros((1, 3, 17, 2)), 0))
    export_data(tmp_path / "s.h5", tmp_path / "out.csv")
    convert(tmp_path / "out.csv", tmp_path / "o.h5")
    with SkeletonStore(tmp_path / "s.h5") as one, SkeletonStore(tmp_path / "o.h5") as two:
        same(one, two)


def test_arrays_are_as_ctr_gcn_has_them_and_read_back(tmp_path):
    source = store_of(tmp_path / "s.h5", ("x", "y", "z"), "ntu25")
    report = export_data(source, tmp_path / "out.npz", train_split="train", test_split="test")
    assert report["splits"] == {"train": 2, "test": 1} and report["samples"] == 3
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays, SkeletonStore(source) as store:
        assert sorted(arrays) == ["x_test", "x_train", "y_test", "y_train"]
        assert arrays["x_train"].shape == (2, 8, 150) and arrays["x_train"].dtype == np.float32
        assert arrays["y_train"].tolist() == [[0, 1], [1, 0]] and arrays["y_test"].tolist() == [[0, 1]]
        row = arrays["x_train"][0].reshape(8, 2, 25, 3)  # as CTR-GCN's feeder takes it
        np.testing.assert_array_equal(row[:6].swapaxes(0, 1), store.read(0))
        assert not row[6:].any()
    convert(tmp_path / "out.npz", tmp_path / "o.h5", classes=["kick", "wave"])
    with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
        assert [two.classes[label] for label in two.labels] == ["wave", "kick", "wave"]
        for number, index in enumerate((0, 2, 1)):
            np.testing.assert_array_equal(two.read(number), one.read(index))
        assert {name: part.tolist() for name, part in two.splits.items()} == {"train": [0, 1], "test": [2]}
    assert set(export_data(source, tmp_path / "all.npz")["splits"]) == {"train", "test"}


def test_scored_arrays_are_read_back_by_their_channels(tmp_path):
    source = store_of(tmp_path / "s.h5")
    export_data(source, tmp_path / "out.npz", train_split="all")
    convert(tmp_path / "out.npz", tmp_path / "o.h5", layout="coco17", channels="x,y,score")
    with SkeletonStore(source) as one, SkeletonStore(tmp_path / "o.h5") as two:
        for index in range(3):
            np.testing.assert_array_equal(two.read(index), one.read(index))


def test_sequences_in_train_and_test_are_told(tmp_path):
    source = store_of(tmp_path / "s.h5")
    apart = export_data(source, tmp_path / "out.npz", train_split="train", test_split="test")
    both = export_data(source, tmp_path / "out.npz", train_split="all", test_split="test")
    told = f"{both['splits']['test']} sequences are in train and in test: accuracy flatters there"
    assert told in both["notes"] and not any("flatters" in note for note in apart["notes"])


def test_what_cannot_be_written_is_one_line(tmp_path):
    source = store_of(tmp_path / "s.h5")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("a")
    for output, options, match in (
        ("out.pkl", {}, "expected .npz, .csv, or none"),
        ("full", {}, "a new or empty folder, found files in it"),
        ("out.csv", {"train_split": "train"}, "an .npz for train_split"),
        ("out.npz", {"train_split": "tain"}, "expected one of train"),
        ("out.npz", {"to": "hand21"}, "a third of the 21 joints"),
    ):
        with pytest.raises(DataError, match=match):
            export_data(source, tmp_path / output, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "s.h5"]
    export_data(source, tmp_path / "t.csv")
    with pytest.raises(DataError, match="another file"):
        export_data(tmp_path / "t.csv", tmp_path / "t.csv")


def test_ids_become_names_that_files_can_have(tmp_path):
    with StoreWriter(tmp_path / "s.h5", layout="coco17", classes=["a"], channels=("x", "y")) as writer:
        for name in ("../up", "a:b", "A_b", ".hidden/", "/etc/x", "ü" * 150):
            writer.append(Sample(name, keypoints(("x", "y"), 1, 5, 17, 0), 0))
    export_data(tmp_path / "s.h5", tmp_path / "deep" / "out")
    files = sorted(str(path.relative_to(tmp_path / "deep")) for path in tmp_path.rglob("*.json"))
    names = ["out/A_b~2.json", "out/_/etc/x.json", "out/_/up.json", "out/a_b.json", "out/hidden/_.json"]
    assert files == [*names, f"out/{'ü' * 100}.json"]
    assert convert(tmp_path / "deep" / "out", tmp_path / "o.h5")["samples"] == 6


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("version", 2, "version: expected 1"),
        ("layout", "/etc/passwd", "layout: expected a built-in name"),
        ("layout", {"name": "x"}, "layout: joints: expected the key"),
        ("channels", ["x"], "channels: expected one of"),
        ("units", "metres", "units: expected pixels"),
        ("keypoints", [[[[1, 2]]]], "keypoints: expected numbers, people x frames x 17 x 3, found 1 x 1 x 1 x 2"),
        ("keypoints", [[1], 2], "keypoints: expected numbers"),
        ("fps", -3, "fps: expected more than 0"),
        ("image_size", "big", r"image_size: expected \[width, height\]"),
        ("subject", "anna,ben", "subject: expected a whole number or a name without , and ;, or null, found"),
        ("camera", "front", "camera: expected a whole number, or null"),
        ("splits", "train", "splits: expected a list of names"),
        ("label", [1, 2], "label: expected a name"),
    ],
)
def test_a_file_that_is_not_as_described(tmp_path, key, value, match):
    export_data(store_of(tmp_path / "s.h5"), tmp_path / "out")
    path = tmp_path / "out" / "wave" / "a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataError, match=match):
        convert(path, tmp_path / "o.h5", strict=True)


def test_the_command(tmp_path):
    source = store_of(tmp_path / "s.h5")

    def run(*arguments):
        return CliRunner().invoke(cli, ["export-data", *map(str, arguments)])

    done = run(source, tmp_path / "a.npz", "--train-split", "train", "--test-split", "test", "--to", "openpose18")
    assert done.exit_code == 0 and "a row is 8 frames x (2 people x 18 joints x x, y, score)" in done.output
    assert "coco17 to openpose18" in done.output and "train  2" in done.output
    assert json.loads(run(source, tmp_path / "out", "--json").output)["samples"] == 3
    assert run(source, tmp_path / "a.pkl").exit_code == 1
