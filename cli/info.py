"""`skelmae info`: what is in a store, a run folder or a .keras file."""

import click

from . import options
from .printing import echo

LISTED = 8


def _short(value):
    if isinstance(value, (list, tuple)):
        texts = [_short(entry) for entry in value[:LISTED]]
        return ", ".join(texts) + (f", ... ({len(value)})" if len(value) > LISTED else "")
    if isinstance(value, dict):
        return ", ".join(f"{key}={_short(entry)}" for key, entry in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lines(description, indent=""):
    width = max((len(str(key)) for key in description), default=0)
    for key, value in description.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, str) and "\n" in value:
            yield f"{indent}{key}"
            yield from (f"{indent}  {line}".rstrip() for line in value.splitlines())
        else:
            yield f"{indent}{str(key).ljust(width)}  {_short(value)}".rstrip()


def _describe(path):
    """The description; only a .keras file takes Keras."""
    from skelmae_datasets import describe_recordings, describe_store
    from skelmae_datasets.runs.run_folder import describe_run, is_run
    from skelmae_datasets.runs.saved_model import read_saved

    if path.is_dir() and is_run(path):
        return describe_run(path)
    if path.suffix.lower() == ".h5":
        return describe_store(path)
    if path.suffix.lower() != ".keras":
        return describe_recordings(path)
    read_saved(path)

    from keras_skelmae.evaluation import describe

    return describe(path)


@options.command("info")
@click.argument("path", type=options.PATH)
@options.json_flag
def command(path, as_json):
    """Describe PATH: a store (.h5), anything that `skelmae convert` reads, a run folder or a saved model (.keras).

    \b
    Example:
      skelmae info ntu60.h5
      skelmae info runs/fine/model.keras --json
    """
    description = _describe(path)
    echo(description, as_json, lambda: "\n".join(_lines(description)))
