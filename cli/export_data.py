"""`skelmae export-data`: a store as files that other programs read."""

import click

from . import options
from .printing import echo, progress, table


@options.command("export-data")
@click.argument("data", type=options.PATH, metavar="DATA.h5")
@click.argument("output", type=options.Named(), metavar="OUT.npz|OUT.csv|FOLDER")
@options.to_option
@options.split_option("train", "Becomes x_train, y_train of OUT.npz (default: all splits by their names).", False)
@options.split_option("test", "Becomes x_test, y_test of OUT.npz.", False)
@options.json_flag
def command(data, output, as_json, **chosen):
    """Write DATA, a store or what `skelmae convert` reads, in a form that other programs read. No pickle is written.

    .npz has arrays as of CTR-GCN, .csv a joint a line with its label and splits, a FOLDER one .json file a sequence;
    `skelmae convert` reads all of them back.

    \b
    Example:
      skelmae export-data own.h5 own.npz --train-split train --test-split test
      skelmae export-data own.h5 sequences
    """
    from skelmae_datasets import export_data

    with progress("Writing") as callback:
        report = export_data(data, output, progress=callback, **chosen)

    def told():
        lines = [f"{output}: {report['samples']} sequences", *(f"  {note}" for note in report["notes"])]
        return "\n".join([*lines, *([table(list(report["splits"].items()))] if "splits" in report else [])])

    echo({"output": str(output), **report}, as_json, told)
