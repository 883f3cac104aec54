"""Peak memory and input waiting of a pre-training on COUNT synthetic sequences. Prints one JSON line.

    python benchmarks/memory.py 1000
    python benchmarks/memory.py 100000

A store of COUNT sequences of 64 frames is written to a temporary folder and streamed through SkeletonBatches. In turn,
a number of steps are timed on that and on batches that were made before: the difference is what a step waited, the
median over the rounds.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from steps import Batches, Clock

from keras_skelmae.models import SkeletonMAE
from keras_skelmae.training.feeding import batches
from skelmae_datasets import SkeletonStore
from skelmae_datasets.store_writer import Sample, StoreWriter


def write(path, count):
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(1, 200, 17, 2)).cumsum(axis=1).astype("float16")
    with StoreWriter(path, layout="coco17", classes=["a"], channels=("x", "y"), units="pixels",
                     dtype="float16") as writer:
        for number in range(count):
            writer.append(Sample(f"s{number}", walk[:, number % 130:][:, :64], 0))
        writer.set_splits({"train": [f"s{number}" for number in range(count)]})


class Part(keras.utils.PyDataset):
    """The batches of ``data`` from one on, and again from the first where there are not enough."""

    def __init__(self, data, start, count):
        super().__init__()
        self.data, self.start, self.count = data, start, count

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        return self.data[(self.start + number) % len(self.data)]


def median_step(model, data):
    clock = Clock()
    model.fit(data, verbose=0, shuffle=False, callbacks=[clock])
    return float(np.median(np.diff(clock.times)[4:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=40, help="of a round, each way")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "s.h5", options.count)
        with SkeletonStore(Path(folder) / "s.h5") as store:
            model = SkeletonMAE("coco17", num_people=1, normalization="layer")
            model.compile(optimizer=keras.optimizers.Adam(1.5e-4), jit_compile=True)
            data = batches(store, "train", masked={"mask_sequences": 0, "num_masked": 1}, num_people=1,
                           batch_size=options.batch,
                           augment={"rotate": 0.3, "scale": 0.1, "joint_noise": 0.01, "crop_min": 0.6})
            data.needed = model.needed_joints
            made = list(Part(data, 0, 16))
            started = time.perf_counter()
            list(Part(data, 16, 15))
            making = (time.perf_counter() - started) / 15
            median_step(model, Batches(made, 40))  # compiles
            rounds = []
            for turn in range(options.rounds):
                streamed = median_step(model, Part(data, 31 + turn * options.steps, options.steps))
                rounds.append((median_step(model, Batches(made, options.steps)), streamed))
            ready, streamed = np.median(rounds, axis=0)
            waiting = float(np.median([max(0.0, 1 - less / more) for less, more in rounds]))
            print(json.dumps({"sequences": options.count, "rounds": rounds, "step_ms": 1e3 * streamed,
                              "ready_ms": 1e3 * ready, "making_ms": 1e3 * making, "waiting": waiting,
                              "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
