"""The run folder: what a training leaves behind, written so that a name either holds a whole file or none."""

import csv
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import keras

from keras_skelmae.training.devices import is_writer
from keras_skelmae.version import __version__
from skelmae_datasets import DataError


def write_atomically(path, write):
    """Call ``write(temporary path)``, then move the file to ``path``; nothing is left behind on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # a temporary file is for its owner alone
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


class History(keras.callbacks.Callback):
    """Write history.csv anew after every epoch."""

    def __init__(self, path):
        super().__init__()
        self.path, self.rows, self.started = Path(path), [], time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - self.started, 3)}
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


def start_run(output, config):
    """Make the folder and write config.toml; refuses a folder that already holds a finished model."""
    output = Path(output)
    if (output / "model.keras").exists():  # every process looks, so that none waits for one that has refused
        raise DataError(output, "model.keras", "a new or unfinished run folder", "a finished run")
    if not is_writer():
        return output
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "config.toml", config.to_toml())
    return output


def finish_run(output, models, metrics):
    """Save the models by file name and metrics.json; of several processes the first one keeps what it saved."""
    if not is_writer():
        with tempfile.TemporaryDirectory() as folder:  # saving moves arrays, in which all processes take part
            for name, model in models.items():
                model.save(Path(folder) / name)
        return
    for name, model in models.items():
        write_atomically(output / name, model.save)
    write_text(output / "metrics.json", json.dumps({**metrics, "versions": versions()}, indent=2) + "\n")


def model_file(path, name="model.keras"):
    """The .keras file of a run folder, or the path itself."""
    path = Path(path)
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise DataError(path, name, "a run folder or a .keras file", "nothing there")
    return file


def load_model(path, name="model.keras", compiled=False):
    """Load a model of ours in safe mode.

    Raises:
        DataError: naming the file when it is not such a model.
    """
    file = model_file(path, name)
    try:
        return keras.saving.load_model(file, compile=compiled, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(file, "model", "a .keras file of this package", reason) from error
