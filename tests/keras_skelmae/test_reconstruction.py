"""Reconstructions: the read-out, what it may not know, and errors beside the mean pose on real data."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_skelmae.models import SkeletonEncoder, SkeletonMAE, SkeletonPreprocessor, load_model
from keras_skelmae.report.evidence import read_reconstruction, write_reconstruction
from keras_skelmae.report.readout import fit_ridge
from keras_skelmae.report.reconstruction import _affine, _Masker, reconstruct, takes_answer
from keras_skelmae.report.reconstruction_figure import caption, reconstruction_figure
from keras_skelmae.training import pretrain
from skelmae_datasets import DataError, SkeletonStore, convert_pyskl, get_layout
from skelmae_datasets.pictures.figures import svg_text
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.runs.splits import training_split
from skelmae_datasets.transforms.masking import default_parts, part_mask

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PARTS = ("right_arm", "right_leg")


@pytest.fixture(scope="module")
def store(runs):
    with SkeletonStore(runs / "s.h5") as opened:
        yield opened


@pytest.fixture(scope="module")
def run(runs):
    return runs / "pre"


def test_a_ridge_finds_a_linear_map_and_forgets_what_was_not_observed():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 6, 10))
    weights = rng.normal(size=(10, 3, 2))
    positions = np.einsum("btf,fjk->btjk", features, weights) + 1
    observed = rng.random((20, 6, 3)) < 0.8
    observed[..., 2] = False
    spoilt = np.where(observed[..., None], positions, 99)
    found = fit_ridge(features, spoilt, observed)(features)
    np.testing.assert_allclose(found[..., :2, :], positions[..., :2, :], atol=0.02)
    np.testing.assert_array_equal(found[..., 2, :], 0)
    nobody = fit_ridge(features, spoilt, np.zeros_like(observed))(features)
    np.testing.assert_array_equal(nobody, 0)


@pytest.mark.parametrize(
    ("remask", "target", "parts", "own", "word"),
    [
        ("token", "coordinates", PARTS, False, "no visible neighbour of right_wrist, right_ankle"),
        ("context", "coordinates", PARTS, True, ""),
        ("none", "coordinates", PARTS, True, ""),
        ("token", "coordinates", ("torso",), True, ""),
        ("none", "motion", PARTS, False, "reconstructs the motion"),
        ("context", "embedding", PARTS, False, "the embedding"),
    ],
)
def test_the_answer_is_taken_where_the_decoder_can_know(remask, target, parts, own, word):
    model = SkeletonMAE(SkeletonEncoder("coco17", units=4, encoder_layers=1), remask=remask, target=target)
    masked = part_mask(get_layout("coco17"), parts)
    found, why = takes_answer(model, masked)
    assert found is own and word in why
    assert takes_answer(model, masked, "ridge") == (False, why or "it was asked for")
    if target == "coordinates":
        assert takes_answer(model, masked, "own")[0]


def test_masked_joints_do_not_reach_the_read_out(store, run):
    """Moving only masked joints about, within the same normalised frame, changes no feature."""
    model = load_model(run)
    masked = part_mask(store.layout, PARTS)
    raw = SkeletonPreprocessor(**{**model.preprocessor.get_config(), "normalize": "none"})
    masker = _Masker(SkeletonMAE(SkeletonEncoder(raw, units=8)), store, masked)
    clips = masker.clip(0)
    moved = clips.copy()
    moved[:, :, masked] += 0.3
    one, two = masker.through(clips), masker.through(moved)
    np.testing.assert_allclose(one.features, two.features, atol=1e-5)
    assert not np.allclose(one.placed, two.placed)


def test_positions_go_back_to_the_units_of_the_recording(store, run):
    clips = _Masker(load_model(run), store, part_mask(store.layout, PARTS)).run(np.arange(len(store)))
    assert len(clips.placed) == store.people.sum()
    scale, offset = _affine(clips)
    back = np.where(clips.observed[..., None], clips.placed * scale + offset, 0)
    np.testing.assert_allclose(back, clips.recorded, atol=1e-4)
    alone = clips._replace(observed=np.zeros_like(clips.observed))
    assert np.isfinite(_affine(alone)).all()


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
    assert "own answer" in caption(found)
    write_reconstruction(tmp_path, found)
    again = read_reconstruction(tmp_path)
    pictures = [svg_text(reconstruction_figure(each)) for each in (again, read_reconstruction(tmp_path))]
    assert pictures[0] == pictures[1] and pictures[0].count("frame ") == 6
    assert again.joints == found.joints and (again.masked == found.masked).all()
    np.testing.assert_array_equal(again.frames, found.frames)
    np.testing.assert_allclose(again.positions, found.positions, rtol=1e-4, atol=1e-6)


def test_two_people_are_a_clip_each(store, tiny_settings, tmp_path):
    pretrain(store, "xsub_train", tmp_path, tiny_settings("pretrain", "target=motion", "epochs=1"), verbose=False)
    both = next(store.ids[i] for i in range(len(store)) if store.people[i] == 2)
    found = reconstruct(tmp_path, store, ("left_leg",), sample=both, fit_split="xsub_train")
    joints = len(store.layout.parts["left_leg"])
    assert found.positions.shape == (2, 8, 25, 3) and found.total["frames"] == 2 * 8 * joints
    assert "the model reconstructs the motion" in found.readout
    with pytest.raises(ValueError, match="found 'own' although the model reconstructs the motion"):
        reconstruct(tmp_path, store, ("left_leg",), readout="own")


def test_faults_are_told(store, run, runs, tiny, tmp_path):
    with pytest.raises(ValueError, match="parts: expected some of head, .*, found tail"):
        reconstruct(run, store, ("tail",))
    with pytest.raises(ValueError, match="expected one or more to stay visible"):
        reconstruct(run, store, tuple(store.layout.parts))
    with pytest.raises(ValueError, match="readout: expected one of auto, own, ridge, found 'lines'"):
        reconstruct(run, store, PARTS, readout="lines")
    with pytest.raises(DataError, match="sample: expected an id such as"):
        reconstruct(run, store, PARTS, sample="nobody")
    with pytest.raises(DataError, match="model: expected a masked autoencoder of one person"):
        reconstruct(runs / "fine", store, PARTS)
    with pytest.raises(DataError, match="s.h5: layout: expected coco17 in 2D, as the model takes, found ntu25"):
        reconstruct(tiny.mae(), store, PARTS)
    with pytest.raises(DataError, match="metrics.json: expected a pre-training run folder"):
        training_split(tmp_path, store)
    (tmp_path / "metrics.json").write_text('{"train_split": "all", "fingerprint": "0"}')
    with pytest.raises(DataError, match="fingerprint: expected the data .* was trained on, or --fit-split NAME"):
        training_split(tmp_path, store)
    assert training_split(run, store) == "xsub_train" and default_parts(store.layout) == PARTS
    assert default_parts(get_layout("hand21")) == ("pinky",)
    (tmp_path / "reconstruction.json").write_text('{"layout": {}}')
    with pytest.raises(DataError, match="reconstruction.json"):
        read_reconstruction(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason="SKELMAE_TEST_DATA: no real recordings here")
@pytest.mark.parametrize(
    ("file", "layout", "split", "target"),
    [
        ("jhmdb_coco17.pkl", "coco17", "train1", "embedding"),
        ("nwucla_3d.pkl", "kinect20", "xsub5_train_nodup", "motion"),
    ],
)
def test_masked_joints_come_far_nearer_than_the_mean_pose(file, layout, split, target, tiny_settings, tmp_path):
    convert_pyskl(DATA / file, tmp_path / "s.h5", layout=layout)
    sizes = ("epochs=2", "units=32", "encoder_layers=2", "batch_size=32")
    with SkeletonStore(tmp_path / "s.h5") as store:
        pretrain(store, split, tmp_path / "run", tiny_settings("pretrain", *sizes, f"target={target}"), verbose=False)
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
        pretrain(store, "xsub5_train_nodup", tmp_path / "run", resolve_settings("pretrain"), verbose=False)
        found = reconstruct(tmp_path / "run", store, PARTS, fit_split="xsub5_train_nodup")
    assert found.compared["error"] < 0.9 * found.compared["mean_pose"]
