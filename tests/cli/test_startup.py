"""What is wrong with a command line is said, and data files are looked at, before Keras is imported."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from skelmae_datasets import SkeletonStore, convert_ntu, get_layout
from skelmae_datasets.runs import exports
from skelmae_datasets.runs.saved_model import read_saved
from skelmae_datasets.synthetic import write_dataset

PROBE = """
import contextlib, io, json, sys
from skelmae_cli.main import cli
found = []
for words in json.loads(sys.stdin.read()):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            cli(words, standalone_mode=True)
        except SystemExit as error:
            found.append([error.code, said.getvalue(), sorted({"keras", "tensorflow"} & set(sys.modules))])
print(json.dumps(found))
"""
TRAIN = "toy.h5 --train-split xsub_train --output"
KNN = "protocol knn toy.h5 --test-split xsub_val --output new --train-split"
OTHER = "coco17 in 2D, as other takes, found ntu25 in 3D; `skelmae project` makes 2D data of 3D"
REFUSED = {  # command line -> what the error names
    "pretrain toy.h5 --train-split xsub_trian --output new": "split: expected one of xsub_train",
    f"pretrain {TRAIN} new --set unit=3": "unknown setting 'unit' (did you mean units",
    f"pretrain {TRAIN} new --set masc=3": "`skelmae settings` lists all",
    f"pretrain {TRAIN} new --set mask_parts=tail": "parts: expected some of head",
    f"pretrain {TRAIN} new --set use_score=true": "use_score: expected a score channel",
    f"finetune {TRAIN} new --set units=many": "units: expected int",
    f"finetune {TRAIN} new --val-split xsub_val --set validation_fraction=0.3": "--val-split is what is set aside",
    f"finetune {TRAIN} done": "found a finished run",
    f"finetune {TRAIN} stopped": "--resume goes on with it",
    f"finetune {TRAIN} new --val-split subject=1": "--allow-overlap goes on",
    f"finetune {TRAIN} new --pretrained raw/classes.txt": "expected a run folder or a .keras file",
    f"finetune {TRAIN} new --pretrained raw": "nothing there",
    f"finetune {TRAIN} new --pretrained other": OTHER,
    f"finetune {TRAIN} new --pretrained coco17-motion": "channels: expected x, y in pixels as coco17-motion takes",
    "pretrain none.h5 --train-split xsub_train --output new": "none.h5",
    "evaluate done toy.h5 --test-split xsub_vall": "xsub_val",
    "evaluate done toy.h5 --test-split xsub_train": "1 of",
    "evaluate done few.h5 --test-split xsub_val": "classes: expected those of the model: wave, squat",
    "evaluate other toy.h5 --test-split xsub_val": OTHER,
    "evaluate pre toy.h5 --test-split xsub_val": "model: expected a classifier, found SkeletonMAE",
    "evaluate toy.h5 toy.h5 --test-split all": "expected a run folder or a .keras file, found .h5",
    "evaluate empty.keras toy.h5 --test-split all": "model: expected a .keras file of this package",
    "evaluate sequential.keras toy.h5 --test-split all": "expected a class of keras_skelmae, found 'Sequential'",
    "evaluate-timeline raw/classes.txt raw/classes.txt": "raw/classes.txt",
    "embed done toy.h5 --split xsub --output e.npz": "xsub_train",
    "embed other toy.h5 --output e.npz": OTHER,
    "embed done toy.h5 --output f.v1": "f.v1: suffix: expected .npz, found .v1",
    "embed done toy.h5 --output features": "features: suffix: expected .npz, found none",
    "predict done video.mov": "suffix: expected",
    "predict done raw video.mov": "suffix: expected",
    "predict done none.json": "none.json",
    "predict done broken.skeleton": "broken.skeleton",
    "predict done broken.skeleton --stream": "broken.skeleton",
    "predict done broken.skeleton --whole": "broken.skeleton",
    "predict other toy.h5": "expected coco17 in 2D, as the model takes, found ntu25 in 3D; `skelmae project`",
    "predict done raw --output lines.txt": "suffix: expected .json, .csv, .vtt, .eaf, .svg, found .txt",
    "predict pre raw": "model: expected a classifier",
    "fuse done done --output raw": "already there",
    "fuse done other --output new": "layout: expected 'ntu25' as done has, found 'coco17'",
    "fuse done ./done/model.keras --output new": "model.keras: expected each model once (--weights makes one count",
    "report fused": "fused: metrics.json: expected a finished run, found a fused model, of no training of its own",
    "fuse done pre --output new": "model: expected a classifier of one stream",
    "export raw": "nothing there",
    "export pre": "model: expected a classifier",
    "export done --format onnx --output done.txt": "expected a name ending in .onnx for onnx",
    "export done --format keras --output new": "new: expected a name ending in .keras for keras, found no suffix",
    "export done --output new.onnx": "expected the name of a folder for saved-model, found .onnx; see --format",
    "export done --output raw": "already there",
    "serve pre": "model: expected a classifier",
    "info empty.keras": "model: expected a .keras file of this package",
    "report done": "metrics.json: expected a finished run",
    "reconstruct pre toy.h5 --output strip.jpeg": "suffix",
    "reconstruct done toy.h5": "model: expected a masked autoencoder of one person, found STRLClassifier",
    "reconstruct pre toy.h5 --parts tail": "parts: expected some of head",
    "reconstruct pre toy.h5": "or --fit-split NAME, found no training split",
    "reconstruct pre toy.h5 --fit-split all --sample none": "sample: expected an id such as",
    f"{KNN} all": "--allow-overlap",
    f"{KNN} xsub_train --pretrained other": OTHER,
    f"{KNN} xsub_train --set seed=3": "seed: expected a setting with an effect here: --seeds has them",
    f"{KNN} xsub_train --epochs 3": "--epochs: epochs: expected a setting with an effect here: knn takes the features",
    f"{KNN} subject=1 --set head_units=3": "head_units: expected a setting with an effect here",
    "protocol semi toy.h5 --train-split xsub_train --test-split xsub_val --output new --set validation_fraction=0.2": (
        "validation_fraction: expected a setting with an effect here: --test-split is what is reported on"
    ),
    f"{KNN} xsub_train --fraction 2": "fraction: expected 0 < fraction <= 1",
    "protocol semi toy.h5 --train-split xsub_train --test-split xsub_val --output new --shots 0": "shots: expected",
    "protocol cross-validate toy.h5 --output new --folds 9": "folds: expected 2 to 3",
    "protocol cross-validate toy.h5 --output new --pretrained other": OTHER,
    "protocol cross-validate toy.h5 --output new --set unit=3": "unknown setting 'unit'",
    "protocol baseline toy.h5 --train-split xsub_train --test-split no": "split: expected",
    "protocol baseline toy.h5 --train-split xsub_train --test-split all": "--allow-overlap",
    "protocol robustness done toy.h5 --test-split xsub_val --kinds rain --output new": "kinds: expected some of joints",
    "protocol robustness done other toy.h5 --test-split xsub_val --output new": OTHER,
    "protocol robustness done toy.h5 --test-split xsub_train --output new": "1 of",
    "protocol baseline toy.h5 --train-split ids=one.txt --test-split xsub_val": "two classes or more, found",
    "protocol retrieval toy.h5 --train-split all --test-split ids=one.txt --output new": "expected a class with two",
    "study depth toy.h5 --train-split xsub_train --test-split no --output new": "split: expected",
    "study init toy.h5 --train-split xsub_train --test-split xsub_val --output new --set seed=3": "--seeds has them",
    "study depth toy.h5 --train-split xsub_train --test-split all --output new": "are not in the training split",
}
ANSWERED = ("info toy.h5", "info raw", "info stopped", "show toy.h5 --output strip.png", "layouts coco17", "settings")
ANSWERED += ("show raw --output strip.svg", "validate toy.h5", "layouts coco17 --output coco17.png")


def write_model(path, kind, layout="ntu25", channels=("x", "y", "z"), units="metres", **config):
    """A .keras file as far as it is read without Keras: what it says of its model, and no weights."""
    form = {"layout": get_layout(layout).to_dict(), "channels": channels, "units": units}
    form |= {"num_frames": 8, "num_people": 1}
    encoder = {"encoder": {"preprocessor": {"config": form}}}
    backbone = {"class_name": "STRLBackbone", "registered_name": "keras_skelmae>STRLBackbone", "config": encoder}
    content = {"backbone": backbone, **config} if kind == "STRLClassifier" else encoder
    if kind == "Ensemble":
        content = {"members": [{"backbone": backbone}] * config["num_members"], **config}
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        told = {"class_name": kind, "registered_name": f"keras_skelmae>{kind}", "config": content}
        archive.writestr("config.json", json.dumps(told))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store, its recordings, and what runs look like from outside: finished, stopped, of other data."""
    folder = tmp_path_factory.mktemp("startup")
    write_dataset(folder / "raw", subjects=3, repetitions=1, actions=["wave", "squat", "kick"], frames=(8, 10))
    report = convert_ntu(folder / "raw", folder / "toy.h5")
    assert report["samples"] and (folder / "raw" / "classes.txt").is_file()
    write_dataset(folder / "more", subjects=3, repetitions=1, actions=["wave", "handshake"], frames=(8, 10))
    convert_ntu(folder / "more", folder / "few.h5")
    (folder / "video.mov").touch()
    (folder / "empty.keras").touch()
    (folder / "broken.skeleton").write_text("12\n1\n")
    with SkeletonStore(folder / "toy.h5") as store:
        known = {"class_names": list(store.classes), "num_classes": 3}
    write_model(folder / "done" / "model.keras", "STRLClassifier", **known)
    write_model(folder / "other" / "model.keras", "STRLClassifier", "coco17", ("x", "y"), "pixels", **known)
    write_model(folder / "pre" / "model.keras", "SkeletonMAE")
    with zipfile.ZipFile(folder / "sequential.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "registered_name": "Sequential"}))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", "")
    one = next((folder / "raw").rglob("*P001*.skeleton")).stem
    for name in ("done/train_ids.txt", "one.txt"):
        (folder / name).write_text(f"{one}\n")
    (folder / "fused").mkdir()
    (folder / "fused" / "ensemble.json").write_text("{}")
    (folder / "stopped" / "checkpoints").mkdir(parents=True)
    (folder / "stopped" / "config.toml").write_text("[data]\nnum_frames = 8\n")
    (folder / "stopped" / "checkpoints" / f"checkpoint-{1:010d}-{0:016x}.npz").touch()
    return folder


@pytest.fixture(scope="module")
def said(folder):
    """{command line: (status, output, heavy modules)}, all of one fresh process."""
    wanted = [*REFUSED, *ANSWERED]
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([line.split() for line in wanted]),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(wanted, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("line", REFUSED)
def test_an_error_is_one_line_and_comes_before_keras(line, said, folder):
    status, output, heavy = said[line]
    assert (status, heavy) == (1, []), output
    assert output.startswith("Error: ") and output.count("\n") == 1
    assert REFUSED[line] in output
    assert not (folder / "new").exists()


@pytest.mark.parametrize("line", ANSWERED)
def test_data_files_are_looked_at_without_keras(line, said):
    status, output, heavy = said[line]
    assert (status, heavy) == (0, []), output


@pytest.mark.parametrize("format", exports.FORMATS)
def test_an_export_has_the_name_of_its_run(format, folder, monkeypatch):
    """Also where the run is the folder one is in, which is called "." there."""
    monkeypatch.setattr(exports, "_require", lambda format: None)
    monkeypatch.chdir(folder / "done" / "..")
    expected = Path("saved_models") / f"done{exports.SUFFIXES[format]}"
    assert exports.plan_export("done", format)[1] == exports.plan_export("done/model.keras", format)[1] == expected
    monkeypatch.chdir("done")
    for name in (".", "model.keras", "../done", "./"):
        assert exports.plan_export(name, format)[1] == expected
    (folder / "done" / "deeper").mkdir(exist_ok=True)
    monkeypatch.chdir("deeper")
    assert exports.plan_export("..", format)[1] == expected


@pytest.mark.parametrize(
    ("config", "known", "words"),
    [
        ({}, False, ["not calibrated and it cannot tell what it was not", "--val-split", "cross-validate --final"]),
        ({"num_members": 1, "temperature": 1.0}, True, ["its probabilities are not calibrated; 20 clips or more"]),
        ({"num_members": 1, "temperature": 1.5}, False, ["it cannot tell what it was not trained on; 20 clips or"]),
        ({"num_members": 1, "temperature": 1.5}, True, []),
        ({"num_members": 2, "temperature": 1.0}, False, ["no command gives that to a fused model"]),
    ],
)
def test_what_the_answers_of_a_model_leave_in_doubt(config, known, words, tmp_path):
    write_model(tmp_path / "run" / "model.keras", "Ensemble" if config else "STRLClassifier", num_classes=2, **config)
    if known:
        (tmp_path / "run" / "known.npz").touch()
    found = read_saved(tmp_path / "run").doubts
    assert all(word in found for word in words) and bool(found) == bool(words) and "\n" not in found
