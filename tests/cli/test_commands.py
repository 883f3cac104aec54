"""What the commands hand to the packages below, for which others stand in here, and what they print."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import skelmae_datasets
from skelmae_cli import options
from skelmae_cli.main import cli
from skelmae_datasets.runs import exports, model_inputs, run_folder, saved_model, settings, splits
from skelmae_datasets.runs.settings import Settings

RESULT = {
    "top1": 0.75,
    "top5": 1.0,
    "mean_class": 0.7,
    "per_class": {"wave": 1.0, "kick": 0.4},
    "confusion": [[6, 0, 0], [3, 2, 0], [0, 0, 0]],
    "num_samples": 11,
    "num_clips": 10,
    "nobody_seen": 1,
    "more_people": 2,
    "seen_in_training": 5,
    "seen_in_pretraining": 4,
    "split": "test",
    "model": "m.keras",
    "data": "d.h5",
}
RESULT["calibration"] = {"after": {"nll": 0.5, "ece": 0.125, "ece_floor": 0.05}, "fitted_on": 6}
RESULT["nothing_known"] = 3
PREDICTION = {"input": "d.h5", "sample": "S1", "label": "kick", "probability": 0.8}
PREDICTION["probabilities"] = {"wave": 0.2, "kick": 0.8}
CONVERTED = {"samples": 3, "skipped": [("a.skeleton", "line 2")], "splits": {"xsub_train": 2}, "partial": True}
CONVERTED |= {"notes": ["joints count from 1"]}
TRAINED = {"accuracy": 0.5, "val_accuracy": 0.25, "num_sequences": 8, "num_validation": 4, "select": "last"}
TRAINED |= {"mirror": True, "one_sided": [], "epoch": 3, "rare_classes": {"kick": 3, "wave": 0}}
FITS = {"before": {"nll": 0.9, "ece": 0.2}, "after": {"nll": 0.75, "ece": 0.1}}
TRAINED["calibration"] = {"temperature": 1.5, "reason": "", **FITS}
PROTOCOL = {"protocol": "knn", "rows": []}
SETTINGS = Settings.of("pretrain")


class Store:
    """Only remembers the path it was opened with."""

    labels = np.zeros(6000, int)

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def select(self, split):
        return range(6000 if split == "many" else 3)


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for all that is heavy; the list of (function, positional, named) they were called with."""
    made = []

    def recorder(name, answer):
        def function(*args, **kwargs):
            made.append((name, args, kwargs))
            return answer

        return function

    def answers(**values):
        return {name: recorder(name, answer) for name, answer in values.items()}

    measured = types.SimpleNamespace(result=RESULT, model=types.SimpleNamespace(names=["wave", "kick", "never"]))
    exported = {"path": "saved_models/m", "format": "saved-model", "max_abs_difference": 1e-6}
    modules = {
        "keras_skelmae": {},
        "keras_skelmae.training": answers(pretrain={"loss": 0.5}, finetune=TRAINED),
        "keras_skelmae.evaluation": answers(
            evaluate_model=measured,
            predict_opened=[PREDICTION],
            predict_opened_recordings=[PREDICTION],
            describe={"kind": "model"},
        ),
        "keras_skelmae.experiments": answers(
            run_protocol=PROTOCOL, markdown_table="| protocols |", run_study={"cells": []}, study_table="| table |"
        ),
        "keras_skelmae.report": {},
        "keras_skelmae.report.evidence": answers(
            measure_pretrained=None, measure_finetuned=None, measure_evaluated=None
        ),
        "keras_skelmae.report.page": answers(write_report=None),
        "keras_skelmae.fast": {},
        "keras_skelmae.fast.networks": {},
        "keras_skelmae.fast.networks.devices": {
            "use_devices": lambda devices: None,
            "is_writer": lambda: True,
            "device_count": lambda: 1,
        },
        "keras_skelmae.export": answers(export_model=exported),
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, module)
    described = {"samples": 4, "splits": {"train": 3}}
    converted = answers(convert_ntu=CONVERTED, convert_pyskl={"samples": 4}, describe_store=described)
    for name, function in {"SkeletonStore": Store, **converted}.items():
        monkeypatch.setattr(skelmae_datasets, name, function)
    monkeypatch.setattr(splits, "check_training", lambda *_: None)
    monkeypatch.setattr(splits, "measured_split", lambda *_: None)
    monkeypatch.setattr(
        splits, "protocol_splits", lambda store, train, test, *_, **__: (store.select(train), store.select(test))
    )
    monkeypatch.setattr(run_folder, "model_file", lambda path: path)
    for name in ("read_saved", "read_classifier", "check_start"):
        monkeypatch.setattr(saved_model, name, lambda *_: types.SimpleNamespace(preprocessor=None, doubts=""))
    monkeypatch.setattr(exports, "plan_export", lambda *_: None)
    monkeypatch.setattr(
        model_inputs, "open_inputs", lambda stack, form, inputs, *more, **how: [(p, None) for p in inputs]
    )
    monkeypatch.setattr(settings, "resolve_settings", recorder("resolve_settings", SETTINGS))
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


def succeed(line):
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0, result.output
    return result.output


def called(calls, wanted):
    return [call for call in calls if call[0] == wanted]


def test_pretrain_passes_only_what_was_given(calls, files):
    line = "pretrain d.h5 --train-split train --output run --recipe paper --set a=1 --set b=x=y --seed 0 --jit off"
    succeed(f"{line} --mixed-precision bfloat16")
    (_, resolved, given), (name, (store, split, output, settings), named), (measured, *_), (written, *_) = calls
    assert resolved == ("pretrain", "paper", None, ("a=1", "b=x=y"), True, None)
    given = {key: value for key, value in given.items() if value is not None}
    assert given == {"seed": 0, "jit_compile": "off", "dtype_policy": "mixed_bfloat16"}
    assert (name, str(store.path), split, str(output), settings) == ("pretrain", "d.h5", "train", "run", SETTINGS)
    plain = {"verbose": True, "callbacks": (), "resume": False, "force": False, "minutes": None}
    assert named == {**plain, "pretrained": None}
    assert (measured, written) == ("measure_pretrained", "write_report")


def test_the_recipe_is_told_and_follows_the_size_of_the_split(calls, files):
    assert succeed("pretrain d.h5 --train-split train --output run").startswith("recipe small, 3 sequences\n")
    assert succeed("finetune d.h5 --train-split many --output run").startswith("recipe strong, 6000 sequences\n")
    succeed("finetune d.h5 --train-split many --output run --recipe small")
    (files / "run" / "config.toml").write_text('[model]\npreset = "paper"\n')
    succeed("finetune d.h5 --train-split many --output run --pretrained run")
    succeed("protocol finetune d.h5 --train-split many --test-split b --output out")
    recipes = [call[1][1] for call in called(calls, "resolve_settings")]
    assert recipes == ["small", "strong", "small", "paper", "strong"]


def test_finetune_saves_the_last_epoch_unless_told(calls, files):
    told = succeed("finetune d.h5 --train-split train --output run --epochs 3 --config c.toml")
    assert (
        "the saved model knows 50.0 % of 8 training clips and 25.0 % of 4 validation clips; it averages a clip" in told
    )
    assert "\nfewer than five training clips: kick (3), wave (0)\n" in told
    assert "temperature 1.50: negative log-likelihood 0.900 -> 0.750, calibration error 0.200 -> 0.100" in told
    assert "skelmae protocol cross-validate" in told
    split = succeed(
        "finetune d.h5 --train-split train --val-split test --output run --pretrained e.keras --select best"
    )
    assert "cross-validate" not in split
    (_, first, named), (_, second, other) = called(calls, "finetune")
    assert first[1:3] == ("train", None) and named["select"] == "last" and named["pretrained"] is None
    assert second[1:3] == ("train", "test") and other["select"] == "best"
    assert str(other["pretrained"]) == "e.keras"
    (_, one, given), (_, two, others) = called(calls, "resolve_settings")
    assert (str(one[2]), given["epochs"]) == ("c.toml", 3) and (two[2], others["epochs"]) == (None, None)


def test_resume_takes_the_settings_of_the_run(calls, files):
    line = "finetune d.h5 --train-split train --output run --resume"
    succeed(line)
    (files / "run" / "config.toml").touch()
    for more in ("", " --recipe small", " --config c.toml"):
        succeed(line + more)
    configs = [str(call[1][2]) for call in called(calls, "resolve_settings")]
    assert configs == ["None", "run/config.toml", "None", "c.toml"]


def test_training_commands_print_only_json_when_asked(calls, files):
    assert json.loads(succeed("pretrain d.h5 --train-split all --output run --json")) == {"run": "run", "loss": 0.5}
    assert called(calls, "pretrain")[0][2]["verbose"] is False
    assert json.loads(succeed("finetune d.h5 --train-split all --output run --json"))["accuracy"] == 0.5


def test_evaluate_prints_figures_and_writes_all_of_them(calls, files):
    output = succeed("evaluate m.keras d.h5 --test-split test --clips 10 --output result.json")
    (name, (model, store, *rest), named), *more = calls
    assert (name, str(model), str(store.path), *rest) == ("evaluate_model", "m.keras", "d.h5", "test", 10, 64)
    assert named == {"progress": None, "allow_overlap": False} and not more
    assert "75.00" in output and "70.00" in output
    for text in (
        "in 1 of these sequences nobody was seen",
        "negative log-likelihood  0.500",
        "calibration error %      12.5 (chance alone: 5.0)",
        "3 of these sequences would be told as nothing known",
        "the temperature was fitted on 6 of these sequences",
        "2 of these",
        "5 of these sequences were trained on: the figures flatter",
        "4 of these sequences were seen while pre-train",
    ):
        assert text in output
    assert output.split("confused:")[1].split() == ["3", "kick", "taken", "for", "wave"]
    assert json.loads((files / "result.json").read_text()) == RESULT
    assert json.loads(succeed("evaluate m.keras d.h5 --test-split test --json")) == RESULT


def test_evaluate_reports_what_it_measured(calls, files):
    (files / "run" / "metrics.json").touch()
    succeed("evaluate run d.h5 --test-split test")
    (_, (run, store, measured), _), (written, *_) = calls[1:]
    assert (str(run), str(store.path), measured.result, written) == ("run", "d.h5", RESULT, "write_report")
    succeed("evaluate run d.h5 --test-split test --no-report")
    assert len(called(calls, "evaluate_model")) == 2 and len(called(calls, "measure_evaluated")) == 1


def test_evaluate_refuses_an_impossible_file_before_it_starts(calls, files):
    arguments = ["evaluate", "m.keras", "d.h5", "--test-split", "test", "--output", "no/where.json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1 and not calls


def test_predict_prints_the_likeliest_first(calls, files):
    assert succeed("predict m.keras d.h5").split() == ["S1", "kick", "80.0%", "wave", "20.0%"]
    assert json.loads(succeed("predict m.keras d.h5 a.pkl --json --window 9 --each")) == [PREDICTION]
    (name, (model, opened, progress), named) = calls[-1]
    assert (name, str(model), progress) == ("predict_opened_recordings", "m.keras", None)
    assert [path.name for path, _ in opened] == ["d.h5", "a.pkl"]
    assert named == {"together": False, "window": 9}
    assert json.loads(succeed("predict m.keras d.h5 a.pkl --json --whole")) == [PREDICTION]
    assert calls[-1][0] == "predict_opened"


def test_predict_says_once_what_its_answers_leave_in_doubt(calls, files, monkeypatch):
    doubting = types.SimpleNamespace(preprocessor=None, doubts="it guesses; do that")
    monkeypatch.setattr(saved_model, "read_classifier", lambda _: doubting)
    for more in ([], ["--json"], ["--whole"]):
        result = CliRunner().invoke(cli, ["predict", "m.keras", "d.h5", "a.pkl", *more])
        assert (result.exit_code, result.stderr) == (0, "m.keras: it guesses; do that\n")


def test_convert_ntu_says_what_it_left_out(calls, files):
    output = succeed("convert-ntu raw out.h5 --joints coco17 --people 1 --workers 2")
    expected = {"joints": "coco17", "people": 1, "workers": 2, "progress": None, "strict": False}
    assert calls[0][2] == expected | {"denoise": "skelmae", "resume": False, "force": False}
    succeed("convert-ntu raw out.h5 --denoise ctr-gcn --resume")
    assert (calls[-1][2]["denoise"], calls[-1][2]["resume"]) == ("ctr-gcn", True)
    assert "3 sequences" in output and "xsub_train  2" in output and "a.skeleton: line 2" in output
    assert "\n  joints count from 1\n" in output
    assert json.loads(succeed("convert-ntu raw out.h5 --json"))["samples"] == 3


def test_convert_pyskl_reads_class_names(calls, files):
    succeed("convert-pyskl a.pkl out.h5 --layout ntu25 --classes names.txt --strict")
    named = calls[0][2]
    assert (named["layout"], named["classes"], named["strict"]) == ("ntu25", ["wave", "kick"], True)


def test_info_asks_the_right_package(calls, files):
    assert json.loads(succeed("info d.h5 --json"))["splits"] == {"train": 3}
    assert succeed("info m.keras").split() == ["kind", "model"]
    assert [name for name, *_ in calls] == ["describe_store", "describe"]


def test_export_reports_the_difference(calls, files):
    assert "1e-06" in succeed("export m.keras --output saved_models/m")
    assert calls[0][2]["format"] == "saved-model"


def test_protocol_compares_with_a_random_network_of_the_same_architecture(calls, files):
    line = "protocol finetune d.h5 --train-split a --test-split b --output out --seeds 1,2 --fraction 0.1,1"
    for name in ("pre-1", "pre-2"):
        Path(name).mkdir()
        (Path(name) / "model.keras").touch()
    assert succeed(f"{line} --pretrained pre-{{seed}} --batch-size 8") == "| protocols |\n"
    (_, resolved, given), (_, one, before), (_, two, random), _ = calls
    assert (resolved[0], given["batch_size"]) == ("finetune", 8)
    assert [str(part) for part in one[2:]] == ["a", "b", "out/pretrained", str(SETTINGS)]
    assert str(two[4]) == "out/random" and "pretrained" not in random and "like" not in before
    assert (before["pretrained"], random["like"]) == ("pre-{seed}", "pre-{seed}")
    assert (before["seeds"], before["fractions"], before["neighbours"]) == ((1, 2), (0.1, 1.0), 1)
    succeed(line.replace("--fraction 0.1,1", "--shots 1,5"))
    few = called(calls, "run_protocol")[-1][2]
    assert (few["fractions"], few["shots"]) == ((), (1, 5))
    assert json.loads(succeed(f"{line} --json")) == [PROTOCOL]
    assert called(calls, "run_protocol")[-1][2]["like"] is None


def test_study_resolves_both_stages_and_opens_the_source(calls, files):
    line = "study transfer d.h5 --train-split a --test-split b --output out --source a.pkl --seeds 1,2 --set x=1"
    assert succeed(f"{line} --epochs 3 --pretrain-set node_drop=0.2 --finetune-set dropout_rate=0.3") == "| table |\n"
    (_, one, before), (_, two, after), (_, (name, store, *rest), named), _ = calls
    assert one == ("pretrain", "small", None, ("x=1", "node_drop=0.2"), False, None) and before["epochs"] == 3
    assert two == ("finetune", "small", None, ("x=1", "dropout_rate=0.3"), False, None) and after["epochs"] == 3
    assert (name, str(store.path), *map(str, rest)) == (
        "transfer",
        "d.h5",
        "a",
        "b",
        "out",
        str(SETTINGS),
        str(SETTINGS),
    )
    assert str(named["source"].path) == "a.pkl" and named["source_split"] == "all"
    assert (named["seeds"], named["fraction"], named["progress"]) == ((1, 2), 1.0, None)
    assert json.loads(succeed(f"{line} --json")) == {"cells": []}
    succeed("study depth d.h5 --train-split a --test-split b --output out --fraction 0.1")
    assert calls[-2][2]["source"] is None and calls[-2][2]["fraction"] == 0.1


def test_an_output_is_no_input(calls, files, tmp_path):
    recording = tmp_path / "long.json"
    recording.write_text("[]")
    (tmp_path / "linked.json").hardlink_to(recording)
    for output in (recording, tmp_path / "linked.json"):
        found = CliRunner().invoke(cli, ["predict", "m.keras", str(recording), "--output", str(output)])
        assert found.exit_code == 2 and f"--output: expected another file than the input {output}" in found.output
    assert recording.read_text() == "[]" and not calls


def test_the_stores_of_a_folder_have_either_suffix(calls, files, monkeypatch):
    for name in ("raw/b.h5", "raw/a.hdf5", "raw/C.H5", "raw/.hidden.h5", "raw/notes.txt"):
        Path(name).touch()
    monkeypatch.setattr(skelmae_datasets, "StoreSet", lambda paths, labelled: [str(path) for path in paths])
    assert options.open_data([Path("raw")]) == ["raw/C.H5", "raw/a.hdf5", "raw/b.h5"]
    assert options.open_data([Path("d.h5"), Path("raw")])[0] == "d.h5"
    with pytest.raises(FileNotFoundError, match=r"no \.h5 or \.hdf5 file in this folder: 'run'"):
        options.open_data([Path("d.h5"), Path("run")])  # which would be left out without a word


def test_after_a_pretraining_without_labels_comes_no_finetune():
    from skelmae_cli.training import _next

    assert _next("pretrain", "runs/p", ["d.h5"], True, "masked", "a")[1] == "finetune"
    assert _next("pretrain", "runs/p", ["d.h5"], False, "masked", "a")[1:4] == ["reconstruct", "runs/p", "d.h5"]
    assert _next("pretrain", "runs/p", ["d.h5"], False, "contrastive", "a")[1:4] == ["embed", "runs/p", "d.h5"]
    assert "d.h5" not in _next("pretrain", "runs/p", ["d.h5"], True, "lifted", "a")
