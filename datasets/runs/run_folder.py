"""What a run folder is on disk: names of its files, and reading them."""

import csv
from pathlib import Path

from ..errors import DataError
from ..files import read_json, write_atomically, write_text

MODEL = "model.keras"
SETTINGS, IDENTITY, METRICS, HISTORY = "config.toml", "run.json", "metrics.json", "history.csv"
TRAIN_IDS = "train_ids.txt"  # the samples that a model was trained on
PRETRAIN_IDS = "pretrain_ids.txt"  # those that its pre-training, and what came before that, saw
KNOWN = "known.npz"  # where the features of the training clips lie
HELD_IDS = "held_ids.txt"  # those that were not trained on and chose a temperature
ENSEMBLE = "ensemble.json"  # in the folder of an ensemble: what it was made of
EVALUATION, EMBEDDING, RECONSTRUCTION = "evaluation.json", "embedding.json", "reconstruction.json"
BASELINE, ROBUSTNESS = "baseline.json", "robustness.json"
REPORT = "report.html"
FILES = frozenset(
    (MODEL, SETTINGS, IDENTITY, METRICS, HISTORY, TRAIN_IDS, PRETRAIN_IDS, KNOWN, HELD_IDS, ENSEMBLE, EVALUATION)
    + (EMBEDDING, RECONSTRUCTION, BASELINE, ROBUSTNESS, REPORT)
)


def model_file(path, name=MODEL):
    """The .keras file of a run folder or preset, or the path itself."""
    path = Path(path)
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise DataError(path, name, "a run folder or a .keras file", "nothing there")
    if file.suffix != ".keras":
        raise DataError(path, "suffix", "a run folder or a .keras file", file.suffix or "none")
    return file


def of_seed(path, seed):
    """The path with a seed in place of "{seed}", where each seed has a run of its own; as a string."""
    return str(path).replace("{seed}", str(seed))


def trained_ids(model_path, name=TRAIN_IDS):
    """Ids of the samples that a model was trained on (PRETRAIN_IDS: that it saw before), going by the file beside it.

    Returns:
        list of str, none without such a file, and of a published backbone, whose name is no path.
    """
    path = Path(model_path)
    file = (path if path.is_dir() else path.parent) / name
    return file.read_text("utf-8").splitlines() if path.exists() and file.is_file() else []


def write_ids(folder, ids, name=TRAIN_IDS):
    """Write the file that :func:`trained_ids` reads."""
    write_text(Path(folder) / name, "".join(f"{item}\n" for item in ids))


def write_history(path, rows):
    """Write a table of epochs, a dict each; what a row has not got stays empty, as not every epoch is validated."""

    def write(temporary):
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, write)


def read_metrics(run):
    """The final figures of a finished run, dict.

    Raises:
        DataError: the folder holds no finished run.
    """
    metrics = read_json(Path(run) / METRICS, missing_ok=True)
    if not metrics or metrics.get("stage") not in ("pretrain", "finetune"):
        fused = (Path(run) / ENSEMBLE).is_file()
        raise DataError(run, METRICS, "a finished run", "a fused model, of no training of its own" if fused else "none")
    return metrics


def check_new(path):
    """DataError where a folder holds a finished run, or one that ``--resume`` goes on with."""
    path = Path(path)
    if (path / MODEL).exists():
        raise DataError(path, MODEL, "a new run folder", "a finished run")
    if any(path.glob("checkpoints/checkpoint-*.npz")):
        raise DataError(path, "checkpoints", "a new run folder", "an unfinished run; --resume goes on with it")


def is_run(path):
    """Whether a folder is one of a run or an ensemble."""
    return any((Path(path) / name).is_file() for name in (SETTINGS, ENSEMBLE, MODEL))


def describe_run(path):
    """What a run folder holds, as a dict.

    Raises:
        DataError: the folder is none.
    """
    path = Path(path)
    files = sorted(item.name for item in path.iterdir() if item.is_file())
    if ENSEMBLE in files:
        return {"kind": "ensemble", "files": files, **read_json(path / ENSEMBLE)}
    if SETTINGS not in files:
        raise DataError(path, SETTINGS, "a run folder", "no such file")
    return {
        "kind": "run",
        "files": files,
        "config": (path / SETTINGS).read_text("utf-8"),
        "metrics": read_json(path / METRICS, missing_ok=True),
    }
