"""`skelmae validate`: every problem of an input file or a store."""

from collections import Counter

import click

from . import options
from .printing import SHOWN, echo


def _told(path, output, problems, errors, show_all):
    """A line per problem, of each kind the first ones unless `show_all`; then how many there are."""
    shown, hidden = Counter(), 0
    for problem in problems:
        kind = (problem.error, problem.key.partition("[")[0].partition(" ")[0], problem.expected)
        shown[kind] += 1
        if show_all or shown[kind] <= SHOWN:
            yield f"{problem} -> {problem.fix}" if output and problem.fix else str(problem)
        else:
            hidden += 1
    if hidden:
        yield f"... and {hidden} more of the same kinds (--all prints them)"
    yield f"{path}: {errors} errors, {len(problems) - errors} notes" if problems else f"{path}: sound"
    if output:
        yield f"{output}: written"


@options.command("validate")
@click.argument("path", type=options.PATH, metavar="FILE")
@options.output_file(
    "Write what is sound to this store; each problem says what was done about it. FILE is not changed.",
    metavar="OUT.h5",
    callback=options.store_name,
)
@options.layout_option("the file's, or by joint count")
@options.to_option
@click.option("--all", "show_all", is_flag=True, help="Print every problem, not the first few of a kind.")
@options.json_flag
def command(path, output, layout, to, show_all, as_json):
    """List every problem of FILE with the sample's name, key, expected and found.

    FILE is any file or folder that `skelmae convert` reads, a layout .toml or a store.
    Exit status 1 where there are errors, 0 where there are none or notes only.

    \b
    Example:
      skelmae validate ntu60_hrnet.pkl
      skelmae validate damaged.h5 --output repaired.h5
    """
    from skelmae_datasets import validate

    problems = validate(path, output, layout, to)
    errors = sum(problem.error for problem in problems)
    told = {"path": path, "errors": errors, "problems": [problem.to_dict() for problem in problems]}
    echo(told, as_json, lambda: "\n".join(_told(path, output, problems, errors, show_all)))
    if errors:
        click.get_current_context().exit(1)
