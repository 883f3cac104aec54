"""What the backends' tests share: every backend's models, files and answers, made once."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

BACKENDS = ("tensorflow", "jax", "torch")


def run_worker(backend, *arguments):
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env={**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder per backend, filled by a process that wrote and then by one that read all the others'."""
    from skelmae_datasets import convert_ntu
    from skelmae_datasets.synthetic import write_dataset

    folder = tmp_path_factory.mktemp("backends")
    files = write_dataset(
        folder / "raw", subjects=4, repetitions=1, actions=["wave", "squat", "handshake"], frames=(12, 20)
    )
    convert_ntu(folder / "raw", folder / "s.h5")
    for backend in BACKENDS:
        (folder / backend).mkdir()
    with ThreadPoolExecutor(2) as pool:  # the slowest first
        order = ("jax", "tensorflow", "torch")
        writes = [
            pool.submit(run_worker, backend, "write", folder / backend, folder / "s.h5", files[0]) for backend in order
        ]
        for write in writes:
            write.result()
        for read in [pool.submit(run_worker, backend, "read", folder / backend) for backend in order]:
            read.result()
    return folder
