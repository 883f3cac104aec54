"""Presets: a name and a store give a model; a setting goes to the part that has an argument of its name."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_skelmae as ks
from keras_skelmae.models import (
    ContrastiveModel,
    Ensemble,
    SkeletonEncoder,
    SkeletonMAE,
    SkeletonPreprocessor,
    STRLBackbone,
    STRLClassifier,
)
from skelmae_datasets import DataError, get_layout
from skelmae_datasets.runs.settings import PRESETS, read_preset

KINDS = (SkeletonEncoder, SkeletonMAE, STRLBackbone, STRLClassifier, ContrastiveModel)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_presets_are_listed_by_every_class(preset, kind):
    assert kind.presets[preset] == PRESETS[preset]


@pytest.mark.parametrize("store", ["2d", "3d"])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_name_and_a_store_are_enough(preset, store, tiny_stores):
    values, data = read_preset(preset), tiny_stores[store]
    net = STRLClassifier.from_preset(preset, data=data)
    assert net.output_shape == (None, 2) and net.names == ["a", "b"]
    found, backbone = net.preprocessor, net.backbone
    assert found.layout == data.layout and found.channels == list(data.channels) and found.units == data.units
    assert found.clip_shape[:2] == (2, values["num_frames"])
    assert found.normalize == "clip"
    assert backbone.units == values["units"] and backbone.num_layers == values["num_layers"]
    assert backbone.encoder_config["encoder_layers"] == values["encoder_layers"]
    assert backbone.temporal_units == list(values.get("temporal_units", ()))
    assert net.time_pooling == values.get("time_pooling", "mean")


@pytest.mark.parametrize("store", ["2d", "3d"])
@pytest.mark.parametrize("kind", [SkeletonEncoder, SkeletonMAE, STRLBackbone, ContrastiveModel])
def test_a_name_and_a_store_are_enough_for_other_classes(kind, store, tiny_stores):
    model = kind.from_preset("small", data=tiny_stores[store])
    assert type(model) is kind
    assert model.preprocessor.layout == tiny_stores[store].layout
    if kind is SkeletonMAE:
        assert model.num_people == 1, "every person is a clip of its own"
    else:
        assert model.preprocessor.num_people == 2


def test_settings_go_to_the_part_that_takes_them(tiny_stores):
    settings = {
        "num_frames": 16,  # preprocessor
        "num_people": 1,
        "use_score": True,
        "normalize": "none",
        "units": 8,  # encoder
        "graph_conv": "gcn",
        "streams": ["bone"],
        "temporal_units": [8, 4],  # backbone
        "temporal_strides": [2],
        "dropout_rate": 0.25,  # classifier
        "num_classes": 7,
        "name": "mine",
    }
    net = STRLClassifier.from_preset("small", data=tiny_stores["score"], **settings)
    assert net.preprocessor.clip_shape == (1, 16, 17, 3) and net.preprocessor.normalize == "none"
    encoder = net.backbone.encoder_config
    assert (encoder["units"], encoder["graph_conv"], encoder["streams"]) == (8, "gcn", ["bone"])
    assert (net.backbone.temporal_units, net.backbone.temporal_strides) == ([8, 4], [2])
    assert (net.dropout_rate, net.num_classes, net.names[0], net.name) == (0.25, 7, "0", "mine")
    assert net.time_pooling == read_preset("small")["time_pooling"], "the rest is the preset's"


def test_a_part_can_be_given(tiny_stores, tiny):
    encoder = SkeletonEncoder.from_preset("small", data=tiny_stores["2d"], units=8)
    assert SkeletonMAE.from_preset("small", data=tiny_stores["2d"], encoder=encoder).encoder is encoder
    options = {"temporal": "last", "temporal_strides": [], "temporal_units": []}
    backbone = STRLBackbone.from_preset("small", data=tiny_stores["2d"], encoder=encoder, **options)
    assert backbone.units == 8
    net = STRLClassifier.from_preset("small", data=tiny_stores["2d"], backbone=backbone)
    assert net.backbone is backbone


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (STRLClassifier, "colour"),
        (SkeletonEncoder, "num_layers"),
        (SkeletonMAE, "temporal_units"),
        (STRLBackbone, "target"),
    ],
)
def test_unknown_settings_are_refused(kind, setting, tiny_stores):
    with pytest.raises(ValueError, match=f"{setting}: expected a setting of {kind.__name__} or its parts"):
        kind.from_preset("small", data=tiny_stores["2d"], **{setting: 1})


@pytest.mark.parametrize("setting", ["colour", "units", "num_frames", "backbone"])
def test_settings_that_published_weights_decide_are_refused(setting, tiny_stores):
    with pytest.raises(ValueError, match=f"coco17-motion: expected settings of the classifier alone, found {setting}"):
        STRLClassifier.from_preset("coco17-motion", data=tiny_stores["2d"], **{setting: 1})


def test_a_name_without_data_is_told(tiny):
    with pytest.raises(ValueError, match="data: expected a SkeletonStore or a SkeletonPreprocessor, found None"):
        SkeletonEncoder.from_preset("small")
    with pytest.raises(ValueError, match="num_classes: expected it, or a store as data, found SkeletonPreprocessor"):
        STRLClassifier.from_preset("small", data=tiny.preprocessor(), units=8)


def test_the_scope_of_two_views_is_a_setting_of_their_model(tiny_stores):
    data, small = tiny_stores["2d"], {"num_frames": 16, "units": 8, "projection_units": 4}
    whole = ContrastiveModel.from_preset("small", data=data, **small)
    assert isinstance(whole.backbone, STRLBackbone) and whole.output_shape == (None, 2, 4)
    assert isinstance(ContrastiveModel.from_settings({**small, "scope": "encoder"}, data).backbone, SkeletonEncoder)


def test_what_a_change_leaves_without_effect_is_left_out(tiny_stores):
    backbone = STRLBackbone.from_preset("small", data=tiny_stores["2d"], temporal="last", units=8)
    assert (backbone.temporal, backbone.temporal_units, backbone.temporal_strides) == ("last", [], [])


def test_an_ensemble_has_no_architecture_of_its_own(tiny_stores):
    assert Ensemble.presets == {}
    with pytest.raises(DataError, match="small: model.keras: expected a run folder or a .keras file"):
        Ensemble.from_preset("small", data=tiny_stores["2d"])


def test_a_preprocessor_can_stand_for_a_store(tiny):
    encoder = SkeletonEncoder.from_preset("small", data=SkeletonPreprocessor("ntu25", ("x", "y", "z"), 7))
    assert encoder.preprocessor.clip_shape == (2, 7, 25, 3) and encoder.units == read_preset("small")["units"]


def test_a_folder_decides_and_the_data_are_checked(tiny, tiny_stores, tmp_path):
    net = tiny.classifier(num_layers=1)
    net.save_to_preset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    again = STRLClassifier.from_preset(tmp_path, data=tiny_stores["2d"])
    assert again.get_config() == net.get_config()
    with pytest.raises(ValueError, match="and no further settings, found units, which the folder decides"):
        STRLClassifier.from_preset(tmp_path, units=8)
    with pytest.raises(DataError, match="layout: expected coco17 in 2D"):
        STRLClassifier.from_preset(tmp_path, data=tiny_stores["3d"])
    with pytest.raises(ValueError, match="expected a folder with a SkeletonEncoder .*found a STRLClassifier"):
        SkeletonEncoder.from_preset(tmp_path)
    with pytest.raises(DataError, match="a run folder or a .keras file"):
        STRLClassifier.from_preset(tmp_path / "nothing")


def test_a_mirrored_classifier_gives_its_backbone(tiny, tmp_path):
    net = tiny.classifier(num_layers=1, share_people=True)
    Ensemble([net], mirror=True).save_to_preset(tmp_path)
    found = STRLBackbone.from_preset(tmp_path)
    assert found.get_config() == net.backbone.get_config()
    x = tiny.clips(2)
    one, two = (each.for_people(3)(np.concatenate([x, x[:, :1]], axis=1)) for each in (found, net.backbone))
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(each["features"]) for each in (one, two)), atol=1e-5)


def test_other_edges_of_the_same_joints_are_saved(tmp_path):
    """A network keeps the graph it was made for where the recordings' layout has another."""
    chain = get_layout("coco17")
    star = type(chain).from_dict(
        {**chain.to_dict(), "name": "star", "edges": [[j, 0] for j in range(1, 17)], "bones": []}
    )
    encoder = SkeletonEncoder(SkeletonPreprocessor(star, num_frames=4, num_people=1, graph_layout=chain), units=8)
    encoder.save_to_preset(tmp_path)
    found = SkeletonEncoder.from_preset(tmp_path)
    assert found.graph.edges == encoder.graph.edges and found.preprocessor.layout.edges == star.edges
    backbone = STRLBackbone.from_published("coco17-motion", SkeletonPreprocessor(star, num_frames=32, num_people=1))
    assert backbone.preprocessor.graph_layout.edges == chain.edges


def test_a_model_with_the_packages_sgd_is_loaded_again(tiny, tmp_path):
    net = tiny.classifier(num_layers=1)
    net.compile(ks.optimizers.SGD(0.1), "categorical_crossentropy")
    net.save(tmp_path / "m.keras")
    code = "import keras, keras_skelmae, sys; print(keras.saving.load_model(sys.argv[1]).optimizer.l2)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.keras"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split()[-1] == "0.0", done.stderr
