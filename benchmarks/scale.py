"""The package at the size of the field: NTU RGB+D 60, its 56,578 sequences, 60 classes and up to two people.

    python benchmarks/scale.py --sequences 56578 --output DIR

Writes a synthetic store with the names, splits and classes of NTU RGB+D 60, converts a sample of `.skeleton` files, and
times a few real steps of every recipe. Extrapolates to one epoch and to the whole schedule on X-Sub (40,091 training
sequences). Prints a table and writes DIR/scale.json. The first step of each training compiles and is left out. With
JAX the operations of a step are counted, too.

`--batch-size 8` is for a CPU: a step of the recipe's own batch is taken to be longer in proportion. `--epoch` trains a
whole epoch through `pretrain` and `finetune` instead of a few steps.
"""

import argparse
import dataclasses
import functools
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from skelmae_datasets import Sample, SkeletonStore, StoreWriter, convert_ntu
from skelmae_datasets.benchmarks import (
    EXPECTED_COUNTS,
    NTU_TRAIN_SUBJECTS,
    class_names,
    match_name,
    missing_names,
    name_numbers,
    ntu_splits,
)
from skelmae_datasets.layouts import NTU25_TO_COCO17
from skelmae_datasets.runs.settings import RECIPES, STAGES, resolve_settings
from skelmae_datasets.synthetic import ACTION_NAMES, generate_motion, write_dataset

# Keras is imported by what needs it: the workers of a conversion import this file again.

ALL, TRAIN = EXPECTED_COUNTS["ntu60"]["all"], EXPECTED_COUNTS["ntu60"]["xsub_train"]
PAIRS = {True: 112, False: 46}  # (setup, subject) of the benchmark, by whether X-Sub trains on the subject
SETUPS, SUBJECTS, CLASSES, INTERACTION = 17, 40, 60, 49  # from this label on the classes are of two people
FORMS = {"ntu25": ("x", "y", "z"), "coco17": ("x", "y")}
SHORTEST, LONGEST, MEAN = 30, 300, 75  # frames
VARIANTS, KNOTS = 5, 100  # motions made for each class, frames of each
ALONE = [action for action in ACTION_NAMES if action != "handshake"]
VIEWS = (0, 45, -45)  # degrees of the three cameras
FOCAL, CENTRE, IMAGE = 1060, (975, 567), (1080, 1920)  # of the colour image, pixels


# --- Store ------------------------------------------------------------------------------------------------------------


@functools.cache
def benchmark_names():
    """Names of 56,578 recordings, sorted, with the official counts of both splits.

    The (setup, subject) pairs are those in the list of missing recordings, and others up to the right number.
    """
    missing = missing_names("ntu60")
    pairs = {(numbers["setup"], numbers["subject"]) for numbers in map(match_name, missing)}
    left = {train: count - sum((s in NTU_TRAIN_SUBJECTS) == train for _, s in pairs) for train, count in PAIRS.items()}
    for shift in range(SETUPS):
        for subject in range(1, SUBJECTS + 1):
            pair, train = ((subject + shift) % SETUPS + 1, subject), subject in NTU_TRAIN_SUBJECTS
            if pair not in pairs and left[train]:
                pairs.add(pair)
                left[train] -= 1
    names = {
        f"S{setup:03d}C{camera:03d}P{subject:03d}R{repetition:03d}A{action:03d}"
        for setup, subject in pairs
        for camera in (1, 2, 3)
        for repetition in (1, 2)
        for action in range(1, CLASSES + 1)
    }
    return sorted(names - missing)


@functools.cache
def class_motion(label, variant, seed):
    """(M, KNOTS, 25, 3) float32: an action of the generator, in which one joint swings in a way of the class's own."""
    action = "handshake" if label >= INTERACTION else ALONE[label % len(ALONE)]
    motion = generate_motion(action, 1 + variant, 1 + label, seed=seed, frames=(KNOTS, KNOTS))
    motion[:, :, label % 25, label % 3] += 0.1 * np.sin(np.linspace(0, 2 * np.pi * (1 + label % 4), KNOTS))
    return motion


def vary(motion, frames, camera, rng):
    """A motion at another speed, seen by a camera, by a person of another size, with noise; (M, frames, 25, 3)."""
    times = np.linspace(rng.uniform(0, 10), rng.uniform(KNOTS - 12, KNOTS - 2), frames, dtype="float32")
    before = times.astype(int)
    share = (times - before)[:, None, None]
    x = motion[:, before] * (1 - share) + motion[:, before + 1] * share
    angle = np.radians(VIEWS[camera - 1] + rng.normal(0, 6))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = rng.uniform(0.85, 1.15) * np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    place = np.array([0, 0, 3.3])
    x = (x - place.astype("float32")) @ turn.astype("float32") + (place + rng.normal(0, 0.2, 3)).astype("float32")
    return x + np.float32(0.01) * rng.standard_normal(x.shape, "float32")


def projected(x):
    """Pixels of COCO's joints in the colour image."""
    x = x[:, :, list(NTU25_TO_COCO17)]
    return x[..., :2] / x[..., 2:] * np.array([FOCAL, -FOCAL], "float32") + np.array(CENTRE, "float32")


def write_store(path, sequences=ALL, layout="ntu25", seed=0):
    """Write a store of synthetic sequences that is NTU RGB+D 60 but for the motions.

    Args:
        path: the file. sequences: how many, at most 56,578: all, or so many drawn of them.
        layout: "ntu25", metres, or "coco17", pixels. seed: int.
    Returns: dict of sequences, people, frames, seconds and bytes.
    """
    if not 1 <= sequences <= ALL:
        raise ValueError(f"sequences: expected 1..{ALL}, found {sequences}")
    started, rng = time.perf_counter(), np.random.default_rng(seed)
    every = benchmark_names()
    names = [every[index] for index in np.sort(rng.permutation(ALL)[:sequences])]
    lengths = SHORTEST + rng.gamma(1.5, (MEAN - SHORTEST) / 1.5, sequences)
    lengths = np.minimum(lengths, LONGEST).astype(int)
    variants = rng.integers(0, VARIANTS, sequences)
    classes, flat = class_names("ntu60"), layout == "coco17"
    with StoreWriter(path, layout=layout, classes=classes, channels=FORMS[layout]) as writer:
        for name, frames, variant in zip(names, lengths.tolist(), variants.tolist(), strict=True):
            numbers = name_numbers(name)
            label = match_name(name)["action"] - 1
            x = vary(class_motion(label, variant, seed), frames, numbers["camera"], rng)
            sample = Sample(name, projected(x) if flat else x, label, **numbers, image_size=IMAGE if flat else (0, 0))
            writer.append(sample)
        writer.set_splits(ntu_splits(names, "ntu60"))
        people = sum(count * number for count, number in writer.people.items())
    return {
        "sequences": sequences,
        "people": people,
        "frames": int(lengths.sum()),
        "seconds": round(time.perf_counter() - started, 1),
        "bytes": Path(path).stat().st_size,
    }


def conversion(files, sequences, workers=(1, 2)):
    """Files a second of `convert_ntu` on so many synthetic `.skeleton` files, and hours for so many sequences."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "files"
        made = write_dataset(source, subjects=10, repetitions=-(-files // 100), frames=(SHORTEST, 2 * MEAN - SHORTEST))
        for path in made[files:]:
            path.unlink()
        (source / "classes.txt").unlink()  # NTU's names
        found = {"files": files, "bytes": sum(path.stat().st_size for path in made[:files])}
        for count in workers:
            started = time.perf_counter()
            convert_ntu(source, Path(folder) / f"{count}.h5", workers=count)
            rate = files / (time.perf_counter() - started)
            hours = sequences / rate / 3600
            found[f"workers_{count}"] = {"files_per_s": round(rate, 1), "hours_of_all": round(hours, 3)}
    return found


# --- Steps ------------------------------------------------------------------------------------------------------------


def pretraining(store, indices, settings):
    """(model, batches) of a pre-training, compiled as `pretrain` does it."""
    from keras_skelmae.data import SequenceSource
    from keras_skelmae.fast.networks.devices import kept_on_device
    from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE, can_trim
    from keras_skelmae.models import SkeletonMAE
    from keras_skelmae.training.optimization import compile_options
    from keras_skelmae.training.pretrain import pretraining_batches, pretraining_model

    model = pretraining_model(store, settings)
    data, varying = pretraining_batches(model, SequenceSource(store), indices, settings), False
    if isinstance(model, SkeletonMAE) and data.shares_mask and can_trim(model):
        model = TrimmedMAE(model)
        data.trim, varying = kept_on_device(model.trim), not settings.pretrain.mask_parts
    model.compile(**compile_options(settings, data.num_batches_of_epoch, varying))
    return model, data


def finetuning(store, indices, settings):
    """(model, batches) of a fine-tuning from random initialisation, compiled as `finetune` does it."""
    import keras

    from keras_skelmae.data import LabelledBatches, SequenceSource
    from keras_skelmae.fast.networks.batch_slices import suggest_slices, train_in_slices
    from keras_skelmae.models import STRLClassifier
    from keras_skelmae.training.optimization import compile_options
    from keras_skelmae.training.starting_point import starting_point

    start = starting_point(store, settings)
    model = STRLClassifier.from_settings({**settings.flat(), "backbone": start.backbone}, store)
    size, augment = settings.optimizer.batch_size, dataclasses.asdict(settings.augment)
    options = {"batch_size": size, "augment": augment, "seed": settings.data.seed}
    data = LabelledBatches(SequenceSource(store), indices, model, **options)
    model.compile(
        **compile_options(settings, data.num_batches_of_epoch),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=settings.finetune.label_smoothing, reduction="mean_with_sample_weight"
        ),
    )
    slices = suggest_slices(model, size) if model.jit_compile else 1
    if slices > 1:
        train_in_slices(model, slices)
    return model, data


def operations(model, batch):
    """Floating-point operations of a loss and its gradients as XLA counts them, before it optimises; JAX only."""
    import jax
    import keras

    x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
    groups = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
    state = tuple([variable.value for variable in group] for group in groups)
    scaling = [variable.value for variable in model.optimizer.variables]

    def loss(trained, others, metrics, x, y):
        return model.compute_loss_and_updates(trained, others, metrics, x, y, weights, True, scaling)[0]

    return jax.jit(jax.grad(loss)).lower(*state, x, y).cost_analysis()["flops"]


def loading(data, batches=4):
    """Milliseconds that a clip takes to be read, sampled and augmented, in one thread."""
    data[0]  # the first batch makes what others use again, such as a table of noise
    started, count = time.perf_counter(), min(batches, len(data))
    for number in range(len(data) - count, len(data)):
        data[number]
    return round(1e3 * (time.perf_counter() - started) / (count * data.batch_size), 3)


def time_steps(store, stage, settings, count):
    """Seconds of a step, the median of so many after the first, with what else there is to say; 0: operations only.

    A step ends when its loss is known, as in `pretrain` and `finetune`, which look at every loss.
    """
    import keras
    from steps import Batches

    keras.utils.set_random_seed(settings.data.seed)
    started, indices = time.perf_counter(), store.select("xsub_train")
    model, data = (pretraining if stage == "pretrain" else finetuning)(store, indices, settings)
    opened, size, together = time.perf_counter() - started, data.batch_size, settings.optimizer.steps_per_execution
    if len(data.items) < size:
        raise SystemExit(f"--sequences: expected {size} clips or more for a batch, found {len(data.items)}")
    found = {
        "opening_s": round(opened, 1),
        "batch": size,
        "clips_a_sequence": len(data.items) / len(indices),
        "parameters": model.count_params(),
        "loading_ms_a_clip": loading(data),
    }
    if keras.config.backend() == "jax":
        found["gflop_a_clip"] = round(operations(model, data[0]) / size / 1e9, 3)
    if not count:
        return found
    times = []

    def note(batch, logs):
        float(logs["loss"])
        times.append(time.perf_counter())

    model.optimizer.build(model.trainable_variables)
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    steps = Batches(data, (1 + count) * together)  # made beside the step, as in every training
    started = time.perf_counter()
    model.fit(steps, verbose=0, shuffle=False, callbacks=[clock])
    found["step_s"] = statistics.median(np.diff(times).tolist()) / together
    found["first_s"] = round(times[0] - started, 1)
    return found


def extrapolated(found, settings):
    """An epoch and the schedule of Settings on X-Sub: steps, hours and operations in proportion to the batch."""
    options = settings.optimizer
    size, steps = options.batch_size, round(TRAIN * found["clips_a_sequence"]) // options.batch_size
    sums = {"recipe_batch": size, "epochs": options.epochs, "steps_an_epoch": steps}  # whole batches only
    if "gflop_a_clip" in found:
        sums["schedule_pflop"] = round(options.epochs * steps * size * found["gflop_a_clip"] / 1e6, 2)
    if "step_s" in found:
        hours = steps * found["step_s"] * size / found["batch"] / 3600
        sums |= {"epoch_hours": round(hours, 4), "schedule_hours": round(options.epochs * hours, 3)}
    return sums


def train_epoch(store, stage, settings, output):
    """Hours of one epoch through the package's own training, its run folder at output."""
    from keras_skelmae.training.finetune import finetune
    from keras_skelmae.training.pretrain import pretrain

    settings = settings.replace(epochs=1, least_steps=0, warmup_epochs=0)
    if stage == "pretrain":
        metrics = pretrain(store, "xsub_train", output, settings)
    else:
        metrics = finetune(store, "xsub_train", "xsub_val", output, settings)
    return {"epoch_hours_trained": round(metrics["seconds"] / 3600, 4), "sequences": metrics["num_sequences"]}


def measure(store, recipe, stage, options):
    """One row of the table."""
    import keras

    from keras_skelmae.training.optimization import in_precision

    schedule = resolve_settings(stage, recipe, overrides=options.set, check=False).for_clips(TRAIN)
    size = options.batch_size or schedule.optimizer.batch_size
    row = {"recipe": recipe, "stage": stage, "layout": store.layout.name}
    if options.epoch:
        folder = options.output / f"epoch_{recipe}_{stage}_{store.layout.name}"
        return row | train_epoch(store, stage, schedule.replace(batch_size=size), folder)
    found = in_precision(time_steps)(store, stage, settings=schedule.replace(batch_size=size), count=options.steps)
    keras.backend.clear_session()
    gc.collect()
    return row | found | extrapolated(found, schedule)


def table(rows):
    """The rows as a Markdown table."""
    heads = {
        "recipe": "recipe",
        "stage": "stage",
        "layout": "layout",
        "batch": "batch measured",
        "step_s": "s a step",
        "gflop_a_clip": "GFLOP a clip",
        "parameters": "parameters",
        "loading_ms_a_clip": "ms to load a clip",
        "recipe_batch": "batch of the recipe",
        "steps_an_epoch": "steps an epoch",
        "epochs": "epochs",
        "epoch_hours": "hours an epoch",
        "epoch_hours_trained": "hours an epoch, trained",
        "schedule_hours": "hours of the schedule",
        "schedule_pflop": "PFLOP of the schedule",
    }
    keys = [key for key in heads if any(key in row for row in rows)]

    def cell(value):
        return f"{value:.3g}" if isinstance(value, float) and value < 1000 else f"{value:.0f}" if value else ""

    lines = [[heads[key] for key in keys], ["---"] * len(keys)]
    lines += [[row[key] if isinstance(row.get(key), str) else cell(row.get(key)) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=ALL, help=f"of the store; default {ALL}")
    parser.add_argument("--output", type=Path, required=True, help="folder for the stores and scale.json")
    parser.add_argument("--layouts", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--files", type=int, default=500, help=".skeleton files to convert; 0: none")
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES), help="none: no steps")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--steps", type=int, default=3, help="timed after the first; 0: count only, with JAX")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--epoch", action="store_true", help="train a whole epoch instead of a few steps")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting, as in skelmae")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not 1 <= options.sequences <= ALL:
        parser.error(f"--sequences: expected 1..{ALL}, found {options.sequences}")
    if not 0 <= options.files <= 5000:
        parser.error(f"--files: expected 0..5000, found {options.files}")
    options.output.mkdir(parents=True, exist_ok=True)
    figures = {"stores": {}, "rows": []}
    for layout in options.layouts:
        path = options.output / f"{layout}.h5"
        found = figures["stores"][layout] = write_store(path, options.sequences, layout, options.seed)
        print(f"{path}: {found['sequences']} sequences, {found['frames']} frames, {found['bytes']} bytes", flush=True)
        print(f"written in {found['seconds']} s", flush=True)
    if options.files:
        figures["conversion"] = conversion(options.files, ALL)
        print(json.dumps(figures["conversion"]), flush=True)
    if options.recipes:
        import keras

        figures["backend"] = keras.config.backend()
        for layout in options.layouts:
            with SkeletonStore(options.output / f"{layout}.h5") as store:
                for recipe in options.recipes:
                    for stage in options.stages:
                        figures["rows"].append(measure(store, recipe, stage, options))
                        print(json.dumps(figures["rows"][-1]), flush=True)
    (options.output / "scale.json").write_text(json.dumps(figures, indent=1) + "\n")
    if figures["rows"]:
        print(table(figures["rows"]))
    return figures


if __name__ == "__main__":
    main()
