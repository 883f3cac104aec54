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

from make import CLASSES, answers, models  # noqa: E402


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


NAMES = ("autoencoder", "classifier", "ensemble")
# Of the oldest Keras: it saves its models, and reads the newest's and its own
IN_OLDEST = """
import sys; sys.path.insert(0, sys.argv[1])
import keras, numpy; assert keras.__version__ == "3.12.1"
from make import answers, models
from keras_skelmae.models import load_model
from pathlib import Path
folder, made = Path(sys.argv[2]), models()
for name in sys.argv[3:]:
    made[name].save(folder / f"oldest-{name}.keras")
    for writer in ("oldest", "newest"):
        numpy.savez(folder / f"{writer}-{name}.npz", **answers(load_model(folder / f"{writer}-{name}.keras")))
"""


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """A folder with WRITER-NAME.keras of both, and WRITER-NAME.npz, what the oldest one answers with them."""
    folder, made = tmp_path_factory.mktemp("crossed"), models()
    for name in NAMES:
        made[name].save(folder / f"newest-{name}.keras")
    paths = [str(OLDEST), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, "-c", IN_OLDEST, str(HERE), str(folder), *NAMES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.skipif(not OLDEST.is_dir(), reason="`make test-oldest` installs the oldest Keras")
@pytest.mark.skipif(str(OLDEST) in os.environ.get("PYTHONPATH", ""), reason="runs under the newest Keras")
@pytest.mark.parametrize("writer", ["oldest", "newest"])
@pytest.mark.parametrize("name", NAMES)
def test_the_oldest_and_the_newest_keras_read_each_others_files(name, writer, crossed):
    found = answers(load_model(crossed / f"{writer}-{name}.keras"))
    with np.load(crossed / f"{writer}-{name}.npz") as other:
        assert set(found) == set(other)
        for key in found:
            np.testing.assert_allclose(found[key], other[key], rtol=2e-4, atol=1e-5)


@pytest.mark.skipif(str(OLDEST) not in os.environ.get("PYTHONPATH", ""), reason="runs under the oldest Keras")
def test_this_is_the_keras_asked_for():
    assert keras.__version__ == "3.12.1"
