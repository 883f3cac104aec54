"""`skelmae convert-csv`: a table of joints to one store."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import class_lines, echo_conversion, existing_path, json_flag, progress, require, settings


@click.command("convert-csv")
@click.argument("table", type=existing_path, metavar="TABLE.csv")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT.h5")
@click.option("--layout", metavar="NAME|FILE.toml",
              help="Skeleton layout, built in or your own (default: by the joints' names or number).")  # fmt: skip
@click.option("--classes", "classes_file", type=existing_path, metavar="FILE",
              help="Class names, one a line, in label order (default: those in the table, sorted).")  # fmt: skip
@click.option("--columns", "renamed", multiple=True, metavar="COLUMN=HEADER", callback=settings,
              help="How the table calls a column, e.g. sample=video; may be repeated.")  # fmt: skip
@click.option("--people", type=click.IntRange(min=1),
              help="Most people kept in a sequence, those in most frames first (default: all).")  # fmt: skip
@click.option("--strict", is_flag=True, help="Stop at the first bad sample instead of leaving it out.")
@json_flag
@expected_errors
def command(table: Path, output: Path, layout: str | None, classes_file: Path | None, renamed: tuple[str, ...],
            people: int | None, strict: bool, as_json: bool):  # fmt: skip
    """Read a table with one joint of one frame a line into OUT.h5.

    Columns: sample, frame, joint, x, y, and if you have them z, score, person, label, subject, camera, setup, split.
    A joint is named, or numbered from 0; an empty x or y says that it was not seen. x, y are pixels with y downwards,
    x, y, z metres.

    \b
    Example:
      skelmae convert-csv joints.csv own.h5 --layout own_layout.toml --columns sample=video --columns label=action
    """
    require(table)
    classes = class_lines(classes_file)
    columns = {name.strip(): header for name, _, header in (text.partition("=") for text in renamed)}
    if layout is not None and layout.endswith(".toml"):
        require(Path(layout))

    from skelmae_datasets import convert_csv

    with progress("Converting") as callback:
        report = convert_csv(table, output, layout=layout, classes=classes, progress=callback, strict=strict,
                             people=people, columns=columns)  # fmt: skip
    echo_conversion(report, output, as_json)
