"""`skelmae protocol robustness`: accuracy against recordings that are made worse."""

import click

from . import options
from .printing import echo, progress


def _kinds(_context, _parameter, text):
    """Callback of --kinds: names with commas between them."""
    return text and tuple(part.strip() for part in text.split(","))


@options.command("robustness")
@click.argument("runs", type=options.MODEL, nargs=-1, required=True, metavar="RUN...")
@click.argument("data", type=options.FILE, metavar="DATA.h5")
@options.split_option("test", "Split reported on.")
@click.option(
    "--kinds",
    callback=_kinds,
    metavar="KIND,KIND,...",
    help="Of joints, parts, frames, jitter, rotation, swaps and rate (default: all).",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of what is drawn; the same for every RUN.")
@options.overlap_flag
@options.output_folder("Folder for robustness.json and robustness.svg.", default="robustness", metavar="DIR")
@options.report_flag
@options.json_flag
def command(runs, data, test_split, kinds, seed, allow_overlap, output, report, as_json):
    """Measure each RUN on a split of DATA.h5 that is made worse step by step, one kind of fault at a time.

    Joints, body parts or frames are missing, joints jitter, the recording is turned, left and right are swapped, frames
    are left out. Each is a curve; those of several runs are in one figure. In a run folder robustness.json and
    report.html are written too.

    \b
    Example:
      skelmae protocol robustness runs/fine runs/random jhmdb.h5 --test-split test1 --output runs/robustness
    """
    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.files import write_json
    from skelmae_datasets.pictures.figures import save_figure
    from skelmae_datasets.runs.run_folder import METRICS, ROBUSTNESS, is_run
    from skelmae_datasets.runs.splits import measured_split
    from skelmae_datasets.transforms.degradation import check_kinds

    if is_run(output):  # it has a robustness.json of its own, of one run
        raise click.UsageError(f"--output: expected a folder that is none of a run, found {output}; choose another")
    named = {"seed": seed, "allow_overlap": allow_overlap} | ({"kinds": kinds} if kinds else {})
    check_kinds(kinds or ())
    results = []
    with SkeletonStore(data) as store:
        for run in runs:
            measured_split(run, store, test_split, allow_overlap)

        from keras_skelmae.experiments import robustness, robustness_table
        from keras_skelmae.report.page import write_report
        from keras_skelmae.report.robustness_figure import robustness_figure

        for run in runs:
            with progress(str(run)) as callback:
                results.append(robustness(run, store, test_split, progress=callback, **named))
    write_json(output / ROBUSTNESS, {"results": results})
    save_figure(robustness_figure({result["model"]: result for result in results}), output / "robustness.svg")
    for run, result in zip(runs, results, strict=True):
        if report and (run / METRICS).is_file():
            write_json(run / ROBUSTNESS, result)
            write_report([run])
    echo(results, as_json, lambda: robustness_table(results))
