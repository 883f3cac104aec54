"""Time a recipe as it is shipped: a step of `fit`, or a batch of `evaluate`. Prints one JSON line.

    KERAS_BACKEND=tensorflow python benchmarks/recipes.py pretrain paper --layout coco17 --steps 20

The clips are those of the package's synthetic recordings, 3D as they are (ntu25) or as a camera sees them (coco17).
What is called is what `skelmae pretrain` and `finetune` call: the recipe's model, batches, augmentation, optimiser and
callbacks, of a split so small that the recipe makes its batches 32. A prediction is that of `evaluate` on a test split
of NTU RGB+D 60's size, where compiling pays. `--sizes` prints what a peer has to know instead.
"""

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

import keras
import numpy as np
from steps import Clock, timed

from keras_skelmae.fast.networks.batch_slices import prediction_function
from keras_skelmae.models import STRLClassifier
from keras_skelmae.training import finetune, pretrain
from skelmae_datasets import SkeletonStore, convert_ntu, get_layout, project_recordings
from skelmae_datasets.runs.settings import RECIPES, resolve_settings
from skelmae_datasets.synthetic import write_dataset

TEST_CLIPS = 16_487  # of NTU RGB+D 60, cross-subject
EVALUATED = 64  # clips in a batch of `evaluate`


def write_store(folder, layout):
    """A store of 180 synthetic recordings, ntu25 in 3D or coco17 in 2D; returns its path."""
    write_dataset(folder / "raw")
    convert_ntu(folder / "raw", folder / "ntu25.h5")
    if layout == "coco17":
        project_recordings(folder / "ntu25.h5", folder / "coco17.h5", layout=layout)
    return folder / f"{layout}.h5"


def training_steps(options, store, folder):
    """(seconds of each step after the warm-up, sequences in a step), by what the command calls."""
    split = "all"
    count = len(store.select(split))
    settings = resolve_settings(options.task, options.recipe)
    batch = settings.for_clips(count).optimizer.batch_size
    epochs = -(-(options.steps + options.warm) // (count // batch))
    overrides = [f"epochs={epochs}"]
    if options.task == "finetune":
        overrides.append("validation_fraction=0")
    settings, clock = resolve_settings(options.task, options.recipe, overrides=overrides), Clock()
    common = {"verbose": False, "callbacks": [clock]}
    if options.task == "pretrain":
        pretrain(store, split, folder / "run", settings, **common)
    else:
        finetune(store, split, None, folder / "run", settings, **common)
    times = np.diff(clock.times)
    inner = ~np.isin(np.arange(1, len(clock.times)), clock.starts)  # not from one epoch to the next
    return times[options.warm :][inner[options.warm :]], batch


def prediction_steps(options, store):
    """(seconds of each batch of `evaluate`, clips in it)."""
    values = resolve_settings("finetune", options.recipe).flat()
    model = STRLClassifier.from_settings(values, store)
    batch = options.batch
    clips = [model.preprocessor(store.read(index)) for index in range(batch)]
    predict = prediction_function(model, batch, TEST_CLIPS // EVALUATED * (batch > 1))
    return timed(lambda: predict(np.stack(clips)), options.steps), batch


def sizes(options):
    """What a peer has to know of a recipe's network, as far as a peer has such settings."""
    values, layout = resolve_settings("finetune", options.recipe).flat(), get_layout(options.layout)
    return {
        "N": layout.num_joints,
        "C": 2 if options.layout == "coco17" else 3,
        "T": values["num_frames"],
        "D": values["units"],
        "EDGES": layout.edges,
        "PARTS": [np.flatnonzero(mask).tolist() for mask in layout.part_masks],
        "layers": values["encoder_layers"],
        "batch_statistics": values["normalization"] == "batch",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["pretrain", "finetune", "evaluate"])
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--layout", choices=["coco17", "ntu25"], default="coco17")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm", type=int, default=6, help="first steps that do not count")
    parser.add_argument("--batch", type=int, default=EVALUATED, help="clips in a batch of `evaluate`")
    parser.add_argument("--sizes", action="store_true", help="print those of the network and stop")
    options = parser.parse_args()
    if options.sizes:
        print(json.dumps(sizes(options)))
        return
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with SkeletonStore(write_store(folder, options.layout)) as store:
            measure = prediction_steps(options, store) if options.task == "evaluate" else None
            times, batch = measure or training_steps(options, store, folder)
    step = float(np.median(times))
    print(
        json.dumps(
            {
                "task": options.task,
                "recipe": options.recipe,
                "layout": options.layout,
                "backend": keras.config.backend(),
                "batch": batch,
                "step_s": step,
                "sequences_per_s": batch / step,
                "cores": len(os.sched_getaffinity(0)),
                "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
