"""The short forms of benchmarks/fuzz_readers.py, which runs 100,000 inputs, and of benchmarks/conversion.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from skelmae_datasets.synthetic import write_dataset

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "fuzz_readers.py"
REFERENCE = ROOT.parent / "shared" / "bench" / "ntu_reader_reference.py"


def test_mutated_inputs_give_our_error_and_leave_nothing():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--count", "300", "--seed", "3"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"failures": []' in done.stdout, done.stderr[-2000:]


def test_mutated_files_of_estimators_give_our_error():
    command = [sys.executable, SCRIPT, "--count", "900", "--seed", "5", "--kinds", "clip", "value", "value", "array"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and '"failures": []' in done.stdout, done.stderr[-2000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["value read"] > 20 and counts["value refused"] > 20


def test_a_conversion_is_small_in_memory_and_on_disk(tmp_path):
    if not REFERENCE.is_file():
        pytest.skip(f"{REFERENCE} is absent")
    write_dataset(tmp_path / "raw", 2, 1, seed=1)
    command = [sys.executable, ROOT / "benchmarks" / "conversion.py", tmp_path / "raw", "--reference", REFERENCE]
    done = subprocess.run([*command, "--files", "300"], capture_output=True, text=True, timeout=300, check=True)
    many = json.loads(done.stdout)["300_files"]
    assert many["same_store"] and many["peak_rss_MB"] < 500 and many["padded_over_store"] > 5


def test_mutated_files_of_runs_give_our_error():
    done = subprocess.run(
        [sys.executable, SCRIPT.with_name("fuzz_models.py"), "--count", "600", "--seed", "4"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"failures": []' in done.stdout
