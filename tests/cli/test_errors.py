"""Wrong usage ends with 2, bad data with 1 and one line naming the file; a traceback only under --debug."""

import json
import os

import click
import numpy
import pytest
from click.testing import CliRunner

from skelmae_cli import options, printing
from skelmae_cli.main import cli
from skelmae_datasets import DataError
from skelmae_datasets.runs import run_folder
from skelmae_datasets.runs.settings import SettingsError


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["--backend", "theano", "info", "x"],
        ["convert-ntu", "folder"],
        ["convert-ntu", "folder", "out.h5", "--joints", "all25"],
        ["convert-ntu", "folder", "out.h5", "--people", "0"],
        ["convert", "{present}", "out.csv"],
        ["convert-csv", "{present}", "out"],
        ["validate", "{present}", "--output", "out.json"],
        ["pretrain", "data.h5", "--output", "run"],
        ["pretrain", "data.h5", "--train-split", "a", "--output", "run", "--recipe", "large"],
        ["pretrain", "data.h5", "--train-split", "a", "--output", "run", "--epochs", "none"],
        ["pretrain", "data.h5", "--train-split", "a", "--output", "run", "--set", "epochs:3"],
        ["finetune", "data.h5", "--train-split", "a", "--output", "run", "--select", "luckiest"],
        ["evaluate", "model.keras"],
        ["embed", "model.keras", "data.h5"],
        ["study", "width", "data.h5", "--train-split", "a", "--test-split", "b", "--output", "out"],
        ["study", "depth", "data.h5", "--train-split", "a", "--output", "out"],
        ["study", "depth", "{present}", "--train-split", "a", "--test-split", "b", "--output", "out", "--seeds", "x"],
        ["study", "depth", "{present}", "--train-split", "a", "--test-split", "b", "--output", "out", "--seed", "1"],
        ["study", "transfer", "{present}", "--train-split", "a", "--test-split", "b", "--output", "out"],
        ["predict", "model.keras"],
        ["export", "model.keras", "--format", "pdf"],
        ["finetune", "{present}", "--train-split", "a", "--output", "run", "--force"],  # options without effect
        ["finetune", "{present}", "--train-split", "a", "--output", "run", "--allow-overlap"],
        [
            "study",
            "init",
            "{present}",
            "--train-split",
            "a",
            "--test-split",
            "b",
            "--output",
            "o",
            "--source-split",
            "a",
        ],
    ],
    ids=" ".join,
)
def test_bad_usage_ends_with_2(arguments):
    result = run(*(argument.format(present=__file__) for argument in arguments))
    assert result.exit_code == 2
    assert "Error:" in result.output and "Traceback" not in result.output


BLANK = {
    "info": [""],
    "convert": [__file__, " "],
    "pretrain": [__file__, "--train-split", "a", "--output", ""],
    "finetune": [__file__, "--train-split", "a", "--output", "run", "--pretrained", ""],
    "protocol linear": [__file__, "--train-split", "a", "--test-split", "b", "--output", "run", "--pretrained", ""],
    "export-data": [__file__, ""],
    "export": [__file__, "--output", ""],
    "embed": ["", __file__, "--output", "out.npz"],
}


@pytest.mark.parametrize("command", BLANK)
def test_a_blank_path_is_not_the_current_folder(command):
    """As `--output "$RUN"` gives where RUN is not set."""
    result = run(*command.split(), *BLANK[command])
    assert result.exit_code == 2 and ("expected a path" in result.output or "expected a name" in result.output)


def test_every_path_of_every_command_refuses_a_blank():
    def commands(group):
        for name in group.list_commands(None):
            found = group.get_command(None, name)
            yield from commands(found) if isinstance(found, click.Group) else [found]

    paths = [(it.name, at.type) for it in commands(cli) for at in it.params if isinstance(at.type, click.Path)]
    assert len(paths) > 50 and [pair for pair in paths if not isinstance(pair[1], options.Named)] == []


def test_every_range_of_every_command_refuses_what_is_no_number():
    at = [
        (names, parameter.type)
        for names, command in every_command(cli)
        for parameter in command.params
        if isinstance(parameter.type, click.FloatRange)
    ]
    assert len(at) > 7 and [names for names, kind in at if not isinstance(kind, options.FloatRange)] == []
    for text in ("inf", "-inf", "nan", "1e999"):
        with pytest.raises(click.BadParameter):
            options.FloatRange().convert(text, None, None)
        with pytest.raises(click.BadParameter, match="expected finite numbers"):
            options.numbers(float)(None, None, f"1,{text}")
    assert options.FloatRange(0).convert("2.5", None, None) == 2.5


def test_files_of_a_run_are_no_output(tmp_path):
    """Whatever command is to write them; only the report may be written over, by its own."""
    written = sorted(
        name
        for key, name in vars(run_folder).items()
        if key.isupper() and isinstance(name, str)  # of each file that a run consists of
    )
    assert "report.html" in written and len(written) == 16
    for name in written:
        file = tmp_path / "run" / name
        file.parent.mkdir(exist_ok=True)
        (file.parent / "model.keras").touch()
        for words in (
            ["evaluate", file.parent, __file__, "--test-split", "a"],
            ["embed", file.parent, __file__],
            ["report", file.parent],
        ):
            result = run(*words, "--output", file)
            if (words[0], name) == ("report", "report.html"):
                assert result.exit_code == 1 and "expected a finished run" in result.output
                continue
            assert result.exit_code == 2, (words, result.output)
            assert f"expected a file that is none of a run folder's own, found {file}" in result.output or (
                name == "model.keras" and "expected another file" in result.output
            )
        assert not file.exists() or name == "model.keras"
    (tmp_path / "evaluation.json").touch()  # in no run folder it is a file as any other
    result = run("evaluate", tmp_path / "run", __file__, "--test-split", "a", "--output", tmp_path / "evaluation.json")
    assert result.exit_code == 1 and "none of a run" not in result.output


@pytest.mark.parametrize("numbers", ["1,1", "-1", "0,", "a"])
def test_seeds_are_different_whole_numbers(numbers):
    result = run(
        "protocol", "linear", __file__, "--train-split", "a", "--test-split", "b", "--output", "x", "--seeds", numbers
    )
    assert result.exit_code == 2 and "--seeds" in result.output and repr(numbers) in result.output


def test_a_mistyped_command_is_put_right():
    assert "'convert-ntu'" in run("convert-nut", "a", "b").output


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert-ntu", "{missing}", "{out}.h5"],
        ["convert-pyskl", "{missing}", "{out}.h5"],
        ["convert-pyskl", "{present}", "{out}.h5", "--classes", "{missing}"],
        ["convert-arrays", "{missing}", "{out}.h5"],
        ["validate", "{missing}"],
        ["info", "{missing}"],
        ["pretrain", "{missing}", "--train-split", "train", "--output", "{out}"],
        ["pretrain", "{present}", "--train-split", "train", "--output", "{out}", "--config", "{missing}"],
        ["finetune", "{missing}", "--train-split", "train", "--output", "{out}"],
        ["finetune", "{present}", "--train-split", "train", "--output", "{out}", "--pretrained", "{missing}"],
        ["evaluate", "{missing}", "{present}", "--test-split", "test"],
        ["evaluate", "{present}", "{missing}", "--test-split", "test"],
        ["predict", "{present}", "{missing}"],
        ["embed", "{missing}", "{present}", "--output", "{out}"],
        ["protocol", "knn", "{missing}", "--train-split", "a", "--test-split", "b", "--output", "{out}"],
        ["study", "depth", "{missing}", "--train-split", "a", "--test-split", "b", "--output", "{out}"],
        ["export", "{missing}"],
    ],
    ids=" ".join,
)
def test_a_missing_file_ends_with_1_and_one_line(arguments, tmp_path):
    present, missing = tmp_path / "present.keras", tmp_path / "missing.bin"
    present.write_bytes(b"")
    names = {"missing": missing, "present": present, "out": tmp_path / "out"}
    result = run(*(argument.format(**names) for argument in arguments))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ") and result.output.count("\n") == 1
    assert str(missing) in result.output
    assert not list(tmp_path.glob("out*"))


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file(tmp_path):
    file = tmp_path / "file.txt"
    file.write_text("text")
    for arguments in (["convert-ntu", file, tmp_path / "out.h5"], ["convert-pyskl", tmp_path, tmp_path / "out.h5"]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert str(arguments[1]) in result.output and "Traceback" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["export", "{model}", "--output", "{out}"],
        ["fuse", "{model}", "{model}", "--output", "{out}"],
        ["embed", "{model}", "{model}", "--output", "{out}.npz"],
        ["finetune", "{model}", "--train-split", "a", "--output", "{out}"],
        ["convert-ntu", "{folder}", "{out}.h5"],
    ],
    ids=" ".join,
)
def test_an_output_below_a_file_or_in_a_folder_of_others_is_refused_at_once(words, tmp_path, monkeypatch):
    (tmp_path / "model.keras").touch()
    names = {"model": tmp_path / "model.keras", "folder": tmp_path}
    result = run(*(word.format(**names, out=tmp_path / "model.keras" / "more" / "out") for word in words))
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path / 'model.keras'}: expected a folder, found a file\n"
    monkeypatch.setattr(options.os, "access", lambda path, mode: mode != os.W_OK)
    result = run(*(word.format(**names, out=tmp_path / "more" / "out") for word in words))
    assert result.exit_code == 1
    expected = "expected a folder that may be written to; choose another output"
    assert result.output == f"Error: {tmp_path}: {expected}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize(("command", "name"), [("info", "bad.h5"), ("convert-pyskl", "bad.pkl")])
def test_a_file_that_is_not_what_its_name_says(command, name, tmp_path):
    bad = tmp_path / name
    bad.write_bytes(b"nothing of the kind")
    arguments = [command, bad] + ([tmp_path / "out.h5"] if command == "convert-pyskl" else [])
    result = run(*arguments)
    assert result.exit_code == 1, result.exception
    assert name in result.output and result.output.count("\n") == 1
    assert not (tmp_path / "out.h5").exists()


def test_no_recordings_in_the_folder(tmp_path):
    result = run("convert-ntu", tmp_path, tmp_path / "out.h5")
    assert result.exit_code == 1
    assert str(tmp_path) in result.output and not (tmp_path / "out.h5").exists()


def group_raising(error):
    @click.group()
    @click.option("--debug", is_flag=True)
    def group(debug):
        pass

    @group.command("fail", cls=options.Command)
    def fail():
        raise error

    return group


def test_expected_errors_are_one_line():
    for error, text in (
        (FileNotFoundError(2, "No such file or directory", "a.h5"), "a.h5: No such file or directory"),
        (DataError("a.pkl", "split", "one of these\nnames", 3), "a.pkl: split: expected one of these names, found 3"),
        (SettingsError("units: expected int"), "units: expected int"),
        (ValueError("raised by\nanother library"), "raised by another library"),
        (ModuleNotFoundError("no onnx"), "no onnx"),
        (MemoryError(), "out of memory; a smaller --batch-size or fewer --workers may help"),
    ):
        result = CliRunner().invoke(group_raising(error), ["fail"])
        assert (result.exit_code, result.output) == (1, f"Error: {text}\n")
        assert CliRunner().invoke(group_raising(error), ["--debug", "fail"]).exception is error


def test_a_bug_keeps_its_traceback():
    for error in (KeyError("key"), TypeError("type"), RuntimeError("state")):
        assert CliRunner().invoke(group_raising(error), ["fail"]).exception is error


def test_an_interrupted_training_ends_with_the_signals_status():
    error = type("Interrupted", (Exception,), {"number": 15})("stopped after epoch 3")
    result = CliRunner().invoke(group_raising(error), ["fail"])
    assert (result.exit_code, result.output) == (143, "Error: stopped after epoch 3\n")


def every_command(group, *words):
    """((words), command) of all commands of a group and of those within it."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from every_command(command, *words, name)
            else:
                yield (*words, name), command


def test_what_was_stopped_says_how_it_goes_on_and_with_an_option_that_there_is():
    ways = {" ".join(words): command for words, command in every_command(cli) if command.goes_on}
    trainings = {"pretrain", "finetune", "study", "protocol cross-validate", "convert", "convert-ntu"}
    assert set(ways) == trainings | {f"protocol {name}" for name in ("linear", "knn", "retrieval", "finetune", "semi")}
    for name, command in ways.items():
        resume = [option for option in command.params if option.name == "resume"]
        asked = bool(resume) and not resume[0].secondary_opts  # else it goes on of itself
        assert command.goes_on.endswith(options.RESUME if asked else options.SAME_COMMAND), name


@pytest.mark.parametrize("resume", [True, False])
def test_an_interrupted_command_ends_with_one_line(resume):
    @click.command("fail", cls=options.Command, goes_on=options.SAME_COMMAND)
    @click.option("--resume/--no-resume", default=True)
    def fail(resume):
        raise KeyboardInterrupt

    result = CliRunner().invoke(fail, ["--resume" if resume else "--no-resume"])
    told = "the same command goes on" + ("" if resume else ", without --no-resume")
    assert (result.exit_code, result.output) == (130, f"Error: stopped by SIGINT; {told}\n")
    plain = CliRunner().invoke(group_raising(KeyboardInterrupt()), ["fail"])
    assert plain.exit_code == 1 and plain.output.strip() == "Aborted!"


def test_a_reader_that_has_gone_is_no_error():
    result = CliRunner().invoke(group_raising(BrokenPipeError(32, "Broken pipe")), ["fail"])
    assert result.exit_code == 1 and not result.output


def test_backend_is_set_before_the_command_runs(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert run("--backend", "tensorflow", "info", "no-such-file").exit_code == 1
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_demo_leaves_other_files_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("kept")
    result = run("demo", "--output", tmp_path)
    assert result.exit_code == 1 and str(tmp_path) in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_json_holds_plain_values_only():
    value = {"top1": numpy.float32(0.5), "confusion": numpy.eye(2, dtype=int), "empty": float("nan")}
    assert json.loads(printing.to_json(value)) == {"top1": 0.5, "confusion": [[1, 0], [0, 1]], "empty": None}
