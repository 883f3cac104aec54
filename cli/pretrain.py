"""`skelmae pretrain`: a SkeletonMAE from unlabelled sequences."""

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


@click.command("pretrain")
@click.argument("data", type=existing_path, nargs=-1, required=True, metavar="DATA.h5...")
@click.option(
    "--split",
    required=True,
    metavar="NAME",
    help='A split of the store, all, or made on the spot: "subject=1,2", "camera=2", "ids=FILE". '
    'For several stores one for all, or one for each: "train1;all".',
)
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="RUN",
    help="Run folder to write.",
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
    split: str,
    output: Path,
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
    """Train a SkeletonMAE to reconstruct masked body parts of the sequences in DATA.h5; labels are not used.

    \b
    Example:
      skelmae pretrain ntu60.h5 --split xsub_train --output runs/pre
      skelmae pretrain ntu60.h5 --split xsub_train --output runs/again --config runs/pre/config.toml
      skelmae pretrain jhmdb.h5 penn.h5 --split "train1;all" --output runs/both
    """
    for path in data:
        require(path, "any")
    if config_file is not None:
        require(config_file)

    from keras_skelmae.training import pretrain
    from keras_skelmae.training.devices import is_writer, use_devices

    use_devices(devices)
    config = run_config("pretrain", output, resume, recipe, config_file, overrides, epochs=epochs,
                        batch_size=batch_size, seed=seed, precision=precision, jit=jit)  # fmt: skip
    with open_data(data, labelled=False) as store:
        metrics = pretrain(
            store, split, output, config, verbose=not as_json and is_writer(), resume=resume, force=force,
            minutes=minutes, **training_callbacks(output, tensorboard)
        )  # fmt: skip
        if report and is_writer():
            report_training(output, store, "pretrained")
    if not is_writer():
        return
    if as_json:
        echo_json({"run": str(output), **metrics})
    else:
        click.echo(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")
