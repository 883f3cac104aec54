"""`skelmae finetune`: the action classifier."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import (
    device_option,
    echo_json,
    existing_path,
    json_flag,
    open_data,
    precision_options,
    report_training,
    require,
    resume_options,
    run_config,
    seen_options,
    training_callbacks,
    training_options,
)


@click.command("finetune")
@click.argument("data", type=existing_path, nargs=-1, required=True, metavar="DATA.h5...")
@click.option(
    "--train-split",
    required=True,
    metavar="NAME",
    help='A split of the store, or made on the spot: "subject=1,2", "camera=2", "ids=FILE".',
)
@click.option(
    "--val-split",
    metavar="NAME",
    help="Split reported each epoch; without it a part of the training split is set aside.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="RUN",
    help="Run folder to write.",
)
@click.option(
    "--pretrained",
    type=existing_path,
    metavar="RUN|FILE",
    help="Pre-training run, or its encoder.keras (default: random initialisation).",
)
@click.option(
    "--select",
    type=click.Choice(["last", "best"]),
    default="last",
    show_default=True,
    help="Weights to save. best looks at the validation split, which is then no longer held out.",
)
@training_options
@resume_options
@seen_options
@precision_options
@device_option
@json_flag
@expected_errors
def command(
    data: tuple[Path, ...],
    train_split: str,
    val_split: str | None,
    output: Path,
    pretrained: Path | None,
    select: str,
    recipe: str,
    config_file: Path | None,
    overrides: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    resume: bool,
    force: bool,
    minutes: float | None,
    report: bool,
    tensorboard: bool,
    precision: str | None,
    jit: str | None,
    devices: int | None,
    as_json: bool,
):
    """Train a classifier on labelled sequences of DATA.h5, end to end, from a pre-trained encoder or not.

    \b
    Example:
      skelmae finetune ntu60.h5 --train-split xsub_train --val-split xsub_val --output runs/fine \\
        --pretrained runs/pre
    """
    for path in data:
        require(path, "any")
    for path in (config_file, pretrained):
        if path is not None:
            require(path, "any" if path is pretrained else "file")

    from keras_skelmae.training import finetune
    from keras_skelmae.training.devices import is_writer, use_devices

    use_devices(devices)
    config = run_config("finetune", output, resume, recipe, config_file, overrides, epochs=epochs,
                        batch_size=batch_size, seed=seed, precision=precision, jit=jit)  # fmt: skip
    with open_data(data) as store:
        metrics = finetune(
            store,
            train_split,
            val_split,
            output,
            config,
            pretrained=pretrained,
            select=select,
            verbose=not as_json and is_writer(),
            resume=resume,
            force=force,
            minutes=minutes,
            **training_callbacks(output, tensorboard),
        )
        if report and is_writer():
            report_training(output, store, "finetuned")
    if not is_writer():
        return
    if as_json:
        echo_json({"run": str(output), **metrics})
    else:
        written = ", report.html" if report else ""
        click.echo(f"{output}: model.keras ({select} epoch), history.csv, metrics.json, config.toml{written}")
