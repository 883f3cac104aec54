"""Mirrored recognition: the model's own arithmetic, the rule that turns it on, and what a file of it keeps."""

import numpy as np
import pytest

from keras_skelmae.data import SequenceSource
from keras_skelmae.models import Ensemble, SkeletonPreprocessor, load_model
from keras_skelmae.training.mirroring import judge_mirror, mirror_by, names_a_side
from skelmae_datasets import Sample, SkeletonStore, StoreWriter, get_layout
from skelmae_datasets.transforms.augmentation import random_flip

SMALL = {"num_frames": 4, "encoder_layers": 1, "num_layers": 1, "head_units": 0}


@pytest.fixture(scope="module")
def plain(tiny):
    return tiny.classifier(normalization="layer", **SMALL)


@pytest.fixture(scope="module")
def clips(tiny):
    x = tiny.clips(5, frames=4)
    x[0, 1] = x[1, 0, 2, 5] = 0  # a person, a joint that is not there
    return x


def flipped(x):
    return random_flip(x, np.random.default_rng(0), get_layout("coco17"), 1.0)  # about the centroid, in NumPy


def test_the_mean_of_a_clip_and_its_mirror_image(plain, clips, tiny):
    mirrored = Ensemble([plain], mirror=True)
    one, other = tiny.predict(plain, clips), tiny.predict(plain, flipped(clips))
    np.testing.assert_allclose(tiny.predict(mirrored, clips), (one + other) / 2, atol=2e-5)
    np.testing.assert_allclose(tiny.predict(mirrored, flipped(clips)), tiny.predict(mirrored, clips), atol=2e-5)
    assert abs(one - other).max() > 1e-3
    assert mirrored.backbone.get_config() == plain.backbone.get_config() and mirrored.names == plain.names


def test_the_mirror_image_of_a_one_sided_class_does_not_count(plain, clips, tiny, tmp_path):
    """By as much as the clip is taken for one, by so much less counts its mirror image."""
    mirrored = Ensemble([plain], mirror=True, one_sided=[2, 0])
    one, other = tiny.predict(plain, clips), tiny.predict(plain, flipped(clips))
    part = one[:, [0, 2]].sum(axis=1, keepdims=True)
    expected = part * one + (1 - part) * (one + other) / 2
    np.testing.assert_allclose(tiny.predict(mirrored, clips), expected, atol=2e-5)
    mirrored.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    assert again.one_sided == [0, 2]
    np.testing.assert_allclose(tiny.predict(again, clips), expected, atol=2e-5)
    everything = Ensemble([plain], mirror=True, one_sided=range(plain.num_classes))
    np.testing.assert_allclose(tiny.predict(everything, clips), one, atol=2e-5)


@pytest.mark.parametrize(("mirror", "sided"), [(True, [99]), (True, [-1]), (False, [0])])
def test_one_sided_classes_are_checked(plain, mirror, sided):
    with pytest.raises(ValueError, match="one_sided: expected"):
        Ensemble([plain, plain], mirror=mirror, one_sided=sided)


def test_several_members_are_mirrored_with_their_weights(plain, clips, tiny):
    second = tiny.classifier(streams=("bone",), normalization="layer", **SMALL)
    each = [(tiny.predict(net, clips) + tiny.predict(net, flipped(clips))) / 2 for net in (plain, second)]
    found = tiny.predict(Ensemble([plain, second], (3, 1), mirror=True), clips)
    np.testing.assert_allclose(found, np.average(each, axis=0, weights=(3, 1)), atol=2e-5)


def test_a_file_keeps_it_and_other_normalisations_refuse_it(plain, clips, tiny, tmp_path):
    mirrored = Ensemble([plain], mirror=True)
    mirrored.save_to_preset(tmp_path)
    again = load_model(tmp_path)
    assert again.mirror is True
    np.testing.assert_allclose(tiny.predict(again, clips), tiny.predict(mirrored, clips), atol=1e-5)
    with pytest.raises(ValueError, match="mirror: expected False with normalize = image, found True"):
        Ensemble([tiny.classifier(normalize="image", **SMALL)], mirror=True)


@pytest.mark.parametrize(
    ("found", "sided"),
    [
        ([0, 0, 1, 1, 2, 2], []),
        ([0, 1, 1, 1, 2, 0], []),
        ([1, 1, 2, 2, 2, 2], None),  # 1/3 keep their class
        ([1, 1, 0, 0, 2, 2], None),
        ([0, 0, 2, 2, 2, 2], [1]),  # the second is told by its hand
        ([0, 0, 2, 1, 2, 2], []),
    ],
)
def test_the_rule(found, sided):
    expected = {} if sided is None else {"mirror": True, "one_sided": sided}
    assert mirror_by(np.array([0, 0, 1, 1, 2, 2]), np.array(found)) == expected


def test_two_classes_that_change_places_are_enough(rows=20):
    labels = np.repeat(np.arange(rows), 2)
    found = labels.copy()
    assert mirror_by(labels, found) == {"mirror": True, "one_sided": []}
    found[:4] = [1, 1, 0, 0]
    assert mirror_by(labels, found) == {}


@pytest.mark.parametrize(("names", "symmetric"), [(("left_wrist", "right_wrist"), False), (("nose", "both"), True)])
def test_asked_of_a_classifier(names, symmetric, tmp_path):
    """One that looks which wrist is high is told from one that looks at the nose."""
    layout, rng = get_layout("coco17"), np.random.default_rng(1)
    joints = [[layout.joints.index(name)] if name != "both" else [9, 10] for name in names]
    with StoreWriter(tmp_path / "s.h5", layout=layout, classes=("one", "other"), channels=("x", "y")) as writer:
        for number in range(20):
            x = rng.normal(100, 1, (1, 6, 17, 2)).astype("float32")
            x[:, :, joints[number % 2], 1] += 50
            writer.append(Sample(f"s{number}", x, number % 2))

    class Looks:
        names = ("one", "other")
        preprocessor = SkeletonPreprocessor(layout, num_frames=4, num_people=1)

        def predict_on_batch(self, x):
            high = [x[:, 0, 0, group, 1].mean(axis=-1) for group in joints]
            return np.stack(high, axis=-1)

    with SkeletonStore(tmp_path / "s.h5") as store:
        assert bool(judge_mirror(Looks(), SequenceSource(store), np.arange(20))) is symmetric
        Looks.names = ("one", "to the left")
        assert judge_mirror(Looks(), SequenceSource(store), np.arange(20)) == {}


@pytest.mark.parametrize("options", [{"normalize": "image"}, {"layout": "without"}])
def test_what_cannot_be_mirrored_is_not_asked(options):
    class Blind:
        pass

    layout = get_layout("coco17")
    sides = (
        {"layout": {**layout.to_dict(), "mirror_pairs": []}} if "layout" in options else {"layout": layout, **options}
    )
    Blind.preprocessor = SkeletonPreprocessor(**sides)
    assert judge_mirror(Blind(), None, None) == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["wave", "squat"], False),
        (["wave_right", "squat"], True),
        (["Raise Left Arm", "squat"], True),
        (["RightPunch", "jump"], True),
        (["KICK-LEFT", "jump"], True),
        (["lefthand up", "jump"], True),
        (["bright light", "copyright", "cleft"], False),
        (["punch l", "punch r"], True),
        (["punch l", "kick r"], False),
        (["l", "m"], False),
    ],
)
def test_a_class_called_after_a_side_is_noticed(names, expected):
    assert names_a_side(names) is expected
