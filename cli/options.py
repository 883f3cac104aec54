"""Options that several commands share, and the helpers that go with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

RECIPES = ("small", "paper")
SHOWN_SKIPPED = 10

existing_path = click.Path(path_type=Path)
"""A path that the command itself opens: a missing file is bad data (exit 1), not bad usage (exit 2)."""


def require(path: Path, kind: str = "file") -> Path:
    """`path` if it exists (`kind` "file", "folder" or "any"), else an OSError that names it.

    Raises:
        FileNotFoundError, NotADirectoryError, IsADirectoryError.
    """
    if not path.exists():
        raise FileNotFoundError(
            2, "no such file or folder" if kind == "any" else f"no such {kind}", str(path)
        )
    if kind == "folder" and not path.is_dir():
        raise NotADirectoryError(20, "expected a folder, found a file", str(path))
    if kind == "file" and path.is_dir():
        raise IsADirectoryError(21, "expected a file, found a folder", str(path))
    return path


def settings(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Callback of an option: every value must be KEY=VALUE."""
    for value in values:
        key, equals, _ = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"expected key=value, found {value!r}", context, parameter)
    return values


def numbers(kind: type) -> Callable:
    """Callback of an option: "0,1,2" as a tuple of `kind`; None where it is not given and has no default."""

    def parse(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple | None:
        if text is None:
            return None
        try:
            return tuple(kind(part) for part in text.split(","))
        except ValueError:
            raise click.BadParameter(f"expected numbers with commas between them, found {text!r}") from None

    return parse


def training_options(function: Callable) -> Callable:
    """--recipe --config --set --epochs --batch-size --seed; --set arrives as `overrides`."""
    for option in (
        click.option(
            "--seed", type=click.IntRange(min=0), help="Seed of the weights, order, masks and noise."
        ),
        click.option("--batch-size", type=click.IntRange(min=1), help="Sequences in a batch."),
        click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training split."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            callback=settings,
            help="Change one setting of the recipe; may be repeated.",
        ),
        click.option(
            "--config",
            "config_file",
            type=existing_path,
            metavar="FILE.toml",
            help="Settings read from a file; the config.toml of a run repeats that run.",
        ),
        click.option(
            "--recipe",
            type=click.Choice(RECIPES),
            default="small",
            show_default=True,
            help="Settings to start from: the paper's schedule, or one for hundreds of sequences.",
        ),
    ):
        function = option(function)
    return function


def seen_options(function: Callable) -> Callable:
    """--report/--no-report and --tensorboard."""
    function = click.option("--tensorboard", is_flag=True, help="Write TensorBoard logs to RUN/tensorboard.")(function)
    return report_flag(function)


report_flag = click.option(
    "--report/--no-report", default=True, show_default=True, help="Write RUN/report.html, and the figures it shows."
)


def resume_options(function: Callable) -> Callable:
    """--resume --force --checkpoint-minutes; the last arrives as `minutes`."""
    for option in (
        click.option(
            "--checkpoint-minutes",
            "minutes",
            type=click.FloatRange(min=0),
            metavar="N",
            help="Longest time between two checkpoints (default: 10); there is one after each epoch anyway.",
        ),
        click.option("--force", is_flag=True, help="With --resume: although the data are other ones now."),
        click.option(
            "--resume",
            is_flag=True,
            help="Go on with the unfinished run in RUN, from its last checkpoint, with its settings.",
        ),
    ):
        function = option(function)
    return function


def run_config(stage: str, output: Path, resume: bool, recipe: str, config_file: Path | None, overrides, **given):
    """The Config of a training; with --resume that of the run, unless --config or --recipe were given."""
    from keras_skelmae.training.config import resolve_config

    source = click.get_current_context().get_parameter_source("recipe")
    own = output / "config.toml"
    if resume and config_file is None and source is click.core.ParameterSource.DEFAULT and own.is_file():
        config_file = own
    return resolve_config(stage, recipe=recipe, config_file=config_file, overrides=overrides, **explicit(**given))


def training_callbacks(output: Path, tensorboard: bool) -> dict:
    """What --tensorboard adds to a training: {"callbacks": [...]}, or nothing."""
    if not tensorboard:
        return {}
    from keras_skelmae.training.progress import tensorboard as logs

    return {"callbacks": [logs(output / "tensorboard")]}


def report_training(output: Path, store, stage: str) -> None:
    """Write RUN/report.html after a training; `stage` is "pretrained" or "finetuned".

    What the model itself has to be asked for is left out on several devices: other processes would not take part.
    """
    from keras_skelmae.report import evidence
    from keras_skelmae.report.page import write_report
    from keras_skelmae.training.devices import device_count

    if device_count() == 1:
        getattr(evidence, f"measure_{stage}")(output, store)
    write_report([output])


def open_data(paths: tuple[Path, ...], labelled: bool = True):
    """The store of these paths; several are read as one, of a folder all its .h5 files.

    Without `labelled` they may be of different classes.
    """
    import skelmae_datasets

    files = [file for path in paths for file in (sorted(path.glob("*.h5")) if path.is_dir() else [path])]
    if not files:
        raise FileNotFoundError(2, "no .h5 file in this folder", str(paths[0]))
    if len(files) == 1:
        return skelmae_datasets.SkeletonStore(files[0])
    return skelmae_datasets.StoreSet(files, labelled)


device_option = click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Devices that share each batch; JAX only. For several processes see docs/backends.md.",
)


def precision_options(function: Callable) -> Callable:
    """--mixed-precision, which arrives as `precision`, and --jit."""

    def policy(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        return value and f"mixed_{value}"

    for option in (
        click.option(
            "--jit",
            type=click.Choice(["auto", "on", "off"]),
            help="Compile the training step with XLA or torch.compile (default: where Keras does).",
        ),
        click.option(
            "--mixed-precision",
            "precision",
            type=click.Choice(["float16", "bfloat16"]),
            callback=policy,
            help="Compute in this; weights, losses and the saved model stay float32.",
        ),
    ):
        function = option(function)
    return function


def explicit(**values) -> dict:
    """Only the options that were given: the recipe or the file decides about the others."""
    return {key: value for key, value in values.items() if value is not None}


json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def json_file(function: Callable) -> Callable:
    """--json OUT.json, `-` for the standard output."""
    return click.option(
        "--json",
        "json_path",
        type=click.Path(dir_okay=False),
        metavar="OUT.json",
        help="Write all figures to this file as JSON; - prints them.",
    )(function)


def echo_json(value) -> None:
    """Print `value` as indented JSON (paths and NumPy numbers become plain ones)."""
    click.echo(to_json(value))


def to_json(value) -> str:
    """`value` as indented JSON, keys in their order, not-a-number as null."""

    def plain(item):
        if isinstance(item, dict):
            return {str(key): plain(entry) for key, entry in item.items()}
        if isinstance(item, (list, tuple, set)):
            return [plain(entry) for entry in item]
        if hasattr(item, "tolist"):
            return plain(item.tolist())
        if isinstance(item, float) and not (abs(item) < float("inf")):
            return None
        return item if isinstance(item, (str, int, float, bool, type(None))) else str(item)

    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def table(rows: list[tuple], indent: str = "  ") -> str:
    """Rows of cells as aligned text; numbers stand at the right of their column."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [
        max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells), default=0))
    ]
    lines = []
    for row, texts in zip(rows, cells, strict=True):
        line = [
            text.rjust(width) if isinstance(cell, (int, float)) else text.ljust(width)
            for cell, text, width in zip(row, texts, widths, strict=False)
        ]
        lines.append((indent + "  ".join(line)).rstrip())
    return "\n".join(lines)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A callback (done, total) that draws a bar on standard error; None where that is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = None

    def advance(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = click.progressbar(length=total, label=label, file=sys.stderr)
            bar.__enter__()
        bar.update(done - bar.pos)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


def class_lines(path: Path | None) -> list[str] | None:
    """The names in a file, one a line; None without a file.

    Raises:
        ValueError: the file has none. OSError: it cannot be read.
    """
    if path is None:
        return None
    lines = require(path).read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError(f"{path}: expected class names, one a line, found none")
    return names


def echo_conversion(report: dict, output: Path, as_json: bool) -> None:
    """Say what a conversion wrote, what it left out and why."""
    if as_json:
        echo_json({"output": str(output), **report})
        return
    click.echo(f"{output}: {report['samples']} sequences")
    splits = report.get("splits") or {}
    if splits:
        rows = [(name, count if isinstance(count, int) else len(count)) for name, count in splits.items()]
        click.echo(table(rows))
    if report.get("partial"):
        click.echo("  a part of the benchmark: compare its figures with no published ones")
    for name, entry in (report.get("counts") or {}).items():
        if entry["found"] != entry["expected"]:
            click.echo(f"    {name}: {entry['found']} of {entry['expected']}")
    for key, text in (
        ("missing_listed", "files of the benchmark's own missing-skeleton list left out"),
        ("split_missing", "ids named by a split and not among the annotations"),
        ("resumed", "files taken over from the conversion that was interrupted"),
        ("crowded", "sequences with more than two people, the best scores first"),
        ("copied", "sequences whose second person only repeated the first"),
    ):
        count = report.get(key) or 0
        if isinstance(count, dict):
            count = sum(count.values())
        count = count if isinstance(count, int) else len(count)
        if count:
            click.echo(f"  {count} {text}")
    dropped = report.get("dropped") or []
    if dropped:
        click.echo(f"  {len(dropped)} tracks of {len({entry[0] for entry in dropped})} sequences are no person:")
        for name, body, frames, reason in dropped[:SHOWN_SKIPPED]:
            click.echo(f"    {name}: body {body} ({frames} frames): {reason}")
        if len(dropped) > SHOWN_SKIPPED:
            click.echo(f"    ... and {len(dropped) - SHOWN_SKIPPED} more (--json lists all)")
    skipped = report.get("skipped") or []
    if skipped:
        click.echo(f"  {len(skipped)} left out:")
        for name, reason in skipped[:SHOWN_SKIPPED]:
            click.echo(f"    {reason if str(name) in str(reason) else f'{name}: {reason}'}")
        if len(skipped) > SHOWN_SKIPPED:
            click.echo(f"    ... and {len(skipped) - SHOWN_SKIPPED} more (--json lists all)")
