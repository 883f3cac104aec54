"""Help texts: complete, with an example each, and fast because nothing heavy is imported."""

import importlib
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from skelmae_cli import protocol, study
from skelmae_cli.export import FORMATS
from skelmae_cli.main import COMMANDS, cli, moved_forward
from skelmae_datasets.runs import exports, settings

PROBE = """
import json, sys
before = set(sys.modules)
sys.argv = ["skelmae", *{arguments!r}]
from skelmae_cli.main import cli
try:
    cli()
except SystemExit as error:
    assert not error.code, error.code
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported(*arguments):
    """Names of the modules that a command line imports in a fresh process, the standard library's left out."""
    code = PROBE.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    *printed, modules = done.stdout.splitlines()
    assert printed
    return {name for name in json.loads(modules) if name.partition(".")[0] not in sys.stdlib_module_names}


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


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_group_help_imports_click_and_one_module(arguments):
    modules = imported(*arguments)
    assert {name.partition(".")[0] for name in modules} == {"click", "skelmae_cli"}
    assert {name for name in modules if name.startswith("skelmae_cli")} == {"skelmae_cli", "skelmae_cli.main"}


@pytest.mark.parametrize("name", ["pretrain", "study", "convert-ntu", "settings"])
def test_help_of_a_command_imports_nothing_heavy(name):
    assert {module.partition(".")[0] for module in imported(name, "-h")} == {"click", "skelmae_cli"}


def test_version():
    assert CliRunner().invoke(cli, ["--version"]).output.startswith("skelmae ")


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_training_commands_tell_where_settings_are_listed(name):
    output = " ".join(CliRunner().invoke(cli, [name, "--help"]).output.split())
    assert "`skelmae settings` lists what --set and --config can change, with the default of each recipe" in output
    for recipe in settings.RECIPES:
        found = settings.resolve_settings(name, recipe).optimizer
        told = f"{recipe} {found.epochs} epochs, batches of {found.batch_size}, {found.optimizer} at "
        told += f"{found.learning_rate:g}, {found.schedule}"
        told += f", at least {found.least_steps} steps" if found.least_steps else ""
        assert told.replace("1.5e-04", "0.00015") in output


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        ("info x --backend jax", "--backend jax info x"),
        ("info --backend=jax x --debug --json", "--backend=jax --debug info x --json"),
        ("info x -- --debug", "info x -- --debug"),
        ("info --backend", "--backend info"),  # which click then refuses
    ],
)
def test_backend_and_debug_may_stand_behind_the_command(words, moved):
    assert moved_forward(words.split()) == moved.split()


def test_choices_are_those_of_the_packages():
    from keras_skelmae import experiments

    assert (tuple(protocol.PROTOCOLS), study.STUDIES) == (experiments.PROTOCOLS, experiments.STUDIES)
    assert exports.FORMATS == FORMATS


TRAINING = (
    "--train-split --output --config --set --epochs --batch-size --seed --recipe --devices --mixed-precision --jit "
    "--report --tensorboard --json --resume --force --checkpoint-minutes"
)
SEEDS = "--train-split --test-split --output --seeds --resume --config --set --epochs --batch-size --recipe --json"


@pytest.mark.parametrize(
    ("name", "options"),
    {
        "convert": "--layout --to --people --fps --source-fps --classes --labels --min-score --image-size "
        "--unit --up --workers --resume --channels --strict --force --json",
        "convert-ntu": "--joints --people --denoise --workers --strict --force --resume --json",
        "convert-pyskl": "--layout --classes --kpfiles --people --channels --strict --force --json",
        "convert-arrays": "--layout --classes --channels --strict --force --json",
        "convert-csv": "--layout --classes --columns --people --step --strict --force --json",
        "export-data": "--to --train-split --test-split --json",
        "project": "--views --seed --dims --layout --clean --strict --force --json",
        "show": "--sample --output --frames --names --layout --to --rate",
        "reconstruct": "--parts --sample --output --frames --fit-split --readout --json",
        "report": "--output",
        "validate": "--output --layout --to --all --json",
        "settings": "--json",
        "pretrain": f"{TRAINING} --pretrained",
        "finetune": f"{TRAINING} --val-split --pretrained --select --allow-overlap",
        "evaluate": "--test-split --clips --batch-size --output --report --json --allow-overlap",
        "evaluate-timeline": "--fps --output --json",
        "embed": "--split --output",
        "fuse": "--output --weights --json",
        "protocol": "",
        "study": f"{SEEDS} --fraction --source --source-split --pretrain-set --finetune-set",
        "predict": "--whole --stream --window --stride --smoothing --min-probability --together --fps --output "
        "--image-size --unit --up --to --json",
        "serve": "--port",
        "export": "--format --output --json",
        "demo": "--output --json",
        "info": "--json",
        "layouts": "--output --json",
    }.items(),
)
def test_promised_options_exist(name, options):
    command = importlib.import_module(f"skelmae_cli.{COMMANDS[name][0]}").command
    own = {text for parameter in command.params if parameter.param_type_name == "option" for text in parameter.opts}
    assert own == set(options.split())


def test_what_is_written_is_output_everywhere():
    """Inputs are arguments; only what converts, to a store or from one, takes its output as one."""
    for name, (module, _) in COMMANDS.items():
        parameters = importlib.import_module(f"skelmae_cli.{module}").command.params
        kinds = {parameter.param_type_name for parameter in parameters if parameter.name == "output"}
        conversion = name.startswith("convert") or name in ("project", "export-data")
        assert kinds <= {"argument" if conversion else "option"}


MEASURED = f"{SEEDS} --pretrained --random --fraction --shots --allow-overlap"
PROTOCOLS = dict.fromkeys(protocol.PROTOCOLS, MEASURED) | {
    "knn": f"{MEASURED} --neighbours",
    "cross-validate": "--output --folds --leave-one-subject-out --final --pretrained --seed --report --recipe --config "
    "--set --epochs --batch-size --json",
    "baseline": "--train-split --test-split --run --allow-overlap --output --json",
    "robustness": "--test-split --kinds --seed --allow-overlap --output --report --json",
}


@pytest.mark.parametrize(("name", "options"), PROTOCOLS.items())
def test_every_protocol_is_a_command_with_an_example(name, options):
    result = CliRunner().invoke(cli, ["protocol", name, "--help"])
    assert result.exit_code == 0 and f"skelmae protocol {name}" in result.output.partition("Example:")[2]
    with protocol.command.make_context("protocol", [name]) as context:
        command = protocol.command.get_command(context, name)
    own = {text for parameter in command.params if parameter.param_type_name == "option" for text in parameter.opts}
    assert command.name == name and own == set(options.split())
    assert all(option.help for option in command.params if option.param_type_name == "option")


def test_the_protocols_are_all_of_these():
    assert [*protocol.PROTOCOLS, *protocol.TRUST] == list(PROTOCOLS)
    result = CliRunner().invoke(cli, ["protocol", "liner"])
    assert result.exit_code == 2 and "Did you mean 'linear'?" in result.output
