"""The line per epoch: what it says, and to whom."""

import io

import keras
import numpy as np
import pytest

from keras_skelmae.training import progress
from keras_skelmae.training.progress import EpochLine, tensorboard


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self, *times):
        self.times = list(times)

    def __call__(self):
        return self.times.pop(0)


def test_a_line_tells_figures_rate_and_time_left():
    # begin, then start and end of each epoch: the first takes 30 s, those after it 10 s
    line = EpochLine(200, Terminal(), Clock(0, 0, 30, 30, 40, 40, 50))
    line.set_params({"epochs": 3})
    line.on_train_begin()
    for epoch in range(3):
        line.on_epoch_begin(epoch)
        line.on_epoch_end(epoch, {"loss": 0.51239, "accuracy": 0.5, "learning_rate": 1.0})
    assert line.stream.getvalue().splitlines() == [
        "epoch 1/3  loss 0.5124  accuracy 50.0 %  7 sequences/s  1:00 left",
        "epoch 2/3  loss 0.5124  accuracy 50.0 %  20 sequences/s  0:10 left",
        "epoch 3/3  loss 0.5124  accuracy 50.0 %  20 sequences/s  0:50 in all",
    ]


@pytest.mark.parametrize(("stream", "lines"), [(Terminal(), 2), (io.StringIO(), 0)])
def test_nobody_is_told_where_nobody_watches(stream, lines):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[EpochLine(4, stream)])
    assert len(stream.getvalue().splitlines()) == lines


def test_tensorboard_needs_tensorflow_and_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    with pytest.raises(ModuleNotFoundError, match="--tensorboard: tensorboard is not installed"):
        tensorboard(tmp_path)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="--tensorboard: expected the backend tensorflow, found jax"):
        tensorboard(tmp_path)
