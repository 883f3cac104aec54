"""Folds that keep subjects apart, and what is made of their answers. Trainings are stood in for."""

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation.known import KnownClasses
from keras_skelmae.experiments import cross_validate, cross_validation_table
from keras_skelmae.experiments.cross_validation import make_folds
from skelmae_cli.main import cli
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.files import write_json
from skelmae_datasets.runs.folds import clip_groups, thin_classes
from skelmae_datasets.runs.settings import resolve_settings

MODULE = importlib.import_module("keras_skelmae.experiments.cross_validation")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """{kind: store} of 48 clips of 3 classes and one without a label; subjects known, or clips cut from recordings."""
    folder, opened = tmp_path_factory.mktemp("folds"), {}
    for kind in ("subject", "file"):
        header = {"layout": "coco17", "classes": list("abc"), "channels": ("x", "y")}
        with StoreWriter(folder / f"{kind}.h5", **header) as writer:
            for number in range(49):
                name = f"rec{number // 4}@{number}-{number + 9}" if kind == "file" else f"s{number}"
                label, who = (number % 3 if number < 48 else -1), (f"p{number // 8}" if kind == "subject" else -1)
                writer.append(Sample(name, np.ones((1, 5, 17, 2), "float32"), label=label, subject=who))
        opened[kind] = SkeletonStore(folder / f"{kind}.h5")
    yield opened
    for store in opened.values():
        store.close()


@pytest.fixture
def trainings(monkeypatch):
    """A list of the trainings that were asked for, none of which takes place: answers are right but every fifth."""
    asked = []

    def finetune(store, train, test, output, settings, **options):
        asked.append((store.select(train), None if test is None else store.select(test), settings, options))
        metrics = {"stage": "finetune", "calibration": {"temperature": 0.5}, "val_accuracy": None}
        write_json(output / "metrics.json", metrics)
        return metrics

    def measure(model, store, indices, split):
        answers = (store.labels[indices] + (indices % 5 == 0)) % 3
        probabilities = 0.1 + 0.7 * np.eye(3)[answers]
        right = float((answers == store.labels[indices]).mean())
        return SimpleNamespace(probabilities=probabilities, result={"top1": right, "mean_class": right})

    arrays = [np.zeros(2), np.ones(2), [[1, 0]] * 3, np.eye(2), np.ones(2)]
    around = [np.zeros(2), np.eye(2), np.ones(2)]  # every clip is at 1 from the middle
    arrays, around = ([np.float32(array) for array in part] for part in (arrays, around))
    known = KnownClasses(*arrays, 1.0, *around, 1.0, np.inf, 0)
    fakes = {"finetune": finetune, "measure": measure, "fit_known": lambda *_: known}
    fakes["load_classifier"] = lambda _: SimpleNamespace(names=list("abc"))
    fakes["embed"] = lambda model, store, indices: np.stack([np.cos(indices / 20), np.sin(indices / 20)], axis=1)
    for name, fake in fakes.items():
        monkeypatch.setattr(MODULE, name, fake)
    return asked


def test_clips_are_grouped_by_subject_else_by_recording(stores):
    groups, kind = clip_groups(stores["subject"], np.arange(48))
    assert kind == "subject" and groups.tolist() == [number // 8 for number in range(48)]
    groups, kind = clip_groups(stores["file"], np.arange(48))
    assert kind == "file" and len(np.unique(groups)) == 12
    assert all(len(set(groups[first : first + 4])) == 1 for first in range(0, 48, 4))


def test_every_clip_is_in_one_fold_and_no_group_in_two():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 4, 200), rng.integers(0, 23, 200)
    for options, count in (({"folds": 5}, 5), ({"leave_one_out": True}, 23)):
        tests = make_folds(labels, groups, **options)
        assert len(tests) == count and sorted(np.concatenate(tests)) == list(range(200))
        owner = [set(groups[test]) for test in tests]
        assert sum(map(len, owner)) == 23 and len(set().union(*owner)) == 23
    again = make_folds(labels, groups, folds=5)
    assert all((one == other).all() for one, other in zip(again, make_folds(labels, groups, folds=5), strict=True))
    other = make_folds(labels, groups, folds=5, seed=1)
    assert any(one.tolist() != two.tolist() for one, two in zip(again, other, strict=True))


def test_classes_are_spread_evenly():
    labels = np.repeat([0, 1], [50, 10])
    for test in make_folds(labels, np.arange(60), folds=5):
        assert np.bincount(labels[test]).tolist() == [10, 2]


@pytest.mark.parametrize(
    ("labels", "groups", "options", "told"),
    [
        ([0, 1] * 4, [0] * 8, {"leave_one_out": True}, "leave_one_out: expected two groups or more, found 1"),
        ([0, 1] * 4, [0, 0, 1, 1] * 2, {}, "folds: expected 2 to 2, the groups of clips there are, found 5"),
        (range(8), range(8), {"folds": 3}, "folds: expected at most 1, a class's clips, found 3"),
    ],
)
def test_folds_that_cannot_be(labels, groups, options, told):
    with pytest.raises(ValueError, match=told):
        make_folds(np.array(labels), np.array(groups), **options)


@pytest.mark.parametrize("kind", ["subject", "file"])
def test_the_folds_and_the_final_model(kind, stores, trainings, tmp_path):
    store, settings = stores[kind], resolve_settings("finetune")
    found = cross_validate(store, tmp_path, settings, folds=3, final=True)
    assert len(trainings) == 4 and found["grouped_by"] == kind
    for train, test, _, options in trainings[:3]:
        groups = clip_groups(store, np.arange(49))[0]
        assert not set(groups[train]) & set(groups[test]) and len(train) + len(test) == 48
        assert options["calibrate"] is False
    train, validation, used, options = trainings[3]
    assert train.tolist() == list(range(48)) and validation is None and used.finetune.validation_fraction == 0
    held = options["calibrate"]
    order = [store.ids.index(name) for name in held.ids]
    assert sorted(order) == list(range(48)) and (held.labels == store.labels[order]).all()
    wanted = 2 - 2 * np.cos(np.array(order) / 20)  # every answer stands beside its own clip
    np.testing.assert_allclose(held.distances, wanted, atol=2e-4)
    right = [number for number in range(48) if number % 5]
    assert found["pooled"]["top1"] == pytest.approx(len(right) / 48) and found["pooled"]["num_samples"] == 48
    tops = [row["top1"] for row in found["folds"]]
    assert found["top1"]["mean"] == pytest.approx(np.mean(tops))
    assert found["top1"]["std"] == pytest.approx(np.std(tops, ddof=1))
    card = json.loads((tmp_path / "final" / "metrics.json").read_text())["cross_validation"]
    assert card == {"grouped_by": kind, "folds": 3, "top1": found["top1"], "mean_class": found["mean_class"]}
    evaluation = json.loads((tmp_path / "final" / "evaluation.json").read_text())
    assert evaluation["confusion"] == found["pooled"]["confusion"]
    table = cross_validation_table(found)
    assert table.count("\n| ") == 4 and f"{found['top1']['mean']:.1f} +- " in table


def test_clips_of_nobody_are_told_of_all_folds_together(stores, trainings, monkeypatch, tmp_path):
    """They are wrong, and a temperature was fitted on the answers alone: table, evaluation.json and page say so."""
    measure = MODULE.measure

    def blind(model, store, indices, split):
        found = measure(model, store, indices, split)
        found.probabilities[np.isin(indices, (7, 8))] = np.nan
        return found

    monkeypatch.setattr(MODULE, "measure", blind)
    found = cross_validate(stores["file"], tmp_path, resolve_settings("finetune"), folds=3, final=True)
    evaluation = json.loads((tmp_path / "final" / "evaluation.json").read_text())
    assert found["nobody_seen"] == evaluation["nobody_seen"] == 2
    assert evaluation["calibration"]["fitted_on"] == evaluation["calibration"]["after"]["num_clips"] == 46
    told = cross_validation_table(found)
    assert told.endswith("In 2 of 48 test clips nobody was seen: they count as wrong.")
    assert "nobody was seen" not in cross_validation_table(found | {"nobody_seen": 0})


def test_classes_of_one_subject_or_few_clips_are_told(trainings, tmp_path):
    header = {"layout": "coco17", "classes": list("abc"), "channels": ("x", "y")}
    with StoreWriter(tmp_path / "s.h5", **header) as writer:
        for number in range(24):
            label = 2 if number in (1, 2, 3) else number % 2
            writer.append(Sample(f"s{number}", np.ones((1, 5, 17, 2), "float32"), label=label, subject=number // 6))
    with SkeletonStore(tmp_path / "s.h5") as store:
        assert thin_classes(store, np.arange(24), store.subject) == (["c"], {"c": 3})
        assert thin_classes(store, np.arange(24), np.arange(24)) == ([], {"c": 3})
    line = f"protocol cross-validate {tmp_path / 's.h5'} --output {tmp_path / 'out'}"
    done = CliRunner().invoke(cli, line.split())
    assert done.exit_code == 0, (done.output, done.exception)
    told = [
        "all clips of one subject, so that no network tested on them was trained on them: c",
        "fewer than five clips: c (3)",
    ]
    assert done.stdout.splitlines()[-2:] == told
    done = CliRunner().invoke(cli, [*line.split(), "--json"])
    assert json.loads(done.stdout)["folds"] and done.stderr.splitlines() == told


def test_finished_folds_are_not_repeated_and_other_settings_are_refused(stores, trainings, tmp_path):
    settings = resolve_settings("finetune")
    first = cross_validate(stores["subject"], tmp_path, settings, leave_one_out=True)
    assert len(trainings) == 6 and [row["subjects"] for row in first["folds"]] == [
        [f"p{number}"] for number in range(6)
    ]
    assert cross_validate(stores["subject"], tmp_path, settings, leave_one_out=True) == first and len(trainings) == 6
    with pytest.raises(DataError, match="config: expected what is asked for now"):
        cross_validate(stores["subject"], tmp_path, settings.replace(epochs=3), leave_one_out=True)
    with pytest.raises(DataError, match="(train|test): expected what is asked for now"):
        cross_validate(stores["subject"], tmp_path, settings, folds=3)
    with pytest.raises(DataError, match="subject: expected a subject for every clip, two or more"):
        cross_validate(stores["file"], tmp_path / "other", settings, leave_one_out=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"top1": "high"}, "top1: expected a number"),
        ({"probabilities": None}, "probabilities: expected numbers for each of"),
        ({"probabilities": [[0.5, 0.5], [1.0]]}, "probabilities: expected numbers for each of"),
        ({"distances": [0.1]}, "distances: expected numbers for each of"),
        ({"distances": 0.1}, "distances: expected numbers for each of"),
        ({"made_from": []}, "config: expected what is asked for now"),
    ],
)
def test_a_damaged_result_of_a_fold_is_named(change, told, stores, trainings, tmp_path):
    settings = resolve_settings("finetune")
    cross_validate(stores["file"], tmp_path, settings, folds=2)
    file = tmp_path / "fold-2" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=f"fold-2/result.json: {told}"):
        cross_validate(stores["file"], tmp_path, settings, folds=2)
