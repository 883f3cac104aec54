"""Clips that are like nothing trained on: distances, the threshold, the file beside the model."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation import embed, load_known, predict_files
from keras_skelmae.evaluation.known import KnownClasses, choose_threshold, fit_known, strangeness
from keras_skelmae.evaluation.predict import load_classifier, predict_store, result_of
from keras_skelmae.models import Ensemble
from keras_skelmae.report import try_page
from skelmae_cli.main import cli
from skelmae_datasets import DataError

SMALL = {"units": 4, "encoder_layers": 1, "num_layers": 1, "num_people": 1, "head_units": 0, "num_classes": 2}


class Classes:
    """What fit needs of a model."""

    num_classes, weights = 4, []


def clusters(count=300, width=12, seed=0):
    """Features of three classes with a common covariance, labels; the fourth class has no clips."""
    rng = np.random.default_rng(seed)
    labels, mixing = np.arange(count) % 3, np.random.default_rng(9).normal(size=(width, width))
    return (6 * np.eye(width)[labels] + rng.normal(size=(count, width)) @ mixing / 3).astype("float32"), labels


def test_distances_are_those_of_mahalanobis():
    features, labels = clusters()
    known = KnownClasses.fit(Classes, features, labels)
    assert known.centres.shape == (4, 12) and np.isnan(known.centres[3]).all()
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    centres = np.stack([x[labels == k].mean(axis=0) for k in range(3)])

    def nearest(apart, points):  # from the first 20 clips, by the covariance of what is apart
        covariance = apart.T @ apart / len(apart)
        shrunk = 0.5 * covariance + 0.5 * np.eye(12) * np.trace(covariance) / 12
        offsets = x[:20, None] - points
        return np.einsum("nki,ij,nkj->nk", offsets, np.linalg.inv(shrunk), offsets).min(axis=1)

    middle = x.mean(axis=0, keepdims=True)
    wanted = nearest(x - centres[labels], centres) / nearest(x - middle, middle)
    np.testing.assert_allclose(known.distances(features[:20]), wanted, rtol=1e-3)


def test_an_unsure_answer_is_strange():
    answers = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0], [np.nan] * 4])
    np.testing.assert_allclose(strangeness(np.full(4, 0.3), answers), [0.3, 4.3, 2.3, np.nan], rtol=1e-6)


def test_more_features_than_directions():
    features, labels = clusters(90, 400)
    known = KnownClasses.fit(Classes, features, labels)
    assert known.directions.shape == known.all_directions.shape == (400, 90) and known.rest > 0
    wide = KnownClasses.fit(Classes, *clusters(200, 400))
    assert wide.directions.shape == (400, 128)
    assert np.isfinite(wide.distances(features)).all()


def test_strange_clips_are_told_at_the_rate_of_false_alarms():
    features, labels = clusters()
    known = KnownClasses.fit(Classes, features, labels)

    def sure(count):
        return np.tile(np.float32([0.97, 0.01, 0.01, 0.01]), (count, 1))

    assert known(features, sure(300)).all()  # without a threshold everything is
    known.threshold = choose_threshold(strangeness(known.distances(clusters(200, seed=1)[0]), sure(200)))
    assert 0.01 < 1 - known(clusters(3000, seed=2)[0], sure(3000)).mean() < 0.1
    strange = np.random.default_rng(3).normal(size=(300, 12)).astype("float32") + 9 * np.eye(12)[7]
    assert known.known(strange, sure(300)).mean() < 0.1
    assert not known(features, np.full((300, 4), 0.25)).any() and not known(features, np.full((300, 4), np.nan)).any()


def test_the_threshold_by_hand():
    distances = np.arange(1.0, 100.0)  # the 95th of 99
    assert choose_threshold(distances) == 95
    assert choose_threshold(np.append(distances, np.inf)) == 95
    assert choose_threshold(distances[:20]) == 20 and choose_threshold(distances[:19]) == np.inf


def test_the_file_belongs_to_its_model(tiny, tiny_stores, tmp_path):
    store, model = tiny_stores["2d"], tiny.classifier(**SMALL)
    known = fit_known(model, store, np.arange(6), store.labels)
    assert load_known(tmp_path, model) is None
    known.threshold = 3.5
    model.save_to_preset(tmp_path)
    known.save(tmp_path)
    for path in (tmp_path, tmp_path / "model.keras"):
        found = load_known(path, model)
        for key, value in vars(known).items():
            np.testing.assert_array_equal(getattr(found, key), value)
    features = embed(model, store, np.arange(8))
    np.testing.assert_array_equal(found.distances(features), known.distances(features))
    last = model.get_layer("classifier")
    last.bias.assign(last.bias + 1)
    with pytest.raises(DataError, match="known.npz: known classes: expected those of .*found those of another model"):
        load_known(tmp_path, model)
    for damage in (b"", b"PK\x03\x04 nothing", (tmp_path / "known.npz").read_bytes()[:400]):
        (tmp_path / "known.npz").write_bytes(damage)
        with pytest.raises(DataError, match="known.npz: expected arrays of known classes, found"):
            load_known(tmp_path, model)
    assert fit_known(Ensemble([model, model]), store, np.arange(6), store.labels) is None


def test_nothing_known_is_told(tiny, tiny_stores, tmp_path):
    store, model = tiny_stores["2d"], tiny.classifier(**SMALL)
    model.save_to_preset(tmp_path)
    plain = predict_files(tmp_path, [store.path])
    assert all("known" not in result and result["label"] is not None for result in plain)
    known = fit_known(model, store, np.arange(6), store.labels)
    probabilities = predict_store(load_classifier(tmp_path), store, np.arange(8))
    strange = strangeness(known.distances(embed(model, store, np.arange(8))), probabilities)
    known.threshold = float(np.sort(strange)[3:5].mean())  # nobody lies on it
    known.save(tmp_path)
    for before, result, value in zip(plain, predict_files(tmp_path, [store.path]), strange, strict=True):
        assert result["known"] is bool(value <= known.threshold)
        assert result["label"] == (before["label"] if result["known"] else None)
        assert result.get("nearest", before["label"]) == before["label"]
        assert result["probabilities"] == before["probabilities"]
    lines = CliRunner().invoke(cli, ["predict", str(tmp_path), str(store.path)]).output.splitlines()
    assert sum("nothing known (nearest: " in line for line in lines) == (strange > known.threshold).sum() > 0
    told = json.loads(CliRunner().invoke(cli, ["predict", str(tmp_path), str(store.path), "--json"]).stdout)
    assert [entry["known"] for entry in told] == list(strange <= known.threshold)


@pytest.mark.parametrize("threshold", [-np.inf, np.inf])
def test_a_stream_and_the_page_tell_it_too(threshold, tiny, tiny_stores, tmp_path):
    store, model = tiny_stores["2d"], tiny.classifier(**SMALL)
    model.save_to_preset(tmp_path)
    known = fit_known(model, store, np.arange(6), store.labels)
    known.threshold = threshold
    known.save(tmp_path)
    line = ["predict", str(tmp_path), str(store.path), "--stream", "--min-probability", "0", "--json"]
    listed = json.loads(CliRunner().invoke(cli, line).stdout)
    assert listed and all(window["probability"] > 0 for window in listed)
    with try_page.Server(tmp_path) as server:
        samples = try_page.answer(server.model, store.path, server.known)["samples"]
    assert all(window["probabilities"] for sample in samples for window in sample["windows"])
    told = [sample["label"] for sample in samples] + [window["label"] for window in listed]
    told += [window["label"] for sample in samples for window in sample["windows"]]
    assert {label is None for label in told} == {threshold < 0}
    assert {sample["nearest"] is None for sample in samples} == {threshold > 0}


def test_nobody_is_neither_known_nor_strange():
    assert "known" not in result_of("a", "b", ["x", "y"], np.full(2, np.nan), False)
