"""Kill real commands at random moments, go on with --resume, and compare with a run that nobody disturbed.

    python tests/robustness/kill_harness.py --kills 50 --seed 0

`pretrain`, `finetune` and `convert-ntu` are each started, killed by SIGKILL after a random part of the time they take,
then called with --resume until they end (every second one is killed twice). The weights, the history but for its
seconds, and the store's fingerprint must be those of the undisturbed run to the last bit, and whatever stands under a
final name at the moment of the kill must be whole. Prints one JSON line per command.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np

from skelmae_datasets import SkeletonStore
from skelmae_datasets.synthetic import write_dataset

TINY = ("epochs=6", "units=8", "encoder_layers=1", "num_frames=8", "batch_size=8", "warmup_epochs=1", "jit_compile=off")
TINY += ("ema_momentum=0.9",)
BODY = ("num_layers=1", "temporal_units=[8,8]", "body_streams=features,motion2", "temporal_strides=[]")


def skelmae(*arguments, backend="tensorflow", **options):
    """A started `skelmae` process."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    code = "import sys; from skelmae_cli.main import cli; cli(sys.argv[1:], prog_name='skelmae')"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, timeout=600):
    """(exit status, output, errors) of a process once it has ended."""
    output, errors = process.communicate(timeout=timeout)
    return process.returncode, output, errors


def weights_digest(path):
    """SHA-256 of the weights in a .keras file, by name: the archive itself holds times."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file, "r") as weights:

        def add(name, item):
            if isinstance(item, h5py.Dataset):
                digest.update(name.encode() + np.ascontiguousarray(item[()]).tobytes())

        weights.visititems(add)
    return digest.hexdigest()


def history(path):
    """The rows of history.csv without their seconds."""
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def check_run_files(folder):
    """Raise where a file under its final name is not whole."""
    for path in folder.glob("*.keras"):
        weights_digest(path)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, path
    for name in ("metrics.json", "run.json"):
        if (folder / name).exists():
            json.loads((folder / name).read_text("utf-8"))
    for path in folder.glob("checkpoints/checkpoint-*.npz"):
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] in path.name, path
    if (folder / "history.csv").exists():
        history(folder / "history.csv")


class Training:
    """`pretrain` or `finetune`: how it is called, and what must come out the same."""

    def __init__(self, stage, store, backend):
        self.name, self.stage, self.store, self.backend = f"{stage} ({backend})", stage, store, backend

    def start(self, folder, resume=False):
        own = {"pretrain": (), "finetune": ("--select", "best", *(f"--set={setting}" for setting in BODY))}[self.stage]
        line = [self.stage, self.store, "--train-split", "xsub_train", "--output", folder / "run", "--no-report"]
        line += [*own, *(f"--set={setting}" for setting in TINY), "--checkpoint-minutes", "0.0005"]
        return skelmae(*line, *["--resume"] * resume, backend=self.backend)

    def check(self, folder):
        if (folder / "run").exists():
            check_run_files(folder / "run")

    def result(self, folder):
        left = {path.name for path in (folder / "run").iterdir()} & {"checkpoints", ".lock"}
        parts = [path.name for path in (folder / "run").rglob(".part-*")]
        assert not left and not parts, (left, parts)
        return weights_digest(folder / "run" / "model.keras"), history(folder / "run" / "history.csv")


class Conversion:
    """`convert-ntu` with two reader processes."""

    name = "convert-ntu"

    def __init__(self, recordings):
        self.recordings = recordings

    def start(self, folder, resume=False):
        folder.mkdir(exist_ok=True)
        return skelmae("convert-ntu", self.recordings, folder / "out.h5", "--workers", "2", *["--resume"] * resume)

    def check(self, folder):
        if (folder / "out.h5").exists():
            SkeletonStore(folder / "out.h5").verify()

    def result(self, folder):
        assert [path.name for path in folder.iterdir()] == ["out.h5"], list(folder.iterdir())
        return SkeletonStore(folder / "out.h5").fingerprint


def disturb(command, count, folder, seed):
    """Kill a command `count` times at random moments; returns dict of figures, or raises at the first difference."""
    rng = random.Random(f"{seed} {command.name}")
    started = time.perf_counter()
    status, _, errors = finish(command.start(folder / "whole"))
    assert status == 0, errors
    lasts, wanted = time.perf_counter() - started, command.result(folder / "whole")
    kills = ended = 0
    for number in range(count):
        place = folder / f"{number}"
        for attempt in range(1 + number % 2):
            process = command.start(place, resume=attempt > 0)
            time.sleep(rng.uniform(0.2, 1.0) * lasts)
            ended += process.poll() is not None
            process.send_signal(signal.SIGKILL)
            finish(process)
            kills += 1
            command.check(place)
        status, _, errors = finish(command.start(place, resume=True))
        assert status == 0, f"{command.name}, kill {number}: {errors}"
        assert command.result(place) == wanted, f"{command.name}, kill {number}: another result"
        shutil.rmtree(place)
    return {
        "command": command.name,
        "runs": count,
        "kills": kills,
        "too late": ended,
        "identical": count,
        "seconds": round(time.perf_counter() - started),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--only", choices=["pretrain", "finetune", "convert-ntu"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(folder / "raw", subjects=8, repetitions=4, actions=["wave", "squat", "kick"])
        store = folder / "store.h5"
        status, _, errors = finish(skelmae("convert-ntu", folder / "raw", store))
        assert status == 0, errors
        commands = {
            "pretrain": Training("pretrain", store, options.backend),
            "finetune": Training("finetune", store, options.backend),
            "convert-ntu": Conversion(folder / "raw"),
        }
        for key, command in commands.items():
            if options.only in (None, key):
                (folder / key).mkdir()
                print(json.dumps(disturb(command, options.kills, folder / key, options.seed)), flush=True)


if __name__ == "__main__":
    main()
