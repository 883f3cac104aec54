"""The contrastive baseline: SkeletonMAE's own encoder, two views drawn together, absent joints left out."""

import keras
import numpy as np
import pytest

from keras_skelmae.losses import nt_xent
from keras_skelmae.models import ContrastiveEncoder, SkeletonEncoder, STRLClassifier
from keras_skelmae.training import ConfigError, pretrain, resolve_config
from keras_skelmae.training.runs import load_model
from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset

SMALL = {"num_frames": 4, "units": 8, "encoder_layers": 2, "num_people": 1}
TINY = ("epochs=1", "units=8", "encoder_layers=1", "num_layers=1", "temporal=last", "temporal_strides=[]",
        "body_units=[]", "num_frames=8", "batch_size=8", "warmup_epochs=0", "jit=off")


def clips(count=3, seed=0):
    return np.random.default_rng(seed).normal(300, 50, (count, 1, 4, 17, 2)).astype("float32")


def views(count=3):
    return {"keypoints": clips(count), "other": clips(count, seed=1)}


def test_each_view_is_projected_by_itself():
    model = ContrastiveEncoder("coco17", **SMALL)
    x = views()
    both = model.predict(x, verbose=0)
    assert both.shape == (3, 2, 8)
    swapped = model.predict({"keypoints": x["other"], "other": x["keypoints"]}, verbose=0)
    np.testing.assert_allclose(swapped, both[:, ::-1], atol=1e-5)
    alone = model.predict({key: value[1:2] for key, value in x.items()}, verbose=0)
    np.testing.assert_allclose(alone, both[1:2], atol=1e-5)


def test_pooling_is_the_mean_of_the_encoders_observed_joints():
    model = ContrastiveEncoder("coco17", **SMALL)
    x = clips()
    x[:, :, 1] = 0  # a frame without anybody
    x[:, :, :, 3] = 0  # a joint nobody saw
    features = model.encoder.predict(x, verbose=0)
    seen = x.any(axis=-1)
    pooled = np.stack([f[s].mean(axis=0) for f, s in zip(features, seen, strict=True)])
    hidden = keras.ops.relu(model.get_layer("projection_hidden")(pooled))
    expected = keras.ops.convert_to_numpy(model.get_layer("projection")(hidden))
    np.testing.assert_allclose(model.predict({"keypoints": x, "other": x}, verbose=0)[:, 0], expected, atol=1e-4)


def test_training_draws_the_views_together():
    keras.utils.set_random_seed(0)
    model = ContrastiveEncoder("coco17", temperature=0.5, **SMALL)
    x = clips(16)
    x = {"keypoints": x, "other": x + np.random.default_rng(2).normal(0, 10, x.shape).astype("float32")}
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    before = float(nt_xent(model(x, training=True), 0.5))
    history = model.fit(x, batch_size=16, epochs=20, verbose=0).history
    assert history["loss"][0] == pytest.approx(before, rel=1e-3)
    assert history["loss"][-1] < before - 0.1
    assert history["target_spread"][-1] > 0.1  # not collapsed


def test_a_saved_model_is_the_same(tmp_path):
    model = ContrastiveEncoder("coco17", streams=("joint", "motion"), joint_positions=True, temperature=0.3, **SMALL)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again) is ContrastiveEncoder and again.get_config() == model.get_config()
    np.testing.assert_allclose(again.predict(views(), verbose=0), model.predict(views(), verbose=0), atol=1e-6)


@pytest.mark.parametrize("backbone", ["gin", "gcn"])
def test_its_encoder_goes_into_a_classifier(backbone):
    options = {**SMALL, "backbone": backbone, "streams": ("joint", "motion"), "joint_positions": True}
    model = ContrastiveEncoder("coco17", **options)
    assert isinstance(model.encoder, SkeletonEncoder)
    net = STRLClassifier("coco17", 4, num_layers=2, encoder=model, **options)
    other = STRLClassifier("coco17", 4, num_layers=2, encoder=model.encoder, **options)
    for layer in ("spatial_0", "spatial_1"):
        for copy in (*net.get_layer(layer).encoders, *other.get_layer(layer).encoders):
            for one, wanted in zip(copy.get_weights(), model.get_layer("encoder").get_weights(), strict=True):
                np.testing.assert_array_equal(one, wanted)
    for name in ("joint_embedding", "stream_normalization", "joint_positions"):
        for one, wanted in zip(net.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, wanted)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="temperature: expected above 0, found 0"):
        ContrastiveEncoder("coco17", temperature=0, **SMALL)
    with pytest.raises(ValueError, match="loss: expected one of .*nt_xent.*vicreg.*, found 'mse'"):
        ContrastiveEncoder("coco17", loss="mse", **SMALL)
    with pytest.raises(ConfigError, match="objective: expected one of masked, contrastive, vicreg"):
        resolve_config("pretrain", overrides=("objective=graphcl",))


def test_pretraining_by_a_setting(tmp_path):
    write_dataset(tmp_path / "raw", subjects=2, repetitions=1, actions=["wave", "squat"])
    convert_ntu(tmp_path / "raw", tmp_path / "s.h5")
    config = resolve_config("pretrain", overrides=(*TINY, "objective=contrastive", "temperature=0.4"))
    with SkeletonStore(tmp_path / "s.h5") as store:
        figures = pretrain(store, "all", tmp_path / "pre", config, verbose=False)
    assert np.isfinite(figures["loss"]) and 0 <= figures["target_spread"] <= 1
    model = load_model(tmp_path / "pre")
    assert type(model) is ContrastiveEncoder and model.temperature == 0.4
    assert isinstance(load_model(tmp_path / "pre", "encoder.keras"), SkeletonEncoder)
