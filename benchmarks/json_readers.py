"""The readers of estimators' JSON beside json.load and a plain loop, on the same files in turns. Prints a JSON line.

    python benchmarks/json_readers.py
    python benchmarks/json_readers.py --frames 10000 --profile

An OpenPose folder of a file a frame, with one person and with three who walk about. The reader makes a store of it:
parsing, who is who, checks and writing. The loop loads each file with json.load, makes triples of its numbers and one
array of all. `parse` is json.loads alone, over bytes that are in memory. Seconds of the processor, of one process, the
least of the rounds.
"""

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from pathlib import Path

import numpy as np

from skelmae_datasets import convert_clips


def write(folder, frames, people, seed=0):
    """Files of so many frames of BODY_25, as OpenPose 1.7 writes them, hands and face empty."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    body = rng.uniform(0, 200, (people, 25, 2))
    start = np.arange(people)[:, None, None] * 400 + 100
    keys = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d",
        "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d")  # fmt: skip
    for frame in range(frames):
        points = body + start + 50 * np.sin(frame / 30 + np.arange(people))[:, None, None]
        points += rng.normal(0, 1, points.shape)
        scores = rng.uniform(0.3, 0.95, (people, 25, 1))
        rows = np.concatenate([points, scores], -1).round(6).reshape(people, -1).tolist()
        found = [{"person_id": [-1], "pose_keypoints_2d": row} | {key: [] for key in keys} for row in rows]
        path = folder / f"clip_{frame:012}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": found}))


def loop(folder):
    """What one writes by hand: every file's people as triples, in one array."""
    found = []
    for path in sorted(folder.iterdir()):
        with open(path) as file:
            content = json.load(file)
        for person in content["people"]:
            values = person["pose_keypoints_2d"]
            found.append([(values[i], values[i + 1], values[i + 2]) for i in range(0, len(values), 3)])
    return np.array(found, "float32")


def seconds(run):
    started = time.process_time()
    run()
    return time.process_time() - started


def measure(folder, rounds):
    texts = [path.read_bytes() for path in sorted(folder.iterdir())]
    runs = {
        "reader": lambda: convert_clips(folder, folder.parent / "o.h5", force=True),
        "loop": lambda: loop(folder),
        "parse": lambda: [json.loads(text) for text in texts],
    }
    took = {name: [] for name in runs}
    for run in runs.values():
        run()  # caches
    for _ in range(rounds):
        for name, run in runs.items():
            took[name].append(seconds(run))
    found = {name: round(min(values), 3) for name, values in took.items()}
    return found | {"loop_over_reader": round(found["loop"] / found["reader"], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="where the reader's time goes, too")
    options = parser.parse_args()
    result = {"frames": options.frames}
    for people in (1, 3):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "clip"
            write(folder, options.frames, people)
            result[f"{people}_people"] = measure(folder, options.rounds)
            if options.profile:
                profile = cProfile.Profile()
                profile.runcall(convert_clips, folder, Path(scratch) / "o.h5", force=True)
                pstats.Stats(profile).sort_stats("tottime").print_stats(18)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
