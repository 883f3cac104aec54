"""Every entry of ``fast`` equals the plain way; run with every backend."""

import keras
import numpy as np
import pytest

from keras_skelmae import layers
from keras_skelmae.fast.networks import batch_slices
from keras_skelmae.fast.networks.batch_slices import prediction_function, suggest_slices, train_in_slices
from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE, can_trim, variance_of_dense
from keras_skelmae.fast.ops import channels, frames
from keras_skelmae.layers import channel_normalization
from keras_skelmae.models import Ensemble
from skelmae_datasets import get_layout

TENSORFLOW, JAX = (keras.config.backend() == name for name in ("tensorflow", "jax"))
EDGES = [(1, 0), (2, 1), (3, 1)]
GENERATOR = np.random.default_rng(0)
HERE = np.array([[[True, False] * 3, [False] * 6], [[True] * 6, [False] * 4 + [True] * 2]])


def features(*shape):
    return GENERATOR.normal(size=shape).astype("float32")


SEQUENCE = features(2, 2, 6, 4, 8)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


# === Sums over channels ===


def test_prelu_has_a_slope_per_channel():
    x, alpha = features(3, 4, 5), features(5)
    expected = np.where(x > 0, x, alpha * x)
    np.testing.assert_allclose(array(channels.prelu(x, alpha)), expected, rtol=1e-6)
    np.testing.assert_array_equal(array(channels.prelu(np.zeros(5, "float32"), alpha)), 0)


def test_normalized_is_layer_normalization():
    x, gamma, beta = 3 + 5 * features(3, 4, 8), features(8), features(8)
    centred = x - x.mean(axis=-1, keepdims=True)
    expected = centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-3) * gamma + beta
    np.testing.assert_allclose(
        array(channels.normalized(keras.ops.convert_to_tensor(x), gamma, beta, 1e-3)), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("slow", [False, True])
def test_scaled_is_a_product(training, slow, monkeypatch):
    monkeypatch.setattr(channels, "sums_products_slowly", lambda: slow)
    x = features(3, 4, 5)
    found = channels.scaled(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(1.75), training)
    np.testing.assert_allclose(array(found), 1.75 * x, rtol=1e-6)


@pytest.mark.parametrize("rows", [4, 2])
def test_neighbours_are_summed_on_either_axis(rows):
    matrix, x = features(rows, 4), features(3, 2, 4, 5)
    expected = np.einsum("ij,bmjc->bmic", matrix, x)
    np.testing.assert_allclose(array(channels.neighbour_sum(matrix, x)), expected, rtol=1e-4, atol=1e-5)
    first = array(channels.neighbour_sum(matrix, np.moveaxis(x, -2, 0), 0))
    np.testing.assert_allclose(np.moveaxis(first, 0, -2), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("slow", [False, True])
def test_rows_are_summed_over_their_channels(slow, monkeypatch):
    monkeypatch.setattr(channels, "sums_products_slowly", lambda: slow)
    x = features(3, 4, 5)
    found = array(channels.row_sum(keras.ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found, x.sum(axis=-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("present", [False, True])
def test_moments_are_those_of_the_rows_that_are_there(slow, present, monkeypatch):
    monkeypatch.setattr(channels, "sums_products_slowly", lambda: slow)
    x, there = 1000 + features(2, 30, 4, 5), GENERATOR.random((2, 30, 4, 1)) < 0.5
    rows = x[there[..., 0]] if present else x.reshape(-1, 5)
    found = channels.moments(
        keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(there.astype("float32")) if present else None
    )
    for one, expected in zip(found, (rows.mean(axis=0), rows.astype(float).var(axis=0)), strict=True):
        np.testing.assert_allclose(array(one), expected, rtol=1e-3)


def test_outer_is_a_column_times_a_row():
    column, row = features(3, 4, 1), features(5)
    np.testing.assert_allclose(array(channels.outer(column, row)), column * row, rtol=1e-6)


def one_step(layer, x, target):
    """A layer's output, and its weights after a step against its gradients."""
    dense = keras.layers.Dense(x.shape[-1], kernel_initializer="identity")
    model = keras.Sequential([keras.Input(x.shape[1:]), dense, layer])
    rng = np.random.default_rng(1)
    layer.set_weights([weight + rng.normal(size=weight.shape) for weight in layer.get_weights()])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    output = model.predict_on_batch(x)
    model.train_on_batch(x, target)
    return [output, *model.get_weights()]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: layers.ChannelNormalization(epsilon=1e-3), lambda: keras.layers.LayerNormalization(epsilon=1e-3)),
        (
            lambda: layers.ChannelPReLU(),
            lambda: keras.layers.PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2, 3]),
        ),
        (lambda: layers.Dense(8, kernel_initializer="ones"), lambda: keras.layers.Dense(8, kernel_initializer="ones")),
    ],
    ids=["normalization", "prelu", "dense"],
)
def test_channelwise_layers_compute_and_learn_as_those_of_keras(ours, theirs):
    x, target = 3 + 5 * features(2, 2, 6, 4, 8), features(2, 2, 6, 4, 8)
    for one, other in zip(one_step(ours(), x, target), one_step(theirs(), x, target), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.ChannelNormalization(epsilon=1e-3),
        lambda: layers.PresenceBatchNormalization(epsilon=1e-3),
        lambda: layers.GINConv(8, EDGES),
        lambda: layers.GraphEncoder(8, EDGES, 1, "layer", "adaptive"),
    ],
    ids=["normalization", "statistics", "gin", "adaptive"],
)
def test_how_sums_are_spelled_changes_neither_values_nor_gradients(make, monkeypatch):
    x, target, found = 3 + 5 * features(2, 2, 6, 4, 8), features(2, 2, 6, 4, 8), []
    for slow in (True, False):
        for module in (channels, channel_normalization):
            monkeypatch.setattr(module, "sums_products_slowly", lambda slow=slow: slow)
        keras.utils.set_random_seed(0)
        found.append(one_step(make(), x, target))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_batch_is_normalized_as_by_keras():
    x, target = 3 + 5 * features(6, 2, 6, 4, 8), features(6, 2, 6, 4, 8)
    kept, ends = np.random.default_rng(2).normal(size=(4, 8)) ** 2, []
    for kind in (layers.PresenceBatchNormalization, keras.layers.BatchNormalization):
        dense, norm = keras.layers.Dense(8, kernel_initializer="identity"), kind(momentum=0.0, epsilon=1e-3)
        model = keras.Sequential([keras.Input(x.shape[1:]), dense, norm])
        norm.set_weights([*kept, *norm.get_weights()[4:]])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        losses = [float(model.train_on_batch(x, target)) for _ in range(2)]
        ends.append([losses, *model.get_weights()[:6]])  # without the count of what is present
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
def test_gradients_of_sums_of_neighbours(learned):
    matrix, x, target = features(4, 4), features(4, 3, 2, 5), features(4, 3, 2, 5)
    weights = [keras.Variable(matrix, trainable=learned), keras.Variable(x)]

    class Sums(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.matrix, self.x = weights

        def call(self, inputs):
            return channels.neighbour_sum(keras.ops.convert_to_tensor(self.matrix), self.x, 0)[None] + 0 * inputs

    model = keras.Sequential([keras.Input((4, 3, 2, 5)), Sums()])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.zeros((1, *x.shape), "float32"), target[None])
    error = 2 * (np.einsum("ij,jbtc->ibtc", matrix, x) - target) / target.size
    found = [array(weight) for weight in weights]
    np.testing.assert_allclose(x - found[1], np.einsum("ij,ibtc->jbtc", matrix, error), rtol=1e-3, atol=1e-5)
    expected = np.einsum("ibtc,jbtc->ij", error, x) if learned else np.zeros((4, 4))
    np.testing.assert_allclose(matrix - found[0], expected, rtol=1e-3, atol=1e-5)


# === Along time ===


@pytest.mark.parametrize("by", [0, 1, -1, 3, -5, 6, -9])
def test_shifted_equals_a_loop(by):
    expected = np.zeros_like(SEQUENCE)
    for t in range(6):
        if 0 <= t + by < 6:
            expected[:, :, t] = SEQUENCE[:, :, t + by]
    np.testing.assert_array_equal(array(frames.shifted(keras.ops.convert_to_tensor(SEQUENCE), by)), expected)


@pytest.mark.parametrize("stride", [1, 2, 4, 7])
def test_thinned_presence_is_that_of_any_frame(stride):
    found = array(frames.thinned(keras.ops.convert_to_tensor(HERE), stride))
    expected = np.stack([HERE[:, :, i : i + stride].any(axis=-1) for i in range(0, 6, stride)], axis=-1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 7])
def test_the_largest_of_present_frames_may_be_negative(stride):
    x = -1 - np.abs(SEQUENCE)
    found = array(frames.pooled_frames(x, HERE, stride))
    expected = np.zeros_like(found)
    for place, start in enumerate(range(0, 6, stride)):
        for b, m in np.ndindex(2, 2):
            there = np.flatnonzero(HERE[b, m, start : start + stride]) + start
            if len(there):
                expected[b, m, place] = x[b, m, there].max(axis=0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("stride", [2, 3])
def test_without_presence_frames_are_pooled_as_keras_pools(stride):
    tracks = np.moveaxis(SEQUENCE, 2, 3).reshape(-1, 6, 8)
    pooled = array(keras.layers.MaxPooling1D(stride)(tracks)).reshape(2, 2, 4, -1, 8)
    np.testing.assert_array_equal(array(frames.pooled_frames(SEQUENCE, None, stride)), np.moveaxis(pooled, 3, 2))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_what_is_not_a_number_is_the_largest(length):
    x = features(3, length, 4)
    x[0, 0, 0] = x[1, -1, 1] = np.nan
    found = array(frames.largest(keras.ops.convert_to_tensor(x), np.ones((3, length, 1), bool), axis=1))
    np.testing.assert_array_equal(found, x.max(axis=1))


def test_largest_is_zero_where_nothing_is_present():
    x, present = -np.ones((2, 3, 4), "float32"), np.array([[True, False, True], [False] * 3])[..., None]
    np.testing.assert_array_equal(array(frames.largest(x, present, axis=1)), [[-1] * 4, [0] * 4])


# === SkeletonMAE on the joints that its loss depends on ===

TRIMMED = [  # (layout, masked joints, settings); of the loss and all gradients
    ("coco17", (7, 9), {}),
    ("coco17", (8, 10, 13), {"remask": "none", "remedy": "none"}),
    ("coco17", range(17), {"remedy": "none"}),
    ("coco17", (5, 11), {"joint_positions": True, "streams": ("joint", "motion"), "remedy": "stop_gradient"}),
    ("coco17", (0,), {"graph_conv": "gcn", "target": "coordinates", "loss_function": "mse", "num_people": 2}),
    ("ntu25", (3,), {"target": "motion", "loss_function": "sce", "normalization": "none", "remask": "none"}),
    ("ntu25", (5, 6, 7, 21, 22), {"graph_conv": "gcn", "normalization": "none", "encoder_layers": 1}),
    ("hand21", (4, 8, 20), {"graph_conv": "gcn", "target": "coordinates", "remask": "none", "streams": ("distance",)}),
]


@pytest.mark.parametrize(("layout", "joints", "options"), TRIMMED[::3] if JAX else TRIMMED)  # it compiles each
def test_only_what_the_loss_depends_on_gives_the_same_step(layout, joints, options, tiny):
    keras.utils.set_random_seed(0)
    people, size = options.get("num_people", 1), 2 if layout == "coco17" else 3
    settings = {
        "normalization": "layer",
        "remask": "token",
        "channels": ("x", "y", "z")[:size],
        **options,
        "num_people": people,
    }
    mae = tiny.mae(layout, **settings)
    x = tiny.masked(tiny.clips(3, people, get_layout(layout).num_joints, size), joints)
    x["keypoints"][0, :, 3] = x["keypoints"][1, :, :, 4] = 0
    assert can_trim(mae)
    before, trimmed, steps = mae.get_weights(), TrimmedMAE(mae), []
    for model, inputs in ((mae, x), (trimmed, {**x, "trim": trimmed.trim(x["mask"][0, 0, 0])})):
        mae.set_weights(before)
        model.compile(keras.optimizers.SGD(1.0), jit_compile=tiny.jit, run_eagerly=not tiny.jit)
        logs = model.train_on_batch(inputs, return_dict=True)
        steps.append((logs, [one - other for one, other in zip(before, mae.get_weights(), strict=True)]))
    (plain, gradients), (quick, others) = steps
    assert quick == pytest.approx(plain, rel=1e-4)
    for variable, one, other in zip(mae.weights, others, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=variable.path)
    assert sum(bool(gradient.any()) for gradient in gradients) > len(gradients) / 4
    found = tiny.forward(trimmed, {**x, "trim": trimmed.trim(x["mask"][0, 0, 0])})
    assert found["reconstruction"].shape[3] == found["weight"].shape[3] == len(joints)
    whole = tiny.forward(mae, x)
    kept = {key: array(whole[key])[:, :, :, list(joints)] for key in ("target", "weight")}
    for key, expected in kept.items():
        np.testing.assert_allclose(array(found[key]), expected, rtol=1e-4, atol=1e-5)


def test_the_receptive_field_of_an_arm(tiny):
    trim = TrimmedMAE(tiny.mae(normalization="layer", remask="token")).trim(np.isin(np.arange(17), (7, 9)))
    assert [field.tolist() for field in trim["encoder"]] == [[5, 0, 7, 11, 1, 2, 6, 9, 13], [5, 0, 7, 11], [5]]
    assert (trim["decoder"].tolist(), trim["masked"].tolist()) == ([7, 9, 5], [7, 9])
    whole = TrimmedMAE(tiny.mae(normalization="layer", remask="none")).trim(np.isin(np.arange(17), (7, 9)))
    assert whole["encoder"][-1].tolist() == [7, 9, 5], "without a token the encoder sees the masked joints too"


@pytest.mark.parametrize("joints", [(0,), (7, 9), (3, 12, 16), tuple(range(17))])
def test_what_is_needed_grows_towards_the_input(joints, tiny):
    trim = TrimmedMAE(tiny.mae(normalization="layer", remask="token", encoder_layers=3)).trim(
        np.isin(np.arange(17), joints)
    )
    for wide, narrow in zip(trim["encoder"][:-1], trim["encoder"][1:], strict=True):
        assert wide[: len(narrow)].tolist() == narrow.tolist(), "what a layer gives is the first of what it takes"
        assert len(set(wide.tolist())) == len(wide)
    assert trim["decoder"][: len(joints)].tolist() == list(joints) == trim["masked"].tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"normalization": "layer"}, True),
        ({"normalization": "none", "graph_conv": "gcn"}, True),
        ({"normalization": "batch"}, False),  # the statistics are of all joints
        ({"normalization": "layer", "graph_conv": "gat"}, False),
        ({"normalization": "layer", "remask": "context"}, False),  # a mean of all visible joints
    ],
)
def test_what_can_be_trimmed(options, expected, tiny):
    assert can_trim(tiny.mae(**{"remask": "token", **options})) is expected


def test_the_variance_of_a_dense_layer_is_that_of_its_outputs():
    x, dense = 3 + 2 * features(4, 5, 6), keras.layers.Dense(7)
    expected = array(dense(x)).reshape(-1, 7).var(axis=0)
    np.testing.assert_allclose(array(variance_of_dense(keras.ops.convert_to_tensor(x), dense)), expected, rtol=1e-4)


# === Batches in slices ===

SMALL = {"encoder_layers": 1, "num_layers": 1}


@pytest.mark.skipif(not TENSORFLOW, reason="other backends compute a batch whole")
@pytest.mark.parametrize(
    ("count", "weighted", "jit"), [(8, False, True), (8, False, False), (7, False, False), (8, True, False)]
)
def test_a_step_in_slices_is_that_of_the_whole_batch(count, weighted, jit, tiny, request):
    if jit:  # else the step is the same
        request.getfixturevalue("compiled")
    x, y = tiny.clips(count, people=1), np.eye(4, dtype="float32")[np.arange(count) % 4]
    weight = np.linspace(0.5, 2, count, dtype="float32") if weighted else None
    net = tiny.classifier(normalization="layer", num_people=1, **SMALL)
    before, ends = net.get_weights(), []
    for slices in (1, 2):
        net.set_weights(before)
        optimizer = keras.optimizers.SGD(0.1)
        net.compile(optimizer, "categorical_crossentropy", weighted_metrics=["accuracy"], jit_compile=jit)
        if slices > 1:
            train_in_slices(net, slices)
        history = net.fit(x, y, sample_weight=weight, batch_size=8, verbose=0, shuffle=False).history
        assert net.jit_compile == jit  # still, for what is not cut
        ends.append([history["loss"][0], history["accuracy"][0], *net.get_weights()])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert any((one != other).any() for one, other in zip(before, ends[1][2:], strict=True))


@pytest.mark.parametrize("kind", ["classifier", "ensemble", "mirrored"])
def test_many_batches_are_predicted_as_few_are(kind, tiny, monkeypatch, request):
    if kind == "mirrored":  # one is enough to compile
        request.getfixturevalue("compiled")
    net, x = tiny.classifier(normalization="layer", **SMALL), tiny.clips(8)
    if kind == "ensemble":
        net = Ensemble([net, tiny.classifier(streams=("bone",), normalization="layer", **SMALL)])
    elif kind == "mirrored":
        net = Ensemble([net], mirror=True)
    expected = net.predict_on_batch(x)
    assert np.ptp(expected, axis=0).max() > 1e-4  # else any order would do
    few = prediction_function(net, 8, 1)
    np.testing.assert_array_equal(few(x), expected)
    values = 2 * 8 * 17 * 8
    monkeypatch.setattr(batch_slices, "MANY_VALUES", 3 * 8 * values)
    monkeypatch.setattr(batch_slices, "SLICE_VALUES", 2 * values)
    many = prediction_function(net, 8, 3)
    for count in (8, 5):  # the last batch may be smaller
        found = many(x[:count])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[:count], rtol=1e-4, atol=1e-6)
    assert not net.compiled


@pytest.mark.skipif(not TENSORFLOW, reason="other backends refuse any slices")
@pytest.mark.parametrize("options", [{}, {"normalization": "layer", "streams": ("joint", "motion")}])
def test_slices_that_would_change_the_result_are_refused(options, tiny):
    with pytest.raises(ValueError, match="slices: expected 1 with batch statistics .*, found 2"):
        train_in_slices(tiny.classifier(**SMALL, **options), 2)


@pytest.mark.skipif(TENSORFLOW, reason="TensorFlow can")
def test_other_backends_refuse(tiny):
    with pytest.raises(ValueError, match=f"slices: expected 1 with the {keras.config.backend()} backend, found 2"):
        train_in_slices(tiny.classifier(normalization="layer", **SMALL), 2)


def test_slices_are_suggested_where_a_batch_outgrows_the_caches(tiny):
    wide = {"units": 64, "num_frames": 64, **SMALL}
    large = tiny.classifier(normalization="layer", **wide)
    assert suggest_slices(large, 32) == (8 if TENSORFLOW else 1)
    assert suggest_slices(large, 7) == (7 if TENSORFLOW else 1)
    assert suggest_slices(Ensemble([large, large]), 32) == (8 if TENSORFLOW else 1)
    assert suggest_slices(tiny.classifier(normalization="layer", **SMALL), 32) == 1
    statistics = tiny.classifier(**wide)
    assert suggest_slices(statistics, 32) == 1
    assert suggest_slices(statistics, 32, training=False) == (8 if TENSORFLOW else 1)
