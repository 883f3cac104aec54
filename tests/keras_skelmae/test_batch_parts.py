"""Steps that cut a batch into parts; run with every backend."""

import keras
import numpy as np
import pytest

from keras_skelmae.models import FusedClassifier, STRLClassifier
from keras_skelmae.training import batch_parts, predict_in_parts, suggest_batch_parts, train_in_parts

TENSORFLOW = keras.config.backend() == "tensorflow"


def classifier(**options):
    return STRLClassifier("coco17", 4, **{"num_frames": 8, "units": 8, "encoder_layers": 1, "num_layers": 1, **options})


def clips(count):
    return np.random.default_rng(0).normal(300, 50, (count, 2, 8, 17, 2)).astype("float32")


@pytest.mark.skipif(not TENSORFLOW, reason="other backends compute a batch whole")
@pytest.mark.parametrize(("count", "weighted", "jit"), [(8, False, True), (8, False, False), (6, False, False),
                                                        (8, True, False)])
def test_a_step_in_parts_is_that_of_the_whole_batch(count, weighted, jit):
    x, y = clips(count), np.eye(4, dtype="float32")[np.arange(count) % 4]
    weight = np.linspace(0.5, 2, count, dtype="float32") if weighted else None
    net = classifier(normalization="layer")
    before, ends = net.get_weights(), []
    for parts in (1, 4):
        net.set_weights(before)
        net.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", weighted_metrics=["accuracy"],
                    jit_compile=jit)
        if parts > 1:
            train_in_parts(net, parts)
        history = net.fit(x, y, sample_weight=weight, batch_size=8, verbose=0, shuffle=False).history
        assert net.jit_compile == jit  # still, for what is not cut
        ends.append([history["loss"][0], history["accuracy"][0], *net.get_weights()])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert any((a != b).any() for a, b in zip(before, ends[1][2:], strict=True))


@pytest.mark.skipif(not TENSORFLOW, reason="other backends compute a batch whole")
@pytest.mark.parametrize("jit", [True, False])
def test_prediction_in_parts_is_that_of_the_whole_batch(jit):
    net, x = classifier(mirror=True), clips(10)
    net.compile(jit_compile=jit)
    expected = net.predict(x, batch_size=8, verbose=0)
    predict_in_parts(net, 4)
    np.testing.assert_allclose(net.predict(x, batch_size=8, verbose=0), expected, rtol=1e-4, atol=1e-6)
    assert net.jit_compile == jit


@pytest.mark.parametrize("fused", [False, True])
def test_many_batches_are_predicted_as_few_are(fused, monkeypatch):
    net, x = classifier(mirror=True), clips(8)
    if fused:
        net = FusedClassifier([net, classifier(streams=("bone",))])
    expected = net.predict_on_batch(x)
    assert np.ptp(expected, axis=0).max() > 1e-4  # else any order would do
    few = batch_parts.prediction_function(net, 8, 1)
    np.testing.assert_array_equal(few(x), expected)
    values = 2 * 8 * 17 * 8
    monkeypatch.setattr(batch_parts, "MANY_VALUES", 3 * 8 * values)
    monkeypatch.setattr(batch_parts, "PART_VALUES", 2 * values)
    many = batch_parts.prediction_function(net, 8, 3)
    for count in (8, 5):  # the last batch may be smaller
        found = many(x[:count])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[:count], rtol=1e-4, atol=1e-6)
    assert not net.compiled


def test_parts_that_would_change_the_result_are_refused():
    for options in ({}, {"normalization": "layer", "streams": ("joint", "motion")}):
        with pytest.raises(ValueError, match="batch_parts: expected 1 with .*, found 2"):
            train_in_parts(classifier(**options), 2)


@pytest.mark.skipif(TENSORFLOW, reason="TensorFlow can")
def test_other_backends_refuse():
    for cut in (train_in_parts, predict_in_parts):
        with pytest.raises(ValueError, match=f"expected 1 with the {keras.config.backend()} backend, found 2"):
            cut(classifier(normalization="layer"), 2)


def test_parts_are_suggested_where_a_batch_outgrows_the_caches():
    large, small = classifier(normalization="layer", units=64, num_frames=64), classifier(normalization="layer")
    assert suggest_batch_parts(large, 32) == (8 if TENSORFLOW else 1)
    assert suggest_batch_parts(large, 7) == (7 if TENSORFLOW else 1)
    assert suggest_batch_parts(small, 32) == 1
    statistics = classifier(units=64, num_frames=64)
    assert suggest_batch_parts(statistics, 32) == 1
    assert suggest_batch_parts(statistics, 32, training=False) == (8 if TENSORFLOW else 1)
