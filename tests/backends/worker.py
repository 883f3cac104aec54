"""What the tests of this folder run in processes of their own, one per backend: `worker.py write|read FOLDER STORE`.

The other two backends cannot be imported in it, so whatever passes needs none of them.
"""

import json
import os
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
TINY = ("units=8", "encoder_layers=1", "num_frames=8", "batch_size=8", "warmup_epochs=0", "epochs=2")
FINE = ("temporal_units=[8,8]", "body_streams=features,motion2", "temporal_strides=[]")
AUGMENT = {"crop_min": 0.6, "rotate": 0.3, "joint_noise": 0.01, "flip": 0.5}


class Absent:
    """A finder of modules that does not find certain packages, and asks another one about the rest."""

    def __init__(self, finder, names):
        self.finder, self.names = finder, set(names)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.names else self.finder.find_spec(name, path, target)


def clips(seed=0, count=4):
    import numpy as np

    x = np.random.default_rng(seed).normal(300, 50, (count, 2, 8, 17, 2)).astype("float32")
    x[0, 1] = 0  # a person who is not there
    x[1, :, :3] = 0  # and some who come late
    return x


def arguments(name, seed=0):
    """(x, y) to train a model of this class with; y is None where it makes its own target."""
    import numpy as np

    x = clips(seed)
    if name == "SkeletonMAE":
        mask = np.random.default_rng(seed).random(x.shape[:-1]) < 0.4
        return {"keypoints": x, "mask": mask}, None
    if name == "ContrastiveModel":
        return {"keypoints": x, "other": clips(seed + 1)}, None
    backbone = name in ("STRLBackbone", "SkeletonEncoder")
    return x, None if backbone else np.eye(4, dtype="float32")


def outputs(model, name):
    """The model's output on fixed input, as one array."""
    import keras

    x = arguments(name, seed=5)[0]
    compiled = keras.config.backend() == "jax"  # which compiles every operation by itself else
    result = model.predict_on_batch(x) if compiled else model(x, training=False)
    if isinstance(result, dict):
        result = result["reconstruction" if name == "SkeletonMAE" else "features"]
    return keras.ops.convert_to_numpy(result)


def optimise(whether):
    """Let JAX compile in earnest or not: the steps of one or two batches take less time than optimising them."""
    if os.environ["KERAS_BACKEND"] == "jax":
        import jax

        jax.config.update("jax_disable_most_optimizations", not whether)


def make_models():
    """One compiled and trained model of every class, by name; encoder and backbone are parts of trained ones."""
    import keras

    from keras_skelmae import models

    keras.utils.set_random_seed(1)
    preprocessor = models.SkeletonPreprocessor("coco17", num_frames=8)

    def encoder(*streams, **options):
        return models.SkeletonEncoder(preprocessor, units=8, encoder_layers=1, streams=streams, **options)

    def classifier(*streams, **options):
        each = {"num_layers": 1, "temporal": "each", "temporal_strides": (2,)}
        backbone = models.STRLBackbone(encoder(*streams).get_config(), **each)
        return models.STRLClassifier(backbone, 4, class_names=list("abcd"), **options)

    body = {"num_layers": 1, "temporal": "body", "temporal_units": (8, 8), "temporal_strides": (2,)}
    backbone = models.STRLBackbone(encoder("joint", "motion", joint_positions=True), **body)
    gat = encoder("joint", "motion", "distance", graph_conv="gat")
    made = {
        "ContrastiveModel": models.ContrastiveModel(backbone, projection_units=8),
        "STRLClassifier": classifier("joint", "motion", "distance", time_pooling="mean+max"),
        "SkeletonMAE": models.SkeletonMAE(gat, num_people=2),
        "Ensemble": models.Ensemble([classifier("joint"), classifier("bone")], (2, 1), mirror=True),
    }
    for name, model in made.items():
        x, y = arguments(name)
        jit = keras.config.backend() == "jax"  # elsewhere compiling takes longer than these few steps
        loss = None if y is None else "categorical_crossentropy"
        model.compile(keras.optimizers.AdamW(1e-2), loss, jit_compile=jit, run_eagerly=not jit)
        model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    return {**made, "SkeletonEncoder": gat, "STRLBackbone": backbone}


def next_step(model, name):
    """All weights after one further training step, as one vector: what it needs of the optimiser shows in them."""
    import numpy as np

    x, y = arguments(name, seed=9)
    model.fit(x, y, epochs=1, batch_size=4, shuffle=False, verbose=0)
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def drawn(path):
    """Masked batches and view batches of two epochs, augmentation and all, as {name: array}."""
    from keras_skelmae.data import masked, views
    from keras_skelmae.models import SkeletonPreprocessor
    from skelmae_datasets import SkeletonStore

    found = {}
    with SkeletonStore(path) as store:
        preprocessor = SkeletonPreprocessor.for_data(store, num_frames=8)
        for make, options in ((masked, {}), (views, {"view": {"part_drop": 0.5}})):
            data = make(store, "xsub_train", preprocessor, batch_size=4, seed=3, augment=AUGMENT, **options)
            for epoch in range(2):
                for key, value in data[0][0].items():
                    found[f"{make.__name__}-{epoch}-{key}"] = value
                data.on_epoch_end()
    return found


def command_line(folder, store, recording):
    """pretrain, finetune, evaluate, predict and export as a user runs them; {command: output or error}."""
    from click.testing import CliRunner

    from skelmae_cli.main import cli

    jit = "jit_compile=on" if os.environ["KERAS_BACKEND"] == "jax" else "jit_compile=off"
    settings = [part for setting in (*TINY, jit) for part in ("--set", setting)]
    more = [part for setting in FINE for part in ("--set", setting)]
    said = {}
    for name, line in {
        "pretrain": ["pretrain", store, "--train-split", "xsub_train", "--output", folder / "pre", *settings],
        "finetune": [
            "finetune",
            store,
            "--train-split",
            "xsub_train",
            "--val-split",
            "xsub_val",
            "--output",
            folder / "fine",
            "--pretrained",
            folder / "pre",
            *settings,
            *more,
        ],
        "evaluate": [
            "evaluate",
            folder / "fine",
            store,
            "--test-split",
            "xsub_val",
            "--output",
            folder / "result.json",
        ],
        "predict": ["predict", folder / "fine", recording, "--json"],
        "export": ["export", folder / "fine", "--output", folder / "served", "--json"],
    }.items():
        done = CliRunner().invoke(cli, [str(part) for part in line])
        said[name] = {
            "status": done.exit_code,
            "output": done.output if done.exit_code else done.stdout,
            "bug": repr(done.exception),
        }
    return said


def write(folder, store, recording):
    import numpy as np

    optimise(False)
    models = make_models()
    results, steps = {}, {}
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
        results[name] = outputs(model, name)
    for name, model in models.items():
        if model.compiled:
            steps[name] = next_step(model, name)
    np.savez(folder / "outputs.npz", **results)
    np.savez(folder / "steps.npz", **steps)
    np.savez(folder / "batches.npz", **drawn(store))
    optimise(True)  # as for a user
    (folder / "said.json").write_text(json.dumps(command_line(folder, store, recording)))


def read(folder):
    import keras
    import numpy as np

    import keras_skelmae  # noqa: F401

    optimise(False)
    results, steps = {}, {}
    for writer in BACKENDS:
        for file in sorted((folder.parent / writer).glob("*.keras")):
            own = writer == folder.name
            model = keras.saving.load_model(file, compile=own, safe_mode=True)
            results[f"{writer}-{file.stem}"] = outputs(model, file.stem)
            if own and model.compiled:
                steps[file.stem] = next_step(model, file.stem)
    np.savez(folder / "read.npz", **results)
    np.savez(folder / "read_steps.npz", **steps)


if __name__ == "__main__":
    sys.meta_path = [Absent(finder, set(BACKENDS) - {os.environ["KERAS_BACKEND"]}) for finder in sys.meta_path]
    mode, target = sys.argv[1], Path(sys.argv[2])
    if mode == "write":
        write(target, *map(Path, sys.argv[3:]))
    else:
        read(target)
