"""The paper's figure 6: input, masked and reconstructed skeletons in rows."""

import numpy as np

from keras_skelmae.report.drawing import Pose, draw_frame, frame_window, part_legend, pose_of, set_window
from keras_skelmae.report.figures import TEXT, new_figure
from keras_skelmae.report.views import project
from skelmae_datasets.sampling import uniform_grid_indices

ROWS = ("input", "masked", "reconstructed")


def reconstruction_figure(found, frames=6, title=True, colour=TEXT):
    """A figure of a Reconstruction.

    Masked joints and their bones are missing in the second row; in the third they are drawn in full and the visible
    ones, which the model was shown, faint.

    Args:
        found: Reconstruction. frames: columns. title: with heading and caption. colour: of the text.
    """
    chosen = uniform_grid_indices(len(found.frames), min(frames, len(found.frames)))
    layout, dims = found.layout, found.positions.shape[-1]
    given = pose_of(found.keypoints[:, chosen], found.channels, layout)
    # the same view for both, so both go through one projection
    both = np.concatenate([found.keypoints[..., :dims], found.positions])[:, chosen]
    people = len(found.keypoints)
    present = np.concatenate([given.present, np.zeros_like(given.present)])
    points = project(both, dims, layout, present)
    masked = np.broadcast_to(found.masked, given.present.shape)
    bright = np.where(masked, 1.0, 0.3)
    poses = (Pose(points[:people], given.present, given.confidence),
             Pose(points[:people], given.present & ~masked, given.confidence),
             Pose(points[people:], given.present, bright))  # fmt: skip
    centres, width, height = frame_window(np.concatenate([p.points for p in poses], axis=0),
                                          np.concatenate([p.present for p in poses], axis=0))  # fmt: skip
    high = 1.9
    wide = float(np.clip(high * width / height, 0.8, 2.6))
    head, foot, side = (0.45 if title else 0.05), (0.95 if title else 0.42), 0.35
    size = (max(4.6, side + wide * len(chosen)), head + foot + 3 * high)
    figure = new_figure(*size)
    for row, pose in enumerate(poses):
        base = (foot + high * (2 - row)) / size[1]
        figure.text(0.12 / size[0], base + high / 2 / size[1], ROWS[row], rotation=90, va="center", fontsize=8,
                    color=colour)  # fmt: skip
        for column, number in enumerate(chosen):
            step = (1 - side / size[0]) / len(chosen)
            axes = figure.add_axes((side / size[0] + column * step, base, step, high / size[1]))
            set_window(axes, centres[column], width, height)
            draw_frame(axes, pose, column, layout, bone=max if row == 2 else min)
            if row == 2:
                axes.text(0.5, -0.02, f"frame {found.frames[number] + 1}", transform=axes.transAxes, ha="center",
                          va="top", fontsize=7, color=colour)  # fmt: skip
    if title:
        name = "  ·  ".join(text for text in (found.sample, found.action) if text).replace("$", r"\$")
        masked_parts = ", ".join(part.replace("_", " ") for part in found.parts)
        figure.suptitle(f"{name}  ·  masked: {masked_parts}", fontsize=8.5, color=TEXT, y=1 - 0.12 / size[1], va="top")
        figure.text(0.5, 0.4 / size[1], caption(found, int(size[0] * 18)), ha="center", va="center", fontsize=6.5,
                    color=colour)  # fmt: skip
    if not title:
        part_legend(figure, layout, people, colour)
    return figure


def caption(found, width=110):
    """Errors and read-out in words, broken into lines."""
    import textwrap

    total, units = found.total, "px" if found.units == "pixels" else "m"
    text = "nothing to compare: no masked joint was observed"
    if total["error"] is not None:
        text = (f"Mean error on the masked joints {total['error_units']:.3g} {units} "
                f"({total['error']:.3f} normalised), that of the mean pose {total['mean_pose_units']:.3g} {units} "
                f"({total['mean_pose']:.3f}); {found.readout}.")  # fmt: skip
    return "\n".join(textwrap.wrap(text, width))
