"""`skelmae demo`: the whole path on synthetic recordings, pre-trained against random initialisation."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, json_flag, progress, table

SUBJECTS = 6
REPETITIONS = 3
SEED = 0
SIZES = ("num_frames=16", "units=32")
PRETRAIN_SETTINGS = (*SIZES, "epochs=30")
FINETUNE_SETTINGS = (*SIZES, "epochs=40", "validation_every=40")
TRAIN_SPLIT, HELD_OUT_SPLIT = "xsub_train", "xsub_val"
MARKER = ".skelmae_demo"


def _fresh_folder(folder: Path) -> Path:
    """An empty folder; replaces what an earlier demo left there, and nothing else.

    Raises:
        ValueError: the folder holds something that no demo wrote.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            raise ValueError(f"{folder}: expected an empty folder or an earlier demo, found other files")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder


def run_demo(folder: Path, say=click.echo) -> dict:
    """Every step in turn, each into its own file or folder below `folder`; returns the figures as a dict."""
    started = time.perf_counter()
    _fresh_folder(folder)

    from skelmae_datasets import SkeletonStore, convert_ntu
    from skelmae_datasets.synthetic import write_dataset

    say(f"1/6  writing synthetic recordings to {folder / 'recordings'}")
    files = write_dataset(folder / "recordings", subjects=SUBJECTS, repetitions=REPETITIONS, seed=SEED)
    say(f"2/6  reading {len(files)} .skeleton files into {folder / 'demo.h5'}")
    with progress("     Reading") as callback:
        convert_ntu(folder / "recordings", folder / "demo.h5", progress=callback)

    from keras_skelmae.export import export_model
    from keras_skelmae.training import evaluate_model, finetune, predict_files, pretrain
    from keras_skelmae.training.config import resolve_config

    before = resolve_config("pretrain", overrides=PRETRAIN_SETTINGS, seed=SEED)
    after = resolve_config("finetune", overrides=FINETUNE_SETTINGS, seed=SEED)
    starts = {"pretrained": folder / "pretrain", "random": None}
    results, seconds = {}, {}
    with SkeletonStore(folder / "demo.h5") as store:
        held_out = store.select(HELD_OUT_SPLIT)
        say(f"3/6  pre-training on {len(store.select(TRAIN_SPLIT))} sequences, without their labels")
        clock = time.perf_counter()
        pretrain(store, TRAIN_SPLIT, folder / "pretrain", before, verbose=False)
        seconds["pretrain"] = time.perf_counter() - clock
        say("4/6  fine-tuning twice: from the pre-trained encoder, from random initialisation")
        for name, encoder in starts.items():
            clock = time.perf_counter()
            finetune(
                store,
                TRAIN_SPLIT,
                HELD_OUT_SPLIT,
                folder / f"finetune_{name}",
                after,
                pretrained=encoder,
                verbose=False,
            )
            seconds[f"finetune_{name}"] = time.perf_counter() - clock
            results[name] = evaluate_model(folder / f"finetune_{name}", store, HELD_OUT_SPLIT)
        example = store.ids[int(held_out[0])]
    model = folder / "finetune_pretrained"
    recording = next(path for path in map(Path, files) if path.stem == Path(example).stem)
    prediction = predict_files(model, [recording])[0]
    say(f"5/6  {recording.name}: {prediction['label']} ({100 * prediction['probability']:.0f} %)")
    exported = export_model(model, format="saved-model", output=folder / "saved_model")
    say(
        f"6/6  exported {exported['path']}, "
        f"greatest difference from the Keras model {exported['max_abs_difference']:.2g}"
    )
    return {
        "sequences": len(files),
        "held_out": len(held_out),
        "top1": {name: float(result["top1"]) for name, result in results.items()},
        "mean_class": {name: float(result["mean_class"]) for name, result in results.items()},
        "prediction": {key: prediction[key] for key in ("sample", "label", "probability")},
        "export": str(exported["path"]),
        "seconds": {**seconds, "total": time.perf_counter() - started},
    }


@click.command("demo")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="skelmae_demo",
    show_default=True,
    metavar="DIR",
    help="Folder for everything the demo writes.",
)
@json_flag
@expected_errors
def command(output: Path, as_json: bool):
    """Run every step on synthetic recordings: no download, no licence, a few minutes on two cores.

    \b
    Example:
      skelmae demo --output first_steps
    """
    figures = run_demo(output, say=(lambda _: None) if as_json else click.echo)
    if as_json:
        echo_json(figures)
        return
    rows = [("start", "top-1 %", "mean class %", "training s")]
    for name, text, spent in (
        ("pretrained", "pre-trained", ("pretrain", "finetune_pretrained")),
        ("random", "random", ("finetune_random",)),
    ):
        rows.append(
            (
                text,
                f"{100 * figures['top1'][name]:.1f}",
                f"{100 * figures['mean_class'][name]:.1f}",
                f"{sum(figures['seconds'][step] for step in spent):.0f}",
            )
        )
    click.echo(f"\nHeld-out subjects ({HELD_OUT_SPLIT}, {figures['held_out']} sequences), synthetic data:")
    click.echo(table(rows))
    click.echo(f"Everything is in {output}; {figures['seconds']['total']:.0f} s in all.")
