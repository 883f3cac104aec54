"""Several stores as one: the same samples, splits and training as from a single file."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli import options
from skelmae_datasets import DataError, SkeletonStore, StoreSet, get_layout
from skelmae_datasets.store import Sample, StoreWriter

HEADER = {"layout": get_layout("coco17"), "classes": ["a", "b"], "channels": ("x", "y"), "units": "pixels"}


def samples(count=7):
    rng = np.random.default_rng(0)
    for number in range(count):
        x = rng.normal(300, 50, (1 + number % 2, 4 + number, 17, 2)).astype("float32")
        yield Sample(f"s{number}", x, number % 2, subject=number, camera=1, setup=1, image_size=(720, 1280))


def write(path, chosen, splits=None, **header):
    with StoreWriter(path, **{**HEADER, **header}) as writer:
        for sample in chosen:
            writer.append(sample)
        writer.set_splits(splits or {})
    return path


@pytest.fixture
def files(tmp_path):
    made = list(samples())
    whole = write(tmp_path / "whole.h5", made, {"train": ["s0", "s2", "s3", "s5"], "test": ["s6"]})
    parts = [
        write(tmp_path / "part-1.h5", made[:3], {"train": ["s0", "s2"]}),
        write(tmp_path / "part-2.h5", made[3:], {"train": ["s3", "s5"], "test": ["s6"]}),
    ]
    return whole, parts


def test_the_parts_are_the_whole(files):
    whole, parts = files
    with SkeletonStore(whole) as expected, StoreSet(parts) as found:
        assert found.ids == expected.ids and len(found) == 7
        for key in ("labels", "people", "frames", "subject", "camera", "image_size"):
            np.testing.assert_array_equal(getattr(found, key), getattr(expected, key))
        assert len(found.select("train")) == 4
        for name in ("train", "test", "all", "subject=2,5"):
            np.testing.assert_array_equal(found.select(name), expected.select(name))
        for index in (*range(7), -1):
            np.testing.assert_array_equal(found.read(index), expected.read(index))
            assert found.sample(index).id == expected.sample(index).id
        found.verify()
        with pytest.raises(IndexError):
            found.read(7)


def test_it_travels_to_workers_and_tells_its_content(files):
    _, parts = files
    found = pickle.loads(pickle.dumps(StoreSet(parts)))
    assert len(found) == 7 and found.fingerprint == StoreSet(parts).fingerprint
    assert found.fingerprint != StoreSet(parts[::-1]).fingerprint
    assert StoreSet(parts[:1]).fingerprint == SkeletonStore(parts[0]).fingerprint
    assert str(found.path) == f"{parts[0]} and 1 more"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"classes": ["a", "c"]}, "classes: expected"),
        ({"units": "metres"}, "units: expected pixels as in part-1.h5"),
        ({"layout": dataclasses.replace(get_layout("coco17"), name="mine")}, "layout: expected coco17 as in"),
    ],
)
def test_a_file_of_another_kind_is_named(files, tmp_path, header, message):
    other = write(tmp_path / "other.h5", [dataclasses.replace(next(samples()), id="new")], **header)
    with pytest.raises(DataError, match=rf"other\.h5: {message}"):
        StoreSet([files[1][0], other])


def test_an_id_twice_is_named(files):
    with pytest.raises(DataError, match="ids: expected every id once, found 's0' twice"):
        StoreSet([files[1][0], files[0]])


def test_an_expression_for_each_store(files):
    whole, parts = files
    with SkeletonStore(whole) as expected, StoreSet(parts) as found:
        chosen = [found.ids[index] for index in found.select("subject=1;train")]
        assert chosen == ["s1", "s3", "s5"]
        np.testing.assert_array_equal(found.select("all;all"), expected.select("all"))
        with pytest.raises(DataError, match="split: expected 2 expressions, one per store, found 'all;all;test'"):
            found.select("all;all;test")
        with pytest.raises(DataError, match=r"part-1\.h5: split: expected one of train, all"):
            found.select("test;train")


def test_data_sets_of_other_classes_are_one_without_labels(files, tmp_path):
    _, parts = files
    other = write(tmp_path / "other.h5", [dataclasses.replace(next(samples()), id="new")], classes=["b", "a", "c"])
    with pytest.raises(DataError, match="classes"):
        StoreSet([parts[0], other])
    with StoreSet([parts[0], other], labelled=False) as found:
        assert found.classes == [] and (found.labels == -1).all() and len(found) == 4
        assert pickle.loads(pickle.dumps(found)).classes == []
    with StoreSet(parts, labelled=False) as found, SkeletonStore(files[0]) as expected:
        assert found.classes == expected.classes  # the same ones are kept
        np.testing.assert_array_equal(found.labels, expected.labels)
    from skelmae_cli.main import cli

    run = tmp_path / "run"
    line = ["pretrain", str(parts[0]), str(other), "--train-split", "train;all", "--output", str(run), "--epochs", "1"]
    done = CliRunner().invoke(cli, [*line, "--set", "num_frames=4", "--set", "units=4"])
    assert done.exit_code == 0, done.output
    figures = json.loads((run / "metrics.json").read_text("utf-8"))
    assert figures["train_split"] == "train;all" and figures["num_sequences"] == 3
    assert (run / "report.html").is_file()


def test_commands_take_one_or_several(files, tmp_path):
    whole, parts = files
    assert type(options.open_data((whole,))) is SkeletonStore
    assert len(options.open_data(tuple(parts))) == 7
    only = tmp_path / "only"
    only.mkdir()
    with pytest.raises(FileNotFoundError, match="no .h5 or .hdf5 file in this folder"):
        options.open_data((only,))
    for part in parts:
        (only / part.name).write_bytes(part.read_bytes())
    assert len(options.open_data((only,))) == 7
    from skelmae_cli.main import cli

    line = ["pretrain", str(parts[0]), str(tmp_path / "none.h5"), "--train-split", "all", "--output"]
    done = CliRunner().invoke(cli, [*line, str(tmp_path / "run")])
    assert done.exit_code == 1 and "none.h5" in done.output and done.output.count("\n") == 1
