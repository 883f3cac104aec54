"""Reconstructions: the read-out, what it may not know, and errors beside the mean pose on real data."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_skelmae.models import SkeletonMAE, STRLAutoencoder
from keras_skelmae.report import reconstruction as module
from keras_skelmae.report.evidence import default_parts, read_reconstruction, training_split, write_reconstruction
from keras_skelmae.report.figures import svg_text
from keras_skelmae.report.readout import fit_ridge
from keras_skelmae.report.reconstruction import own_readout, reconstruct
from keras_skelmae.report.reconstruction_figure import caption, reconstruction_figure
from keras_skelmae.training import pretrain, resolve_config
from skelmae_datasets import DataError, SkeletonStore, convert_ntu, convert_pyskl, get_layout
from skelmae_datasets.masking import part_mask
from skelmae_datasets.synthetic import write_dataset

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PARTS = ("right_arm", "right_leg")
TINY = ("epochs=2", "units=8", "encoder_layers=1", "num_layers=1", "body_units=[8,8]",
        "body_streams=features,motion2", "temporal_strides=[2]",
        "num_frames=8", "batch_size=8", "warmup_epochs=0", "jit=off", "streams=joint")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    write_dataset(folder / "raw", subjects=4, repetitions=1, actions=["wave", "squat", "handshake"], frames=(10, 20))
    convert_ntu(folder / "raw", folder / "s.h5")
    return SkeletonStore(folder / "s.h5")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pre")
    pretrain(store, "xsub_train", folder, resolve_config("pretrain", overrides=TINY), verbose=False)
    return folder


def test_a_ridge_finds_a_linear_map_and_forgets_what_was_not_observed():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 1, 6, 10))
    weights = rng.normal(size=(10, 3, 2))
    positions = np.einsum("bptf,fjk->bptjk", features, weights) + 1
    observed = rng.random((20, 1, 6, 3)) < 0.8
    observed[..., 2] = False
    spoilt = np.where(observed[..., None], positions, 99)
    found = fit_ridge(features, spoilt, observed)(features)
    np.testing.assert_allclose(found[..., :2, :], positions[..., :2, :], atol=0.02)
    np.testing.assert_array_equal(found[..., 2, :], 0)


@pytest.mark.parametrize(("remask", "target", "parts", "own", "word"), [
    (True, "coordinates", PARTS, False, "no visible neighbour of right_wrist, right_ankle"),
    (False, "coordinates", PARTS, True, ""), (True, "coordinates", ("torso",), True, ""),
    (False, "motion", PARTS, False, "reconstructs the motion"), (True, "embedding", PARTS, False, "the embedding")])
def test_the_answer_is_taken_where_the_decoder_can_know(remask, target, parts, own, word):
    layout = get_layout("coco17")
    model = SkeletonMAE("coco17", num_frames=4, units=4, encoder_layers=1, remask=remask, target=target)
    found, why = own_readout(model, layout, part_mask(layout, parts))
    assert found is own and word in why


def test_masked_joints_do_not_reach_the_read_out(store, run):
    """Moving only masked joints about, within the same normalised frame, changes no feature."""
    model = module.load_model(run)
    masked = part_mask(store.layout, PARTS)
    config = model.get_config() | {"normalize": "none"}
    masker = module._Masker(SkeletonMAE.from_config(config), store, masked)
    clips = masker.clip(0)[0]
    moved = clips.copy()
    moved[:, :, :, masked] += 0.3
    one, two = masker.run(clips), masker.run(moved)
    np.testing.assert_allclose(one[2], two[2], atol=1e-5)
    assert not np.allclose(one[0], two[0])


def test_a_reconstruction_says_where_everything_is(store, run, tmp_path):
    found = reconstruct(run, store, PARTS, fit_split="xsub_train")
    split = {store.ids[i] for i in store.select("xsub_train")}
    assert found.sample not in split and found.compared["sequences"] == len(store) - len(split) - 1
    visible = ~found.masked
    people = len(found.keypoints)
    np.testing.assert_allclose(found.positions[..., visible, :], found.keypoints[..., visible, :3], atol=1e-3)
    assert found.positions.shape == (people, 8, 25, 3)
    gap = np.linalg.norm(found.positions - found.keypoints[..., :3], axis=-1)
    assert found.total["error_units"] == pytest.approx(gap[..., found.masked].mean(), rel=1e-3)
    assert [row["joint"] for row in found.joints] == [store.layout.joints[j] for j in np.flatnonzero(found.masked)]
    assert "ridge" in caption(found) and "no visible neighbour" in caption(found).replace("\n", " ")
    write_reconstruction(tmp_path, found)
    again = read_reconstruction(tmp_path)
    pictures = [svg_text(reconstruction_figure(each)) for each in (again, read_reconstruction(tmp_path))]
    assert pictures[0] == pictures[1] and pictures[0].count("frame ") == 6
    assert again.joints == found.joints and (again.masked == found.masked).all()


def test_two_people_and_strides(store, tmp_path):
    overrides = (*TINY, "scope=trunk", "target=motion")
    pretrain(store, "xsub_train", tmp_path, resolve_config("pretrain", overrides=overrides), verbose=False)
    assert isinstance(module.load_model(tmp_path), STRLAutoencoder)
    both = next(store.ids[i] for i in range(len(store)) if store.people[i] == 2)
    found = reconstruct(tmp_path, store, ("left_leg",), sample=both, fit_split="xsub_train")
    assert found.positions.shape == (2, 8, 25, 3) and found.total["frames"] == 2 * 8 * 3
    assert "the model reconstructs the motion" in found.readout
    with pytest.raises(ValueError, match="found 'own' although the model reconstructs the motion"):
        reconstruct(tmp_path, store, ("left_leg",), readout="own")


def test_faults_are_told(store, run, tmp_path):
    with pytest.raises(ValueError, match="parts: expected some of head, .*, found tail"):
        reconstruct(run, store, ("tail",))
    with pytest.raises(ValueError, match="expected one or more to stay visible"):
        reconstruct(run, store, tuple(store.layout.parts))
    with pytest.raises(DataError, match="sample: expected an id such as"):
        reconstruct(run, store, PARTS, sample="nobody")
    with pytest.raises(DataError, match="metrics.json: expected a pre-training run folder"):
        training_split(tmp_path, store)
    (tmp_path / "metrics.json").write_text('{"split": "all", "fingerprint": "0"}')
    with pytest.raises(DataError, match="fingerprint: expected the data .* was trained on, or --fit-split NAME"):
        training_split(tmp_path, store)
    assert training_split(run, store) == "xsub_train" and default_parts(store.layout) == PARTS
    assert default_parts(get_layout("hand21")) == ("pinky",)
    (tmp_path / "reconstruction.json").write_text('{"layout": {}}')
    with pytest.raises(DataError, match="reconstruction.json"):
        read_reconstruction(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="SKELMAE_TEST_DATA: no real recordings here")
@pytest.mark.parametrize(("file", "layout", "split", "target"), [
    ("jhmdb_coco17.pkl", "coco17", "train1", "embedding"),
    ("nwucla_3d.pkl", "kinect20", "xsub5_train_nodup", "motion")])
def test_masked_joints_come_far_nearer_than_the_mean_pose(file, layout, split, target, tmp_path):
    convert_pyskl(DATA / file, tmp_path / "s.h5", layout=layout)
    overrides = ("epochs=2", "num_frames=8", "units=32", "encoder_layers=2", "batch_size=32", f"target={target}",
                 "jit=off", "warmup_epochs=0", "streams=joint")  # fmt: skip
    with SkeletonStore(tmp_path / "s.h5") as store:
        pretrain(store, split, tmp_path / "run", resolve_config("pretrain", overrides=overrides), verbose=False)
        found = reconstruct(tmp_path / "run", store, PARTS, fit_split=split)
        wrong = np.array([row["error"] / row["mean_pose"] for row in found.joints])
        ratio = found.compared["error"] / found.compared["mean_pose"]
    assert found.compared["sequences"] == 100
    assert ratio < 0.72, (ratio, wrong)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="SKELMAE_TEST_DATA: no real recordings here")
def test_the_small_recipe_reconstructs_on_nwucla(tmp_path):
    convert_pyskl(DATA / "nwucla_3d.pkl", tmp_path / "s.h5", layout="kinect20")
    with SkeletonStore(tmp_path / "s.h5") as store:
        pretrain(store, "xsub5_train_nodup", tmp_path / "run", resolve_config("pretrain"), verbose=False)
        found = reconstruct(tmp_path / "run", store, PARTS, fit_split="xsub5_train_nodup")
    assert found.compared["error"] < 0.65 * found.compared["mean_pose"]
