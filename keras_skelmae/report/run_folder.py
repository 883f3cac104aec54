"""A run folder as a report needs it: its files read and checked, nothing measured again."""

import csv
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from keras_skelmae.report.evidence import read_reconstruction
from skelmae_datasets import DataError
from skelmae_datasets.files import read_json
from skelmae_datasets.runs.run_folder import (
    BASELINE,
    EMBEDDING,
    EVALUATION,
    HISTORY,
    METRICS,
    ROBUSTNESS,
    SETTINGS,
    read_metrics,
)
from skelmae_datasets.runs.settings import read_settings

SEVERAL = re.compile(r" and \d+ more$")  # ends what several stores together are called
KNOWN_OF_RUN = ("data", "train_split", "num_sequences")  # of metrics.json, that the page cannot do without
EVIDENCE = {  # file -> keys that the page cannot do without
    EVALUATION: ("classes", "confusion", "per_class", "top1"),
    EMBEDDING: ("classes", "labels", "ids", "pca"),
    BASELINE: ("results", "test_split", "fingerprint"),
    ROBUSTNESS: ("curves", "test_split", "fingerprint"),
}
AS_MANY = {  # file -> keys of as many entries each
    EVALUATION: ("classes", "confusion", "num_per_class"),
    EMBEDDING: ("ids", "labels", "pca", "predicted", "tsne"),
}


@dataclass
class RunFolder:
    """One finished run: its settings, final figures, history by column, and what was measured for the report."""

    path: Path
    name: str
    settings: dict
    metrics: dict
    history: dict
    evaluation: dict | None
    embedding: dict | None
    baseline: dict | None
    robustness: dict | None
    reconstruction: object

    @property
    def stage(self):
        """pretrain or finetune."""
        return self.metrics["stage"]


def read_run(path):
    """Read a run folder.

    Raises: DataError or SettingsError naming the file that is missing or broken, OSError where unreadable.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(path, "", "a run folder", "a file" if path.exists() else "nothing there")
    metrics = read_metrics(path)
    _check_keys(path / METRICS, metrics, KNOWN_OF_RUN)
    chosen = {}
    if not metrics.get("made_in_python"):
        settings = read_settings(path / SETTINGS, metrics["stage"])
        chosen = {key: value for key, value in settings.flat().items() if not settings.without_effect(key)}
    evidence = [_evidence(path / name, keys) for name, keys in EVIDENCE.items()]
    history = _history(path / HISTORY)
    return RunFolder(path, path.resolve().name, chosen, metrics, history, *evidence, read_reconstruction(path))


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


def class_counts(found):
    """{class: clips measured} of an evaluation.json, those in which nobody was seen among them."""
    counts = found.get("num_per_class") or [sum(row) for row in found["confusion"]]  # older files have none
    return dict(zip(map(str, found["classes"]), counts, strict=True))


def measured_on(run, found, key="split"):
    """The split that a measured file (dict) is of, with its data where the run was trained on others."""
    same = found.get("fingerprint") in (None, run.metrics.get("fingerprint")) or not found.get("data")
    return str(found.get(key)) if same else f"{found.get(key)} of {found['data']}"


def _evidence(path, keys):
    """A measured file, None where there is none."""
    content = read_json(path, missing_ok=True)
    if content is None:
        return None
    _check_keys(path, content, keys)
    counts = {key: len(content[key]) for key in AS_MANY.get(path.name, ()) if content.get(key)}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} {key}" for key, count in counts.items())
        raise DataError(path, ", ".join(counts), "as many of each", found)
    return content


def _check_keys(path, content, keys):
    """DataError where a file (dict) has not got all of these keys."""
    if not content.keys() >= set(keys):
        raise DataError(path, "", f"keys {', '.join(keys)}", "another file")


def _history(path):
    """Column -> list of numbers, None where an epoch has none."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {key: [float(row[key]) if row[key] else None for row in rows] for key in rows[0]} if rows else {}
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(path, "", "a table of numbers", error) from None


def no_command(metrics):
    """Why no command repeats a run; "" where one does."""
    if metrics.get("made_in_python"):
        return "Trained in Python."
    if metrics.get("cross_validation"):
        return "Trained by skelmae protocol cross-validate --final, whose folds gave its temperature and its bound."
    if SEVERAL.search(metrics["data"]):
        return "Trained on several stores, whose names are not kept: no command is told that repeats it."
    return ""


def repeat_command(run):
    """The `skelmae` command that trains the same again; None where :func:`no_command` says why."""
    if no_command(run.metrics):
        return None
    nameless = run.path.name in ("", "..")  # as "." is
    metrics, path = run.metrics, str(run.path.resolve() if nameless else run.path)
    backend = metrics.get("versions", {}).get("backend", "tensorflow")
    words = ["skelmae", *([] if backend == "tensorflow" else ["--backend", backend]), run.stage, metrics["data"]]
    for key in ("train_split", "val_split", "pretrained"):
        words += [f"--{key.replace('_', '-')}", metrics[key]] if metrics.get(key) else []
    words += ["--allow-overlap"] if metrics.get("overlap") else []
    words += ["--select", metrics["select"]] if metrics.get("select", "last") != "last" else []
    return shlex.join([*words, "--config", f"{path}/{SETTINGS}", "--output", f"{path}-again"])
