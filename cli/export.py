"""`skelmae export`: a classifier for serving."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, json_flag, require

FORMATS = ("saved-model", "onnx", "litert", "keras")


@click.command("export")
@click.argument("model", type=existing_path)
@click.option(
    "--format",
    "export_format",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="What to write.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="saved_models/NAME",
    help="Where to (default: saved_models/ and the name of the run).",
)
@json_flag
@expected_errors
def command(model: Path, export_format: str, output: Path | None, as_json: bool):
    """Write MODEL (a run folder or .keras file) as a program that takes raw coordinates (B, M, T, V, C).

    The result is run and compared with the Keras model before the command reports success. onnx and litert need the
    extra of that name: pip install 'keras-skelmae[onnx]'.

    \b
    Example:
      skelmae export runs/fine --output saved_models/ntu60
      skelmae export runs/fine --format onnx --output saved_models/ntu60.onnx
    """
    require(model, "any")

    from keras_skelmae.export import export_model

    result = export_model(model, format=export_format, output=output)
    if as_json:
        echo_json(result)
    else:
        click.echo(
            f"{result['path']}: {result['format']}, "
            f"greatest difference from the Keras model {result['max_abs_difference']:.2g}"
        )
