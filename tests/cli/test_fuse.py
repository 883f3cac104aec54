"""Training two streams, fusing them, and what the other commands make of the result."""

import json
import shutil

import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset

SETTINGS = {
    "epochs": 2,
    "units": 4,
    "encoder_layers": 1,
    "temporal_units": "8,8",
    "body_streams": "features,motion2",
    "temporal_strides": "2",
    "num_frames": 8,
    "batch_size": 8,
    "warmup_epochs": 0,
    "mirror": "off",  # with classes that are told by a side the fused answer is no plain mean
}
TINY = [item for key, value in SETTINGS.items() for item in ("--set", f"{key}={value}")]


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory, eager_module):
    """A store, the runs joint and bone, and what was made of them."""
    folder = tmp_path_factory.mktemp("fuse")
    write_dataset(folder / "raw", subjects=2, repetitions=2, actions=["wave", "squat"])
    convert_ntu(folder / "raw", folder / "s.h5")
    splits = ("--train-split", "subject=1", "--val-split", "subject=3")
    for name in ("joint", "bone"):
        streams = ("--set", "streams=bone", "--set", "body_streams=bone") if name == "bone" else ()
        run("finetune", folder / "s.h5", *splits, "--output", folder / name, "--no-report", *TINY, *streams)
    run("fuse", folder / "joint", folder / "bone", "--weights", "2,1", "--output", folder / "fused")
    return folder


def test_what_is_written(folder, tmp_path):
    models = (folder / "joint", folder / "bone")
    made = json.loads(run("fuse", *models, "--weights", "2,1", "--output", tmp_path / "again", "--json"))
    assert made["weights"] == [2, 1] and len(made["sha256"]) == 2
    ids = (folder / "joint/train_ids.txt").read_text()
    assert (folder / "fused/train_ids.txt").read_text() == ids
    alone = tmp_path / "bone.keras"  # a file that does not say what it was trained on
    alone.write_bytes((folder / "bone/model.keras").read_bytes())
    run("fuse", folder / "joint", alone, "--output", tmp_path / "half")
    assert (tmp_path / "half/train_ids.txt").read_text() == ids
    assert oct((tmp_path / "half").stat().st_mode) == oct((folder / "joint").stat().st_mode)


def test_it_is_evaluated_and_described_like_a_run(folder):
    evaluated = run("evaluate", folder / "fused", folder / "s.h5", "--test-split", "subject=3", "--json")
    assert json.loads(evaluated)["num_samples"] == 4
    assert "trained on" in run("evaluate", folder / "fused", folder / "s.h5", "--test-split", "subject=1", code=1)
    assert "ensemble" in run("info", folder / "fused") and "Ensemble" in run("info", folder / "fused/model.keras")


def test_what_a_member_saw_before_is_told_of_the_fused_one(folder, tmp_path):
    with SkeletonStore(folder / "s.h5") as store:
        seen = [store.ids[index] for index in store.select("subject=3")[:2]]
    shutil.copytree(folder / "bone", tmp_path / "bone")
    (tmp_path / "bone/pretrain_ids.txt").write_text("".join(f"{name}\n" for name in seen))
    run("fuse", folder / "joint", tmp_path / "bone", "--output", tmp_path / "fused")
    for name in ("bone", "fused"):
        evaluated = run("evaluate", tmp_path / name, folder / "s.h5", "--test-split", "subject=3", "--json")
        assert json.loads(evaluated)["seen_in_pretraining"] == 2


def test_its_probabilities_are_the_weighted_mean(folder):
    each = [json.loads(run("predict", folder / name, folder / "s.h5", "--json")) for name in ("joint", "bone", "fused")]
    for joint, bone, both in zip(*each, strict=True):
        for key, value in both["probabilities"].items():
            assert value == pytest.approx((2 * joint["probabilities"][key] + bone["probabilities"][key]) / 3, abs=1e-5)


def test_what_is_refused(folder, tmp_path):
    assert "takes two or more" in run("fuse", folder / "fused", "--output", tmp_path / "x", code=2)
    one = ("fuse", folder / "joint", folder / "bone", "--output", folder / "fused")
    assert "already there" in run(*one, code=1)
    features = ("embed", folder / "fused", folder / "s.h5", "--output", tmp_path / "f.npz")
    assert "expected a model of its own features, found 2 members" in run(*features, code=1)


def test_it_is_exported(folder, tmp_path):
    run("export", folder / "fused", "--output", tmp_path / "saved")
    assert (tmp_path / "saved/saved_model.pb").is_file()
