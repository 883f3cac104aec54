"""How far answers can be trusted, on a store with a split: the figures of docs/trust.md and docs/few-clips.md.

    python benchmarks/trust.py calibration nwucla.h5 xsub5_train_nodup xsub5_test_nodup runs/trust
    python benchmarks/trust.py unknown jhmdb.h5 train1 test1 runs/trust
    python benchmarks/trust.py balance jhmdb.h5 train1 test1 runs/trust

calibration: likelihood and calibration error before and after the temperature. unknown: three classes, drawn by the
seed, are left out of the training; how many of their test clips are told from the others, by strangeness and by the
greatest probability. balance: a class, drawn by the seed, is cut to a fifth; mean-class accuracy by `class_balance`.
Every run is `skelmae finetune` with the recipe's own settings; finished ones are not trained again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from keras_skelmae.evaluation.calibration import compare_calibration
from keras_skelmae.evaluation.evaluate import measure
from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.known import FALSE_ALARMS, load_known, strangeness
from keras_skelmae.models import load_model
from keras_skelmae.training import finetune
from skelmae_datasets import SkeletonStore
from skelmae_datasets.runs.settings import resolve_settings


def trained(store, indices, folder, seed, recipe, **changes):
    """The run folder of a classifier of these samples."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = folder / "chosen.txt"
    ids.write_text("".join(f"{store.ids[index]}\n" for index in indices), encoding="utf-8")
    settings = resolve_settings("finetune", recipe).replace(seed=seed, **changes)
    finetune(store, f"ids={ids}", None, folder / "run", settings, resume=True, verbose=False)
    return folder / "run"


def calibration(store, train, test, output, seed, recipe):
    model = load_model(trained(store, train, output / f"all-{seed}", seed, recipe))
    found = measure(model, store, test, "test")
    compared = compare_calibration(found.probabilities, store.labels[test], model.temperature)
    keys = ("nll", "ece", "ece_floor", "ece_floor_95")
    pairs = {when: compared[when] or compared["after"] for when in ("before", "after")}
    return {
        "temperature": compared["temperature"],
        "top1": found.result["top1"],
        **{f"{key}_{when}": part[key] for when, part in pairs.items() for key in keys},
    }


def unknown(store, train, test, output, seed, recipe):
    labels = store.labels
    left_out = np.sort(np.random.default_rng(seed).permutation(np.unique(labels[train]))[:3])
    run = trained(store, train[~np.isin(labels[train], left_out)], output / f"unknown-{seed}", seed, recipe)
    model, new = load_model(run), np.isin(labels[test], left_out)
    found = measure(model, store, test, "test")
    known = load_known(run, model)
    strange = {
        "strangeness": strangeness(known.distances(embed(model, store, test)), found.probabilities),
        "probability": 1 - found.probabilities.max(axis=1),
    }
    figures = {"left_out": [store.classes[label] for label in left_out], "clips": int(new.sum()), "of": len(test)}
    for name, values in strange.items():
        seen = np.isfinite(values)
        bound = np.quantile(values[seen & ~new], 1 - FALSE_ALARMS)
        figures[f"{name}_auc"] = float(roc_auc_score(new[seen], values[seen]))
        figures[f"{name}_found"] = float((values[seen & new] > bound).mean())
    figures["found_as_shipped"] = float((strange["strangeness"][new] > known.threshold).mean())
    figures["alarms_as_shipped"] = float((strange["strangeness"][~new] > known.threshold).mean())
    return figures


def balance(store, train, test, output, seed, recipe):
    labels, rng = store.labels, np.random.default_rng(seed)
    cut = int(rng.permutation(np.unique(labels[train]))[0])
    rows = rng.permutation(train[labels[train] == cut])
    kept = np.setdiff1d(train, rows[max(1, round(len(rows) / 5)) :])
    figures = {"class": store.classes[cut], "clips": int((labels[kept] == cut).sum()), "of": len(rows)}
    for way in ("none", "weights", "sampling"):
        run = trained(store, kept, output / f"balance-{way}-{seed}", seed, recipe, class_balance=way)
        found = measure(load_model(run), store, test, "test")
        mine = labels[test] == cut
        figures[f"{way}_mean_class"] = found.result["mean_class"]
        figures[f"{way}_top1"] = found.result["top1"]
        figures[f"{way}_of_the_class"] = float((found.probabilities[mine].argmax(axis=1) == cut).mean())
    return figures


TASKS = {"calibration": calibration, "unknown": unknown, "balance": balance}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("data")
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--recipe", default="small")
    given = parser.parse_args()
    rows = []
    with SkeletonStore(given.data) as store:
        train, test = store.select(given.train), store.select(given.test)
        for seed in map(int, given.seeds.split(",")):
            place = given.output / Path(given.data).stem
            rows.append({"seed": seed, **TASKS[given.task](store, train, test, place, seed, given.recipe)})
            print(json.dumps(rows[-1]), flush=True)
    print("\n| | " + " | ".join(f"seed {row['seed']}" for row in rows) + " | mean |")
    print("|---" * (len(rows) + 2) + "|")
    for key in rows[0]:
        if key != "seed":
            values = [row[key] for row in rows]
            told = [f"{value:.3f}" if isinstance(value, float) else str(value) for value in values]
            mean = f"{np.mean(values):.3f}" if isinstance(values[0], float) else ""
            print(f"| {key} | " + " | ".join(told) + f" | {mean} |")


if __name__ == "__main__":
    main()
