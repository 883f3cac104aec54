"""SkeletonEncoder and SkeletonMAE: masking hides, the encoder is trained in place, any length and people."""

import itertools

import keras
import numpy as np
import pytest

from keras_skelmae.layers import GraphEncoder
from keras_skelmae.models import SkeletonEncoder, SkeletonMAE, SkeletonPreprocessor
from skelmae_datasets import get_layout, layout_names
from skelmae_datasets.runs.settings import RECIPES, resolve_settings


def test_the_papers_sizes_are_the_defaults():
    encoder = SkeletonEncoder("coco17")
    mae = SkeletonMAE(encoder)
    assert (encoder.units, encoder.encoder_layers, encoder.graph_conv, mae.beta) == (64, 3, "gin", 2.0)
    assert encoder.preprocessor.clip_shape == (2, 64, 17, 2)
    assert (mae.get_layer("decoder").num_layers, mae.get_layer("encoder_to_decoder").units) == (1, 64)
    assert mae.input["keypoints"].shape == (None, 1, None, 17, 2)


@pytest.mark.parametrize("streams", [["joint"], ["joint", "motion", "bone", "relative", "distance"]])
@pytest.mark.parametrize("target", ["embedding", "coordinates", "motion"])
def test_the_encoder_never_sees_a_masked_joint(target, streams, tiny):
    # positions that keep the clip's centre and extent: only the masked joints change places among themselves
    x = tiny.clips(people=1)
    swapped = x.copy()
    swapped[:, :, :, [7, 9]] = x[:, :, :, [9, 7]]
    mae = tiny.mae(target=target, streams=streams)
    one, other = (tiny.predict(mae, tiny.masked(data)) for data in (x, swapped))
    np.testing.assert_allclose(one, other, atol=1e-4)
    shown = tiny.predict(mae, tiny.masked(swapped, (0,)))
    assert np.abs(shown - tiny.predict(mae, tiny.masked(x, (0,)))).max() > 1e-3


@pytest.mark.parametrize("people", [1, 2])
def test_the_weight_is_of_joints_that_are_masked_and_were_observed(people, tiny):
    x = tiny.clips(people=people)
    x[0, 0, 2] = x[1, 0, :, 7] = 0
    inputs = tiny.masked(x)
    found = tiny.mae(target="coordinates", num_people=people)(inputs)
    np.testing.assert_array_equal(tiny.array(found["weight"]), inputs["mask"] & x.any(axis=-1))
    assert found["target"].shape == found["reconstruction"].shape == x.shape


@pytest.mark.parametrize(
    ("loss", "target", "remedy"),
    [
        ("rce", "embedding", "none"),
        ("rce", "embedding", "stop_gradient"),
        ("sce", "embedding", "variance"),
        ("mse", "coordinates", "none"),
        ("mse", "motion", "none"),
    ],
)
def test_pretraining_lowers_its_loss(loss, target, remedy, tiny):
    keras.utils.set_random_seed(0)
    x = tiny.masked(tiny.clips(8, people=1))
    mae = tiny.mae(loss_function=loss, target=target, remedy=remedy, encoder_layers=1)
    history = tiny.fit(mae, x, epochs=12)
    assert history["loss"][-1] < history["loss"][0]
    assert 0 <= history["target_spread"][-1] <= 1


def test_the_variance_remedy_costs_what_it_says(tiny):
    x = tiny.masked(tiny.clips(people=1))
    plain = tiny.mae(remedy="none")
    held = tiny.mae(encoder=plain.encoder, remedy="variance")
    held.set_weights(plain.get_weights())
    target = tiny.array(plain(x)["target"]).reshape(-1, 8)
    expected = np.maximum(0, 1 - np.sqrt(target.var(axis=0) + 1e-4)).mean()
    one, other = (float(mae.compute_loss(y_pred=mae(x))) for mae in (plain, held))
    assert other - one == pytest.approx(expected, rel=1e-3)


def test_the_encoder_equals_the_masked_models_own(tiny):
    mae, x = tiny.mae(num_people=2), tiny.clips()
    encoded = keras.Model(mae.inputs, mae.get_layer("encoder_to_decoder").input)
    expected = np.moveaxis(tiny.array(encoded({"keypoints": x, "mask": np.zeros(x.shape[:-1], bool)})), 0, 3)
    assert isinstance(mae.encoder, SkeletonEncoder)
    np.testing.assert_allclose(tiny.predict(mae.encoder, x), expected, atol=1e-5)


def test_the_encoder_is_trained_in_place(tiny):
    encoder = tiny.encoder(joint_positions=True)
    before = encoder.get_weights()
    mae = tiny.mae(encoder=encoder)
    assert mae.encoder is encoder
    assert {id(weight) for weight in encoder.weights} <= {id(weight) for weight in mae.weights}
    tiny.fit(mae, tiny.masked(tiny.clips(people=1)))
    assert all((one != other).any() for one, other in zip(before, encoder.get_weights(), strict=True))


def test_the_encoder_takes_any_number_of_people_and_frames(tiny):
    encoder = tiny.encoder(streams=("joint", "bone"))
    assert encoder.input_shape == (None, None, None, 17, 2)
    for people, frames in [(1, 5), (2, 8), (3, 2)]:
        x = tiny.clips(2, people, frames=frames)
        found = encoder(x)
        assert tuple(found["features"].shape) == (2, people, frames, 17, 8)
        assert tuple(found["presence"].shape) == (2, people, frames)
    one = x[:, :, :1]  # every frame by itself: in a clip of one it is placed by that frame alone
    alone = tiny.predict(encoder, one)
    np.testing.assert_allclose(tiny.predict(encoder, np.repeat(one, 4, axis=2)), np.repeat(alone, 4, axis=2), atol=1e-4)


def test_the_autoencoder_takes_any_number_of_frames(tiny):
    mae = tiny.mae()
    for frames in (2, 9):
        x = tiny.clips(2, 1, frames=frames)
        assert tiny.predict(mae, tiny.masked(x)).shape == (2, 1, frames, 17, 8)


@pytest.mark.parametrize("graph_conv", ["gin", "gcn", "gat"])
def test_permuting_joints_and_graph_permutes_the_outputs(graph_conv, tiny):
    layout, order = get_layout("coco17"), np.random.default_rng(3).permutation(17)
    options = {"graph_conv": graph_conv, "streams": ("joint", "motion", "bone", "relative")}
    mae = tiny.mae(target="coordinates", **options)
    moved = tiny.mae(tiny.relabelled(layout, order), target="coordinates", **options)
    moved.set_weights(mae.get_weights())
    x = tiny.clips(people=1)
    y = np.empty_like(x)
    y[..., order, :] = x
    expected = tiny.predict(mae, tiny.masked(x, (7, 9)))
    found = tiny.predict(moved, tiny.masked(y, (order[7], order[9])))
    np.testing.assert_allclose(found[..., order, :], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        tiny.predict(moved.encoder, y)[..., order, :], tiny.predict(mae.encoder, x), rtol=1e-4, atol=1e-4
    )


def test_an_absent_person_does_not_matter_to_an_encoder(tiny):
    encoder, x = tiny.encoder(), tiny.clips(people=1)
    padded = np.concatenate([x, np.zeros_like(x)], axis=1)
    alone, beside = encoder(x), encoder(padded)
    np.testing.assert_allclose(tiny.array(beside["features"])[:, :1], tiny.array(alone["features"]), atol=1e-5)
    np.testing.assert_array_equal(tiny.array(beside["presence"])[:, 1], False)
    assert tiny.array(beside["presence"])[:, 0].all()


def test_presence_is_where_a_joint_was_observed(tiny):
    x = tiny.clips()
    x[0, 0, 3] = x[1, 1] = 0
    x[2, 0, 5, 1:] = 0  # one joint is enough
    np.testing.assert_array_equal(tiny.array(tiny.encoder()(x)["presence"]), x.any(axis=(-1, -2)))


def test_settings_of_the_encoder_reach_its_layers(tiny):
    encoder = tiny.encoder("ntu25", channels=("x", "y", "z"), graph_conv="gcn", normalization="none", streams=["bone"])
    graph = encoder.get_layer("graph_encoder")
    assert isinstance(graph, GraphEncoder)
    assert (graph.units, graph.num_layers, graph.graph_conv, graph.normalization) == (8, 2, "gcn", "none")
    assert graph.edges == [list(pair) for pair in get_layout("ntu25").edges]
    assert encoder.get_layer("joint_embedding").get_config()["streams"] == ["bone"]
    assert encoder.get_layer("place").num_coordinates == 3
    assert "joint_positions" not in [layer.name for layer in encoder.layers]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "colour"}, "target: expected one of"),
        ({"remedy": "center"}, "remedy: expected one of"),
        ({"loss_function": "mae"}, "loss_function: expected one of"),
    ],
)
def test_bad_settings_are_named(options, message, tiny):
    with pytest.raises(ValueError, match=message):
        SkeletonMAE(tiny.encoder(), **options)


@pytest.mark.parametrize("name", layout_names())
@pytest.mark.parametrize("recipe", RECIPES)
def test_no_masked_joint_is_blind_under_the_recipes_masks(recipe, name, tiny):
    """Every masked joint's answer follows what is visible, whichever parts are masked together."""
    layout, rng = get_layout(name), np.random.default_rng(0)
    keras.utils.set_random_seed(1)
    values = resolve_settings("pretrain", recipe, units=8).flat() | {"num_people": 1, "num_frames": 2}
    mae = SkeletonMAE.from_settings(values, SkeletonPreprocessor(layout, num_frames=2, num_people=1))
    parts = [list(part) for part in layout.parts.values()]
    together = (itertools.combinations(parts, count) for count in (1, 2, 3))
    hidden = [sorted(itertools.chain(*chosen)) for chosen in itertools.chain.from_iterable(together)]
    hidden = [joints for joints in hidden if len(joints) < layout.num_joints]
    clips = rng.normal(0, 1, (len(hidden), 6, 1, 2, layout.num_joints, 2)).astype("float32")
    mask = np.zeros(clips.shape[:-1], bool)
    for row, joints in zip(mask, hidden, strict=True):
        row[..., joints] = True
    inputs = {"keypoints": clips.reshape(-1, *clips.shape[2:]), "mask": mask.reshape(-1, *mask.shape[2:])}
    found = tiny.array(mae(inputs)["reconstruction"]).reshape(*mask.shape, -1)
    for one, joints in zip(found, hidden, strict=True):
        assert (one[..., joints, :].std(axis=(0, 1, 2)).max(axis=-1) > 1e-4).all(), (name, joints)
