"""What each piece of the pre-training on motion is worth: the table of docs/results.md.

    python benchmarks/pieces.py motion.h5 jhmdb.h5 fold.txt held.txt runs/pieces
    python benchmarks/pieces.py motion.h5 jhmdb.h5 fold.txt held.txt runs/pieces --only all,no_lifting --epochs 8

Each variant is `skelmae pretrain --set objective=complete` with one piece taken away, then the linear probe of
`skelmae protocol linear` on the clips named in the two files; three draws of labels. Finished ones are not run again.
The pieces that are no setting of the package are taken away here.
"""

import argparse
import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from keras import ops

from keras_skelmae.data import completion
from keras_skelmae.experiments.protocols import run_protocol
from keras_skelmae.models import motion_completion
from keras_skelmae.training import pretrain
from skelmae_datasets import SkeletonStore
from skelmae_datasets.runs.settings import resolve_settings


def _flat(make):
    def without_depth(self, chosen, rng):
        ((given),) = make(self, chosen, rng)
        given["clean"][..., 2] = 0
        return (given,)

    return without_depth


def _nothing(clean, reconstruction, known):
    found = ops.sum(reconstruction) * 0
    return found, found


def _seen(**changes):
    return [(completion, "ESTIMATOR", replace(completion.ESTIMATOR, **changes))]


VARIANTS = {  # name -> (settings, [(object, name, value put there)])
    "all": ({}, []),
    "no_contrast": ({"contrast": 0.0}, []),
    "no_recognition": ({"recognition": 0.0}, []),
    "no_completing": ({"node_drop": 0.0, "part_drop": 0.0}, []),
    "no_lifting": ({}, [(completion.CompletionBatches, "make", _flat(completion.CompletionBatches.make))]),
    "no_reconstruction": ({}, [(motion_completion, "motion_error", _nothing)]),
    "no_velocity": ({}, [(motion_completion, "VELOCITY", 0.0)]),
    "no_exchange": ({}, _seen(exchange=0.0)),
    "no_faults": ({}, [(completion, "ESTIMATOR", completion.ESTIMATOR.without_faults())]),
    "tenth": ({}, []),
    "third": ({}, []),
}
SHARES = {"tenth": 0.1, "third": 1 / 3}


def split_of(store, name, folder):
    """The recordings that a variant sees: all, or a share of them drawn at random."""
    if name not in SHARES:
        return "all"
    chosen = np.random.default_rng(0).permutation(len(store))[: round(SHARES[name] * len(store))]
    path = folder / "recordings.txt"
    path.write_text("".join(f"{store.ids[index]}\n" for index in np.sort(chosen)), encoding="utf-8")
    return f"ids={path}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion")
    parser.add_argument("data")
    parser.add_argument("train", help="file of ids")
    parser.add_argument("test", help="file of ids")
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", default=",".join(VARIANTS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the pre-training")
    given = parser.parse_args()
    for name in given.only.split(","):
        changed, patches = VARIANTS[name]
        folder = given.output / f"{name}-{given.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        epochs = round(given.epochs / SHARES.get(name, 1))  # as many steps for each
        settings = resolve_settings("pretrain", "small", objective="complete").replace(
            seed=given.seed, epochs=epochs, **changed
        )
        with ExitStack() as stack, SkeletonStore(given.motion) as store:
            for place, attribute, value in patches:
                stack.enter_context(patch.object(place, attribute, value))
            pretrain(store, split_of(store, name, folder), folder / "run", settings, resume=True, verbose=False)
        with SkeletonStore(given.data) as store:
            splits = f"ids={given.train}", f"ids={given.test}"
            draws = {"pretrained": folder / "run", "seeds": (0, 1, 2), "fractions": (0.1, 1.0)}
            found = run_protocol("linear", store, *splits, folder / "linear", resolve_settings("finetune"), **draws)
        print(json.dumps({"variant": name, "seed": given.seed, "rows": found["rows"]}), flush=True)


if __name__ == "__main__":
    main()
