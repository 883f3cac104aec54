"""`skelmae predict`: the action in recordings."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, json_flag, require, table

ALTERNATIVES = 3


@click.command("predict")
@click.argument("model", type=existing_path)
@click.argument("inputs", type=existing_path, nargs=-1, required=True, metavar="INPUT...")
@json_flag
@expected_errors
def command(model: Path, inputs: tuple[Path, ...], as_json: bool):
    """Name the action in each INPUT (.skeleton, .pkl, .csv or .h5) with MODEL, a run folder or .keras file.

    \b
    Example:
      skelmae predict runs/fine S001C001P001R001A001.skeleton
      skelmae predict runs/fine ntu60.h5 --json
    """
    require(model, "any")
    for path in inputs:
        require(path)

    from keras_skelmae.training import predict_files

    results = predict_files(model, list(inputs))
    if as_json:
        echo_json(results)
        return
    rows = []
    for result in results:
        ranked = sorted(result["probabilities"].items(), key=lambda entry: -entry[1])[:ALTERNATIVES]
        rows.append((result["sample"], *(f"{name} {100 * probability:.1f}%" for name, probability in ranked)))
    click.echo(table(rows, indent=""))
