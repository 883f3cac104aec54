"""`skelmae reconstruct`: masked body parts beside their reconstruction."""

import click

from . import options
from .printing import echo, table


def _summary(found, output):
    """The errors of the masked joints beside those of the mean pose."""
    units = "px" if found.units == "pixels" else "m"
    rows = [("joint", "part", f"error {units}", f"mean pose {units}", "error", "mean pose")]
    for entry in (*found.joints, {"joint": "all masked", "part": "", **found.total}):
        figures = (entry[key] for key in ("error_units", "mean_pose_units", "error", "mean_pose"))
        rows.append((entry["joint"], entry["part"], *("-" if value is None else f"{value:.4g}" for value in figures)))
    lines = [f"{output}: {found.sample}, masked: {', '.join(found.parts)}", table(rows)]
    if found.compared.get("error") is not None:
        error, mean_pose = (f"{found.compared[key]:.4g}" for key in ("error", "mean_pose"))
        others = f"{found.compared['sequences']} other held-out sequences"
        lines.append(f"  {others}: error {error}, mean pose {mean_pose}")
    return "\n".join([*lines, f"  {found.readout}"])


@options.command("reconstruct")
@click.argument("encoder", type=options.MODEL, metavar="RUN")
@options.data_argument
@click.option("--parts", metavar="PART,PART", help="Body parts to mask (default: right_arm,right_leg, or the last).")
@click.option("--sample", metavar="ID", help="Which sequence (default: the first that was not trained on).")
@options.output_file("Picture to write, .png or .svg.", default="reconstruction.png")
@click.option("--frames", type=click.IntRange(1, 16), default=6, metavar="N", help="Columns.")
@click.option(
    "--fit-split",
    metavar="NAME",
    help="Sequences that the mean pose, and a read-out where one is needed, come from "
    "(default: the run's training split).",
)
@click.option(
    "--readout",
    type=click.Choice(["auto", "own", "ridge"]),
    default="auto",
    help="own: the model's answer, where it reconstructs coordinates. ridge: a regression on its features. "
    "auto: own where the decoder can know the masked joints.",
)
@options.json_flag
def command(encoder, data, parts, sample, output, frames, fit_split, readout, as_json):
    """Mask body parts of a sequence and draw input, masked and reconstructed skeletons in rows.

    RUN is the folder of a pre-training run. The error of every masked joint is printed beside that of the mean pose.
    Where the model's answer are not positions, they are read out by a ridge regression; the caption says so.

    \b
    Example:
      skelmae reconstruct runs/pre jhmdb.h5 --parts right_arm,right_leg
    """
    if output.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"{output}: suffix: expected .png or .svg, found {output.suffix or 'none'}")

    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.pictures.figures import save_figure
    from skelmae_datasets.runs.saved_model import read_saved
    from skelmae_datasets.runs.splits import sample_index, training_split
    from skelmae_datasets.transforms.masking import default_parts, part_mask

    with SkeletonStore(data) as store:
        saved = read_saved(encoder)
        saved.expect(["SkeletonMAE"], "a masked autoencoder of one person")
        saved.preprocessor.check(store, encoder)
        names = tuple(name.strip() for name in parts.split(",")) if parts else default_parts(store.layout)
        part_mask(store.layout, names)
        split = fit_split or training_split(encoder, store)
        store.select(split)
        if sample is not None:
            sample_index(store, sample)

        from keras_skelmae.report.reconstruction import reconstruct
        from keras_skelmae.report.reconstruction_figure import reconstruction_figure

        found = reconstruct(encoder, store, names, sample, split, readout)
    save_figure(reconstruction_figure(found, frames), output)
    echo({"output": output, **found.to_dict()}, as_json, lambda: _summary(found, output))
