"""`skelmae fuse`: classifiers of several streams as one."""

import click

from . import options
from .printing import echo


@options.command("fuse")
@click.argument("models", type=options.MODEL, nargs=-1, required=True, metavar="RUN|FILE...")
@options.output_folder("Folder to write.")
@click.option(
    "--weights",
    callback=options.numbers(float, repeats=True),
    metavar="W,W,...",
    help="Weight of each; only their proportions matter (default: equal).",
)
@options.json_flag
def command(models, output, weights, as_json):
    """Write one classifier whose probabilities are the weighted mean of those of two or more trained ones.

    For models of the joints, of the bones and of the motion of the same recordings, as --set streams makes them.
    evaluate, predict and export take RUN like that of a single model.

    \b
    Example:
      skelmae fuse runs/joint runs/bone runs/motion --weights 2,2,1 --output runs/fused
    """
    if len(models) < 2:
        raise click.UsageError("fuse takes two or more models")
    if weights is not None and len(weights) != len(models):
        raise click.UsageError(f"--weights: expected {len(models)} numbers, found {len(weights)}")
    if output.exists():
        raise FileExistsError(17, "already there; remove it or choose another output", str(output))
    from skelmae_datasets.runs.saved_model import read_members

    read_members(models)

    from keras_skelmae.training import fuse

    made = fuse(models, output, weights)
    text = f"{output}: {len(models)} classifiers, {made['parameters']} parameters"
    if made["lost"]:
        text += f"\nmirror images do not count, as not all have them; on their own they do in {', '.join(made['lost'])}"
    echo({"output": str(output), **made}, as_json, lambda: text)
