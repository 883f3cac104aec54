"""Two devices, two processes: the figures of one at the same global batch, and one run folder."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from keras_skelmae.data import LabelledBatches, MaskedBatches
from keras_skelmae.fast.networks import devices as module
from keras_skelmae.fast.networks.devices import VARIABLES, ProcessBatches, use_devices
from keras_skelmae.models import SkeletonPreprocessor
from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset

# Four processes compile the same steps: what they compute is compared, not how soon
JAX = {"KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def train(folder, store, devices=None, **environment):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(Path(__file__).with_name("train.py")), str(folder), str(store)]
    done = subprocess.run(
        command + ([devices] if devices else []),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, **JAX, **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_dataset(folder / "raw", subjects=4, repetitions=1, actions=["wave", "squat", "handshake"], frames=(12, 20))
    convert_ntu(folder / "raw", folder / "s.h5")
    return folder / "s.h5"


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """{name: (folder, what each process said)} of one device, two devices and two processes."""
    place = tmp_path_factory.mktemp("runs")
    shared = {VARIABLES[0]: f"127.0.0.1:{free_port()}", VARIABLES[1]: "2"}
    with ThreadPoolExecutor() as pool:
        one = pool.submit(train, place / "one", store)
        two = pool.submit(train, place / "devices", store, "2", XLA_FLAGS="--xla_force_host_platform_device_count=2")
        both = [
            pool.submit(train, place / "processes", store, **shared, **{VARIABLES[2]: str(number)})
            for number in range(2)
        ]
        return {
            "one": (place / "one", [one.result()]),
            "devices": (place / "devices", [two.result()]),
            "processes": (place / "processes", [process.result() for process in both]),
        }


def history(run):
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows if row[key]] for key in rows[0] if key != "seconds"}


@pytest.mark.parametrize("kind", ["devices", "processes"])
@pytest.mark.parametrize("stage", ["pre", "fine"])
def test_the_losses_are_those_of_one_device(kind, stage, runs):
    expected, found = (history(runs[name][0] / stage) for name in ("one", kind))
    assert set(found) == set(expected) and len(expected["loss"]) == 3
    for key, values in expected.items():
        if key != "val_loss":  # Keras weighs the last batch by its rows, the ones of weight 0 among them
            np.testing.assert_allclose(found[key], values, rtol=1e-5, atol=1e-6, err_msg=key)


def test_every_process_computes_and_the_first_writes(runs):
    folder, said = runs["processes"]
    assert [(one["process"], one["processes"], one["devices"]) for one in said] == [(0, 2, 2), (1, 2, 2)]
    assert runs["devices"][1][0]["devices"] == 2 and runs["one"][1][0]["devices"] == 1
    assert sorted(path.name for path in (folder / "fine").iterdir()) == [
        "config.toml",
        "history.csv",
        "metrics.json",
        "model.keras",
        "report.html",
        "run.json",
        "train_ids.txt",
    ]


@pytest.fixture
def two_processes(monkeypatch):
    def process(number):
        monkeypatch.setattr(module, "_STATE", {"process": number, "processes": 2, "devices": 4})

    return process


def test_processes_read_their_rows_of_the_same_batch(store, two_processes):
    with SkeletonStore(store) as opened:
        clips = SkeletonPreprocessor.for_data(opened, num_frames=8)
        augment = {"crop_min": 0.5, "rotate": 0.3, "joint_noise": 0.01}

        def make():
            return MaskedBatches(opened, opened.select("all"), clips, batch_size=4, seed=2, augment=augment)

        whole = make()[1][0]
        for number in range(2):
            two_processes(number)
            data = make()
            read = []
            original = data.source.read
            data.source.read = lambda index, original=original, read=read: read.append(index) or original(index)
            part = ProcessBatches(data)[1][0]
            assert len(read) == 2
            for key, values in whole.items():
                np.testing.assert_array_equal(part[key], values[2 * number : 2 * number + 2], err_msg=key)


def test_a_last_batch_is_filled_up_with_rows_that_do_not_count(store, two_processes):
    with SkeletonStore(store) as opened:
        clips = SkeletonPreprocessor.for_data(opened, num_frames=8)
        data = LabelledBatches(opened, opened.select("all")[:6], clips, batch_size=8, training=False)
        x, y = data[0]
        two_processes(1)
        part, labels, weight = ProcessBatches(data)[0]
    assert weight.tolist() == [1, 1, 0, 0]
    np.testing.assert_array_equal(part[:2], x[4:])
    np.testing.assert_array_equal(labels[:2], y[4:])


def test_what_cannot_be_shared_is_named(store, two_processes):
    two_processes(0)
    with SkeletonStore(store) as opened:
        clips = SkeletonPreprocessor.for_data(opened)
        with pytest.raises(ValueError, match="batch_size: expected a multiple of 4 devices, found 6"):
            ProcessBatches(LabelledBatches(opened, opened.select("all"), clips, batch_size=6))
        with pytest.raises(ValueError, match="batch_size: expected at most the 12 sequences"):
            ProcessBatches(LabelledBatches(opened, opened.select("all"), clips, batch_size=64))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((None, "2", "0"), "SKELMAE_COORDINATOR: expected a value beside"),
        (("a:1", "two", "0"), "SKELMAE_NUM_PROCESSES: expected a whole number, found 'two'"),
        (("a:1", "2", "2"), "SKELMAE_PROCESS_ID: expected below SKELMAE_NUM_PROCESSES = 2, found 2"),
    ],
)
def test_bad_variables_are_named(values, message):
    environment = {name: value for name, value in zip(VARIABLES, values, strict=True) if value}
    with pytest.raises(ValueError, match=message):
        use_devices(environment=environment)


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_other_backends_refuse_in_one_line(backend, monkeypatch):
    monkeypatch.setattr(module.keras.config, "backend", lambda: backend)
    use_devices(1, {})
    with pytest.raises(ValueError, match=f"expected the JAX backend .*, found {backend}"):
        use_devices(2, {})
