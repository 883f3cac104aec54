"""Classifiers of several streams as one."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_skelmae.models import FusedClassifier, STRLClassifier, feature_model
from keras_skelmae.training import fuse
from keras_skelmae.training.runs import load_model
from skelmae_datasets import DataError

SMALL = {"num_frames": 8, "units": 4, "encoder_layers": 1, "num_layers": 1, "num_people": 1, "num_classes": 3,
         "head_units": 0, "share_people": True}
CLIPS = np.random.default_rng(0).normal(300, 50, (3, 1, 8, 17, 2)).astype("float32")


def classifier(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    model = STRLClassifier("coco17", **{**SMALL, **changes})
    rng = np.random.default_rng(seed)  # classes that are told apart, other statistics than at the start
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(np.abs(weight.numpy() if hasattr(weight, "numpy") else weight) +
                          rng.uniform(0.1, 0.5, weight.shape))
    return model


def probabilities(model, clips=CLIPS):
    return keras.ops.convert_to_numpy(model(clips, training=False))


@pytest.fixture(scope="module")
def members():
    return [classifier(0), classifier(1, streams=("bone",)), classifier(2, streams=("motion", "distance"), mirror=True)]


def test_the_weighted_mean_of_the_members_own(members):
    fused = FusedClassifier(members, (2, 1, 1))
    each = np.stack([probabilities(member) for member in members])
    assert np.ptp(each, axis=0).max() > 0.01  # else any weights would do
    np.testing.assert_allclose(probabilities(fused), np.average(each, axis=0, weights=(2, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(probabilities(FusedClassifier(members)), each.mean(axis=0), atol=1e-6)


def test_only_the_proportions_of_weights_matter(members):
    one, other = FusedClassifier(members, (2, 1, 1)), FusedClassifier(members, (20, 10, 10))
    np.testing.assert_allclose(probabilities(one), probabilities(other), atol=1e-6)


def test_members_are_copies(members):
    fused = FusedClassifier(members[:2])
    before = probabilities(fused)
    kept = members[0].get_weights()
    members[0].set_weights([np.zeros_like(weight) for weight in kept])
    np.testing.assert_array_equal(probabilities(fused), before)
    members[0].set_weights(kept)


def test_every_weight_has_a_path_of_its_own(members):
    """Keras zeroes gradients by path with PyTorch: of two weights of one path one would add them up."""
    fused = FusedClassifier(members)
    assert len({weight.path for weight in fused.weights}) == len(fused.weights)


def test_saved_and_loaded_in_a_fresh_process(members, tmp_path):
    fused = FusedClassifier(members, (3, 2, 1))
    fused.save(tmp_path / "fused.keras")
    assert load_model(tmp_path / "fused.keras").get_config() == fused.get_config()
    np.savez(tmp_path / "clips.npz", clips=CLIPS)
    code = ("import sys, numpy as np, keras, keras_skelmae; folder = sys.argv[1]; "
            "model = keras.saving.load_model(folder + '/fused.keras'); "
            "found = model(np.load(folder + '/clips.npz')['clips'], training=False); "
            "np.savez(folder + '/found.npz', found=keras.ops.convert_to_numpy(found))")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "found.npz")["found"], probabilities(fused), atol=1e-6)


@pytest.mark.parametrize(("changes", "key"), [
    ({"num_classes": 4}, "num_classes"), ({"num_frames": 16}, "num_frames"), ({"num_people": 2}, "num_people"),
    ({"use_score": True}, "use_score"), ({"class_names": ["a", "b", "c"]}, "class_names")])
def test_what_differs_is_named(members, changes, key):
    with pytest.raises(ValueError, match=f"expected {key} = .* in number 2"):
        FusedClassifier([members[0], classifier(**changes)])


def test_another_skeleton_is_refused(members):
    other = STRLClassifier("openpose18", **SMALL)
    with pytest.raises(ValueError, match="expected layout = 'coco17', found 'openpose18' in number 2"):
        FusedClassifier([members[0], other])


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -1), (1, float("nan")), (1, float("inf"))])
def test_weights_that_do_not_fit(members, weights):
    with pytest.raises(ValueError, match="weights: expected 2 positive numbers"):
        FusedClassifier(members[:2], weights)


def test_one_is_not_enough(members):
    with pytest.raises(ValueError, match="members: expected two or more"):
        FusedClassifier(members[:1])


def test_no_features_of_its_own(members):
    with pytest.raises(ValueError, match="found 2 fused ones"):
        feature_model(FusedClassifier(members[:2]))


def test_an_output_that_is_there_is_left_alone(members, tmp_path):
    members[0].save(tmp_path / "a.keras")
    members[1].save(tmp_path / "b.keras")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out"):
        fuse([tmp_path / "a.keras", tmp_path / "b.keras"], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_nothing_is_left_of_a_fusion_that_fails(members, tmp_path):
    members[0].save(tmp_path / "a.keras")
    classifier(num_classes=5).save(tmp_path / "b.keras")
    FusedClassifier(members[:2]).save(tmp_path / "c.keras")
    with pytest.raises(DataError, match="b.keras: num_classes: expected 3 as .*a.keras has, found 5"):
        fuse([tmp_path / "a.keras", tmp_path / "b.keras"], tmp_path / "out")
    with pytest.raises(DataError, match="c.keras: model: expected a classifier of one stream, found FusedClassifier"):
        fuse([tmp_path / "a.keras", tmp_path / "c.keras"], tmp_path / "out")
    with pytest.raises(ValueError, match="weights"):
        fuse([tmp_path / "a.keras", tmp_path / "a.keras"], tmp_path / "out", (1, -1))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.keras", "b.keras", "c.keras"]
