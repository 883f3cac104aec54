"""Every skelmae line of the README, and of the pages that it leads to, runs on tiny stand-ins for the files it names.

So does their Python; what the README shows of the output is what is printed, but for the figures.
"""

import importlib.util
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets.synthetic import write_dataset

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "docs" / f"{name}.md" for name in ("formats", "protocols", "training", "pictures-and-reports", "python")
]
SIZES = ("num_frames=8", "units=4", "encoder_layers=1", "batch_size=8", "warmup_epochs=0")
BODY = ("num_layers=1", "temporal_units=8,8", "temporal_strides=2")


def load_run_blocks():
    spec = importlib.util.spec_from_file_location("run_blocks", ROOT / "docs" / "run_blocks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_blocks = load_run_blocks()


def write_pickle(path, joints, dims, splits, classes=3, each=4):
    """A PYSKL annotation file of random walks: `each` sequences per class, every other one in each first split."""
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(classes * each):
        points = rng.normal(500 if dims == 2 else 3, 60 if dims == 2 else 0.3, (1, 12, joints, dims))
        annotation = {"frame_dir": f"v{number}", "label": number % classes, "total_frames": 12}
        annotation |= {"keypoint": points.astype("float32")}
        if dims == 2:
            annotation |= {"keypoint_score": np.ones((1, 12, joints), "float32")}
            annotation |= {"img_shape": (1080, 1920), "original_shape": (1080, 1920)}
        annotations.append(annotation)
    names = [annotation["frame_dir"] for annotation in annotations]
    half = len(names) // 2
    named = {name: names[:half] if number % 2 == 0 else names[half:] for number, name in enumerate(splits)}
    path.write_bytes(pickle.dumps({"split": named, "annotations": annotations}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with all that the README's commands and scripts take from outside."""
    folder = tmp_path_factory.mktemp("readme")
    files = write_dataset(
        folder / "nturgb+d_skeletons", subjects=3, repetitions=1, actions=["wave", "squat", "kick"], frames=(12, 16)
    )
    (folder / "nturgb+d_skeletons" / "classes.txt").unlink()  # NTU has none
    shutil.copy(files[0], folder / "S001C001P001R001A001.skeleton")
    write_pickle(folder / "ntu60_hrnet.pkl", 17, 2, ["xsub_train", "xsub_val"])
    write_pickle(folder / "nwucla_3d.pkl", 20, 3, ["xsub5_train_nodup", "xsub5_test_nodup"])
    write_pickle(folder / "jhmdb_coco17.pkl", 17, 2, ["train1", "test1", "train2", "test2", "train3", "test3"])
    (folder / "benchmarks").mkdir()
    for file in (ROOT / "benchmarks").glob("*.sh"):
        shutil.copy(file, folder / "benchmarks")
    return folder


def lines():
    """The commands of the README and its pages, as lists of words."""
    for text in [text for page in (*PAGES, ROOT / "README.md") for text in run_blocks.blocks(page, "sh")]:
        for line in text.replace("\\\n", " ").splitlines():
            if line.strip():
                yield shlex.split(line.partition("  #")[0])


def tiny(words):
    """The words of a skelmae command with settings after them that make a training take seconds."""
    if words[0] not in ("pretrain", "finetune", "protocol", "study"):
        return words
    if words[1] in ("linear", "knn", "retrieval"):  # which train nothing
        return ["0" if word == "0,1,2" else word for word in words]
    body = words[0] != "pretrain" and "paper" not in words
    settings = [item for setting in (*SIZES, *(BODY if body else ())) for item in ("--set", setting)]
    return [*("0" if word == "0,1,2" else word for word in words), "--epochs", "1", *settings]


def prepare(words):
    """Make the runs that a command takes and no line before it has made."""
    if "runs/random" in words:
        shutil.copytree("runs/fine", "runs/random")
    if "runs/nw/pre-{seed}" in words:  # of a benchmark script
        line = "pretrain nwucla.h5 --train-split xsub5_train_nodup --set objective=contrastive --no-report"
        settings = [item for setting in BODY for item in ("--set", setting)]
        run([*tiny(line.split()), *settings, "--output", "runs/nw/pre-0"])


def run(words):
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, f"skelmae {shlex.join(words)}\n{result.output}\n{result.exception!r}"


@pytest.fixture(scope="module")
def ran(folder, eager_module):
    """The folder after all commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in lines():
            if words[0] == "skelmae":
                prepare(words)
                run(tiny(words[1:]))
    return folder


def test_every_command_runs_and_writes_what_it_says(ran):
    assert json.loads((ran / "result.json").read_text())["num_clips"] == 10
    for name in (
        "strip.png",
        "reconstruction.png",
        "both.html",
        "saved_models/ntu60/saved_model.pb",
        "runs/studies/init.md",
    ):
        assert (ran / name).is_file(), name
    for name in ("pre", "fine", "pre2d"):
        assert (ran / "runs" / name / "report.html").is_file()


def test_python_runs(ran, monkeypatch):
    monkeypatch.chdir(ran)
    for page in (ROOT / "README.md", ROOT / "docs" / "python.md"):
        first, *others = run_blocks.blocks(page, "python")
        assert len(re.findall(r"epochs=\d+", first)) == 2
        for text in (re.sub(r"epochs=\d+", "epochs=1", first), *others):
            exec(compile(text, page.name, "exec"), {})
        assert (ran / "runs" / "mine" / "model.keras").is_file()
        shutil.rmtree(ran / "runs" / "mine")


def without_figures(text):
    """Lines of an output, numbers and what depends on them left out: labels, and whether a mirror image counts."""
    text = re.sub(r"; it averages .*", "", text)
    text = re.sub(r"\d+(\.\d+)?(e-\d+)?", "0", text)
    return [line.split("  ")[0].rstrip() if "%  " in line else line.rstrip() for line in text.splitlines()]


def test_the_quickstart_prints_what_the_readme_shows(tmp_path, monkeypatch, eager_module):
    spec = importlib.util.spec_from_file_location("example_clips", ROOT / "docs" / "example_clips.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.chdir(tmp_path)
    example.main("clips")
    (text,) = run_blocks.blocks(ROOT / "README.md", "console")
    commands = re.findall(r"^\$ skelmae (.*)\n((?:[^$].*\n)*)", text, re.MULTILINE)
    assert [line.split()[0] for line, _ in commands] == ["convert", "finetune", "predict", "export"]
    for line, shown in commands:
        result = CliRunner().invoke(cli, tiny(line.split()))
        assert result.exit_code == 0, result.output
        assert without_figures(result.output) == without_figures(shown), line


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 140


def test_scripts_call_commands_that_exist(folder, tmp_path):
    """A stand-in for skelmae writes down how the scripts of the README call it."""
    stub = tmp_path / "skelmae"
    stub.write_text(
        '#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done >> "$CALLS"; printf "\\n" >> "$CALLS"\n'
    )
    stub.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
    }
    scripts = [words for words in lines() if words[0].startswith("benchmarks/")]
    assert {words[0] for words in scripts} == {"benchmarks/accuracy.sh", "benchmarks/streams.sh"}
    for words in scripts:
        subprocess.run(["bash", *words, "--epochs", "1"], cwd=folder, env=environment, check=True)
    calls = [line.split("\0")[:-1] for line in (tmp_path / "calls").read_text().splitlines()]
    assert {words[0] for words in calls} == {"pretrain", "protocol", "fuse", "evaluate"}
    for words in calls:
        with click.Context(cli) as context:
            name, command, rest = cli.resolve_command(context, words)
            command.make_context(name, rest, parent=context)
