"""The `skelmae` command: a group that imports a command's module only when that command is asked for."""

import contextlib
import difflib
import faulthandler
import importlib
import importlib.util
import logging
import os
import sys
import warnings

import click

COMMANDS = {
    "convert": ("convert", "Recordings of any kind, of most pose estimators too, to one store."),
    "convert-ntu": ("convert_ntu", "Raw NTU RGB+D .skeleton files to one store."),
    "convert-pyskl": ("convert_pyskl", "A PYSKL annotation pickle to one store."),
    "convert-arrays": ("convert_arrays", "CTR-GCN .npz or st-gcn .npy arrays to one store."),
    "convert-csv": ("convert_csv", "A table of joints, one per line, to one store."),
    "export-data": ("export_data", "A store as arrays, JSON or a table that other programs read."),
    "project": ("project", "3D recordings as virtual cameras see them, to one store."),
    "validate": ("validate", "Every problem of a recording, an annotation file, arrays or a store."),
    "show": ("show", "A sequence as a strip or an animation."),
    "info": ("info", "What is in a store, a recording, a run folder or a .keras file."),
    "layouts": ("layouts", "The built-in skeletons, or one of them with its joints, edges and parts."),
    "settings": ("settings", "What --set and --config can change."),
    "weights": ("weights", "The pre-trained backbones that come with the package, and what they were made of."),
    "pretrain": ("pretrain", "Train a SkeletonMAE to reconstruct masked joints."),
    "finetune": ("finetune", "Train an action classifier, from a pre-trained encoder or not."),
    "evaluate": ("evaluate", "Accuracy and confusion of a classifier on a split."),
    "evaluate-timeline": ("evaluate_timeline", "Timelines of long recordings against labelled intervals."),
    "fuse": ("fuse", "Classifiers of several streams as one."),
    "protocol": ("protocol", "Linear probe, kNN, few labels; cross-validation, baselines, robustness."),
    "study": ("study", "The paper's ablation tables on any data set, over seeds."),
    "embed": ("embed", "Feature vectors of sequences."),
    "reconstruct": ("reconstruct", "Masked body parts beside their reconstruction, with the errors."),
    "report": ("report", "One HTML page of a run, or of several beside each other."),
    "predict": ("predict", "Name the action in recordings."),
    "serve": ("serve", "A page on this machine to try a classifier on: drop a recording, see it move."),
    "export": ("export", "Write a classifier as a SavedModel, ONNX, LiteRT or .keras file."),
    "demo": ("demo", "All of the above on built-in synthetic data."),
}
"""Command name -> (module in this package, help line): `skelmae --help` imports none of the modules."""
ANYWHERE = {"--backend": True, "--debug": False}  # options before or behind the command; whether they take a value


def be_quiet():
    """Drop what other libraries say of themselves, so that every line is ours; ``--debug`` leaves it.

    C++ libraries write to file descriptor 2 whatever their log level: it leads nowhere from here on, and sys.stderr
    gets a descriptor of its own. A crash is still told, by faulthandler. Python libraries warn and log.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.suppress(AttributeError, OSError):  # without a standard error, or with a file in memory
        if sys.stderr.fileno() != 2:
            return  # somebody else, such as a notebook, has taken it already
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        sys.stderr.flush()
        kept = {"encoding": sys.stderr.encoding, "errors": sys.stderr.errors, "buffering": 1}
        sys.stderr = os.fdopen(os.dup(2), "w", **kept)
        faulthandler.enable(sys.stderr)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)


def moved_forward(args):
    """The words of a command line with those of ANYWHERE that stand behind the command before it."""
    front, rest, words = [], [], iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word.partition("=")[0] in ANYWHERE:
            value = next(words, None) if ANYWHERE[word.partition("=")[0]] and "=" not in word else None
            front += [word] if value is None else [word, value]
        else:
            rest.append(word)
    return front + rest


class LazyGroup(click.Group):
    """A click.Group that imports a command's module only when it is asked for; each holds one named `command`.

    Args:
        lazy: command name -> (module in this package, help line).
    """

    def __init__(self, *arguments, lazy, **settings):
        super().__init__(*arguments, **settings)
        self.lazy = lazy

    def parse_args(self, ctx, args):
        return super().parse_args(ctx, moved_forward(args))

    def list_commands(self, ctx):
        return [*self.commands, *self.lazy]

    def get_command(self, ctx, cmd_name):
        if cmd_name not in self.lazy:
            return self.commands.get(cmd_name)
        return importlib.import_module(f"skelmae_cli.{self.lazy[cmd_name][0]}").command

    def resolve_command(self, ctx, args):
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], names, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        rows = [(name, command.get_short_help_str(200)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*rows, *((name, text) for name, (_, text) in self.lazy.items())])


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.option(
    "--backend",
    type=click.Choice(["tensorflow", "jax", "torch"]),
    help="What Keras computes with (default: KERAS_BACKEND, ~/.keras/keras.json, then tensorflow).",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and what other libraries say.")
@click.version_option(package_name="keras-skelmae", prog_name="skelmae", message="%(prog)s %(version)s")
def cli(backend, debug):
    """SkeletonMAE for Keras: pre-train on skeleton sequences by masking body parts, then recognise actions.

    \b
    Example:
      skelmae demo
      skelmae convert-ntu nturgb+d_skeletons ntu60.h5
      skelmae pretrain ntu60.h5 --train-split xsub_train --output runs/pre --backend jax

    --backend and --debug may stand behind the command too.
    """
    if backend:
        if importlib.util.find_spec(backend) is None:
            raise click.UsageError(f"--backend {backend}: {backend} is not installed (pip install {backend})")
        os.environ["KERAS_BACKEND"] = backend
    # TensorFlow's data pipeline makes malloc return memory after every step; its own allocator keeps it: 2x on a CPU.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "1")
    if not debug:
        be_quiet()
