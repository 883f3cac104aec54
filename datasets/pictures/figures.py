"""Figures without pyplot, and files of them whose bytes depend on the figure alone."""

import html
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import write_atomically, write_text
from ..transforms.sampling import uniform_grid_indices
from .drawing import draw_frame, frame_window, legend_form, names_room, part_legend, pose_of, set_window

STILL, MOVING = (".png", ".svg"), (".gif", ".mp4")
TEXT, SOFT = "#374151", "#6b7280"
SENTINEL = "#010203"  # stands for the page's own colour of text
MARGIN = 0.05  # inches between pictures and legend
_STYLE = {"svg.hashsalt": "skelmae", "svg.fonttype": "none", "path.simplify": False}
_STYLE |= {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}


def new_figure(width, height):
    """A matplotlib figure of that many inches on an Agg canvas; pyplot and its global state stay out of it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=150)
    FigureCanvasAgg(figure)
    return figure


def svg_text(figure, transparent=False):
    """The figure as SVG text; no date in it, and ids from a fixed salt."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def embedded_svg(draw, label):
    """A figure as an <svg> for the page, its text in the page's own colour.

    Args:
        draw: function of the text's colour that returns the figure. label: what it shows, for those who do not see it.
    """
    text = svg_text(draw(SENTINEL), transparent=True)
    text = text[text.index("<svg") :].replace(SENTINEL, "currentColor")
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)


def save_figure(figure, path):
    """Write a .png or .svg atomically; the same figure gives the same bytes."""
    import matplotlib

    path = Path(path)
    if path.suffix.lower() == ".svg":
        write_text(path, svg_text(figure))
        return
    with matplotlib.rc_context(_STYLE):
        write_atomically(path, lambda part: figure.savefig(part, format="png", metadata={"Software": None}))


def _shown(sequence, most):
    """Up to `most` frame numbers of a Sequence, evenly spaced, and the Pose of these frames."""
    keypoints = sequence.sample.keypoints
    chosen = uniform_grid_indices(keypoints.shape[1], min(most, keypoints.shape[1]))
    return chosen, pose_of(keypoints[:, chosen], sequence.channels, sequence.layout)


def sequence_strip(sequence, frames=8, names=False):
    """A figure of `frames` frames of a Sequence beside each other, evenly spaced over its length."""
    chosen, pose = _shown(sequence, frames)
    centres, width, height = frame_window(pose.points, pose.present)
    high = 3.6 if names else 2.6
    wide = np.clip(high * width / height, 0.75, 4.5)
    if names:
        (wide, high), (width, height) = _with_names(pose, sequence.layout, (wide, high), (width, height))
    across = max(3.6, len(chosen) * wide + 0.2)
    foot = max(0.5, legend_form(across, sequence.layout, len(pose.points))[1]) + MARGIN + 0.15
    total = high + foot + 0.48
    figure = new_figure(across, total)
    top, bottom = 1 - 0.48 / total, foot / total
    for column, number in enumerate(chosen):
        axes = figure.add_axes((column / len(chosen), bottom, 1 / len(chosen), top - bottom))
        set_window(axes, centres[column], width, height)
        draw_frame(axes, pose, column, sequence.layout, names, size=1.15)
        style = {"transform": axes.transAxes, "ha": "center", "fontsize": 7, "color": SOFT}
        if not pose.present[:, column].any():
            axes.text(0.5, 0.5, "nobody", **style)
        axes.text(0.5, -0.01, f"frame {number + 1}", va="top", **style)
    figure.suptitle(_title(sequence), fontsize=9, color=TEXT, y=1 - 0.14 / total, va="top")
    part_legend(figure, sequence.layout, len(pose.points))
    return figure


def _with_names(pose, layout, size, half):
    """((inches), (half width and height in the units of the points)) of a picture with room for names at its sides."""
    scale = min(size[0] / half[0], size[1] / half[1]) / 2  # inches of a unit
    wide, high = names_room(pose, layout)
    size = 2 * half[0] * scale + 2 * wide, max(2 * half[1] * scale, high)
    return size, (size[0] / scale / 2, size[1] / scale / 2)


def sequence_images(sequence, frames=120, names=False):
    """Yield (height, width, 3) uint8 images of up to `frames` frames of a Sequence, camera still."""
    chosen, pose = _shown(sequence, frames)
    here = pose.points[pose.present]
    low, high = (here.min(axis=0), here.max(axis=0)) if len(here) else (np.zeros(2), np.ones(2))
    half = np.maximum((high - low) / 2, (high - low).max() / 8 + 1e-9) * 1.1
    wide, tall = 4.0, float(np.clip(4.0 * half[1] / half[0], 2.4, 5.2))
    if names:
        (wide, tall), half = _with_names(pose, sequence.layout, (3.0, tall), half)
    foot = max(0.5, legend_form(wide, sequence.layout, len(pose.points))[1])
    for column, number in enumerate(chosen):
        figure = new_figure(wide, tall + foot + 0.4)
        figure.set_dpi(100)
        axes = figure.add_axes((0.02, foot / (tall + foot + 0.4), 0.96, tall / (tall + foot + 0.4)))
        set_window(axes, (low + high) / 2, *half)
        draw_frame(axes, pose, column, sequence.layout, names, size=1.5)
        counted = f"frame {number + 1} of {sequence.sample.keypoints.shape[1]}"
        figure.suptitle(f"{_title(sequence, short=True)}\n{counted}", fontsize=8, color=TEXT)
        part_legend(figure, sequence.layout, len(pose.points))
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def show_sequence(sequence, path, frames=None, names=False, rate=15):
    """Draw a Sequence to a file: .png or .svg a strip, .gif or .mp4 an animation.

    Args:
        sequence: skelmae_datasets.Sequence. path: the file, replaced atomically.
        frames: most frames shown; by default 8 in a strip, 120 in an animation.
        names: write the joints' names. rate: frames per second of an animation.

    Raises:
        DataError: another suffix, or .mp4 without ffmpeg.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in STILL:
        save_figure(sequence_strip(sequence, frames or 8, names), path)
    elif suffix not in MOVING:
        raise DataError(path, "suffix", ", ".join(STILL + MOVING), suffix or "none")
    elif suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise DataError(path, "suffix", ".gif (an .mp4 needs the program ffmpeg, which is not installed)", suffix)
    else:
        write = _write_gif if suffix == ".gif" else _write_mp4
        write(sequence_images(sequence, frames or 120, names), path, rate)


def _write_gif(images, path, rate):
    from PIL import Image

    first, *rest = (Image.fromarray(image).quantize(64, dither=Image.Dither.NONE) for image in images)
    options = {"save_all": True, "append_images": rest, "duration": round(1000 / rate), "loop": 0}
    write_atomically(path, lambda part: first.save(part, format="GIF", **options))


def _write_mp4(images, path, rate):
    images = list(images)
    height, width = (side - side % 2 for side in images[0].shape[:2])  # the codec wants even sides
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {rate} -i -"
    made = "-an -pix_fmt yuv420p -threads 1 -map_metadata -1 -fflags +bitexact -flags:v +bitexact -f mp4"
    frames = b"".join(np.ascontiguousarray(image[:height, :width]).tobytes() for image in images)

    def write(part):
        command = ["ffmpeg", "-y", "-loglevel", "error", *given.split(), *made.split(), part]
        done = subprocess.run(command, input=frames, capture_output=True)
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
            raise DataError(path, "ffmpeg", "a video", reason[-1])

    write_atomically(path, write)


def _title(sequence, short=False):
    sample = sequence.sample
    people, frames = sample.keypoints.shape[:2]
    action = sequence.action or (f"label {sample.label}" if sample.label >= 0 else "")
    parts = [sample.id if len(sample.id) < 60 else sample.id[:57] + "...", action]
    if not short:
        parts += [f"{frames} frames", f"{people} people" if people > 1 else "", sequence.layout.name]
    return joined(*parts)


def joined(*parts):
    """The parts of a title that are not empty; for matplotlib, to which a "$" is mathematics."""
    return "  ·  ".join(part for part in parts if part).replace("$", r"\$")
