"""Targets of a fine-tuning that a linear probe of frozen features has a share in."""

import csv

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_skelmae.models import STRLSiamese
from keras_skelmae.training import devices, finetune, pretrain, resolve_config
from keras_skelmae.training.feeding import SkeletonBatches
from keras_skelmae.training.probe_targets import check_probe_share, probe_targets, targets_of
from keras_skelmae.training.runs import load_model
from skelmae_datasets import DataError

TINY = ("epochs=1", "units=4", "encoder_layers=1", "num_layers=1", "body_units=[8,8]",
        "body_streams=features,motion2", "temporal_strides=[2]",
        "num_frames=8", "batch_size=8", "warmup_epochs=0", "validation_every=1", "jit=off", "scope=trunk",
        "body_dropout=0")


@pytest.fixture(scope="module")
def pretrained(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    pretrain(store, "all", folder, resolve_config("pretrain", overrides=(*TINY, "objective=contrastive")),
             verbose=False)
    return folder


def clouds(count=40, classes=3, spread=1.0):
    """Features around a point a class, labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    return (rng.normal(0, spread, (count, 6)) + 2 * np.eye(classes, 6)[labels]).astype("float32"), labels


def test_the_probes_part_is_scikit_learns_cross_validation():
    features, labels = clouds()
    found = probe_targets(features, labels, 4, 0.3, seed=5)
    assert found.shape == (40, 4) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found.argmax(axis=1) == labels).all() and not found[:, 3].any()
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    expected = cross_val_predict(probe, features, labels, cv=KFold(10, shuffle=True, random_state=5),
                                 method="predict_proba")
    one_hot = labels[:, None] == np.arange(3)
    np.testing.assert_allclose(found[:, :3], 0.7 * one_hot + 0.3 * expected, atol=1e-4)


def test_a_sequence_is_not_told_by_its_own_label():
    features, labels = clouds(60, 2, spread=0.1)
    wrong = labels.copy()
    wrong[7] = 1 - labels[7]
    found = probe_targets(features, wrong, 2, 0.4)
    others = np.flatnonzero(np.arange(60) != 7)
    assert found[7, wrong[7]] < found[others, labels[others]].min()  # where it lies, the others are of the other class


def test_a_class_of_one_sequence_keeps_its_label():
    features, labels = clouds(30, 2)
    labels[4] = 2
    found = probe_targets(features, labels, 3, 0.4)
    np.testing.assert_array_equal(found[4], [0, 0, 1])
    assert (found[np.arange(30) != 4].max(axis=1) < 1).all()
    for few in ([0], [0, 1], [1, 1, 1]):  # one sequence, one of each class, one class: nothing to fit
        np.testing.assert_array_equal(probe_targets(features[:len(few)], np.array(few), 3, 0.4), np.eye(3)[few])


def test_batches_give_each_sequence_its_targets(store):
    indices = store.select("all")[::-1].copy()
    targets = np.random.default_rng(0).random((len(indices), 2)).astype("float32")
    row_of = {store.ids[index]: row for index, row in zip(indices, targets, strict=True)}
    data = SkeletonBatches(store, indices, batch_size=4, num_frames=8, seed=3, targets=targets)
    for _ in range(2):
        for number in range(len(data)):
            expected = [row_of[name] for name in data.samples(number)]
            np.testing.assert_array_equal(data[number][1], expected)
        data.on_epoch_end()
    clips = SkeletonBatches(store, indices, batch_size=4, num_frames=8, training=False, num_clips=3, targets=targets)
    np.testing.assert_array_equal(clips[1][1], np.repeat(targets[4:8], 3, axis=0))
    with pytest.raises(ValueError, match=r"targets: expected \(12, 2\) for whole sequences, found \(11, 2\)"):
        SkeletonBatches(store, indices, targets=targets[1:])
    with pytest.raises(ValueError, match="each_person=True"):
        SkeletonBatches(store, indices, targets=targets, each_person=True)


def test_what_a_finetuning_takes_of_a_pretrained_network(store, pretrained, tmp_path):
    def trained(name, *settings, start=pretrained):
        config = resolve_config("finetune", overrides=(*TINY, "learning_rate=1e-9", "dropout_rate=0",
                                                       *settings))
        finetune(store, "all", "all", tmp_path / name, config, pretrained=start, verbose=False)
        with open(tmp_path / name / "history.csv", encoding="utf-8") as file:
            loss = float(next(csv.DictReader(file))["loss"])
        return load_model(tmp_path / name).get_layer("body_0").get_weights()[0], loss

    source = load_model(pretrained).get_layer("body_0").get_weights()[0]
    (weights, loss), (none, other), (random, plain), (own, mixed) = (
        trained("all", "probe_share=0.4"), trained("none", "probe_share=0.4", "transfer=none"),
        trained("random", start=None), trained("own", "probe_share=0.4", start=None))
    np.testing.assert_allclose(weights, source, atol=1e-6)  # hardly trained
    np.testing.assert_allclose(none, random, atol=1e-6)
    np.testing.assert_allclose(own, random, atol=1e-6)
    assert len({round(each, 5) for each in (loss, other, plain, mixed)}) == 4  # the same weights, other targets
    again = trained("again", "probe_share=0.4", "transfer=none")[1]
    assert again == other


def test_settings_that_make_no_sense(store, pretrained, tmp_path, monkeypatch):
    def tried(*settings):
        finetune(store, "all", "all", tmp_path / "run", resolve_config("finetune", overrides=(*TINY, *settings)),
                 pretrained=pretrained, verbose=False)

    for share in ("0.5", "-0.1", "nan"):
        with pytest.raises(ValueError, match=f"probe_share: expected a share in 0 <= share < 0.5, found {share}"):
            tried(f"probe_share={share}")
    with pytest.raises(ValueError, match="transfer: expected all or kernels with probe_share = 0, found 'none'"):
        tried("transfer=none")
    monkeypatch.setitem(devices._STATE, "devices", 2)
    with pytest.raises(ValueError, match="probe_share: expected 0 on 2 devices, found 0.3"):
        check_probe_share(0.3)
    check_probe_share(0.0)
    assert not (tmp_path / "run").exists()


def test_a_network_of_other_joints_is_named(store):
    model = STRLSiamese("coco17", num_frames=8, units=4, encoder_layers=1, num_layers=1, num_people=1, temporal="body",
                        body_units=(8, 8), temporal_strides=(2,))
    with pytest.raises(DataError, match="17 joints, 2 coordinates as other takes, found 25 joints, 3 coordinates"):
        targets_of(model, store, store.select("all"), 0.3, path="other")
