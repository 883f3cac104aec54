"""`skelmae convert-pyskl`: an annotation pickle to one store."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_conversion, existing_path, json_flag, progress, require


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
@click.option("--strict", is_flag=True, help="Stop at the first broken annotation instead of leaving it out.")
@json_flag
@expected_errors
def command(
    annotations: Path,
    output: Path,
    layout: str | None,
    classes_file: Path | None,
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
    classes = None
    if classes_file is not None:
        lines = require(classes_file).read_text(encoding="utf-8").splitlines()
        classes = [line.strip() for line in lines if line.strip()]
        if not classes:
            raise ValueError(f"{classes_file}: expected class names, one a line, found none")

    from skelmae_datasets import convert_pyskl

    with progress("Converting") as callback:
        report = convert_pyskl(
            annotations, output, layout=layout, classes=classes, progress=callback, strict=strict
        )
    echo_conversion(report, output, as_json)
