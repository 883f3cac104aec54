"""The training loop of both stages: checkpoints and going on from them, signals, losses that are not finite."""

import collections
import contextlib
import signal
import sys
import threading
import time

import keras
import numpy as np

from keras_skelmae.fast.networks.devices import device_count, is_writer, shared_batches
from keras_skelmae.training.checkpoints import Checkpoints
from keras_skelmae.training.runs import History, Writing
from skelmae_datasets import DataError

CHECKPOINT_MINUTES = 10.0
NAMED_SAMPLES = 8
LAG = 8  # steps
OUT_OF_MEMORY = ("resource_exhausted", "oom when", "out of memory", "allocate memory")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingError(ValueError):
    """A training that cannot go on; the message names the run, the place and what was found."""


class Interrupted(Exception):
    """A signal asked a training to stop, and its state was written.

    Attributes:
        number: int, of the signal.
    """

    def __init__(self, message, number):
        super().__init__(message)
        self.number = number


class SignalFlag:
    """A context manager in which SIGINT and SIGTERM are remembered; a second one acts as it does elsewhere."""

    number = None

    def __enter__(self):
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def _remember(self, number, _frame):
        self.number = number
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __exit__(self, *_):
        self._restore()


class StopOnNonFinite(keras.callbacks.Callback):
    """TrainingError at the first step whose loss is not finite, with the samples of its batch.

    A loss is looked at LAG steps later, or at the end of the epoch: to look at once is to wait for the device, which
    then waits for the next step.
    """

    def __init__(self, data, run):
        super().__init__()
        self.data, self.run, self.done, self.losses = data, run, 0, collections.deque()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.done = epoch, self.data.first_batch
        self.losses.clear()

    def on_train_batch_end(self, batch, logs=None):
        start, self.done = self.done, min(self.data.first_batch + batch + 1, self.data.num_batches_of_epoch)
        self.losses.append((start, self.done, (logs or {}).get("loss", 0.0)))
        self._check(LAG)

    def on_epoch_end(self, epoch, logs=None):
        self._check(0)

    def _check(self, lag):
        """Look at all losses but the last ``lag``."""
        while len(self.losses) > lag:
            start, done, loss = self.losses.popleft()
            if not np.isfinite(loss := float(loss)):
                self._stop(start, done, loss)

    def _stop(self, start, done, loss):
        names = [name for number in range(start, done) for name in self.data.samples(number)]
        more = f" and {len(names) - NAMED_SAMPLES} more" if len(names) > NAMED_SAMPLES else ""
        raise TrainingError(
            f"{self.run}: epoch {self.epoch + 1}, step {done}: loss: expected a finite number, found {loss}; "
            f"samples {', '.join(names[:NAMED_SAMPLES])}{more}; the last checkpoint is kept"
        )


class Checkpointing(keras.callbacks.Callback):
    """Write checkpoints while training, and put a training into the state of one.

    After an epoch, unless writing would take too much of the time (Writing), every ``minutes`` and on a signal.

    Args:
        run: Run. data: SkeletonBatches. history: History. keep: KeepBest or None. minutes: float. flag: SignalFlag.
    """

    def __init__(self, run, data, history, keep, minutes, flag):
        super().__init__()
        self.run, self.data, self.history, self.keep, self.minutes, self.flag = run, data, history, keep, minutes, flag
        self.files, self.place = Checkpoints(run.path), (0, 0)
        self.state = None  # to be put into place when the next fit begins, as (arrays, meta)
        self.hold = False  # keep the state of the epoch's end before the moving average takes the weights' place
        self.writing = Writing(time.perf_counter())

    def load(self):
        """Find the run's last whole checkpoint; returns the damaged ones after it."""
        found = self.files.load()
        if found is None:
            return []
        arrays, meta, damaged = found
        self.state, self.place = (arrays, meta), (meta["epoch"], meta["batch"])
        self.history.rows = meta["history"]
        self.history.started = time.perf_counter() - meta["seconds"]
        if self.keep and "best" in meta:
            self.keep.best, self.keep.epoch, count = meta["best"]
            self.keep.weights = [arrays[f"best/{i}"] for i in range(count)]
        return damaged

    def _variables(self):
        model = self.model
        return {"model": model.variables, "optimizer": model.optimizer.variables, "metric": model.metrics_variables}

    def snapshot(self, epoch, batch):
        """The training's state before batch ``batch`` of epoch ``epoch``, as (arrays, JSON-able dict)."""
        arrays = {
            f"{kind}/{i}": np.array(keras.ops.convert_to_numpy(variable))  # a copy: steps reuse the memory
            for kind, variables in self._variables().items()
            for i, variable in enumerate(variables)
        }
        bad = next((key for key, array in arrays.items() if not np.isfinite(array).all()), None)
        if bad is not None:
            raise TrainingError(
                f"{self.run.path}: epoch {epoch + 1}, step {batch}: {bad}: expected finite numbers, "
                "found others; the last checkpoint is kept"
            )
        meta = {"epoch": epoch, "batch": batch, "history": self.history.rows, "seconds": self.history.seconds}
        if self.keep and self.keep.weights is not None:
            meta["best"] = [self.keep.best, self.keep.epoch, len(self.keep.weights)]
            arrays.update({f"best/{i}": array for i, array in enumerate(self.keep.weights)})
        return arrays, meta

    def _save(self, epoch, batch):
        with self.writing:
            arrays, meta = self.snapshot(epoch, batch)  # all processes take part
            if is_writer():
                self.files.save(epoch * self.data.num_batches_of_epoch + batch, arrays, meta)

    def _assign(self, *kinds):
        arrays, variables = self.state[0], self._variables()
        for kind in kinds:
            count = sum(key.startswith(f"{kind}/") for key in arrays)
            if count != len(variables[kind]):
                raise DataError(self.files.folder, kind, f"{len(variables[kind])} variables", count)
            for i, variable in enumerate(variables[kind]):
                array = arrays[f"{kind}/{i}"]
                if array.shape != tuple(variable.shape):
                    raise DataError(self.files.folder, f"{kind}/{i}", f"shape {tuple(variable.shape)}", array.shape)
                variable.assign(array)

    def on_train_begin(self, logs=None):
        if self.state is not None:
            self._assign("model", "optimizer")

    def on_epoch_begin(self, epoch, logs=None):
        if self.state is not None:
            if self.place[1]:
                self._assign("metric")
            self.state = None
        self.place = (epoch, self.data.first_batch)
        self.data.begin(epoch + 1, self.data.first_batch)  # by the number, however often Keras has ended epochs

    def on_train_batch_end(self, batch, logs=None):
        done = self.data.first_batch + batch + 1
        if done >= self.data.num_batches_of_epoch:
            return  # on_epoch_end follows
        stop = self.flag.number is not None
        late = self.writing.seconds > 60 * self.minutes
        if (stop or late) and device_count() == 1:  # several processes would have to agree on the step
            self._save(self.place[0], done)
        if stop and device_count() == 1:
            self._stop(self.place[0], done)

    def on_epoch_end(self, epoch, logs=None):
        stop = self.flag.number is not None
        if self.hold:
            self.state = self.snapshot(epoch + 1, 0)
        self.place = (epoch + 1, 0)
        if stop or device_count() > 1 or self.writing.due:
            self._save(epoch + 1, 0)
        if stop:
            self._stop(epoch + 1, 0)

    def _stop(self, epoch, batch):
        name = signal.Signals(self.flag.number).name
        raise Interrupted(
            f"{self.run.path}: stopped by {name} after {epoch} epochs and {batch} steps", self.flag.number
        )


def fit(model, data, run, settings, *, held=None, validated=None, callbacks=(), keep=None, minutes=None):
    """Train, from the run's last checkpoint on where there is one.

    Args:
        model: keras.Model, compiled. data: SkeletonBatches. run: Run, entered. settings: Settings.
        held: None or SkeletonBatches to validate on; validated: epochs to do it after, counted from 1.
        callbacks: further Keras callbacks. keep: None or KeepBest.
        minutes: float, the longest time between two checkpoints; None = CHECKPOINT_MINUTES.

    Returns:
        (rows of the history, seconds that the training took).

    Raises:
        Interrupted: after SIGINT or SIGTERM. TrainingError: the loss is not finite, or a batch does not fit in memory.
    """
    history = History(run.path / "history.csv")
    with SignalFlag() as flag:
        saver = Checkpointing(run, data, history, keep, CHECKPOINT_MINUTES if minutes is None else minutes, flag)
        for path in saver.load() if run.resume else []:
            print(f"{path}: damaged; the checkpoint before it is used", file=sys.stderr)
        watch = [StopOnNonFinite(data, run.path), history, *callbacks, *([keep] if keep else []), saver]
        options = {"verbose": 0, "callbacks": watch, "shuffle": False}  # the batches are drawn at random themselves
        if held is not None:
            options.update(validation_data=shared_batches(held), validation_freq=validated)
            if settings.optimizer.ema_momentum:  # the last, so that `keep` sees what was validated
                watch.append(keras.callbacks.SwapEMAWeights())
        with memory_errors(run, data.batch_size), contextlib.ExitStack() as at_the_end:
            at_the_end.callback(history.write)
            # TensorFlow traces a step again when its first trace has made variables
            model.optimizer.build(model.trainable_variables)
            while True:
                epoch, batch = saver.place
                saver.hold = bool(batch)
                data.begin(epoch, batch)  # the rest of an epoch is a fit of its own: Keras counts whole ones
                if batch:
                    model.test_on_batch(*data[0])  # metrics have no variables to put a state into before
                end = epoch + 1 if batch else settings.optimizer.epochs
                model.fit(shared_batches(data), initial_epoch=epoch, epochs=end, **options)
                if end == settings.optimizer.epochs:
                    break
    return history.rows, history.seconds


@contextlib.contextmanager
def memory_errors(run, batch_size):
    """A TrainingError in place of what NumPy and the backends raise when a batch does not fit into memory."""
    try:
        yield
    except Exception as error:  # every backend has a type of its own for it
        if isinstance(error, MemoryError) or any(part in str(error).lower() for part in OUT_OF_MEMORY):
            raise TrainingError(
                f"{run.path}: batch_size: expected a batch that fits into memory, found {batch_size} "
                "sequences that do not"
            ) from error
        raise
