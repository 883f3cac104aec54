"""Files that an earlier state wrote load in this one and answer the same: the policy of docs/files.md."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_skelmae.models import STRLClassifier, load_model
from skelmae_datasets import SkeletonStore

HERE = Path(__file__).parent
STATES = sorted(path.name for path in HERE.iterdir() if path.is_dir() and (path / "store.h5").exists())
OLDEST = HERE.parents[1] / ".venv" / "keras-oldest"  # where `make test-oldest` puts it
sys.path.insert(0, str(HERE))

from make import CLASSES, answers  # noqa: E402


def test_there_are_golden_files():
    assert "first" in STATES


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", ["autoencoder", "classifier", "ensemble", "residual"])
def test_a_model_of_an_earlier_state_answers_the_same(state, name):
    found = answers(load_model(HERE / state / f"{name}.keras"))
    with np.load(HERE / state / f"{name}.npz") as wanted:
        assert set(found) == set(wanted)
        for key in wanted:
            np.testing.assert_allclose(found[key], wanted[key], rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("state", STATES)
def test_a_preset_and_a_store_of_an_earlier_state(state):
    net = STRLClassifier.from_preset(HERE / state / "preset")
    assert net.names == CLASSES and net.preprocessor.layout.name == "coco17"
    with SkeletonStore(HERE / state / "store.h5") as store:
        store.verify()
        assert store.ids == ["clip0", "clip1", "clip2"] and store.labels.tolist() == [0, 1, 2]
        assert list(store.select("val")) == [2] and store.image_size[0].tolist() == [480, 640]
        x = store.read(1)
    assert x.shape == (2, 5, 17, 3) and x[1, 2, 3, 0] == np.float32(100 + 10 * np.sin(1 + ((5 + 2) * 17 + 3) * 3))


SAVE = "import sys; sys.path.insert(0, sys.argv[1]); import make; make.models()[sys.argv[2]].save(sys.argv[3])"
LOAD = (
    "import sys; sys.path.insert(0, sys.argv[1]); import make, numpy; from keras_skelmae.models import load_model\n"
    "numpy.savez(sys.argv[3], **make.answers(load_model(sys.argv[2])))"
)


def in_keras(oldest, code, *arguments):
    """Run code under the oldest Keras or this one."""
    paths = [str(OLDEST)] * oldest + [os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, "-c", code, str(HERE), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(not OLDEST.is_dir(), reason="`make test-oldest` installs the oldest Keras")
@pytest.mark.skipif(str(OLDEST) in os.environ.get("PYTHONPATH", ""), reason="runs under the newest Keras")
@pytest.mark.parametrize("name", ["autoencoder", "classifier", "ensemble"])
def test_the_oldest_and_the_newest_keras_read_each_others_files(name, tmp_path):
    for writes in (True, False):
        in_keras(writes, SAVE, name, tmp_path / f"{writes}.keras")
        for reads in (True, False):
            in_keras(reads, LOAD, tmp_path / f"{writes}.keras", tmp_path / f"{writes}{reads}.npz")
        with np.load(tmp_path / f"{writes}True.npz") as one, np.load(tmp_path / f"{writes}False.npz") as other:
            for key in one:
                np.testing.assert_allclose(one[key], other[key], rtol=2e-4, atol=1e-5)


@pytest.mark.skipif(str(OLDEST) not in os.environ.get("PYTHONPATH", ""), reason="runs under the oldest Keras")
def test_this_is_the_keras_asked_for():
    assert keras.__version__ == "3.12.1"
