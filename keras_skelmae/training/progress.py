"""One line per epoch for those who watch a training, and TensorBoard's logs."""

import importlib.util
import math
import sys
import time

import keras

_SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy", "target_spread")


class EpochLine(keras.callbacks.Callback):
    """Print a line per epoch: loss, accuracy, sequences per second, time left. Silent where nobody watches.

    Args:
        num_sequences: int, how many an epoch runs through.
        stream: where to write; None for the standard output. Nothing is written unless it is a terminal.
        clock: function that gives seconds.
    """

    def __init__(self, num_sequences, stream=None, clock=time.perf_counter):
        super().__init__()
        self.num_sequences, self.clock = num_sequences, clock
        self.stream = sys.stdout if stream is None else stream
        self.watched = self.stream.isatty()

    def on_train_begin(self, logs=None):
        self.began = self.clock()

    def on_epoch_begin(self, epoch, logs=None):
        self.started = self.clock()
        self.first = epoch if not hasattr(self, "first") else self.first

    def on_epoch_end(self, epoch, logs=None):
        if self.watched:
            self.stream.write(self.line(epoch, logs or {}) + "\n")
            self.stream.flush()

    def line(self, epoch, logs):
        """The text of an epoch, counted from 0, with these logs."""
        now, epochs = self.clock(), self.params["epochs"]
        figures = [f"{name} {_figure(name, logs[name])}" for name in _SHOWN if name in logs]
        rate = self.num_sequences / max(now - self.started, 1e-9)
        done = epoch + 1 - self.first
        # the first epoch holds the compilation, so the estimate leans on what came after it as soon as there is any
        pace = (now - self.second) / (done - 1) if done > 1 else now - self.began
        if done == 1:
            self.second = now
        left = epochs - epoch - 1
        width = len(str(epochs))
        end = f"{_clock(pace * left)} left" if left else f"{_clock(now - self.began)} in all"
        return "  ".join([f"epoch {epoch + 1:{width}}/{epochs}", *figures, f"{rate:.0f} sequences/s", end])


def _figure(name, value):
    value = float(value)
    if name.endswith("accuracy"):
        return f"{100 * value:.1f} %"
    return f"{value:.4f}" if math.isfinite(value) else str(value)


def _clock(seconds):
    minutes, seconds = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def tensorboard(folder):
    """Keras' TensorBoard callback into `folder`.

    Raises:
        ValueError: the backend is not TensorFlow, which writes these logs. ModuleNotFoundError: no tensorboard.
    """
    if keras.config.backend() != "tensorflow":
        raise ValueError(f"--tensorboard: expected the backend tensorflow, found {keras.config.backend()}")
    if importlib.util.find_spec("tensorboard") is None:
        raise ModuleNotFoundError("--tensorboard: tensorboard is not installed (pip install tensorboard)")
    return keras.callbacks.TensorBoard(log_dir=str(folder), write_graph=False)
