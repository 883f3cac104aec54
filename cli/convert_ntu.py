"""`skelmae convert-ntu`: a folder of raw .skeleton text to one store."""

import click

from . import options
from .conversion import run_conversion


@options.command("convert-ntu", goes_on=options.RESUME)
@click.argument("folder", type=options.FOLDER)
@options.store_output
@click.option(
    "--joints",
    type=click.Choice(["all", "coco17"]),
    default="all",
    help="all: 25 joints in metres; coco17: 17 joints in pixels, as the paper's 2D input.",
)
@options.people_option("by motion", default=2)
@click.option(
    "--denoise",
    type=click.Choice(["skelmae", "pyskl", "ctr-gcn", "none"]),
    default="skelmae",
    help="How the bodies of a file become people; pyskl and ctr-gcn follow these projects' scripts.",
)
@click.option("--workers", type=click.IntRange(1), default=1, help="Reader processes.")
@options.strict_flag
@options.force_flag
@click.option("--resume", is_flag=True, help="Continue a conversion that was killed.")
@options.json_flag
def command(folder, output, as_json, **chosen):
    """Read every .skeleton file below FOLDER into OUT.h5.

    NTU RGB+D 60 and 120 get their official splits and class names; other recordings in the same format and
    file names get classes A001, A002, ... and are split with expressions such as subject=217.

    \b
    Example:
      skelmae convert-ntu nturgb+d_skeletons ntu60.h5 --workers 8
    """
    run_conversion("convert_ntu", folder, output, as_json, **chosen)
