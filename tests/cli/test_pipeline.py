"""The commands on synthetic recordings, with nothing stood in for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli

NO_KERAS = """
import sys
from skelmae_cli.main import cli
cli(sys.argv[1:], standalone_mode=False)
assert not {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    from skelmae_datasets.synthetic import write_dataset

    folder = tmp_path_factory.mktemp("recordings")
    write_dataset(folder, subjects=2, repetitions=1, seed=1, frames=(12, 16))
    return folder


def test_convert_and_info_without_keras(recordings, tmp_path):
    store = tmp_path / "out.h5"
    for arguments in (["convert-ntu", recordings, store, "--workers", "2"], ["info", store]):
        command = [sys.executable, "-c", NO_KERAS, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout
    described = json.loads(CliRunner().invoke(cli, ["info", str(store), "--json"]).output)
    assert described


def test_a_broken_recording_is_left_out_or_stops_a_strict_run(recordings, tmp_path):
    good = sorted(recordings.glob("*.skeleton"))[0]
    (tmp_path / good.name).write_bytes(good.read_bytes())
    broken = tmp_path / good.name.replace("R001", "R002")
    broken.write_bytes(good.read_bytes()[:-200])
    result = CliRunner().invoke(cli, ["convert-ntu", str(tmp_path), str(tmp_path / "out.h5")])
    assert result.exit_code == 0, result.output
    assert broken.name in result.output and "1 left out" in result.output
    result = CliRunner().invoke(cli, ["convert-ntu", str(tmp_path), str(tmp_path / "strict.h5"), "--strict"])
    assert result.exit_code == 1 and broken.name in result.output
    assert not (tmp_path / "strict.h5").exists()


@pytest.mark.slow
def test_demo(tmp_path):
    command = [sys.executable, "-m", "skelmae_cli", "demo", "--output", str(tmp_path / "demo"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert set(figures["top1"]) == {"pretrained", "random"}
    assert figures["top1"]["pretrained"] > 0.3, "ten classes: chance is 0.1"
