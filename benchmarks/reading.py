"""Conversion and the reading of an epoch, on synthetic recordings. Prints one JSON line.

    python benchmarks/reading.py
    python benchmarks/reading.py --reference ntu_reader_reference.py

Conversion: `.skeleton` files to a store in one process; the reference's `read` over the same files, in turns. Epoch:
all batches of a training epoch, augmented as in the recipe `small`, from the file and again from memory.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from conversion import load_reference
from memory import AUGMENTATION, write

from keras_skelmae.data import labelled
from keras_skelmae.models import SkeletonPreprocessor
from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset


def seconds(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def conversion(folder, rounds, reference):
    files = write_dataset(folder / "raw", subjects=4, repetitions=2)
    runs = {"convert": lambda: convert_ntu(folder / "raw", folder / "raw.h5")}
    if reference is not None:
        module = load_reference(reference)
        runs["reference"] = lambda: [module.read(file) for file in files]
    took = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            took[name].append(seconds(run))
    found = {f"{name}_files_per_s": len(files) / statistics.median(times) for name, times in took.items()}
    if reference is not None:
        found["ratio"] = statistics.median(theirs / ours for ours, theirs in zip(*took.values(), strict=True))
    return found | {"MB_per_s": sum(file.stat().st_size for file in files) / statistics.median(took["convert"]) / 1e6}


def epoch(folder, count, rounds):
    """Sequences per second of one thread: (from the file, from memory)."""
    write(folder / "epoch.h5", count)
    rates = []
    for _ in range(rounds):
        with SkeletonStore(folder / "epoch.h5") as store:
            data = labelled(store, "train", SkeletonPreprocessor("coco17", num_people=1), augment=AUGMENTATION)
            count = len(data) * data.batch_size
            rates.append([count / seconds(lambda data=data: [data[i] for i in range(len(data))]) for _ in range(2)])
    return [statistics.median(rate) for rate in zip(*rates, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="ntu_reader_reference.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=8000, help="sequences of the epoch, of 64 frames")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        read, again = epoch(Path(temporary), options.count, options.rounds)
        print(
            json.dumps(
                {
                    **conversion(Path(temporary), options.rounds, options.reference),
                    "epoch_from_file": read,
                    "epoch_from_memory": again,
                }
            )
        )


if __name__ == "__main__":
    main()
