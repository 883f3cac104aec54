"""Make overview.png of what `skelmae show` and `skelmae reconstruct` draw: python docs/make_overview.py

It takes some minutes; the picture is kept in the repository, so that it is seen without a build.
"""

import tempfile
from pathlib import Path

from PIL import Image, ImageOps

from keras_skelmae.report.reconstruction import reconstruct
from keras_skelmae.report.reconstruction_figure import reconstruction_figure
from keras_skelmae.training import pretrain
from skelmae_datasets import SkeletonStore, convert_ntu, read_sequence
from skelmae_datasets.pictures.figures import save_figure, sequence_strip
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.synthetic import write_dataset

WAVE, SQUAT = "S001C001P003R001A001", "S001C001P003R001A004"
PARTS, COLUMNS, WIDTH = ("right_arm", "right_leg"), (9, 12), 1100
GAP = 28
ACTIONS = ("wave", "clap", "kick", "squat", "jump", "walk", "bow", "throw")


def main(target, epochs=60):
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        write_dataset(work / "raw", subjects=8, repetitions=3, actions=ACTIONS)
        convert_ntu(work / "raw", work / "s.h5")
        settings = resolve_settings("pretrain", overrides=("num_frames=16", "units=32"), epochs=epochs)
        with SkeletonStore(work / "s.h5") as store:
            pretrain(store, "xsub_train", work / "pre", settings)
            found = reconstruct(work / "pre", store, PARTS, SQUAT, "xsub_train", "ridge")
        strip = sequence_strip(read_sequence(work / "s.h5", WAVE), COLUMNS[0])
        strip.legends[0].remove()  # the other picture has it
        save_figure(strip, work / "strip.png")
        save_figure(reconstruction_figure(found, COLUMNS[1], title=False), work / "reconstruction.png")
        pictures = [trimmed(Image.open(work / f"{name}.png").convert("RGB")) for name in ("strip", "reconstruction")]
    pictures = [each.resize((WIDTH, round(each.height * WIDTH / each.width)), Image.LANCZOS) for each in pictures]
    both = Image.new("RGB", (WIDTH, sum(each.height for each in pictures) + GAP), "white")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (0, pictures[0].height + GAP))
    both.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def trimmed(picture):
    """A picture without the white above and below it."""
    _, top, _, bottom = ImageOps.invert(picture).getbbox()
    return picture.crop((0, max(0, top - 8), picture.width, min(picture.height, bottom + 8)))


if __name__ == "__main__":
    main(Path(__file__).with_name("overview.png"))
