"""`skelmae reconstruct`: masked body parts beside their reconstruction."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, json_flag, require, table


@click.command("reconstruct")
@click.argument("encoder", type=existing_path, metavar="ENCODER_RUN")
@click.argument("data", type=existing_path, metavar="DATA.h5")
@click.option("--parts", metavar="PART,PART", help="Body parts to mask (default: right_arm,right_leg, or the last).")
@click.option("--sample", metavar="ID", help="Which sequence (default: the first that was not trained on).")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), default="reconstruction.png",
              show_default=True, metavar="FILE", help="Picture to write, .png or .svg.")  # fmt: skip
@click.option("--frames", type=click.IntRange(1, 16), default=6, show_default=True, metavar="N", help="Columns.")
@click.option("--fit-split", metavar="NAME",
              help="Sequences that the mean pose, and a read-out where one is needed, come from "
              "(default: the run's training split).")  # fmt: skip
@click.option("--readout", type=click.Choice(["auto", "own", "ridge"]), default="auto", show_default=True,
              help="own: the model's answer, where it reconstructs coordinates. ridge: a regression on its features. "
              "auto: own where the decoder can know the masked joints.")  # fmt: skip
@json_flag
@expected_errors
def command(encoder: Path, data: Path, parts: str | None, sample: str | None, output: Path, frames: int,
            fit_split: str | None, readout: str, as_json: bool):  # fmt: skip
    """Mask body parts of a sequence and draw input, masked and reconstructed skeletons in rows.

    ENCODER_RUN is the folder of a pre-training run. The error of every masked joint is printed beside that of the mean
    pose. Where the model's answer are not positions, they are read out by a ridge regression; the caption says so.

    \b
    Example:
      skelmae reconstruct runs/pre jhmdb.h5 --parts right_arm,right_leg
    """
    require(encoder, "any")
    require(data)
    if output.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{output}: suffix: expected .png or .svg, found {output.suffix or 'none'}")

    from keras_skelmae.report.evidence import default_parts, training_split
    from keras_skelmae.report.figures import save_figure
    from keras_skelmae.report.reconstruction import reconstruct
    from keras_skelmae.report.reconstruction_figure import reconstruction_figure
    from skelmae_datasets import SkeletonStore

    with SkeletonStore(data) as store:
        names = tuple(name.strip() for name in parts.split(",")) if parts else default_parts(store.layout)
        split = fit_split or training_split(encoder, store)
        found = reconstruct(encoder, store, names, sample, split, readout)
    save_figure(reconstruction_figure(found, frames), output)
    if as_json:
        echo_json({"output": str(output), **found.to_dict()})
        return
    units = "px" if found.units == "pixels" else "m"
    rows = [("joint", "part", f"error {units}", f"mean pose {units}", "error", "mean pose")]
    for entry in (*found.joints, {"joint": "all masked", "part": "", **found.total}):
        figures = (entry[key] for key in ("error_units", "mean_pose_units", "error", "mean_pose"))
        rows.append((entry["joint"], entry["part"], *("-" if value is None else f"{value:.4g}" for value in figures)))
    click.echo(f"{output}: {found.sample}, masked: {', '.join(found.parts)}")
    click.echo(table(rows))
    if found.compared.get("error") is not None:
        click.echo(f"  {found.compared['sequences']} other held-out sequences: error {found.compared['error']:.4g}, "
                   f"mean pose {found.compared['mean_pose']:.4g}")  # fmt: skip
    click.echo(f"  {found.readout}")
