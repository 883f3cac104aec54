"""`skelmae protocol baseline`: what the same clips give without a network."""

import click

from . import options
from .printing import echo, progress, to_json


@options.command("baseline")
@options.data_argument
@options.split_option("train", "Split to learn from.")
@options.split_option("test", "Split reported on.")
@click.option("--run", type=options.FOLDER, metavar="RUN", help="A fine-tuning whose report is to tell the figures.")
@options.overlap_flag
@options.output_file("Write the figures to this file as JSON.", metavar="OUT.json")
@options.json_flag
def command(data, train_split, test_split, run, allow_overlap, output, as_json):
    """Classify the clips of DATA.h5 without a network: a ridge on their poses, and the nearest clip by time warping.

    Seconds on one core. A network that is not clearly better does not earn its training. With --run the figures are
    written to RUN/baseline.json and RUN/report.html; measure RUN on the same split with `skelmae evaluate`.

    \b
    Example:
      skelmae protocol baseline jhmdb.h5 --train-split train1 --test-split test1 --run runs/fine
    """
    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.files import read_json, write_json, write_text
    from skelmae_datasets.runs.run_folder import BASELINE, EVALUATION, METRICS, read_metrics
    from skelmae_datasets.runs.splits import protocol_splits

    if run is not None and read_metrics(run)["stage"] != "finetune":
        raise ValueError(f"{run}: {METRICS}: expected a fine-tuning, found a pre-training")
    with SkeletonStore(data) as store, progress("baseline") as callback:
        protocol_splits(store, train_split, test_split, allow_overlap)

        from keras_skelmae.experiments import baseline_table, compare_baselines

        found = compare_baselines(store, train_split, test_split, callback, allow_overlap)
    if output is not None:
        write_text(output, to_json(found) + "\n")
    network = None
    if run is not None:
        from keras_skelmae.report.page import write_report

        write_json(run / BASELINE, found)
        write_report([run])
        evaluation = read_json(run / EVALUATION, missing_ok=True) or {}
        if all(evaluation.get(key) == found[other] for key, other in SAME.items()):
            network = evaluation
    echo(found, as_json, lambda: baseline_table(found, network))


SAME = {"fingerprint": "fingerprint", "split": "test_split"}  # of an evaluation and of a baseline
