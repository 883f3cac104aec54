"""What commands print: JSON, tables, a progress bar."""

import json
import sys
from contextlib import contextmanager

import click

SHOWN = 10  # of a list that --json or --all prints whole


def to_json(value):
    """`value` as indented JSON; paths and NumPy numbers become plain ones, not-a-number null."""

    def plain(item):
        if isinstance(item, dict):
            return {str(key): plain(entry) for key, entry in item.items()}
        if isinstance(item, (list, tuple, set)):
            return [plain(entry) for entry in item]
        if hasattr(item, "tolist"):
            return plain(item.tolist())
        if isinstance(item, float) and not (abs(item) < float("inf")):
            return None
        return item if isinstance(item, (str, int, float, bool, type(None))) else str(item)

    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def echo(value, as_json, text):
    """Print a result as JSON, or what `text` makes of it."""
    click.echo(to_json(value) if as_json else text())


def table(rows, indent="  "):
    """Rows of cells as aligned text; numbers stand at the right of their column."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells), default=0))]
    lines = []
    for row, texts in zip(rows, cells, strict=True):
        line = [
            text.rjust(width) if isinstance(cell, (int, float)) else text.ljust(width)
            for cell, text, width in zip(row, texts, widths, strict=False)
        ]
        lines.append((indent + "  ".join(line)).rstrip())
    return "\n".join(lines)


@contextmanager
def progress(label):
    """A callback (done, total) that draws a bar on standard error; None where that is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = None

    def advance(done, total):
        nonlocal bar
        if bar is None:
            bar = click.progressbar(length=total, label=label, file=sys.stderr)
            bar.__enter__()
        bar.update(done - bar.pos)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


def more_people(count):
    """The line on sequences with people whom a model does not see."""
    return f"  {count} of these sequences have more people than the model takes: the first count"
