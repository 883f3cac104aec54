"""The `skelmae` command: a group that imports a command's module only when that command is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import os

import click

COMMANDS = {
    "convert-ntu": ("convert_ntu", "Raw NTU RGB+D .skeleton files to one store."),
    "convert-pyskl": ("convert_pyskl", "A PYSKL annotation pickle to one store."),
    "convert-arrays": ("convert_arrays", "CTR-GCN .npz or st-gcn .npy arrays to one store."),
    "convert-csv": ("convert_csv", "A table of joints, one a line, to one store."),
    "validate": ("validate", "Every problem of a recording, an annotation file, arrays or a store."),
    "show": ("show", "A sequence as a strip or an animation."),
    "info": ("info", "What is in a store, a run folder or a .keras file."),
    "pretrain": ("pretrain", "Train a SkeletonMAE to reconstruct masked joints."),
    "finetune": ("finetune", "Train an action classifier, from a pre-trained encoder or not."),
    "evaluate": ("evaluate", "Accuracy and confusion of a classifier on a split."),
    "fuse": ("fuse", "Classifiers of several streams as one."),
    "protocol": ("protocol", "Linear probe, kNN, retrieval, fine-tuning with few labels, over seeds."),
    "study": ("study", "The paper's ablation tables on any data set, over seeds."),
    "embed": ("embed", "Feature vectors of sequences."),
    "reconstruct": ("reconstruct", "Masked body parts beside their reconstruction, with the errors."),
    "report": ("report", "One HTML page of a run, or of several beside each other."),
    "predict": ("predict", "Name the action in recordings."),
    "export": ("export", "Write a classifier as a SavedModel, ONNX, LiteRT or .keras file."),
    "demo": ("demo", "All of the above on built-in synthetic data."),
}
"""Command name -> (module in this package, help line): `skelmae --help` imports none of the modules."""

BACKENDS = ("tensorflow", "jax", "torch")


class LazyGroup(click.Group):
    """A click.Group whose commands come from COMMANDS; each module holds one command named `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"skelmae_cli.{COMMANDS[cmd_name][0]}").command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"skelmae {version('keras-skelmae')}")
    except PackageNotFoundError:
        click.echo("skelmae (not installed)")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="What Keras computes with (default: KERAS_BACKEND, ~/.keras/keras.json, then tensorflow).",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli(backend: str | None, debug: bool) -> None:
    """SkeletonMAE for Keras: pre-train on skeleton sequences by masking body parts, then recognise actions.

    \b
    Example:
      skelmae demo
      skelmae convert-ntu nturgb+d_skeletons ntu60.h5
      skelmae --backend jax pretrain ntu60.h5 --split xsub_train --output runs/pre
    """
    if backend:
        if importlib.util.find_spec(backend) is None:
            raise click.UsageError(f"--backend {backend}: {backend} is not installed (pip install {backend})")
        os.environ["KERAS_BACKEND"] = backend
    # TensorFlow's data pipeline makes malloc return memory after every step; its own allocator keeps it: 2x on a CPU.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")
    if not debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
