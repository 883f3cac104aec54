"""Clips as a pose estimator leaves them, from synthetic recordings: python docs/example_clips.py FOLDER

FOLDER/ACTION/NAME.json in the form of Ultralytics' YOLO-pose, a list of people a frame; 54 of them.
"""

import json
import sys
import tempfile
from pathlib import Path

from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset

ACTIONS = ("clap", "squat", "wave")


def frame(joints):
    """What YOLO-pose finds in a frame, from joints (17, 2) of one person; nobody where all are absent."""
    x, y = joints.T.tolist()
    keypoints = {"x": x, "y": y, "visible": [0.9 if found else 0.0 for found in joints.any(axis=1)]}
    return [{"name": "person", "confidence": 0.9, "keypoints": keypoints}] if joints.any() else []


def main(folder):
    with tempfile.TemporaryDirectory() as work:
        write_dataset(Path(work) / "raw", subjects=6, repetitions=3, actions=ACTIONS)
        convert_ntu(Path(work) / "raw", Path(work) / "s.h5", joints="coco17")
        with SkeletonStore(Path(work) / "s.h5") as store:
            for index, name in enumerate(store.ids):
                path = Path(folder) / store.classes[store.labels[index]] / f"{name}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps([frame(joints) for joints in store.read(index)[0][..., :2].round(1)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
