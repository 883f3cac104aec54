"""`skelmae serve`: a page to try a classifier on."""

import click

from . import options


@options.command("serve")
@click.argument("model", type=options.MODEL)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Of the loopback address; 0: one that is free.",
    metavar="N",
)
def command(model, port):
    """Serve a page on this machine on which recordings are dropped: the skeleton moves, with its label over time.

    MODEL is a run folder or a .keras file. Whatever `skelmae predict` reads will do, a file, a folder or the files of
    one, up to 50 MB. The page is for this machine alone and sends nothing anywhere else; Ctrl-C ends it.

    \b
    Example:
      skelmae serve runs/fine
    """
    from skelmae_datasets.runs.saved_model import read_classifier

    read_classifier(model)

    from keras_skelmae.report.try_page import Server

    with Server(model, port) as server:
        click.echo(f"{server.url}  drop a recording on the page; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("ended")
