"""Peak memory and input waiting of a pre-training on COUNT synthetic sequences. Prints one JSON line.

    python benchmarks/memory.py 1000
    python benchmarks/memory.py 100000

A store of COUNT sequences of 64 frames is written to a temporary folder and streamed through MaskedBatches. Blocks of
steps on batches that are made beside the step, as in every training, alternate with blocks on the same batches made
before: what a step waits for its input is the median, over these pairs, of how much longer it takes.
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

from keras_skelmae.data import SequenceSource, masked
from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE
from keras_skelmae.models import SkeletonEncoder, SkeletonMAE, SkeletonPreprocessor
from skelmae_datasets import Sample, SkeletonStore, StoreWriter

BLOCK = 40  # batches
ADVANCE = 10  # as many at both ends of a block are left out, since batches are made and fetched in advance
AUGMENTATION = {"rotate": 0.3, "scale": 0.1, "joint_noise": 0.01, "crop_min": 0.6}


def write(path, count):
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(1, 200, 17, 2)).cumsum(axis=1).astype("float16")
    with StoreWriter(
        path, layout="coco17", classes=["a"], channels=("x", "y"), units="pixels", dtype="float16"
    ) as writer:
        for number in range(count):
            writer.append(Sample(f"s{number}", walk[:, number % 130 :][:, :64], 0))
        writer.set_splits({"train": [f"s{number}" for number in range(count)]})


class Turns(keras.utils.PyDataset):
    """A block of ready batches, then one of the same ones made as they are asked for."""

    def __init__(self, data, numbers, ready):
        super().__init__()
        self.data, self.numbers, self.ready = data, numbers, ready
        self.order = [(made, place) for made in (False, True) for place in range(len(numbers))]

    def __len__(self):
        return len(self.order)

    def __getitem__(self, step):
        made, place = self.order[step]
        number = self.numbers[place]
        return self.data[number] if made else self.ready[number]


def pairs(model, turns):
    """(N, 2) seconds that a step took on a ready batch and on the same batch made beside it."""
    clock = Clock()
    model.fit(turns, verbose=0, shuffle=False, callbacks=[clock])
    took = dict(zip(turns.order[1:], np.diff(clock.times), strict=True))
    return [(took[False, place], took[True, place]) for place in range(ADVANCE, len(turns.numbers) - ADVANCE)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "s.h5", options.count)
        with SkeletonStore(Path(folder) / "s.h5") as store:
            encoder = SkeletonEncoder(SkeletonPreprocessor("coco17", num_people=1), normalization="layer")
            model = TrimmedMAE(SkeletonMAE(encoder, remask="token"))
            model.compile(optimizer=keras.optimizers.Adam(1.5e-4), jit_compile=True)
            masking = {"mask_sequences": 0, "num_masked": 1}
            settings = {"masking": masking, "batch_size": options.batch, "augment": AUGMENTATION, "trim": model.trim}
            data, before = (masked(store, "train", encoder, **settings) for _ in range(2))
            before.source = SequenceSource(store, cache_bytes=0)  # what was made before is not in the memory of data
            if len(data) <= BLOCK:
                [data[number] for number in range(len(data))]  # as from the second epoch on
            started, count = time.perf_counter(), min(len(data), 64)
            for number in range(len(data) - count, len(data)):
                data[number]
            making = (time.perf_counter() - started) / count
            model.fit(Batches([before[number] for number in range(min(len(before), 24))], 24), verbose=0)  # compiles
            found = []
            for turn in range(options.rounds):
                numbers = np.arange(turn * BLOCK, (turn + 1) * BLOCK) % len(data)
                found += pairs(model, Turns(data, numbers, {number: before[number] for number in numbers}))
            ready, made = np.transpose(found)
            waiting = 1 - 1 / float(np.median(made / ready))
            print(
                json.dumps(
                    {
                        "sequences": options.count,
                        "steps": len(found),
                        "step_ms": 1e3 * np.median(made),
                        "ready_ms": 1e3 * np.median(ready),
                        "making_ms": 1e3 * making,
                        "waiting": waiting,
                        "quartiles": [1 - 1 / float(np.quantile(made / ready, part)) for part in (0.25, 0.75)],
                        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                    }
                )
            )


if __name__ == "__main__":
    main()
