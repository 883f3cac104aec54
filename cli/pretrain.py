"""`skelmae pretrain`: a SkeletonMAE from unlabelled sequences."""

from . import options
from .training import run_training


@options.command("pretrain", goes_on=options.RESUME)
@options.stores_argument
@options.split_option(
    "train",
    'A split of the store, all, or made on the spot: "subject=1,2" or "subject=anna", "camera=2", "ids=FILE". '
    'For several stores one for all, or one for each: "train1;all".',
)
@options.output_folder("Run folder to write.")
@options.pretrained_option(", to go on from")
@options.training_options
def command(data, train_split, output, pretrained, **chosen):
    """Train a SkeletonMAE to reconstruct masked body parts of the sequences in DATA.h5; labels are not used.

    With weights of the package as --pretrained two views of each sequence are drawn together (objective =
    contrastive: 100 epochs, batches of 64, at least 800 steps), which fits the weights to your own recordings before
    a fine-tuning with few labels.

    `skelmae settings` lists what --set and --config can change, with the default of each recipe; so does
    docs/settings.md.

    \b
    Recipes:
      small    20 epochs, batches of 32, adam at 0.001, cosine, at least 1600 steps
      strong   50 epochs, batches of 256, adam at 0.001, cosine, at least 2000 steps
      paper    50 epochs, batches of 1024, adam at 0.00015, constant, at least 2000 steps

    \b
    Example:
      skelmae pretrain ntu60.h5 --train-split xsub_train --output runs/pre
      skelmae pretrain ntu60.h5 --train-split xsub_train --output runs/again --config runs/pre/config.toml
      skelmae pretrain jhmdb.h5 penn.h5 --train-split "train1;all" --output runs/both
      skelmae pretrain jhmdb.h5 --train-split train1 --pretrained coco17-motion --output runs/own
    """
    run_training("pretrain", data, output, (train_split,), chosen, pretrained=pretrained)
