"""A layout as a picture: where no recording gives positions, springs along the edges do."""

from pathlib import Path

import numpy as np

from ..errors import DataError
from .drawing import legend_form, part_colours, part_legend, text_width
from .figures import STILL, TEXT, joined, new_figure, save_figure

_STEPS, _RATE = 400, 0.1


def layout_positions(layout):
    """(V, 2) float64 positions on paper, the same at every call: left joints to the right, as one faces a person.

    The graph's distances become distances on paper (stress majorisation by gradient steps); then the whole is turned
    upright and left and right are mirrored about the middle.
    """
    distance = _graph_distances(layout.adjacency)
    near = np.where(distance > 0, distance, np.inf) ** -2.0
    side = np.zeros(layout.num_joints)
    for left, right in layout.mirror_pairs:
        side[left], side[right] = 1, -1
    root = distance[layout.root]
    legs = np.isin(
        np.arange(layout.num_joints), [j for part in layout.parts if "leg" in part for j in layout.parts[part]]
    )
    place = np.stack([side * root, np.where(legs, -1, 0.3) * root], -1) + 0.01 * np.arange(layout.num_joints)[:, None]
    for _ in range(_STEPS):
        apart = place[:, None] - place[None]
        length = np.linalg.norm(apart, axis=-1) + 1e-9
        pull = near * (1 - distance / length)
        place = place - _RATE * (pull[..., None] * apart).sum(1)
        mirrored = place[layout.mirror] * [-1, 1]
        place = (place + mirrored) / 2 if layout.mirror_pairs else place
    return place


def _graph_distances(adjacency):
    """(V, V) numbers of edges between joints."""
    distance = np.where(adjacency > 0, 1.0, np.inf)
    np.fill_diagonal(distance, 0)
    for middle in range(len(distance)):
        distance = np.minimum(distance, distance[:, [middle]] + distance[[middle]])
    return np.where(np.isfinite(distance), distance, np.nanmax(distance[np.isfinite(distance)]) + 1)


def show_layout(layout, path):
    """Draw a layout to a .png or .svg, joints numbered, with the names beside. Raises DataError for other suffixes."""
    path = Path(path)
    if path.suffix.lower() not in STILL:
        raise DataError(path, "suffix", ", ".join(STILL), path.suffix or "none")
    names = [f"{joint}  {name}".replace("$", r"\$") for joint, name in enumerate(layout.joints)]
    columns = int(np.ceil(layout.num_joints / 36))
    size = 6.5 if columns == 1 else 3.4
    beside = max(3.24 / columns, text_width(names, size) + 0.15)  # inches of a column of names
    wide = 5.76 + columns * beside
    foot = max(0.7, legend_form(wide, layout)[1])
    figure, place = new_figure(wide, 6.3 + foot), layout_positions(layout)
    axes, colours = (
        figure.add_axes((0.18 / wide, foot / (6.3 + foot), 5.4 / wide, 5.88 / (6.3 + foot))),
        part_colours(layout),
    )
    axes.set_aspect("equal")
    axes.set_axis_off()
    for child, parent in layout.edges:
        axes.plot(*place[[child, parent]].T, color=colours[child], linewidth=1.6, zorder=1)
    small = layout.num_joints > 40
    for joint, point in enumerate(place):
        axes.plot(*point, "o", color=colours[joint], markersize=4 if small else 11, zorder=2)
        style = {"ha": "center", "va": "center", "fontsize": 3 if small else 6, "color": "#ffffff", "zorder": 3}
        axes.text(*point, str(joint), **style)
    for joint, name in enumerate(names):
        column, row = divmod(joint, 36)
        where = (5.76 + beside * column) / wide, 0.93 - 0.023 * row
        figure.text(*where, name, fontsize=size, color=colours[joint], va="center")
    figure.suptitle(joined(f"{layout.name}, {layout.num_joints} joints"), fontsize=10, color=TEXT)
    part_legend(figure, layout)
    save_figure(figure, path)
