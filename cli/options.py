"""The kind of command all of them are, the options that several share, and the inputs they name."""

import math
import os
from functools import partial
from pathlib import Path

import click

from .errors import expected_errors

RESUME, SAME_COMMAND = "--resume goes on", "the same command goes on"  # of what was stopped


def not_blank(context, parameter, path):
    """Callback of a path: a blank one, as of a shell variable that is not set, would be the folder one is in."""
    if path is not None and not str(path).strip():
        raise click.BadParameter(f"expected a path, found {str(path)!r}", context, parameter)
    return path


class Named(click.Path):
    """A path that is not blank."""

    def __init__(self, **settings):
        super().__init__(path_type=Path, **settings)

    def convert(self, value, param, ctx):
        return super().convert(not_blank(ctx, param, value), param, ctx)


class Existing(Named):
    """A file, folder or either ("path"). If it is missing that is bad data, not bad usage, so parsing does not look."""

    def __init__(self, kind, stdin=False):
        super().__init__(allow_dash=stdin)
        self.kind = kind

    def check(self, path):
        """OSError that names the path, unless it is what it should be."""
        if self.allow_dash and path == Path("-"):
            return
        if not path.exists():
            raise FileNotFoundError(2, f"no such {self.kind.replace('path', 'file or folder')}", str(path))
        if self.kind == "folder" and not path.is_dir():
            raise NotADirectoryError(20, "expected a folder, found a file", str(path))
        if self.kind == "file" and path.is_dir():
            raise IsADirectoryError(21, "expected a file, found a folder", str(path))


class Model(Existing):
    """A run folder or a .keras file."""

    def check(self, path):
        super().check(path)
        from skelmae_datasets.runs.run_folder import model_file

        model_file(path)


class Pretrained(Model):
    """A run folder, a .keras file, or the name of a published backbone."""

    def check(self, path):
        from skelmae_datasets.runs.published import is_published, published

        if not is_published(path):
            if not path.exists():
                raise FileNotFoundError(2, f"no such file, folder or one of {', '.join(published())}", str(path))
            super().check(path)


FILE, FOLDER, PATH, MODEL = Existing("file"), Existing("folder"), Existing("path"), Model("path")
PRETRAINED = Pretrained("path")


class Command(click.Command):
    """A command that looks for its inputs first, and whose expected failures are one line.

    Args:
        goes_on: how it goes on after it was stopped, such as RESUME; "" for one that keeps nothing.
    """

    def __init__(self, *arguments, goes_on="", **settings):
        super().__init__(*arguments, **settings)
        self.goes_on = goes_on

    def invoke(self, ctx):
        again = ctx.params.get("resume") is False and self.goes_on == SAME_COMMAND  # --no-resume
        goes_on = f"{SAME_COMMAND}, without --no-resume" if again else self.goes_on
        with expected_errors(ctx.find_root().params.get("debug", False), goes_on):
            inputs = []
            for parameter in self.params:
                value = ctx.params.get(parameter.name)
                if isinstance(parameter.type, Existing) and value is not None:
                    for path in value if isinstance(value, tuple) else [value]:
                        parameter.type.check(path)
                        inputs.append(path)
            output = ctx.params.get("output")
            if isinstance(output, Path) and any(_same_file(output, path) for path in inputs):
                raise click.UsageError(f"--output: expected another file than the input {output}", ctx)
            if isinstance(output, Path) and _is_of_run(output, self.name):
                expected = "a file that is none of a run folder's own"
                raise click.UsageError(f"--output: expected {expected}, found {output}; choose another name", ctx)
            if isinstance(output, Path):
                _check_place(output)
            return super().invoke(ctx)


def _check_place(output):
    """OSError that names the folder in or below which an output is to be, where it is none or not to be written to."""
    place = output.absolute() if output.is_dir() else output.absolute().parent
    place = next(folder for folder in (place, *place.parents) if folder.exists())
    FOLDER.check(place)
    if not os.access(place, os.W_OK):
        raise PermissionError(13, "expected a folder that may be written to; choose another output", str(place))


def _same_file(output, path):
    return output.is_file() and str(path) != "-" and Path(path).exists() and output.samefile(path)


def _is_of_run(output, command_name):
    """Whether a file is one of those that a run consists of; the report is free to its own command."""
    from skelmae_datasets.runs import run_folder as of

    place = output.resolve()
    own = place.name in of.FILES and of.is_run(place.parent)
    return own and not (place.name == of.REPORT and command_name == "report")


command = partial(click.command, cls=Command)


def options(*decorators):
    """Several options as one decorator, in the order of --help."""

    def decorate(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


class FloatRange(click.FloatRange):
    """A number in a range; infinity and not-a-number are none."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"expected a finite number, found {value!r}", param, ctx)
        return number


class Recipe(click.ParamType):
    """The name of a recipe. Which there are is looked up when one is used: --help imports nothing heavy."""

    name = "recipe"

    def convert(self, value, param, ctx):
        from skelmae_datasets.runs.settings import RECIPES

        return click.Choice(RECIPES).convert(value, param, ctx)


def key_values(context, parameter, values):
    """Callback of an option: every value must be KEY=VALUE."""
    for value in values:
        key, equals, _ = value.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"expected key=value, found {value!r}", context, parameter)
    return values


def numbers(kind, least=None, repeats=False):
    """Callback of an option: "0,1,2" as a tuple of `kind`; None where it is not given and has no default.

    Where a number is a measurement, one that repeats would count twice and is refused.
    """

    def parse(_context, _parameter, text):
        try:
            found = None if text is None else tuple(kind(part) for part in text.split(","))
        except ValueError:
            raise click.BadParameter(f"expected numbers with commas between them, found {text!r}") from None
        if found and kind is float and not all(map(math.isfinite, found)):
            raise click.BadParameter(f"expected finite numbers, found {text!r}")
        if found and least is not None and min(found) < least:
            raise click.BadParameter(f"expected {least} or more, found {text!r}")
        if found and not repeats and len(set(found)) < len(found):
            raise click.BadParameter(f"expected each number once, found {text!r}")
        return found

    return parse


# === Inputs and outputs ===

STORES = (".h5", ".hdf5")  # suffixes of a store
data_argument = click.argument("data", type=FILE, metavar="DATA.h5")
stores_argument = click.argument("data", type=PATH, nargs=-1, required=True, metavar="DATA.h5...")


def store_name(context, parameter, path):
    """Callback of a store that is written: by another name it would not be known as one."""
    if path is not None and path.suffix.lower() not in STORES:
        raise click.BadParameter(
            f"expected a name that ends in {' or '.join(STORES)}, found {path.name!r}", context, parameter
        )
    return path


store_output = click.argument("output", type=Named(), callback=store_name, metavar="OUT.h5")
json_flag = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def output_file(text, **settings):
    """--output FILE."""
    kind = Named(dir_okay=False)
    return click.option("--output", type=kind, help=text, **{"metavar": "FILE", **settings})


def output_folder(text, **settings):
    """--output of a folder; required unless there is a default."""
    kind, settings = Named(file_okay=False), {"metavar": "RUN", **settings}
    return click.option("--output", type=kind, required="default" not in settings, help=text, **settings)


def split_option(kind, text, required=True):
    """--KIND-split NAME."""
    return click.option(f"--{kind}-split", required=required, metavar="NAME", help=text)


def open_data(paths, labelled=True):
    """The stores of these paths and folders as one; without `labelled` they may be of different classes."""
    import skelmae_datasets

    files = [file for path in paths for file in (_stores_in(path) if path.is_dir() else [path])]
    if len(files) == 1:
        return skelmae_datasets.SkeletonStore(files[0])
    return skelmae_datasets.StoreSet(files, labelled)


def _stores_in(folder):
    """The stores of a folder, in the order of their names; hidden files are none."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in STORES and not path.name.startswith(".")]
    if not found:
        raise FileNotFoundError(2, f"no {' or '.join(STORES)} file in this folder", str(folder))
    return sorted(found)


# === Conversions ===


def _size(context, parameter, text):
    """Callback of --image-size: "1920,1080" as two whole numbers."""
    if text is None:
        return None
    sides = text.replace("x", ",").split(",")
    if len(sides) != 2 or not all(side.strip().isdecimal() and int(side) > 0 for side in sides):
        raise click.BadParameter(f"expected width,height in pixels, found {text!r}", context, parameter)
    return int(sides[0]), int(sides[1])


image_size_option = click.option(
    "--image-size",
    metavar="W,H",
    callback=_size,
    help="Width and height of the image in pixels, by which coordinates of 0 to 1 become pixels.",
)

axes_options = options(
    click.option(
        "--unit",
        type=click.Choice(["m", "cm", "mm", "in"]),
        help="Unit of x, y, z, which become metres (default: as the file says, or as the body's size tells).",
    ),
    click.option(
        "--up",
        type=click.Choice(["x", "y", "z", "-x", "-y", "-z"]),
        help="Axis of x, y, z that points up: they are turned so that y does (default: y; of motion capture as head "
        "and feet tell).",
    ),
)

classes_option = click.option("--classes", type=FILE, metavar="FILE", help="Class names, one per line, in label order.")
strict_flag = click.option("--strict", is_flag=True, help="Stop at the first bad sample instead of leaving it out.")


force_flag = click.option("--force", is_flag=True, help="Replace OUT.h5 although it is no store.")
channels_option = click.option(
    "--channels", metavar="x,y,...", help="What to read or, where in doubt, what a joint's values are, such as x,y,z."
)


def layout_option(default):
    """--layout; `default` says what holds without it."""
    text = f"Skeleton layout, built in or your own (default: {default})."
    return click.option("--layout", metavar="NAME|FILE.toml", help=text)


to_option = click.option(
    "--to",
    metavar="NAME|FILE.toml",
    help="Layout to read the joints in, by their names: what is derived or missing is told.",
)


def people_option(order, **settings):
    """--people; `order` says who is kept."""
    return click.option(
        "--people", type=click.IntRange(1), help=f"Most people kept in a sequence, {order}.", **settings
    )


# === Trainings ===


def pretrained_option(text):
    """--pretrained of a training; `text` says what becomes of it."""
    return click.option(
        "--pretrained",
        type=PRETRAINED,
        metavar="RUN|FILE|NAME",
        help=f"Pre-training run, a .keras file, or weights of the package, see `skelmae weights`{text} (default: "
        "random).",
    )


set_option = partial(click.option, multiple=True, metavar="KEY=VALUE", callback=key_values)
overlap_flag = click.option(
    "--allow-overlap", is_flag=True, help="Go on where sequences that are trained on are measured too; it flatters."
)
report_flag = click.option("--report/--no-report", default=True, help="Write RUN/report.html and the figures in it.")
settings_options = options(
    click.option(
        "--recipe",
        type=Recipe(),
        help="Where to start: small, strong or paper (default: that of --pretrained; small, from 5000 training "
        "sequences on strong).",
    ),
    click.option("--config", "config_file", type=FILE, metavar="FILE.toml", help="Settings of a file, or of a run."),
    set_option(
        "--set",
        "overrides",
        help="Change one setting; may be repeated, the last value counts. `skelmae settings` lists them.",
    ),
    click.option("--epochs", type=click.IntRange(1), help="Passes over the training split."),
    click.option("--batch-size", type=click.IntRange(1), help="Sequences in a batch."),
)
training_options = options(
    settings_options,
    click.option("--seed", type=click.IntRange(0), help="Seed of the weights, order, masks and noise."),
    click.option(
        "--resume",
        is_flag=True,
        help="Continue the run in RUN from its last checkpoint, with its settings; with "
        "--epochs longer than it was begun with, unless its rate falls by a cosine.",
    ),
    click.option("--force", is_flag=True, help="With --resume: although the data are other ones now."),
    click.option(
        "--checkpoint-minutes",
        "minutes",
        type=FloatRange(min=0),
        metavar="N",
        help="Longest time between two checkpoints (default: 10); there is one after each epoch anyway.",
    ),
    report_flag,
    click.option("--tensorboard", is_flag=True, help="Write TensorBoard logs to RUN/tensorboard."),
    click.option(
        "--mixed-precision",
        "dtype_policy",
        type=click.Choice(["float16", "bfloat16"]),
        callback=lambda _context, _parameter, value: value and f"mixed_{value}",
        help="Compute in this; weights, losses and the saved model stay float32.",
    ),
    click.option(
        "--jit",
        "jit_compile",
        type=click.Choice(["auto", "on", "off"]),
        help="Compile the training step with XLA or torch.compile (default: where Keras does).",
    ),
    click.option(
        "--devices",
        type=click.IntRange(1),
        metavar="N",
        help="Devices that share each batch; JAX only, see docs/backends.md.",
    ),
    json_flag,
)
seeds_options = options(
    click.option("--seeds", default="0", callback=numbers(int, least=0), metavar="N,N,...", help="Seeds."),
    click.option("--resume/--no-resume", default=True, help="Continue an interrupted training, or begin it again."),
    settings_options,
    json_flag,
)
SETTINGS = ("epochs", "batch_size", "seed", "dtype_policy", "jit_compile")  # options that are settings by themselves


def recipe_of(chosen, count, pretrained=None):
    """The recipe asked for, or the one for `count` training sequences, or of what was pre-trained."""
    from skelmae_datasets.runs.settings import recipe_for

    return chosen["recipe"] or recipe_for(count, pretrained)


def settings_of(stage, recipe, chosen, overrides=(), check=True, usual=None, decided=None):
    """The Settings that the options of `settings_options` ask for; `overrides` stand in place of theirs."""
    from skelmae_datasets.runs.settings import parse_override, resolve_settings

    own = {parse_override(text)[0] for text in overrides}
    given = {key: chosen.get(key) for key in SETTINGS if key not in own}
    texts = (*chosen["overrides"], *overrides)
    return resolve_settings(stage, recipe, chosen["config_file"], texts, check, usual, decided=decided, **given)
