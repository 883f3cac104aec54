"""STRLBackbone and STRLClassifier: who is there counts and nobody else, encoders are copied, strides lose nobody."""

import keras
import numpy as np
import pytest

from keras_skelmae.models import SkeletonEncoder, SkeletonPreprocessor, STRLBackbone, STRLClassifier
from keras_skelmae.models.body_layers import BODY_STREAMS
from skelmae_datasets import get_layout
from skelmae_datasets.runs.settings import RECIPES, resolve_settings


@pytest.fixture(params=["last", "each", "body"])
def temporal(request, tiny):
    """The settings of each kind of temporal network; normalised by itself a new one has no class it is sure of."""
    options = {"last": {"num_layers": 1}, "each": tiny.each, "body": tiny.body}[request.param]
    return {"normalization": "layer", **options}


def test_the_papers_sizes_are_the_defaults():
    backbone = STRLBackbone(SkeletonEncoder("coco17"))
    net = STRLClassifier(backbone, 60)
    assert (backbone.num_layers, backbone.units, backbone.temporal, net.head_units) == (3, 64, "last", 128)
    assert not backbone.share_people
    assert net.input_shape == (None, 2, 64, 17, 2) and net.output_shape == (None, 60)


def test_every_body_stream_is_tested(tiny):
    assert set(tiny.body["body_streams"]) == set(BODY_STREAMS)


def test_a_classifier_gives_probabilities(temporal, tiny):
    found = tiny.predict(tiny.classifier(**temporal), tiny.clips())
    assert found.shape == (3, 4) and np.ptp(found, axis=0).max() > 1e-4
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_output_shape_follows_the_strides(temporal, tiny):
    backbone = tiny.backbone(**temporal)
    frames, joints, width = {"last": (8, 17, 8), "each": (4, 17, 8), "body": (1, 1, 6)}[backbone.temporal]
    found = backbone(tiny.clips())
    assert tuple(found["features"].shape) == (3, 2, frames, joints, width)
    assert tuple(found["presence"].shape) == (3, 2, frames)


# === Who is there ===


@pytest.mark.parametrize("kind", ["each", "body"])
def test_a_person_seen_in_dropped_frames_only_still_counts(kind, tiny):
    net = tiny.classifier(num_people=1, **getattr(tiny, kind))
    x = tiny.clips(people=1)
    x[:, :, ::2] = 0  # what a stride of two keeps
    assert np.abs(tiny.predict(net, x) - tiny.predict(net, np.zeros_like(x))).max() > 2e-5
    assert tiny.array(net.backbone(x)["presence"]).all()


def copy_to_two_people(one, two):
    """The weights of a backbone of one person into one of two that share their encoder."""
    for source, target in zip(one.spatial, two.spatial, strict=True):
        parts = [(getattr(source, name), getattr(target, name)) for name in ("input_conv", "pooled_conv", "joint_conv")]
        for old, new in [*parts, *zip(source.encoders, target.encoders, strict=True)]:
            new.set_weights(old.get_weights())
    names = {layer.name for layer in one.spatial}
    for layer in one.layers:
        if layer.name not in names and layer.weights:
            two.get_layer(layer.name).set_weights(layer.get_weights())


def test_an_empty_second_person_changes_nothing_but_for_rounding(temporal, tiny):
    options = {"share_people": True, **temporal}
    one, two = (tiny.classifier(**{**options, "num_people": people}) for people in (1, 2))
    copy_to_two_people(one.backbone, two.backbone)
    for layer in ("head", "classifier"):
        two.get_layer(layer).set_weights(one.get_layer(layer).get_weights())
    x = tiny.clips(people=1)
    padded = np.concatenate([x, np.zeros_like(x)], axis=1)
    np.testing.assert_allclose(tiny.predict(two, padded), tiny.predict(one, x), atol=1e-5)


def test_the_order_of_people_does_not_matter_with_shared_encoders(tiny):
    keras.utils.set_random_seed(0)
    options = {"normalization": "layer", "num_layers": 1}
    x, net = tiny.clips(), tiny.classifier(share_people=True, **options)
    np.testing.assert_allclose(tiny.predict(net, x[:, ::-1].copy()), tiny.predict(net, x), atol=1e-5)
    own = tiny.classifier(share_people=False, **options)
    assert np.abs(tiny.predict(own, x[:, ::-1].copy()) - tiny.predict(own, x)).max() > 1e-4


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 2, 8, 17, 2), "float32"),
        np.eye(17, dtype="float32")[None, None, :8, :, None] * np.ones((2, 2, 1, 1, 2), "float32"),
    ],
    ids=["empty", "one joint"],
)
def test_empty_and_one_joint_clips_stay_finite(x, tiny):
    net = tiny.classifier(num_layers=1)
    history = tiny.fit(net, x, np.eye(4)[[0, 1]], "categorical_crossentropy", epochs=2)
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(tiny.predict(net, x)).all()


@pytest.mark.parametrize(
    ("layout", "channels"), [("ntu25", ("x", "y", "z")), ("coco17", ("x", "y", "score")), ("hand21", ("x", "y", "z"))]
)
def test_any_layout_2d_or_3d_with_or_without_score(layout, channels, tiny):
    joints = get_layout(layout).num_joints
    x = tiny.clips(2, 1, joints, len(channels))
    if "score" in channels:
        x[..., 2] = np.random.default_rng(1).random(x.shape[:-1])
    net = tiny.classifier(layout, 3, num_layers=1, num_people=1, channels=channels, normalization="layer")
    np.testing.assert_allclose(tiny.predict(net, x).sum(axis=1), 1, atol=1e-5)
    brighter = x.copy()
    brighter[..., 2] *= np.linspace(0.1, 2, joints, dtype="float32")
    assert np.abs(tiny.predict(net, brighter) - tiny.predict(net, x)).max() > 1e-5, "the third channel is seen"


def test_permuting_joints_and_graph_changes_no_class(tiny):
    layout, order = get_layout("coco17"), np.random.default_rng(3).permutation(17)
    options = {**tiny.each, "streams": ("joint", "motion", "bone"), "normalization": "layer"}
    net, moved = tiny.classifier(**options), tiny.classifier(tiny.relabelled(layout, order), **options)
    moved.set_weights(net.get_weights())
    x = tiny.clips()
    y = np.empty_like(x)
    y[..., order, :] = x
    np.testing.assert_allclose(tiny.predict(moved, y), tiny.predict(net, x), atol=1e-5)
    assert np.abs(tiny.predict(net, y) - tiny.predict(net, x)).max() > 1e-5


# === The encoder inside ===


def copies(backbone):
    return [encoder for layer in backbone.spatial for encoder in layer.encoders]


@pytest.mark.parametrize("graph_conv", ["gin", "gcn", "gat"])
def test_an_encoder_is_copied_into_every_layer_and_person(graph_conv, tiny):
    encoder = tiny.encoder(graph_conv=graph_conv, streams=("joint", "motion"), joint_positions=True)
    encoder.set_weights([np.random.default_rng(0).random(weight.shape) for weight in encoder.get_weights()])
    backbone = STRLBackbone(encoder, num_layers=2)
    assert len(copies(backbone)) == 4  # two layers, two people
    for copy in copies(backbone):
        for one, other in zip(copy.get_weights(), encoder.graph.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    for name in ("joint_embedding", "joint_positions"):
        pairs = zip(backbone.get_layer(name).get_weights(), encoder.get_layer(name).get_weights(), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(one, other)
    kept = [variable for layer in (encoder, *copies(backbone)) for variable in layer.variables]
    assert len({id(variable) for variable in kept}) == len(kept), "no variable is shared"
    assert [layer.name for layer in backbone.encoder_layers[:2]] == ["joint_embedding", "joint_positions"]
    assert backbone.encoder_layers[2:] == copies(backbone)


def test_training_the_classifier_leaves_the_given_encoder_alone(tiny):
    encoder = tiny.encoder()
    before = encoder.get_weights()
    net = STRLClassifier(STRLBackbone(encoder, num_layers=1), 4)
    tiny.fit(net, tiny.clips(), np.eye(4)[:3], "categorical_crossentropy")
    for one, other in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    first, second = copies(net.backbone)
    for copy in (first, second):
        pairs = zip(copy.get_weights(), encoder.graph.get_weights(), strict=True)
        assert all((one != other).any() for one, other in pairs), "trained"
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    assert any((one != other).any() for one, other in pairs), "each by itself"


def test_an_encoders_config_gives_copies_of_different_random_weights(tiny):
    encoder = tiny.encoder()
    backbone = STRLBackbone(encoder.get_config(), num_layers=2)
    kernels = [copy.convs[0].hidden.get_weights()[0] for copy in (*copies(backbone), encoder.graph)]
    for index, one in enumerate(kernels):
        for other in kernels[:index]:
            assert one.shape == other.shape and np.abs(one - other).max() > 1e-3
    assert backbone.get_config() == STRLBackbone(encoder, num_layers=2).get_config()


def test_weights_of_an_encoder_can_be_loaded_later(tiny):
    encoder = tiny.encoder(joint_positions=True)
    late, early = STRLBackbone(encoder.get_config(), num_layers=1), STRLBackbone(encoder, num_layers=1)
    late.load_encoder(encoder)
    for one, other in zip(late.encoder_layers, early.encoder_layers, strict=True):
        for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("units", 12),
        ("encoder_layers", 1),
        ("graph_conv", "gcn"),
        ("normalization", "none"),
        ("streams", ("bone",)),
        ("joint_positions", True),
    ],
)
def test_loading_names_the_setting_that_differs(key, value, tiny):
    backbone = tiny.backbone(num_layers=1)
    found = list(value) if isinstance(value, tuple) else value
    with pytest.raises(ValueError) as raised:
        backbone.load_encoder(tiny.encoder(**{key: value}))
    expected = backbone.encoder_config[key]
    assert str(raised.value) == f"encoder: expected {key} = {expected!r}, found {found!r}"


def test_loading_does_not_mind_another_length_of_clips(tiny):
    backbone = tiny.backbone(num_layers=1)
    backbone.load_encoder(tiny.encoder(num_frames=5, num_people=1))


def test_a_shared_encoder_has_one_copy_for_all_people(tiny):
    assert len(copies(tiny.backbone(num_layers=2, share_people=True))) == 2
    assert len(copies(tiny.backbone(num_layers=2, num_people=1))) == 2


# === The body ===


def test_motion_over_two_frames_is_seen_by_its_own_stem_alone(tiny):
    backbone = tiny.backbone(num_people=1, **{**tiny.body, "body_streams": ("motion2",)})
    x = tiny.clips(people=1)
    x[:, :, 1::2] = x[:, :, ::2]  # the frames between; the normalisation would see them
    stem = keras.Model(backbone.input, backbone.get_layer("body_motion2").output)
    placed = keras.Model(backbone.input, backbone.get_layer("place").output)
    xyz = tiny.array(placed(x))[:, :, ::2]
    np.testing.assert_allclose(tiny.array(stem(x))[:, :, :-1], np.diff(xyz, axis=2), atol=1e-5)


# === Arguments ===


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temporal_units": (8,)}, "temporal_units: expected none with temporal='last'"),
        ({"temporal": "body"}, "temporal_units: expected widths with temporal='body'"),
        ({"temporal": "residual", "temporal_units": (8,)}, "temporal_units: expected one width for each of 2 layers"),
        ({"temporal": "first"}, "temporal: expected one of"),
        ({"temporal": "each", "temporal_strides": (2,)}, "expected one for each of 2 temporal modules"),
        ({"temporal": "last", "temporal_strides": (2,)}, "expected one for each of 0 temporal modules"),
        (
            {"temporal": "body", "temporal_units": (8, 8), "temporal_strides": (2, 2)},
            "one for each of 1 temporal modules",
        ),
        (
            {"temporal": "body", "temporal_units": (8,), "body_streams": ("speed",)},
            "body_streams: expected a selection of",
        ),
        ({"temporal": "body", "temporal_units": (8,), "body_streams": ()}, "body_streams: expected a selection of"),
        ({"temporal": "body", "temporal_units": (8,), "num_frames": 7}, "num_frames: expected an even number"),
    ],
)
def test_bad_settings_are_named(options, message, tiny):
    with pytest.raises(ValueError, match=message):
        tiny.backbone(num_layers=2, **options)


def test_class_names_are_as_many_as_classes(tiny):
    backbone = tiny.backbone(num_layers=1)
    with pytest.raises(ValueError, match="class_names: expected 3 names, found 2"):
        STRLClassifier(backbone, 3, class_names=["a", "b"])
    assert STRLClassifier(backbone, 2, class_names=["a", "b"]).names == ["a", "b"]
    assert STRLClassifier(backbone, 2).names == ["0", "1"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", ["coco17", "ntu25", "kinect20"])
def test_joints_still_differ_after_every_layer(recipe, name):
    """At the start the variance between the joints of a frame is above a fifth of all, after each spatial layer."""
    keras.utils.set_random_seed(0)
    layout, values = get_layout(name), resolve_settings("finetune", recipe).flat() | {"num_frames": 16}
    backbone = STRLBackbone.from_settings(values, SkeletonPreprocessor(layout, num_frames=16, num_people=1))
    network = keras.Model(backbone.inputs, [layer.output for layer in backbone.spatial])
    pose = np.random.default_rng(0).normal(0, 1, (32, 1, 1, layout.num_joints, 2))
    moved = np.random.default_rng(1).normal(0, 0.1, (32, 1, 16, layout.num_joints, 2)).cumsum(axis=2)
    found = network((pose + moved).astype("float32"), training=True)
    for features in map(keras.ops.convert_to_numpy, found if isinstance(found, list) else [found]):
        between = (features - features.mean(axis=3, keepdims=True)).var()
        assert between / features.reshape(-1, features.shape[-1]).var(axis=0).mean() > 0.2
