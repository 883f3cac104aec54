"""`skelmae report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import existing_path, require


@click.command("report")
@click.argument("runs", type=existing_path, nargs=-1, required=True, metavar="RUN...")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Page to write (default: report.html in the first run folder).")  # fmt: skip
@expected_errors
def command(runs: tuple[Path, ...], output: Path | None):
    """Write a page about run folders: curves, accuracy, embedding, reconstruction, settings, the command to repeat it.

    One file that opens from disk without a network. Several runs stand beside each other.

    \b
    Example:
      skelmae report runs/fine
      skelmae report runs/pretrained runs/random --output compared.html
    """
    for run in runs:
        require(run, "folder")

    from keras_skelmae.report.page import write_report

    click.echo(str(write_report(runs, output)))
