"""What the commands hand to the packages below, for which others stand in here, and what they print."""

from __future__ import annotations

import json
import sys
import types

import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli

RESULT = {
    "top1": 0.75,
    "top5": 1.0,
    "mean_class": 0.7,
    "per_class": {"wave": 1.0, "kick": 0.4},
    "confusion": [[6, 0], [3, 2]],
    "num_samples": 11,
    "num_clips": 10,
    "split": "test",
    "model": "m.keras",
    "data": "d.h5",
}
PREDICTION = {"input": "d.h5", "sample": "S1", "label": "kick", "probability": 0.8}
PREDICTION["probabilities"] = {"wave": 0.2, "kick": 0.8}


class Store:
    """Only remembers the path it was opened with."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for every heavy module; the list of (function, positional, named) they were called with."""
    made = []

    def recorder(name, answer):
        def function(*args, **kwargs):
            made.append((name, args, kwargs))
            return answer

        return function

    contents = {
        "skelmae_datasets": {
            "SkeletonStore": Store,
            "convert_ntu": recorder(
                "convert_ntu",
                {
                    "samples": 3,
                    "skipped": [("a.skeleton", "line 2")],
                    "splits": {"xsub_train": 2},
                    "partial": True,
                },
            ),
            "convert_pyskl": recorder("convert_pyskl", {"samples": 4}),
            "describe_store": recorder("describe_store", {"samples": 4, "splits": {"train": 3}}),
        },
        "keras_skelmae": {},
        "keras_skelmae.training": {
            "pretrain": recorder("pretrain", {"loss": 0.5}),
            "finetune": recorder("finetune", {"accuracy": 0.5}),
            "evaluate_model": recorder("evaluate_model", RESULT),
            "predict_files": recorder("predict_files", [PREDICTION]),
            "describe": recorder("describe", {"kind": "run"}),
            "run_study": recorder("run_study", {"cells": []}),
            "study_table": recorder("study_table", "| table |"),
        },
        "keras_skelmae.report": {},
        "keras_skelmae.report.evidence": {
            name: recorder(name, None) for name in ("measure_pretrained", "measure_finetuned", "measure_evaluated")
        },
        "keras_skelmae.report.page": {"write_report": recorder("write_report", None)},
        "keras_skelmae.training.config": {"resolve_config": recorder("resolve_config", "CONFIG")},
        "keras_skelmae.training.devices": {"use_devices": lambda devices: None, "is_writer": lambda: True,
                                           "device_count": lambda: 1},  # fmt: skip
        "keras_skelmae.export": {
            "export_model": recorder(
                "export_model",
                {"path": "saved_models/m", "format": "saved-model", "max_abs_difference": 1e-6},
            )
        },
    }
    for name, members in contents.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    return made


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("d.h5", "m.keras", "a.pkl", "e.keras", "c.toml"):
        (tmp_path / name).touch()
    (tmp_path / "raw").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "names.txt").write_text("wave\n\n kick \n")
    return tmp_path


def succeed(line: str) -> str:
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0, result.output
    return result.output


def test_pretrain_passes_only_what_was_given(calls, files):
    succeed("pretrain d.h5 --split train --output run --recipe paper --set a=1 --set b=x=y --seed 0")
    (_, stage, settings), (name, (store, split, output, config), named), (measured, *_), (written, *_) = calls
    assert named == {"verbose": True, "resume": False, "force": False, "minutes": None}
    assert (measured, written) == ("measure_pretrained", "write_report")
    assert stage == ("pretrain",)
    assert settings == {"recipe": "paper", "config_file": None, "overrides": ("a=1", "b=x=y"), "seed": 0}
    assert (name, str(store.path), split, str(output), config) == (
        "pretrain",
        "d.h5",
        "train",
        "run",
        "CONFIG",
    )


def test_finetune_saves_the_last_epoch_unless_told(calls, files):
    succeed("finetune d.h5 --train-split train --output run --epochs 3 --config c.toml")
    succeed(
        "finetune d.h5 --train-split train --val-split test --output run --pretrained e.keras --select best"
    )
    (_, first, named), (_, second, other) = (call for call in calls if call[0] == "finetune")
    assert first[1:3] == ("train", None) and named["select"] == "last" and named["pretrained"] is None
    assert second[1:3] == ("train", "test") and other["select"] == "best"
    assert str(other["pretrained"]) == "e.keras"
    settings = [call[2] for call in calls if call[0] == "resolve_config"]
    assert settings[0]["epochs"] == 3 and "epochs" not in settings[1]


def test_training_commands_print_only_json_when_asked(calls, files):
    assert json.loads(succeed("pretrain d.h5 --split all --output run --json")) == {"run": "run", "loss": 0.5}
    assert next(named for name, _, named in calls if name == "pretrain")["verbose"] is False
    assert json.loads(succeed("finetune d.h5 --train-split all --output run --json"))["accuracy"] == 0.5


def test_evaluate_prints_figures_and_writes_all_of_them(calls, files):
    output = succeed("evaluate m.keras d.h5 --split test --clips 10 --json result.json")
    assert calls[0][2] == {"num_clips": 10, "batch_size": 64, "progress": None, "allow_overlap": False}
    assert "75.00" in output and "70.00" in output
    assert output.split("confused:")[1].split() == ["3", "kick", "taken", "for", "wave"]
    assert json.loads((files / "result.json").read_text()) == RESULT
    assert json.loads(succeed("evaluate m.keras d.h5 --split test --json -")) == RESULT


def test_evaluate_refuses_an_impossible_json_file_before_it_starts(calls, files):
    arguments = ["evaluate", "m.keras", "d.h5", "--split", "test", "--json", "no/where.json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1 and not calls


def test_predict_prints_the_likeliest_first(calls, files):
    assert succeed("predict m.keras d.h5").split() == ["S1", "kick", "80.0%", "wave", "20.0%"]
    assert json.loads(succeed("predict m.keras d.h5 a.pkl --json")) == [PREDICTION]
    assert [path.name for path in calls[-1][1][1]] == ["d.h5", "a.pkl"]


def test_convert_ntu_says_what_it_left_out(calls, files):
    output = succeed("convert-ntu raw out.h5 --joints coco17 --people 1 --workers 2")
    expected = {"joints": "coco17", "people": 1, "workers": 2, "progress": None, "strict": False}
    assert calls[0][2] == expected | {"denoise": "skelmae", "resume": False}
    succeed("convert-ntu raw out.h5 --denoise ctr-gcn --resume")
    assert (calls[-1][2]["denoise"], calls[-1][2]["resume"]) == ("ctr-gcn", True)
    assert "3 sequences" in output and "xsub_train  2" in output and "a.skeleton: line 2" in output
    assert json.loads(succeed("convert-ntu raw out.h5 --json"))["samples"] == 3


def test_convert_pyskl_reads_class_names(calls, files):
    succeed("convert-pyskl a.pkl out.h5 --layout ntu25 --classes names.txt --strict")
    named = calls[0][2]
    assert (named["layout"], named["classes"], named["strict"]) == ("ntu25", ["wave", "kick"], True)


def test_info_asks_the_right_package(calls, files):
    assert json.loads(succeed("info d.h5 --json"))["splits"] == {"train": 3}
    assert succeed("info m.keras").split() == ["kind", "run"]
    assert [name for name, *_ in calls] == ["describe_store", "describe"]


def test_export_reports_the_difference(calls, files):
    assert "1e-06" in succeed("export m.keras --output saved_models/m")
    assert calls[0][2]["format"] == "saved-model"


def test_study_resolves_both_stages_and_opens_the_source(calls, files):
    line = "study transfer d.h5 --train-split a --test-split b --output out --source m.keras --seeds 1,2 --set x=1"
    assert succeed(f"{line} --epochs 3 --pretrain-set y=2 --finetune-set z=3") == "| table |\n"
    (_, one, before), (_, two, after), (_, (name, store, *rest), options), _ = calls
    assert (one, before["overrides"], before["epochs"]) == (("pretrain",), ("x=1", "y=2"), 3)
    assert (two, after["overrides"], after["epochs"]) == (("finetune",), ("x=1", "z=3"), 3)
    assert (name, str(store.path), *map(str, rest)) == ("transfer", "d.h5", "a", "b", "out", "CONFIG", "CONFIG")
    assert str(options["source"].path) == "m.keras" and options["source_split"] == "all"
    assert (options["seeds"], options["fraction"], options["progress"]) == ((1, 2), 1.0, None)
    assert json.loads(succeed(f"{line} --json")) == {"cells": []}
    succeed("study depth d.h5 --train-split a --test-split b --output out --fraction 0.1")
    assert calls[-2][2]["source"] is None and calls[-2][2]["fraction"] == 0.1
