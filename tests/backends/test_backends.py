"""One file, three backends: what each writes the others read; each in a process where the others do not exist."""

from __future__ import annotations

import json

import numpy as np
import pytest

BACKENDS = ("tensorflow", "jax", "torch")
CLASSES = ("ContrastiveModel", "Ensemble", "STRLBackbone", "STRLClassifier", "SkeletonEncoder", "SkeletonMAE")
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def arrays(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_what_one_backend_saves_another_loads(writer, reader, folder):
    expected, found = arrays(folder / writer / "outputs.npz"), arrays(folder / reader / "read.npz")
    assert set(expected) == set(CLASSES)
    for name in CLASSES:
        # features and reconstructions have no bound of their own, so the larger ones count relatively
        size = max(1, np.abs(expected[name]).max())  # features are larger than probabilities, and so is their rounding
        np.testing.assert_allclose(found[f"{writer}-{name}"], expected[name], rtol=1e-5, atol=1e-5 * size, err_msg=name)
    probabilities = found[f"{writer}-STRLClassifier"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(probabilities, axis=0).max() > 1e-3, "the same answer to everything would prove nothing"


@every_backend
def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(backend, folder):
    expected, found = arrays(folder / backend / "steps.npz"), arrays(folder / backend / "read_steps.npz")
    assert set(expected) == set(found) == set(CLASSES) - {"STRLBackbone", "SkeletonEncoder"}
    for name, weights in expected.items():
        np.testing.assert_allclose(found[name], weights, atol=1e-6, err_msg=name)


@every_backend
def test_a_seed_draws_the_same_batches_and_masks(backend, folder):
    expected, found = arrays(folder / "tensorflow" / "batches.npz"), arrays(folder / backend / "batches.npz")
    assert set(expected) == set(found) and len(expected) == 8
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert (found["masked-0-mask"] != found["masked-1-mask"]).any()


@every_backend
def test_the_commands_run_with_this_backend_alone(backend, folder):
    said = json.loads((folder / backend / "said.json").read_text())
    for name in ("pretrain", "finetune", "evaluate", "predict"):
        assert said[name]["status"] == 0, (name, said[name])
    saved = json.loads((folder / backend / "fine" / "metrics.json").read_text())
    assert saved["versions"]["backend"] == backend and np.isfinite(saved["loss"])
    result = json.loads((folder / backend / "result.json").read_text())
    assert result["top1"] == pytest.approx(saved["val_accuracy"])
    assert sum(json.loads(said["predict"]["output"])[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@every_backend
def test_without_tensorflow_export_says_what_needs_it(backend, folder):
    said = json.loads((folder / backend / "said.json").read_text())["export"]
    if backend == "tensorflow":
        assert said["status"] == 0 and json.loads(said["output"])["max_abs_difference"] <= 1e-5, said
        return
    assert said["status"] == 1, said
    assert said["output"].count("\n") == 1 and "saved-model needs TensorFlow" in said["output"]
    assert "pip install tensorflow" in said["output"]
    assert not (folder / backend / "served").exists()
