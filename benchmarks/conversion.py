"""Conversion speed, memory, size and reading time, against the line-by-line reader of the field.

    python benchmarks/conversion.py ../shared/data/irds_skeleton --reference ../shared/bench/ntu_reader_reference.py

All in one run and interleaved, so that both see the same machine: for every round the reference's `read` over the
files, a bare text-to-float pass over their bytes, our `read_skeleton`, and the whole `convert_ntu` (reading, denoising,
compressing, writing) with one process and with two. Prints one JSON line; the ratios are medians over the rounds.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from skelmae_datasets import SkeletonStore, convert_ntu, read_skeleton


def load_reference(path):
    """The module at a path."""
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bare_pass(files):
    """What the text costs as numbers alone: every value by float(), nothing kept."""
    for file in files:
        np.fromiter(map(float, file.read_bytes().split()), "float64")


def copies(source, folder, count):
    """`count` recordings with names of their own, made by linking (or else copying) the real ones."""
    folder.mkdir()
    for number in range(count):
        original = source[number % len(source)]
        subject, rest = 1 + number // 900 % 999, number % 900
        name = f"S{1 + number // 899100:03d}C001P{subject:03d}R{1 + rest // 9:03d}A{1 + rest % 9:03d}.skeleton"
        try:
            os.link(original, folder / name)
        except OSError:
            (folder / name).write_bytes(original.read_bytes())


def convert_alone(folder, output, workers):
    """(seconds of the conversion, seconds with process start, peak RSS in MB of the largest process)."""
    code = (
        "import json, resource, sys, time\nfrom skelmae_datasets import convert_ntu\n"
        "if __name__ == '__main__':\n"
        "    t = time.perf_counter()\n    convert_ntu(sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))\n"
        "    rss = [resource.getrusage(who).ru_maxrss // 1024 for who in (resource.RUSAGE_SELF, "
        "resource.RUSAGE_CHILDREN)]\n    print(json.dumps([time.perf_counter() - t, *rss]))\n"
    )
    script = output.with_suffix(".py")
    script.write_text(code)
    started = time.perf_counter()
    done = subprocess.run([sys.executable, script, folder, output, str(workers)], check=True, capture_output=True)
    seconds, *rss = json.loads(done.stdout)
    return seconds, time.perf_counter() - started, rss


def reading(path, batch=64):
    """((seconds, CPU seconds) of a shuffled epoch of reads, bytes as float32 of two people and 300 frames, store)."""
    store = SkeletonStore(path)
    order = np.random.default_rng(0).permutation(len(store))
    started, cpu = time.perf_counter(), time.process_time()
    for first in range(0, len(order), batch):
        for index in order[first : first + batch].tolist():
            store.read(index)
    seconds = time.perf_counter() - started, time.process_time() - cpu
    longest = max(300, int(store.frames.max()))
    return seconds, len(store) * 2 * longest * store.layout.num_joints * len(store.channels) * 4, store


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of .skeleton files")
    parser.add_argument("--reference", type=Path, required=True, help="ntu_reader_reference.py")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=10_000, help="of the memory and two-process measurement")
    parser.add_argument("--compute-ms", type=float, help="compute time a sample and epoch, for the reading share")
    options = parser.parse_args(arguments)
    reference = load_reference(options.reference)
    files = sorted(options.folder.glob("*.skeleton"))
    rates = {name: [] for name in ("reference", "bare float pass", "read_skeleton", "convert_ntu")}
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        passes = {
            "reference": lambda: [reference.read(file) for file in files],
            "bare float pass": lambda: bare_pass(files),
            "read_skeleton": lambda: [read_skeleton(file) for file in files],
            "convert_ntu": lambda: convert_ntu(options.folder, temporary / "s.h5"),
        }
        for _ in range(options.rounds):
            for name, run in passes.items():
                started = time.perf_counter()
                run()
                rates[name].append(len(files) / (time.perf_counter() - started))
        copies(files, temporary / "many", options.files)
        one = convert_alone(temporary / "many", temporary / "one.h5", 1)
        two = convert_alone(temporary / "many", temporary / "two.h5", 2)
        size = (temporary / "one.h5").stat().st_size
        (seconds, cpu), padded, store = reading(temporary / "one.h5")
        same = SkeletonStore(temporary / "two.h5").fingerprint == store.fingerprint
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def ratio(name, other="reference"):
        return round(statistics.median(a / b for a, b in zip(rates[name], rates[other], strict=True)), 2)

    base = statistics.median(rates["reference"])
    figures = {
        "files": len(files),
        "files_per_s": {name: round(statistics.median(r), 1) for name, r in rates.items()},
        "read_skeleton_over_reference": ratio("read_skeleton"),
        "convert_over_reference": ratio("convert_ntu"),
        "read_skeleton_over_bare_pass": ratio("read_skeleton", "bare float pass"),
        "convert_over_bare_pass": ratio("convert_ntu", "bare float pass"),
        f"{options.files}_files": {
            "one_process_files_per_s": round(options.files / one[0], 1),
            "two_processes_files_per_s": round(options.files / two[0], 1),
            "two_processes_over_reference": round(options.files / two[0] / base, 2),
            "peak_rss_MB": one[2][0],
            "peak_rss_MB_two": {"main": two[2][0], "worker": two[2][1]},
            "same_store": same,
            "store_bytes": size,
            "padded_float32_bytes": padded,
            "padded_over_store": round(padded / size, 2),
            "epoch_reading_s": round(seconds, 2),
            "reading_ms_a_sample": round(1e3 * seconds / len(store), 3),
            "reading_cpu_ms_a_sample": round(1e3 * cpu / len(store), 3),
            "reader_rss_MB": held,
        },
    }
    if options.compute_ms:
        figures["reading_share_of_compute"] = round(1e3 * seconds / len(store) / options.compute_ms, 4)
    print(json.dumps(figures))
    return figures


if __name__ == "__main__":
    main()
