"""The commands on synthetic recordings, with nothing stood in for."""

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


def without_keras(*arguments):
    """The output of a command in a process that must not import Keras or a backend."""
    command = [sys.executable, "-c", NO_KERAS, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_convert_and_info_without_keras(recordings, tmp_path):
    assert "xsub_train" in without_keras("convert-ntu", recordings, tmp_path / "out.h5", "--workers", "2")
    described = json.loads(without_keras("info", tmp_path / "out.h5", "--json"))
    assert (described["layout"], described["joints"]) == ("ntu25", 25) and described["splits"]["xsub_train"]


def test_info_of_a_run_or_an_ensemble_without_keras(tmp_path):
    for name, text in {
        "config.toml": "[data]\nseed = 3\n",
        "metrics.json": '{"loss": 0.25}',
        "model.keras": "",
    }.items():
        (tmp_path / name).write_text(text)
    described = json.loads(without_keras("info", tmp_path, "--json"))
    assert (described["kind"], described["metrics"]) == ("run", {"loss": 0.25}) and "model.keras" in described["files"]
    assert "\n  seed = 3\n" in without_keras("info", tmp_path)
    (tmp_path / "ensemble.json").write_text('{"weights": [2, 1]}')
    assert json.loads(without_keras("info", tmp_path, "--json"))["weights"] == [2, 1]


def test_a_damaged_store_is_repaired(recordings, tmp_path):
    store = tmp_path / "s.h5"
    assert CliRunner().invoke(cli, ["convert-ntu", str(recordings), str(store)]).exit_code == 0
    repaired = CliRunner().invoke(cli, ["validate", str(store), "--output", str(tmp_path / "again.h5")])
    assert repaired.exit_code == 0 and "again.h5: written" in repaired.output
    assert (tmp_path / "again.h5").is_file()
    same = CliRunner().invoke(cli, ["validate", str(store), "--output", str(store)])
    assert same.exit_code == 2 and "--output: expected another file" in same.output


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
    assert set(figures["starts"]) == {"weights", "pretrained", "random"}
    assert figures["starts"]["weights"]["top1"] > 0.3, "ten classes: chance is 0.1"
