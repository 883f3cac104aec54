"""Features, probes and protocols against cases with a known answer."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation import embed
from keras_skelmae.evaluation.features import pool_features
from keras_skelmae.evaluation.metrics import INVERSE_PENALTIES, average_precisions, linear_probe, nearest_neighbours
from keras_skelmae.experiments import markdown_table, run_protocol
from keras_skelmae.experiments.protocols import random_model
from keras_skelmae.models import Ensemble, SkeletonEncoder, STRLBackbone, load_model
from keras_skelmae.training.statistics import estimate_statistics
from skelmae_cli.main import cli
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
    assert average_precisions(test, truth).mean() > 0.9


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
    for few in ([0, 6, 12], [0, 1, 6]):  # no two classes of two: some folds would leave a class alone
        _, alone = linear_probe(noise[few], labels[few], noise)
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
    np.testing.assert_allclose(average_precisions(features, np.array([0, 1, 0])), [1 / 2, np.nan, 1])


@pytest.mark.parametrize(("fraction", "count"), [(0.1, 1 + 2), (0.5, 5 + 10), (1.0, 30), (0.001, 2)])
def test_fractions_are_stratified_and_seeded(fraction, count):
    labels = np.repeat([0, 1], [10, 20])
    chosen = stratified_fraction(labels, fraction, 3)
    assert len(chosen) == count and set(labels[chosen]) == {0, 1}
    np.testing.assert_array_equal(chosen, stratified_fraction(labels, fraction, 3))
    assert (np.diff(chosen) > 0).all()


def test_draws_are_nested_and_do_not_depend_on_what_else_is_asked():
    labels = np.repeat([0, 1, 2], [10, 3, 7])
    for draw, amounts in ((stratified_fraction, (0.1, 0.3, 1.0)), (few_shots, (1, 2, 5))):
        found = [set(draw(labels, amount, 4).tolist()) for amount in amounts]
        assert found[0] < found[1] < found[2]


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


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A store in whose test split are clips of nobody and of a class that is not trained on."""
    path, rng = tmp_path_factory.mktemp("odd") / "o.h5", np.random.default_rng(0)
    with StoreWriter(path, layout="coco17", classes=["still", "wave", "kick"], channels=("x", "y")) as writer:
        for i in range(18):
            x = 100 + rng.normal(0, 9, (1, 8, 17, 2)) * (10 ** (i % 3))
            writer.append(Sample(f"o{i}", (x * (i not in (12, 13))).astype("float32"), label=i % 3))
        splits = {"train": [f"o{i}" for i in range(12) if i % 3 < 2], "test": [f"o{i}" for i in range(12, 18)]}
        writer.set_splits({**splits, "nobody": ["o12", "o13"]})
    with SkeletonStore(path) as opened:
        yield opened


@pytest.mark.parametrize("protocol", ["linear", "knn", "finetune"])
def test_clips_of_nobody_and_of_untrained_classes_are_wrong_and_told(protocol, odd, tmp_path):
    found = run_protocol(protocol, odd, "train", "test", tmp_path, settings(), shots=(9,), fractions=())
    kept = json.loads((tmp_path / f"{protocol}-9shot-0" / "result.json").read_text())
    assert found["nobody_seen"] == kept["nobody_seen"] == 2 and found["untrained"] == {"kick": 2}
    assert np.sum(kept["confusion"]) == 4 and kept["num_per_class"] == [2, 2, 2]
    by_hand = 100 * np.trace(np.array(kept["confusion"])) / 6
    assert found["rows"][0]["values"] == [pytest.approx(by_hand)] and by_hand <= 100 * 2 / 6
    (row,) = found["rows"]
    assert (row["num_train"], row["std"], row["mean_class_std"]) == (8, None, None)  # four of each, one seed
    told = markdown_table([found, found])
    assert f"| 9 a class | 8 | {by_hand:.1f} | " in told and "+-" not in told
    assert told.count("In 2 of 6 test clips nobody was seen: they count as wrong.") == 1
    assert told.endswith("Classes without a training clip, whose test clips count as wrong: kick (2).")


def test_retrieval_is_told_as_what_it_is(odd, tmp_path):
    """Mean average precision, over clips and over classes, by another road; who is not there finds nothing."""
    found = run_protocol("retrieval", odd, "train", "test", tmp_path, settings())
    model = random_model(odd, settings())
    estimate_statistics(model, odd, odd.select("train"), 0)
    test = odd.select("test")
    each = average_precisions(embed(model, odd, test), odd.labels[test])
    each[:2] = 0
    assert found["rows"][0]["mean"] == pytest.approx(100 * each.mean())
    of_classes = [each[odd.labels[test] == label].mean() for label in range(3)]
    assert found["rows"][0]["mean_class"] == pytest.approx(100 * np.mean(of_classes))
    told = markdown_table([found])
    assert "| mean average precision % |" in told and "top-1" not in told and "standardised by the test clips" in told
    assert found["untrained"] == {} and "In 2 of 6 test clips" in told


def test_what_a_pretraining_saw_of_the_test_split_is_told(store, tiny, tmp_path):
    tiny.encoder(encoder_layers=1).save_to_preset(tmp_path / "pre")
    (tmp_path / "pre" / "train_ids.txt").write_text("s0\ns30\ns31\n")
    (tmp_path / "pre" / "pretrain_ids.txt").write_text("s31\ns32\n")
    found = run_protocol("knn", store, "train", "test", tmp_path / "out", settings(), pretrained=tmp_path / "pre")
    assert found["seen_in_pretraining"] == 3
    assert markdown_table([found]).endswith("3 of 12 test clips were seen by the pre-training.")


def test_test_clips_that_were_trained_on_are_told(store, tmp_path):
    found = run_protocol("knn", store, "train", "all", tmp_path, settings(), allow_overlap=True)
    count = len(store.select("train"))
    assert found["seen_in_training"] == count and found["num_test"] == len(store)
    told = f"{count} of {len(store)} test clips were trained on, too: the figures flatter."
    assert markdown_table([found]).endswith(told)


def test_a_clip_that_is_alone_of_its_class_is_told_as_left_out(odd, tmp_path):
    (tmp_path / "ids.txt").write_text("o14\no15\no16\no17\no12\n")  # of the class wave one
    found = run_protocol("retrieval", odd, "train", f"ids={tmp_path / 'ids.txt'}", tmp_path / "out", settings())
    assert (found["alone"], found["num_test"]) == (1, 5)
    assert markdown_table([found]).endswith("1 of 5 test clips are the only ones of their class: they are left out.")


def test_settings_that_a_pretrained_network_has_differently_are_refused(store, tiny, tmp_path):
    tiny.encoder(encoder_layers=1).save_to_preset(tmp_path / "pre")
    asked = resolve_settings("finetune", overrides=("num_frames=16",))
    with pytest.raises(ValueError, match="num_frames: expected 8 as the pre-trained .*pre has, found 16"):
        run_protocol("linear", store, "train", "test", tmp_path / "out", asked, pretrained=tmp_path / "pre")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda kept: {}, "top1: expected a number, as this version writes it, found none; remove"),
        (lambda kept: kept | {"top1": None}, "top1: expected a number"),
        (lambda kept: {key: kept[key] for key in kept if key != "nobody_seen"}, "nobody_seen: expected a number"),
        (lambda kept: {key: kept[key] for key in kept if key != "made_from"}, "config: expected what is asked for now"),
        (lambda kept: kept | {"made_from": {}}, "config: expected what is asked for now"),
    ],
)
def test_a_result_that_does_not_tell_what_it_is_of_is_not_taken(change, told, store, tmp_path):
    run_protocol("knn", store, "train", "test", tmp_path, settings())
    file = tmp_path / "knn-1-0" / "result.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(DataError, match=f"knn-1-0/result.json: {told}"):
        run_protocol("knn", store, "train", "test", tmp_path, settings())


def test_neighbours_are_counted_before_anything_is_measured(store, tmp_path):
    with pytest.raises(ValueError, match="neighbours: expected 1 to 2, the training sequences, found 3"):
        run_protocol("knn", store, "train", "test", tmp_path, settings(), shots=(5, 1), fractions=(), neighbours=3)
    assert not list(tmp_path.iterdir())


def test_the_embedding_has_its_classes_and_tells_of_nobody(odd, tiny, tmp_path):
    tiny.encoder(encoder_layers=1).save_to_preset(tmp_path / "pre")
    words = ["embed", tmp_path / "pre", odd.path, "--split", "test", "--output", tmp_path / "e.npz"]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert "in 2 of these sequences nobody was seen: their features are zeros" in done.output
    with np.load(tmp_path / "e.npz") as found:
        assert found["ids"].tolist() == [f"o{i}" for i in range(12, 18)]
        assert found["classes"][found["labels"]].tolist() == 2 * ["still", "wave", "kick"]
        assert found["features"].any(axis=1).tolist() == [False] * 2 + [True] * 4
