"""`skelmae validate`: every problem of an input file or a store."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import SHOWN_SKIPPED, echo_json, existing_path, json_flag, require


@click.command("validate")
@click.argument("path", type=existing_path, metavar="FILE")
@click.option(
    "--fix",
    type=click.Path(path_type=Path),
    metavar="OUT.h5",
    help="Write what is sound to this store; each problem says what was done about it. FILE is not changed.",
)
@click.option("--all", "show_all", is_flag=True, help="Print every problem, not the first few of a kind.")
@json_flag
@expected_errors
def command(path: Path, fix: Path | None, show_all: bool, as_json: bool):
    """List every problem of FILE with the sample's name, key, expected and found.

    FILE is a .skeleton file or a folder of them, an annotation .pkl, .npz or .npy arrays, a .csv table of joints, a
    layout .toml or a store.
    Exit status 1 where there are errors, 0 where there are none or notes only.

    \b
    Example:
      skelmae validate ntu60_hrnet.pkl
      skelmae validate damaged.h5 --fix repaired.h5
    """
    require(path, "any")

    from skelmae_datasets import validate

    problems = validate(path, fix)
    errors = sum(problem.error for problem in problems)
    if as_json:
        echo_json({"path": str(path), "errors": errors, "problems": [problem.to_dict() for problem in problems]})
    else:
        shown: dict[tuple, int] = {}
        for problem in problems:
            kind = (problem.error, problem.key.partition("[")[0].partition(" ")[0], problem.expected)
            shown[kind] = shown.get(kind, 0) + 1
            if show_all or shown[kind] <= SHOWN_SKIPPED:
                done = f" -> {problem.fix}" if fix and problem.fix else ""
                click.echo(f"{problem}{done}")
        hidden = 0 if show_all else sum(max(0, count - SHOWN_SKIPPED) for count in shown.values())
        if hidden:
            click.echo(f"... and {hidden} more of the same kinds (--all prints them)")
        click.echo(f"{path}: {errors} errors, {len(problems) - errors} notes" if problems else f"{path}: sound")
        if fix:
            click.echo(f"{fix}: written")
    if errors:
        click.get_current_context().exit(1)
