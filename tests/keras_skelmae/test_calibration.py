"""Temperatures, likelihoods and calibration errors, against draws whose probabilities are known."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_skelmae.evaluation import load_classifier, predict_store
from keras_skelmae.evaluation.calibration import (
    HIGHEST,
    LEAST_CLIPS,
    LOWEST,
    calibration,
    calibration_error,
    compare_calibration,
    fit_temperature,
    negative_log_likelihood,
    noise_floor,
    reliability,
    temper,
)
from keras_skelmae.models import Ensemble
from keras_skelmae.training.calibrating import HeldOut, calibrated, doubt_of
from keras_skelmae.training.selection import MeanClassAccuracy


def drawn(count=4000, classes=5, spread=2.0, seed=0):
    """True probabilities of random clips, and labels drawn by them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (count, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return probabilities, labels


@pytest.mark.parametrize("wrong", [0.25, 0.7, 1.0, 3.0])
def test_the_temperature_that_was_applied_is_found(wrong):
    probabilities, labels = drawn()
    found = fit_temperature(temper(probabilities, wrong), labels)
    assert found == pytest.approx(1 / wrong, rel=0.06)


def test_it_has_the_greatest_likelihood():
    probabilities, labels = drawn(300)
    raw = temper(probabilities, 0.3)
    best = fit_temperature(raw, labels)
    values = [negative_log_likelihood(temper(raw, best * factor), labels) for factor in (0.8, 0.9, 1, 1.1, 1.25)]
    assert min(values) == values[2]
    assert values[2] < negative_log_likelihood(raw, labels)


def test_tempering_keeps_the_order_and_has_a_way_back():
    probabilities, _ = drawn(50)
    hot = temper(probabilities, 2.5)
    np.testing.assert_array_equal(hot.argsort(axis=1), probabilities.argsort(axis=1))
    np.testing.assert_allclose(temper(hot, 1 / 2.5), probabilities, rtol=1e-9)
    assert temper(np.array([[1.0, 0.0]]), 2).sum() == pytest.approx(1)


def test_few_clips_leave_the_temperature_and_perfect_ones_do_not_make_certain():
    probabilities, labels = drawn(LEAST_CLIPS - 1)
    assert fit_temperature(temper(probabilities, 0.2), labels) == 1
    sure = np.full((40, 3), 0.1)
    sure[np.arange(40), np.arange(40) % 3] = 0.8
    found = fit_temperature(sure, np.arange(40) % 3)
    tempered = temper(sure, found)
    assert found > LOWEST and tempered.max() == pytest.approx(41 / 42, abs=1e-6)  # as often right as Laplace says
    assert fit_temperature(sure, (np.arange(40) + 1) % 3) == pytest.approx(HIGHEST, rel=1e-6)


def test_clips_without_anybody_or_a_label_do_not_count():
    probabilities, labels = drawn(200)
    more = np.concatenate([probabilities, np.full((3, 5), np.nan), probabilities[:2]])
    with_more = np.concatenate([labels, [0, 1, 2, -1, -1]])
    assert fit_temperature(more, with_more) == fit_temperature(probabilities, labels)
    assert calibration(more, with_more) == calibration(probabilities, labels)
    assert calibration(np.full((2, 5), np.nan), np.zeros(2, int)) is None


def test_calibration_error_by_hand():
    confidence, right = np.repeat([0.6, 0.9], 10), np.array([1] * 6 + [0] * 4 + [1] * 5 + [0] * 5, bool)
    assert calibration_error(confidence, right, 2) == pytest.approx(0.2)
    assert [entry["count"] for entry in reliability(confidence, right, 2)] == [10, 10]
    assert [entry["accuracy"] for entry in reliability(confidence, right, 2)] == [0.6, 0.5]


def test_a_true_model_has_the_error_that_chance_gives():
    found = [calibration(*drawn(600, seed=seed)) for seed in range(8)]
    errors, floors = ([entry[key] for entry in found] for key in ("ece", "ece_floor"))
    assert np.mean(errors) == pytest.approx(np.mean(floors), rel=0.15)
    probabilities, labels = drawn(1500)
    assert calibration(temper(probabilities, 0.3), labels)["ece"] > 3 * calibration(probabilities, labels)["ece_floor"]
    few, many = (noise_floor(probabilities.max(axis=1)[:count])[0] for count in (100, 1500))
    assert many < few / 2


def test_what_was_before_the_temperature_is_told():
    probabilities, labels = drawn(400)
    raw = temper(probabilities, 0.5)
    found = compare_calibration(temper(raw, 2.0), labels, 2.0)
    assert found["before"]["nll"] == pytest.approx(negative_log_likelihood(raw, labels))
    assert found["after"]["nll"] == pytest.approx(negative_log_likelihood(probabilities, labels))
    assert compare_calibration(probabilities, labels, 1.0)["before"] is None
    assert compare_calibration(probabilities, labels, 2.0, num_clips=3)["before"] is None


SMALL = {"units": 4, "encoder_layers": 1, "num_layers": 1, "num_people": 1, "head_units": 0}


@pytest.mark.parametrize(("temperature", "mirror"), [(0.4, False), (3.0, True)])
def test_an_ensemble_answers_with_tempered_probabilities(temperature, mirror, tiny, tmp_path):
    model, clips = tiny.classifier(normalize="clip", **SMALL), tiny.clips(6, people=1)
    plain = tiny.predict(Ensemble([model], mirror=True) if mirror else model, clips)
    ensemble = Ensemble([model], mirror=mirror, temperature=temperature)
    found = tiny.predict(ensemble, clips)
    np.testing.assert_allclose(found, temper(plain, temperature), atol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=1), plain.argmax(axis=1))
    ensemble.save(tmp_path / "model.keras")
    loaded = load_classifier(tmp_path / "model.keras")
    assert loaded.temperature == temperature and loaded.mirror is mirror
    np.testing.assert_array_equal(tiny.predict(loaded, clips), found)


def test_sure_answers_stay_numbers(tiny):
    model = tiny.classifier(num_classes=3, **SMALL)
    last = model.get_layer("classifier")
    last.bias.assign([0.0, 500.0, -500.0])
    for temperature in (0.05, 20.0):
        found = tiny.predict(Ensemble([model], temperature=temperature), tiny.clips(2, people=1))
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_temperatures_that_do_not_fit(temperature, tiny):
    with pytest.raises(ValueError, match="temperature: expected a positive number, found"):
        Ensemble([tiny.classifier(**SMALL)], temperature=temperature)


def test_what_is_saved_and_told(tiny):
    model = tiny.classifier(**SMALL)
    probabilities, labels = drawn(100, 4)
    saved, facts = calibrated(model, {}, HeldOut(temper(probabilities, 0.3), labels, []))
    assert saved.temperature == facts["temperature"] and facts["reason"] == ""
    assert facts["after"]["nll"] < facts["before"]["nll"]
    saved, facts = calibrated(model, {}, HeldOut(probabilities[:12], labels[:12], []))
    assert saved is model and facts["reason"] == "12 clips held out, 20 are needed"
    saved, facts = calibrated(model, {}, HeldOut(temper(probabilities, 0.3), labels, [], doubt="of one person"))
    assert saved is model and (facts["temperature"], facts["reason"]) == (1.0, "of one person")
    saved, facts = calibrated(model, {"mirror": True, "one_sided": [1]}, None)
    assert saved.mirror and saved.one_sided == [1] and saved.temperature == 1 and facts["before"] is None


def test_a_fine_tuning_calibrates_on_what_it_held_out(store, tmp_path, tiny_settings, monkeypatch):
    """Twelve sequences: with lower bounds they are enough."""
    from keras_skelmae.evaluation import calibration as module
    from keras_skelmae.training import calibrating, finetune

    for place in (module, calibrating):
        monkeypatch.setattr(place, "LEAST_CLIPS", 4)
    monkeypatch.setattr(calibrating, "LEAST_PEOPLE", 1)
    for name, ids in (("one", store.ids[:6]), ("other", store.ids[6:])):
        (tmp_path / name).write_text("\n".join(ids))
    asked, splits = (
        tiny_settings("finetune", "mirror=off", "epochs=1"),
        [f"ids={tmp_path / n}" for n in ("one", "other")],
    )
    found = finetune(store, *splits, tmp_path / "fine", asked, verbose=False)
    facts = found["calibration"]
    assert facts["temperature"] != 1 and facts["after"]["nll"] < facts["before"]["nll"]
    held = (tmp_path / "fine" / "held_ids.txt").read_text().split()
    assert len(held) == found["num_validation"]
    assert not set(held) & set((tmp_path / "fine" / "train_ids.txt").read_text().split())
    saved = load_classifier(tmp_path / "fine")
    plain, tempered = (predict_store(model, store, np.arange(12)) for model in (saved.members[0], saved))
    np.testing.assert_allclose(tempered, temper(plain, facts["temperature"]), atol=1e-5)
    right = (plain.argmax(axis=1) == store.labels)[[store.ids.index(name) for name in held]]
    assert found["val_accuracy"] == pytest.approx(right.mean())
    assert json.loads((tmp_path / "fine" / "metrics.json").read_text())["calibration"] == facts


@pytest.mark.parametrize(
    ("people", "chosen", "told"),
    [
        ([1, 1, 2, 2, 3, 4, 5, 5], False, ""),
        ([1, 1, 2, 2, 3, 3, 3, 3], False, "are of 1 person, 3 are needed"),
        ([1, 1, 2, 2, 3, 4, 5, 1], False, "may be of people it was trained on"),
        ([-1] * 8, False, "may be of people it was trained on"),
        ([1, 1, 2, 2, 3, 3, 3, 3], True, "are of 1 person, 3 are needed"),
        ([1, 1, 2, 2, 3, 4, 5, 1], True, ""),
        ([-1] * 8, True, ""),
    ],
)
def test_held_out_clips_that_do_not_stand_for_new_ones(people, chosen, told):
    found = doubt_of(SimpleNamespace(subject=np.array(people)), np.arange(4), np.arange(4, 8), chosen)
    assert told in found and bool(told) == bool(found)


def test_mean_class_accuracy_is_that_of_scores():
    from keras_skelmae.evaluation import scores

    rng = np.random.default_rng(0)
    labels, guesses = rng.integers(0, 4, 50), rng.random((50, 6)).astype("float32")
    metric, weight = MeanClassAccuracy(6), np.repeat([1.0, 0.0], [50, 7])
    more = np.concatenate([labels, labels[:7]])  # rows of weight 0 fill a batch up
    metric.update_state(np.eye(6)[more], np.concatenate([guesses, guesses[:7]]), weight)
    assert float(metric.result()) == pytest.approx(scores(guesses, labels, list("abcdef"))["mean_class"])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.num_classes == 6


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_a_balanced_training_without_validation(balance, store, tmp_path, tiny_settings):
    from keras_skelmae.training import finetune

    asked = tiny_settings("finetune", f"class_balance={balance}", "validation_fraction=0", "epochs=1")
    found = finetune(store, "all", None, tmp_path / "run", asked, verbose=False)
    assert found["num_sequences"] == 12 and found["num_validation"] == 0 and found["val_accuracy"] is None
    assert found["calibration"]["reason"] == "no clips were held out"
    assert found["rare_classes"] == {}
    with pytest.raises(ValueError, match="select: expected 'last' with validation_fraction = 0, found 'best'"):
        finetune(store, "all", None, tmp_path / "best", asked, select="best", verbose=False)


def test_the_best_mean_class_accuracy_is_kept(store, tmp_path, tiny_settings):
    from keras_skelmae.training import finetune

    asked = tiny_settings("finetune", "validation_fraction=0.4", "mirror=off", "epochs=2")
    found = finetune(store, "all", None, tmp_path / "run", asked, select="best:mean_class", verbose=False)
    lines = (tmp_path / "run" / "history.csv").read_text().splitlines()
    column = lines[0].split(",").index("val_mean_class")
    values = [float(line.split(",")[column]) for line in lines[1:]]
    assert values[found["epoch"] - 1] == max(values) == pytest.approx(found["val_mean_class"])
