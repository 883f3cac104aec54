"""The run folder: what a training leaves behind, written so that a name either holds a whole file or none."""

import csv
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import filelock
import keras

from keras_skelmae.training.config import read_config
from keras_skelmae.training.devices import is_writer
from keras_skelmae.training.model_files import check_model_file
from keras_skelmae.version import __version__
from skelmae_datasets import DataError
from skelmae_datasets.errors import naming
from skelmae_datasets.store_writer import current_umask

TEMPORARY = ".part-"  # how the names of unfinished files begin
LOCK = ".lock"
TRAIN_IDS = "train_ids.txt"  # the samples that a model was trained on


def write_atomically(path, write):
    """Call ``write(temporary path)``, then move the file to ``path``; nothing is left behind on failure.

    The content is on the disk before the name is: a power cut leaves the old file or the new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        with naming(path):
            write(temporary)
            os.chmod(temporary, 0o666 & ~current_umask())  # a temporary file is for its owner alone
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path, text):
    """Write text atomically."""
    write_atomically(path, lambda temporary: Path(temporary).write_text(text, "utf-8"))


def versions():
    """Versions of what the figures depend on."""
    found = {"keras_skelmae": __version__, "python": platform.python_version(), "backend": keras.config.backend()}
    names = ["keras", "numpy", "h5py", keras.config.backend()]
    if keras.config.backend() == "tensorflow":
        names.append("tensorflow-cpu")  # the same under another name
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def read_json(path):
    """The content of a JSON file of ours, or DataError."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(path, "", "JSON", error) from None
    if not isinstance(content, dict):
        raise DataError(path, "", "a JSON object", type(content).__name__)
    return content


class History(keras.callbacks.Callback):
    """Write history.csv anew after every epoch.

    Args:
        path: the file. rows: those of the epochs before. seconds: float, spent on them.
    """

    def __init__(self, path, rows=(), seconds=0.0):
        super().__init__()
        self.path, self.rows, self.started = Path(path), list(rows), time.perf_counter() - seconds

    @property
    def seconds(self):
        """Time spent on the run until now."""
        return time.perf_counter() - self.started

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "seconds": round(self.seconds, 3)}
        row.update({key: float(value) for key, value in (logs or {}).items()})
        self.rows.append(row)
        if not is_writer():
            return

        def write(temporary):
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                fields = dict.fromkeys(key for row in self.rows for key in row)  # not every epoch is validated
                writer = csv.DictWriter(file, fieldnames=list(fields))
                writer.writeheader()
                writer.writerows(self.rows)
        write_atomically(self.path, write)


def file_digest(path):
    """SHA-256 of a file, as hexadecimal text; None for None."""
    if path is None:
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ids_digest(store, indices):
    """SHA-256 of the ids of some of a store's samples, in their order."""
    return hashlib.sha256("\n".join(store.ids[index] for index in indices).encode()).hexdigest()


class Run:
    """A run folder that one process writes, from its config.toml to its metrics.json; a context manager.

    Args:
        output: the folder; new, or with ``resume`` that of an unfinished run.
        config: Config.
        identity: JSON-able dict of what the run is made from: two runs in which it is the same end the same.
        resume: bool. force: bool, go on although ``identity`` has changed.

    Attributes:
        path: the folder. finished: its metrics where the run had ended before, else None.

    Raises:
        DataError: on entering, where the folder holds a run (without ``resume``), one with another config or identity
            (with ``resume``), or is being written by another process.
    """

    def __init__(self, output, config, identity, resume=False, force=False):
        self.path, self.config, self.identity = Path(output), config, {**identity, "backend": keras.config.backend()}
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
        if (self.path / "model.keras").exists() and not self.resume:
            raise DataError(self.path, "model.keras", "a new run folder", "a finished run")
        if not self.resume:
            if any(self.path.glob("checkpoints/checkpoint-*.npz")):
                raise DataError(self.path, "checkpoints", "a new run folder", "an unfinished run; --resume goes on "
                                "with it")
            return
        self._compare()
        if (self.path / "metrics.json").exists():  # written last
            self.finished = read_json(self.path / "metrics.json")

    def _begin(self):
        if self.finished:
            return
        for left in (*self.path.glob(f"{TEMPORARY}*"), *self.path.glob(f"checkpoints/{TEMPORARY}*")):
            left.unlink()  # what a killed process was writing
        write_text(self.path / "config.toml", self.config.to_toml())
        write_text(self.path / "run.json", json.dumps(self.identity, indent=2) + "\n")

    def __exit__(self, *_):
        if self._lock is not None:
            self._lock.release()
            if (self.path / "metrics.json").exists():  # nobody else begins here any more
                (self.path / LOCK).unlink(missing_ok=True)
            self._lock = None

    def write(self, name, text):
        """A text file of the run."""
        if is_writer():
            write_text(self.path / name, text)

    def _compare(self):
        """DataError where the run in the folder is another one than asked for."""
        file = self.path / "config.toml"
        if not file.exists():
            return
        found = read_config(file)
        for key, value in dataclasses.asdict(self.config).items():
            if getattr(found, key) != value:
                raise DataError(file, key, f"{getattr(found, key)!r} as the run to go on with has", repr(value))
        identity = self.path / "run.json"
        if self.force or not identity.exists():
            return
        before = read_json(identity)
        for key, value in self.identity.items():
            if before.get(key) != value:
                hint = "; --force goes on with other data" if key == "fingerprint" else ""
                raise DataError(identity, key, f"{before.get(key)} as the run to go on with has", f"{value}{hint}")

    def finish(self, models, metrics):
        """Save the models by file name and metrics.json, which comes last; of several processes the first one does."""
        if not is_writer():
            with tempfile.TemporaryDirectory() as folder:  # saving moves arrays, in which all processes take part
                for name, model in models.items():
                    model.save(Path(folder) / name)
            return
        for name, model in models.items():
            write_atomically(self.path / name, model.save)
        write_text(self.path / "metrics.json", json.dumps({**metrics, "versions": versions()}, indent=2) + "\n")
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)


def model_file(path, name="model.keras"):
    """The .keras file of a run folder, or the path itself."""
    path = Path(path)
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise DataError(path, name, "a run folder or a .keras file", "nothing there")
    return file


def load_model(path, name="model.keras"):
    """Load a model of ours in safe mode.

    Raises:
        DataError: naming the file when it is not such a model.
    """
    file = model_file(path, name)
    check_model_file(file)
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever a file's content makes Keras raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(file, "model", "a .keras file of this package", reason) from error
