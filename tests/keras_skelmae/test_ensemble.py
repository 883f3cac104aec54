"""Classifiers of several streams as one model, and the folder that joins runs."""

import keras
import numpy as np
import pytest

from keras_skelmae.models import Ensemble, load_model
from keras_skelmae.training import fuse
from skelmae_datasets import DataError
from skelmae_datasets.files import file_digest

SMALL = {"units": 4, "encoder_layers": 1, "num_layers": 1, "num_people": 1, "head_units": 0, "share_people": True}


@pytest.fixture(scope="module")
def clips(tiny):
    return tiny.clips(people=1)


@pytest.fixture(scope="module")
def make(tiny):
    """A classifier whose classes are told apart and whose statistics are not those of the start."""

    def made(seed=0, layout="coco17", num_classes=3, **changes):
        keras.utils.set_random_seed(seed)
        model, rng = tiny.classifier(layout, num_classes, **{**SMALL, **changes}), np.random.default_rng(seed)
        weights = model.get_weights()
        model.set_weights([np.abs(weight) + rng.uniform(0.1, 0.5, weight.shape) for weight in weights])
        last = model.get_layer("classifier")
        last.kernel.assign(last.kernel / 1000)  # no class is sure
        return model

    return made


@pytest.fixture(scope="module")
def members(make):
    return [make(0), make(1, streams=("bone",)), make(2, streams=("motion", "distance"))]


@pytest.fixture
def files(members, tmp_path):
    """Two classifiers in a.keras and b.keras."""
    for name, member in zip("ab", members, strict=False):
        member.save(tmp_path / f"{name}.keras")
    return [tmp_path / "a.keras", tmp_path / "b.keras"]


def test_the_weighted_mean_of_the_members_own(members, clips, tiny):
    each = np.stack([tiny.predict(member, clips) for member in members])
    assert np.ptp(each, axis=0).max() > 0.01  # else any weights would do
    found = tiny.predict(Ensemble(members, (2, 1, 1)), clips)
    np.testing.assert_allclose(found, np.average(each, axis=0, weights=(2, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(tiny.predict(Ensemble(members), clips), each.mean(axis=0), atol=1e-6)


def test_only_the_proportions_of_weights_matter(members, clips, tiny):
    one, other = (tiny.predict(Ensemble(members[:2], weights), clips) for weights in [(2, 1), (20, 10)])
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_members_are_copies(members, clips, tiny):
    ensemble = Ensemble(members[:2])
    before, kept = tiny.predict(ensemble, clips), members[0].get_weights()
    members[0].set_weights([np.zeros_like(weight) for weight in kept])
    np.testing.assert_array_equal(tiny.predict(ensemble, clips), before)
    members[0].set_weights(kept)


def test_configs_give_members_of_new_weights(members):
    ensemble = Ensemble([member.get_config() for member in members[:2]])
    for own, given in zip(ensemble.members, members[:2], strict=True):
        assert {**own.get_config(), "name": given.name} == given.get_config()
        pairs = zip(own.get_weights(), given.get_weights(), strict=True)
        assert any(np.abs(one - other).max() > 1e-3 for one, other in pairs)


def test_every_weight_has_a_path_of_its_own(members):
    """Keras zeroes gradients by path with PyTorch: of two weights of one path one would add them up."""
    ensemble = Ensemble(members)
    assert len({weight.path for weight in ensemble.weights}) == len(ensemble.weights)


def test_what_the_members_agree_on_is_the_ensembles(members):
    ensemble = Ensemble(members)
    assert ensemble.preprocessor.get_config() == members[0].preprocessor.get_config()
    assert (ensemble.num_classes, ensemble.names, ensemble.num_members) == (3, ["0", "1", "2"], 3)
    assert [member.backbone.encoder_config["streams"] for member in ensemble.members] == [
        ["joint"],
        ["bone"],
        ["motion", "distance"],
    ]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_classes": 4}, "class_names"),
        ({"num_frames": 16}, "num_frames"),
        ({"num_people": 2}, "num_people"),
        ({"channels": ("x", "y", "score")}, "channels"),
        ({"class_names": ["a", "b", "c"]}, "class_names"),
        ({"sampling": "pyskl"}, "sampling"),
        ({"data_units": "metres"}, "units"),
        ({"normalize": "image"}, "normalize"),
    ],
)
def test_what_differs_is_named(members, make, changes, key):
    with pytest.raises(ValueError, match=f"expected {key} = .* in number 2"):
        Ensemble([members[0], make(**changes)])


def test_another_skeleton_is_refused(members, make):
    with pytest.raises(ValueError, match="expected layout = 'coco17', found 'openpose18' in number 2"):
        Ensemble([members[0], make(layout="openpose18")])


def test_image_sizes_are_the_same_where_recordings_are_scaled_to_them(make):
    sizes = ([240, 320], [480, 640])
    one, other = (make(normalize="image", image_size=size) for size in sizes)
    with pytest.raises(ValueError, match=r"expected image_size = \[240, 320\], found \[480, 640\] in number 2"):
        Ensemble([one, other])
    Ensemble([make(image_size=size) for size in sizes])
    Ensemble([make(normalize="none"), make(normalize="clip")])  # both take coordinates as they are


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -1), (1, float("nan")), (1, float("inf"))])
def test_weights_that_do_not_fit(members, weights):
    with pytest.raises(ValueError, match="weights: expected 2 positive numbers"):
        Ensemble(members[:2], weights)


def test_one_is_not_enough(members):
    with pytest.raises(ValueError, match="members: expected two or more"):
        Ensemble(members[:1])


def test_several_members_have_no_features_in_common(members):
    with pytest.raises(ValueError, match="ensemble: expected a model of its own features, found 2 members"):
        _ = Ensemble(members[:2]).backbone


# === fuse ===


def test_runs_are_fused_with_all_that_they_were_trained_on(files, members, clips, tiny, tmp_path):
    for name, ids in (("one", "s1\ns2\n"), ("two", "s2\ns3\n")):
        (tmp_path / name).mkdir()
        members[0].save(tmp_path / name / "model.keras")
        (tmp_path / name / "train_ids.txt").write_text(ids)
    told = fuse([tmp_path / "one", tmp_path / "two"], tmp_path / "out", (3, 1))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ensemble.json",
        "model.keras",
        "train_ids.txt",
    ]
    assert (tmp_path / "out" / "train_ids.txt").read_text() == "s1\ns2\ns3\n"
    assert told["weights"] == [3.0, 1.0]
    assert told["sha256"] == [file_digest(tmp_path / name / "model.keras") for name in ("one", "two")]
    found = tiny.predict(load_model(tmp_path / "out"), clips)
    np.testing.assert_allclose(found, tiny.predict(members[0], clips), atol=1e-6)


def test_what_counts_mirror_images_counts_them_when_fused(members, files, clips, tiny, tmp_path):
    for sided, name, member in zip(range(2), "cd", members, strict=False):
        Ensemble([member], mirror=True, one_sided=[sided]).save(tmp_path / f"{name}.keras")
    fuse([tmp_path / "c.keras", tmp_path / "d.keras"], tmp_path / "out")
    found = load_model(tmp_path / "out")
    assert found.mirror and found.num_members == 2 and found.one_sided == [0, 1]
    expected = tiny.predict(Ensemble(members[:2], mirror=True, one_sided=[0, 1]), clips)
    np.testing.assert_allclose(tiny.predict(found, clips), expected, atol=1e-6)
    mixed = fuse([tmp_path / "c.keras", files[1]], tmp_path / "other")
    assert (mixed["mirror"], mixed["lost"]) == (False, [str(tmp_path / "c.keras")])
    np.testing.assert_allclose(
        tiny.predict(load_model(tmp_path / "other"), clips), tiny.predict(Ensemble(members[:2]), clips), atol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sampling": "pyskl"}, "sampling: expected 'stretch' as .*a.keras has, found 'pyskl'"),
        ({"data_units": "metres"}, "units: expected 'pixels' as .*a.keras has, found 'metres'"),
        ({"normalize": "image"}, "normalize: expected 'clip' as .*a.keras has, found 'image'"),
    ],
)
def test_members_of_other_clips_are_refused_by_what_their_files_say(files, make, tmp_path, changes, told):
    make(**changes).save(tmp_path / "c.keras")
    with pytest.raises(DataError, match=f"c.keras: {told}"):
        fuse([files[0], tmp_path / "c.keras"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_members_of_other_images_are_refused(make, tmp_path):
    for name, size in (("c", [240, 320]), ("d", [480, 640])):
        make(normalize="image", image_size=size).save(tmp_path / f"{name}.keras")
    with pytest.raises(DataError, match=r"d.keras: image_size: expected \[240, 320\] as .*c.keras has, found \[480,"):
        fuse([tmp_path / "c.keras", tmp_path / "d.keras"], tmp_path / "out")


def test_what_members_saw_before_is_told_of_them_together(members, tmp_path):
    seen = {"one": {"pretrain": "p1\np2\n", "held": "h1\n"}, "two": {"pretrain": "p2\ns1\n"}, "three": {}}
    for name, kinds in seen.items():
        (tmp_path / name).mkdir()
        members[0].save(tmp_path / name / "model.keras")
        for kind, ids in {"train": "s1\n", **kinds}.items():
            (tmp_path / name / f"{kind}_ids.txt").write_text(ids)
    fuse([tmp_path / name for name in seen], tmp_path / "out")
    assert (tmp_path / "out" / "pretrain_ids.txt").read_text() == "p1\np2\ns1\n"
    assert (tmp_path / "out" / "train_ids.txt").read_text() == "s1\n"
    assert not (tmp_path / "out" / "held_ids.txt").exists()  # its temperature is 1


def test_an_output_that_is_there_is_left_alone(files, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out"):
        fuse(files, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_nothing_is_left_of_a_fusion_that_fails(files, members, make, tmp_path):
    make(num_classes=5).save(tmp_path / "c.keras")
    Ensemble(members[:2]).save(tmp_path / "d.keras")
    with pytest.raises(DataError, match="c.keras: class_names: expected .* as .*a.keras has, found"):
        fuse([files[0], tmp_path / "c.keras"], tmp_path / "out")
    with pytest.raises(DataError, match="d.keras: model: expected a classifier of one stream, found Ensemble"):
        fuse([files[0], tmp_path / "d.keras"], tmp_path / "out")
    with pytest.raises(ValueError, match="weights"):
        fuse([files[0], files[0]], tmp_path / "out", (1, -1))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.keras", "b.keras", "c.keras", "d.keras"]
