"""`skelmae protocol`: the evaluation protocols of the field, and those that tell how far a result can be trusted."""

from pathlib import Path

import click

from . import options
from .main import LazyGroup
from .printing import echo, progress

PROTOCOLS = {
    "linear": "Logistic regression on frozen features.",
    "knn": "The nearest training sequences by cosine of frozen features.",
    "retrieval": "Mean average precision of frozen features within the split.",
    "finetune": "Training end to end, over seeds.",
    "semi": "Training end to end, with fractions of the labels.",
}
TRUST = {
    "cross-validate": ("cross_validate", "Accuracy by folds where nobody made a split, then a model on everything."),
    "baseline": ("baseline", "What the same clips give without a network: does it earn its training?"),
    "robustness": ("robustness", "Accuracy against missing joints, parts, frames, jitter, rotation, swaps and rate."),
}


@click.group("protocol", cls=LazyGroup, lazy=TRUST)
def command():
    """Measure by a protocol of the field, beside the same network before any training; or where there is no split, no
    network, or no sound recording.

    \b
    Example:
      skelmae protocol linear jhmdb.h5 --train-split train1 --test-split test1 --pretrained runs/pre-{seed} \\
        --seeds 0,1,2 --fraction 0.1,1 --output runs/linear
      skelmae protocol cross-validate own.h5 --output runs/own --final
    """


def measuring(protocol, text):
    """The command of one of PROTOCOLS."""

    def run(data, train_split, test_split, output, pretrained, random, as_json, **chosen):
        _measure(protocol, data, (train_split, test_split), output, pretrained, random, as_json, chosen)

    example = f"skelmae protocol {protocol} jhmdb.h5 --train-split train1 --test-split test1 --output runs/{protocol}"
    run.__doc__ = f"{text}\n\n\b\nExample:\n  {example}\n"
    run = measured_options(run)
    if protocol == "knn":
        run = click.option("--neighbours", type=click.IntRange(1), default=1, help="k.")(run)
    return options.command(protocol, goes_on=options.SAME_COMMAND)(run)


def _measure(protocol, data, splits, output, pretrained, random, as_json, chosen):
    if pretrained is None and not random:
        raise click.UsageError("nothing to measure: give --pretrained, or leave out --no-random")
    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.runs.run_folder import of_seed
    from skelmae_datasets.runs.saved_model import check_start
    from skelmae_datasets.runs.splits import few_shots, protocol_splits, stratified_fraction

    starts = {} if pretrained is None else {"pretrained": {"pretrained": pretrained}}
    if random:
        starts["random"] = {"like": pretrained}
    named = {key: chosen[key] for key in ("seeds", "fractions", "shots", "resume", "allow_overlap")}
    named["neighbours"] = chosen.get("neighbours", 1)
    named["shots"] = named["shots"] or ()
    named["fractions"] = named["fractions"] or (() if named["shots"] else (1.0,))
    results = []
    with SkeletonStore(data) as store:
        train, _ = protocol_splits(store, *splits, chosen["allow_overlap"], protocol == "retrieval")
        sources = [] if pretrained is None else [of_seed(pretrained, seed) for seed in chosen["seeds"]]
        for source in sources:
            options.PRETRAINED.check(Path(source))
        recipe = options.recipe_of(chosen, len(train), *sources[:1])
        settings = options.settings_of("finetune", recipe, chosen, decided=_decided(protocol))
        for draw, amounts in ((stratified_fraction, named["fractions"]), (few_shots, named["shots"])):
            for amount in amounts:
                draw(store.labels[train], amount, 0)
        for source in sources:
            check_start(source, store)

        from keras_skelmae.experiments import markdown_table, run_protocol

        for name, start in starts.items():
            with progress(f"{protocol}, {name}") as named["progress"]:
                place = output / name
                results.append(run_protocol(protocol, store, *splits, place, settings, **start, **named))
    echo(results, as_json, lambda: markdown_table(results))


def _decided(protocol):
    """The settings that a protocol decides or does not use, and why."""
    from skelmae_datasets.runs.settings import CLASSIFIER_KEYS, FIELDS, GROUP_OF

    given = {"seed": "--seeds has them"}
    if protocol in ("finetune", "semi"):
        return given | {"validation_fraction": "--test-split is what is reported on"}
    idle = [key for key in FIELDS if GROUP_OF[key] not in ("data", "model") or key in CLASSIFIER_KEYS]
    return dict.fromkeys(idle, f"{protocol} takes the features as they are and trains no network") | given


measured_options = options.options(
    options.data_argument,
    options.split_option("train", "Split the probe or the network learns from."),
    options.split_option("test", "Split reported on."),
    options.output_folder(
        "Folder of results and index lists; what is already there is not measured again.", metavar="DIR"
    ),
    click.option(
        "--pretrained",
        callback=options.not_blank,
        metavar="RUN|NAME",
        help='Pre-training run; "{seed}" in it is replaced by each seed. Or weights of the package.',
    ),
    click.option("--random/--no-random", default=True, help="Also measure random initialisation, the same way."),
    click.option(
        "--fraction",
        "fractions",
        callback=options.numbers(float),
        metavar="F,F,...",
        help="Shares of the training labels, drawn by class (default: 1, without --shots).",
    ),
    click.option(
        "--shots", callback=options.numbers(int), metavar="N,N,...", help="Clips of each class to learn from."
    ),
    options.overlap_flag,
    options.seeds_options,
)
for protocol, text in PROTOCOLS.items():
    command.add_command(measuring(protocol, text))
