"""`skelmae info`: what is in a store, a run folder or a .keras file."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import echo_json, existing_path, json_flag, require

STORE_SUFFIXES = {".h5", ".hdf5"}
LISTED = 8


def _short(value) -> str:
    if isinstance(value, (list, tuple)):
        texts = [_short(entry) for entry in value[:LISTED]]
        return ", ".join(texts) + (f", ... ({len(value)})" if len(value) > LISTED else "")
    if isinstance(value, dict):
        return ", ".join(f"{key}={_short(entry)}" for key, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _echo(description: dict, indent: str = "") -> None:
    width = max((len(str(key)) for key in description), default=0)
    for key, value in description.items():
        if isinstance(value, dict) and value:
            click.echo(f"{indent}{key}")
            _echo(value, indent + "  ")
        else:
            click.echo(f"{indent}{str(key).ljust(width)}  {_short(value)}".rstrip())


@click.command("info")
@click.argument("path", type=existing_path)
@json_flag
@expected_errors
def command(path: Path, as_json: bool):
    """Describe PATH: a store (.h5), a run folder or a saved model (.keras).

    \b
    Example:
      skelmae info ntu60.h5
      skelmae info runs/fine/model.keras --json
    """
    require(path, "any")
    if path.suffix.lower() in STORE_SUFFIXES:
        from skelmae_datasets import describe_store as describe
    else:
        from keras_skelmae.training import describe
    description = describe(path)
    if as_json:
        echo_json(description)
    else:
        _echo(description)
