"""Two views of a clip through the whole trunk, and VICReg."""

import keras
import numpy as np
import pytest

from keras_skelmae.losses import vicreg
from keras_skelmae.models import STRLClassifier, STRLSiamese, transfer_weights
from keras_skelmae.models.strl_autoencoder import TRUNK_KEYS
from keras_skelmae.training import finetune, pretrain, resolve_config
from keras_skelmae.training.features import embed
from keras_skelmae.training.feeding import batches
from keras_skelmae.training.runs import load_model

TRUNK = {"num_frames": 8, "units": 4, "encoder_layers": 1, "num_layers": 1, "num_people": 1, "temporal": "body",
         "body_units": (8, 8), "temporal_strides": (2,), "streams": ("joint", "motion"), "share_people": True}
TINY = ("epochs=1", "units=4", "encoder_layers=1", "num_layers=1", "body_units=[8,8]",
        "body_streams=features,motion2", "temporal_strides=[2]",
        "num_frames=8", "batch_size=8", "warmup_epochs=0", "validation_every=1", "jit=off", "scope=trunk")


def views(count=3):
    rng = np.random.default_rng(0)
    x = rng.normal(300, 50, (count, 1, 8, 17, 2)).astype("float32")
    return {"keypoints": x, "other": x + rng.normal(0, 5, x.shape).astype("float32")}


def test_vicreg_by_numpys_own_covariance():
    z = np.random.default_rng(1).normal(0, 0.7, (6, 2, 5)).astype("float32")
    hinge, beside = [], 0
    for view in (z[:, 0], z[:, 1]):
        matrix = np.cov(view, rowvar=False)
        hinge.append(np.maximum(0, 1 - np.sqrt(np.diag(matrix) + 1e-4)).mean())
        beside += (matrix ** 2)[~np.eye(5, dtype=bool)].sum() / 5
    expected = 3 * ((z[:, 0] - z[:, 1]) ** 2).mean() + 2 * np.mean(hinge) + 0.5 * beside
    assert float(vicreg(z, 3.0, 2.0, 0.5)) == pytest.approx(expected, rel=1e-4)


def test_vicreg_knows_a_collapse_from_agreement():
    same = np.ones((8, 2, 4), "float32")
    assert float(vicreg(same)) == pytest.approx(25 * 0.99, abs=1e-2)  # all clips alike: the whole variance term
    corners = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)], "float32") * 2
    assert float(vicreg(np.stack([corners, corners], axis=1))) == pytest.approx(0, abs=1e-6)


def test_the_views_change_places_and_no_clip_sees_another():
    model = STRLSiamese("coco17", projection_units=6, **TRUNK)
    x = views()
    both = model.predict(x, verbose=0)
    assert both.shape == (3, 2, 6)
    swapped = model.predict({"keypoints": x["other"], "other": x["keypoints"]}, verbose=0)
    np.testing.assert_allclose(swapped, both[:, ::-1], atol=1e-5)
    alone = model.predict({key: value[1:2] for key, value in x.items()}, verbose=0)
    np.testing.assert_allclose(alone, both[1:2], atol=1e-5)


@pytest.mark.parametrize("loss", ["nt_xent", "vicreg"])
def test_training_lowers_the_loss(loss):
    keras.utils.set_random_seed(0)
    model = STRLSiamese("coco17", projection_units=8, loss=loss, **TRUNK)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    values = model.fit(views(16), batch_size=16, epochs=12, verbose=0).history["loss"]
    assert values[-1] < 0.8 * values[0]


def test_decorrelation_adds_to_the_loss_and_lowers_the_correlations():
    """As many steps with and without it: fewer of the channels' squared correlations are left."""
    first, left = {}, {}
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        model = STRLSiamese("coco17", projection_units=8, loss="nt_xent", decorrelation=weight, **TRUNK)
        assert sum(type(layer).__name__ == "Decorrelation" for layer in model.layers) == 2 * bool(weight)
        model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
        x = views(8)
        first[weight] = model.fit(x, batch_size=8, epochs=12, verbose=0, shuffle=False).history["loss"][0]
        features = keras.Model(model.inputs, model.get_layer("pooling").input[0])
        found = keras.ops.convert_to_numpy(features(x, training=True)).reshape(-1, 8)
        left[weight] = (np.corrcoef(found, rowvar=False)[~np.eye(8, dtype=bool)] ** 2).mean()
    assert first[1.0] > first[0.0] + 0.1  # the same views, the same weights
    assert left[1.0] < 0.7 * left[0.0], left


def test_the_whole_trunk_goes_into_a_classifier():
    source = STRLSiamese("coco17", **TRUNK)
    source.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    source.fit(views(8), batch_size=8, epochs=1, verbose=0)
    target = STRLClassifier("coco17", 3, **TRUNK)
    transfer_weights(source, target)
    shared = {layer.name for layer in source.layers} & {layer.name for layer in target.layers if layer.weights}
    assert len(shared) >= 5
    for name in shared:
        for one, other in zip(source.get_layer(name).get_weights(), target.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert {layer.name for layer in target.layers if layer.weights} - shared == {"head", "classifier"}


def test_kernels_alone_go_into_a_classifier():
    source = STRLSiamese("coco17", **TRUNK)
    rng = np.random.default_rng(0)
    source.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in source.get_weights()])
    target = STRLClassifier("coco17", 3, **TRUNK)
    before = {layer.name: layer.get_weights() for layer in target.layers}
    learned = transfer_weights(source, target, "kernels")
    kinds = set()
    for layer in learned:
        for variable, found, began, theirs in zip(layer.weights, layer.get_weights(), before[layer.name],
                                                  source.get_layer(layer.name).get_weights(), strict=True):
            kind = variable.path.rpartition("/")[2]
            kinds.add(kind)
            if kind in ("beta", "gamma", "bias", "alpha", "epsilon", "moving_mean", "moving_variance"):
                np.testing.assert_array_equal(found, began)
            else:
                assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(began), rel=1e-4)
                cosine = (found * theirs).sum() / np.linalg.norm(found) / np.linalg.norm(theirs)
                assert cosine == pytest.approx(1, abs=1e-5)
    assert {"kernel", "beta", "gamma", "bias", "alpha", "moving_mean", "moving_variance"} <= kinds
    with pytest.raises(ValueError, match="weights: expected one of .* found 'some'"):
        transfer_weights(source, target, "some")


def test_frozen_layers_keep_their_normalisation(store, tmp_path):
    config = resolve_config("finetune", overrides=(*TINY, "transfer=kernels", "frozen_epochs=1"))
    with pytest.raises(ValueError, match="frozen_epochs: expected 0 with transfer = 'kernels', found 1"):
        finetune(store, "all", "all", tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_a_saved_model_is_the_same(tmp_path):
    model = STRLSiamese("coco17", loss="nt_xent", temperature=0.3, time_pooling="mean+max", **TRUNK)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again) is STRLSiamese and again.get_config() == model.get_config()
    assert again.view_loss == "nt_xent" and again.temperature == 0.3
    np.testing.assert_allclose(again.predict(views(), verbose=0), model.predict(views(), verbose=0), atol=1e-6)


@pytest.mark.parametrize("objective", ["contrastive", "vicreg"])
def test_pretraining_the_trunk_by_a_setting(store, tmp_path, objective):
    settings = (f"objective={objective}", "part_drop=0.5", "gap=0.3", "frame_drop=0.3", "decorrelation=0.1")
    config = resolve_config("pretrain", overrides=(*TINY, *settings))
    figures = pretrain(store, "all", tmp_path / "pre", config, verbose=False)
    assert np.isfinite(figures["loss"])
    model = load_model(tmp_path / "pre")
    assert type(model) is STRLSiamese
    assert model.view_loss == {"contrastive": "nt_xent", "vicreg": "vicreg"}[objective]
    assert model.decorrelation == 0.1
    assert np.isfinite(embed(model, store, store.select("all"))).all()
    transfer = {"contrastive": "all", "vicreg": "kernels"}[objective]
    config = resolve_config("finetune", overrides=(*TINY, f"transfer={transfer}", "pretrained_rate=1e-9"))
    tuned = finetune(store, "all", "all", tmp_path / "run", config, verbose=False, pretrained=tmp_path / "pre")
    assert np.isfinite(tuned["loss"])
    net = load_model(tmp_path / "run")
    assert all(getattr(net, key) == getattr(model, key) for key in TRUNK_KEYS)
    (kernel, bias, *_), (theirs, other, *_) = (each.get_layer("body_0").get_weights() for each in (net, model))
    cosine = (kernel * theirs).sum() / np.linalg.norm(kernel) / np.linalg.norm(theirs)
    assert cosine == pytest.approx(1, abs=1e-5)  # hardly trained, and so what was handed on
    assert np.abs(other).max() > 1e-5
    np.testing.assert_allclose(bias, other if transfer == "all" else 0, atol=1e-6)


def test_a_view_without_a_body_part_is_without_all_of_it(store):
    options = {"batch_size": 4, "num_frames": 8, "num_people": 1, "training": False}
    whole, = batches(store, "all", contrast={"node_drop": 0.0}, **options)[0]
    lacking, = batches(store, "all", contrast={"node_drop": 0.0, "part_drop": 1.0}, **options)[0]
    parts = {tuple(joints) for joints in store.layout.parts.values()}
    for one, other in zip(whole["other"], lacking["other"], strict=True):
        gone = np.flatnonzero((one.any(axis=(0, 1, 3))) & ~other.any(axis=(0, 1, 3)))
        assert tuple(gone) in {tuple(sorted(part)) for part in parts}
        kept = np.setdiff1d(np.arange(one.shape[2]), gone)
        np.testing.assert_array_equal(one[:, :, kept], other[:, :, kept])


def test_frames_are_missing_from_a_view_as_asked(store):
    options = {"batch_size": 4, "num_frames": 40, "num_people": 1, "training": False}
    whole, = batches(store, "all", contrast={"node_drop": 0.0}, **options)[0]

    def missing(**setting):  # (B, T) of both views
        views, = batches(store, "all", contrast={"node_drop": 0.0, **setting}, **options)[0]
        found = []
        for name in ("keypoints", "other"):
            gone = ~views[name].any(axis=(1, 3, 4))
            np.testing.assert_array_equal(views[name].swapaxes(1, 2)[~gone], whole[name].swapaxes(1, 2)[~gone])
            found.append(gone)
        return found

    assert not np.any(missing())
    one, other = missing(gap=0.9)
    assert (one != other).any() and one.any()
    for row in np.concatenate([one, other]):
        assert row.sum() < 0.9 * 40 and np.abs(np.diff(row.astype(int))).sum() <= 2  # one stretch
    one, other = missing(frame_drop=0.9)
    assert (one != other).any() and 0.05 < one.mean() < 0.9
    assert np.abs(np.diff(one.astype(int))).sum() > 2 * len(one)  # scattered


@pytest.mark.parametrize(("setting", "message"), [
    ({"gap": 1.0}, "gap: expected a share"), ({"frame_drop": -0.1}, "frame_drop: expected a share"),
    ({"node_drop": 1.0}, "node_drop: expected a share"), ({"part_drop": 1.5}, "part_drop: expected a probability")])
def test_view_settings_out_of_range_are_named(store, setting, message):
    with pytest.raises(ValueError, match=message):
        batches(store, "all", contrast=setting, batch_size=4)
