"""Curves of accuracy against faults: small multiples, one a kind of fault, several runs in each."""

from skelmae_datasets.pictures.figures import SOFT, TEXT, joined, new_figure

COLOURS = ("#0b6bcb", "#d9480f", "#0f8a7e", "#8a4fc7", "#c2255c", "#8a6d00", "#4a5565", "#3d8b14")
COLUMNS = 4


def robustness_figure(named, colour=TEXT):
    """A figure of results of ``experiments.robustness``.

    Args:
        named: dict of a run's name to its result. colour: of the text.
    """
    kinds = list(dict.fromkeys(kind for result in named.values() for kind in result["curves"]))
    rows = -(-len(kinds) // COLUMNS)
    figure = new_figure(2.7 * min(len(kinds), COLUMNS), 2.3 * rows + 0.5)
    axes = figure.subplots(rows, min(len(kinds), COLUMNS), squeeze=False, sharey=True).ravel()
    for place in axes[len(kinds) :]:
        place.set_axis_off()
    lines = {}  # a line of each run; what Matplotlib collects leaves out names that begin with "_"
    for place, kind in zip(axes, kinds, strict=False):
        for number, (name, result) in enumerate(named.items()):
            if kind in result["curves"]:
                curve = result["curves"][kind]
                values, style = [100 * top1 for top1 in curve["top1"]], {"marker": "o", "markersize": 3}
                steps = range(len(values))  # amounts are not evenly spaced; what matters is their order
                (lines[joined(name)],) = place.plot(steps, values, color=COLOURS[number % len(COLOURS)], **style)
                place.set_xticks(list(steps), [f"{amount:g}" for amount in curve["amounts"]])
                place.set_xlabel(curve["text"], fontsize=7, color=colour)
        place.set_ylim(0, 100)
        place.tick_params(labelsize=7, labelcolor=colour, color=SOFT)
        place.grid(alpha=0.3, linewidth=0.5)
        for side in ("top", "right"):
            place.spines[side].set_visible(False)
    axes[0].set_ylabel("top-1, %", fontsize=7, color=colour)
    if len(named) > 1:
        figure.legend(lines.values(), lines, loc="lower center", ncols=4, fontsize=7, frameon=False, labelcolor=colour)
    figure.tight_layout(rect=(0, 0.3 / (2.3 * rows + 0.5) if len(named) > 1 else 0, 1, 1))
    return figure
