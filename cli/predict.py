"""`skelmae predict`: the action in recordings."""

from contextlib import ExitStack
from pathlib import Path

import click

from . import options
from .printing import echo, table, to_json

ALTERNATIVES = 3
STDIN = Path("-")


def _windows(predictor, inputs, image_size):
    """(input, sample, WindowLabel) of every window of the inputs."""
    from keras_skelmae.evaluation.predict import open_inputs
    from keras_skelmae.evaluation.streaming import stream_lines, stream_recording

    for path in inputs:
        if path == STDIN:
            yield from ((path, "-", window) for window in stream_lines(predictor, click.get_text_stream("stdin")))
            continue
        with ExitStack() as stack:
            for _, store in open_inputs(stack, predictor.model, [path], image_size):
                for index, sample in enumerate(store.ids):
                    yield from ((path, sample, window) for window in stream_recording(predictor, store.read(index)))


def _stream(model, inputs, as_json, image_size, **settings):
    """A line per window: sample, last frame, label, probability."""
    from keras_skelmae.evaluation import StreamingPredictor

    found = []
    for path, sample, window in _windows(StreamingPredictor(model, **settings), inputs, image_size):
        if as_json:
            named = {key: getattr(window, key) for key in ("frame", "label", "probability")}
            found.append({"input": path, "sample": sample, **named})
        else:
            click.echo(f"{sample}  {window.frame:6d}  {100 * window.probability:5.1f}%  {window.label or '-'}")
    if as_json:
        click.echo(to_json(found))


def _ranked(results):
    """A line per sequence: the likeliest classes first."""
    rows = []
    for result in results:
        if result["label"] is None:
            rows.append((result["sample"], "- nobody was seen"))
            continue
        ranked = sorted(result["probabilities"].items(), key=lambda entry: -entry[1])[:ALTERNATIVES]
        rows.append((result["sample"], *(f"{name} {100 * probability:.1f}%" for name, probability in ranked)))
    return table(rows, indent="")


@options.command("predict")
@click.argument("model", type=options.MODEL)
@click.argument("inputs", type=options.Existing("path", stdin=True), nargs=-1, required=True, metavar="INPUT...")
@click.option("--stream", is_flag=True, help="A label for every window that slides over a recording.")
@click.option("--window", type=click.IntRange(1), metavar="FRAMES", help="With --stream (default: the model's).")
@click.option(
    "--stride", type=click.IntRange(1), metavar="FRAMES", help="With --stream (default: a quarter of the window)."
)
@click.option(
    "--smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    help="With --stream: weight of the windows before (default: 0.5).",
)
@options.image_size_option
@options.json_flag
def command(model, inputs, stream, as_json, image_size, **settings):
    """Name the action in each INPUT with MODEL, a run folder or .keras file.

    An INPUT is any file or folder that `skelmae convert` reads.

    With --stream an INPUT may be -: frames from the standard input, a JSON object of track id to joints per line.

    \b
    Example:
      skelmae predict runs/fine S001C001P001R001A001.skeleton
      skelmae predict runs/fine ntu60.h5 --json
      skelmae predict runs/fine S001C001P001R001A001.skeleton --stream --window 48 --stride 12
    """
    settings = {key: value for key, value in settings.items() if value is not None}
    if settings and not stream:
        raise click.UsageError(f"--{next(iter(settings))} belongs to --stream")
    from skelmae_datasets.readers.recordings import kind_of

    for path in inputs:
        if path != STDIN:
            kind_of(path)  # a DataError where it is none that is read
    if stream:
        _stream(model, inputs, as_json, image_size, **settings)
        return

    from keras_skelmae.evaluation import predict_files

    results = predict_files(model, inputs, image_size)
    echo(results, as_json, lambda: _ranked(results))
