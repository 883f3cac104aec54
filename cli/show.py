"""`skelmae show`: a sequence as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import existing_path, require


@click.command("show")
@click.argument("source", type=existing_path, metavar="INPUT")
@click.option("--sample", metavar="ID", help="Which sequence (default: the first).")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help=".png or .svg: a strip; .gif or .mp4: an animation, .mp4 where ffmpeg is installed "
              "(default: the sequence's id with .png).")  # fmt: skip
@click.option("--frames", type=click.IntRange(min=1), metavar="N",
              help="Most frames shown, evenly spaced (default: 8 in a strip, 120 in an animation).")  # fmt: skip
@click.option("--names", is_flag=True, help="Write the joints' names.")
@click.option("--layout", metavar="NAME|FILE.toml", help="Skeleton layout (default: the file's, or by joint count).")
@click.option("--rate", type=click.IntRange(1, 60), default=15, show_default=True, help="Animation: frames a second.")
@expected_errors
def command(source: Path, sample: str | None, output: Path | None, frames: int | None, names: bool,
            layout: str | None, rate: int):  # fmt: skip
    """Draw a sequence of INPUT (.skeleton, .pkl, .npz, .npy, .csv or .h5), bones coloured by body part.

    Joints of low confidence are faint, absent ones are left out, the second person is dashed. 3D sequences are seen
    along the horizon.

    \b
    Example:
      skelmae show jhmdb.h5 --output strip.png
      skelmae show S001C001P001R001A050.skeleton --output handshake.gif --names
    """
    require(source)

    from keras_skelmae.report.figures import show_sequence
    from skelmae_datasets import read_sequence

    sequence = read_sequence(source, sample, layout)
    if output is None:
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in sequence.sample.id)[:120]
        output = Path(f"{safe.lstrip('.') or 'sequence'}.png")
    show_sequence(sequence, output, frames, names, rate)
    people, total = sequence.sample.keypoints.shape[:2]
    click.echo(f"{output}: {sequence.sample.id}, {total} frames, {people} {'people' if people > 1 else 'person'}")
