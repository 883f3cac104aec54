"""Fine-tuning from the pre-trained encoder against random initialisation, over seeds: the README's table.

Both sides get the same recipe, the same epochs, the same seeds and the whole training split; the test split is only
reported on, the saved weights are those of the last epoch.
A run that is already there is not repeated, so an interrupted call continues.

    python benchmarks/accuracy.py jhmdb.h5 --train train1 --test test1 --output runs/jhmdb
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")  # as the command line does, before TensorFlow is imported

import numpy as np

from keras_skelmae.training import evaluate_model, finetune, pretrain, resolve_config
from skelmae_datasets import SkeletonStore


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--train", required=True, help="training split")
    parser.add_argument("--test", required=True, help="test split, only reported")
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="settings of both stages, key=value")
    parser.add_argument("--epochs", type=int, help="of the fine-tuning")
    parser.add_argument("--starts", nargs="+", default=["pretrained", "random"])
    options = parser.parse_args()
    store = SkeletonStore(options.store)
    table = {start: [] for start in options.starts}
    for seed in options.seeds:
        before = resolve_config("pretrain", options.recipe, None, options.overrides, seed=seed)
        after = resolve_config("finetune", options.recipe, None, options.overrides, seed=seed, epochs=options.epochs)
        encoder = options.output / f"pretrain-{seed}"
        if "pretrained" in options.starts and not (encoder / "metrics.json").exists():
            pretrain(store, options.train, encoder, before, verbose=False)
        for start in options.starts:
            run = options.output / f"{start}-{seed}"
            if not (run / "metrics.json").exists():
                finetune(store, options.train, options.test, run, after, verbose=False,
                         pretrained=encoder if start == "pretrained" else None)
            result = evaluate_model(run, store, options.test)
            table[start].append(100 * result["top1"])
            print(f"seed {seed}, {start}: top-1 {table[start][-1]:.1f}, mean class {100 * result['mean_class']:.1f}",
                  flush=True)
    for start, values in table.items():
        print(f"{start:12s} {np.mean(values):.1f} +- {np.std(values):.1f} over seeds {options.seeds}")
    (options.output / "accuracy.json").write_text(json.dumps({"test": options.test, "top1": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
