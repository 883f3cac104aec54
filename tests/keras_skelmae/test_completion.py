"""Pre-training in space and time, joints mapped to another layout, and weights that come with the package."""

import keras
import numpy as np
import pytest

from keras_skelmae.data import completions
from keras_skelmae.losses import motion_error
from keras_skelmae.models import (
    MotionCompletion,
    SkeletonEncoder,
    SkeletonMAE,
    SkeletonPreprocessor,
    STRLBackbone,
    STRLClassifier,
)
from keras_skelmae.models.published import publish
from keras_skelmae.training import finetune, pretrain
from keras_skelmae.training.pretrain import pretraining_model
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.layout_map import layout_map
from skelmae_datasets.runs import published
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.transforms.camera import relative_to_hips

TINY = ("objective=complete", "num_frames=8", "units=4", "temporal_units=[6,6,6]", "temporal_strides=[2,1]")
SMALL = {"temporal": "body", "temporal_units": (8, 8), "temporal_strides": (2,), "num_layers": 1}


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    """Twelve recordings in 3D, y up, of two classes, the second with a tenth of the frames; one without a label."""
    path, rng = tmp_path_factory.mktemp("motion") / "m.h5", np.random.default_rng(0)
    body = rng.normal(0, 0.3, (17, 3))
    with StoreWriter(path, layout="coco17", classes=["long", "short"], channels="xyz") as writer:
        for number in range(12):
            frames, label = (60, 0) if number < 9 else (18, 1 if number < 11 else -1)
            steps = rng.normal(0, 0.02, (1, frames, 17, 3)).cumsum(axis=1)
            writer.append(Sample(f"m{number}", (body + steps + [0, 1, 0]).astype("float32"), label, number))
    with SkeletonStore(path) as opened:
        yield opened


def settings_of(*more):
    return resolve_settings("pretrain", "small", overrides=(*TINY, *more), batch_size=4, epochs=1)


@pytest.mark.parametrize(("camera", "channels"), [("2d", 2), ("3d", 3)])
def test_views_of_recordings_in_3d(motion, camera, channels):
    model = pretraining_model(motion, settings_of(f"camera={camera}"))
    data, again = (completions(motion, "all", model, batch_size=4, seed=3) for _ in range(2))
    (batch,), (same,) = data[0], again[0]
    for key, value in batch.items():
        np.testing.assert_array_equal(value, same[key])
    assert batch["keypoints"].shape == (4, 1, 8, 17, channels) and batch["clean"].shape == (4, 2, 8, 17, 3)
    hips = batch["clean"][..., [11, 12], :].mean(axis=-2)
    np.testing.assert_allclose(hips, 0, atol=1e-5)
    size = np.sqrt(np.square(batch["clean"]).sum(axis=-1).mean(axis=(2, 3)))
    np.testing.assert_allclose(size, 1, rtol=1e-4)
    assert (batch["keypoints"] != batch["other"]).any() and (batch["clean"][:, 0] != batch["clean"][:, 1]).any()
    data.on_epoch_end()
    assert (data[0][0]["keypoints"] != batch["keypoints"]).any()


def test_every_label_is_drawn_as_often(motion):
    data = completions(motion, "all", pretraining_model(motion, settings_of()), batch_size=4)
    drawn = []
    for epoch in range(200):
        data.begin(epoch)
        drawn += [motion.labels[data.items[item][0]] for item in data.order]
    shares = np.bincount(np.array(drawn) + 1) / len(drawn)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)


def test_parts_and_joints_are_hidden_as_often_as_asked(motion):
    model = pretraining_model(motion, settings_of("camera=3d"))
    whole = completions(motion, "all", model, batch_size=4, view={"part_drop": 0.0, "node_drop": 0.0})
    bare = completions(motion, "all", model, batch_size=4, view={"part_drop": 1.0, "node_drop": 0.0})
    parts = [list(part) for part in motion.layout.parts.values()]
    for number in range(len(whole)):
        full, less = (data[number][0]["keypoints"][:, 0].any(axis=-1) for data in (whole, bare))  # (B, T, V)
        for clip, rest in zip(full, less, strict=True):
            gone = [part for part in parts if not rest[:, part].any(axis=-1).all() and clip[:, part].any(axis=-1).all()]
            assert gone, "each lacks a part in some frames"


def test_recordings_in_2d_are_completed_to_themselves(tiny_stores):
    store = tiny_stores["2d"]
    model = pretraining_model(store, settings_of())
    assert model.target_coordinates == 2
    (batch,) = completions(store, "train", model, batch_size=4, view={"part_drop": 0.0, "node_drop": 0.0})[0]
    for row in range(4):
        goal, known = relative_to_hips(batch["keypoints"][row], store.layout)
        np.testing.assert_allclose(batch["clean"][row, 0], goal[0], atol=1e-5)
        np.testing.assert_array_equal(batch["known"][row, 0] > 0, known[0])
    with pytest.raises(DataError, match="channels: expected x, y, z for camera = '3d'"):
        pretraining_model(store, settings_of("camera=3d"))


def test_motion_error_is_the_plain_formula():
    rng = np.random.default_rng(0)
    target, found = rng.normal(size=(2, 3, 5, 4, 3)), rng.normal(size=(2, 3, 5, 4, 3))
    weight = (rng.random((2, 3, 5, 4)) < 0.7).astype("float32")
    position, velocity = (float(value) for value in motion_error(target, found, weight))
    gap, where = found - target, np.argwhere(weight)
    assert position == pytest.approx(np.mean([np.linalg.norm(gap[tuple(place)]) for place in where]), rel=1e-4)
    moves = [
        np.linalg.norm(gap[a, b, t + 1, v] - gap[a, b, t, v])
        for a, b, t, v in where
        if t + 1 < 5 and weight[a, b, t + 1, v]
    ]
    assert velocity == pytest.approx(np.mean(moves), rel=1e-4)
    assert [float(value) for value in motion_error(target, found, 0 * weight)] == [0, 0]


def test_a_model_of_several_people_is_refused(tiny):
    with pytest.raises(ValueError, match="backbone: expected one person"):
        MotionCompletion(tiny.backbone(num_people=2, **SMALL))


def test_labels_that_are_missing_do_not_count(tiny):
    model = MotionCompletion(tiny.backbone(num_people=1, encoder_layers=1, **SMALL), num_classes=3, contrast=0.0)
    x = tiny.views(tiny.clips(people=1))
    given = {"clean": np.zeros((3, 2, 8, 17, 3), "float32"), "known": np.zeros((3, 2, 8, 17), "float32")}

    def loss(label):
        found = model({**x, **given, "label": np.array(label, "int32")}, training=False)
        return float(model.compute_loss(y_pred=found))

    assert loss([-1, -1, -1]) == pytest.approx(0, abs=1e-6)
    assert loss([1, -1, -1]) == pytest.approx(loss([1, 1, 1]), rel=0.5) and loss([1, -1, -1]) > 0.01


@pytest.mark.parametrize("part", ["contrast", "recognition"])
def test_a_part_of_the_loss_without_weight_has_no_variables(part, tiny):
    """What has would get no gradient, and Keras says so at every training."""
    backbone = dict(num_people=1, encoder_layers=1, **SMALL)
    whole = MotionCompletion(tiny.backbone(**backbone), num_classes=3)
    model = MotionCompletion(tiny.backbone(**backbone), num_classes=3, **{part: 0.0})
    names = {"contrast": {"projection_hidden", "projection_norm", "projection"}, "recognition": {"logits"}}[part]
    gone = {layer.name for layer in whole.layers} - {layer.name for layer in model.layers}
    assert {name for name in gone if "dropout" not in name} >= names
    assert len(whole.trainable_variables) - len(model.trainable_variables) == {"contrast": 5, "recognition": 2}[part]
    shapes = {key: value.shape[1:] for key, value in model.output.items()}
    assert ("logits" in shapes) == (part == "contrast") and len(shapes["projection"]) == 2


# === Joints mapped by their names ===


@pytest.mark.parametrize("name", ["ntu25", "kinect20", "mediapipe33", "openpose25", "h36m17"])
def test_a_mapped_backbone_sees_what_the_map_gives(name, tiny):
    keras.utils.set_random_seed(0)
    plain = tiny.backbone(num_people=1, encoder_layers=1, **SMALL)
    own = plain.preprocessor.get_config()
    mapped = SkeletonPreprocessor(**{**own, "layout": name, "graph_layout": "coco17"})
    config = plain.get_config()
    encoder = {**plain.encoder_config, "preprocessor": keras.saving.serialize_keras_object(mapped)}
    other = STRLBackbone.from_config({**config, "encoder": encoder})
    other.set_weights(plain.get_weights())
    x = tiny.clips(people=1, joints=mapped.layout.num_joints)
    x[:, :, 2:5, 4] = 0
    x[1, :, :, -1] = np.nan
    expected = layout_map(name, "coco17").apply(np.nan_to_num(x), ["x", "y"])
    for key, value in plain(expected).items():
        np.testing.assert_allclose(tiny.array(other(x)[key]), tiny.array(value), rtol=1e-4, atol=1e-4)
    assert other.preprocessor.clip_shape[2] == mapped.layout.num_joints
    again = STRLBackbone.from_config(other.get_config())
    assert again.preprocessor.maps_joints and again.preprocessor.graph_layout.name == "coco17"


def test_what_cannot_be_mapped_is_refused(tiny):
    with pytest.raises(DataError, match="hand21 to coco17"):
        SkeletonEncoder(SkeletonPreprocessor("hand21", graph_layout="coco17"))
    with pytest.raises(ValueError, match="expected coordinates alone with another graph_layout"):
        SkeletonPreprocessor("ntu25", ("x", "y", "score"), graph_layout="coco17")
    with pytest.raises(ValueError, match="found a joint map"):
        SkeletonMAE(SkeletonEncoder(SkeletonPreprocessor("ntu25", graph_layout="coco17"), units=4))


# === Weights of the package ===


@pytest.fixture
def weights(tmp_path, monkeypatch, tiny):
    """A backbone that is published in a folder of its own, as "tiny"."""
    keras.utils.set_random_seed(3)
    backbone = tiny.backbone(num_people=1, encoder_layers=1, share_people=True, **SMALL)
    monkeypatch.setattr(published, "WEIGHTS", tmp_path)
    publish(backbone, "tiny", {"recipe": "small", "summary": "random"}, tmp_path)
    return backbone


def test_published_weights_are_those_in_half_precision(weights, tiny):
    again = STRLBackbone.from_preset("tiny")
    for one, other in zip(weights.weights, again.weights, strict=True):
        np.testing.assert_allclose(tiny.array(other.value), tiny.array(one.value), rtol=1e-3, atol=1e-6)
    drawn = STRLBackbone.from_preset("tiny", load_weights=False)
    assert any(
        (tiny.array(a.value) != tiny.array(b.value)).any() for a, b in zip(again.weights, drawn.weights, strict=True)
    )
    with pytest.raises(ValueError, match="tiny: expected no setting that its weights decide, found units"):
        STRLBackbone.from_preset("tiny", units=3)
    with pytest.raises(ValueError, match="expected STRLBackbone or STRLClassifier"):
        SkeletonEncoder.from_preset("tiny")


def test_they_serve_two_people_each_as_alone(weights, tiny):
    two = SkeletonPreprocessor("coco17", ("x", "y"), 8, 2)
    x = tiny.clips(people=2)
    both = tiny.array(STRLBackbone.from_preset("tiny", data=two)(x)["features"])
    alone = STRLBackbone.from_preset("tiny")
    for person in (0, 1):
        # a clip is placed by all of its people
        found = tiny.array(alone(x[:, person : person + 1])["features"])
        assert found.shape == both[:, person : person + 1].shape
    assert not np.isnan(both).any()


def test_they_start_a_fine_tuning_of_other_joints_and_coordinates_are_checked(weights, tiny_stores, tmp_path):
    settings = resolve_settings("finetune", "small", epochs=1, batch_size=4)
    found = finetune(tiny_stores["2d"], "train", "test", tmp_path / "run", settings, pretrained="tiny", verbose=False)
    assert found["pretrained"] == "tiny"
    with pytest.raises(DataError, match=r"channels: expected x, y in pixels as tiny takes"):
        finetune(tiny_stores["3d"], "train", "test", tmp_path / "other", settings, pretrained="tiny", verbose=False)
    net = STRLClassifier.from_preset("tiny", data=tiny_stores["2d"])
    assert net.names == ["a", "b"] and net.preprocessor.num_people == 2


def test_a_pre_training_gives_a_backbone_for_any_start(motion, tiny_stores, tmp_path):
    metrics = pretrain(motion, "all", tmp_path / "pre", settings_of(), verbose=False)
    assert metrics["num_sequences"] == 12 and np.isfinite(metrics["loss"])
    settings = resolve_settings("finetune", "small", overrides=("num_people=1",), epochs=1, batch_size=4)
    run = finetune(tiny_stores["2d"], "train", "test", tmp_path / "run", settings, tmp_path / "pre", verbose=False)
    assert run["pretrained"] == str(tmp_path / "pre")
