"""One command for all: what it takes inputs for, labels from everywhere, several inputs, options that hold for all."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import (
    DataError,
    SkeletonStore,
    convert,
    convert_arrays,
    convert_csv,
    convert_ntu,
    convert_pyskl,
    get_layout,
)
from skelmae_datasets.data_export import export_data
from skelmae_datasets.readers.inputs import find_recordings
from skelmae_datasets.readers.label_source import LabelSource
from skelmae_datasets.readers.recordings import SUFFIXES
from skelmae_datasets.synthetic import write_dataset


def clips(folder, walkers, names=("wave/a", "wave/b", "kick/c")):
    for number, name in enumerate(names):
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, walkers(1, 4 + number)[0])
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """dict kind -> (path, its own converter)."""
    folder = tmp_path_factory.mktemp("known")
    write_dataset(folder / "raw", 2, 1, actions=["wave", "handshake"], frames=(12, 14))
    rng = np.random.default_rng(0)
    items = [
        {
            "frame_dir": f"v{n}",
            "label": n,
            "keypoint": rng.uniform(1, 99, (2, 4, 17, 2)),
            "keypoint_score": np.linspace(0.1, 0.9, 136).reshape(2, 4, 17),
        }
        for n in range(3)
    ]
    (folder / "a.pkl").write_bytes(
        pickle.dumps({"annotations": items, "split": {"train": ["v0"], "val": ["v1", "v2"]}})
    )
    np.savez(folder / "own.npz", x_train=rng.normal(size=(2, 5, 150)).astype("float32"), y_train=np.eye(3)[:2])
    joints = get_layout("coco17").joints
    lines = [f"{s},{t},{j},{t + 1},{v},{s}" for s in "ab" for t in range(3) for v, j in enumerate(joints)]
    (folder / "t.csv").write_text("\n".join(["sample,frame,joint,x,y,label", *lines]))
    return {
        "raw": (folder / "raw", convert_ntu, "NTU RGB+D .skeleton text"),
        "pickle": (folder / "a.pkl", convert_pyskl, "annotation pickle as of PYSKL"),
        "npz": (folder / "own.npz", convert_arrays, "arrays as of CTR-GCN or st-gcn"),
        "table": (folder / "t.csv", convert_csv, "table of joints"),
    }


@pytest.mark.parametrize("kind", ["raw", "pickle", "npz", "table"])
def test_what_the_other_commands_read_is_the_same_here(known, tmp_path, kind):
    path, converter, called = known[kind]
    converter(path, tmp_path / "a.h5")
    report = convert(path, tmp_path / "b.h5", people=None)
    with SkeletonStore(tmp_path / "a.h5") as one, SkeletonStore(tmp_path / "b.h5") as two:
        assert one.fingerprint == two.fingerprint and report["read"] == {called: 1}


def test_further_options_hold_for_all_kinds(known, tmp_path):
    path = known["pickle"][0]
    report = convert(path, tmp_path / "b.h5", fps=25, min_score=0.5)
    convert_pyskl(path, tmp_path / "a.h5")
    with SkeletonStore(tmp_path / "a.h5") as one, SkeletonStore(tmp_path / "b.h5") as two:
        assert two.fps == 25 and two.ids == one.ids and two.classes == one.classes
        assert {name: part.tolist() for name, part in two.splits.items()} == {"train": [0], "val": [1, 2]}
        for index in range(3):
            kept = one.read(index) * (one.read(index)[..., 2:] >= np.float32(0.5))
            np.testing.assert_array_equal(two.read(index), kept)
    assert "joints scored below 0.5 count as not seen" in report["notes"]
    report = convert(path, tmp_path / "c.h5", labels="(?P<label>v[01])")
    with SkeletonStore(tmp_path / "c.h5") as store:
        assert store.classes == ["v0", "v1"] and store.labels.tolist() == [0, 1, -1]


def test_several_inputs_of_several_kinds(known, walkers, tmp_path):
    folder = clips(tmp_path / "own", walkers)
    np.savez(tmp_path / "s.npz", keypoints=walkers(1, 5), scores=np.full((1, 5, 17), 0.5))
    report = convert([known["pickle"][0], tmp_path / "s.npz"], tmp_path / "o.h5", fps=30)
    assert report["read"] == {"annotation pickle as of PYSKL": 1, "array of one clip": 1}
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.ids == ["v0", "v1", "v2", "s"] and store.labels.tolist() == [0, 1, 2, -1] and store.fps == 30
        np.testing.assert_array_equal(store.read(3)[..., :2], walkers(1, 5))
    with pytest.raises(DataError, match="own: channels: expected .*'score'.* as in a.pkl"):
        convert([known["pickle"][0], folder], tmp_path / "o.h5")
    convert([folder / "wave", folder / "kick"], tmp_path / "p.h5", labels="folders")
    with SkeletonStore(tmp_path / "p.h5") as store:
        assert store.ids == ["wave/a", "wave/b", "kick/c"] and store.labels.tolist() == [1, 1, 0]


def test_labels_of_folders_tables_and_patterns(walkers, tmp_path):
    folder, out = clips(tmp_path / "set", walkers), tmp_path / "o.h5"
    convert(folder, out, labels="folders")
    with SkeletonStore(out) as store:
        assert store.ids == ["kick/c", "wave/a", "wave/b"] and store.classes == ["kick", "wave"]
    table = tmp_path / "labels.csv"
    table.write_text("file,label,subject,split\na.npy,jump,3,train\nwave/b.npy,run,4,train;test\nzz.npy,sit,5,\n")
    report = convert(folder, out, labels=str(table))
    with SkeletonStore(out) as store:
        assert store.classes == ["jump", "run", "sit"] and store.labels.tolist() == [-1, 0, 1]
        assert store.subject.tolist() == [-1, 3, 4] and store.splits["train"].tolist() == [1, 2]
        assert store.splits["test"].tolist() == [2]
    assert "1 of 3 sequences have no label" in report["notes"]
    assert any("of no sequence: 'zz'" in note for note in report["notes"])
    table.write_text("file,label,subject\na.npy,jump,anna\nb.npy,run,P03\nc.npy,run,3\n")
    assert convert(folder, out, labels=str(table))["classes"] == 2
    with SkeletonStore(out) as store:
        assert store.subjects == ["3", "P03", "anna"] and store.select("subject=anna").tolist() == [1]
    export_data(out, tmp_path / "t.csv")
    export_data(out, tmp_path / "jsons")
    for again in (tmp_path / "t.csv", tmp_path / "jsons", [tmp_path / "jsons" / "kick", tmp_path / "jsons" / "wave"]):
        convert(again, tmp_path / "again.h5")
        with SkeletonStore(tmp_path / "again.h5") as store:
            assert [store.sample(index).subject for index in range(3)] == ["3", "anna", "P03"]
    convert(folder, out, labels=r"(?P<label>\w+)/(?P<subject>.)")
    with SkeletonStore(out) as store:
        assert store.subjects == ["a", "b", "c"] and store.subject.tolist() == [2, 0, 1]
    convert(folder, out, labels=r"(?P<label>\w+)/(?P<split>.)", classes=["wave", "kick"])
    with SkeletonStore(out) as store:
        assert store.labels.tolist() == [1, 0, 0] and set(store.splits) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("(?P<label>", "a regular expression"),
        ("(?P<name>x)", r"a group \(\?P<label>"),
        ("bad.csv", "columns file, label"),
        ("empty.csv", "the name of a file and its label"),
        ("twice.csv", "line 3: expected one line for"),
        ("number.csv", "line 2: camera: expected a whole number"),
    ],
)
def test_labels_that_are_no_labels(tmp_path, monkeypatch, given, match):
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text("name,action\na,b\n")
    Path("empty.csv").write_text("file,label\n")
    Path("twice.csv").write_text("file,label\na.npy,x\na.npy,y\n")
    Path("number.csv").write_text("file,label,camera\na.npy,x,front\n")
    with pytest.raises(DataError, match=match):
        LabelSource(given)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JSON", ".pkl.gz", ".analysis.h5", ".mp4", ""])
def test_a_table_names_files_with_any_suffix_that_is_read(tmp_path, suffix):
    name = "a.analysis" if suffix == ".analysis.h5" else "a"
    (tmp_path / "l.csv").write_text(f"file,label,subject\nb/a{suffix},007,3\n")
    assert LabelSource(tmp_path / "l.csv", [f"b/{name}"]).facts(f"b/{name}")["label"] == "007"
    (tmp_path / "l.csv").write_text(f"file,label\na.1{suffix},x\na{suffix},y\n")
    source = LabelSource(tmp_path / "l.csv", ["a", "a.1"])
    assert source.facts("a.1" + name[1:])["label"] == "x" and source.facts(name)["label"] == "y"


@pytest.mark.parametrize("suffix", [".npy", ".trc"])
def test_labels_of_digits_are_read_as_they_are_written(walkers, tmp_path, suffix):
    folder, table = clips(tmp_path / "set", walkers, ("001/a", "002/b", "010/c")), tmp_path / "l.csv"
    table.write_text("\n".join(["file,label", f"001/a{suffix},001", f"002/b{suffix},002", f"c{suffix},010"]))
    for given in ("folders", str(table), r"(?P<label>\d+)/"):
        for classes in (None, ["010", "002", "001"]):
            convert(folder, tmp_path / "o.h5", labels=given, classes=classes)
            with SkeletonStore(tmp_path / "o.h5") as store:
                assert [store.classes[label] for label in store.labels] == ["001", "002", "010"]
    table.write_text("\n".join(["file,label", "001/a,1.0", "002/b,2.0", "c,"]))  # as pandas writes 1, 2 and none
    convert(folder, tmp_path / "o.h5", labels=str(table))
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.classes == ["1", "2"] and store.labels.tolist() == [0, 1, -1]


def test_an_absent_table_of_labels(tmp_path):
    with pytest.raises(FileNotFoundError):
        LabelSource(tmp_path / "none.csv")


def test_scores_people_layout_and_rate(walkers, tmp_path, read):
    scores = np.full((2, 5, 17), 0.5)
    scores[1] = 0.9
    scores[0, :, 3] = 0.2
    np.savez(tmp_path / "c.npz", keypoints=walkers(2, 5), scores=scores)
    found, store, _ = read(tmp_path / "c.npz", people=1, min_score=0.3, fps=12.5)
    np.testing.assert_array_equal(found[..., :2], walkers(2, 5)[1:])
    assert store.fps == 12.5
    found, store, _ = read(tmp_path / "c.npz", min_score=0.3, layout="h36m17")
    assert not found[1, :, 3].any() and found[1, :, 4].any() and store.layout.name == "h36m17"
    for options in ({"min_score": 2}, {"fps": 0}, {"image_size": (0, 5)}, {"layout": "coco18"}, {"channels": "x,y,z"}):
        with pytest.raises(DataError):
            convert(tmp_path / "c.npz", tmp_path / "o.h5", **options)


def test_a_bad_file_is_left_out_or_stops(walkers, tmp_path):
    folder = clips(tmp_path / "set", walkers)
    (folder / "wave" / "bad.json").write_text('{"people": [')
    np.save(folder / "wave" / "pixels.npy", walkers(1, 4)[0] / 1000)
    report = convert(folder, tmp_path / "o.h5")
    reasons = {name: str(why) for name, why in report["skipped"]}
    assert "x and y in pixels as before, found 0 to 1" in reasons["wave/pixels"]
    assert "bad.json: expected JSON" in reasons["wave/bad"] and report["samples"] == 3
    with pytest.raises(DataError, match=r"bad\.json"):
        convert(folder, tmp_path / "p.h5", strict=True)
    assert not (tmp_path / "p.h5").exists()
    with pytest.raises(DataError, match="another file"):
        (tmp_path / "t.h5").write_text("a thesis")
        convert(folder, tmp_path / "t.h5")


def test_recordings_have_names_that_can_be_printed(walkers, tmp_path):
    np.save(tmp_path / "a\nb.npy", walkers(1, 3)[0])
    assert [recording.name for recording in find_recordings(tmp_path)[0]] == ["a_b"]


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_the_command(walkers, tmp_path, write_json):
    folder = clips(tmp_path / "set", walkers)
    result = run("convert", folder, tmp_path / "o.h5", "--labels", "folders", "--fps", "25")
    assert result.exit_code == 0 and "read as array of one clip: 3" in result.output, result.output
    report = json.loads(run("convert", folder, tmp_path / "o.h5", "--json").output)
    assert report["samples"] == 3 and report["read"] == {"array of one clip": 3}
    assert run("convert", folder, tmp_path / "o.h5", "--image-size", "1920").exit_code == 2
    bad = run("convert", write_json("b.json", "{}"), tmp_path / "b.h5")
    assert (
        bad.exit_code == 1
        and "JSON of skelmae, Kinetics-skeleton, COCO" in bad.output
        and "Traceback" not in bad.output
    )
    assert run("validate", folder).exit_code == 0 and "samples" in run("info", folder).output
    shown = run("show", folder, "--sample", "wave/a", "--output", tmp_path / "a.png")
    assert shown.exit_code == 0 and "4 frames, 1 person" in shown.output and (tmp_path / "a.png").is_file()


def test_the_command_layouts(tmp_path):
    assert "wholebody133  133" in run("layouts").output
    text = run("layouts", "halpe26").output
    for part in ("26 joints, root neck", "17  head", "left_eye - right_eye", "left_leg", "spine: hip - neck"):
        assert part in text
    assert json.loads(run("layouts", "smpl24", "--json").output)["root"] == 9
    for name in ("a.png", "a.svg"):
        assert run("layouts", "hand21", "--output", tmp_path / name).exit_code == 0
    assert run("layouts", "hand21", "--output", tmp_path / "a.gif").exit_code == 1
    (tmp_path / "own.toml").write_text(get_layout("coco17").to_toml().replace('"coco17"', '"mine"'))
    assert run("layouts", tmp_path / "own.toml").output.startswith("mine: 17 joints")
    assert run("layouts", "none").exit_code == 1 and run("layouts", "--output", tmp_path / "b.png").exit_code == 2


class Stop(BaseException):
    """As a kill would, nothing of Exception's."""


def many(folder, walkers):
    """Clips of every kind of reading: arrays, frames, one that is broken, one of two people."""
    clips(folder, walkers, [f"wave/a{n}" for n in range(5)])
    for t, frame in enumerate(walkers(2, 4)[0]):
        path = folder / "kick" / "frames" / f"{t}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([{"keypoints": frame.tolist(), "keypoint_scores": [0.9] * 17}]))
    (folder / "kick" / "bad.json").write_text("{")
    np.save(folder / "kick" / "two.npy", walkers(2, 5))
    return folder


def test_workers_and_resume_give_the_same_store(walkers, tmp_path):
    folder = many(tmp_path / "set", walkers)
    options = {"labels": "folders", "fps": 15, "source_fps": 30}
    whole = convert(folder, tmp_path / "whole.h5", **options)
    assert whole["samples"] == 7 and whole["resumed"] == 0 and len(whole["skipped"]) == 1
    other = convert(folder, tmp_path / "two.h5", workers=2, **options)

    def stop(done, total):
        if done == 4:
            raise Stop

    with pytest.raises(Stop):
        convert(folder, tmp_path / "out.h5", progress=stop, **options)
    assert (tmp_path / ".out.h5.resume").is_file() and not (tmp_path / "out.h5").exists()
    with pytest.raises(DataError, match="settings: expected those of the killed conversion, found other people"):
        convert(folder, tmp_path / "out.h5", people=1, resume=True, **options)
    resumed = convert(folder, tmp_path / "out.h5", resume=True, **options)
    assert resumed["resumed"] == 4
    for report in (other, resumed):
        assert {k: str(v) for k, v in report.items()} | {"resumed": "0"} == {k: str(v) for k, v in whole.items()}
    fingerprints = {SkeletonStore(tmp_path / f"{name}.h5").fingerprint for name in ("whole", "two", "out")}
    assert len(fingerprints) == 1 and not (tmp_path / ".out.h5.resume").exists()


def test_resume_is_of_many_files(known, tmp_path):
    with pytest.raises(DataError, match="files and no other option, for --resume"):
        convert(known["pickle"][0], tmp_path / "o.h5", resume=True)
    report = convert(known["raw"][0], tmp_path / "o.h5", resume=True, workers=2)
    assert report["resumed"] == 0 and report["samples"] == 4


def test_classes_and_clips_of_nobody_are_counted(walkers, tmp_path):
    folder = clips(tmp_path / "set", walkers)
    for number in range(12):
        (folder / "none").mkdir(exist_ok=True)
        np.save(folder / f"none/{number:02}.npy", np.zeros((4, 17, 2)))
    arguments = ["convert", str(folder), str(tmp_path / "o.h5"), "--labels", "folders"]
    result = CliRunner().invoke(cli, arguments)
    told = "12 sequences in which nobody was seen"
    assert "o.h5: 15 sequences (kick 1, none 12, wave 2)\n" in result.output and told in result.output
    assert "fewer than 5 sequences of kick, wave\n" in result.output
    assert "nobody was seen in none/00, none/01," in result.output and "none/09, ... (12)" in result.output
    with SkeletonStore(tmp_path / "o.h5") as store:
        empty = [f"none/{number:02}" for number in range(12)]
        assert store.provenance["nobody_seen"] == empty and store.labels.tolist() == [0, *[1] * 12, 2, 2]
    described = CliRunner().invoke(cli, ["info", str(tmp_path / "o.h5")]).output
    assert "nobody_seen" in described and "none/00, none/01" in described and "(12)" in described and told in described
    report = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).output)
    assert report["class_counts"] == {"kick": 1, "none": 12, "wave": 2} and report["nobody_seen"] == empty
    for number in range(60):
        (folder / f"c{number}").mkdir()
        np.save(folder / f"c{number}/x.npy", walkers(1, 3)[0])
    lines = CliRunner().invoke(cli, arguments).output.splitlines()
    assert any(line.endswith(": 75 sequences of 63 classes, 1 to 12 of each") for line in lines) and len(lines) < 12
    assert any(line.startswith("  fewer than 5 sequences of c0, c1,") and "... (62)" in line for line in lines)
