"""Features, probes and protocols against cases with a known answer."""

import json

import numpy as np
import pytest

from keras_skelmae.evaluation import embed
from keras_skelmae.evaluation.features import pool_features
from keras_skelmae.evaluation.metrics import INVERSE_PENALTIES, linear_probe, nearest_neighbours, retrieval_precision
from keras_skelmae.experiments import markdown_table, run_protocol
from keras_skelmae.experiments.protocols import random_model
from keras_skelmae.models import Ensemble, SkeletonEncoder, STRLBackbone, load_model
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.runs.splits import few_shots, stratified_fraction

TINY = ("epochs=1", "units=8", "encoder_layers=1", "num_layers=1", "temporal=last", "streams=joint")
TINY += ("num_frames=8", "batch_size=8", "warmup_epochs=0", "jit_compile=off", "mirror=off")


def settings(*more):
    return resolve_settings("finetune", overrides=(*TINY, *more))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two classes told apart by how far a hand moves; some sequences with a second person."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("store") / "s.h5"
    header = {"layout": "coco17", "classes": ["still", "wave"], "channels": ("x", "y"), "units": "pixels"}
    with StoreWriter(path, provenance={}, dtype="float32", **header) as writer:
        pose = rng.uniform(50, 150, (17, 2))
        for i in range(40):
            keypoints = pose + rng.normal(0, 1, (1 + (i % 5 == 0), 12, 17, 2))
            keypoints[:, :, 9, 1] += (i % 2) * 40 * np.sin(np.arange(12))
            writer.append(Sample(f"s{i}", keypoints.astype("float32"), label=i % 2))
        writer.set_splits({"train": [f"s{i}" for i in range(28)], "test": [f"s{i}" for i in range(28, 40)]})
    with SkeletonStore(path) as opened:
        yield opened


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
    linear, chosen = linear_probe(train, labels, test)
    assert chosen in INVERSE_PENALTIES
    for probabilities in (linear, nearest_neighbours(train, labels, test, 3)):
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert (probabilities.argmax(axis=1) == truth).all()
    assert retrieval_precision(test, truth) > 0.9


def test_penalties_are_chosen_for_each_training_set():
    """Noise under a few labels asks for a strong penalty, and a class of one sequence for a fold of its own."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 6 + [1] * 6 + [2])
    noise = rng.normal(size=(13, 200))
    _, few = linear_probe(noise, labels, noise)
    x = rng.normal(size=(400, 10))
    truth = (x[:, 0] + 0.02 * x[:, 1] > 0).astype(int)
    _, many = linear_probe(x, truth, x)
    assert many > few
    _, alone = linear_probe(noise[[0, 6, 12]], labels[[0, 6, 12]], noise)
    assert alone == INVERSE_PENALTIES[2]


@pytest.mark.parametrize("k", [2, 4, 7])
def test_neighbours_vote_and_the_nearest_breaks_ties(k):
    angle = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 3.0])
    train, labels = np.stack([np.cos(angle), np.sin(angle)], axis=1), np.array([0, 1, 1, 0, 1, 1, 0, 2])
    near = np.argsort(-(train @ [1.0, 0.0]), kind="stable")[:k]
    votes = np.bincount(labels[near], minlength=3)
    best = [label for label in range(3) if votes[label] == votes.max()]
    wanted = next(label for label in labels[near] if label in best)
    centred = nearest_neighbours(train, labels, train[:1], k)[0]
    assert centred.argmax() == wanted and centred.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="neighbours: expected 1 to 8, the training sequences, found 9"):
        nearest_neighbours(train, labels, train, 9)


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


def test_shots_are_that_many_of_each_class():
    labels = np.repeat([0, 1, 2], [10, 3, 7])
    chosen = few_shots(labels, 5, 0)
    assert np.bincount(labels[chosen]).tolist() == [5, 3, 5] and (np.diff(chosen) > 0).all()
    assert any(few_shots(labels, 5, seed).tolist() != chosen.tolist() for seed in (1, 2))
    with pytest.raises(ValueError, match="shots: expected at least 1, found 0"):
        few_shots(labels, 0, 0)


@pytest.mark.parametrize(
    ("kind", "options", "vectors"),
    [
        ("mae", {}, 6),  # one per body part
        ("backbone", {"temporal": "each", "temporal_strides": (2, 1)}, 6),
        ("backbone", {"temporal": "body", "temporal_units": (8, 8), "temporal_strides": (2,)}, 1),
    ],
)
def test_embeddings_do_not_depend_on_their_batch(kind, options, vectors, store, tiny):
    model = getattr(tiny, kind)(**options)
    whole = embed(model, store, np.arange(12))
    assert whole.shape == (12, 2 * vectors * 8)
    np.testing.assert_allclose(whole[5:9], embed(model, store, np.arange(5, 9), batch_size=3), rtol=1e-5, atol=1e-4)


def test_features_are_those_of_the_backbone_or_of_the_encoder(store, tiny):
    """Of any model of ours; an encoder sees all people, though a SkeletonMAE is made for one."""
    indices = np.arange(6)  # two of them have a second person
    mae, classifier = tiny.mae(num_people=1), tiny.classifier(num_classes=2)
    for model, part in ((mae, mae.encoder), (classifier, classifier.backbone)):
        np.testing.assert_allclose(embed(model, store, indices), embed(part, store, indices), rtol=1e-5)
    found = mae.encoder(tiny.preprocessor()(store.read(0))[None], training=False)  # of both people
    wanted = pool_features(*(tiny.array(found[key]) for key in ("features", "presence")), store.layout.parts.values())
    np.testing.assert_allclose(embed(mae, store, [0]), wanted, rtol=1e-4, atol=1e-4)
    mirrored = Ensemble([classifier], mirror=True)
    np.testing.assert_allclose(embed(mirrored, store, indices), embed(classifier, store, indices), rtol=1e-5)
    with pytest.raises(ValueError, match="expected a model of its own features, found 2 members"):
        embed(Ensemble([classifier, classifier]), store, indices)


def test_a_random_network_is_like_the_pretrained_one(store, tiny, tmp_path):
    for number, (model, kind) in enumerate(((tiny.mae(), SkeletonEncoder), (tiny.contrastive(), STRLBackbone))):
        model.save_to_preset(tmp_path / str(number))
        found, other = (random_model(store, settings(f"seed={seed}"), tmp_path / str(number)) for seed in (0, 1))
        again = random_model(store, settings(), tmp_path / str(number))
        assert type(found) is kind and found.units == 8 and found.preprocessor.num_frames == 8
        differs = [(a != b).any() for a, b in zip(found.get_weights(), other.get_weights(), strict=True)]
        assert any(differs)
        for one, two in zip(found.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
    made = random_model(store, settings("units=12"))
    assert type(made) is STRLBackbone and made.units == 12


@pytest.mark.parametrize("protocol", ["linear", "knn", "retrieval", "semi"])
def test_a_protocol_is_measured_once_over_seeds_and_fractions(protocol, store, tmp_path):
    calls, seeds = [], (0, 1) if protocol != "semi" else (0,)

    def run(*more, **options):
        calls.clear()
        options = {"seeds": seeds, "fractions": (0.25, 1.0), "shots": (3,), **options}
        options["progress"] = lambda done, total: calls.append((done, total))
        return run_protocol(protocol, store, "train", "test", tmp_path, settings(*more), **options)

    result = run()
    assert [row.get("fraction", row.get("shots")) for row in result["rows"]] == [0.25, 1.0, 3]
    assert calls[-1] == (3 * len(seeds), 3 * len(seeds))
    assert len((tmp_path / f"{protocol}-3shot-0" / "train_ids.txt").read_text().split()) == 2 * 3
    ids = (tmp_path / f"{protocol}-0.25-0" / "train_ids.txt").read_text().split()
    assert len(ids) == 2 * round(0.25 * 14) and set(ids) <= {store.ids[i] for i in store.select("train")}
    if protocol == "linear":
        assert result["rows"][1]["mean"] > 80  # even random features show a waving hand
    changed = tmp_path / f"{protocol}-1-0" / "result.json"
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "top1": 0.123}))
    again = run()
    assert again["rows"][1]["values"][0] == pytest.approx(12.3)
    assert markdown_table([again]).count("\n|") == 4
    assert ("Frozen features" in markdown_table([again])) is (protocol != "semi")
    with pytest.raises(DataError, match="config: expected what is asked for now, found a result of something else"):
        run("learning_rate=0.5")
    with pytest.raises(DataError, match="neighbours: expected what is asked for now"):
        run(neighbours=3)


def test_a_random_fine_tuning_has_the_size_of_the_pretrained_one(store, tiny, tmp_path):
    tiny.encoder(encoder_layers=1, units=12).save_to_preset(tmp_path / "pre")
    own = ("units", "encoder_layers", "streams")
    asked = resolve_settings("finetune", overrides=[change for change in TINY if not change.startswith(own)])
    for name, start in (("pretrained", "pretrained"), ("random", "like")):
        run_protocol("finetune", store, "train", "test", tmp_path / name, asked, **{start: tmp_path / "pre"})
    sizes = {
        json.loads((tmp_path / name / "finetune-1-0/run/metrics.json").read_text())["parameters"]
        for name in ("pretrained", "random")
    }
    assert len(sizes) == 1
    model = load_model(tmp_path / "random/finetune-1-0/run")
    assert model.backbone.encoder_config["units"] == 12


def test_a_result_tells_what_it_was_made_from(store, tiny, tmp_path):
    tmp_path = tmp_path / "{mine} {"  # a folder may have braces in its name
    for seed, name in enumerate(("a-0", "a-1", "b-0", "b-1")):
        encoder = tiny.encoder(encoder_layers=1)
        encoder.set_weights([weight + seed / 10 for weight in encoder.get_weights()])
        encoder.save_to_preset(tmp_path / name)

    def run(**options):
        folder = tmp_path / "out" / next(iter(options))
        return run_protocol("knn", store, "train", "test", folder, settings(), seeds=(0, 1), **options)

    for key in ("pretrained", "like"):
        first = run(**{key: tmp_path / "a-{seed}"})
        assert first["pretrained"] == (str(tmp_path / "a-{seed}") if key == "pretrained" else None)
        assert run(**{key: tmp_path / "a-{seed}"}) == first
        with pytest.raises(DataError, match=f"{key}: expected what is asked for now"):
            run(**{key: tmp_path / "b-{seed}"})


def test_an_unknown_protocol_is_named(store, tmp_path):
    with pytest.raises(ValueError, match="protocol: expected one of linear, knn, retrieval, finetune, semi, found 'x'"):
        run_protocol("x", store, "train", "test", tmp_path, settings())
    for fraction in (0, 1.5):
        with pytest.raises(ValueError, match=f"fraction: expected 0 < fraction <= 1, found {fraction}"):
            stratified_fraction([0, 1], fraction, 0)
