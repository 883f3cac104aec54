"""`skelmae pretrain`: a SkeletonMAE from unlabelled sequences."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import (
    echo_json,
    existing_path,
    explicit,
    json_flag,
    require,
    seen_options,
    training_callbacks,
    training_options,
)


@click.command("pretrain")
@click.argument("data", type=existing_path, metavar="DATA.h5")
@click.option(
    "--split",
    required=True,
    metavar="NAME",
    help='A split of the store, all, or made on the spot: "subject=1,2", "camera=2", "ids=FILE".',
)
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="RUN",
    help="Run folder to write.",
)
@training_options
@seen_options
@json_flag
@expected_errors
def command(
    data: Path,
    split: str,
    output: Path,
    recipe: str,
    config_file: Path | None,
    overrides: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    seed: int | None,
    report: bool,
    tensorboard: bool,
    as_json: bool,
):
    """Train a SkeletonMAE to reconstruct masked body parts of the sequences in DATA.h5; labels are not used.

    \b
    Example:
      skelmae pretrain ntu60.h5 --split xsub_train --output runs/pre
      skelmae pretrain ntu60.h5 --split xsub_train --output runs/again --config runs/pre/config.toml
    """
    require(data)
    if config_file is not None:
        require(config_file)

    from keras_skelmae.training import pretrain
    from keras_skelmae.training.config import resolve_config
    from skelmae_datasets import SkeletonStore

    config = resolve_config(
        "pretrain",
        recipe=recipe,
        config_file=config_file,
        overrides=overrides,
        **explicit(epochs=epochs, batch_size=batch_size, seed=seed),
    )
    with SkeletonStore(data) as store:
        added = training_callbacks(output, tensorboard)
        metrics = pretrain(store, split, output, config, verbose=not as_json, **added)
        if report:
            from keras_skelmae.report.evidence import measure_pretrained
            from keras_skelmae.report.page import write_report

            measure_pretrained(output, store)
            write_report([output])
    if as_json:
        echo_json({"run": str(output), **metrics})
    else:
        click.echo(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")
