"""Poses lifted by a pre-trained network as a stream beside the recorded joints: the table of docs/results.md.

    python benchmarks/lifted.py runs/pieces/all/run jhmdb.h5 fold.txt held.txt runs/lifted --seeds 0,1,2

Three classifiers of the recipe `small`, trained on the clips named in one file and measured on those in the other: of
the recordings, of the poses in 3D that the MotionCompletion of RUN makes of them, and of those that it made before any
training. Then the probabilities of the first and of one of the others averaged. Finished ones are not run again.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_skelmae.evaluation import predict_store
from keras_skelmae.experiments.protocols import run_protocol
from keras_skelmae.models import MotionCompletion, load_model
from skelmae_datasets import Sample, SkeletonStore, StoreWriter
from skelmae_datasets.runs.settings import resolve_settings

BATCH = 32


def lift(model, store, path):
    """Write a store of the poses (hips at 0, no units of length) that the model makes of each first person's clip."""
    _, frames, joints, _ = model.preprocessor.clip_shape
    options = {"layout": store.layout, "classes": store.classes, "channels": ("x", "y", "z")}
    with StoreWriter(path, **options) as writer:
        for start in range(0, len(store), BATCH):
            indices = range(start, min(start + BATCH, len(store)))
            clips = np.stack([model.preprocessor(store.read(index)[:1]) for index in indices])
            given = {
                "keypoints": clips,
                "other": clips,
                "clean": np.zeros((len(clips), 2, frames, joints, model.target_coordinates), "float32"),
                "known": np.zeros((len(clips), 2, frames, joints), "float32"),
                "label": np.full(len(clips), -1, "int32"),
            }
            found = ops.convert_to_numpy(model(given, training=False)["reconstruction"])[:, :1]  # (B, 1, T, V, 3)
            for index, pose in zip(indices, found, strict=True):
                writer.append(Sample(store.ids[index], pose, int(store.labels[index])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("train", help="file of ids")
    parser.add_argument("test", help="file of ids")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", default="0", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--fraction", default=1.0, type=float, help="of the labels")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    stores = {"recorded": given.data, "lifted": given.output / "lifted.h5", "untrained": given.output / "untrained.h5"}
    trained = load_model(given.run)
    keras.utils.set_random_seed(0)
    untrained = MotionCompletion.from_config(trained.get_config())
    with SkeletonStore(given.data) as store:
        for model, name in ((trained, "lifted"), (untrained, "untrained")):
            if not stores[name].exists():
                lift(model, store, stores[name])
    right = {}
    for seed in given.seeds:
        told = {}
        for name, path in stores.items():
            with SkeletonStore(path) as store:
                splits = f"ids={given.train}", f"ids={given.test}"
                draws = {"seeds": (seed,), "fractions": (given.fraction,)}
                run_protocol("finetune", store, *splits, given.output / name, resolve_settings("finetune"), **draws)
                indices = store.select(splits[1])
                run = given.output / name / f"finetune-{given.fraction:g}-{seed}" / "run"
                told[name] = predict_store(load_model(run), store, indices)
                labels = store.labels[indices]
        told |= {f"recorded + {name}": (told["recorded"] + told[name]) / 2 for name in ("lifted", "untrained")}
        for name, probabilities in told.items():
            right.setdefault(name, []).append(100 * float(np.mean(probabilities.argmax(axis=1) == labels)))
        print(json.dumps({"seed": seed, **{name: round(found[-1], 1) for name, found in right.items()}}), flush=True)


if __name__ == "__main__":
    main()
