"""`skelmae protocol`: the evaluation protocols of the field, over seeds and fractions of the labels."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, explicit, json_flag, numbers, progress, require, training_options

PROTOCOLS = ("linear", "knn", "retrieval", "finetune", "semi")


@click.command("protocol")
@click.argument("protocol", type=click.Choice(PROTOCOLS))
@click.argument("data", type=existing_path, metavar="DATA.h5")
@click.option("--train-split", required=True, metavar="NAME", help="Split the probe or the network learns from.")
@click.option("--split", "test_split", required=True, metavar="NAME", help="Split reported on.")
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of results and index lists; what is already there is not measured again.")  # fmt: skip
@click.option("--pretrained", metavar="RUN", help='Pre-training run; "{seed}" in it is replaced by each seed.')
@click.option("--random/--no-random", default=True, show_default=True,
              help="Also measure random initialisation, the same way.")  # fmt: skip
@click.option("--seeds", default="0", show_default=True, callback=numbers(int), metavar="N,N,...", help="Seeds.")
@click.option("--fraction", "fractions", default="1", show_default=True, callback=numbers(float),
              metavar="F,F,...", help="Shares of the training labels, drawn by class.")  # fmt: skip
@click.option("--neighbours", type=click.IntRange(min=1), default=1, show_default=True, help="k of knn.")
@click.option("--resume/--no-resume", default=True, show_default=True,
              help="Go on with a training that was interrupted, or begin it anew.")  # fmt: skip
@training_options
@json_flag
@expected_errors
def command(protocol, data, train_split, test_split, output, pretrained, random, seeds, fractions, neighbours,
            recipe, config_file, overrides, epochs, batch_size, seed, resume, as_json):  # fmt: skip
    """Measure a pre-trained network by PROTOCOL, beside the same network before any training.

    linear: logistic regression on frozen features. knn: the nearest training sequences by cosine. retrieval: mean
    average precision within the split. finetune, semi: end to end, with all or a fraction of the labels.

    \b
    Example:
      skelmae protocol linear jhmdb.h5 --train-split train1 --split test1 --pretrained runs/pre-{seed} \\
        --seeds 0,1,2 --fraction 0.1,1 --output runs/linear
    """
    require(data)
    if seed is not None:
        raise click.UsageError("protocol takes --seeds")
    if pretrained is None and not random:
        raise click.UsageError("nothing to measure: give --pretrained, or leave out --no-random")

    from keras_skelmae.training import markdown_table, run_protocol
    from keras_skelmae.training.config import resolve_config
    from skelmae_datasets import SkeletonStore

    config = resolve_config("finetune", recipe=recipe, config_file=config_file, overrides=overrides,
                            **explicit(epochs=epochs, batch_size=batch_size))  # fmt: skip
    starts = {"pretrained": pretrained} if pretrained else {}
    if random:
        starts["random"] = None
    results = []
    with SkeletonStore(data) as store:
        for name, source in starts.items():
            with progress(f"{protocol}, {name}") as callback:
                results.append(run_protocol(
                    protocol, store, train_split, test_split, output / name, config, pretrained=source,
                    seeds=seeds, fractions=fractions, neighbours=neighbours, resume=resume,
                    progress=callback))  # fmt: skip
    if as_json:
        echo_json(results)
    else:
        click.echo(markdown_table(results))
