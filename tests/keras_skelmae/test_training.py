"""Configuration, held-out parts, figures, and the two trainings with what they leave behind."""

import csv
import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_skelmae.export import export_model
from keras_skelmae.losses import reweighted_cosine_error
from keras_skelmae.models import SkeletonMAE, STRLClassifier
from keras_skelmae.models.strl_autoencoder import TRUNK_KEYS
from keras_skelmae.schedules import WarmupSchedule
from keras_skelmae.training import (
    RECIPES,
    ConfigError,
    devices,
    evaluate_model,
    finetune,
    predict_files,
    pretrain,
    resolve_config,
)
from keras_skelmae.training.evaluation import load_classifier, predict_store, scores
from keras_skelmae.training.feeding import SkeletonBatches
from keras_skelmae.training.finetune import hold_out, phases
from keras_skelmae.training.optimization import compile_options, make_optimizer
from keras_skelmae.training.runs import Run, load_model
from skelmae_datasets import DataError, SkeletonStore, convert_ntu
from skelmae_datasets.store import StoreWriter
from skelmae_datasets.synthetic import write_dataset

TINY = ("epochs=2", "units=8", "encoder_layers=1", "num_layers=1", "body_units=[8,8]",
        "body_streams=features,motion2", "temporal_strides=[]",
        "num_frames=8", "batch_size=8", "warmup_epochs=0", "jit=off")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    files = write_dataset(folder / "raw", subjects=4, repetitions=1, actions=["wave", "squat", "handshake"])
    convert_ntu(folder / "raw", folder / "s.h5")
    return SkeletonStore(folder / "s.h5"), files


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    before = pretrain(data[0], "xsub_train", folder / "pre", resolve_config("pretrain", overrides=TINY), verbose=False)
    after = finetune(data[0], "xsub_train", "xsub_val", folder / "fine", resolve_config("finetune", overrides=TINY),
                     pretrained=folder / "pre", verbose=False)
    return folder, before, after


@pytest.mark.parametrize("recipe", ["small", "paper"])
@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_written_config_repeats_itself(stage, recipe, tmp_path):
    config = resolve_config(stage, recipe=recipe, seed=3)
    (tmp_path / "config.toml").write_text(config.to_toml())
    other = "paper" if recipe == "small" else "small"
    assert resolve_config(stage, recipe=other, config_file=tmp_path / "config.toml") == config


def test_the_paper_recipe_is_the_papers():
    before, after = (resolve_config(stage, recipe="paper") for stage in ("pretrain", "finetune"))
    assert (before.optimizer, before.learning_rate, before.batch_size, before.epochs) == ("adam", 1.5e-4, 1024, 50)
    assert (before.units, before.num_frames, before.encoder_layers, before.beta) == (64, 64, 3, 2.0)
    assert (after.optimizer, after.learning_rate, after.momentum, after.batch_size) == ("sgd", 0.1, 0.9, 128)
    assert (after.epochs, after.warmup_epochs, after.step_epochs, after.num_layers) == (110, 5, (90, 100), 3)
    assert after.label_smoothing == 0.1


def test_later_sources_win():
    config = resolve_config("pretrain", overrides=("seed=4", "epochs=7", "mask_parts=left_arm"), epochs=9)
    assert (config.seed, config.epochs, config.mask_parts) == (4, 9, ("left_arm",))


@pytest.mark.parametrize(("override", "message"), [
    ("epoch=3", "did you mean epochs"), ("epochs=many", "epochs: expected int, found 'many'"),
    ("epochs=0", "epochs: expected at least 1"), ("target=pixels", "target: expected one of"),
    ("epochs", "expected key=value"), ("remask=1", "remask: expected bool"),
])
def test_bad_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        resolve_config("pretrain", overrides=(override,))


def test_schedule_warms_up_then_steps_down():
    rate = WarmupSchedule(1.0, 100, 10, "step", [50, 80])
    values = [float(rate(step)) for step in (0, 4, 9, 49, 50, 79, 80)]
    np.testing.assert_allclose(values, [0.1, 0.5, 1, 1, 0.1, 0.1, 0.01], rtol=1e-5)
    cosine = WarmupSchedule(2.0, 100, 0, "cosine")
    np.testing.assert_allclose([float(cosine(step)) for step in (0, 50, 100)], [2, 1, 0], atol=1e-5)


def test_scores_by_hand():
    probabilities = np.array([[.7, .2, .1], [.4, .5, .1], [.1, .8, .1], [.3, .4, .3]])
    result = scores(probabilities, np.array([0, 0, 1, 1]), ["a", "b", "c"])
    assert (result["top1"], result["top5"], result["num_samples"]) == (0.75, 1.0, 4)
    assert result["per_class"] == {"a": 0.5, "b": 1.0}  # c does not occur and is not averaged as zero
    assert result["mean_class"] == 0.75
    assert result["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]


def test_held_out_subjects_are_whole(data):
    store, _ = data
    indices = store.select("all")
    train, held = hold_out(store, indices, 0.2, seed=0)
    assert sorted([*train, *held]) == sorted(indices)
    assert not set(store.subject[train]) & set(store.subject[held])


def test_pretraining_leaves_a_whole_run_folder(run, data):
    folder, before, _ = run
    names = {"config.toml", "history.csv", "model.keras", "encoder.keras", "metrics.json", "run.json"}
    assert {path.name for path in (folder / "pre").iterdir()} == names
    saved = json.loads((folder / "pre" / "metrics.json").read_text())
    assert saved["fingerprint"] == data[0].fingerprint
    assert saved["versions"]["backend"] == keras.config.backend()
    assert np.isfinite(before["loss"]) and 0 <= before["target_spread"] <= 1
    assert len((folder / "pre" / "history.csv").read_text().splitlines()) == 1 + 2


@pytest.mark.parametrize(("loss", "reduction", "mask", "frames"), [
    ("rce", "paper", "parts", 0), ("sce", "mean", "joints", 1), ("rce", "paper", "motion", 3)])
def test_losses_reductions_and_masks_are_settings(loss, reduction, mask, frames, data, tmp_path, monkeypatch):
    def fit(model, batches, callbacks, **_):
        (batch,), outputs = batches[0], model(batches[0][0])
        compared = (outputs[key] for key in ("target", "reconstruction", "weight"))
        wanted = reweighted_cosine_error(*compared, beta=3.0, reduction=reduction)
        assert float(model.compute_loss(y_pred=outputs)) == pytest.approx(float(wanted), rel=1e-5)
        changes = [t for t in range(1, 8) if (batch["mask"][:, :, t] != batch["mask"][:, :, t - 1]).any()]
        assert changes == list(range(frames, 8, frames) if frames else [])
        callbacks[0].on_epoch_end(0, {"loss": 0.0, "target_spread": 1.0})

    monkeypatch.setattr(SkeletonMAE, "fit", fit)
    overrides = (*TINY, f"loss_function={loss}", f"mask={mask}", f"mask_frames={frames}", "target=embedding",
                 "remedy=none", "beta=3")
    pretrain(data[0], "xsub_train", tmp_path, resolve_config("pretrain", overrides=overrides), verbose=False)


def losses_of(folder):
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_a_shared_mask_trains_the_same_by_what_it_needs(data, tmp_path, monkeypatch):
    overrides = (*TINY, "normalization=layer", "mask_sequences=0", "batch_size=4")
    config, calls, original = resolve_config("pretrain", overrides=overrides), [], SkeletonMAE.needed_joints
    monkeypatch.setattr(SkeletonMAE, "needed_joints", lambda *given: calls.append(1) or original(*given))
    pretrain(data[0], "xsub_train", tmp_path / "needed", config, verbose=False)
    assert calls
    monkeypatch.setattr(SkeletonBatches, "shares_mask", False)
    calls.clear()
    pretrain(data[0], "xsub_train", tmp_path / "all", config, verbose=False)
    assert not calls
    np.testing.assert_allclose(losses_of(tmp_path / "needed"), losses_of(tmp_path / "all"), rtol=1e-4)


def test_what_a_mask_needs_is_asked_once_where_it_stays_on_the_device():
    calls, masks = [], (np.arange(5) < 2, np.arange(5) > 3)
    kept = devices.kept_on_device(lambda mask: calls.append(1) or {"masked": np.flatnonzero(mask)})
    for mask in (*masks, *masks):
        assert np.asarray(kept(mask)["masked"]).tolist() == np.flatnonzero(mask).tolist()
    assert len(calls) == (2 if keras.config.backend() == "jax" else 4)


def test_accumulated_gradients_are_those_of_the_whole_batch(data):
    model = STRLClassifier(data[0].layout, 3, num_coordinates=3, num_people=1, num_frames=8, units=8, encoder_layers=1,
                           num_layers=1, normalization="layer")
    x = np.random.default_rng(0).normal(size=(8, 1, 8, model.layout.num_joints, 3)).astype("float32")
    y, before, ends = np.eye(3, dtype="float32")[np.arange(8) % 3], model.get_weights(), []
    for accumulate in (1, 4):
        config = resolve_config("finetune", overrides=(f"accumulate={accumulate}", "schedule=constant",
                                                       "warmup_epochs=0", "optimizer=sgd", "learning_rate=0.1"))
        model.set_weights(before)
        model.compile(**compile_options(config, accumulate), loss="categorical_crossentropy")
        for rows in np.split(np.arange(8), accumulate):
            model.train_on_batch(x[rows], y[rows])
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert any((a != b).any() for a, b in zip(before, ends[0], strict=True))


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="other backends compute a batch whole")
def test_fine_tuning_in_parts_learns_the_same(data, tmp_path):
    settings = (*TINY, "normalization=layer", "dropout_rate=0", "body_dropout=0", "streams=joint",
                "optimizer=sgd", "epochs=1")
    for parts in (1, 2):
        config = resolve_config("finetune", overrides=(*settings, f"batch_parts={parts}"))
        finetune(data[0], "xsub_train", "xsub_val", tmp_path / str(parts), config, verbose=False)
    for one, other in zip(*(load_model(tmp_path / name).get_weights() for name in "12"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_accumulation_counts_changes_of_the_weights():
    settings = [make_optimizer(resolve_config("finetune", overrides=(f"accumulate={n}", "warmup_epochs=2", "epochs=10",
                                                                     "ema=0.5")), 20).get_config() for n in (1, 4)]
    rates = [values["learning_rate"]["config"] for values in settings]
    assert [rate["total_steps"] for rate in rates] == [200, 50]
    assert [rate["warmup_steps"] for rate in rates] == [40, 10]
    assert settings[1]["ema_momentum"] ** 4 == pytest.approx(settings[0]["ema_momentum"])


@pytest.mark.parametrize(("jit", "units", "varying", "wanted"), [
    ("on", 8, True, True), ("off", 64, False, False), ("auto", 64, False, True), ("auto", 16, False, False),
    ("auto", 64, True, False)])
def test_compiling_by_itself_where_it_pays(jit, units, varying, wanted):
    config = resolve_config("pretrain", overrides=(f"jit={jit}", f"units={units}"))
    if jit == "auto" and keras.config.backend() != "tensorflow":
        wanted = "auto"
    assert compile_options(config, 1, varying)["jit_compile"] == wanted


def test_several_steps_an_execution_train_the_same(data, tmp_path):
    overrides = (*TINY, "batch_size=4", "steps_per_execution=3")
    config = resolve_config("pretrain", overrides=overrides)
    if keras.config.backend() == "torch":
        with pytest.raises(ValueError, match="steps_per_execution: expected 1 with the torch backend, found 3"):
            pretrain(data[0], "xsub_train", tmp_path, config, verbose=False)
        return
    pretrain(data[0], "xsub_train", tmp_path / "3", config, verbose=False)
    pretrain(data[0], "xsub_train", tmp_path / "1", dataclasses.replace(config, steps_per_execution=1), verbose=False)
    np.testing.assert_allclose(losses_of(tmp_path / "3"), losses_of(tmp_path / "1"), rtol=1e-5)


def test_config_of_a_run_repeats_it_exactly(run, data):
    folder, _, _ = run
    config = resolve_config("finetune", config_file=folder / "fine" / "config.toml")
    finetune(data[0], "xsub_train", "xsub_val", folder / "again", config, pretrained=folder / "pre", verbose=False)
    indices = data[0].select("xsub_val")
    one, again = (predict_store(load_classifier(folder / name), data[0], indices) for name in ("fine", "again"))
    np.testing.assert_allclose(one, again, atol=1e-6)


def test_a_finished_run_is_not_overwritten(run, data):
    with pytest.raises(DataError, match="a finished run"):
        pretrain(data[0], "xsub_train", run[0] / "pre", resolve_config("pretrain", overrides=TINY), verbose=False)


def test_every_process_refuses_a_finished_run(run, monkeypatch, tmp_path):
    monkeypatch.setitem(devices._STATE, "process", 1)
    config = resolve_config("finetune", overrides=TINY)
    with pytest.raises(DataError, match="a finished run"), Run(run[0] / "fine", config, {}):
        pass
    with Run(tmp_path / "new", config, {}) as other:
        assert other.path == tmp_path / "new" and not (tmp_path / "new").exists()


def test_evaluation_and_prediction_agree(run, data):
    store, files = data
    folder = run[0]
    result = evaluate_model(folder / "fine", store, "xsub_val")
    assert result["num_samples"] == len(store.select("xsub_val"))
    assert result["top1"] == pytest.approx(run[2]["val_accuracy"])
    several = evaluate_model(folder / "fine", store, "xsub_val", num_clips=3)
    assert several["num_clips"] == 3 and 0 <= several["top1"] <= 1
    index = 4
    path = next(path for path in map(str, files) if store.ids[index] in path)
    alone = predict_files(folder / "fine", [path])[0]
    table = predict_store(load_classifier(folder / "fine"), store, [index])[0]
    np.testing.assert_allclose(list(alone["probabilities"].values()), table, atol=1e-4)
    assert alone["label"] == store.classes[int(table.argmax())]


def test_frames_without_anybody_count_in_prediction_as_in_evaluation(run, data, tmp_path):
    store = data[0]
    sample = store.sample(3)
    keypoints = np.array(sample.keypoints, np.float32)
    keypoints[:, 1::3] = 0
    header = {"layout": store.layout, "classes": store.classes, "channels": store.channels, "units": store.units}
    with StoreWriter(tmp_path / "gaps.h5", **header) as writer:
        writer.append(dataclasses.replace(sample, keypoints=keypoints))
    with SkeletonStore(tmp_path / "gaps.h5") as gaps:
        table = predict_store(load_classifier(run[0] / "fine"), gaps, [0])[0]
    alone = predict_files(run[0] / "fine", [tmp_path / "gaps.h5"])[0]
    np.testing.assert_allclose(list(alone["probabilities"].values()), table, atol=1e-4)


def test_trained_models_load_as_the_readme_says(run):
    files = [str(run[0] / name) for name in ("pre/model.keras", "pre/encoder.keras", "fine/model.keras")]
    code = ("import sys, keras, keras_skelmae\n"
            "print(*(type(keras.saving.load_model(file)).__name__ for file in sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["SkeletonMAE", "SkeletonEncoder", "STRLClassifier"]


def test_pretrained_layers_stay_as_they_are_for_the_frozen_epochs(run, data, tmp_path):
    def trained(name, *overrides):
        config = resolve_config("finetune", overrides=(*TINY, "temporal=last", "body_units=[]", *overrides))
        finetune(data[0], "xsub_train", "xsub_val", tmp_path / name, config, pretrained=run[0] / "pre", verbose=False)
        model = load_classifier(tmp_path / name)
        rows = (tmp_path / name / "history.csv").read_text().splitlines()
        assert [row.partition(",")[0] for row in rows[1:]] == ["1", "2"]
        assert all(layer.trainable for layer in model.layers)
        encoder, = model.get_layer("spatial_0").encoders[:1]
        return encoder.get_weights(), model.get_layer("classifier").get_weights()

    source = load_model(run[0] / "pre").get_layer("encoder").get_weights()
    (frozen, head), (later, other), (slow, _) = (
        trained("frozen", "frozen_epochs=9"), trained("later", "frozen_epochs=1"),
        trained("slow", "frozen_epochs=1", "pretrained_rate=1e-9"))

    def distance(weights):
        return max(np.abs(a - b).max() for a, b in zip(weights, source, strict=True))

    assert distance(frozen) == 0 and distance(later) > 1e-3
    kernels = [index for index, weight in enumerate(source) if weight.ndim == 2]
    assert max(np.abs(slow[i] - source[i]).max() for i in kernels) < 1e-6  # all but the batch statistics
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(head, other, strict=True))


def test_random_initialisation_has_one_phase():
    config = resolve_config("finetune", overrides=("frozen_epochs=5", "epochs=20", "pretrained_rate=0.5"))
    assert phases(config, False) == [(0, config)]
    (_, frozen), (first, rest) = phases(config, True)
    assert (frozen.epochs, first, rest.epochs) == (5, 5, 15)
    assert (frozen.learning_rate, rest.learning_rate) == (config.learning_rate, config.learning_rate / 2)


def test_best_weights_are_kept_on_request(run, data, tmp_path):
    config = resolve_config("finetune", overrides=(*TINY, "epochs=4"))
    figures = finetune(data[0], "xsub_train", None, tmp_path / "best", config, select="best", verbose=False)
    assert 1 <= figures["epoch"] <= 4
    assert figures["num_sequences"] + figures["num_validation"] == len(data[0].select("xsub_train"))


def test_evaluation_names_a_store_of_another_shape(run, tmp_path, data):
    convert_ntu(data[1][0].parent if hasattr(data[1][0], "parent") else tmp_path, tmp_path / "c.h5", joints="coco17")
    with SkeletonStore(tmp_path / "c.h5") as other, pytest.raises(DataError, match="25 joints, 3 coordinates"):
        evaluate_model(run[0] / "fine", other, "xsub_val")


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="runs where TensorFlow trained the model")
def test_saved_model_serves_raw_coordinates_without_keras(run, data, tmp_path):
    import tensorflow as tf

    done = export_model(run[0] / "fine", "saved-model", tmp_path / "exported")
    assert done["max_abs_difference"] <= 1e-5
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    model = load_classifier(run[0] / "fine")
    for batch in (1, 5):
        x = np.random.default_rng(batch).normal(0, 1, (batch, 2, 8, 25, 3)).astype("float32")
        served = loaded.signatures["serving_default"](keypoints=tf.constant(x))["probabilities"].numpy()
        np.testing.assert_allclose(served, model.predict(x, verbose=0), atol=1e-5)
    names = loaded.signatures["class_names"]()["class_names"].numpy()
    assert [name.decode() for name in names] == data[0].classes
    facts = json.loads((tmp_path / "exported" / "assets.extra" / "metadata.json").read_text())
    assert facts["classes"] == data[0].classes and facts["layout"]["name"] == "ntu25"
    with pytest.raises(FileExistsError):
        export_model(run[0] / "fine", "saved-model", tmp_path / "exported")


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_stages_of_a_recipe_describe_the_same_network(recipe):
    before, after = (resolve_config(stage, recipe, None, ("scope=trunk",)) for stage in ("pretrain", "finetune"))
    for key in TRUNK_KEYS:
        if hasattr(before, key):
            assert getattr(before, key) == getattr(after, key), key
