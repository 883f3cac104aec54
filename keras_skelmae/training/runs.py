"""Writing a run folder: what a training leaves behind, so that a name either holds a whole file or none."""

import hashlib
import shutil
import tempfile
import time
from pathlib import Path

import filelock
import keras

from keras_skelmae.evaluation.evaluate import versions
from keras_skelmae.fast.networks.devices import is_writer
from skelmae_datasets import DataError
from skelmae_datasets.files import TEMPORARY, read_json, write_atomically, write_json, write_text
from skelmae_datasets.runs.run_folder import IDENTITY, METRICS, SETTINGS, check_new, write_history, write_ids
from skelmae_datasets.runs.settings import FIELDS, read_settings

LOCK = ".lock"
SHARE = 0.05  # of the time, at most, that writing at the ends of short epochs takes
CHOSEN = {  # what is kept as a digest, and where it comes from
    "train": "--train-split",
    "validation": "--val-split",
    "pretrained": "--pretrained",
    "fingerprint": "the data",
}
DATA = ("fingerprint", "train", "validation")  # of these, what --force lets go on


class Writing:
    """Tells when to write again, so that no more than SHARE of the time goes into it; a context manager around that."""

    def __init__(self, written=0.0):
        self.written, self.took = written, 0.0

    @property
    def due(self):
        return self.seconds > self.took / SHARE

    @property
    def seconds(self):
        """Time since the last writing."""
        return time.perf_counter() - self.written

    def __enter__(self):
        self._started = time.perf_counter()

    def __exit__(self, *_):
        self.written = time.perf_counter()
        self.took = self.written - self._started


class History(keras.callbacks.Callback):
    """Write history.csv after an epoch, unless that would take more than SHARE of the time; `fit` does at the end.

    Args:
        path: the file. rows: those of the epochs before. seconds: float, spent on them.
    """

    def __init__(self, path, rows=(), seconds=0.0):
        super().__init__()
        self.path, self.rows, self.started = Path(path), list(rows), time.perf_counter() - seconds
        self.writing = Writing()

    @property
    def seconds(self):
        """Time spent on the run until now."""
        return time.perf_counter() - self.started

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "seconds": round(self.seconds, 3)}
        row.update({key: float(value) for key, value in (logs or {}).items()})
        self.rows.append(row)
        if self.writing.due:
            self.write()

    def write(self):
        """Write the file, or nothing where another process does."""
        if is_writer() and self.rows:
            with self.writing:
                write_history(self.path, self.rows)


def ids_digest(store, indices):
    """SHA-256 of the ids of some of a store's samples, in their order."""
    return hashlib.sha256("\n".join(store.ids[index] for index in indices).encode()).hexdigest()


class Run:
    """A run folder that one process writes, from its config.toml to its metrics.json; a context manager.

    Args:
        output: the folder; new, or with ``resume`` that of an unfinished run.
        settings: Settings.
        identity: JSON-able dict of what the run is made from: two runs in which it is the same end the same.
        resume: bool. force: bool, go on although the data have changed.

    Attributes:
        path: the folder. finished: its metrics where the run had ended before, else None.

    Raises:
        DataError: on entering, where the folder holds a run (without ``resume``), one with other settings or another
            identity (with ``resume``), or is being written by another process.
    """

    def __init__(self, output, settings, identity, resume=False, force=False):
        self.path, self.settings = Path(output), settings
        self.identity = {**identity, "backend": keras.config.backend()}
        self.resume, self.force, self.finished, self._lock = resume, force, None, None

    def __enter__(self):
        self._look()  # every process, so that none waits for one that has refused
        if self.finished or not is_writer():
            return self
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.path / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise DataError(self.path, "", "no other process that writes it", "one that is running") from None
        try:
            self._look()  # the process that had the lock may have finished
            self._begin()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _look(self):
        if not self.resume:
            check_new(self.path)
            return
        self._compare()
        if (self.path / METRICS).exists():  # written last
            self.finished = read_json(self.path / METRICS)

    def _begin(self):
        if self.finished:
            return
        for left in (*self.path.glob(f"{TEMPORARY}*"), *self.path.glob(f"checkpoints/{TEMPORARY}*")):
            left.unlink()  # what a killed process was writing
        write_text(self.path / SETTINGS, self.settings.to_toml())
        write_json(self.path / IDENTITY, self.identity)

    def __exit__(self, *_):
        if self._lock is not None:
            self._lock.release()
            if (self.path / METRICS).exists():  # nobody else begins here any more
                (self.path / LOCK).unlink(missing_ok=True)
            self._lock = None

    def write_ids(self, name, ids):
        """A text file of the run with one id per line."""
        if is_writer():
            write_ids(self.path, ids, name)

    def _compare(self):
        """DataError where the run in the folder is another one than asked for."""
        file = self.path / SETTINGS
        if not file.exists():
            check_new(self.path)  # as a fused model is none to go on with
            return
        before, now = read_settings(file, self.settings.stage).flat(), self.settings.flat()
        for key in FIELDS:
            if before[key] == now[key] or self.settings.without_effect(key):
                continue
            longer = key == "epochs" and now[key] > before[key]
            why = self._not_longer(before) if longer else ""
            if not longer or why:
                raise DataError(file, key, f"{before[key]!r} as the run to go on with has{why}", repr(now[key]))
        identity = self.path / IDENTITY
        if not identity.exists():
            return
        before = read_json(identity)
        for key, value in self.identity.items():
            if before.get(key) != value and not (self.force and key in DATA):
                hint = "; --force goes on with other data" if key == "fingerprint" else ""
                expected, found = f"{before.get(key)} as the run to go on with has", value
                if key in CHOSEN:  # digests say nothing to anybody
                    began = "none" if before.get(key) is None else "the one"
                    expected = f"{CHOSEN[key]}: {began} that the run began with"
                    found = "none" if value is None else "another"
                raise DataError(identity, key, expected, f"{found}{hint}")

    def _not_longer(self, before):
        """Why a run cannot have more epochs than it was begun with; "" where it ends like one begun with so many."""
        if (self.path / METRICS).exists():
            return "; a finished one keeps no checkpoint to go on from"
        if before["schedule"] == "cosine":
            return "; with schedule = cosine the rate of every epoch depends on how many there are"
        return ""

    def finish(self, models, metrics):
        """Save the models by file name and metrics.json, which comes last; of several processes the first one does."""
        if not is_writer():
            with tempfile.TemporaryDirectory() as folder:  # saving moves arrays, in which all processes take part
                for name, model in models.items():
                    model.save(Path(folder) / name)
            return
        for name, model in models.items():
            write_atomically(self.path / name, model.save)
        write_json(self.path / METRICS, {**metrics, "versions": versions()})
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
