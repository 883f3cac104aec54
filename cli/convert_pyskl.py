"""`skelmae convert-pyskl`: an annotation pickle to one store."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import class_lines, echo_conversion, existing_path, json_flag, progress, require


@click.command("convert-pyskl")
@click.argument("annotations", type=existing_path, metavar="ANNOTATIONS.pkl")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT.h5")
@click.option(
    "--layout",
    metavar="NAME|FILE.toml",
    help="Skeleton layout: coco17, ntu25, kinect20, ... or a file (default: by joint count).",
)
@click.option(
    "--classes",
    "classes_file",
    type=existing_path,
    metavar="FILE",
    help="Class names, one a line, in label order (default: from the annotations, or built in).",
)
@click.option(
    "--kpfiles",
    type=existing_path,
    metavar="FOLDER",
    help="The keypoint files of Kinetics, whose annotations are headers only.",
)
@click.option(
    "--people", type=click.IntRange(min=1), help="Most people kept in a sequence, the best scores first (default: all)."
)
@click.option("--strict", is_flag=True, help="Stop at the first broken annotation instead of leaving it out.")
@json_flag
@expected_errors
def command(
    annotations: Path,
    output: Path,
    layout: str | None,
    classes_file: Path | None,
    kpfiles: Path | None,
    people: int | None,
    strict: bool,
    as_json: bool,
):
    """Read a PYSKL annotation pickle into OUT.h5, with its splits.

    The pickle is opened by a restricted reader: it may hold arrays and plain containers, and can run no code.

    \b
    Example:
      skelmae convert-pyskl ntu60_hrnet.pkl ntu60_2d.h5 --layout coco17
    """
    require(annotations)
    classes = class_lines(classes_file)
    if kpfiles is not None:
        require(kpfiles, "folder")

    from skelmae_datasets import convert_pyskl

    with progress("Converting") as callback:
        report = convert_pyskl(
            annotations, output, layout=layout, classes=classes, progress=callback, strict=strict, kpfiles=kpfiles,
            people=people,
        )  # fmt: skip
    echo_conversion(report, output, as_json)
