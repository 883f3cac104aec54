"""Classifying without a network: poses, a ridge and time warping, by other roads; accuracy against faults."""

import importlib
import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.experiments import baseline_table, compare_baselines, robustness_table
from keras_skelmae.experiments.baselines import FRAMES, pose_clips, ridge, warped_distances
from keras_skelmae.experiments.robustness import DegradedStore, robustness
from keras_skelmae.report.robustness_figure import robustness_figure
from skelmae_cli.main import cli
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.pictures.figures import svg_text
from skelmae_datasets.transforms.degradation import DEGRADATIONS

MODULE = importlib.import_module("keras_skelmae.experiments.robustness")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two classes told apart by the speed of a hand, at other places and sizes and lengths."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("base") / "s.h5"
    pose = rng.normal(0, 40, (17, 2))
    with StoreWriter(path, layout="coco17", classes=["slow", "fast", "never"], channels=("x", "y")) as writer:
        for number in range(40):
            frames = 30 + number % 7
            x = np.repeat(pose[None, None], frames, 1) + rng.normal(0, 1, (1, frames, 17, 2))
            x[0, :, 9, 1] += 60 * np.sin(np.linspace(0, 3 * (1 + 2 * (number % 2)), frames))
            x = (x * rng.uniform(0.5, 2) + rng.uniform(200, 900, 2)).astype("float32")
            x[0, 4:9, 6] = x[0, :, 2] = 0
            writer.append(Sample(f"s{number}", x, label=number % 2))
        ids = list(writer.ids)
        writer.set_splits({"train": ids[:28], "test": ids[28:], "both": ids[20:]})
    with SkeletonStore(path) as opened:
        yield opened


def test_poses_know_no_place_and_no_size(store):
    clips = pose_clips(store, np.arange(6))
    assert clips.shape == (6, 1, FRAMES, 17, 2)
    np.testing.assert_allclose(clips.mean(axis=(1, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(np.square(clips).sum(axis=-1).mean(axis=(1, 2, 3)), 1, rtol=1e-3)
    assert clips[:, :, :, 6].any(axis=-1).all()  # filled in over time
    moved = SimpleNamespace(**{key: getattr(store, key) for key in ("people", "num_coordinates", "layout", "channels")})
    moved.read = lambda index: np.where(store.read(index) == 0, 0, 3 * store.read(index) + 50)
    np.testing.assert_allclose(pose_clips(moved, np.arange(6)), clips, atol=1e-3)


def test_the_ridge_is_that_of_normal_equations():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(30, 1, 3, 2, 2)), rng.normal(size=(8, 1, 3, 2, 2))
    labels = np.arange(30) % 3
    train[:, 0, 0, 0, 0] += labels
    x, other = (
        np.concatenate([a.reshape(len(a), -1), np.diff(a, axis=2).reshape(len(a), -1)], 1) for a in (train, test)
    )
    x, other = (x - x.mean(0)) / x.std(0), (other - x.mean(0)) / x.std(0)
    target = np.where(np.arange(3) == labels[:, None], 1.0, -1.0)

    def solved(x, target, penalty, other):
        centre, mean = target.mean(0), x.mean(0)
        inner = (x - mean).T @ (x - mean) + penalty * x.shape[1] * np.eye(x.shape[1])
        return (other - mean) @ np.linalg.solve(inner, (x - mean).T @ (target - centre)) + centre

    errors = {}
    for penalty in (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0):
        rest = [np.arange(30) != row for row in range(30)]
        missed = [solved(x[kept], target[kept], penalty, x[~kept]) - target[~kept] for kept in rest]
        errors[penalty] = np.square(missed).mean()
    best = min(errors, key=errors.get)
    np.testing.assert_allclose(ridge(train, labels, test), solved(x, target, best, other), rtol=1e-6, atol=1e-8)


def test_clips_of_nobody_and_of_untrained_classes_are_wrong_and_told(tmp_path):
    with StoreWriter(tmp_path / "o.h5", layout="coco17", classes=["a", "b", "c"], channels=("x", "y")) as writer:
        for i in range(18):
            x = 100 + np.random.default_rng(i).normal(0, 9, (1, 8, 17, 2))
            writer.append(Sample(f"o{i}", (x * (i not in (12, 13))).astype("float32"), label=i % 3))
        train = [f"o{i}" for i in range(12) if i % 3 < 2]
        writer.set_splits({"train": train, "test": [f"o{i}" for i in range(12, 18)], "empty": ["o12", "o13"]})
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert all(entry["top1"] == 0 for entry in compare_baselines(store, "train", "empty")["results"].values())
        found = compare_baselines(store, "train", "test")
        both = baseline_table(compare_baselines(store, "train", "all", allow_overlap=True))
    assert "8 of 18 test clips were trained on, too: the figures flatter." in both.splitlines()
    assert (found["nobody_seen"], found["untrained"]) == (2, {"c": 2})
    told = baseline_table(found).splitlines()
    assert told[-2:] == [
        "In 2 of 6 test clips nobody was seen: they count as wrong.",
        "Classes without a training clip, whose test clips count as wrong: c (2).",
    ]


def test_warping_finds_the_least_path():
    rng = np.random.default_rng(0)
    clip, others = rng.normal(size=(4, 2)), rng.normal(size=(3, 4, 2))

    def least(other, band):
        best = np.inf
        for length in range(4, 8):
            for steps in itertools.product([(1, 0), (0, 1), (1, 1)], repeat=length - 1):
                path = np.cumsum([(0, 0), *steps], axis=0)
                if (path[-1] == 3).all() and (path <= 3).all() and (np.abs(path[:, 0] - path[:, 1]) <= band).all():
                    best = min(best, sum(np.square(clip[a] - other[b]).sum() for a, b in path))
        return best

    for band in (1, 3):
        wanted = [least(other, band) for other in others]
        np.testing.assert_allclose(warped_distances(clip, others, band), wanted, rtol=1e-9)
    np.testing.assert_allclose(warped_distances(clip, others, 0), np.square(others - clip).sum(axis=(1, 2)))


def test_baselines_know_what_can_be_known(store, tmp_path):
    found = compare_baselines(store, "train", "test")
    assert found["results"]["ridge"]["top1"] == found["results"]["dtw"]["top1"] == 1
    assert (
        baseline_table(found, {"top1": 0.5, "mean_class": 0.25}).splitlines()[-1] == "| the network | 50.0 | 25.0 | |"
    )
    with pytest.raises(DataError, match="split both: expected sequences that are not in the training split train"):
        compare_baselines(store, "train", "both")
    line = ["protocol", "baseline", store.path, "--train-split", "train", "--test-split", "test"]
    done = CliRunner().invoke(cli, [str(word) for word in (*line, "--output", tmp_path / "b.json", "--json")])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "b.json").read_text())
    assert written == json.loads(done.output) and written["num_train"] == 28


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_degraded_store_tells_its_own_lengths(kind, store):
    amount = DEGRADATIONS[kind][1][-1]
    worse = DegradedStore(store, kind, amount)
    for index in range(6):
        found = worse.read(index)
        assert found.shape[1] == worse.frames[index] and worse.labels[index] == store.labels[index]
        np.testing.assert_array_equal(found, worse.read(index))
    plain = DegradedStore(store, kind, DEGRADATIONS[kind][1][0])
    np.testing.assert_allclose(plain.read(3), store.read(3), atol=1e-3)


def test_curves_begin_at_the_clean_accuracy(store, monkeypatch, tmp_path):
    """The measurement is stood in for: what is right is how much of the recording is there."""
    measured = []

    def measure(model, worse, indices, split):
        shares = [np.count_nonzero(worse.read(index)) / store.read(index).size for index in indices]
        measured.append((type(worse).__name__, split))
        result = {"top1": float(np.mean(shares)), "mean_class": 0.5, "nobody_seen": 1, "calibration": {}}
        return SimpleNamespace(result=result, indices=indices, probabilities=np.ones((len(indices), 2)))

    monkeypatch.setattr(MODULE, "load_classifier", lambda _: None)
    monkeypatch.setattr(MODULE, "measured_split", lambda _path, store, split, _allowed: store.select(split))
    monkeypatch.setattr(MODULE, "measure", measure)
    calls = []
    found = robustness(tmp_path, store, "test", progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (29, 29) and len(measured) == 29
    assert list(found["curves"]) == list(DEGRADATIONS)
    clean = {curve["top1"][0] for curve in found["curves"].values()}
    assert len(clean) == 1
    for kind in ("joints", "parts", "frames", "rate"):
        assert (np.diff(found["curves"][kind]["top1"]) < 0).all()
    some = robustness(tmp_path, store, "test", kinds=("parts", "rate"))
    assert some["curves"] == {kind: found["curves"][kind] for kind in ("parts", "rate")}
    assert robustness_table([some, some]).count("\n|") == 7
    count = len(store.select("test"))
    assert robustness_table([some]).endswith(f"In 1 of {count} test clips nobody was seen: they count as wrong.")
    assert (some["nobody_seen"], some["seen_in_training"], some["seen_in_pretraining"]) == (1, 0, 0)
    figure = svg_text(robustness_figure({"one": found, "_two": some}))
    assert figure.count("body parts missing") == 1 and ">one<" in figure and ">_two<" in figure
    assert figure == svg_text(robustness_figure({"one": found, "_two": some}))
    with pytest.raises(ValueError, match="kinds: expected some of joints, parts, .*, found 'noise'"):
        robustness(tmp_path, store, "test", kinds=("noise",))
    six = list(store.layout.parts.values())
    parts = {f"part {number}": six[2 * number] + six[2 * number + 1] for number in range(3)}
    monkeypatch.setattr(store, "layout", replace(store.layout, mirror_pairs=(), parts=parts))
    some = robustness(tmp_path, store, "test", kinds=("swaps", "parts"))
    assert list(some["curves"]) == ["parts"] and some["curves"]["parts"]["amounts"] == [0, 1, 2], "one part is left"
    with pytest.raises(DataError, match="layout: expected left and right joints for swaps, .*, or other --kinds"):
        robustness(tmp_path, store, "test", kinds=("swaps",))


def test_the_report_says_whether_the_network_earns_its_training():
    from keras_skelmae.report import trust

    results = {"ridge": {"top1": 0.4}, "dtw": {"top1": 0.45}}
    baseline = {"results": results, "test_split": "test", "fingerprint": "f"}
    curve = {"text": "joints missing", "amounts": [0, 0.5], "top1": [0.6, 0.3], "mean_class": [0.6, 0.3]}
    fit = {"num_clips": 9, "nll": 0.5, "ece": 0.1, "ece_floor": 0.05}
    fit["bins"] = [{"confidence": 0.5, "accuracy": 0.4, "count": 9}]
    run = SimpleNamespace(name="a <b>", metrics={}, baseline=baseline, robustness=None, evaluation=None)
    assert "Evaluate the run on this split" in trust.section(run) and "<svg" not in trust.section(run)
    baseline |= {"num_test": 9, "nobody_seen": 2, "untrained": {"c": 1}}
    for told in ("In 2 of 9 test clips nobody was seen", "Classes without a training clip"):
        assert told in trust.section(run)
    run.evaluation = {"top1": 0.6, "split": "test", "fingerprint": "f"}
    run.evaluation["calibration"] = {"temperature": 1.5, "before": fit, "after": fit, "fitted_on": 4}
    run.robustness = {"curves": {"joints": curve}, "test_split": "test", "num_samples": 9}
    spread = {"mean": 71.0, "std": 3.5}
    run.metrics["cross_validation"] = {"folds": 5, "grouped_by": "subject", "top1": spread, "mean_class": spread}
    page = trust.section(run)
    for told in ("+15.0 points over the best", "Temperature 1.50", "fitted on 4 of", "71.0 ± 3.5 %", "joints missing"):
        assert told in page, told
    run.evaluation["split"] = "other"
    assert "points over" not in trust.section(run)


def test_robustness_has_a_folder_of_its_own(store, tmp_path):
    """A run keeps what was measured of it alone under the same name."""
    (tmp_path / "model.keras").touch()
    words = [
        "protocol",
        "robustness",
        tmp_path,
        store.path,
        "--test-split",
        "test",
        "--output",
        tmp_path,
        "--no-report",
    ]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 2 and "--output: expected a folder that is none of a run" in done.output
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_baselines_are_told_in_the_report_of_a_classifier(store, tmp_path):
    (tmp_path / "metrics.json").write_text('{"stage": "pretrain"}')
    words = ["protocol", "baseline", store.path, "--train-split", "train", "--test-split", "test", "--run", tmp_path]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 1 and "expected a fine-tuning, found a pre-training" in done.output
