"""Rules every layer keeps, then what is particular to each."""

import doctest
import importlib
import json

import keras
import numpy as np
import pytest

from keras_skelmae import layers
from keras_skelmae.layers import channelwise, gin_conv
from keras_skelmae.layers.frames import pooled_frames

EDGES = [(1, 0), (2, 1), (3, 1)]
V = 4
GENERATOR = np.random.default_rng(0)


def features(*shape):
    return GENERATOR.normal(size=shape).astype("float32")


SEQUENCE = features(2, 2, 6, V, 8)
HERE = np.array([[[True] * 6, [False] * 6], [[True] * 6, [True] * 6]])
CASES = {
    "ChannelNormalization": (lambda: layers.ChannelNormalization(epsilon=1e-5), (SEQUENCE,)),
    "ChannelPReLU": (lambda: layers.ChannelPReLU(), (SEQUENCE,)),
    "Decorrelation": (lambda: layers.Decorrelation(0.5), (SEQUENCE, HERE)),
    "GATConv": (lambda: layers.GATConv(8, EDGES), (SEQUENCE,)),
    "GCNConv": (lambda: layers.GCNConv(5, EDGES), (SEQUENCE,)),
    "GINConv": (lambda: layers.GINConv(5, EDGES), (SEQUENCE,)),
    "GraphEncoder": (lambda: layers.GraphEncoder(5, EDGES, 2), (SEQUENCE, HERE)),
    "JointMasking": (lambda: layers.JointMasking(), (SEQUENCE, SEQUENCE[..., 0] > 0)),
    "JointPresence": (lambda: layers.JointPresence(2), (features(2, 2, 6, V, 3),)),
    "BodyEmbedding": (lambda: layers.BodyEmbedding(8, dropout_rate=0.1), (SEQUENCE, HERE)),
    "TemporalConv": (lambda: layers.TemporalConv(8, strides=3), (SEQUENCE, HERE)),
    "MultiScaleTemporalConv": (lambda: layers.MultiScaleTemporalConv(8, strides=2, residual=True), (SEQUENCE, HERE)),
    "PointwiseUpdate": (lambda: layers.PointwiseUpdate(5), (SEQUENCE, HERE)),
    "PositionEmbedding": (lambda: layers.PositionEmbedding(-2), (SEQUENCE,)),
    "PresenceBatchNormalization": (lambda: layers.PresenceBatchNormalization(), (SEQUENCE,)),
    "PresencePooling": (lambda: layers.PresencePooling("concat", [[0, 1], [2]], "mean+max"), (SEQUENCE, HERE)),
    "ResampleFrames": (lambda: layers.ResampleFrames(4), (SEQUENCE,)),
    "SkeletonNormalization": (lambda: layers.SkeletonNormalization(2), (features(2, 2, 6, V, 3),)),
    "SkeletonStreams": (lambda: layers.SkeletonStreams(["joint", "motion", "bone", "relative", "distance"], 2, EDGES),
                        (features(2, 2, 6, V, 2), SEQUENCE[..., 0] > 0)),
    "SpatialModeling": (lambda: layers.SpatialModeling(5, EDGES, 1, readout="pooled+joints"), (SEQUENCE, HERE)),
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


@pytest.mark.parametrize("name", sorted(set(CASES) - {"JointPresence", "PresencePooling"}))
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
        kind, name, globs={**vars(layers), "keras": keras, "module": module})[0]
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


@pytest.mark.parametrize("backbone", ["gin", "gcn", "gat"])
def test_permuting_joints_and_graph_permutes_the_output(backbone):
    order = np.array([2, 0, 3, 1])  # new position of each joint
    x = features(2, V, 5)
    layer = layers.GraphEncoder(8, EDGES, 3, backbone=backbone)
    expected = array(layer(x))
    moved = layers.GraphEncoder(8, [(order[a], order[b]) for a, b in EDGES], 3, backbone=backbone)
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


def test_body_dropout_leaves_the_same_channels_out_along_the_clip():
    layer = layers.BodyEmbedding(64, normalization="none", dropout_rate=0.5)  # half of them are above zero
    y = keras.ops.convert_to_numpy(layer(np.ones((2, 1, 6, 5, 4), "float32"), training=True))
    np.testing.assert_allclose(y, np.repeat(y[:, :, :1], 6, axis=2), atol=1e-6)
    assert np.abs(y[0] - y[1]).max() > 1e-3


def test_the_largest_value_over_time_may_be_negative():
    x, here = -1 - np.abs(SEQUENCE), np.array([[[True, False] * 3, [False] * 6], [[True] * 6] * 2])
    expected = np.where(here[..., None, None], x, -np.inf)
    pooled = array(layers.PresencePooling("concat", time="mean+max")(x, here)).reshape(2, 2, 2, 8)
    largest = x.mean(axis=3)[0, 0, ::2].max(axis=0)
    np.testing.assert_allclose(pooled[0, 0, 1], largest, atol=1e-6)
    assert not pooled[0, 1].any()
    y = array(pooled_frames(x, here, 4))
    np.testing.assert_allclose(y[0, 0], [expected[0, 0, :4].max(axis=0), expected[0, 0, 4:].max(axis=0)])
    assert not y[0, 1].any()
    np.testing.assert_allclose(array(pooled_frames(x, None, 3))[1], x[1].reshape(2, 2, 3, V, 8).max(axis=2))


def test_pooling_by_groups_is_pooling_of_each():
    groups = [[0, 2], [1], [3]]
    together = array(layers.PresencePooling(groups=groups)(SEQUENCE, HERE)).reshape(2, 3, 8)
    for row, group in enumerate(groups):
        alone = array(layers.PresencePooling()(SEQUENCE[:, :, :, group], HERE))
        np.testing.assert_allclose(together[:, row], alone, rtol=1e-5, atol=1e-6)


def test_mean_of_the_encoder_is_the_sum_but_for_the_number_of_joints():
    summed = layers.SpatialModeling(5, EDGES, 1, interaction=False)
    summed.build(SEQUENCE.shape)
    meant = layers.SpatialModeling(5, EDGES, 1, interaction=False, encoder_pool="mean")
    meant.build(SEQUENCE.shape)
    meant.set_weights(summed.get_weights())
    meant.pooled_conv.kernel.assign(summed.pooled_conv.kernel * V)
    np.testing.assert_allclose(array(meant(SEQUENCE)), array(summed(SEQUENCE)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("absent", [False, True])
def test_decorrelation_by_numpys_own_correlations(absent):
    x = features(4, 2, 5, 3, 6) * [1, 10, 0.1, 1, 1, 1] + [0, 7, 0, 0, 3, 0]
    x[..., 5] = 2 * x[..., 0] - x[..., 4]  # one channel that two others tell
    here = np.ones((4, 2, 5), bool)
    if absent:
        here[1, 1] = here[2, 0, 3:] = False
        x[~here] = 50  # whatever stands there
    rows = x[here].reshape(-1, 6)
    expected = 0.5 / 6 * (np.corrcoef(rows, rowvar=False)[~np.eye(6, dtype=bool)] ** 2).sum()
    layer = layers.Decorrelation(0.5)
    found = layer(x.astype("float32"), here if absent else None, training=True)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), x.astype("float32"))
    assert float(layer.losses[0]) == pytest.approx(expected, rel=2e-2)  # a small number keeps it finite
    layer(x.astype("float32"), training=False)
    assert not layer.losses, "outside training there is nothing to learn from it"


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
    for one, other in zip(encoder.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_normalization_forgets_place_and_scale_but_not_shape():
    layer = layers.SkeletonNormalization(3)
    x = features(2, 2, 6, V, 3)
    x[:, 1, :3] = 0  # a person who comes late
    moved = np.where(x.any(-1, keepdims=True), 7.0 * x + np.array([100.0, -20.0, 3.0], "float32"), 0)
    np.testing.assert_allclose(array(layer(moved.astype("float32"))), array(layer(x)), atol=1e-4)
    assert not array(layer(x))[:, 1, :3].any()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: layers.GraphEncoder(4, EDGES, normalization="group"), "normalization: expected one of"),
    (lambda: layers.SkeletonNormalization(2, "box"), "mode: expected one of"),
    (lambda: layers.SkeletonStreams(["speed"], 2, EDGES), "streams: expected"),
    (lambda: layers.SpatialModeling(4, EDGES, residual="cat"), "residual: expected one of"),
    (lambda: layers.MultiScaleTemporalConv(10), "units: expected a multiple of 4"),
    (lambda: layers.TemporalConv(4, kernel_size=2), "kernel_size: expected odd"),
    (lambda: layers.GINConv(4, [(9, 0)])(features(1, V, 2)), "outside the input's 4 joints"),
])
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def one_step(layer, x, target):
    """A layer's output, and its weights after a step against its gradients."""
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(x.shape[-1], kernel_initializer="identity"),
                              layer])
    rng = np.random.default_rng(1)
    layer.set_weights([weight + rng.normal(size=weight.shape) for weight in layer.get_weights()])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    output = model.predict_on_batch(x)
    model.train_on_batch(x, target)
    return [output, *model.get_weights()]


@pytest.mark.parametrize(("ours", "theirs"), [
    (lambda: layers.ChannelNormalization(epsilon=1e-3), lambda: keras.layers.LayerNormalization(epsilon=1e-3)),
    (lambda: layers.ChannelPReLU(),
     lambda: keras.layers.PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2, 3])),
])
def test_channelwise_layers_compute_and_learn_as_those_of_keras(ours, theirs):
    x, target = 3 + 5 * features(2, 2, 6, V, 8), features(2, 2, 6, V, 8)
    for one, other in zip(one_step(ours(), x, target), one_step(theirs(), x, target), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [lambda: layers.ChannelNormalization(epsilon=1e-3), lambda: layers.GINConv(8, EDGES)])
def test_how_sums_are_spelled_changes_neither_values_nor_gradients(make, monkeypatch):
    x, target, found = 3 + 5 * features(2, 2, 6, V, 8), features(2, 2, 6, V, 8), []
    for slow in (True, False):
        for module in (channelwise, gin_conv):
            monkeypatch.setattr(module, "sums_products_slowly", lambda slow=slow: slow)
        keras.utils.set_random_seed(0)
        found.append(one_step(make(), x, target))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_normalization_in_half_precision_takes_its_mean_in_single():
    x = 100 + features(4, 64)
    half = layers.ChannelNormalization(epsilon=1e-5, dtype="mixed_bfloat16")
    rounded = keras.ops.cast(x, "bfloat16")  # few digits, before the mean is taken
    expected = array(layers.ChannelNormalization(epsilon=1e-5)(array(keras.ops.cast(rounded, "float32"))))
    found = half(rounded, training=True)  # on a CPU not Keras's own
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_allclose(array(keras.ops.cast(found, "float32")), expected, rtol=0.01, atol=0.01)
