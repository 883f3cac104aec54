"""Features, probes and protocols against cases with a known answer."""

import json

import numpy as np
import pytest

from keras_skelmae.models import SkeletonMAE, STRLAutoencoder
from keras_skelmae.training import embed, markdown_table, resolve_config, run_protocol
from keras_skelmae.training.features import linear_probe, nearest_neighbours, pool_features, retrieval_precision
from keras_skelmae.training.protocols import stratified_fraction
from skelmae_datasets import Sample, SkeletonStore, StoreWriter

TINY = ("epochs=1", "units=8", "encoder_layers=1", "num_layers=1", "body_units=[8,8]",
        "body_streams=features,motion2", "temporal_strides=[]",
        "num_frames=8", "batch_size=8", "warmup_epochs=0", "jit=off")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two classes told apart by how far a hand moves; some sequences with a second person."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("store") / "s.h5"
    with StoreWriter(path, layout="coco17", classes=["still", "wave"], channels=("x", "y"), units="pixels",
                     provenance={}, dtype="float32") as writer:
        pose = rng.uniform(50, 150, (17, 2))
        for i in range(40):
            keypoints = pose + rng.normal(0, 1, (1 + (i % 5 == 0), 12, 17, 2))
            keypoints[:, :, 9, 1] += (i % 2) * 40 * np.sin(np.arange(12))
            writer.append(Sample(f"s{i}", keypoints.astype("float32"), label=i % 2))
        writer.set_splits({"train": [f"s{i}" for i in range(28)], "test": [f"s{i}" for i in range(28, 40)]})
    return SkeletonStore(path)


def clusters(count=30, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return rng.normal(0, 0.1, (count, 5)) + 3 * np.eye(5)[labels], labels


def test_pooling_ignores_absent_frames_and_people():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 2, 6, 4, 3)).astype("float32")
    presence = np.ones((2, 2, 6), bool)
    presence[:, 1] = False
    presence[:, 0, 4:] = False
    expected = pool_features(features[:, :1, :4], np.ones((2, 1, 4), bool), [[0, 1], [2, 3]])
    np.testing.assert_allclose(pool_features(features, presence, [[0, 1], [2, 3]]), expected, rtol=1e-5, atol=1e-6)
    part = features[0, 0, :4, :2].mean(axis=1)
    np.testing.assert_allclose(expected[0, :3], part.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(expected[0, 3:6], part.std(axis=0), rtol=1e-5)


def test_nobody_embeds_to_zero():
    features = np.ones((1, 2, 3, 4, 2), "float32")
    assert not pool_features(features, np.zeros((1, 2, 3), bool), [[0, 1, 2, 3]]).any()


def test_probes_separate_clusters():
    (train, labels), (test, truth) = clusters(), clusters(seed=1)
    for probabilities in (linear_probe(train, labels, test), nearest_neighbours(train, labels, test, 3)):
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert (probabilities.argmax(axis=1) == truth).all()
    assert retrieval_precision(test, truth) > 0.9


def test_retrieval_by_hand():
    # on a line at 0, 1 and 5 with labels a, b, a; centred, the cosine is the sign: -, -, +
    features = np.array([[0.0], [1.0], [5.0]])
    # a at 0: b first (cosine 1), a second: precision 1/2; a at 5: both at -1, b and a in their order
    precision = retrieval_precision(features, np.array([0, 1, 0]))
    assert precision == pytest.approx((1 / 2 + 1) / 2)


@pytest.mark.parametrize(("fraction", "count"), [(0.1, 1 + 2), (0.5, 5 + 10), (1.0, 30), (0.001, 2)])
def test_fractions_are_stratified_and_seeded(fraction, count):
    labels = np.repeat([0, 1], [10, 20])
    chosen = stratified_fraction(labels, fraction, 3)
    assert len(chosen) == count and set(labels[chosen]) == {0, 1}
    np.testing.assert_array_equal(chosen, stratified_fraction(labels, fraction, 3))
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("make", [
    lambda: SkeletonMAE("coco17", num_people=1, num_frames=8, units=8, encoder_layers=1),
    lambda: STRLAutoencoder("coco17", num_people=2, num_frames=8, units=8, encoder_layers=1, num_layers=1,
                            temporal="each", temporal_strides=(2,)),
])
def test_embeddings_do_not_depend_on_their_batch(make, store):
    model = make()
    whole = embed(model, store, np.arange(12))
    assert whole.shape == (12, 2 * 6 * 8)
    np.testing.assert_allclose(whole[5:9], embed(model, store, np.arange(5, 9), batch_size=3), atol=1e-4)


@pytest.mark.parametrize(("protocol", "scope"), [("linear", "encoder"), ("knn", "trunk"), ("semi", "encoder")])
def test_a_protocol_is_measured_once_over_seeds_and_fractions(protocol, scope, store, tmp_path):
    config = resolve_config("finetune", overrides=(*TINY, f"scope={scope}"))
    calls = []
    seeds = (0, 1) if protocol != "semi" else (0,)

    def measure():
        return run_protocol(protocol, store, "train", "test", tmp_path, config, seeds=seeds, fractions=(0.25, 1.0),
                            progress=lambda done, total: calls.append((done, total)))
    result = measure()
    assert [row["fraction"] for row in result["rows"]] == [0.25, 1.0]
    assert calls[-1] == (2 * len(seeds), 2 * len(seeds))
    ids = (tmp_path / f"{protocol}-0.25-0" / "train_ids.txt").read_text().split()
    assert len(ids) == 2 * round(0.25 * 14) and set(ids) <= {store.ids[i] for i in store.select("train")}
    if protocol == "linear":
        assert result["rows"][1]["mean"] > 80  # even a random encoder shows a waving hand
    changed = tmp_path / f"{protocol}-1-0" / "result.json"
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "top1": 0.123}))
    assert measure()["rows"][1]["values"][0] == pytest.approx(12.3)
    assert markdown_table([result]).count("\n") == 3
