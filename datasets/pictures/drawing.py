"""Skeletons on matplotlib axes: bones coloured by body part, doubtful joints faint, absent ones left out."""

from collections import namedtuple

import numpy as np

from .views import observed, project

COLOURS = {"head": "#9566c9", "torso": "#7d8590", "left_arm": "#1f77d0", "right_arm": "#d9480f"}
COLOURS |= {"left_leg": "#0f9488", "right_leg": "#d6336c"}
OTHER_COLOURS = ("#1f77d0", "#d9480f", "#0f9488", "#9566c9", "#d6336c", "#7d8590", "#5c940d", "#b7791f")
FAINTEST = 0.2
PERSON_STYLES = ("solid", (0, (2.2, 1.2)), (0, (0.8, 1.0)))  # the second person is dashed, others dotted
LEGEND_LINE = 0.4  # inches beside a text of the legend
NAME_SIZE, NAME_LINE, NAME_GAP = 6, 0.105, 0.12  # points; inches of a line, and from the body to the names

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
    low, high = axes.get_ylim()
    size = axes.get_position().size * axes.figure.get_size_inches()
    inch = max(np.ptp(axes.get_xlim()) / size[0], (high - low) / size[1])  # in the units of the points
    style = {"fontsize": NAME_SIZE, "va": "center", "color": "#4b5563", "zorder": 4}
    style["arrowprops"] = {"arrowstyle": "-", "color": "#9ca3af", "linewidth": 0.4}
    for right, joints in enumerate(sides(points, present)):
        if not joints:
            continue
        edge, gap = points[shown, 0].max() if right else points[shown, 0].min(), NAME_LINE * inch
        levels = points[joints, 1].copy()
        for row in range(1, len(levels)):
            levels[row] = min(levels[row], levels[row - 1] - gap)
        levels[-1] = max(levels[-1], low + gap / 2)
        for row in range(len(levels) - 2, -1, -1):  # back up from the foot of the picture
            levels[row] = max(levels[row], levels[row + 1] + gap)
        place, anchor = edge + (1 if right else -1) * NAME_GAP * inch, "left" if right else "right"
        for joint, level in zip(joints, levels, strict=True):
            axes.annotate(shown_name(layout.joints[joint]), points[joint], (place, level), ha=anchor, **style)


def sides(points, present):
    """The joints of (V, 2) points that are named on the left and on the right, each from the top down."""
    shown = sorted(np.flatnonzero(present), key=lambda joint: -points[joint, 1])
    middle = points[shown, 0].mean() if shown else 0
    return [[joint for joint in shown if (points[joint, 0] > middle) == right] for right in (False, True)]


def shown_name(name):
    """A name as it is written, for matplotlib, to which a "$" is mathematics."""
    return name.replace("_", " ").replace("$", r"\$")


def text_width(texts, size):
    """Inches of the widest of these texts."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans")
    return max((TextPath((0, 0), text, size, prop=font).get_extents().width / 72 for text in texts), default=0.0)


def names_room(pose, layout):
    """(width, height) in inches that the names on one side of a Pose take at most."""
    frames = [(person, frame) for person, frame in np.ndindex(pose.present.shape[:2])]
    rows = [len(side) for place in frames for side in sides(pose.points[place], pose.present[place])]
    return text_width(map(shown_name, layout.joints), NAME_SIZE) + NAME_GAP + 0.1, NAME_LINE * (1 + max(rows))


def _legend(layout, people):
    """[(text, colour, line style)] of the parts and the second person."""
    colours = part_colours(layout)
    entries = [(shown_name(part), colours[members[0]], "solid") for part, members in layout.parts.items()]
    return entries + [("second person", "#7d8590", PERSON_STYLES[1])] * (people > 1)


def legend_form(width, layout, people=1):
    """(columns of the legend of a figure so many inches wide, inches that it is high)."""
    entries = [text for text, _, _ in _legend(layout, people)]
    columns = int(np.clip(width // (LEGEND_LINE + text_width(entries, 7)), 1, len(entries)))
    return columns, 0.2 + 0.15 * -(-len(entries) // columns)


def part_legend(figure, layout, people=1, colour="#374151"):
    """The parts' colours in lines at the foot of the figure, and how the second person is drawn."""
    from matplotlib.lines import Line2D

    entries = _legend(layout, people)
    handles = [Line2D([], [], color=c, linewidth=2, linestyle=s, label=text) for text, c, s in entries]
    columns = legend_form(figure.get_size_inches()[0], layout, people)[0]
    space = {"frameon": False, "handlelength": 1.6, "columnspacing": 1.2}
    figure.legend(handles=handles, loc="lower center", ncols=columns, fontsize=7, labelcolor=colour, **space)
