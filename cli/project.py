"""`skelmae project`: 3D recordings as virtual cameras see them, to one store."""

import click

from . import options
from .conversion import run_conversion


@options.command("project")
@click.argument("data", type=options.PATH, metavar="DATA.h5|MOCAP.npz|...")
@options.store_output
@click.option("--views", type=click.IntRange(1), default=1, metavar="N", help="Views of each sequence.")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="S", help="Seed of cameras and errors.")
@click.option(
    "--dims",
    type=click.Choice(["2", "3"]),
    default="2",
    callback=lambda _context, _parameter, value: int(value),
    help="2: x, y in pixels and score, as of a pose estimator; 3: x, y, z in metres, as of a depth sensor.",
)
@options.layout_option("that of DATA")
@click.option("--clean", is_flag=True, help="Without the errors of an estimator or sensor.")
@options.strict_flag
@options.force_flag
@options.json_flag
def command(data, output, as_json, **chosen):
    """Write what cameras at random places see of the 3D recordings in DATA to OUT.h5, with labels and splits.

    DATA is a store, motion capture (.npz with root, rel, start and joints) or anything else that is read, with x, y, z
    in metres and y up. With --layout joints are taken by their names, and what DATA has not got stays absent.

    \b
    Example:
      skelmae project mocap.npz mocap2d.h5 --views 4 --seed 0 --layout coco17
    """
    run_conversion("project_recordings", data, output, as_json, **chosen)
