"""Rules every layer keeps, then what is particular to each."""

import doctest
import importlib
import json

import keras
import numpy as np
import pytest

from keras_skelmae import layers
from keras_skelmae.layers.presence_batch_normalization import estimating
from keras_skelmae.models import SkeletonPreprocessor
from skelmae_datasets import get_layout

EDGES = [(1, 0), (2, 1), (3, 1)]
V = 4
GENERATOR = np.random.default_rng(0)


def features(*shape):
    return GENERATOR.normal(size=shape).astype("float32")


SEQUENCE = features(2, 2, 6, V, 8)
HERE = np.array([[[True] * 6, [False] * 6], [[True] * 6, [True] * 6]])
CASES = {
    "AdaptiveGCNConv": (lambda: layers.AdaptiveGCNConv(5, EDGES), (SEQUENCE,)),
    "Dense": (lambda: layers.Dense(5), (SEQUENCE,)),
    "ChannelNormalization": (lambda: layers.ChannelNormalization(epsilon=1e-5), (SEQUENCE,)),
    "ChannelPReLU": (lambda: layers.ChannelPReLU(), (SEQUENCE,)),
    "GATConv": (lambda: layers.GATConv(8, EDGES), (SEQUENCE,)),
    "GCNConv": (lambda: layers.GCNConv(5, EDGES), (SEQUENCE,)),
    "GINConv": (lambda: layers.GINConv(5, EDGES), (SEQUENCE,)),
    "GraphEncoder": (lambda: layers.GraphEncoder(5, EDGES, 2), (SEQUENCE, HERE)),
    "JointEmbedding": (
        lambda: layers.JointEmbedding(5, ["joint", "motion", "distance"], 2, EDGES),
        (features(2, 2, 6, V, 2), SEQUENCE[..., 0] > 0),
    ),
    "JointMapping": (lambda: layers.JointMapping([[1], [0, 2], []]), (features(2, 2, 6, V, 2),)),
    "JointMasking": (lambda: layers.JointMasking(), (SEQUENCE, SEQUENCE[..., 0] > 0)),
    "JointPresence": (lambda: layers.JointPresence(2), (features(2, 2, 6, V, 3),)),
    "BodyEmbedding": (lambda: layers.BodyEmbedding(8, dropout_rate=0.1), (SEQUENCE, HERE)),
    "TemporalConv": (lambda: layers.TemporalConv(8, strides=3), (SEQUENCE, HERE)),
    "MultiScaleTemporalConv": (lambda: layers.MultiScaleTemporalConv(8, strides=2, residual=True), (SEQUENCE, HERE)),
    "PointwiseUpdate": (lambda: layers.PointwiseUpdate(5), (SEQUENCE, HERE)),
    "PositionEmbedding": (lambda: layers.PositionEmbedding(-2), (SEQUENCE,)),
    "PresenceBatchNormalization": (lambda: layers.PresenceBatchNormalization(), (SEQUENCE, HERE)),
    "PresencePooling": (lambda: layers.PresencePooling("mean+max"), (SEQUENCE, HERE)),
    "ResampleFrames": (lambda: layers.ResampleFrames(4, 2), (SEQUENCE,)),
    "SkeletonMirror": (lambda: layers.SkeletonMirror([0, 2, 1, 3], 2), (features(2, 2, 6, V, 3),)),
    "SkeletonNormalization": (lambda: layers.SkeletonNormalization(2), (features(2, 2, 6, V, 3),)),
    "SkeletonStreams": (
        lambda: layers.SkeletonStreams(["joint", "motion", "bone", "relative", "distance"], 2, EDGES),
        (features(2, 2, 6, V, 2), SEQUENCE[..., 0] > 0),
    ),
    "SpatialModeling": (lambda: layers.SpatialModeling(layers.GraphEncoder(5, EDGES, 1)), (SEQUENCE, HERE)),
}
every_layer = pytest.mark.parametrize("name", sorted(CASES))


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_every_public_layer_is_checked():
    assert set(layers.__all__) == set(CASES)


@every_layer
def test_config_survives_json(name):
    layer = CASES[name][0]()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert config["registered_name"] == f"keras_skelmae>{name}"


@every_layer
def test_symbolic_shape_is_the_eager_shape(name):
    make, inputs = CASES[name]
    layer = make()
    symbolic = layer(*[keras.KerasTensor((None, *x.shape[1:]), dtype=str(x.dtype)) for x in inputs])
    assert tuple(symbolic.shape[1:]) == tuple(layer(*inputs).shape[1:])


@every_layer
def test_weights_rebuild_the_output(name):
    make, inputs = CASES[name]
    layer = make()
    expected = array(layer(*inputs))
    again = type(layer).from_config(layer.get_config())
    again(*inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(array(again(*inputs)), expected)


@pytest.mark.parametrize(
    "name",
    sorted(set(CASES) - {"JointMapping", "JointPresence", "PresencePooling", "ResampleFrames", "SkeletonMirror"}),
)
def test_mixed_precision_computes_in_float16(name):
    make, inputs = CASES[name]
    config = make().get_config() | {"dtype": "mixed_float16"}
    layer = type(make()).from_config(config)
    result = layer(*inputs)
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    assert np.isfinite(array(result)).all()


@every_layer
def test_the_documented_example_runs(name):
    kind = type(CASES[name][0]())
    module = importlib.import_module(kind.__module__)
    test = doctest.DocTestFinder(recurse=False).find(
        kind, name, globs={**vars(layers), "keras": keras, "module": module}
    )[0]
    assert test.examples, f"{name} has no example"
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.failed == 0


def test_gin_conv_equals_message_passing():
    layer = layers.GINConv(3, EDGES)
    x = features(2, V, 5)
    result = array(layer(x))
    layer.epsilon.assign(0.3)
    result = array(layer(x))
    neighbours = {j: {c for c, p in EDGES if p == j} | {p for c, p in EDGES if c == j} for j in range(V)}
    k1, b1 = map(array, (layer.hidden.kernel, layer.hidden.bias))
    k2, b2 = map(array, (layer.output_dense.kernel, layer.output_dense.bias))
    alpha = array(layer.activation.alpha).reshape(-1)
    for sample in range(2):
        for joint in range(V):
            h = 1.3 * x[sample, joint] + sum(x[sample, other] for other in neighbours[joint])
            h = h @ k1 + b1
            h = np.where(h > 0, h, alpha * h) @ k2 + b2
            np.testing.assert_allclose(result[sample, joint], h, rtol=1e-4, atol=1e-5)


def closed_neighbourhood():
    return [{j} | {c for c, p in EDGES if p == j} | {p for c, p in EDGES if c == j} for j in range(V)]


def test_gcn_conv_equals_message_passing():
    layer = layers.GCNConv(3, EDGES)
    x = features(2, V, 5)
    result, around = array(layer(x)), closed_neighbourhood()
    kernel, bias = map(array, (layer.dense.kernel, layer.dense.bias))
    for joint in range(V):
        h = sum(x[:, j] / np.sqrt(len(around[joint]) * len(around[j])) for j in around[joint])
        np.testing.assert_allclose(result[:, joint], h @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_gat_conv_equals_message_passing():
    layer = layers.GATConv(6, EDGES, num_heads=2)
    x = features(1, V, 5)
    result, around = array(layer(x))[0].reshape(V, 3, 2), closed_neighbourhood()
    h = (x[0] @ array(layer.dense.kernel)).reshape(V, 3, 2)
    receiver, sender = (np.einsum("vfh,fh->vh", h, array(w)) for w in (layer.receiver, layer.sender))
    for joint in range(V):
        for head in range(2):
            score = {j: receiver[joint, head] + sender[j, head] for j in around[joint]}
            weight = {j: np.exp(s if s > 0 else 0.2 * s) for j, s in score.items()}
            expected = sum(w * h[j, :, head] for j, w in weight.items()) / sum(weight.values())
            np.testing.assert_allclose(result[joint, :, head], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("graph_conv", ["gin", "gcn", "gat"])
def test_permuting_joints_and_graph_permutes_the_output(graph_conv):
    order = np.array([2, 0, 3, 1])  # new position of each joint
    x = features(2, V, 5)
    layer = layers.GraphEncoder(8, EDGES, 3, graph_conv=graph_conv)
    expected = array(layer(x))
    moved = layers.GraphEncoder(8, [(order[a], order[b]) for a, b in EDGES], 3, graph_conv=graph_conv)
    y = np.empty_like(x)
    y[:, order] = x
    moved(y)
    moved.set_weights(layer.get_weights())
    np.testing.assert_allclose(array(moved(y))[:, order], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_temporal_convolution_equals_a_loop(dilation):
    layer = layers.MultiScaleTemporalConv(9, kernel_size=3, dilations=(dilation,))
    layer.build((None, 1, 7, V, 9))
    x = features(2, 1, 7, V, 3)
    kernel = array(layer.kernels[0]).reshape(3, 3, 3)  # in, tap, out
    expected = np.zeros_like(x)
    for t in range(7):
        for tap in range(3):
            source = t + (tap - 1) * dilation
            if 0 <= source < 7:
                expected[:, :, t] += x[:, :, source] @ kernel[:, tap]
    np.testing.assert_allclose(array(layer._conv(x, layer.kernels[0], dilation)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("strides", [1, 2, 7])
def test_plain_temporal_convolution_equals_conv1d(strides, activation):
    layer = layers.TemporalConv(6, strides=strides, normalization="none", activation=activation)
    x = np.random.default_rng(0).normal(size=(2, 2, 7, 3, 4)).astype("float32")
    y = keras.ops.convert_to_numpy(layer(x))
    tracks = np.swapaxes(x, 2, 3).reshape(-1, 7, 4)
    conv = keras.layers.Conv1D(6, 3, padding="same", activation=activation)
    conv.build(tracks.shape)
    kernel, bias = layer.get_weights()
    conv.set_weights([kernel.reshape(3, 4, 6), bias])
    expected = keras.layers.MaxPooling1D(strides, padding="same")(conv(tracks))
    expected = np.swapaxes(keras.ops.convert_to_numpy(expected).reshape(2, 2, 3, -1, 6), 2, 3)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_the_body_has_weights_of_its_own_for_every_joint():
    layer = layers.BodyEmbedding(5, normalization="none")
    x = np.random.default_rng(0).normal(size=(2, 1, 3, 4, 2)).astype("float32")
    y = keras.ops.convert_to_numpy(layer(x))
    kernel, bias = layer.get_weights()
    joints = kernel.reshape(4, 2, 5)
    expected = np.maximum(np.einsum("bmtvc,vcu->bmtu", x, joints) + bias, 0)[:, :, :, None]
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_temporal_dropout_leaves_the_same_channels_out_along_the_clip():
    layer = layers.BodyEmbedding(64, normalization="none", dropout_rate=0.5)  # half of them are above zero
    y = keras.ops.convert_to_numpy(layer(np.ones((2, 1, 6, 5, 4), "float32"), training=True))
    np.testing.assert_allclose(y, np.repeat(y[:, :, :1], 6, axis=2), atol=1e-6)
    assert np.abs(y[0] - y[1]).max() > 1e-3


def test_pooling_is_the_mean_over_what_is_there():
    here = np.array([[[True, False] * 3, [False] * 6], [[True] * 6, [False] * 2 + [True] * 4]])
    pooled = array(layers.PresencePooling()(SEQUENCE, here))
    joints = SEQUENCE.mean(axis=3)
    people = [joints[1, 0].mean(axis=0), joints[1, 1, 2:].mean(axis=0)]
    np.testing.assert_allclose(pooled, [joints[0, 0, ::2].mean(axis=0), np.mean(people, axis=0)], rtol=1e-4, atol=1e-6)
    assert not array(layers.PresencePooling("mean+max")(SEQUENCE, np.zeros_like(here))).any(), "nobody gives zeros"


def test_the_largest_value_over_time_may_be_negative():
    x, here = -1 - np.abs(SEQUENCE), np.array([[[True, False] * 3, [False] * 6], [[True] * 6] * 2])
    pooled = array(layers.PresencePooling("mean+max")(x, here))
    joints = x.mean(axis=3)
    largest = [joints[0, 0, ::2].max(axis=0), joints[1].max(axis=1).mean(axis=0)]
    np.testing.assert_allclose(pooled[:, 8:], largest, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pooled[:, :8], array(layers.PresencePooling()(x, here)), rtol=1e-5, atol=1e-6)


def spatial(num_people=2, **options):
    layer = layers.SpatialModeling(layers.GraphEncoder(5, EDGES, 1), num_people, **options)
    layer.build((None, num_people, 6, V, 8))
    return layer


def test_every_person_has_an_encoder_unless_they_share_one():
    assert [
        len(spatial(people, share_people=shared).encoders) for people, shared in [(2, False), (2, True), (1, False)]
    ] == [2, 1, 1]
    one, other = (encoder.get_weights() for encoder in spatial().encoders)
    assert any((a != b).any() for a, b in zip(one, other, strict=True)), "drawn by itself"
    with pytest.raises(ValueError, match="expected 2 people on axis 1"):
        layers.SpatialModeling(layers.GraphEncoder(5, EDGES, 1))(SEQUENCE[:, :1])


def test_spatial_modelling_takes_an_encoders_config_and_leaves_the_encoder_alone():
    encoder = layers.GraphEncoder(5, EDGES, 1, normalization="layer", graph_conv="gcn")
    one, other = layers.SpatialModeling(encoder), layers.SpatialModeling(encoder.get_config())
    assert one.get_config()["encoder"] == other.get_config()["encoder"]
    one(SEQUENCE)
    assert not encoder.built and all(copy.graph_conv == "gcn" for copy in one.encoders)


def test_spatial_modelling_by_its_equation():
    layer = spatial()
    found = array(layer(SEQUENCE, presence=HERE))
    encoded = [array(encoder(SEQUENCE[:, i : i + 1])) for i, encoder in enumerate(layer.encoders)]
    encoded = np.concatenate(encoded, axis=1)
    pooled = encoded.mean(axis=3, keepdims=True)
    there = pooled * HERE[..., None, None]
    kernel, bias = layer.input_conv.get_weights()
    expected = SEQUENCE @ kernel + bias + pooled @ layer.pooled_conv.get_weights()[0]
    expected = expected + (there.sum(axis=1, keepdims=True) - there) @ layer.interaction_conv.get_weights()[0]
    expected = expected + encoded @ layer.joint_conv.get_weights()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_strides_keep_every_second_frame():
    whole, thinned = (layers.MultiScaleTemporalConv(8, strides=s, residual=True) for s in (1, 2))
    whole.build(SEQUENCE.shape)
    thinned.build(SEQUENCE.shape)
    thinned.set_weights(whole.get_weights())
    np.testing.assert_allclose(array(thinned(SEQUENCE)), array(whole(SEQUENCE))[:, :, ::2], rtol=1e-5, atol=1e-6)


def test_absent_people_stay_out_of_batch_statistics():
    encoder = layers.GraphEncoder(5, EDGES, 1)
    encoder.build((None, 2, 6, V, 8))
    alone = layers.GraphEncoder(5, EDGES, 1)
    alone.build((None, 1, 6, V, 8))
    alone.set_weights(encoder.get_weights())
    x = features(3, 1, 6, V, 8)
    padded = np.concatenate([x, np.full_like(x, 50.0)], axis=1)
    here = np.array([[[True] * 6, [False] * 6]] * 3)
    result = array(encoder(padded, presence=here, training=True))[:, :1]
    np.testing.assert_allclose(result, array(alone(x, training=True)), rtol=1e-3, atol=1e-4)
    for one, other in zip(encoder.weights, alone.weights, strict=True):
        if one.name == "moving_count":  # half of the entries
            assert float(one) == pytest.approx(float(other) / 2)
            continue
        np.testing.assert_allclose(array(one), array(other), rtol=1e-3, atol=1e-4)


def test_statistics_are_those_of_present_entries():
    x, here = features(3, 4, 5, 2), np.array([True, False, True, True])[None] * np.ones((3, 1), bool)
    x[~here] = 50  # whatever stands there
    layer = layers.PresenceBatchNormalization(momentum=0.0, epsilon=0.0)
    found, rows = array(layer(x, presence=here, training=True)), x[here].reshape(-1, 2)
    np.testing.assert_allclose(found[here].reshape(-1, 2), (rows - rows.mean(axis=0)) / rows.std(axis=0), atol=1e-3)
    np.testing.assert_allclose(array(layer.moving_mean), rows.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(layer.moving_variance), rows.var(axis=0), rtol=1e-4)


def test_batches_count_by_how_many_are_present_and_empty_ones_not_at_all():
    layer, rng = layers.PresenceBatchNormalization(momentum=0.7, epsilon=1e-5), np.random.default_rng(0)
    sums, kept = 0.0, []
    for share in (0.0, 0.5, 1.0, 0.0, 0.2):
        x = rng.normal(3, 2, (10, 6, 2)).astype("float32")
        here = np.arange(10) < 10 * share
        found = array(layer(x, presence=here, training=True))
        assert np.isfinite(found).all() and abs(found).max() < 20
        kept = [(value * 0.7, weight * 0.7) for value, weight in kept]
        if share:
            rows = x[here].reshape(-1, 2)
            kept.append((share * np.stack([rows.mean(axis=0), rows.var(axis=0)]), share))
        sums = sum(weight for _, weight in kept)
        wanted = sum(value for value, _ in kept) / sums if kept else np.array([[0, 0], [1, 1]])
        np.testing.assert_allclose(
            np.stack([array(layer.moving_mean), array(layer.moving_variance)]), wanted, rtol=1e-4
        )


def test_statistics_are_estimated_in_a_layer_that_is_not_trained():
    layer, rng = layers.PresenceBatchNormalization(), np.random.default_rng(0)
    layer.build((None, 3))
    layer.trainable = False
    batches = [rng.normal(size=(8, 3)).astype("float32") for _ in range(4)]
    with estimating([layer]):
        for batch in batches:
            layer(batch)
    wanted = np.mean([[batch.mean(axis=0), batch.var(axis=0)] for batch in batches], axis=0)
    np.testing.assert_allclose(np.stack([array(layer.moving_mean), array(layer.moving_variance)]), wanted, rtol=1e-4)
    before = layer.get_weights()
    layer(batches[0], training=True)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layer_normalisation_refuses_what_it_does_not_do():
    with pytest.raises(TypeError, match="axis"):
        layers.ChannelNormalization(axis=1)


@pytest.mark.parametrize("options", [{"axis": 1}, {"renorm": True}, {"synchronized": True}])
def test_batch_normalisation_refuses_what_it_does_not_do(options):
    with pytest.raises(ValueError, match="axis: expected the last|renorm|synchronized"):
        layers.PresenceBatchNormalization(**options).build((2, 3, 4))


STREAMS = ["joint", "motion", "bone", "relative", "distance"]


def test_streams_by_hand():
    x = np.array([[[[[0, 0], [3, 4], [3, 5]], [[1, 0], [4, 4], [9, 9]]]]], "float32")  # (1, 1, 2, 3, 2)
    seen = np.array([[[[True, True, True], [True, True, False]]]])
    found = array(layers.SkeletonStreams(STREAMS, 2, [(1, 0), (2, 1)])(x, seen))
    joint, motion, bone, relative, distance = np.split(found, [2, 4, 6, 8], axis=-1)
    np.testing.assert_array_equal(joint, x)
    np.testing.assert_allclose(motion[0, 0], [[[1, 0], [1, 0], [0, 0]], np.zeros((3, 2))])
    np.testing.assert_allclose(bone[0, 0], [[[0, 0], [3, 4], [0, 1]], [[0, 0], [3, 4], [0, 0]]])
    np.testing.assert_allclose(relative[0, 0], [[[-2, -3], [1, 1], [1, 2]], [[-1.5, -2], [1.5, 2], [0, 0]]])
    expected = [[[0, 5, np.sqrt(34)], [5, 0, 1], [np.sqrt(34), 1, 0]], [[0, 5, 0], [5, 0, 0], [0, 0, 0]]]
    np.testing.assert_allclose(distance[0, 0], expected, atol=1e-3)


def test_bones_are_the_layouts_own():
    """COCO's hips have no edge between them: their bones begin at the nose, as its layout says."""
    layout = get_layout("coco17")
    x = features(1, 1, 2, 17, 2)
    bone = array(layers.SkeletonStreams(["bone"], 2, layout.bones)(x, np.ones((1, 1, 2, 17), bool)))
    for joint, reference in [(11, 0), (12, 0), (13, 11), (9, 7), (0, 0)]:
        np.testing.assert_allclose(bone[..., joint, :], x[..., joint, :] - x[..., reference, :], atol=1e-6)
    along_edges = array(layers.SkeletonStreams(["bone"], 2, layout.edges)(x, np.ones((1, 1, 2, 17), bool)))
    assert np.abs(bone - along_edges)[..., [11, 12], :].min() > 1e-3
    np.testing.assert_array_equal(np.delete(bone, [11, 12], axis=-2), np.delete(along_edges, [11, 12], axis=-2))


def test_joint_embedding_is_a_linear_map_of_the_streams():
    x, seen = features(2, 1, 6, V, 2), SEQUENCE[:, :1, ..., 0] > 0
    layer = layers.JointEmbedding(5, ["joint", "motion"], 2, EDGES)
    layer(x, seen)
    assert layer.norm is not None, "motion is far smaller than position"
    layer.norm.set_weights([weight + abs(features(*weight.shape)) for weight in layer.norm.get_weights()])
    gamma, beta, mean, variance, _ = layer.norm.get_weights()
    streams = array(layers.SkeletonStreams(["joint", "motion"], 2, EDGES)(x, seen))
    wide = (streams - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(array(layer.features(x, seen)), wide, rtol=1e-4, atol=1e-5)
    kernel, bias = layer.dense.get_weights()
    np.testing.assert_allclose(array(layer(x, seen)), wide @ kernel + bias, rtol=1e-4, atol=1e-4)
    alone = layers.JointEmbedding(5, ["joint"], 2, EDGES)
    found = array(alone(x, seen))
    kernel, bias = alone.get_weights()
    np.testing.assert_allclose(found, x @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stream", ["motion", "bone", "relative", "distance"])
def test_no_stream_shows_a_masked_joint_through_another(stream):
    x, seen = features(1, 1, 6, V, 2), np.ones((1, 1, 6, V), bool)
    seen[..., 1] = False  # which all others hang from
    other = x.copy()
    other[..., 1, :] = features(1, 1, 6, 2)
    layer = layers.JointEmbedding(5, [stream], 2, EDGES)
    np.testing.assert_allclose(array(layer(x, seen)), array(layer(other, seen)), atol=1e-6)
    everything = np.ones_like(seen)
    assert np.abs(array(layer(x, everything)) - array(layer(other, everything))).max() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_raw_coordinates_are_never_cast_down(policy):
    pixels = np.full((1, 1, 2, 3, 2), 70000.5, "float32")
    found = layers.ResampleFrames(2, 2, dtype=policy)(pixels)
    np.testing.assert_array_equal(array(found), pixels)


@pytest.mark.parametrize("sampling", ["stretch", "pyskl"])
@pytest.mark.parametrize("frames", [1, 2, 5, 8, 13, 40, 1000])
@pytest.mark.parametrize("channels", [("x", "y"), ("x", "y", "score"), ("x", "y", "z")])
def test_frames_are_those_that_the_preprocessor_takes(channels, frames, sampling):
    rng = np.random.default_rng(frames)
    x = rng.normal(300, 100, (2, frames, 17, len(channels))).astype("float32")
    x[..., 2:] = rng.uniform(0.1, 1, x[..., 2:].shape)
    x[rng.random(x.shape[:3]) < 0.2] = 0
    preprocessor = SkeletonPreprocessor("coco17", channels, num_frames=8, sampling=sampling)
    dims = preprocessor.num_coordinates
    found = array(layers.ResampleFrames(8, dims, sampling)(x[None]))[0]
    np.testing.assert_allclose(found, preprocessor(x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("mode", ["clip", "image", "none"])
def test_a_joint_that_is_no_number_does_not_spread(mode):
    x = features(1, 1, 4, V, 3)
    seen = np.ones((1, 1, 4, V), bool)
    cleaned = x.copy()
    for place, value in (((0, 0, 1, 2), np.nan), ((0, 0, 2, 0), np.inf), ((0, 0, 3, 1), 1e39), ((0, 0, 0, 3), -1)):
        with np.errstate(over="ignore"):
            x[place][: 2 if value == -1 else 1] = value
        cleaned[place], seen[place] = 0, False
    np.testing.assert_array_equal(array(layers.JointPresence(2)(x)), seen)
    place = layers.SkeletonNormalization(2, mode, (2, 2))
    np.testing.assert_array_equal(array(place(x)), array(place(cleaned)))


def test_mirroring_exchanges_sides_and_twice_is_the_identity():
    layout = get_layout("coco17")
    layer = layers.SkeletonMirror(layout.mirror, 2)
    x = features(2, 2, 3, 17, 3)
    found = array(layer(x))
    for left, right in layout.mirror_pairs:
        np.testing.assert_array_equal(found[..., left, :], x[..., right, :] * [-1, 1, 1])
        np.testing.assert_array_equal(found[..., right, :], x[..., left, :] * [-1, 1, 1])
    np.testing.assert_array_equal(found[..., 0, :], x[..., 0, :] * [-1, 1, 1])  # the nose has no other side
    np.testing.assert_array_equal(array(layer(found)), x)
    pixels = np.full((1, 1, 1, 17, 2), 1919.7, "float32")  # float16 has no such number
    np.testing.assert_array_equal(
        array(layers.SkeletonMirror(layout.mirror, 2, dtype="mixed_float16")(pixels))[..., 1], pixels[..., 1]
    )


def test_normalization_forgets_place_and_scale_but_not_shape():
    layer = layers.SkeletonNormalization(3)
    x = features(2, 2, 6, V, 3)
    x[:, 1, :3] = 0  # a person who comes late
    moved = np.where(x.any(-1, keepdims=True), 7.0 * x + np.array([100.0, -20.0, 3.0], "float32"), 0)
    np.testing.assert_allclose(array(layer(moved.astype("float32"))), array(layer(x)), atol=1e-4)
    assert not array(layer(x))[:, 1, :3].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.GraphEncoder(4, EDGES, normalization="group"), "normalization: expected one of"),
        (lambda: layers.SkeletonNormalization(2, "box"), "mode: expected one of"),
        (lambda: layers.SkeletonStreams(["speed"], 2, EDGES), "streams: expected"),
        (lambda: layers.SkeletonNormalization(4), "num_coordinates: expected 2 or 3"),
        (lambda: layers.SkeletonNormalization(3, "image"), "mode 'image' needs 2 coordinates"),
        (lambda: layers.GraphEncoder(4, EDGES, 0), "num_layers: expected at least 1"),
        (lambda: layers.GraphEncoder(4, EDGES, graph_conv="cheb"), "graph_conv: expected one of"),
        (lambda: layers.GraphEncoder(4, [(0, 1, 2)]), "edges: expected pairs"),
        (lambda: layers.GINConv(4, EDGES, joint_axis=1), "joint_axis: expected -2 or 0"),
        (lambda: layers.GATConv(6, EDGES), "units: expected a multiple of 4 heads"),
        (lambda: layers.PresencePooling("last"), "time: expected one of"),
        (lambda: layers.PositionEmbedding(-1), "axis: expected -3"),
        (
            lambda: layers.MultiScaleTemporalConv(8, residual=True)(features(1, 1, 3, V, 2)),
            "residual: expected 8 input channels",
        ),
        (lambda: layers.MultiScaleTemporalConv(3), "units: expected at least one for each of 4 branches, found 3"),
        (lambda: layers.TemporalConv(4, kernel_size=2), "kernel_size: expected odd"),
        (lambda: layers.GINConv(4, [(9, 0)])(features(1, V, 2)), "outside the input's 4 joints"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_normalization_in_half_precision_takes_its_mean_in_single():
    x = 100 + features(4, 64)
    half = layers.ChannelNormalization(epsilon=1e-5, dtype="mixed_bfloat16")
    rounded = keras.ops.cast(x, "bfloat16")  # few digits, before the mean is taken
    expected = array(layers.ChannelNormalization(epsilon=1e-5)(array(keras.ops.cast(rounded, "float32"))))
    found = half(rounded, training=True)  # on a CPU not Keras's own
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_allclose(array(keras.ops.cast(found, "float32")), expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("place", [[1234.567, 987.61], [0.001, 0.002], [0.0, 1e6]])
def test_joints_in_one_place_are_no_movement(place):
    """What rounding leaves of them is not blown up to the size of a body."""
    clips = np.zeros((1, 1, 7, 9, 2), "float32") + np.array(place, "float32")
    found = keras.ops.convert_to_numpy(layers.SkeletonNormalization(2)(clips))
    assert not found.any()
    clips[..., 1] += np.float32(0.05) * np.array(place).max() * np.arange(9, dtype="float32")
    assert keras.ops.convert_to_numpy(layers.SkeletonNormalization(2)(clips)).std() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("layer", [layers.MultiScaleTemporalConv(16), layers.BodyEmbedding(8), layers.TemporalConv(8)])
def test_frames_are_known_as_a_layer_of_time_is_built(layer):
    with pytest.raises(ValueError, match="frames: expected a number that is known"):
        layer(keras.Input((2, None, 3, 4)))
