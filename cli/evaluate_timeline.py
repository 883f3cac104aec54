"""`skelmae evaluate-timeline`: predicted timelines against labelled intervals."""

import click

from . import options
from .printing import echo, table, to_json


def _summary(result):
    """The measures as aligned text."""
    rows = [("timelines", result["timelines"]), ("frames", result["frames"])]
    rows += [("true segments", result["true_segments"]), ("predicted segments", result["predicted_segments"])]
    shares = {"frames right %": result["frame_accuracy"], "labelled frames right %": result["labelled_accuracy"]}
    shares |= {f"segment F1 at {key} % overlap": value for key, value in result["f1"].items()}
    shares |= {"edit score": result["edit"]}
    rows += [(name, "-" if share is None else f"{100 * share:.2f}") for name, share in shares.items()]
    return "\n".join([f"{result['predicted']} against {result['intervals']}", table(rows)])


@options.command("evaluate-timeline")
@click.argument("timelines", type=options.FILE, metavar="TIMELINES.json|.csv")
@click.argument("intervals", type=options.FILE, metavar="INTERVALS.csv")
@click.option(
    "--fps", type=options.FloatRange(0, min_open=True), help="Frames per second, where the timelines do not say."
)
@options.output_file("Write the measures to this .json, or both timelines as a picture to this .svg.")
@options.json_flag
def command(timelines, intervals, fps, output, as_json):
    """Measure TIMELINES, as `skelmae predict --output` writes them, by the true INTERVALS.

    By frame, by segment (F1 at 10, 25 and 50 % overlap) and by the order of segments (edit score). INTERVALS is a table
    of file, start, end, label and, where there are several, person. Frames without an interval are background: no class
    of segments, but for the accuracy by frame one more class.

    \b
    Example:
      skelmae evaluate-timeline hour.json intervals.csv
      skelmae evaluate-timeline hour.json intervals.csv --output both.svg
    """
    if output is not None:
        options.FOLDER.check(output.absolute().parent)
        if output.suffix.lower() not in (".json", ".svg"):
            raise ValueError(f"{output}: suffix: expected .json, .svg, found {output.suffix or 'none'}")

    from skelmae_datasets.files import write_text
    from skelmae_datasets.readers.intervals import IntervalTable
    from skelmae_datasets.timelines import read_timelines

    predicted, true = read_timelines(timelines, fps), IntervalTable(intervals)

    from keras_skelmae.evaluation.compare import compare_timelines

    compared, figures = compare_timelines(predicted, true)
    result = {"predicted": str(timelines), "intervals": str(intervals), **figures}
    if output is not None and output.suffix.lower() == ".svg":
        from keras_skelmae.report.timeline_figure import timeline_svg

        write_text(output, timeline_svg(*zip(*compared, strict=True)))
    elif output is not None:
        write_text(output, to_json(result) + "\n")
    echo(result, as_json, lambda: _summary(result))
