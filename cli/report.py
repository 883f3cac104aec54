"""`skelmae report`: a run as one HTML page."""

import click

from . import options


@options.command("report")
@click.argument("runs", type=options.FOLDER, nargs=-1, required=True, metavar="RUN...")
@options.output_file("Page to write (default: report.html in the first run folder).")
def command(runs, output):
    """Write a page about run folders: curves, accuracy, embedding, reconstruction, settings, the command to repeat it.

    One file that opens from disk without a network. Several runs stand beside each other.

    \b
    Example:
      skelmae report runs/fine
      skelmae report runs/pretrained runs/random --output compared.html
    """
    from skelmae_datasets.runs.run_folder import read_metrics

    for run in runs:
        read_metrics(run)

    from keras_skelmae.report.page import write_report

    click.echo(str(write_report(runs, output)))
