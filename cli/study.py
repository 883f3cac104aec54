"""`skelmae study`: the paper's ablation tables on any data set."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from .errors import expected_errors
from .options import (
    echo_json,
    existing_path,
    explicit,
    json_flag,
    numbers,
    progress,
    require,
    settings,
    training_options,
)

STUDIES = ("depth", "layers", "backbone-by-part", "mask-ratio", "init", "transfer")


@click.command("study")
@click.argument("name", type=click.Choice(STUDIES))
@click.argument("data", type=existing_path, metavar="DATA.h5")
@click.option("--train-split", required=True, metavar="NAME", help="Split to pre-train on, then to fine-tune on.")
@click.option("--test-split", required=True, metavar="NAME", help="Split reported on.")
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of runs and tables; what is finished there is not repeated.")  # fmt: skip
@click.option("--seeds", default="0", show_default=True, callback=numbers(int), metavar="N,N,...", help="Seeds.")
@click.option("--fraction", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Share of the training labels to fine-tune with, drawn by class.")  # fmt: skip
@click.option("--source", type=existing_path, metavar="OTHER.h5", help="With transfer: what else to pre-train on.")
@click.option("--source-split", default="all", show_default=True, metavar="NAME", help="Its split to pre-train on.")
@click.option("--pretrain-set", multiple=True, metavar="KEY=VALUE", callback=settings,
              help="Like --set, for pre-training alone.")  # fmt: skip
@click.option("--finetune-set", multiple=True, metavar="KEY=VALUE", callback=settings,
              help="Like --set, for fine-tuning alone.")  # fmt: skip
@click.option("--resume/--no-resume", default=True, show_default=True,
              help="Go on with a training that was interrupted, or begin it anew.")  # fmt: skip
@training_options
@json_flag
@expected_errors
def command(name, data, train_split, test_split, output, seeds, fraction, source, source_split, pretrain_set,
            finetune_set, recipe, config_file, overrides, epochs, batch_size, seed, resume, as_json):  # fmt: skip
    """Pre-train, fine-tune and test over a grid of settings, and print the table of study NAME.

    depth: 1 to 4 encoder layers. layers: 1 to 4 STRL layers, and random initialisation. backbone-by-part: GAT, GCN
    and GIN, each with every body part masked. mask-ratio: whole parts against as many random joints. init: random,
    contrastive, SkeletonMAE. transfer: pre-trained on --source, on the data itself, not at all.

    Recipe, --config (its tables [both], [pretrain], [finetune]), --set, --epochs and --batch-size hold for both stages.

    \b
    Example:
      skelmae study init jhmdb.h5 --train-split train1 --test-split test1 --seeds 0,1,2 --output runs/studies
    """
    for path in (data, source, config_file):
        if path is not None:
            require(path)
    if seed is not None:
        raise click.UsageError("study takes --seeds")
    if (name == "transfer") != (source is not None):
        raise click.UsageError("transfer, and no other study, takes --source")

    from keras_skelmae.training import run_study, study_table
    from keras_skelmae.training.config import resolve_config
    from skelmae_datasets import SkeletonStore

    before, after = (
        resolve_config(stage, recipe=recipe, config_file=config_file, overrides=(*overrides, *own),
                       **explicit(epochs=epochs, batch_size=batch_size))
        for stage, own in (("pretrain", pretrain_set), ("finetune", finetune_set))
    )  # fmt: skip
    with ExitStack() as stack:
        store, other = (path and stack.enter_context(SkeletonStore(path)) for path in (data, source))
        callback = stack.enter_context(progress(name))
        result = run_study(name, store, train_split, test_split, output, before, after, seeds=seeds, fraction=fraction,
                           source=other, source_split=source_split, resume=resume, progress=callback)  # fmt: skip
    if as_json:
        echo_json(result)
    else:
        click.echo(study_table(result))
