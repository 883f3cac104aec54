"""Speed, memory and quality of timelines: an hour of two people on synthetic data, or the clips of a store joined.

    python benchmarks/long_recordings.py FOLDER
    python benchmarks/long_recordings.py FOLDER --minutes 10 --epochs 5
    python benchmarks/long_recordings.py FOLDER --clips penn.h5 --split test --run runs/penn

By default recordings of five actions with pauses between them are made: people stand, leave for a while, and frames
are missing. A small classifier learns from labelled intervals of subjects 1 to 6 (a minute or two), then tells what
subjects 7 and 8 do in another recording. What is in FOLDER already is not made again.

With --clips the first person of each clip of a split follows that of the last one, in an order drawn at random, with
pauses of 1 to 8 seconds in which the last pose becomes the first of the next clip and sways. The classifier of --run
has never seen a pause.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from skelmae_datasets import Sample, SkeletonStore, StoreWriter, convert
from skelmae_datasets.synthetic import generate_motion

FPS, ACTIONS = 30, ("wave", "squat", "kick", "throw", "bow")
BLEND = 15  # frames from one pose to another
COLUMNS = ("file", "person", "start_frame", "end_frame", "label", "subject")


def person(subject, frames, rng, seed):
    """((T, 25, 3) of someone who does things and rests between them, [(start, end, action)])."""
    track, intervals = np.zeros((frames, 25, 3), np.float32), []
    place = np.array([rng.uniform(-1, 1), 0, rng.uniform(2.6, 4.0)])
    now, last, repetition = 0, None, 0
    while now < frames:
        action, repetition = str(rng.choice(ACTIONS)), repetition + 1
        motion = generate_motion(action, subject, repetition, int(rng.integers(1, 4)), seed)[0]
        motion = motion + ((place - motion[0, 0]) * [1, 0, 1]).astype(np.float32)
        rest = int(rng.integers(FPS, 8 * FPS))
        away = rng.random() < 0.1
        if last is not None:
            pause = stand(last, motion[0], rest, rng)
            if away:
                pause[BLEND:-BLEND] = 0
            now = put(track, pause, now)
        start = now
        now = put(track, motion, now)
        if now - start == len(motion):
            intervals.append((start, now, action))
        else:
            track[start:] = 0  # cut off by the end
        last = motion[-1]
    missing = rng.random(frames) < 0.02
    for start in np.flatnonzero(rng.random(frames) < 0.003):
        missing[start : start + int(rng.integers(3, 11))] = True
    track[missing] = 0
    return track, intervals


def stand(last, first, rest, rng, size=1.0):
    """(rest, V, C) from one pose to the next, swaying; size is that of a metre."""
    share = np.clip(np.arange(rest) / BLEND, 0, 1)[:, None, None]
    share = share * share * (3 - 2 * share)
    pause = (1 - share) * last + share * first
    sway = rng.normal(0, 0.015 * size, (rest // BLEND + 2, *last.shape))  # between knots
    knots = np.arange(rest) / BLEND
    left, part = knots.astype(int), (knots % 1)[:, None, None]
    return pause + sway[left] * (1 - part) + sway[left + 1] * part + rng.normal(0, 0.01 * size, pause.shape)


def join(data, split, most, path, table, seed):
    """Write clips of a split as one recording, and the table of where they are."""
    rng = np.random.default_rng(seed)
    with SkeletonStore(data) as store:
        parts, intervals, now = [], [], 0
        for index in rng.permutation(store.select(split))[:most]:
            clip = store.read(index)[0].astype(np.float32)  # (T, V, C)
            if parts:
                last = parts[-1][-1]
                both = ((last != 0).any(-1) & (clip[0] != 0).any(-1))[:, None]
                seen = last[both[:, 0], :2]
                size = np.ptp(seen, axis=0).max() / 1.7 if len(seen) else 1.0  # the body is as high as a tall person
                pause = stand(last, clip[0], int(rng.integers(FPS, 8 * FPS)), rng, size)
                pause[..., 2:] = np.minimum(last, clip[0])[..., 2:]  # the score
                parts.append(np.where(both, pause, 0).astype(np.float32))
                now += len(parts[-1])
            intervals.append((now, now + len(clip), store.classes[store.labels[index]]))
            parts.append(clip)
            now += len(clip)
        kind = {"layout": store.layout, "channels": store.channels, "units": store.units}
        with StoreWriter(path, classes=store.classes, fps=FPS, **kind) as writer:
            writer.append(Sample("recording0", np.concatenate(parts)[None]))
    with open(table, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        lines.writerows(("recording0", 1, *interval, "") for interval in intervals)


def put(track, values, now):
    """Write frames from ``now`` on as far as there is room; the frame after them."""
    end = min(now + len(values), len(track))
    track[now:end] = values[: end - now]
    return end


def record(store, table, minutes, pairs, seed):
    """Write recordings of pairs of subjects and the table of what they do."""
    with (
        StoreWriter(store, layout="ntu25", classes=ACTIONS, channels=("x", "y", "z"), fps=FPS) as writer,
        open(table, "w", newline="", encoding="utf-8") as file,
    ):
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for number, subjects in enumerate(pairs):
            rng, name = np.random.default_rng([seed, number]), f"recording{number}"
            tracks = []
            for place, subject in enumerate(subjects, 1):
                track, intervals = person(subject, round(minutes * 60 * FPS), rng, seed)
                tracks.append(track)
                lines.writerows((name, place, *interval, subject) for interval in intervals)
            writer.append(Sample(name, np.stack(tracks)))


def train(folder, epochs):
    """The classifier of the intervals of subjects 1 to 6; returns the seconds it took."""
    from keras_skelmae.training import finetune
    from skelmae_datasets.runs.settings import resolve_settings

    record(folder / "train.h5", folder / "train.csv", 10, [(1, 2), (3, 4), (5, 6)], seed=1)
    convert(folder / "train.h5", folder / "clips.h5", labels=str(folder / "train.csv"))
    overrides = ("num_frames=16", "units=32", "num_people=1", f"epochs={epochs}")
    settings = resolve_settings("finetune", overrides=overrides, seed=0)
    with SkeletonStore(folder / "clips.h5") as store:
        return finetune(store, "all", None, folder / "run", settings, verbose=False)["seconds"]


WAYS = {  # what is left out of a timeline
    "plain sliding window": {"smoothing": 0.0, "min_probability": 0.0, "shortest": 1},
    "with nothing known": {"smoothing": 0.0, "shortest": 1},
    "with smoothing": {"min_probability": 0.0},
    "timeline (all)": {},
}


def measure(folder, recording, run):
    """({way: figures}, speed) of one recording."""
    from keras_skelmae.evaluation import TimelinePredictor, load_classifier
    from keras_skelmae.evaluation.compare import compare_timelines
    from skelmae_datasets.readers.intervals import IntervalTable

    model, found = load_classifier(run), {}
    with SkeletonStore(folder / f"{recording}.h5") as store:
        started, busy = time.perf_counter(), time.process_time()
        predictor = TimelinePredictor(model)
        windows = predictor.windows(store, 0)
        predictor.cut(windows)
        spent, busy = time.perf_counter() - started, time.process_time() - busy
        for way, options in WAYS.items():
            lines = TimelinePredictor(model, **options).cut(windows)
            _, found[way] = compare_timelines(lines, IntervalTable(folder / f"{recording}.csv"))
        length = int(store.frames[0]) / FPS
    return found, {"seconds": spent, "cpu_seconds": busy, "real_time": length / spent, "per_core": length / busy}


def peak(folder, recording):
    """MiB at most while a recording is predicted in a process of its own."""
    command = [sys.executable, __file__, str(folder), "--peak", recording]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def print_peak(folder, recording):
    from keras_skelmae.evaluation import TimelinePredictor, load_classifier

    predictor = TimelinePredictor(load_classifier(folder / "run"))
    with SkeletonStore(folder / f"{recording}.h5") as store:
        predictor.timelines(store, 0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the long recording")
    parser.add_argument("--clips", type=Path, help="store whose clips are joined")
    parser.add_argument("--split", default="test")
    parser.add_argument("--most", type=int, default=300, help="clips to join")
    parser.add_argument("--run", type=Path, help="classifier of such clips")
    parser.add_argument("--peak", metavar="RECORDING", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder
    if options.peak:
        print_peak(folder, options.peak)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if options.clips:
        name, peaks, run = f"{options.clips.stem}-{options.seed}", {}, options.run
        paths = folder / f"{name}.h5", folder / f"{name}.csv"
        join(options.clips, options.split, options.most, *paths, options.seed)
    else:
        name, peaks, run = f"hour-{options.seed}", {f"tenth-{options.seed}": 0.1}, folder / "run"
        if not (run / "metrics.json").exists():
            print(f"trained in {train(folder, options.epochs):.0f} s", flush=True)
        peaks[name] = 1
        for recording, share in peaks.items():
            paths = folder / f"{recording}.h5", folder / f"{recording}.csv"
            record(*paths, options.minutes * share, [(7, 8)], seed=100 + options.seed)
    found, speed = measure(folder, name, run)
    heads = ("F1 10", "F1 25", "F1 50", "edit", "frames", "segments")
    print(" " * 24 + "".join(f"{head:>{max(7, len(head) + 2)}s}" for head in heads))
    for way, figures in found.items():
        shares = [*figures["f1"].values(), figures["edit"], figures["frame_accuracy"]]
        told = "".join(f"{100 * share:{8 if place == 4 else 7}.1f}" for place, share in enumerate(shares))
        segments = f"{figures['predicted_segments']} / {figures['true_segments']}"
        print(f"{way:24s}{told}{segments:>13s}")
    told = f"{speed['real_time']:.0f} times real time, {speed['per_core']:.0f} for each second of a core"
    print(f"speed: {speed['seconds']:.0f} s, {speed['cpu_seconds']:.0f} s of a core: {told}", flush=True)
    peaks = {recording: peak(folder, recording) for recording in peaks}
    for recording, used in peaks.items():
        print(f"peak memory: {used:.0f} MiB for {recording}")
    figures = {"ways": found, "speed": speed, "peak_mib": peaks}
    (folder / f"figures-{name}.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
