"""`skelmae finetune`: the action classifier."""

import click

from . import options
from .training import run_training


@options.command("finetune", goes_on=options.RESUME)
@options.stores_argument
@options.split_option("train", 'A split of the store, or made on the spot: "subject=1,2", "camera=2", "ids=FILE".')
@options.split_option(
    "val", "Split reported on after epochs; without it a part of the training split is set aside.", required=False
)
@options.output_folder("Run folder to write.")
@options.pretrained_option("")
@click.option(
    "--select",
    type=click.Choice(["last", "best", "best:mean_class"]),
    default="last",
    help="Weights to save. best looks at accuracy on the validation split, best:mean_class at its mean over classes; "
    "the split is then no longer held out.",
)
@options.overlap_flag
@options.training_options
def command(data, train_split, val_split, output, pretrained, select, allow_overlap, **chosen):
    """Train a classifier on labelled sequences of DATA.h5, end to end, from a pre-trained encoder or not.

    `skelmae settings` lists what --set and --config can change, with the default of each recipe; so does
    docs/settings.md.

    \b
    Recipes:
      small    60 epochs, batches of 32, adam at 0.001, cosine
      strong   80 epochs, batches of 128, sgd at 0.1, cosine, at least 2000 steps
      paper    110 epochs, batches of 128, sgd at 0.1, step, at least 2000 steps

    \b
    Example:
      skelmae finetune ntu60.h5 --train-split xsub_train --val-split xsub_val --output runs/fine \\
        --pretrained runs/pre
    """
    splits = (train_split, val_split)
    own = {"pretrained": pretrained, "select": select, "allow_overlap": allow_overlap}
    run_training("finetune", data, output, splits, chosen, **own)
