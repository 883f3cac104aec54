"""`skelmae convert-ntu`: a folder of raw .skeleton text to one store."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_conversion, existing_path, json_flag, progress, require


@click.command("convert-ntu")
@click.argument("folder", type=existing_path)
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT.h5")
@click.option(
    "--joints",
    type=click.Choice(["all", "coco17"]),
    default="all",
    show_default=True,
    help="all: 25 joints in metres; coco17: 17 joints in pixels, as the paper's 2D input.",
)
@click.option(
    "--people",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Most people kept in a sequence, by motion.",
)
@click.option(
    "--denoise",
    type=click.Choice(["skelmae", "pyskl", "ctr-gcn", "none"]),
    default="skelmae",
    show_default=True,
    help="How the bodies of a file become people; pyskl and ctr-gcn follow these projects' scripts.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Reader processes.")
@click.option("--strict", is_flag=True, help="Stop at the first broken file instead of leaving it out.")
@click.option("--resume", is_flag=True, help="Continue a conversion that was killed.")
@json_flag
@expected_errors
def command(
    folder: Path, output: Path, joints: str, people: int, denoise: str, workers: int, strict: bool, resume: bool,
    as_json: bool,
):  # fmt: skip
    """Read every .skeleton file below FOLDER into OUT.h5.

    NTU RGB+D 60 and 120 get their official splits and class names; other recordings in the same format and
    file names get classes A001, A002, ... and are split with expressions such as subject=217.

    \b
    Example:
      skelmae convert-ntu nturgb+d_skeletons ntu60.h5 --workers 8
    """
    require(folder, "folder")

    from skelmae_datasets import convert_ntu

    with progress("Reading") as callback:
        report = convert_ntu(
            folder, output, joints=joints, people=people, workers=workers, progress=callback, strict=strict,
            denoise=denoise, resume=resume,
        )  # fmt: skip
    echo_conversion(report, output, as_json)
