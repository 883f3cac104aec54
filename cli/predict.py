"""`skelmae predict`: the action in recordings."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, json_flag, require, table

ALTERNATIVES = 3
STDIN = Path("-")


def _stream(model: Path, inputs: tuple[Path, ...], as_json: bool, **settings) -> None:
    """A line a window: sample, last frame, label, probability."""
    from keras_skelmae.streaming import StreamingPredictor, stream_lines, stream_recording
    from keras_skelmae.training.evaluation import read_samples

    predictor = StreamingPredictor(model, **settings)

    def windows():
        for path in inputs:
            if path == STDIN:
                yield from ((path, "-", window) for window in stream_lines(predictor, click.get_text_stream("stdin")))
                continue
            for sample in read_samples(path, predictor.model):
                yield from ((path, sample.id, window) for window in stream_recording(predictor, sample.keypoints))

    found = []
    for path, sample, window in windows():
        if as_json:
            found.append({"input": str(path), "sample": sample, "frame": window.frame,
                          "label": window.label, "probability": window.probability})  # fmt: skip
        else:
            click.echo(f"{sample}  {window.frame:6d}  {100 * window.probability:5.1f}%  {window.label or '-'}")
    if as_json:
        echo_json(found)


@click.command("predict")
@click.argument("model", type=existing_path)
@click.argument("inputs", type=existing_path, nargs=-1, required=True, metavar="INPUT...")
@click.option("--stream", is_flag=True, help="A label for every window that slides over a recording.")
@click.option("--window", type=click.IntRange(min=1), metavar="FRAMES", help="With --stream (default: the model's).")
@click.option(
    "--stride", type=click.IntRange(min=1), metavar="FRAMES", help="With --stream (default: a quarter of the window)."
)
@click.option(
    "--smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    help="With --stream: weight of the windows before (default: 0.5).",
)
@json_flag
@expected_errors
def command(
    model: Path,
    inputs: tuple[Path, ...],
    stream: bool,
    window: int | None,
    stride: int | None,
    smoothing: float | None,
    as_json: bool,
):
    """Name the action in each INPUT (.skeleton, .pkl, .csv or .h5) with MODEL, a run folder or .keras file.

    With --stream an INPUT may be -: frames from the standard input, a JSON object of track id to joints a line.

    \b
    Example:
      skelmae predict runs/fine S001C001P001R001A001.skeleton
      skelmae predict runs/fine ntu60.h5 --json
      skelmae predict runs/fine S001C001P001R001A001.skeleton --stream --window 48 --stride 12
    """
    settings = {"window": window, "stride": stride, "smoothing": smoothing}
    settings = {key: value for key, value in settings.items() if value is not None}
    if settings and not stream:
        raise click.UsageError(f"--{next(iter(settings))} belongs to --stream")
    require(model, "any")
    for path in inputs:
        if not (stream and path == STDIN):
            require(path)
    if stream:
        _stream(model, inputs, as_json, **settings)
        return

    from keras_skelmae.training import predict_files

    results = predict_files(model, list(inputs))
    if as_json:
        echo_json(results)
        return
    rows = []
    for result in results:
        ranked = sorted(result["probabilities"].items(), key=lambda entry: -entry[1])[:ALTERNATIVES]
        rows.append((result["sample"], *(f"{name} {100 * probability:.1f}%" for name, probability in ranked)))
    click.echo(table(rows, indent=""))
