"""Cross-validation where nobody made a split: folds by subject or by file, and a final model on everything."""

import hashlib
import warnings
from pathlib import Path

import numpy as np

from keras_skelmae.evaluation import embed, load_classifier, measure, scores
from keras_skelmae.evaluation.calibration import calibration, compare_calibration, temper
from keras_skelmae.evaluation.doubts import with_doubts
from keras_skelmae.evaluation.known import fit_known
from keras_skelmae.experiments.kept import read_result
from keras_skelmae.training.calibrating import HeldOut
from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.runs import ids_digest
from keras_skelmae.training.starting_point import pretrained_file
from skelmae_datasets.files import file_digest, read_json, write_json
from skelmae_datasets.runs.folds import check_folds, fold_groups
from skelmae_datasets.runs.run_folder import EVALUATION, METRICS, write_ids
from skelmae_datasets.runs.splits import class_labels

RESULT = "cross_validation.json"
FINAL = "final"  # folder of the model that is trained on everything
ACCURACIES = ("top1", "mean_class")


def make_folds(labels, groups, folds=5, leave_one_out=False, seed=0):
    """Positions of each fold's test clips; every clip is in one, no group in two, classes spread evenly.

    Args:
        labels, groups: (N,) int. folds: int, at most as many as there are groups. leave_one_out: a fold a group.

    Returns:
        list of int arrays.

    Raises:
        ValueError: naming the argument, what was expected and what was found.
    """
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

    check_folds(labels, groups, folds, leave_one_out)
    splitter = LeaveOneGroupOut() if leave_one_out else StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # is missing in some folds, which is told
        found = [test for _, test in splitter.split(np.zeros(len(labels)), labels, groups)]
    return [test for test in found if len(test)]


def cross_validate(
    store,
    output,
    settings,
    *,
    folds=None,
    leave_one_out=False,
    final=False,
    pretrained=None,
    verbose=False,
    progress=None,
):
    """Train and test by folds; every clip with a label is tested once, by a network that never saw its group.

    A fold that is already in ``output`` is not trained again, an interrupted training goes on.

    Args:
        store: SkeletonStore. output: folder of a run and a result for each fold, and of ``cross_validation.json``.
        settings: Settings of the fine-tuning.
        folds, leave_one_out: see :func:`make_folds`; None is 5, or as many as there are groups. Leaving one out
            takes subjects.
        final: train ``output/final`` on all clips, its temperature and bound from the folds' answers.
        pretrained: None, or a run folder or .keras file that each fold starts from.
        progress: called with (done, total) trainings.

    Returns:
        dict of grouped_by, folds (top1, mean_class, num_samples, subjects of each), top1 and mean_class with mean and
        std over folds in per cent, pooled (``scores`` over all clips), nobody_seen (clips in which nobody was: wrong),
        calibration, and final, a folder or None.

    Raises:
        DataError: fewer than two classes; a fold in ``output`` is of other settings or data. ValueError: the folds.
    """
    indices, groups, kind, folds = fold_groups(store, folds, leave_one_out)
    tests = make_folds(store.labels[indices], groups, folds, leave_one_out, settings.data.seed)
    results = []
    for number, test in enumerate(tests, 1):
        apart = np.delete(indices, test), indices[test]
        results.append(_fold(store, *apart, Path(output) / f"fold-{number}", settings, pretrained, verbose))
        if progress:
            progress(number, len(tests) + final)
    summary = _summary(store, results, tests, groups, kind)
    if final:
        summary["final"] = _final(store, indices, tests, results, Path(output) / FINAL, settings, pretrained, summary)
        if progress:
            progress(len(tests) + 1, len(tests) + 1)
    write_json(Path(output) / RESULT, summary)
    return summary


def _fold(store, train, test, folder, settings, pretrained, verbose):
    """Answers to the test clips of one fold, trained and measured unless they are in its folder already."""
    file = folder / "result.json"
    made_from = {
        "config": hashlib.sha256(settings.to_toml().encode()).hexdigest(),
        "fingerprint": store.fingerprint,
        "train": ids_digest(store, train),
        "test": ids_digest(store, test),
        "pretrained": pretrained and file_digest(pretrained_file(pretrained)),
    }
    if not file.exists():
        write_ids(folder, [store.ids[index] for index in train])
        write_ids(folder, [store.ids[index] for index in test], "test_ids.txt")
        splits = (f"ids={folder / name}" for name in ("train_ids.txt", "test_ids.txt"))
        options = {"pretrained": pretrained, "verbose": verbose, "resume": True, "calibrate": False}
        finetune(store, *splits, folder / "run", settings, **options)  # the test clips decide nothing
        model = load_classifier(folder / "run")
        found = measure(model, store, test, "test")
        known = fit_known(model, store, train, class_labels(store, model.names, train))
        answers = {
            "probabilities": np.where(np.isfinite(found.probabilities), found.probabilities, -1).round(6).tolist(),
            "distances": known.distances(embed(model, store, test)).round(4).tolist(),
        }
        write_json(file, {key: found.result[key] for key in ACCURACIES} | answers | {"made_from": made_from}, None)
    result = read_result(file, made_from, ACCURACIES, {"probabilities": len(test), "distances": len(test)})
    probabilities = np.array(result["probabilities"])
    return result | {"probabilities": np.where(probabilities < 0, np.nan, probabilities)}


def _summary(store, results, tests, groups, kind):
    indices = np.flatnonzero(store.labels >= 0)
    probabilities = np.concatenate([result["probabilities"] for result in results])
    labels = store.labels[indices][np.concatenate(tests)]
    rows = []
    for result, test in zip(results, tests, strict=True):
        named = (
            {"subjects": [store.subject_name(each) for each in np.unique(groups[test])]} if kind == "subject" else {}
        )
        rows.append({key: 100 * result[key] for key in ACCURACIES} | {"num_samples": len(test), **named})
    spread = {
        key: {
            "mean": float(np.mean([row[key] for row in rows])),
            "std": float(np.std([row[key] for row in rows], ddof=1)),
        }
        for key in ACCURACIES
    }
    return {
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "grouped_by": kind,
        "folds": rows,
        **spread,
        "classes": list(store.classes),
        "pooled": scores(probabilities, labels, store.classes),
        "nobody_seen": int(np.isnan(probabilities).any(axis=1).sum()),
        "calibration": calibration(probabilities, labels),
        "final": None,
    }


def _final(store, indices, tests, results, folder, settings, pretrained, summary):
    """Train on all clips, with a temperature and a bound from the folds' answers; returns the run folder."""
    order = indices[np.concatenate(tests)]
    held = HeldOut(
        np.concatenate([result["probabilities"] for result in results]),
        store.labels[order],
        [store.ids[index] for index in order],
        np.concatenate([result["distances"] for result in results]),
    )
    write_ids(folder, [store.ids[index] for index in indices], "all_ids.txt")
    everything = settings.replace(validation_fraction=0.0)
    metrics = finetune(
        store,
        f"ids={folder / 'all_ids.txt'}",
        None,
        folder,
        everything,
        pretrained=pretrained,
        verbose=False,
        resume=True,
        calibrate=held,
    )
    found = {key: summary[key] for key in ("grouped_by", *ACCURACIES)} | {"folds": len(tests)}
    write_json(folder / METRICS, {**read_json(folder / METRICS), "cross_validation": found})
    temperature = metrics["calibration"]["temperature"]
    fit = compare_calibration(temper(held.probabilities, temperature), held.labels, temperature)
    evaluation = {
        **{key: summary[key] for key in ("data", "fingerprint", "classes", "nobody_seen")},
        **summary["pooled"],
        "split": f"{len(tests)} folds by {summary['grouped_by']}, each by a network that did not see it",
        "calibration": {**fit, "fitted_on": len(held.labels) - summary["nobody_seen"]},
    }
    write_json(folder / EVALUATION, evaluation, indent=None)
    return str(folder)


def cross_validation_table(summary):
    """The folds, mean and spread as a Markdown table, then the classes by accuracy, worst first."""
    lines = ["| fold | clips | top-1 % | mean class % |", "|---|---|---|---|"]
    for number, row in enumerate(summary["folds"], 1):
        who = f" ({summary['grouped_by']} {', '.join(map(str, row['subjects']))})" if "subjects" in row else ""
        lines.append(f"| {number}{who} | {row['num_samples']} | {row['top1']:.1f} | {row['mean_class']:.1f} |")
    cells = (f"{summary[key]['mean']:.1f} +- {summary[key]['std']:.1f}" for key in ACCURACIES)
    lines.append(f"| mean | {summary['pooled']['num_samples']} | {' | '.join(cells)} |")
    lines += ["", f"Every clip once, by a network that never saw its {summary['grouped_by']}:"]
    ranked = sorted(summary["pooled"]["per_class"].items(), key=lambda entry: entry[1])
    lines += [f"  {name} {100 * share:.0f} %" for name, share in ranked]
    if summary["final"]:
        lines.append(f"{summary['final']}: trained on everything")
    return with_doubts(lines, {"num_test": summary["pooled"]["num_samples"], "nobody_seen": summary["nobody_seen"]})
