"""`skelmae show`: a sequence as a picture."""

from pathlib import Path

import click

from . import options


@options.command("show")
@click.argument("source", type=options.PATH, metavar="INPUT")
@click.option("--sample", metavar="ID", help="Which sequence (default: the first).")
@options.output_file(
    ".png or .svg: a strip; .gif or .mp4: an animation, .mp4 where ffmpeg is installed "
    "(default: the sequence's id with .png)."
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    metavar="N",
    help="Most frames shown, evenly spaced (default: 8 in a strip, 120 in an animation).",
)
@click.option("--names", is_flag=True, help="Write the joints' names.")
@options.layout_option("the file's, or by joint count")
@options.to_option
@click.option("--rate", type=click.IntRange(1, 60), default=15, help="Animation: frames per second.")
def command(source, sample, output, frames, names, layout, to, rate):
    """Draw a sequence of INPUT, any file or folder that `skelmae convert` reads, bones coloured by body part.

    Joints of low confidence are faint, absent ones are left out, the second person is dashed. 3D sequences are seen
    along the horizon.

    \b
    Example:
      skelmae show jhmdb.h5 --output strip.png
      skelmae show S001C001P001R001A050.skeleton --output handshake.gif --names
    """
    from skelmae_datasets import read_sequence
    from skelmae_datasets.pictures.figures import show_sequence

    sequence = read_sequence(source, sample, layout, to)
    if output is None:
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in sequence.sample.id)[:120]
        output = Path(f"{safe.lstrip('.') or 'sequence'}.png")
    show_sequence(sequence, output, frames, names, rate)
    people, total = sequence.sample.keypoints.shape[:2]
    for note in sequence.notes:
        click.echo(f"{source}: {note}", err=True)
    click.echo(f"{output}: {sequence.sample.id}, {total} frames, {people} {'people' if people > 1 else 'person'}")
