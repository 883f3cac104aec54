"""Help texts: complete, with an example each, and fast because nothing heavy is imported."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from skelmae_cli.main import COMMANDS, cli

PROBE = """
import sys
sys.argv = ["skelmae", *{arguments!r}]
from skelmae_cli.main import cli
try:
    cli()
except SystemExit as error:
    assert not error.code, error.code
heavy = sorted({{"numpy", "h5py", "keras", "tensorflow", "jax", "torch", "keras_skelmae"}} & set(sys.modules))
assert not heavy, heavy
"""


def run_fresh(*arguments: str) -> subprocess.CompletedProcess:
    code = PROBE.format(arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_every_option_a_text(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"skelmae {name}" in result.output.partition("Example:")[2]
    command = importlib.import_module(f"skelmae_cli.{COMMANDS[name][0]}").command
    assert command.name == name
    assert all(option.help for option in command.params if option.param_type_name == "option")


def test_group_help_lists_every_command_with_its_text():
    output = " ".join(CliRunner().invoke(cli, ["--help"]).output.split())
    for name, (_, text) in COMMANDS.items():
        assert f"{name} {text}" in output


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["pretrain", "--help"], ["study", "--help"], ["convert-ntu", "-h"]]
)
def test_help_imports_nothing_heavy(arguments):
    result = run_fresh(*arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_group_help_takes_less_than_a_third_of_a_second():
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        assert run_fresh("--help").returncode == 0
        seconds.append(time.perf_counter() - started)
    assert statistics.median(seconds) < 0.3, seconds


def test_version():
    assert CliRunner().invoke(cli, ["--version"]).output.startswith("skelmae ")


@pytest.mark.parametrize(
    ("name", "options"),
    {
        "convert-ntu": "--joints --people --denoise --workers --strict --resume --json",
        "convert-pyskl": "--layout --classes --kpfiles --people --strict --json",
        "convert-arrays": "--layout --classes --strict --json",
        "convert-csv": "--layout --classes --columns --people --strict --json",
        "show": "--sample --output --frames --names --layout --rate",
        "reconstruct": "--parts --sample --output --frames --fit-split --readout --json",
        "report": "--output",
        "validate": "--fix --all --json",
        "pretrain": "--split --output --config --set --epochs --batch-size --seed --recipe --devices "
        "--mixed-precision --jit --report --tensorboard --json --resume --force --checkpoint-minutes",
        "finetune": "--train-split --val-split --output --pretrained --select --config --set --epochs "
        "--batch-size --seed --recipe --devices --mixed-precision --jit --report --tensorboard --json --resume --force "
        "--checkpoint-minutes",
        "evaluate": "--split --clips --report --json --allow-overlap",
        "fuse": "--output --weights --json",
        "study": "--train-split --test-split --output --seeds --fraction --source --source-split --config --set "
        "--pretrain-set --finetune-set --epochs --batch-size --recipe --json",
        "predict": "--stream --window --stride --smoothing --json",
        "export": "--format --output",
        "demo": "--output",
        "info": "--json",
    }.items(),
)
def test_promised_options_exist(name, options):
    command = importlib.import_module(f"skelmae_cli.{COMMANDS[name][0]}").command
    assert set(options.split()) <= {text for parameter in command.params for text in parameter.opts}
