"""An annotation pickle in PYSKL's form, from synthetic recordings: python docs/example_pickle.py OUT.pkl CLASSES.txt"""

import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np

from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset


def annotations(store, rng):
    """The form of PYSKL's own files; the further one of two people is left out now and then, as a detector does."""
    for index, name in enumerate(store.ids):
        points = store.read(index)[..., :2]
        seen = points.any(axis=-1)
        score = np.where(seen, rng.uniform(0.35, 1.0, points.shape[:3]), 0)
        points = points + rng.normal(0, 3, points.shape) * seen[..., None]
        yield {
            "frame_dir": name,
            "label": int(store.labels[index]),
            "img_shape": (1080, 1920),
            "original_shape": (1080, 1920),
            "total_frames": points.shape[1],
            "keypoint": points.astype("float16"),
            "keypoint_score": score.astype("float16"),
        }


def main(output, classes):
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "raw", subjects=8, repetitions=2, seed=0)
        convert_ntu(Path(folder) / "raw", Path(folder) / "store.h5", joints="coco17")
        with SkeletonStore(Path(folder) / "store.h5") as store:
            found = list(annotations(store, np.random.default_rng(0)))
            subjects = store.subject.tolist()
            names = store.classes
    split = {
        "train": [a["frame_dir"] for a, s in zip(found, subjects, strict=True) if s % 3],
        "test": [a["frame_dir"] for a, s in zip(found, subjects, strict=True) if not s % 3],
    }
    Path(output).write_bytes(pickle.dumps({"split": split, "annotations": found}))
    Path(classes).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
