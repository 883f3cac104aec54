"""`skelmae convert-pyskl`: an annotation pickle to one store."""

import click

from . import options
from .conversion import run_conversion


@options.command("convert-pyskl")
@click.argument("annotations", type=options.FILE, metavar="ANNOTATIONS.pkl")
@options.store_output
@options.layout_option("by joint count")
@options.classes_option
@click.option(
    "--kpfiles",
    type=options.FOLDER,
    metavar="FOLDER",
    help="The keypoint files of Kinetics, whose annotations are headers only.",
)
@options.people_option("the best first (default: all)")
@options.channels_option
@options.strict_flag
@options.force_flag
@options.json_flag
def command(annotations, output, kpfiles, as_json, **chosen):
    """Read a PYSKL annotation pickle into OUT.h5, with its splits.

    The pickle is opened by a restricted reader: it may hold arrays and plain containers, and can run no code.

    \b
    Example:
      skelmae convert-pyskl ntu60_hrnet.pkl ntu60_2d.h5 --layout coco17
    """
    run_conversion("convert_pyskl", annotations, output, as_json, kpfiles=kpfiles, **chosen)
