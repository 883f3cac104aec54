"""`skelmae predict`: the action in recordings."""

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from . import options
from .answers import told
from .printing import echo, progress, to_json

STDIN = Path("-")


def _windows(model, inputs, stores, fps=None, **settings):
    """(input, sample, WindowLabel) of every window of the inputs."""
    from keras_skelmae.evaluation import StreamingPredictor, load_classifier
    from keras_skelmae.evaluation.known import load_known
    from keras_skelmae.evaluation.streaming import stream_lines, stream_recording
    from keras_skelmae.evaluation.windows import MIN_PROBABILITY, frame_rate

    rates = {path: frame_rate(store, fps) for path, store in stores.items()}
    loaded = load_classifier(model)
    settings = {"min_probability": MIN_PROBABILITY, "known": load_known(model, loaded)} | settings
    for path in inputs:
        predictor = StreamingPredictor(loaded, fps=rates.get(path, fps), **settings)
        if path == STDIN:
            yield from ((path, "-", window) for window in stream_lines(predictor, sys.stdin.buffer))
            continue
        for index, sample in enumerate(stores[path].ids):
            recording = stores[path].read(index), stores[path].image_size[index]
            yield from ((path, sample, window) for window in stream_recording(predictor, *recording))


def _say(line):
    """A line beside the result."""
    if line:
        click.echo(line, err=True)


def _stream(model, inputs, stores, as_json, settings):
    """A line per window: sample, last frame, label, probability."""
    found = []
    try:
        for path, sample, window in _windows(model, inputs, stores, **settings):
            if as_json:
                named = {key: getattr(window, key) for key in ("frame", "label", "probability")}
                found.append({"input": path, "sample": sample, **named})
            else:
                click.echo(f"{sample}  {window.frame:6d}  {100 * window.probability:5.1f}%  {window.label or '-'}")
    finally:  # Ctrl-C, or a line that is no frame, does not take what was found before it
        if found:
            click.echo(to_json(found))
    if as_json and not found:
        click.echo(to_json(found))


def _write(output, results):
    """Write timelines to a file by its suffix."""
    from skelmae_datasets.timelines import write_timelines

    timelines = [result for result in results if not isinstance(result, dict)]
    if not timelines:
        raise ValueError(f"{output}: expected a recording clearly longer than the clips trained on, or a --window")
    if output.suffix.lower() == ".svg":
        from keras_skelmae.report.timeline_figure import timeline_svg
        from skelmae_datasets.files import write_text

        write_text(output, timeline_svg(timelines))
    else:
        write_timelines(output, timelines)


@options.command("predict")
@click.argument("model", type=options.MODEL)
@click.argument("inputs", type=options.Existing("path", stdin=True), nargs=-1, required=True, metavar="INPUT...")
@click.option("--whole", is_flag=True, help="One label for each recording, however long it is.")
@click.option("--stream", is_flag=True, help="A label for every window that slides over a recording, as it comes.")
@click.option(
    "--window",
    type=click.IntRange(1),
    metavar="FRAMES",
    help="Length of a window (default: as long as the clips trained on, by the median). What is longer is cut.",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    metavar="FRAMES",
    help="From one window to the next (default: a quarter of the window).",
)
@click.option(
    "--smoothing", type=options.FloatRange(0, 1, max_open=True), help="Weight of the windows before (default: 0.3)."
)
@click.option(
    "--min-probability",
    type=options.FloatRange(0, 1),
    help="Nothing is known of a window whose label is less probable (default: 0.6).",
)
@click.option(
    "--together/--each",
    default=None,
    help="All people of a recording as one clip, or a timeline for each (default: as most clips trained on).",
)
@click.option(
    "--fps",
    type=options.FloatRange(0, min_open=True),
    help="Frames per second, where the recording does not say; another rate than it says is refused.",
)
@options.output_file("Write the timelines to this .json, .csv, .vtt (subtitles), .eaf (ELAN) or .svg.")
@options.image_size_option
@options.axes_options
@options.to_option
@options.json_flag
def command(model, inputs, whole, stream, together, output, as_json, image_size, unit, up, to, **settings):
    """Name the action in each INPUT with MODEL, a run folder or .keras file.

    An INPUT is any file or folder that `skelmae convert` reads. One that is clearly longer than the clips MODEL was
    trained on is cut into windows that overlap and gets a timeline: who did what from when to when, and where nothing
    is known or nobody was seen.

    Beside a known.npz, as finetune writes it, MODEL also tells a clip that is like none it was trained on: "nothing
    known", with the nearest class (docs/trust.md).

    With --to joints are taken by their names, so that data of one estimator can use a model of another.

    With --stream an INPUT may be -: frames from the standard input, a JSON object of track id to joints per line, as
    MODEL takes them.

    \b
    Example:
      skelmae predict runs/fine S001C001P001R001A001.skeleton
      skelmae predict runs/fine hour.h5 --output hour.eaf
      skelmae predict runs/fine S001C001P001R001A001.skeleton --stream --window 48 --stride 12
    """
    settings = {key: value for key, value in settings.items() if value is not None}
    reading = {"image_size": image_size, "unit": unit, "up": up, "to": to}
    if whole:
        _refuse(settings | {"stream": stream or None, "output": output, "together": together}, "--whole")
    if stream:
        _refuse({"output": output, "together": together}, "--stream")
        _refuse({"fps": settings.get("fps")} if "window" in settings else {}, "--stream and --window")
        _refuse(reading if STDIN in inputs else {}, "frames from the standard input (-)")
    elif STDIN in inputs:
        raise click.UsageError("frames from the standard input (-) take --stream")
    from skelmae_datasets.runs.model_inputs import open_inputs
    from skelmae_datasets.runs.saved_model import read_classifier
    from skelmae_datasets.timelines import check_suffix

    if output is not None:
        options.FOLDER.check(output.absolute().parent)
        check_suffix(output, more=(".svg",))
    saved, files = read_classifier(model), [path for path in inputs if path != STDIN]
    with ExitStack() as stack:
        opened = list(open_inputs(stack, saved.preprocessor, files, _say, **reading))
        _say(saved.doubts and f"{model}: {saved.doubts}")
        if stream:
            _stream(model, inputs, dict(opened), as_json, settings)
            return
        from keras_skelmae.evaluation import predict_opened, predict_opened_recordings

        if whole:
            results = predict_opened(model, opened)
        else:
            with progress("Predicting") as callback:
                results = predict_opened_recordings(model, opened, callback, together=together, **settings)
    echo([r if isinstance(r, dict) else r.to_dict() for r in results], as_json, lambda: told(results))
    if output is not None:  # after they are told: they are not lost where they cannot be written
        _write(output, results)


def _refuse(given, option):
    """A usage error where something is given that has no effect beside an option."""
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} has no effect with {option}")
