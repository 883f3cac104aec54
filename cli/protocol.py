"""`skelmae protocol`: the evaluation protocols of the field, over seeds and fractions of the labels."""

import click

from . import options
from .printing import echo, progress

PROTOCOLS = ("linear", "knn", "retrieval", "finetune", "semi")


@options.command("protocol")
@click.argument("protocol", type=click.Choice(PROTOCOLS))
@options.data_argument
@options.split_option("train", "Split the probe or the network learns from.")
@options.split_option("test", "Split reported on.")
@options.output_folder("Folder of results and index lists; what is already there is not measured again.", metavar="DIR")
@click.option("--pretrained", metavar="RUN", help='Pre-training run; "{seed}" in it is replaced by each seed.')
@click.option("--random/--no-random", default=True, help="Also measure random initialisation, the same way.")
@click.option(
    "--fraction",
    "fractions",
    default="1",
    callback=options.numbers(float),
    metavar="F,F,...",
    help="Shares of the training labels, drawn by class.",
)
@click.option("--neighbours", type=click.IntRange(1), default=1, help="k of knn.")
@options.overlap_flag
@options.seeds_options
def command(protocol, data, train_split, test_split, output, pretrained, random, as_json, **chosen):
    """Measure a pre-trained network by PROTOCOL, beside the same network before any training.

    linear: logistic regression on frozen features. knn: the nearest training sequences by cosine. retrieval: mean
    average precision within the split. finetune, semi: end to end, with all or a fraction of the labels.

    \b
    Example:
      skelmae protocol linear jhmdb.h5 --train-split train1 --test-split test1 --pretrained runs/pre-{seed} \\
        --seeds 0,1,2 --fraction 0.1,1 --output runs/linear
    """
    if pretrained is None and not random:
        raise click.UsageError("nothing to measure: give --pretrained, or leave out --no-random")
    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.runs.run_folder import model_file
    from skelmae_datasets.runs.splits import check_apart

    starts = {"pretrained": {"pretrained": pretrained}} if pretrained else {}
    if random:
        starts["random"] = {"like": pretrained}
    named = {key: chosen[key] for key in ("seeds", "fractions", "neighbours", "resume", "allow_overlap")}
    results = []
    with SkeletonStore(data) as store:
        train, test = store.select(train_split), store.select(test_split)
        recipe = options.recipe_of(chosen, len(train), _first(pretrained, chosen))
        settings = options.settings_of("finetune", recipe, chosen)
        if not chosen["allow_overlap"] and protocol != "retrieval":
            check_apart(store, train_split, train, test_split, test)
        for seed in chosen["seeds"] if pretrained else ():
            model_file(pretrained.format(seed=seed))

        from keras_skelmae.experiments import markdown_table, run_protocol

        for name, start in starts.items():
            with progress(f"{protocol}, {name}") as named["progress"]:
                splits, place = (train_split, test_split), output / name
                results.append(run_protocol(protocol, store, *splits, place, settings, **start, **named))
    echo(results, as_json, lambda: markdown_table(results))


def _first(pretrained, chosen):
    """The run of the first seed."""
    return pretrained and pretrained.format(seed=chosen["seeds"][0])
