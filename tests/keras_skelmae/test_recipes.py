"""Every recipe builds and trains a step of every stage on every kind of store; run with every backend."""

import itertools

import keras
import numpy as np
import pytest

from keras_skelmae.data import LabelledBatches
from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE, can_trim
from keras_skelmae.models import ContrastiveModel, SkeletonEncoder, SkeletonMAE, STRLBackbone, STRLClassifier
from keras_skelmae.training.optimization import compile_options
from keras_skelmae.training.pretrain import pretraining_batches, pretraining_model
from keras_skelmae.training.starting_point import starting_point
from skelmae_datasets.runs.settings import RECIPES, resolve_settings

# The recipe's structure in small: as many layers, streams and convolutions, each of few channels
SMALLER = {
    "small": {"temporal_units": (8, 4, 4, 8, 4, 4, 8), "num_frames": 16},
    "paper": {"num_frames": 6},
    "strong": {"temporal_units": (8, 8, 12), "temporal_strides": (1, 2, 1), "num_layers": 3, "num_frames": 6},
}
STORES = ("2d", "3d", "score", "small_images")
STAGES = ("masked", "encoder", "backbone", "classifier")  # two of them contrastive, by their scope
TENSORFLOW, JIT = (keras.config.backend() == name for name in ("tensorflow", "jax"))


def cases(*stages):
    """Marks a test with (recipe, stage, kind of store): with TensorFlow all of them, else each recipe and stage once.

    JAX, which compiles every step, trains a backbone in the classifier alone.
    """
    found = []
    for place, (recipe, stage) in enumerate(itertools.product(RECIPES, STAGES)):
        kinds = STORES if TENSORFLOW else [STORES[(place + place // len(STAGES)) % len(STORES)]]
        found += [(recipe, stage, kind) for kind in kinds if stage in stages and not (JIT and stage == "backbone")]
    return pytest.mark.parametrize(("recipe", "stage", "kind"), found)


def settings_of(stage, recipe, store, **changes):
    """The recipe's Settings for a kind of store, all sizes small."""
    overrides = ("use_score=true",) if store == "score" else ()
    if "scope" in changes:
        overrides += ("objective=contrastive", f"scope={changes.pop('scope')}")
    settings = resolve_settings(stage, recipe, overrides=overrides)
    return settings.replace(units=4, batch_size=4, warmup_epochs=0, **SMALLER[recipe], **changes)


def one_step(model, batch, settings, **options):
    """Compile as a training does, but for what compiling would take; the loss, and whether most weights moved."""
    options = {**compile_options(settings, 1), **options, "jit_compile": JIT, "run_eagerly": not JIT}
    before = model.get_weights()
    model.compile(**options)
    loss = model.train_on_batch(*batch, return_dict=True)["loss"]
    pairs = list(zip(before, model.get_weights(), strict=True))
    assert all(np.isfinite(after).all() for _, after in pairs)
    return float(loss), sum(bool((one != other).any()) for one, other in pairs) > len(pairs) / 2


def check_data(preprocessor, store, kind):
    """What the data decide, on the way from the store to the model."""
    assert preprocessor.layout == store.layout and preprocessor.units == store.units
    assert preprocessor.channels == {"3d": ["x", "y", "z"], "score": ["x", "y", "score"]}.get(kind, ["x", "y"])
    assert preprocessor.normalize == "clip"
    if kind != "3d":
        assert preprocessor.image_size == ([240, 320] if kind == "small_images" else [1080, 1920])


@cases("masked")
def test_masked_pretraining(recipe, stage, kind, tiny_stores):
    store, settings = tiny_stores[kind], settings_of("pretrain", recipe, kind)
    model = pretraining_model(store, settings)
    assert type(model) is SkeletonMAE
    check_data(model.preprocessor, store, kind)
    data = pretraining_batches(model, store, store.select("train"), settings)
    loss, moved = one_step(model, data[0], settings)
    assert np.isfinite(loss) and moved


@cases("encoder", "backbone")
def test_contrastive_pretraining(recipe, stage, kind, tiny_stores):
    store, settings = tiny_stores[kind], settings_of("pretrain", recipe, kind, scope=stage)
    model = pretraining_model(store, settings)
    assert type(model) is ContrastiveModel
    assert type(model.backbone) is {"encoder": SkeletonEncoder, "backbone": STRLBackbone}[stage]
    check_data(model.preprocessor, store, kind)
    data = pretraining_batches(model, store, store.select("train"), settings)
    loss, moved = one_step(model, data[0], settings)
    assert np.isfinite(loss) and moved


@cases("classifier")
def test_classifier(recipe, stage, kind, tiny_stores):
    store, settings = tiny_stores[kind], settings_of("finetune", recipe, kind)
    start = starting_point(store, settings)
    model = STRLClassifier.from_settings({**start.settings.flat(), "backbone": start.part}, store)
    assert model.names == ["a", "b"] and model.output_shape == (None, 2)
    check_data(model.preprocessor, store, kind)
    data = LabelledBatches(store, store.select("train"), model, batch_size=4)
    loss, moved = one_step(model, data[0], settings, loss="categorical_crossentropy")
    assert np.isfinite(loss) and moved
    x, _ = LabelledBatches(store, store.select("test"), model, batch_size=4, training=False)[0]
    np.testing.assert_allclose(model.predict_on_batch(x).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["2d", "3d"] if TENSORFLOW else ["3d"])
def test_a_shared_mask_is_trained_on_what_it_needs(kind, tiny_stores):
    """The paper's recipe with layer normalisation and one mask a batch, as ``pretrain`` would run it."""
    store = tiny_stores[kind]
    settings = settings_of("pretrain", "paper", kind, normalization="layer", remask="token", mask_sequences=0)
    model = pretraining_model(store, settings)
    data = pretraining_batches(model, store, store.select("train"), settings)
    assert data.shares_mask and can_trim(model)
    trimmed = TrimmedMAE(model)
    data.trim = trimmed.trim
    loss, _ = one_step(trimmed, data[0], settings)
    assert np.isfinite(loss)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_as_deep_as_it_says(recipe, tiny_stores):
    """What makes it small here leaves its structure alone; of ten residual layers, which are alike, three stay."""
    whole, small = (resolve_settings("finetune", recipe), settings_of("finetune", recipe, "2d"))
    same = ["encoder_layers", "temporal", "streams", "body_streams", "graph_conv"]
    if whole.model.temporal != "residual":
        same += ["num_layers", "temporal_strides"]
        assert len(whole.model.temporal_units) == len(small.model.temporal_units)
    for key in same:
        assert whole.flat()[key] == small.flat()[key]
