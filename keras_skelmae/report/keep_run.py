"""A run folder, with its report, of a classifier that was trained in Python."""

from pathlib import Path

from keras_skelmae.evaluation.evaluate import measure, versions
from keras_skelmae.report.evidence import measure_evaluated
from keras_skelmae.report.page import write_report
from skelmae_datasets.files import write_atomically, write_json
from skelmae_datasets.runs.run_folder import HISTORY, METRICS, MODEL, check_new, write_history, write_ids
from skelmae_datasets.runs.splits import check_apart, check_labelled


def keep_run(folder, model, store, train_split, test_split, history=None):
    """Write a run folder of a classifier that ``compile`` and ``fit`` have trained, and its report.

    It holds the model, its curves and what is measured here; commands that take a run take it. It has no settings and
    no command that repeats it.

    Args:
        folder: a new one. model: STRLClassifier or Ensemble. store: SkeletonStore, of the training clips and others.
        train_split: what the model was trained on. test_split: what it is measured on, other sequences.
        history: dict of a list for each quantity, one value an epoch, as ``fit(...).history`` is; None for no curves.

    Returns:
        Path of the report.

    Raises:
        DataError: the folder holds a run; the store does not fit the model; a sequence is in both splits or has no
            label.
    """
    check_new(folder)
    model.preprocessor.check(store)
    train, test = store.select(train_split), store.select(test_split)
    check_apart(store, train_split, train, test_split, test, told=False)
    check_labelled(store, train_split, train)
    found, history = measure(model, store, test, test_split), history or {}
    metrics = {
        "stage": "finetune",
        "made_in_python": True,
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "train_split": train_split,
        "val_split": test_split,
        "num_sequences": len(train),
        "num_validation": len(test),
        "loss": float(history["loss"][-1]) if history.get("loss") else None,
        "accuracy": measure(model, store, train, train_split).result["top1"],
        "val_accuracy": found.result["top1"],
        "parameters": int(model.count_params()),
        "versions": versions(),
    }
    write_atomically(Path(folder) / MODEL, model.save)
    write_ids(folder, [store.ids[index] for index in train])
    rows = [{"epoch": epoch} for epoch in range(1, max(map(len, history.values()), default=0) + 1)]
    for key, values in history.items():
        for row, value in zip(rows, values, strict=False):
            row[key] = float(value)
    write_history(Path(folder) / HISTORY, rows)
    write_json(Path(folder) / METRICS, metrics)
    measure_evaluated(folder, store, found)
    return write_report([folder])
