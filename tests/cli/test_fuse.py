"""Training two streams, fusing them, and what the other commands make of the result."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import convert_ntu
from skelmae_datasets.synthetic import write_dataset


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_on_the_command_line(tmp_path):
    write_dataset(tmp_path / "raw", subjects=2, repetitions=2, actions=["wave", "squat"])
    store = tmp_path / "s.h5"
    convert_ntu(tmp_path / "raw", store)
    tiny = [item for setting in ("epochs=2", "units=4", "encoder_layers=1", "body_units=[8,8]",
                                 "body_streams=features,motion2", "temporal_strides=[2]",
                                 "num_frames=8", "batch_size=8", "warmup_epochs=0") for item in ("--set", setting)]
    for name, streams in (("joint", ()), ("bone", ("--set", 'streams=["bone"]', "--set", 'body_streams=["bone"]'))):
        run("finetune", store, "--train-split", "subject=1", "--val-split", "subject=3", "--output", tmp_path / name,
            "--no-report", *tiny, *streams)
    fused = tmp_path / "fused"
    made = json.loads(run("fuse", tmp_path / "joint", tmp_path / "bone", "--weights", "2,1", "--output", fused,
                          "--json"))
    assert made["weights"] == [2, 1] and len(made["sha256"]) == 2
    assert (fused / "train_ids.txt").read_text() == (tmp_path / "joint/train_ids.txt").read_text()
    evaluated = json.loads(run("evaluate", fused, store, "--split", "subject=3", "--json", "-"))
    assert evaluated["num_samples"] == 4
    assert "trained on" in run("evaluate", fused, store, "--split", "subject=1", code=1)
    assert "fused run" in run("info", fused) and "FusedClassifier" in run("info", fused / "model.keras")
    each = [json.loads(run("predict", tmp_path / name, store, "--json")) for name in ("joint", "bone", "fused")]
    for joint, bone, both in zip(*each, strict=True):
        for key, value in both["probabilities"].items():
            assert value == pytest.approx((2 * joint["probabilities"][key] + bone["probabilities"][key]) / 3, abs=1e-5)
    (tmp_path / "bone/model.keras").rename(tmp_path / "bone.keras")  # a file that does not say what it was trained on
    run("fuse", tmp_path / "joint", tmp_path / "bone.keras", "--output", tmp_path / "half")
    assert (tmp_path / "half/train_ids.txt").read_text() == (fused / "train_ids.txt").read_text()
    assert oct((tmp_path / "half").stat().st_mode) == oct((tmp_path / "joint").stat().st_mode)
    (tmp_path / "bone.keras").rename(tmp_path / "bone/model.keras")
    assert "takes two or more" in run("fuse", fused, "--output", tmp_path / "x", code=2)
    assert "already there" in run("fuse", tmp_path / "joint", tmp_path / "bone", "--output", fused, code=1)
    assert "fused ones" in run("embed", fused, store, tmp_path / "features.npz", code=1)
    run("export", fused, "--output", tmp_path / "saved")
    assert (tmp_path / "saved/saved_model.pb").is_file()
