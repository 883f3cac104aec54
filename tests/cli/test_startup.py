"""What is wrong with a command line is said, and data files are looked at, before Keras is imported."""

import json
import subprocess
import sys

import pytest

from skelmae_datasets import convert_ntu
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
REFUSED = {  # command line -> what the error names
    "pretrain toy.h5 --train-split xsub_trian --output new": "split: expected one of xsub_train",
    f"pretrain {TRAIN} new --set unit=3": "unknown setting 'unit' (did you mean units",
    f"pretrain {TRAIN} new --set masc=3": "`skelmae settings` lists all",
    f"finetune {TRAIN} new --set units=many": "units: expected int",
    f"finetune {TRAIN} done": "found a finished run",
    f"finetune {TRAIN} stopped": "--resume goes on with it",
    f"finetune {TRAIN} new --val-split subject=1": "--allow-overlap goes on",
    f"finetune {TRAIN} new --pretrained raw/classes.txt": "expected a run folder or a .keras file",
    f"finetune {TRAIN} new --pretrained raw": "nothing there",
    "pretrain none.h5 --train-split xsub_train --output new": "none.h5",
    "evaluate done toy.h5 --test-split xsub_vall": "xsub_val",
    "evaluate done toy.h5 --test-split xsub_train": "1 of",
    "evaluate toy.h5 toy.h5 --test-split all": "expected a run folder or a .keras file, found .h5",
    "embed done toy.h5 --split xsub --output e.npz": "xsub_train",
    "predict done video.mov": "suffix: expected",
    "fuse done done --output raw": "already there",
    "export raw": "nothing there",
    "reconstruct done toy.h5 --output strip.jpeg": "suffix",
    "protocol knn toy.h5 --train-split xsub_train --test-split all --output new": "--allow-overlap",
    "study depth toy.h5 --train-split xsub_train --test-split no --output new": "split: expected",
}
ANSWERED = ("info toy.h5", "info raw", "info stopped", "show toy.h5 --output strip.png", "layouts coco17", "settings")
ANSWERED += ("show raw --output strip.svg", "validate toy.h5", "layouts coco17 --output coco17.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store, its recordings, and what a finished and a stopped run look like from outside."""
    folder = tmp_path_factory.mktemp("startup")
    write_dataset(folder / "raw", subjects=3, repetitions=1, actions=["wave", "squat", "kick"], frames=(8, 10))
    report = convert_ntu(folder / "raw", folder / "toy.h5")
    assert report["samples"] and (folder / "raw" / "classes.txt").is_file()
    (folder / "video.mov").touch()
    (folder / "done").mkdir()
    (folder / "done" / "model.keras").touch()
    one = next((folder / "raw").rglob("*P001*.skeleton")).stem
    (folder / "done" / "train_ids.txt").write_text(f"{one}\n")
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
