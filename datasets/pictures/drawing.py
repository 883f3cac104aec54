"""Skeletons on matplotlib axes: bones coloured by body part, doubtful joints faint, absent ones left out."""

from collections import namedtuple

import numpy as np

from .views import observed, project

COLOURS = {"head": "#9566c9", "torso": "#7d8590", "left_arm": "#1f77d0", "right_arm": "#d9480f"}
COLOURS |= {"left_leg": "#0f9488", "right_leg": "#d6336c"}
OTHER_COLOURS = ("#1f77d0", "#d9480f", "#0f9488", "#9566c9", "#d6336c", "#7d8590", "#5c940d", "#b7791f")
FAINTEST = 0.2
PERSON_STYLES = ("solid", (0, (2.2, 1.2)), (0, (0.8, 1.0)))  # the second person is dashed, others dotted
LEGEND_ENTRY = 0.95  # inches

Pose = namedtuple("Pose", "points present confidence")
Pose.__doc__ = "Points (M, T, V, 2) on paper, present (M, T, V) bool, confidence (M, T, V) in 0..1."


def part_colours(layout):
    """A colour per joint, that of its body part: list of V. Known parts have theirs, others take turns."""
    colours = [""] * layout.num_joints
    for number, (part, members) in enumerate(layout.parts.items()):
        for joint in members:
            colours[joint] = COLOURS.get(part, OTHER_COLOURS[number % len(OTHER_COLOURS)])
    return colours


def pose_of(keypoints, channels, layout):
    """The Pose of keypoints (M, T, V, C) with these channels; without a score confidence is 1."""
    dims = 3 if "z" in channels else 2
    keypoints = np.asarray(keypoints, np.float64)
    present = observed(keypoints, dims)
    confidence = np.ones(present.shape)
    if "score" in channels:
        confidence = np.clip(keypoints[..., channels.index("score")], 0, 1)
    return Pose(project(keypoints, dims, layout), present, confidence)


def frame_window(points, present):
    """(centres (T, 2), half width, half height): one size for all frames, each centred on who is in it."""
    centres, half = np.zeros((points.shape[1], 2)), np.zeros(2)
    for frame in range(points.shape[1]):
        here = points[:, frame][present[:, frame]]
        if len(here):
            low, high = here.min(axis=0), here.max(axis=0)
            centres[frame], half = (low + high) / 2, np.maximum(half, (high - low) / 2)
    half = np.maximum(half, half.max() * 0.25) if half.max() else np.ones(2)
    return centres, half[0] * (1.12 if len(points) == 1 else 1.3), half[1] * 1.12


def set_window(axes, centre, width, height):
    """Show `centre` +- (width, height) with equal scales and no frame."""
    axes.set_xlim(centre[0] - width, centre[0] + width)
    axes.set_ylim(centre[1] - height, centre[1] + height)
    axes.set_aspect("equal")
    axes.set_axis_off()


def draw_frame(axes, pose, frame, layout, names=False, size=1.0, bone=min):
    """Draw one frame of a Pose.

    Args:
        axes: matplotlib axes. frame: its number. layout: SkeletonLayout.
        names: write each joint's name beside it. size: factor on lines and points.
        bone: a bone's opacity from those of its two joints.
    """
    colours = part_colours(layout)
    for person in range(len(pose.points)):
        points, present = pose.points[person, frame], pose.present[person, frame]
        faint = np.clip(pose.confidence[person, frame], FAINTEST, 1)
        style = PERSON_STYLES[min(person, len(PERSON_STYLES) - 1)]
        line = {"linewidth": 1.9 * size, "linestyle": style, "solid_capstyle": "round", "zorder": 2}
        for child, parent in layout.edges:
            if present[child] and present[parent]:
                opacity = bone(faint[child], faint[parent])
                axes.plot(*points[[child, parent]].T, color=colours[child], alpha=opacity, **line)
        dot = {"marker": "o", "markersize": 2.6 * size, "markeredgewidth": 0.6 * size, "zorder": 3}
        for joint in np.flatnonzero(present):
            dot |= {"markerfacecolor": "#ffffff" if person else colours[joint], "markeredgecolor": colours[joint]}
            axes.plot(*points[joint], alpha=faint[joint], **dot)
        if names:
            _write_names(axes, points, present, layout)


def _write_names(axes, points, present, layout):
    """Joint names beside the joints, pushed apart where they would be written over each other."""
    shown = np.flatnonzero(present)
    if not len(shown):
        return
    width, height = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
    style = {"fontsize": 6, "va": "center", "color": "#4b5563", "zorder": 4}
    style["arrowprops"] = {"arrowstyle": "-", "color": "#9ca3af", "linewidth": 0.4}
    right = points[:, 0] > points[shown, 0].mean()
    for side, anchor, edge in ((False, "right", points[shown, 0].min()), (True, "left", points[shown, 0].max())):
        level, place = np.inf, edge + (1 if side else -1) * width * 0.05
        for joint in sorted(shown[right[shown] == side], key=lambda j: -points[j, 1]):
            level = min(points[joint, 1], level - height * 0.033)
            axes.annotate(layout.joints[joint].replace("_", " "), points[joint], (place, level), ha=anchor, **style)


def part_legend(figure, layout, people=1, colour="#374151"):
    """The parts' colours in lines at the foot of the figure, and how the second person is drawn."""
    from matplotlib.lines import Line2D

    colours = part_colours(layout)
    entries = [(part.replace("_", " "), colours[members[0]], "solid") for part, members in layout.parts.items()]
    if people > 1:
        entries.append(("second person", "#7d8590", PERSON_STYLES[1]))
    handles = [Line2D([], [], color=c, linewidth=2, linestyle=s, label=text) for text, c, s in entries]
    columns = max(2, min(len(handles), int(figure.get_size_inches()[0] / LEGEND_ENTRY)))
    space = {"frameon": False, "handlelength": 1.6, "columnspacing": 1.2}
    figure.legend(handles=handles, loc="lower center", ncols=columns, fontsize=7, labelcolor=colour, **space)
