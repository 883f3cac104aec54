"""`skelmae export`: a classifier for serving."""

import click

from . import options
from .printing import echo

FORMATS = ("saved-model", "onnx", "litert", "keras")


@options.command("export")
@click.argument("model", type=options.MODEL)
@click.option("--format", type=click.Choice(FORMATS), default=FORMATS[0], help="What to write.")
@click.option(
    "--output",
    type=options.Named(),
    metavar="FILE|FOLDER",
    help="Where to (default: saved_models/ and the name of the run).",
)
@options.json_flag
def command(model, output, as_json, **chosen):
    """Write MODEL (a run folder or .keras file) as a program that takes raw coordinates (B, M, T, V, C).

    The result is run and compared with the Keras model before the command reports success. onnx and litert need the
    extra of that name: pip install 'keras-skelmae[onnx]'.

    \b
    Example:
      skelmae export runs/fine --output saved_models/ntu60
      skelmae export runs/fine --format onnx --output saved_models/ntu60.onnx
    """
    from skelmae_datasets.runs.exports import plan_export

    plan_export(model, chosen["format"], output)

    from keras_skelmae.export import export_model

    result = export_model(model, output=output, **chosen)
    difference = f"greatest difference from the Keras model {result['max_abs_difference']:.2g}"
    echo(result, as_json, lambda: f"{result['path']}: {result['format']}, {difference}")
