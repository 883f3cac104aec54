"""`skelmae layouts`: the skeletons there are, and one of them in full."""

import click

from . import options
from .printing import echo, table


def _joined(layout, pairs):
    return ", ".join(f"{layout.joints[a]} - {layout.joints[b]}" for a, b in pairs) or "none"


def _lines(layout):
    """What a layout is, line by line."""
    yield f"{layout.name}: {layout.num_joints} joints, root {layout.joints[layout.root]}"
    yield table(list(enumerate(layout.joints)))
    yield f"edges: {_joined(layout, layout.edges)}"
    yield f"mirror: {_joined(layout, layout.mirror_pairs)}"
    yield "parts:"
    yield table([(part, ", ".join(layout.joints[j] for j in joints)) for part, joints in layout.parts.items()])
    for key in ("spine", "shoulders"):
        pair = getattr(layout, key)
        yield f"{key}: {_joined(layout, [pair]) if pair else 'none'}"


@options.command("layouts")
@click.argument("name", required=False, metavar="[NAME|FILE.toml]")
@options.output_file("Draw the skeleton to this .png or .svg.")
@options.json_flag
def command(name, output, as_json):
    """List the built-in skeletons, or print the joints, edges, mirror pairs and parts of one, yours in a TOML too.

    \b
    Example:
      skelmae layouts
      skelmae layouts halpe26 --output halpe26.png
    """
    from skelmae_datasets import get_layout, layout_names

    if name is None:
        if output is not None:
            raise click.UsageError("--output needs the NAME of a layout")
        layouts = [get_layout(layout) for layout in layout_names()]
        rows = [(layout.name, layout.num_joints, ", ".join(layout.parts)) for layout in layouts]
        echo([layout.to_dict() for layout in layouts], as_json, lambda: table(rows, indent=""))
        return
    layout = get_layout(name)
    if output is not None:
        from skelmae_datasets.pictures.layout_figure import show_layout

        show_layout(layout, output)
    echo(layout.to_dict(), as_json, lambda: "\n".join(_lines(layout)))
