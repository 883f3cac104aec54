"""Held-out parts, figures, and the two trainings with what they leave behind."""

import csv
import dataclasses
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_skelmae.data import LabelledBatches
from keras_skelmae.evaluation import evaluate_model, load_classifier, measure, predict_files, predict_store, scores
from keras_skelmae.experiments.protocols import run_protocol
from keras_skelmae.fast.networks import devices
from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE
from keras_skelmae.layers.presence_batch_normalization import estimating
from keras_skelmae.losses import reweighted_cosine_error
from keras_skelmae.models import (
    ContrastiveModel,
    Ensemble,
    SkeletonEncoder,
    SkeletonMAE,
    SkeletonPreprocessor,
    STRLBackbone,
    STRLClassifier,
    load_model,
)
from keras_skelmae.models.preset import find_part
from keras_skelmae.report.run_folder import read_run, repeat_command
from keras_skelmae.schedules import WarmupSchedule
from keras_skelmae.training import finetune, pretrain
from keras_skelmae.training.optimization import compile_options, make_optimizer
from keras_skelmae.training.runs import History, Run
from keras_skelmae.training.selection import KeepBest, validated_epochs
from keras_skelmae.training.starting_point import starting_point
from keras_skelmae.training.statistics import batch_normalizations
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter, convert_ntu
from skelmae_datasets.runs.settings import GROUPS, RECIPES, SettingsError, resolve_settings
from skelmae_datasets.runs.splits import check_training, hold_out
from skelmae_datasets.synthetic import write_dataset

PRETRAIN, FINETUNE, OPTIMIZATION = (
    importlib.import_module(f"keras_skelmae.training.{name}") for name in ("pretrain", "finetune", "optimization")
)
SMALL = ("epochs=2", "units=8", "encoder_layers=1", "num_frames=8", "batch_size=8", "warmup_epochs=0")
SMALL += ("jit_compile=off",)
BACKBONE = ("num_layers=1", "temporal_units=[8,8]", "body_streams=features,motion2", "temporal_strides=[]")
VIEWS = ("objective=contrastive", "scope=backbone", *BACKBONE)


def settings(stage, *more):
    """Settings of a training of seconds."""
    return resolve_settings(
        stage, overrides=(*SMALL, *{"pretrain": (), "finetune": (*BACKBONE, "mirror=off")}[stage], *more)
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A store of twelve sequences of three actions, and its files."""
    folder = tmp_path_factory.mktemp("synthetic")
    files = write_dataset(folder / "raw", subjects=4, repetitions=1, actions=["wave", "squat", "handshake"])
    convert_ntu(folder / "raw", folder / "s.h5")
    with SkeletonStore(folder / "s.h5") as store:
        yield store, files


@pytest.fixture(scope="module")
def run(data, tmp_path_factory, eager):
    """The folder of a masked pre-training and a fine-tuning from it, compiled, and the figures of both."""
    folder = tmp_path_factory.mktemp("run")
    with eager(False):
        before = pretrain(data[0], "xsub_train", folder / "pre", settings("pretrain"), verbose=False)
        after = train(data[0], folder / "fine", pretrained=folder / "pre")
    return folder, before, after


def train(store, folder, *overrides, **options):
    """A fine-tuning on the splits by subjects."""
    return finetune(store, "xsub_train", "xsub_val", folder, settings("finetune", *overrides), verbose=False, **options)


def history(folder):
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def losses_of(folder):
    return [float(row["loss"]) for row in history(folder)]


def test_every_setting_of_the_model_is_an_argument_of_one_of_its_parts():
    makers = (SkeletonPreprocessor.for_data, SkeletonEncoder, STRLBackbone, STRLClassifier)
    for key in set(GROUPS["model"].__dataclass_fields__) - {"preset"}:
        takers = [maker for maker in makers if key in inspect.signature(maker).parameters]
        assert len(takers) == 1, key
    for key in ("num_frames", "num_people", "use_score"):
        assert key in inspect.signature(SkeletonPreprocessor.for_data).parameters


def test_schedule_warms_up_then_steps_down():
    rate = WarmupSchedule(1.0, 100, 10, "step", [50, 80])
    values = [float(rate(step)) for step in (0, 4, 9, 49, 50, 79, 80)]
    np.testing.assert_allclose(values, [0.1, 0.5, 1, 1, 0.1, 0.1, 0.01], rtol=1e-5)
    cosine = WarmupSchedule(2.0, 100, 0, "cosine")
    np.testing.assert_allclose([float(cosine(step)) for step in (0, 50, 100)], [2, 1, 0], atol=1e-5)


def test_scores_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
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


def test_without_subjects_some_of_each_class_are_held_out(tiny_stores):
    store = tiny_stores["2d"]  # two subjects
    train, held = hold_out(store, np.arange(8), 0.25, seed=0)
    assert sorted([*train, *held]) == list(range(8))
    assert sorted(store.labels[held]) == [0, 1]
    with pytest.raises(ValueError, match="2d.h5: expected enough sequences to set 25% aside, found 2"):
        hold_out(store, [0, 2], 0.25, seed=0)  # one of each class


def test_pretraining_leaves_a_whole_run_folder(run, data):
    folder, before, _ = run
    names = {"config.toml", "history.csv", "model.keras", "metrics.json", "run.json", "train_ids.txt"}
    assert {path.name for path in (folder / "pre").iterdir()} == names
    assert {path.name for path in (folder / "fine").iterdir()} == names | {"pretrain_ids.txt"}
    saved = json.loads((folder / "pre" / "metrics.json").read_text())
    assert saved["fingerprint"] == data[0].fingerprint and saved["train_split"] == "xsub_train"
    assert saved["versions"]["backend"] == keras.config.backend()
    assert np.isfinite(before["loss"]) and 0 <= before["target_spread"] <= 1
    assert [row["epoch"] for row in history(folder / "pre")] == ["1", "2"]
    trained = (folder / "fine" / "train_ids.txt").read_text().split()
    assert trained == [data[0].ids[index] for index in data[0].select("xsub_train")]


@pytest.mark.parametrize(
    ("loss", "reduction", "mask", "frames"),
    [("rce", "paper", "parts", 0), ("sce", "mean", "joints", 1), ("rce", "paper", "motion", 3)],
)
def test_losses_reductions_and_masks_are_settings(loss, reduction, mask, frames, data, tmp_path, monkeypatch):
    def fit(model, batches, callbacks, **_):
        (batch,), outputs = batches[0], model(batches[0][0])
        compared = (outputs[key] for key in ("target", "reconstruction", "weight"))
        wanted = reweighted_cosine_error(*compared, beta=2.0, reduction=reduction)
        assert float(model.compute_loss(y_pred=outputs)) == pytest.approx(float(wanted), rel=1e-5)
        changes = [t for t in range(1, 8) if (batch["mask"][:, :, t] != batch["mask"][:, :, t - 1]).any()]
        assert changes == list(range(frames, 8, frames) if frames else [])
        next(each for each in callbacks if isinstance(each, History)).on_epoch_end(
            0, {"loss": 0.0, "target_spread": 1.0}
        )

    monkeypatch.setattr(SkeletonMAE, "fit", fit)
    asked = settings(
        "pretrain", f"loss_function={loss}", f"mask={mask}", f"mask_frames={frames}", "target=embedding", "remedy=none"
    )
    metrics = pretrain(data[0], "xsub_train", tmp_path, asked, verbose=False)
    assert not metrics["collapsed"]


@pytest.mark.parametrize(("overrides", "shape"), [(("scope=encoder",), (1, 8)), (VIEWS, (2, 8))])
def test_views_are_of_a_person_or_of_a_whole_clip(overrides, shape, data, tmp_path, monkeypatch):
    def fit(model, batches, callbacks, **_):
        assert isinstance(model, ContrastiveModel)
        assert isinstance(model.backbone, STRLBackbone if overrides is VIEWS else SkeletonEncoder)
        (batch,) = batches[0]
        assert batch["keypoints"].shape == batch["other"].shape == (8, *shape, 25, 3)
        missing = ~batch["other"].any(axis=(2, 4))  # (B, M, V)
        assert (missing[:, 0].sum(axis=-1) == round(0.4 * 25)).all()
        next(each for each in callbacks if isinstance(each, History)).on_epoch_end(
            0, {"loss": 0.0, "target_spread": 0.0}
        )

    monkeypatch.setattr(ContrastiveModel, "fit", fit)
    asked = settings("pretrain", "objective=contrastive", "node_drop=0.4", "part_drop=0.0", *overrides)
    assert pretrain(data[0], "xsub_train", tmp_path, asked, verbose=False)["collapsed"]


@pytest.mark.parametrize("conv", ["gin", "gat"])
def test_a_shared_mask_trains_the_same_by_what_it_needs(conv, data, tmp_path, monkeypatch):
    asked = settings(
        "pretrain",
        "epochs=1",
        "normalization=layer",
        "remask=token",
        "mask_sequences=0",
        "batch_size=4",
        f"graph_conv={conv}",
    )
    calls, original = [], TrimmedMAE.trim
    monkeypatch.setattr(TrimmedMAE, "trim", lambda *given: calls.append(1) or original(*given))
    pretrain(data[0], "xsub_train", tmp_path / "trimmed", asked, verbose=False)
    assert bool(calls) == (conv == "gin")  # attention looks at all neighbours
    assert isinstance(load_model(tmp_path / "trimmed"), SkeletonMAE)
    if conv == "gin":
        monkeypatch.setattr(PRETRAIN, "can_trim", lambda _: False)
        calls.clear()
        pretrain(data[0], "xsub_train", tmp_path / "all", asked, verbose=False)
        assert not calls
        np.testing.assert_allclose(losses_of(tmp_path / "trimmed"), losses_of(tmp_path / "all"), rtol=1e-4)


def test_what_a_mask_needs_is_asked_once_where_it_stays_on_the_device():
    calls, masks = [], (np.arange(5) < 2, np.arange(5) > 3)
    kept = devices.kept_on_device(lambda mask: calls.append(1) or {"masked": np.flatnonzero(mask)})
    for mask in (*masks, *masks):
        assert np.asarray(kept(mask)["masked"]).tolist() == np.flatnonzero(mask).tolist()
    assert len(calls) == (2 if keras.config.backend() == "jax" else 4)


def test_accumulated_gradients_are_those_of_the_whole_batch(tiny):
    model = tiny.classifier(num_classes=3, num_people=1, num_layers=1, encoder_layers=1, normalization="layer")
    x, y = tiny.clips(8, people=1), np.eye(3, dtype="float32")[np.arange(8) % 3]
    before, ends = model.get_weights(), []
    for steps in (1, 4):
        overrides = (f"gradient_accumulation_steps={steps}", "schedule=constant", "optimizer=sgd", "learning_rate=0.1")
        model.set_weights(before)
        options = compile_options(settings("finetune", *overrides), steps)
        model.compile(**options, loss="categorical_crossentropy")
        for rows in np.split(np.arange(8), steps):
            model.train_on_batch(x[rows], y[rows])
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert any((a != b).any() for a, b in zip(before, ends[0], strict=True))


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="other backends compute a batch whole")
def test_fine_tuning_in_slices_learns_the_same(data, tmp_path, monkeypatch):
    asked = (
        "normalization=layer",
        "dropout_rate=0",
        "temporal_dropout=0",
        "streams=joint",
        "optimizer=sgd",
        "epochs=1",
    )
    asked += ("jit_compile=on",)
    cut, calls, cutting = [], [], FINETUNE.train_in_slices
    monkeypatch.setattr(FINETUNE, "train_in_slices", lambda *given: calls.append(given[1]) or cutting(*given))
    for slices in (1, 2):
        monkeypatch.setattr(FINETUNE, "suggest_slices", lambda *_, count=slices: count)
        train(data[0], tmp_path / str(slices), *asked)
        cut.append(load_model(tmp_path / str(slices)).get_weights())
    assert calls == [2]
    for one, other in zip(*cut, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_accumulation_counts_changes_of_the_weights():
    configs = []
    for steps in (1, 4):
        overrides = (f"gradient_accumulation_steps={steps}", "warmup_epochs=2", "epochs=10", "ema_momentum=0.5")
        configs.append(make_optimizer(settings("finetune", *overrides).optimizer, 20).get_config())
    rates = [values["learning_rate"]["config"] for values in configs]
    assert [rate["total_steps"] for rate in rates] == [200, 50]
    assert [rate["warmup_steps"] for rate in rates] == [40, 10]
    assert configs[1]["ema_momentum"] ** 4 == pytest.approx(configs[0]["ema_momentum"])


@pytest.mark.parametrize(
    ("jit", "units", "varying", "wanted"),
    [
        ("on", 8, True, True),
        ("off", 64, False, False),
        ("auto", 64, False, True),
        ("auto", 8, False, False),
        ("auto", 64, True, False),
    ],
)
def test_compiling_by_itself_where_it_pays(jit, units, varying, wanted):
    asked = resolve_settings("pretrain", overrides=(f"jit_compile={jit}", f"units={units}"))
    if jit == "auto" and keras.config.backend() != "tensorflow":
        wanted = "auto"
    assert compile_options(asked, 1, varying)["jit_compile"] == wanted


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_leaves_jax_to_single_operations(recipe, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    for stage in ("pretrain", "finetune"):
        assert compile_options(resolve_settings(stage, recipe), 1)["jit_compile"] in ("auto", True)


@pytest.mark.parametrize(
    ("stage", "overrides", "wanted"),
    [
        ("pretrain", (), True),
        ("pretrain", ("objective=contrastive", "scope=encoder"), True),
        ("pretrain", ("objective=contrastive",), False),
        ("pretrain", ("objective=complete",), False),
        ("finetune", (), False),
    ],
)
def test_on_a_cpu_tensorflow_compiles_what_small_trains_without_layers_of_time(stage, overrides, wanted, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    monkeypatch.setattr(OPTIMIZATION, "on_cpu", lambda: True)
    asked = resolve_settings(stage, "small", overrides=overrides)
    assert compile_options(asked, 1)["jit_compile"] is wanted


def test_several_steps_an_execution_train_the_same(data, tmp_path, compiled):
    asked = settings("pretrain", "batch_size=4", "steps_per_execution=3")
    if keras.config.backend() == "torch":
        with pytest.raises(ValueError, match="steps_per_execution: expected 1 with the torch backend, found 3"):
            pretrain(data[0], "xsub_train", tmp_path, asked, verbose=False)
        return
    pretrain(data[0], "xsub_train", tmp_path / "3", asked, verbose=False)
    pretrain(data[0], "xsub_train", tmp_path / "1", asked.replace(steps_per_execution=1), verbose=False)
    np.testing.assert_allclose(losses_of(tmp_path / "3"), losses_of(tmp_path / "1"), rtol=1e-5)


def test_the_settings_of_a_run_repeat_it(run, data):
    folder, _, _ = run
    asked = resolve_settings("finetune", config_file=folder / "fine" / "config.toml")
    finetune(data[0], "xsub_train", "xsub_val", folder / "again", asked, pretrained=folder / "pre", verbose=False)
    assert (folder / "again" / "config.toml").read_text() == (folder / "fine" / "config.toml").read_text()
    indices = data[0].select("xsub_val")
    one, again = (predict_store(load_classifier(folder / name), data[0], indices) for name in ("fine", "again"))
    np.testing.assert_allclose(one, again, atol=1e-4)


def test_a_finished_run_is_not_overwritten(run, data):
    with pytest.raises(DataError, match="model.keras: expected a new run folder, found a finished run"):
        pretrain(data[0], "xsub_train", run[0] / "pre", settings("pretrain"), verbose=False)


def test_every_process_refuses_a_finished_run(run, monkeypatch, tmp_path):
    monkeypatch.setitem(devices._STATE, "process", 1)
    asked = settings("finetune")
    with pytest.raises(DataError, match="a finished run"), Run(run[0] / "fine", asked, {}):
        pass
    with Run(tmp_path / "new", asked, {}) as other:
        assert other.path == tmp_path / "new" and not (tmp_path / "new").exists()


def test_evaluation_and_prediction_agree(run, data):
    store, files = data
    folder = run[0]
    found = evaluate_model(folder / "fine", store, "xsub_val")
    indices = store.select("xsub_val")
    np.testing.assert_array_equal(found.indices, indices)
    assert isinstance(found.model, STRLClassifier) and found.probabilities.shape == (len(indices), 3)
    assert found.result["num_samples"] == len(indices)
    assert found.result["top1"] == pytest.approx(run[2]["val_accuracy"])
    several = evaluate_model(folder / "fine", store, "xsub_val", num_clips=3).result
    assert several["num_clips"] == 3 and 0 <= several["top1"] <= 1
    index = 4
    path = next(path for path in map(str, files) if store.ids[index] in path)
    alone = predict_files(folder / "fine", [path])[0]
    table = predict_store(found.model, store, [index])[0]
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
    files = [str(run[0] / name) for name in ("pre/model.keras", "fine/model.keras")]
    code = (
        "import sys, keras, keras_skelmae\n"
        "print(*(type(keras.saving.load_model(file)).__name__ for file in sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["SkeletonMAE", "STRLClassifier"]


def test_a_run_is_a_preset(run, data):
    found = STRLBackbone.from_preset(run[0] / "fine", data=data[0])
    trained = load_model(run[0] / "fine").backbone
    for one, other in zip(found.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert isinstance(SkeletonEncoder.from_preset(run[0] / "pre"), SkeletonEncoder)


def test_best_weights_are_kept_on_request(data, tmp_path):
    asked = settings("finetune", "epochs=3")
    figures = finetune(data[0], "xsub_train", None, tmp_path / "best", asked, select="best", verbose=False)
    assert figures["num_sequences"] + figures["num_validation"] == len(data[0].select("xsub_train"))
    accuracies = [float(row["val_accuracy"]) for row in history(tmp_path / "best")]
    assert accuracies[figures["epoch"] - 1] == max(accuracies)
    with pytest.raises(ValueError, match="select: expected one of last, best, best:mean_class, found 'first'"):
        train(data[0], tmp_path / "first", select="first")


@pytest.fixture(scope="module")
def starts(run, data, tmp_path_factory):
    """Models to begin with, by kind: a folder each."""
    folder = tmp_path_factory.mktemp("starts")
    pretrain(data[0], "xsub_train", folder / "views", settings("pretrain", "epochs=1", *VIEWS), verbose=False)
    network = load_classifier(run[0] / "fine")
    other = STRLClassifier(network.backbone, 5, list("abcde"), time_pooling="mean")
    other.save_to_preset(folder / "classes")
    ContrastiveModel(load_model(run[0] / "pre").encoder).save_to_preset(folder / "frames")
    Ensemble([network], mirror=True).save_to_preset(folder / "mirrored")
    Ensemble([network, network]).save_to_preset(folder / "several")
    return {"masked": run[0] / "pre", **{path.name: path for path in folder.iterdir()}}


@pytest.mark.parametrize("kind", ["masked", "views", "classes", "mirrored"])
def test_a_fine_tuning_begins_with_what_any_model_of_ours_has(kind, starts, data, tmp_path):
    source = load_model(starts[kind])
    start = starting_point(data[0], settings("finetune"), starts[kind])
    wanted = source.encoder if kind == "masked" else source.backbone
    assert start.source == starts[kind]
    if kind == "masked":
        found = start.part.spatial[0].encoders[0].get_weights()
        wanted = wanted.graph
    else:
        found = start.part.get_weights()
    for one, other in zip(found, wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    figures = train(data[0], tmp_path / "run", "epochs=1", "learning_rate=1e-9", pretrained=starts[kind])
    assert figures["pretrained"] == str(starts[kind])
    model = load_classifier(tmp_path / "run")
    assert model.names == data[0].classes and model.num_classes == 3
    before, after = (network.spatial[0].encoders[0].get_weights() for network in (start.part, model.backbone))
    kernels = [index for index, weight in enumerate(before) if weight.ndim == 2]
    assert kernels and all(np.abs(before[i] - after[i]).max() < 1e-6 for i in kernels)


GOES_ON = {  # what there was -> (what it is asked for, the model that comes of it)
    "masked": ((), "SkeletonMAE"),
    "frames": (("objective=contrastive", "scope=encoder"), "ContrastiveModel"),
    "views": (VIEWS, "ContrastiveModel"),
    "classes": (VIEWS, "ContrastiveModel"),
    "mirrored": (VIEWS, "ContrastiveModel"),
}


@pytest.mark.parametrize("kind", GOES_ON)
def test_a_pre_training_goes_on_from_any_model_of_ours(kind, starts, data, tmp_path):
    overrides, made = GOES_ON[kind]
    asked = settings("pretrain", *overrides, "epochs=1", "learning_rate=1e-9")
    metrics = pretrain(data[0], "xsub_val", tmp_path / "run", asked, pretrained=starts[kind], verbose=False)
    assert metrics["pretrained"] == str(starts[kind])
    one, other = (
        find_part(load_model(path), STRLBackbone | SkeletonEncoder) for path in (starts[kind], tmp_path / "run")
    )
    assert type(one) is type(other) and type(load_model(tmp_path / "run")).__name__ == made
    moved = [np.abs(a - b).max() for a, b in zip(one.get_weights(), other.get_weights(), strict=True) if a.ndim == 2]
    assert moved and max(moved) < 1e-6  # kernels; statistics are of the clips that were seen last
    assert (tmp_path / "run" / "pretrain_ids.txt").exists()
    seen = (tmp_path / "run" / "train_ids.txt").read_text().split()
    assert seen == [data[0].ids[index] for index in data[0].select("xsub_val")]


def test_what_was_seen_two_trainings_ago_is_told(starts, data, tmp_path):
    asked = settings("pretrain", *VIEWS, "epochs=1")
    pretrain(data[0], "xsub_val", tmp_path / "own", asked, pretrained=starts["views"], verbose=False)
    train(data[0], tmp_path / "fine", "epochs=1", pretrained=tmp_path / "own")
    told = (tmp_path / "fine" / "pretrain_ids.txt").read_text().split()
    both = [data[0].ids[index] for split in ("xsub_train", "xsub_val") for index in data[0].select(split)]
    assert sorted(told) == sorted(both)


def test_a_pre_training_that_cannot_go_on_is_told(starts, data, tiny_stores, tmp_path):
    with pytest.raises(
        DataError, match="an encoder alone, or --set objective=contrastive .*scope=backbone .*, found STRLBackbone"
    ):
        pretrain(data[0], "xsub_train", tmp_path / "a", settings("pretrain"), pretrained=starts["views"])
    with pytest.raises(DataError, match="2d.h5: layout: expected ntu25 in 3D, as .*views takes, found coco17 in 2D"):
        pretrain(tiny_stores["2d"], "train", tmp_path / "b", settings("pretrain", *VIEWS), pretrained=starts["views"])
    with pytest.raises(SettingsError, match="units: expected 8 as the pre-trained .*views has, found 16"):
        asked = settings("pretrain", *VIEWS, "units=16")
        pretrain(data[0], "xsub_train", tmp_path / "c", asked, pretrained=starts["views"])
    with pytest.raises(ValueError, match="backbone: expected one person, found 2"):
        asked = settings("pretrain", "objective=complete", "camera=3d")
        pretrain(data[0], "xsub_train", tmp_path / "e", asked, pretrained=starts["views"])
    asked = settings("pretrain", *VIEWS, "epochs=1")
    pretrain(data[0], "xsub_train", tmp_path / "d", asked, pretrained=starts["views"], verbose=False)
    (tmp_path / "d" / "metrics.json").unlink()  # as one that was stopped
    with pytest.raises(DataError, match="--pretrained: the one that the run began with, found another"):
        pretrain(data[0], "xsub_train", tmp_path / "d", asked, pretrained=starts["mirrored"], resume=True)


def test_the_published_weights_go_on_with_any_skeleton(data, tmp_path):
    """Kinect's joints, mapped by names; the fine-tuning after it takes the same map."""
    asked = resolve_settings(
        "pretrain", usual="contrastive", overrides=("epochs=1", "batch_size=8", "learning_rate=1e-9")
    )
    pretrain(data[0], "xsub_train", tmp_path / "own", asked, pretrained="coco17-motion-3d", verbose=False)
    backbone = load_model(tmp_path / "own").backbone
    wanted = STRLBackbone.from_preset("coco17-motion-3d", data=data[0])
    assert backbone.preprocessor.maps_joints and backbone.preprocessor.layout.name == "ntu25"
    for one, other in zip(backbone.trainable_weights, wanted.trainable_weights, strict=True):
        np.testing.assert_allclose(one.numpy() if hasattr(one, "numpy") else one, other, atol=1e-6)
    start = starting_point(data[0], resolve_settings("finetune"), tmp_path / "own")
    assert start.part.preprocessor.maps_joints


def test_nobody_is_dropped_after_a_training_of_single_people(data, tmp_path):
    """What was learned from one person each goes on with both; alone a person is recognised as before."""
    asked = settings("pretrain", "objective=complete", "camera=3d", *BACKBONE, "epochs=1")
    pretrain(data[0], "xsub_train", tmp_path / "one", asked, verbose=False)
    one = load_model(tmp_path / "one").backbone
    assert one.preprocessor.num_people == 1
    start = starting_point(data[0], settings("finetune"), tmp_path / "one")
    assert start.part.preprocessor.num_people == start.settings.data.num_people == 2
    alone = np.random.default_rng(0).normal(size=(3, 1, 8, 25, 3)).astype("float32")
    both = np.concatenate([alone, np.zeros_like(alone)], axis=1)
    wanted, found = one(alone)["features"], start.part(both)["features"]
    np.testing.assert_allclose(np.asarray(found)[:, 0], np.asarray(wanted)[:, 0], atol=1e-4)
    again = starting_point(data[0], settings("finetune", "num_people=1"), tmp_path / "one")
    assert again.part.preprocessor.num_people == 1
    one.trainable = False  # a file that is kept so is still a start for all of the network
    one.save_to_preset(tmp_path / "frozen")
    for options, wanted in (((), start), (("num_people=1",), again)):
        part = starting_point(data[0], settings("finetune", *options), tmp_path / "frozen").part
        assert len(part.trainable_weights) == len(wanted.part.trainable_weights) > 0
    run_protocol(
        "knn", data[0], "xsub_train", "xsub_val", tmp_path / "knn", settings("finetune"), pretrained=tmp_path / "one"
    )
    own = settings("pretrain", *VIEWS, "share_people=false", "num_people=1", "epochs=1")
    pretrain(data[0], "xsub_train", tmp_path / "own", own, verbose=False)
    with pytest.raises(DataError, match="s.h5: people: expected 1, as .*own has .*--set num_people=1 .*, found 2"):
        starting_point(data[0], settings("finetune"), tmp_path / "own")


def test_the_preset_is_that_of_the_network(starts, data, tmp_path):
    asked = resolve_settings("finetune", "paper")
    assert starting_point(data[0], asked, starts["views"]).settings.model.preset == "small"
    with pytest.raises(SettingsError, match="preset: expected 'small' as the pre-trained .*views has, found 'strong'"):
        starting_point(data[0], resolve_settings("finetune", overrides=("preset=strong",)), starts["views"])


def test_what_completes_is_checked_before_keras(starts, data, tiny_stores, tmp_path):
    found = ("objective=complete", "camera=2d")
    for start, overrides, message in (
        (
            "coco17-motion-3d",
            found,
            "s.h5: camera: expected '3d' for x, y, z, as coco17-motion-3d takes .*, found '2d'",
        ),
        ("coco17-motion", found, "s.h5: layout: expected the joints of coco17, as coco17-motion has, .*found ntu25"),
        (starts["views"], ("objective=complete", "camera=3d"), None),
    ):
        asked = settings("pretrain", *overrides)
        if message is None:
            check_training("pretrain", data[0], ("xsub_train",), asked, start)
            continue
        with pytest.raises(DataError, match=message):
            check_training("pretrain", data[0], ("xsub_train",), asked, Path(start))
    (tmp_path / "ids.txt").write_text(f"{data[0].ids[0]}\n")
    alone, asked = f"ids={tmp_path / 'ids.txt'}", settings("pretrain", *VIEWS)
    with pytest.raises(DataError, match="expected two sequences or more, which are told apart; .*masked .*, found 1"):
        check_training("pretrain", data[0], (alone,), asked)
    with pytest.raises(DataError, match="expected two sequences or more"):
        pretrain(data[0], alone, tmp_path / "run", asked)
    assert not (tmp_path / "run").exists()


def test_the_pretrained_architecture_counts_and_is_written(starts, data, tmp_path):
    """What was not asked for by name is as the pre-trained model has it, in the model and in the written settings."""
    asked = resolve_settings("finetune", overrides=("epochs=1", "batch_size=8", "mirror=off"))
    for kind in ("masked", "frames", "views"):
        start = starting_point(data[0], asked, starts[kind])
        assert (start.settings.model.units, start.settings.model.encoder_layers) == (8, 1)
        assert start.part.units == 8
    assert start.settings.model.temporal_units == (8, 8) and start.settings.data.num_frames == 8
    finetune(data[0], "xsub_train", "xsub_val", tmp_path, asked, pretrained=starts["views"], verbose=False)
    again = resolve_settings("finetune", config_file=tmp_path / "config.toml")
    assert again.model == start.settings.model
    model = load_classifier(tmp_path)
    assert model.preprocessor.clip_shape == (2, 8, 25, 3) and model.backbone.temporal_units == [8, 8]


def test_the_number_of_frames_and_people_is_free_after_an_encoder(starts, data):
    asked = settings("finetune", "num_frames=12", "num_people=1")
    assert starting_point(data[0], asked, starts["masked"]).part.preprocessor.clip_shape == (1, 12, 25, 3)
    with pytest.raises(SettingsError, match="num_frames: expected 8 as the pre-trained .*views has, found 12"):
        starting_point(data[0], asked, starts["views"])


@pytest.mark.parametrize(
    ("kind", "override", "message"),
    [
        ("masked", "units=16", "units: expected 8 as the pre-trained .*pre has, found 16"),
        ("masked", "joint_positions=false", "joint_positions: expected True as the pre-trained .*pre has, found False"),
        ("masked", "normalize=none", "normalize: expected 'clip' as the pre-trained .*pre has, found 'none'"),
        ("views", "num_layers=2", "num_layers: expected 1 as the pre-trained .*views has, found 2"),
        ("mirrored", "share_people=false", "share_people: expected True as the pre-trained .*has, found False"),
        (
            "classes",
            "temporal_units=[16,8]",
            r"temporal_units: expected \(8, 8\) as the pre-trained .*has, found \(16, 8\)",
        ),
    ],
)
def test_settings_that_contradict_the_pretrained_model_are_refused(kind, override, message, starts, data, tmp_path):
    with pytest.raises(SettingsError, match=f"^{message}$"):
        train(data[0], tmp_path / "run", override, pretrained=starts[kind])
    assert not (tmp_path / "run").exists()


def test_a_start_that_does_not_fit_is_told_in_one_line(starts, tiny_stores, tmp_path):
    for kind in ("masked", "views"):
        with pytest.raises(DataError, match="2d.h5: layout: expected ntu25 in 3D, as .* takes, found coco17") as e:
            starting_point(tiny_stores["2d"], settings("finetune"), starts[kind])
        assert "\n" not in str(e.value) and str(starts[kind]) in str(e.value)
    with pytest.raises(ValueError, match="ensemble: expected a model of its own features, found 2 members"):
        starting_point(tiny_stores["3d"], settings("finetune"), starts["several"])
    with pytest.raises(
        DataError, match="nothing.keras: model.keras: expected a run folder or a .keras file, found nothing"
    ):
        starting_point(tiny_stores["3d"], settings("finetune"), tmp_path / "nothing.keras")


def test_a_training_is_validated_ten_times_at_most_unless_the_best_is_looked_for():
    assert validated_epochs(7, "last") == [1, 2, 3, 4, 5, 6, 7]
    assert validated_epochs(60, "last") == [6, 12, 18, 24, 30, 36, 42, 48, 54, 60]
    assert validated_epochs(30, "best") == list(range(1, 31))


def test_the_average_that_was_validated_is_what_is_kept(data, tmp_path, monkeypatch):
    seen = []

    class Watched(KeepBest):
        def on_test_end(self, logs=None):
            seen.append((logs["accuracy"], self.model.get_weights()))
            super().on_test_end(logs)

    monkeypatch.setattr(FINETUNE, "KeepBest", Watched)
    monkeypatch.setattr(FINETUNE, "estimate_statistics", lambda *_, **__: None)
    figures = train(data[0], tmp_path / "run", "epochs=3", "ema_momentum=0.9", "learning_rate=0.01", select="best")
    wanted = max(seen, key=lambda found: found[0])[1]
    saved = load_model(tmp_path / "run")
    for one, other in zip(saved.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert figures["val_accuracy"] == pytest.approx(max(accuracy for accuracy, _ in seen))
    rows = [float(row["val_accuracy"]) for row in history(tmp_path / "run")]
    assert rows == pytest.approx([accuracy for accuracy, _ in seen])


@pytest.mark.parametrize(
    ("options", "select"),
    [
        (("epochs=3",), "last"),
        (("epochs=2", "ema_momentum=0.5"), "last"),
        (("epochs=2", "ema_momentum=0.5"), "best"),
        (("epochs=1", "mirror=auto"), "last"),
        (("epochs=2", "num_people=2", "learning_rate=0.01"), "best"),
    ],
)
def test_what_is_reported_is_what_was_saved(options, select, data, tmp_path, monkeypatch):
    monkeypatch.setattr(FINETUNE, "judge_mirror", lambda *_: {"mirror": True, "one_sided": []})
    figures = train(data[0], tmp_path / "run", *options, select=select)
    for key, split in (("accuracy", "xsub_train"), ("val_accuracy", "xsub_val")):
        found = evaluate_model(tmp_path / "run", data[0], split, allow_overlap=True)
        assert found.result["top1"] == figures[key]


def test_statistics_of_a_short_training_are_those_of_its_clips(data, tmp_path):
    store = data[0]
    for augment in (("crop_min=1.0", "rotate=0", "scale=0", "joint_noise=0"), ("rotate=0.3",)):
        folder = tmp_path / str(len(augment))
        train(store, folder, "epochs=2", "learning_rate=0.02", *augment)
        model = load_model(folder)
        batches = LabelledBatches(store, store.select("xsub_train"), model, batch_size=64, training=False)
        x, saved = batches[0][0], np.asarray(model.predict_on_batch(batches[0][0]))
        with estimating(batch_normalizations(model)):  # normalised over the batch, nothing drops out
            by_batch = keras.ops.convert_to_numpy(model(x))
        np.testing.assert_allclose(saved, by_batch, atol=0.1 if len(augment) == 4 else 0.25)


def test_what_was_seen_while_pre_training_is_told(run, data):
    found = evaluate_model(run[0] / "fine", data[0], "xsub_train", allow_overlap=True).result
    assert found["seen_in_pretraining"] == found["num_samples"] > 0
    assert evaluate_model(run[0] / "fine", data[0], "xsub_val").result["seen_in_pretraining"] == 0


def test_symmetric_classes_are_recognised_in_the_mirror_too(data, tmp_path, monkeypatch):
    monkeypatch.setattr(FINETUNE, "judge_mirror", lambda *_: {"mirror": True, "one_sided": []})
    figures = train(data[0], tmp_path / "run", "epochs=1", "mirror=auto")
    model = load_classifier(tmp_path / "run")
    assert isinstance(model, Ensemble) and model.mirror and model.num_members == 1
    assert figures["mirror"] and figures["parameters"] == model.count_params()
    assert model.names == data[0].classes
    alone, store = model.members[0], data[0]
    x = np.stack([model.preprocessor(store.read(index)) for index in store.select("xsub_val")])
    turned = x[:, :, :, list(store.layout.mirror)] * np.array([-1, 1, 1], "float32")
    wanted = (alone.predict_on_batch(x) + alone.predict_on_batch(turned)) / 2
    found = evaluate_model(tmp_path / "run", store, "xsub_val")
    np.testing.assert_allclose(found.probabilities, wanted, atol=1e-5)


def test_a_label_on_every_sequence_is_expected(tmp_path):
    with StoreWriter(tmp_path / "u.h5", layout="ntu25", classes=["a", "b"], channels=("x", "y", "z")) as writer:
        for i, label in enumerate((1, 0, -1, 1)):
            writer.append(Sample(f"s{i}", np.ones((1, 9, 25, 3), "float32"), label=label))
        writer.set_splits({"xsub_train": ["s0", "s1", "s2"], "xsub_val": ["s3"]})
    with (
        SkeletonStore(tmp_path / "u.h5") as store,
        pytest.raises(DataError, match="u.h5: split xsub_train: expected a label on every sequence, found 1 without"),
    ):
        train(store, tmp_path / "run")


def test_evaluation_names_a_store_of_another_shape(run, tmp_path, data):
    convert_ntu(data[1][0].parent, tmp_path / "c.h5", joints="coco17")
    message = "c.h5: layout: expected ntu25 in 3D, as .*fine takes, found coco17 in 2D"
    with SkeletonStore(tmp_path / "c.h5") as other, pytest.raises(DataError, match=message):
        evaluate_model(run[0] / "fine", other, "xsub_val")


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="runs where TensorFlow trained the model")
def test_saved_model_serves_raw_coordinates_without_keras(run, data, tmp_path):
    import tensorflow as tf

    from keras_skelmae.export import export_model

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


def rewritten(store, path, classes=None, keypoints=lambda x: x, splits=None, drop=()):
    """A store like another one, its classes in another order, its sequences changed."""
    classes = list(store.classes if classes is None else classes)
    header = {"layout": store.layout, "classes": classes, "channels": store.channels, "units": store.units}
    with StoreWriter(path, **header) as writer:
        for index in range(len(store)):
            sample = store.sample(index)
            if sample.id in drop:
                continue
            label = classes.index(store.classes[sample.label]) if store.classes[sample.label] in classes else 0
            writer.append(dataclasses.replace(sample, label=label, keypoints=keypoints(sample.keypoints)))
        writer.set_splits(splits or {name: [store.ids[i] for i in rows] for name, rows in store.splits.items()})
    return SkeletonStore(path)


def test_classes_are_matched_by_name(run, data, tmp_path):
    wanted = evaluate_model(run[0] / "fine", data[0], "xsub_val").result
    turned = [name.upper() for name in data[0].classes[::-1]]
    with rewritten(data[0], tmp_path / "other.h5", data[0].classes[::-1]) as other:
        other.classes = turned
        found = evaluate_model(run[0] / "fine", other, "xsub_val").result
    assert found["top1"] == wanted["top1"] and found["confusion"] == wanted["confusion"]
    assert list(found["per_class"]) == list(wanted["per_class"])


def test_classes_called_by_numbers_are_matched_by_name(run, data, tmp_path):
    model, numbers = load_classifier(run[0] / "fine"), ["0", "1", "2"]
    members = model.members if isinstance(model, Ensemble) else [model]
    for member in members:
        member.class_names = None
    wanted = measure(model, data[0], np.arange(len(data[0])), "all").result  # words, as they come
    for member in members:
        member.class_names = numbers
    with pytest.raises(DataError, match="classes: expected those of the model: 0, 1, 2, found 'wave'"):
        measure(model, data[0], np.arange(len(data[0])), "all")
    with rewritten(data[0], tmp_path / "other.h5", data[0].classes[::-1]) as other:
        other.classes = numbers[::-1]
        found = measure(model, other, np.arange(len(other)), "all").result
        assert found["confusion"] == wanted["confusion"] and found["top1"] == wanted["top1"]
        other.classes = ["3", "4", "5"]
        with pytest.raises(DataError, match="other.h5: classes: expected those of the model: 0, 1, 2, found '"):
            measure(model, other, np.arange(len(other)), "all")


def test_classes_that_differ_in_capitals_are_not_merged(data, tmp_path):
    """Figures are of as many classes as the store has, and a store that has one of them alone is in doubt."""
    with rewritten(data[0], tmp_path / "other.h5") as other:
        other.classes = ["wave", "Wave", "kick"]
        model = starting_point(other, settings("finetune")).part
        model = STRLClassifier(model, 3, class_names=other.classes)
        found = measure(model, other, np.arange(len(other)), "all").result
        assert list(found["per_class"]) == other.classes and np.sum(found["confusion"], axis=1).tolist() == [4, 4, 4]
        other.classes = ["WAVE", "x", "kick"]
        with pytest.raises(DataError, match="found 'WAVE', told from 'wave' by capitals or spaces alone"):
            measure(model, other, np.arange(len(other)), "all")


def test_another_class_is_refused_by_name(run, data, tmp_path):
    with rewritten(data[0], tmp_path / "other.h5") as other:
        other.classes = ["wave", "squat", "clap"][: len(other.classes)]
        with pytest.raises(DataError, match="other.h5: classes: expected those of the model: .*, found '"):
            evaluate_model(run[0] / "fine", other, "all", allow_overlap=True)


def test_a_sequence_without_anybody_gets_no_label(run, data, tmp_path):
    empty = data[0].ids[int(data[0].select("xsub_val")[0])]
    with rewritten(data[0], tmp_path / "empty.h5") as store:
        index = store.ids.index(empty)
        store.read = lambda number, read=store.read: read(number) * (number != index)
        found = evaluate_model(run[0] / "fine", store, "xsub_val")
    assert found.result["nobody_seen"] == 1 and np.isnan(found.probabilities).any(axis=1).sum() == 1
    right = found.probabilities[1:].argmax(axis=1) == store.labels[found.indices[1:]]
    assert found.result["top1"] == pytest.approx(right.sum() / len(found.indices))


def test_weights_that_are_no_numbers_are_said_to_be_damaged(run, data):
    model = load_model(run[0] / "fine")
    model.get_layer("classifier").bias.assign([np.nan] * 3)
    with pytest.raises(DataError, match="probabilities: expected finite numbers, found others"):
        predict_store(model, data[0], [0, 1])


def test_splits_that_share_sequences_are_refused_unless_told(data, tmp_path):
    store, ids = data[0], data[0].ids
    splits = {"train": ids[:8], "val": ids[7:]}
    with rewritten(store, tmp_path / "s.h5", splits=splits) as shared:
        with pytest.raises(
            DataError, match=f"split val: expected .* not in the training split train, found 1 of .*{ids[7]}"
        ):
            finetune(shared, "train", "val", tmp_path / "run", settings("finetune", "epochs=1"), verbose=False)
        assert not (tmp_path / "run").exists()
        options = {"verbose": False, "allow_overlap": True}
        found = finetune(shared, "train", "val", tmp_path / "run", settings("finetune", "epochs=1"), **options)
        assert found["overlap"] == 1 and "--allow-overlap" in repeat_command(read_run(tmp_path / "run"))


def test_a_single_class_is_refused(data, tmp_path):
    store = data[0]
    one = [store.ids[index] for index in np.flatnonzero(store.labels == 0)]
    with (
        rewritten(store, tmp_path / "s.h5", splits={"train": one[:3], "val": one[3:]}) as single,
        pytest.raises(DataError, match="split train: expected sequences of two classes or more, found 'wave' alone"),
    ):
        finetune(single, "train", "val", tmp_path / "run", settings("finetune"), verbose=False)


@pytest.fixture(scope="module")
def more_data(tmp_path_factory):
    """A store of 64 sequences of four actions, 40 of them to train on."""
    folder = tmp_path_factory.mktemp("more")
    write_dataset(folder / "raw", subjects=8, repetitions=2, actions=["wave", "squat", "handshake", "jump"])
    convert_ntu(folder / "raw", folder / "s.h5")
    with SkeletonStore(folder / "s.h5") as store:
        yield store


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
def test_short_trainings_save_what_they_report(number, more_data, tmp_path):
    """Of 2 to 30 steps, one or two people, both recipes."""
    rng, store = np.random.default_rng(number), more_data
    recipe, people = ("small", "paper")[number % 2], 1 + number // 2 % 2
    asked = [f"num_people={people}", "num_frames=16", "batch_size=16", "warmup_epochs=0", f"seed={number}"]
    asked += [f"epochs={rng.integers(1, 11)}", f"learning_rate={10 ** rng.uniform(-3, -1.5):.4f}", "optimizer=adam"]
    asked += ["units=8", "schedule=constant"] if recipe == "paper" else ["temporal_units=[16,16,16]"]
    asked += ["temporal_strides=[1,2]"] if recipe == "small" else []
    given = resolve_settings("finetune", recipe, overrides=tuple(asked))
    figures = finetune(store, "xsub_train", "xsub_val", tmp_path / "run", given, verbose=False)
    for key, split in (("accuracy", "xsub_train"), ("val_accuracy", "xsub_val")):
        assert evaluate_model(tmp_path / "run", store, split, allow_overlap=True).result["top1"] == figures[key]
    model = load_model(tmp_path / "run")
    batches = LabelledBatches(store, store.select("xsub_train"), model, batch_size=64, training=False)
    with estimating(batch_normalizations(model)):
        found = keras.ops.convert_to_numpy(model(batches[0][0])).argmax(axis=1)
    assert (found == batches.labels).mean() - figures["accuracy"] <= 0.15, "six of forty clips, as those drawn differ"
