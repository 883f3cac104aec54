"""`skelmae convert-arrays`: the array files of CTR-GCN, MAMP, st-gcn and 2s-AGCN to one store."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import class_lines, echo_conversion, existing_path, json_flag, progress, require


@click.command("convert-arrays")
@click.argument("path", type=existing_path, metavar="FILE.npz|FILE.npy|FOLDER")
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT.h5")
@click.option("--layout", metavar="NAME|FILE.toml", help="Skeleton layout (default: by joint count).")
@click.option(
    "--classes",
    "classes_file",
    type=existing_path,
    metavar="FILE",
    help="Class names, one a line, in label order (default: NTU's for 60 or 120 classes, else numbers).",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad sample instead of leaving it out.")
@json_flag
@expected_errors
def command(
    path: Path, output: Path, layout: str | None, classes_file: Path | None, strict: bool, as_json: bool
):
    """Read array files into OUT.h5, without their padding.

    A CTR-GCN .npz (x_train, y_train, x_test, y_test), an st-gcn .npy with its label file beside it, or the folder of
    such train and val pairs.

    \b
    Example:
      skelmae convert-arrays NTU60_CS.npz ntu60.h5
    """
    require(path, "any")
    classes = class_lines(classes_file)

    from skelmae_datasets import convert_arrays

    with progress("Converting") as callback:
        report = convert_arrays(path, output, layout=layout, classes=classes, progress=callback, strict=strict)
    echo_conversion(report, output, as_json)
