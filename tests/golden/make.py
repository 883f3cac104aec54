"""Write the golden files: models, a preset and a store of this state, and what the models answer.

    python tests/golden/make.py

Run once and committed; made again only with a new name beside the old ones, which must go on to load.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.models import Ensemble, SkeletonEncoder, SkeletonMAE, SkeletonPreprocessor, STRLClassifier
from skelmae_datasets import Sample, StoreWriter

SIZES = {"units": 4, "encoder_layers": 1, "num_layers": 1}
BODY = {"temporal_units": (4, 4), "temporal_strides": (2,), "body_streams": ("features", "motion2")}
WIDE = {"units": 8, "num_layers": 2, "temporal_units": (8, 12), "temporal_strides": (1, 2)}
CLASSES = ["wave", "sit down", "jump"]


def inputs(model):
    """Clips for a model, the same on every machine."""
    people, frames, joints, channels = model.preprocessor.clip_shape
    count = 2 * people * frames * joints * channels
    x = (100 + 40 * np.sin(np.arange(count) ** 1.5)).reshape(2, people, frames, joints, channels).astype("float32")
    x[1, -1, : frames // 2] = 0
    if not isinstance(model, SkeletonMAE):
        return x
    mask = np.zeros((2, 1, frames, joints), bool)
    mask[..., ::3] = True
    return {"keypoints": x[:, :1], "mask": mask}


def answers(model):
    """What a model gives for :func:`inputs`, by output name."""
    found = model(inputs(model), training=False)
    found = found if isinstance(found, dict) else {"probabilities": found}
    return {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


def models():
    """Small ones of every kind that a user keeps."""
    flat = SkeletonPreprocessor("coco17", ("x", "y"), num_frames=8, num_people=1, normalize="image")
    space = SkeletonPreprocessor("ntu25", ("x", "y", "z"), num_frames=8, num_people=2, units="metres")
    named = {"num_classes": 3, "class_names": CLASSES}
    small = STRLClassifier.from_preset("small", data=space, **SIZES, **BODY, **named)
    return {
        "autoencoder": SkeletonMAE(SkeletonEncoder.from_preset("paper", data=flat, units=4, encoder_layers=1)),
        "classifier": STRLClassifier.from_preset("paper", data=flat, **SIZES, head_units=4, **named),
        "residual": STRLClassifier.from_preset("strong", data=space, **WIDE, **named),
        "ensemble": Ensemble([small], mirror=True),
    }


def main():
    folder = Path(__file__).parent / sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "first"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    for name, model in models().items():
        for variable in model.weights:  # statistics as of a training
            if variable.name in ("moving_mean", "moving_variance", "moving_count"):
                variable.assign(rng.uniform(0.5, 1, variable.shape))
        model.save(folder / f"{name}.keras")
        np.savez_compressed(folder / f"{name}.npz", **answers(model))
    models()["classifier"].save_to_preset(folder / "preset")
    with StoreWriter(folder / "store.h5", layout="coco17", classes=CLASSES, channels=("x", "y", "score")) as writer:
        for number in range(3):
            x = (100 + 10 * np.sin(np.arange(2 * 5 * 17 * 3) + number)).reshape(2, 5, 17, 3)
            x[..., 2] = 0.5
            writer.append(Sample(f"clip{number}", x.astype("float32"), number, subject=number, image_size=(480, 640)))
        writer.set_splits({"train": ["clip0", "clip1"], "val": ["clip2"]})


if __name__ == "__main__":
    main()
