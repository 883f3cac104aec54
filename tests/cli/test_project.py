"""`skelmae project`: from a 3D file to a store of views."""

import json

import numpy as np
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import Sample, SkeletonStore, StoreWriter
from skelmae_datasets.synthetic import generate_motion


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_project_writes_views_and_tells_what_it_did(tmp_path):
    data, output = tmp_path / "own.h5", tmp_path / "views.h5"
    with StoreWriter(data, layout="ntu25", classes=["kick"], channels=("x", "y", "z")) as writer:
        writer.append(Sample("one", generate_motion("kick", frames=(20, 20)), 0))
        writer.set_splits({"train": ["one"]})
    result = run("project", data, output, "--views", 2, "--seed", 3, "--layout", "coco17", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["samples"] == 2 and report["splits"] == {"train": 2}
    assert report["notes"][0].startswith("ntu25 to coco17: 13 of 17 joints. derived: nose = head. missing: left_eye")
    with SkeletonStore(output) as store:
        assert store.ids == ["one-view0", "one-view1"] and store.layout.name == "coco17"
        assert store.provenance["seed"] == 3 and not store.read(0)[:, :, 1:5].any() and np.isfinite(store.read(1)).all()
    text = run("project", data, tmp_path / "3d.h5", "--dims", "3", "--clean").output
    assert "1 sequences" in text and "train" in text
    refused = run("project", output, tmp_path / "again.h5")
    assert refused.exit_code == 1 and refused.output.count("\n") == 1
    assert "views.h5: channels: expected x,y,z in metres" in refused.output
