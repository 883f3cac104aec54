"""`skelmae fuse`: classifiers of several streams as one."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, json_flag, numbers, require


@click.command("fuse")
@click.argument("models", type=existing_path, nargs=-1, required=True, metavar="RUN|FILE...")
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="RUN",
              help="Folder to write.")  # fmt: skip
@click.option("--weights", callback=numbers(float), metavar="W,W,...",
              help="Weight of each; only their proportions matter (default: equal).")  # fmt: skip
@json_flag
@expected_errors
def command(models: tuple[Path, ...], output: Path, weights: tuple[float, ...] | None, as_json: bool):
    """Write one classifier whose probabilities are the weighted mean of those of two or more trained ones.

    For models of the joints, of the bones and of the motion of the same recordings, as --set streams makes them.
    evaluate, predict and export take RUN like that of a single model.

    \b
    Example:
      skelmae fuse runs/joint runs/bone runs/motion --weights 2,2,1 --output runs/fused
    """
    for path in models:
        require(path, "any")
    if len(models) < 2:
        raise click.UsageError("fuse takes two or more models")
    if weights is not None and len(weights) != len(models):
        raise click.UsageError(f"--weights: expected {len(models)} numbers, found {len(weights)}")

    from keras_skelmae.training import fuse

    made = fuse(models, output, weights)
    if as_json:
        echo_json({"output": str(output), **made})
    else:
        click.echo(f"{output}: {len(models)} classifiers, {made['parameters']} parameters")
