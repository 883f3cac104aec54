"""A run folder as a report needs it: its files read and checked, nothing measured anew."""

import csv
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from keras_skelmae.report.evidence import EMBEDDING, EVALUATION, read_json, read_reconstruction
from skelmae_datasets import DataError


@dataclass
class RunFolder:
    """One finished run: its settings, final figures, history by column, and what was measured for the report."""

    path: Path
    name: str
    config: dict
    metrics: dict
    history: dict
    evaluation: dict | None
    embedding: dict | None
    reconstruction: object

    @property
    def stage(self):
        """pretrain or finetune."""
        return self.metrics["stage"]


def read_run(path):
    """Read a run folder. Raises DataError naming the file that is missing or broken, OSError where unreadable."""
    path = Path(path)
    if not path.is_dir():
        raise DataError(path, "", "a run folder", "a file" if path.exists() else "nothing there")
    metrics = read_json(path / "metrics.json")
    if not isinstance(metrics, dict) or metrics.get("stage") not in ("pretrain", "finetune"):
        raise DataError(path, "metrics.json", "a finished run", "none")
    try:
        config = tomllib.loads((path / "config.toml").read_text("utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        raise DataError(path, "config.toml", "the run's settings", error) from None
    evaluation, embedding = (read_json(path / name) for name in (EVALUATION, EMBEDDING))
    for name, content, keys in ((EVALUATION, evaluation, ("classes", "confusion", "per_class", "top1")),
                                (EMBEDDING, embedding, ("classes", "labels", "ids", "pca"))):  # fmt: skip
        if content is not None and not (isinstance(content, dict) and all(key in content for key in keys)):
            raise DataError(path / name, "", f"keys {', '.join(keys)}", "another file")
    return RunFolder(path, path.resolve().name, config, metrics, _history(path / "history.csv"), evaluation, embedding,
                     read_reconstruction(path))  # fmt: skip


def read_runs(paths):
    """Several run folders, with names that tell them apart."""
    runs = [read_run(path) for path in paths]
    for run in runs:
        if sum(other.name == run.name for other in runs) > 1:
            run.name = "/".join(run.path.resolve().parts[-2:])
    for number, run in enumerate(runs, 1):
        if any(other.name == run.name for other in runs if other is not run):
            run.name = f"{run.name} ({number})"
    return runs


def _history(path):
    """Column -> list of numbers, None where an epoch has none."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {key: [float(row[key]) if row[key] else None for row in rows] for key in rows[0]} if rows else {}
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(path, "", "a table of numbers", error) from None


def repeat_command(run):
    """The `skelmae` command that trains the same again."""
    metrics, path = run.metrics, str(run.path)
    backend = metrics.get("versions", {}).get("backend", "tensorflow")
    words = ["skelmae", *([] if backend == "tensorflow" else ["--backend", backend]), run.stage, metrics["data"]]
    if run.stage == "pretrain":
        words += ["--split", metrics["split"]]
    else:
        words += ["--train-split", metrics["train_split"]]
        words += ["--val-split", metrics["val_split"]] if metrics.get("val_split") else []
        words += ["--pretrained", metrics["pretrained"]] if metrics.get("pretrained") else []
        words += ["--select", "best"] if metrics.get("select") == "best" else []
    return shlex.join([*words, "--config", f"{path}/config.toml", "--output", f"{path}-again"])
