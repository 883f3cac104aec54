"""Every precision: nothing turns into not-a-number, coordinates keep theirs, what is saved is float32."""

import csv

import keras
import numpy as np
import pytest

from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE
from keras_skelmae.layers import JointPresence, SkeletonNormalization
from keras_skelmae.models import ContrastiveModel, load_model
from keras_skelmae.training import finetune, pretrain
from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.synthetic import write_dataset

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SMALL = {"encoder_layers": 1, "streams": ("joint", "motion", "bone", "distance")}
BODY = {**SMALL, "num_layers": 1, "temporal": "body", "temporal_units": (8, 8)}


def hard_clips():
    """Nobody; one joint in one frame; one joint in every frame; a person and nobody; far away from the origin."""
    x = np.zeros((5, 2, 8, 17, 2), "float32")
    x[1, 0, 3, 5] = (900.0, 500.0)
    x[2, 0, :, 5] = (900.0, 500.0)
    x[3, 0] = np.random.default_rng(0).normal(900, 100, (8, 17, 2))
    x[4] = np.random.default_rng(1).normal(80000, 300, (2, 8, 17, 2))  # beyond float16
    return x


@pytest.fixture(params=POLICIES)
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


MAKERS = {
    "ContrastiveModel on a backbone": lambda tiny: tiny.contrastive(**BODY),
    "ContrastiveModel on an encoder": lambda tiny: ContrastiveModel(tiny.encoder(graph_conv="gat", **SMALL)),
    "STRLClassifier": lambda tiny: tiny.classifier(num_classes=5, time_pooling="mean+max", **BODY),
    "SkeletonMAE": lambda tiny: tiny.mae(num_people=2, **SMALL),
    "TrimmedMAE": lambda tiny: TrimmedMAE(tiny.mae(num_people=2, normalization="layer", **SMALL)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_becomes_nan(name, policy, tiny):
    keras.utils.set_random_seed(0)
    x, y = hard_clips(), None
    model = MAKERS[name](tiny)
    if name == "STRLClassifier":
        inputs, y = x, np.eye(5, dtype="float32")
    elif "Contrastive" in name:
        inputs = {"keypoints": x, "other": x[::-1].copy()}
    else:
        inputs = tiny.masked(x)
        if name == "TrimmedMAE":
            inputs["trim"] = model.trim(inputs["mask"][0, 0, 0])
    model.compile(keras.optimizers.Adam(1e-3), None if y is None else "categorical_crossentropy", run_eagerly=True)
    for _ in range(2):
        assert np.isfinite(model.train_on_batch(inputs, y)).all()
    for weight in model.get_weights():
        assert np.isfinite(weight).all() and weight.dtype == np.float32
    outputs = keras.tree.flatten(model(inputs, training=False))
    assert all(np.isfinite(tiny.array(keras.ops.cast(output, "float32"))).all() for output in outputs)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_coordinates_are_normalised_in_float32(dtype):
    x = hard_clips()[3:]
    x[1, 0, 0, 0] = 1e-6  # seen, and nothing in float16 if it were squared
    exact = keras.ops.convert_to_numpy(SkeletonNormalization(2)(x))
    found = keras.ops.convert_to_numpy(keras.ops.cast(SkeletonNormalization(2, dtype=dtype)(x), "float32"))
    np.testing.assert_allclose(found, exact, rtol=1e-2, atol=1e-3)
    seen = keras.ops.convert_to_numpy(JointPresence(2, dtype=dtype)(x * np.float32(1e-6)))
    np.testing.assert_array_equal(seen, (x != 0).any(axis=-1))


@pytest.mark.parametrize("name", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_training_in_it_ends_near_float32_and_saves_float32(name, tmp_path):
    write_dataset(tmp_path / "raw", subjects=4, repetitions=1, actions=["wave", "squat"], frames=(12, 16))
    convert_ntu(tmp_path / "raw", tmp_path / "s.h5")
    common = ("epochs=3", "units=8", "encoder_layers=1", "num_frames=8", "batch_size=4", "warmup_epochs=0")
    common = (*common, "jit_compile=off", "joint_noise=0")
    body = ("temporal_units=[8,8]", "body_streams=features,motion2", "temporal_strides=[]", "temporal_dropout=0")
    more = {"pretrain": (), "finetune": (*body, "dropout_rate=0", "mirror=off")}
    losses = {}
    with SkeletonStore(tmp_path / "s.h5") as store:
        for policy in ("float32", f"mixed_{name}"):
            for stage, run in (("pretrain", pretrain), ("finetune", finetune)):
                settings = resolve_settings(stage, overrides=(*common, *more[stage]), dtype_policy=policy)
                splits = ("xsub_train",) if stage == "pretrain" else ("xsub_train", "xsub_val")
                run(store, *splits, tmp_path / policy / stage, settings, verbose=False)
                with open(tmp_path / policy / stage / "history.csv", newline="", encoding="utf-8") as file:
                    losses[policy, stage] = [float(row["loss"]) for row in csv.DictReader(file)]
    assert keras.config.dtype_policy().name == "float32", "the policy before comes back"
    for stage in ("pretrain", "finetune"):
        np.testing.assert_allclose(losses[f"mixed_{name}", stage], losses["float32", stage], rtol=0.1)
        assert losses[f"mixed_{name}", stage] != losses["float32", stage]
    model = load_model(tmp_path / f"mixed_{name}" / "finetune")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
