"""`skelmae convert-arrays`: the array files of CTR-GCN, MAMP, st-gcn and 2s-AGCN to one store."""

import click

from . import options
from .conversion import run_conversion


@options.command("convert-arrays")
@click.argument("path", type=options.PATH, metavar="FILE.npz|FILE.npy|FOLDER")
@options.store_output
@options.layout_option("by joint count")
@options.classes_option
@options.channels_option
@options.strict_flag
@options.force_flag
@options.json_flag
def command(path, output, as_json, **chosen):
    """Read array files into OUT.h5, without their padding.

    A CTR-GCN .npz (x_train, y_train, x_test, y_test), or one of your own with --layout; an st-gcn .npy with its label
    file beside it, or the folder of such train and val pairs.

    \b
    Example:
      skelmae convert-arrays NTU60_CS.npz ntu60.h5
    """
    run_conversion("convert_arrays", path, output, as_json, **chosen)
