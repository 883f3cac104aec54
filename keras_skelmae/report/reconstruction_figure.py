"""The paper's figure 6: input, masked and reconstructed skeletons in rows."""

import textwrap

import numpy as np

from skelmae_datasets.pictures.drawing import Pose, draw_frame, frame_window, part_legend, pose_of, set_window
from skelmae_datasets.pictures.figures import TEXT, joined, new_figure
from skelmae_datasets.pictures.views import project
from skelmae_datasets.transforms.sampling import uniform_grid_indices

ROWS = ("input", "masked", "reconstructed")
FAINT = 0.3  # how visible joints are drawn in the last row
HIGH, SIDE = 1.9, 0.35  # inches of a row, and of what is written beside it


def reconstruction_figure(found, frames=6, title=True, colour=TEXT):
    """A figure of a Reconstruction.

    Masked joints and their bones are missing in the second row; in the third they are drawn in full and the visible
    ones, which the model was shown, faint.

    Args:
        found: Reconstruction. frames: columns. title: with heading and caption. colour: of the text.
    """
    chosen = uniform_grid_indices(len(found.frames), min(frames, len(found.frames)))
    poses = _poses(found, chosen)
    points, present = (np.concatenate([getattr(pose, key) for pose in poses]) for key in ("points", "present"))
    centres, width, height = frame_window(points, present)
    head, foot = (0.45, 0.95) if title else (0.05, 0.42)
    wide = max(4.6, SIDE + len(chosen) * float(np.clip(HIGH * width / height, 0.8, 2.6)))
    total, step = head + foot + HIGH * len(ROWS), (1 - SIDE / wide) / len(chosen)
    figure = new_figure(wide, total)
    for row, pose in enumerate(poses):
        base, last = (foot + HIGH * (len(ROWS) - 1 - row)) / total, row == len(ROWS) - 1
        style = {"fontsize": 8, "color": colour, "va": "center"}
        figure.text(0.12 / wide, base + HIGH / 2 / total, ROWS[row], rotation=90, **style)
        for column, number in enumerate(chosen):
            axes = figure.add_axes((SIDE / wide + column * step, base, step, HIGH / total))
            set_window(axes, centres[column], width, height)
            draw_frame(axes, pose, column, found.layout, bone=max if last else min)
            if last:
                style = {"transform": axes.transAxes, "ha": "center", "va": "top", "fontsize": 7, "color": colour}
                axes.text(0.5, -0.02, f"frame {found.frames[number] + 1}", **style)
    if title:
        heading = joined(found.sample, found.action, f"masked: {found.parts_told}")
        figure.suptitle(heading, fontsize=8.5, color=TEXT, y=1 - 0.12 / total, va="top")
        style = {"ha": "center", "va": "center", "fontsize": 6.5, "color": colour}
        figure.text(0.5, 0.4 / total, caption(found, int(wide * 18)), **style)
    else:
        part_legend(figure, found.layout, len(found.keypoints), colour)
    return figure


def _poses(found, chosen):
    """The Pose of each row, in the chosen frames."""
    people, dims = len(found.keypoints), found.positions.shape[-1]
    given = pose_of(found.keypoints[:, chosen], found.channels, found.layout)
    # the same view for both, so both go through one projection
    both = np.concatenate([found.keypoints[..., :dims], found.positions])[:, chosen]
    points = project(both, dims, found.layout, np.concatenate([given.present, np.zeros_like(given.present)]))
    masked = np.broadcast_to(found.masked, given.present.shape)
    return (
        Pose(points[:people], given.present, given.confidence),
        Pose(points[:people], given.present & ~masked, given.confidence),
        Pose(points[people:], given.present, np.where(masked, 1.0, FAINT)),
    )


def short_unit(found):
    """The units of a Reconstruction."""
    return "px" if found.units == "pixels" else "m"


def caption(found, width=110):
    """Errors and read-out in words, broken into lines."""
    total, units = found.total, short_unit(found)
    text = "nothing to compare: no masked joint was observed"
    if total["error"] is not None:
        text = f"Mean error on the masked joints {total['error_units']:.3g} {units} ({total['error']:.3f} normalised), "
        text += (
            f"that of the mean pose {total['mean_pose_units']:.3g} {units} ({total['mean_pose']:.3f}); {found.readout}."
        )
    return "\n".join(textwrap.wrap(text, width))
