"""Damaged and forged files of runs: models, settings, checkpoints. Only our errors, in one line.

    python benchmarks/fuzz_models.py --count 20000 --seed 0

What is read here is checked before Keras sees it; Keras itself is not asked. Prints one JSON line.
"""

import argparse
import io
import json
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
from fuzz_readers import mutate, mutate_object

from keras_skelmae.models.model_files import check_model_file
from keras_skelmae.training.checkpoints import Checkpoints
from skelmae_datasets import DataError
from skelmae_datasets.files import read_json
from skelmae_datasets.runs.settings import SettingsError, read_settings, resolve_settings


def record(kind, **config):
    """A model or a part of one as Keras writes it."""
    name = {"class_name": kind, "registered_name": f"keras_skelmae>{kind}"}
    return {"module": "keras_skelmae.models", **name, "config": config, "build_config": {"input_shape": None}}


ENCODER = {"units": 8, "streams": ["joint"], "preprocessor": {"layout": {"edges": [[0, 1]]}, "num_frames": 8}}
CONFIG = record("STRLClassifier", backbone=record("STRLBackbone", encoder=ENCODER, num_layers=1), num_classes=3)


def weights():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.ones((8, 8), "float32")
        file["layers/dense/vars/1"] = np.ones(8, "float32")
    return buffer.getvalue()


def packed(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def run_one(kind, rng, folder):
    """Read one mutation; "read" or "refused"."""
    members = {"metadata.json": b"{}", "config.json": json.dumps(CONFIG).encode(), "model.weights.h5": WEIGHTS}
    try:
        if kind in ("keras", "member", "settings"):
            if kind == "member":  # the archive is whole, something in it is not
                name = list(members)[int(rng.integers(3))]
                members[name] = mutate(members[name], rng)
            elif kind == "settings":
                members["config.json"] = json.dumps(mutate_object(CONFIG, rng), default=repr).encode()
            data = packed(members)
            (folder / "m.keras").write_bytes(mutate(data, rng) if kind == "keras" else data)
            check_model_file(folder / "m.keras")
        elif kind == "toml":
            (folder / "config.toml").write_bytes(mutate(TOML, rng))
            read_settings(folder / "config.toml", "finetune")
        elif kind == "json":
            (folder / "run.json").write_bytes(mutate(json.dumps(CONFIG).encode(), rng))
            read_json(folder / "run.json")
        else:
            files = Checkpoints(folder)
            for steps in (1, 2):
                files.save(steps, {"model/0": np.ones(5)}, {"epoch": steps})
            for path in files.folder.iterdir():
                if rng.random() < 0.6:
                    path.write_bytes(mutate(path.read_bytes(), rng))
            files.load()
        return "read"
    except (DataError, SettingsError) as error:
        assert str(error) and "\n" not in str(error), "an error in one line"
        return "refused"


WEIGHTS = weights()
TOML = resolve_settings("finetune").to_toml().encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one number, to repeat a failure")
    options = parser.parse_args()
    kinds = ("keras", "member", "settings", "toml", "json", "checkpoint")
    results, failures, slowest = Counter(), [], 0.0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in [options.only] if options.only is not None else range(options.count):
            kind, begun = kinds[number % len(kinds)], time.process_time()
            try:
                results[kind, run_one(kind, np.random.default_rng((options.seed, number)), Path(folder))] += 1
            except Exception as error:
                failures.append(f"seed {options.seed} number {number} ({kind}): {type(error).__name__}: {error}")
                print(failures[-1], file=sys.stderr, flush=True)
                if options.only is not None or len(failures) > 100:
                    raise
            slowest = max(slowest, time.process_time() - begun)
    print(
        json.dumps(
            {
                "inputs": sum(results.values()),
                "seconds": round(time.perf_counter() - started, 1),
                "failures": failures,
                "slowest_cpu_ms": round(1e3 * slowest, 1),
                **{f"{kind} {result}": count for (kind, result), count in sorted(results.items())},
            }
        )
    )
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
