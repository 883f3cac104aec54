"""Mirrored recognition: the model's own arithmetic, the rule that turns it on, and what a file of it keeps."""

import keras
import numpy as np
import pytest

from keras_skelmae.models import STRLClassifier
from keras_skelmae.training.feeding import SequenceSource
from keras_skelmae.training.mirroring import classes_are_symmetric, keep_their_class
from skelmae_datasets import Sample, SkeletonStore
from skelmae_datasets.layouts import get_layout
from skelmae_datasets.store import StoreWriter
from skelmae_datasets.transforms import random_flip

SMALL = {"num_frames": 4, "units": 8, "encoder_layers": 1, "num_layers": 1, "num_people": 2}


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    plain = STRLClassifier("coco17", 3, **SMALL)
    mirrored = STRLClassifier("coco17", 3, mirror=True, **SMALL)
    mirrored.set_weights(plain.get_weights())
    return plain, mirrored


def clips(seed=0):
    x = np.random.default_rng(seed).normal(200, 40, (5, 2, 4, 17, 2)).astype("float32")
    x[0, 1] = x[1, 0, 2, 5] = 0  # a person, a joint that is not there
    return x


def predict(model, x, training=False):
    return keras.ops.convert_to_numpy(model(x, training=training))


def test_the_mean_of_a_clip_and_its_mirror_image(models):
    plain, mirrored = models
    x = clips()
    flipped = random_flip(x, np.random.default_rng(0), get_layout("coco17"), 1.0)  # about the centroid, in NumPy
    wanted = (predict(plain, x) + predict(plain, flipped)) / 2
    np.testing.assert_allclose(predict(mirrored, x), wanted, atol=2e-5)
    np.testing.assert_allclose(predict(mirrored, flipped), predict(mirrored, x), atol=2e-5)
    assert abs(predict(plain, flipped) - predict(plain, x)).max() > 1e-3
    np.testing.assert_allclose(predict(mirrored, x, True), predict(plain, x, True), atol=1e-6)  # not while training


def test_a_file_keeps_it_and_other_normalisations_refuse_it(models, tmp_path):
    _, mirrored = models
    mirrored.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.mirror is True
    np.testing.assert_allclose(again.predict_on_batch(clips()), predict(mirrored, clips()), atol=1e-5)
    with pytest.raises(ValueError, match="mirror: expected False with normalize='image', found True"):
        STRLClassifier("coco17", 3, mirror=True, normalize="image", **SMALL)


@pytest.mark.parametrize(("found", "symmetric"), [
    ([0, 0, 1, 1, 2, 2], True), ([0, 1, 1, 1, 2, 0], True), ([1, 1, 2, 2, 2, 2], False),  # 1/3 keep their class
    ([1, 1, 0, 0, 2, 2], False), ([0, 0, 2, 2, 2, 2], True)])
def test_the_rule(found, symmetric):
    assert keep_their_class(np.array([0, 0, 1, 1, 2, 2]), np.array(found)) is symmetric


def test_two_classes_that_change_places_are_enough(rows=20):
    labels = np.repeat(np.arange(rows), 2)
    found = labels.copy()
    assert keep_their_class(labels, found)
    found[:4] = [1, 1, 0, 0]
    assert not keep_their_class(labels, found)


@pytest.mark.parametrize(("names", "symmetric"), [(("left_wrist", "right_wrist"), False), (("nose", "both"), True)])
def test_asked_of_a_classifier(names, symmetric, tmp_path):
    """One that looks which wrist is high is told from one that looks at the nose."""
    layout, rng = get_layout("coco17"), np.random.default_rng(1)
    joints = [[layout.joints.index(name)] if name != "both" else [9, 10] for name in names]
    with StoreWriter(tmp_path / "s.h5", layout=layout, classes=names, channels=("x", "y"), units="pixels") as writer:
        for number in range(20):
            x = rng.normal(100, 1, (1, 6, 17, 2)).astype("float32")
            x[:, :, joints[number % 2], 1] += 50
            writer.append(Sample(f"s{number}", x, number % 2))

    class Looks:
        normalize, num_frames, num_people, use_score = "clip", 4, 1, False

        def predict_on_batch(self, x):
            high = [x[:, 0, 0, group, 1].mean(axis=-1) for group in joints]
            return np.stack(high, axis=-1)

    Looks.layout = layout
    with SkeletonStore(tmp_path / "s.h5") as store:
        assert classes_are_symmetric(Looks(), SequenceSource(store), np.arange(20)) is symmetric
