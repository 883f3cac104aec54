"""Two views of a clip drawn together, through the graph encoder or a whole backbone; absent joints left out."""

import keras
import numpy as np
import pytest

from keras_skelmae.losses import nt_xent
from keras_skelmae.models import ContrastiveModel, STRLBackbone, STRLClassifier
from skelmae_datasets.runs.settings import SettingsError, resolve_settings

SMALL = {"encoder_layers": 1, "num_layers": 1, "temporal": "body", "temporal_units": (8, 8), "temporal_strides": (2,)}


def on_encoder(tiny, **options):
    return ContrastiveModel(tiny.encoder(encoder_layers=1), **{"projection_units": 6, **options})


def on_backbone(tiny, **options):
    backbone = tiny.backbone(num_people=1, share_people=True, streams=("joint", "motion"), **SMALL)
    return ContrastiveModel(backbone, **{"projection_units": 6, **options})


both = pytest.mark.parametrize("make", [on_encoder, on_backbone], ids=["encoder", "backbone"])


@both
def test_each_view_is_projected_by_itself(make, tiny):
    model, x = make(tiny), tiny.views(tiny.clips(people=1))
    found = tiny.predict(model, x)
    assert found.shape == (3, 2, 6) == (3, *model.output_shape[1:])
    swapped = tiny.predict(model, {"keypoints": x["other"], "other": x["keypoints"]})
    np.testing.assert_allclose(swapped, found[:, ::-1], rtol=1e-4, atol=1e-4)
    alone = tiny.predict(model, {key: value[1:2] for key, value in x.items()})
    np.testing.assert_allclose(alone, found[1:2], rtol=1e-4, atol=1e-4)


def test_pooling_is_the_mean_of_what_the_encoder_gives_where_somebody_is(tiny):
    model, x = on_encoder(tiny), tiny.clips(people=1)
    x[:, :, 1] = 0  # a frame without anybody
    found = model.backbone(x)
    pooled = tiny.array(found["features"])[:, 0, np.arange(8) != 1].mean(axis=(1, 2))
    hidden = model.get_layer("projection_norm")(model.get_layer("projection_hidden")(pooled))
    expected = tiny.array(model.get_layer("projection")(keras.ops.relu(hidden)))
    np.testing.assert_allclose(tiny.predict(model, {"keypoints": x, "other": x})[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_both_views_are_normalised_as_one_batch(tiny):
    model, x = on_encoder(tiny), tiny.views(tiny.clips(4, people=1))
    norm = model.get_layer("projection_norm")
    model(x, training=True)
    features = model.backbone(np.concatenate(list(x.values())), training=True)["features"]
    hidden = tiny.array(model.get_layer("projection_hidden")(tiny.array(features).mean(axis=(1, 2, 3))))
    np.testing.assert_allclose(tiny.array(norm.moving_mean), 0.01 * hidden.mean(axis=0), rtol=1e-3, atol=1e-4)


@both
def test_training_draws_the_views_together(make, tiny):
    keras.utils.set_random_seed(0)
    model, x = make(tiny, temperature=0.5), tiny.views(tiny.clips(8, people=1))
    before = float(nt_xent(model(x, training=True), 0.5))
    history = tiny.fit(model, x, epochs=10)
    assert history["loss"][0] == pytest.approx(before, rel=1e-2)
    assert history["loss"][-1] < before - 0.1
    assert history["target_spread"][-1] > 0.1  # not collapsed


@both
def test_the_backbone_is_trained_in_place(make, tiny):
    model = make(tiny)
    before = model.backbone.get_weights()
    tiny.fit(model, tiny.views(tiny.clips(people=1)))
    pairs = zip(before, model.backbone.get_weights(), strict=True)
    assert sum(bool((one != other).any()) for one, other in pairs) > len(before) / 2


def test_its_encoder_goes_into_a_backbone_and_its_backbone_into_a_classifier(tiny):
    encoder = on_encoder(tiny).backbone
    for copy in STRLBackbone(encoder, num_layers=2).encoder_layers[1:]:
        for one, wanted in zip(copy.get_weights(), encoder.graph.get_weights(), strict=True):
            np.testing.assert_array_equal(one, wanted)
    whole = on_backbone(tiny)
    assert STRLClassifier(whole.backbone, 3).backbone is whole.backbone


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_is_above_zero(temperature, tiny):
    with pytest.raises(ValueError, match=f"temperature: expected above 0, found {temperature}"):
        ContrastiveModel(tiny.encoder(), temperature=temperature)


def test_an_unknown_objective_is_named():
    with pytest.raises(SettingsError, match="objective: expected one of masked, contrastive"):
        resolve_settings("pretrain", overrides=("objective=graphcl",))
