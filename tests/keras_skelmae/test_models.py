"""The two models: masking hides, padding is harmless, saving keeps everything, in a fresh process too."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_skelmae.models import SkeletonEncoder, SkeletonMAE, STRLAutoencoder, STRLClassifier, feature_model
from keras_skelmae.models.body_layers import BODY_STREAMS
from skelmae_datasets import get_layout

JIT = keras.config.backend() == "jax"  # elsewhere compiling takes longer than it saves here
SMALL = {"num_frames": 8, "units": 8, "encoder_layers": 2}


def clips(count=3, people=2, joints=17, channels=2, seed=0):
    return np.random.default_rng(seed).normal(300, 50, (count, people, 8, joints, channels)).astype("float32")


def masked(x, joints=(7, 9)):
    mask = np.zeros(x.shape[:-1], bool)
    mask[..., list(joints)] = True
    return {"keypoints": x, "mask": mask}


def trained(model, x, y=None):
    model.fit(x, y, epochs=2, batch_size=2, verbose=0)
    return model


def classifier(**options):
    return STRLClassifier("coco17", 4, **{**SMALL, "num_layers": 2, **options})


def test_the_papers_sizes_are_the_defaults():
    mae, net = SkeletonMAE("coco17"), STRLClassifier("coco17", 60)
    assert (mae.units, mae.num_frames, mae.encoder_layers, mae.num_people, mae.beta) == (64, 64, 3, 2, 2.0)
    assert (net.units, net.num_frames, net.encoder_layers, net.num_layers, net.num_people) == (64, 64, 3, 3, 2)
    assert mae.get_layer("decoder").num_layers == 1
    assert net.output_shape == (None, 60)


@pytest.mark.parametrize("streams", [["joint"], ["joint", "motion", "bone", "relative", "distance"]])
@pytest.mark.parametrize("target", ["embedding", "coordinates", "motion"])
def test_the_encoder_never_sees_a_masked_joint(target, streams):
    # positions that keep the clip's centre and extent: only the masked joints change places among themselves
    x = clips(people=1)
    swapped = x.copy()
    swapped[:, :, :, [7, 9]] = x[:, :, :, [9, 7]]
    mae = SkeletonMAE("coco17", num_people=1, target=target, streams=streams, **SMALL)
    one, other = (mae(masked(data))["reconstruction"] for data in (x, swapped))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other), atol=1e-4)
    shown = mae(masked(swapped, (0,)))["reconstruction"]
    assert np.abs(keras.ops.convert_to_numpy(shown - mae(masked(x, (0,)))["reconstruction"])).max() > 1e-3


TRUNK = {**SMALL, "num_layers": 2, "num_people": 1, "temporal": "each", "temporal_strides": (2, 1),
         "streams": ("joint", "motion")}
BODY = {**TRUNK, "temporal": "body", "body_units": (12, 10, 6), "temporal_strides": (2, 2),
        "streams": ("joint", "motion", "distance"), "body_streams": BODY_STREAMS}


@pytest.mark.parametrize("options", [TRUNK, BODY], ids=["each", "body"])
@pytest.mark.parametrize("target", ["coordinates", "motion"])
def test_the_autoencoder_of_the_whole_network_never_sees_a_masked_joint(target, options):
    x = clips(people=1)
    swapped = x.copy()
    swapped[:, :, :, [7, 9]] = x[:, :, :, [9, 7]]
    model = STRLAutoencoder("coco17", target=target, **options)
    one, other = (keras.ops.convert_to_numpy(model(masked(data))["reconstruction"]) for data in (x, swapped))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)
    assert one.shape == (3, 1, 8, 17, 2)


@pytest.mark.parametrize("options", [TRUNK, BODY], ids=["each", "body"])
def test_the_whole_network_below_the_pooling_is_transferred(options):
    keras.utils.set_random_seed(0)
    model = STRLAutoencoder("coco17", **options)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=JIT)
    history = model.fit(masked(clips(8, people=1)), epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    net = STRLClassifier("coco17", 4, encoder=model, **options)
    x = clips(people=1)
    np.testing.assert_allclose(feature_model(net).predict(x, verbose=0), feature_model(model).predict(x, verbose=0),
                               atol=1e-5)
    with pytest.raises(ValueError, match="expected temporal_strides = "):
        STRLClassifier("coco17", 4, encoder=model, **{**options, "temporal_strides": (1, 2)})


@pytest.mark.parametrize("options", [TRUNK, BODY], ids=["each", "body"])
def test_a_person_seen_in_dropped_frames_only_still_counts(options):
    net = STRLClassifier("coco17", 4, **options)
    x = clips(people=1)
    x[:, :, ::2] = 0  # what a stride of two keeps
    assert np.abs(net.predict(x, verbose=0) - net.predict(np.zeros_like(x), verbose=0)).max() > 1e-3


@pytest.mark.parametrize(("loss", "target", "remedy"), [
    ("rce", "embedding", "none"), ("rce", "embedding", "stop_gradient"), ("sce", "embedding", "variance"),
    ("sce", "embedding", "center"), ("mse", "coordinates", "none"), ("mse", "motion", "none"),
])
def test_pretraining_lowers_its_loss(loss, target, remedy):
    keras.utils.set_random_seed(0)
    x = masked(clips(8, people=1))
    mae = SkeletonMAE("coco17", num_people=1, loss_function=loss, target=target, remedy=remedy, **SMALL)
    mae.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=JIT)
    history = mae.fit(x, epochs=12, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert 0 <= history["target_spread"][-1] <= 1


@pytest.mark.parametrize(("joints", "options"), [
    ((7, 9), {}), ((8, 10, 13), {"remask": False, "remedy": "center"}), (range(17), {"remedy": "none"}),
    ((0,), {"backbone": "gcn", "target": "coordinates", "loss_function": "mse", "num_people": 2}),
    ((13, 15, 4), {"backbone": "gat", "target": "motion", "loss_function": "sce", "normalization": "none"}),
    ((5, 11), {"joint_positions": True, "streams": ("joint", "motion"), "remedy": "stop_gradient"}),
])
def test_only_what_the_loss_depends_on_gives_the_same_step(joints, options):
    options = {"num_people": 1, "normalization": "layer", **SMALL, **options}
    keras.utils.set_random_seed(0)
    mae = SkeletonMAE("coco17", **options)
    x = masked(clips(people=options["num_people"]), joints)
    x["keypoints"][0, :, 3] = x["keypoints"][1, :, :, 4] = 0
    whole, results = mae.get_weights(), []
    needed = mae.needed_joints(x["mask"][0, 0, 0])
    for inputs in (x, {**x, "needed": needed}):
        mae.set_weights(whole)
        mae.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=JIT)
        results.append((mae.train_on_batch(inputs, return_dict=True), mae.get_weights()))
    for one, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert any((a != b).any() for a, b in zip(whole, results[0][1], strict=True))
    sizes = [len(field) for field in needed["encoder"]]
    assert sizes == sorted(sizes, reverse=True)
    output = mae({**x, "needed": needed})
    assert output["reconstruction"].shape[3] == output["weight"].shape[3] == len(joints)


def test_the_receptive_field_of_an_arm():
    mae = SkeletonMAE("coco17", **{**SMALL, "normalization": "layer"})
    needed = mae.needed_joints(masked(clips(1), (7, 9))["mask"][0, 0, 0])
    assert [field.tolist() for field in needed["encoder"]] == [[0, 1, 2, 5, 6, 7, 9, 11, 13], [0, 5, 7, 11], [5]]
    assert (needed["decoder"].tolist(), needed["masked"].tolist()) == ([7, 9, 5], [7, 9])
    assert SkeletonMAE("coco17", **SMALL).needed_joints(np.arange(17) == 3) is None  # statistics of all joints


def test_an_empty_second_person_changes_nothing_but_for_rounding_in_the_body_network():
    one, two = (STRLClassifier("coco17", 4, share_people=True, **{**BODY, "num_people": people}) for people in (1, 2))
    for layer in one.layers:
        if layer.weights and "spatial" not in layer.name:
            two.get_layer(layer.name).set_weights(layer.get_weights())
    for index in range(2):
        spatial, other = (net.get_layer(f"spatial_{index}") for net in (one, two))
        for sub in ("encoders", "input_conv", "pooled_conv"):
            pairs = [(getattr(spatial, sub), getattr(other, sub))] if sub != "encoders" else zip(
                spatial.encoders, other.encoders, strict=True)
            for source, target in pairs:
                target.set_weights(source.get_weights())
    x = clips(people=1)
    padded = np.concatenate([x, np.zeros_like(x)], axis=1)
    np.testing.assert_allclose(two.predict(padded, verbose=0), one.predict(x, verbose=0), atol=1e-5)


def test_body_widths_belong_to_the_body_network():
    with pytest.raises(ValueError, match="body_units: expected widths with temporal='body'"):
        STRLClassifier("coco17", 4, **{**TRUNK, "body_units": (8,)})
    with pytest.raises(ValueError, match="expected one for each of 2 temporal modules"):
        STRLClassifier("coco17", 4, **{**BODY, "temporal_strides": (2,)})
    with pytest.raises(ValueError, match="body_streams: expected a selection of"):
        STRLClassifier("coco17", 4, **{**BODY, "body_streams": ("speed",)})
    with pytest.raises(ValueError, match="num_frames: expected an even number"):
        STRLClassifier("coco17", 4, **{**BODY, "num_frames": 7})


def test_motion_over_two_frames_is_seen_by_its_own_stem_alone():
    net = STRLClassifier("coco17", 4, **{**BODY, "body_streams": ("motion2",)})
    x = clips(people=1)
    odd = x.copy()
    odd[:, :, 1::2] = odd[:, :, ::2]  # the frames between; the normalisation would see them
    stem = keras.Model(net.input, net.get_layer("body_motion2").output)
    plain = keras.Model(net.input, net.get_layer("normalize").output)
    xyz = plain.predict(odd, verbose=0)[:, :, ::2]
    np.testing.assert_allclose(stem.predict(odd, verbose=0)[:, :, :-1], np.diff(xyz, axis=2), atol=1e-5)


def test_an_empty_second_person_changes_nothing_but_for_rounding():
    x = clips(people=1)
    one = classifier(num_people=1, share_people=True)
    two = classifier(num_people=2, share_people=True)
    for layer in one.layers:
        weights = {weight.path.partition("spatial_")[2] or weight.path: weight for weight in layer.weights}
        for weight in two.get_layer(layer.name).weights:
            same = weights.get(weight.path.partition("spatial_")[2] or weight.path)
            if same is not None:
                weight.assign(keras.ops.convert_to_numpy(same))  # JAX gives an array away that it may use up
            else:
                assert "interaction" in weight.path  # what a lone person has not got
    padded = np.concatenate([x, np.zeros_like(x)], axis=1)
    np.testing.assert_allclose(two.predict(padded, verbose=0), one.predict(x, verbose=0), atol=1e-5)


def test_the_order_of_people_does_not_matter_with_shared_encoders():
    keras.utils.set_random_seed(0)
    x = clips()
    net = classifier(share_people=True)
    np.testing.assert_allclose(net.predict(x[:, ::-1].copy(), verbose=0), net.predict(x, verbose=0), atol=1e-5)


@pytest.mark.parametrize("x", [
    np.zeros((2, 2, 8, 17, 2), "float32"),
    np.eye(17, dtype="float32")[None, None, :8, :, None] * np.ones((2, 2, 1, 1, 2), "float32")])
def test_empty_and_one_joint_clips_stay_finite(x):
    net = classifier()
    net.compile("sgd", "categorical_crossentropy", jit_compile=JIT)
    history = net.fit(x, np.eye(4)[[0, 1]], epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(net.predict(x, verbose=0)).all()


@pytest.mark.parametrize(("layout", "coordinates", "score"), [
    ("ntu25", 3, False), ("coco17", 2, True), ("hand21", 3, False)])
def test_any_layout_2d_or_3d_with_or_without_score(layout, coordinates, score):
    joints = get_layout(layout).num_joints
    x = clips(2, 1, joints, coordinates + score)
    options = {**SMALL, "num_coordinates": coordinates, "use_score": score, "num_people": 1}
    mae = SkeletonMAE(layout, **options)
    assert tuple(mae.encoder(x).shape) == (2, 1, 8, joints, 8)
    net = STRLClassifier(layout, 3, num_layers=1, encoder=mae.encoder, **options)
    np.testing.assert_allclose(net.predict(x, verbose=0).sum(axis=1), 1, atol=1e-5)


def test_transfer_copies_embedding_and_every_encoder():
    mae = SkeletonMAE("coco17", num_people=1, joint_positions=True, **SMALL)
    net = classifier(joint_positions=True, encoder=mae)
    wanted = mae.get_layer("encoder").get_weights()
    copies = [e for i in range(2) for e in net.get_layer(f"spatial_{i}").encoders]
    assert len(copies) == 4  # two layers, two people
    for copy in copies:
        for one, other in zip(copy.get_weights(), wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    for name in ("joint_embedding", "joint_positions"):
        for one, other in zip(net.get_layer(name).get_weights(), mae.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_transfer_names_what_differs():
    mae = SkeletonMAE("coco17", **{**SMALL, "units": 12})
    with pytest.raises(ValueError, match="expected units = 8, found 12"):
        classifier(encoder=mae)


MODELS = ("STRLAutoencoder", "STRLClassifier", "SkeletonEncoder", "SkeletonMAE")


def make(name):
    if name == "STRLClassifier":
        net = classifier(temporal="each", temporal_strides=(2, 1), readout="pooled+joints", streams=("joint", "motion"))
        net.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=JIT)
        return trained(net, clips(4), np.eye(4))
    if name == "STRLAutoencoder":
        mae = STRLAutoencoder("coco17", **{**TRUNK, "num_people": 2})
    else:
        mae = SkeletonMAE("coco17", streams=("joint", "motion"), **SMALL)
    mae.compile("adam", jit_compile=JIT)
    trained(mae, masked(clips(4)))
    return mae.encoder if name == "SkeletonEncoder" else mae


def outputs(model, name):
    x = clips()
    result = model.predict(masked(x) if isinstance(model.input, dict) else x, verbose=0)
    return result["reconstruction"] if isinstance(result, dict) else result


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of one trained model of each kind, what it is asked and what it answers."""
    folder = tmp_path_factory.mktemp("saved")
    np.savez(folder / "x.npz", **masked(clips()))
    answers = {}
    for name in MODELS:
        model = make(name)
        model.save(folder / f"{name}.keras")
        answers[name] = outputs(model, name), int(model.optimizer.iterations) if model.compiled else 0
    return folder, answers


@pytest.mark.parametrize("order", ["import keras, keras_skelmae", "import keras_skelmae, keras"])
def test_loading_in_a_fresh_process(order, saved, tmp_path):
    folder, answers = saved
    code = (f"{order}\nimport numpy as np, pathlib, sys\n"
            "source = pathlib.Path(sys.argv[1])\n"
            "x = dict(np.load(source / 'x.npz'))\n"
            "for name in sys.argv[2:]:\n"
            "    model = keras.saving.load_model(source / f'{name}.keras', safe_mode=True)\n"
            "    y = model.predict(x if isinstance(model.input, dict) else x['keypoints'], verbose=0)\n"
            "    np.save(f'{name}.npy', y['reconstruction'] if isinstance(y, dict) else y)\n"
            "    print(type(model).__name__, int(model.optimizer.iterations) if model.compiled else 0)")
    done = subprocess.run([sys.executable, "-c", code, str(folder), *MODELS], cwd=tmp_path, capture_output=True,
                          text=True, check=False, env={**os.environ, "KERAS_BACKEND": keras.config.backend()})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [word for name in MODELS for word in (name, str(answers[name][1]))]
    for name, (expected, steps) in answers.items():
        assert steps > 0 or name == "SkeletonEncoder"
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-6)


def test_encoder_equals_the_masked_models_own():
    mae = make("SkeletonMAE")
    x = clips()
    features = keras.Model(mae.inputs, mae.get_layer("encoder").output)
    expected = features.predict({"keypoints": x, "mask": np.zeros(x.shape[:-1], bool)}, verbose=0)
    assert isinstance(mae.encoder, SkeletonEncoder)
    np.testing.assert_allclose(mae.encoder.predict(x, verbose=0), expected, atol=1e-5)
