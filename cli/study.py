"""`skelmae study`: the paper's ablation tables on any data set."""

from contextlib import ExitStack

import click

from . import options
from .printing import echo, progress

STUDIES = ("depth", "layers", "graph-conv-by-part", "mask-ratio", "init", "transfer")


@options.command("study", goes_on=options.SAME_COMMAND)
@click.argument("name", type=click.Choice(STUDIES))
@options.data_argument
@options.split_option("train", "Split to pre-train on, then to fine-tune on.")
@options.split_option("test", "Split reported on.")
@options.output_folder("Folder of runs and tables; what is finished there is not repeated.", metavar="DIR")
@click.option(
    "--fraction", type=options.FloatRange(0, 1, min_open=True), default=1.0, help="Share of the labels, drawn by class."
)
@click.option("--source", type=options.FILE, metavar="OTHER.h5", help="With transfer: what else to pre-train on.")
@click.option("--source-split", metavar="NAME", help="Its split to pre-train on (default: all).")
@options.set_option("--pretrain-set", help="Like --set, for pre-training alone.")
@options.set_option("--finetune-set", help="Like --set, for fine-tuning alone.")
@options.seeds_options
def command(
    name, data, train_split, test_split, output, source, source_split, pretrain_set, finetune_set, as_json, **chosen
):
    """Pre-train, fine-tune and test over a grid of settings, and print the table of study NAME.

    depth: 1 to 4 encoder layers. layers: 1 to 4 STRL layers, and random initialisation. graph-conv-by-part: GAT, GCN
    and GIN, each with every body part masked. mask-ratio: whole parts against as many random joints. init: random,
    contrastive, SkeletonMAE. transfer: pre-trained on --source, on the data itself, not at all.

    Recipe, --config, --set, --epochs and --batch-size hold for both stages; a setting that has an effect in one of them
    alone goes to that one.

    \b
    Example:
      skelmae study init jhmdb.h5 --train-split train1 --test-split test1 --seeds 0,1,2 --output runs/studies
    """
    if (name == "transfer") != (source is not None):
        raise click.UsageError("transfer, and no other study, takes --source")
    if source is None and source_split is not None:
        raise click.UsageError("--source-split is of --source, which transfer takes")
    chosen["source_split"] = source_split or "all"
    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.runs.splits import protocol_splits, stratified_fraction

    named = {key: chosen[key] for key in ("seeds", "fraction", "source_split", "resume")}
    with ExitStack() as stack:
        store, named["source"] = (path and stack.enter_context(SkeletonStore(path)) for path in (data, source))
        named["progress"] = stack.enter_context(progress(name))
        train, _ = protocol_splits(store, train_split, test_split, allow_overlap=None)
        stratified_fraction(store.labels[train], chosen["fraction"], 0)
        if named["source"] is not None:
            named["source"].select(chosen["source_split"])
        recipe = options.recipe_of(chosen, len(train))
        decided = {"seed": "--seeds has them", "validation_fraction": "--test-split is what is reported on"}
        before = options.settings_of("pretrain", recipe, chosen, pretrain_set, check=False, decided=decided)
        after = options.settings_of("finetune", recipe, chosen, finetune_set, check=False, decided=decided)

        from keras_skelmae.experiments import run_study, study_table

        result = run_study(name, store, train_split, test_split, output, before, after, **named)
    echo(result, as_json, lambda: study_table(result))
