"""`skelmae convert-csv`: a table of joints to one store."""

import click

from . import options
from .conversion import run_conversion


@options.command("convert-csv")
@click.argument("table", type=options.FILE, metavar="TABLE.csv")
@options.store_output
@options.layout_option("by the joints' names or number")
@options.classes_option
@options.set_option(
    "--columns", "renamed", metavar="COLUMN=HEADER", help="How the table calls a column; may be repeated."
)
@options.people_option("the best first (default: all)")
@click.option(
    "--step",
    type=options.FloatRange(0, min_open=True),
    metavar="N",
    help="How much the frame column grows from one frame to the next, such as 5 (default: found in the table).",
)
@options.strict_flag
@options.force_flag
@options.json_flag
def command(table, output, renamed, as_json, **chosen):
    """Read a table with one joint of one frame per line into OUT.h5.

    Columns: sample, frame, joint, x, y, and if you have them z, score, person, label, subject, camera, setup, split.
    Lines may stand in any order. A joint is named, or numbered from 0 or 1; an empty x or y says that it was not seen.
    x, y are pixels with y downwards, x, y, z metres.

    \b
    Example:
      skelmae convert-csv joints.csv own.h5 --layout own_layout.toml --columns sample=video --columns label=action
    """
    columns = {name.strip(): header for name, _, header in (text.partition("=") for text in renamed)}
    run_conversion("convert_csv", table, output, as_json, columns=columns, **chosen)
