"""Expected failures become one line and exit status 1; wrong usage is click's own exit status 2."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable

import click


def debugging() -> bool:
    """True under `skelmae --debug`, where failures keep their traceback."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().params.get("debug"))


def _is_expected(error: BaseException) -> bool:
    """Whether `error` says something about the user's files or settings rather than about a bug.

    OSError, and the ValueErrors this project raises: DataError and ConfigError by type, a plain ValueError by
    where it was raised. The modules are compared by name, so that nothing heavy is imported to find out.
    """
    if isinstance(error, BrokenPipeError):
        return False  # click ends quietly when the reader of our output has gone
    if isinstance(error, (OSError, ModuleNotFoundError, MemoryError)):
        return True
    if not isinstance(error, ValueError):
        return False
    ours = ("keras_skelmae", "skelmae_datasets", "skelmae_cli")
    if type(error).__module__.partition(".")[0] in ours:
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__")).partition(".")[0] in ours


def one_line(error: BaseException) -> str:
    """The error as one line that names the file where the exception knows it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --batch-size or fewer --workers may help"
    return " ".join(str(error).split()) or type(error).__name__


class Stopped(click.ClickException):
    """A training that a signal stopped in good order; exit status 128 + number of the signal."""

    def __init__(self, error: Exception, number: int):
        super().__init__(one_line(error))
        self.exit_code = 128 + number


def expected_errors(function: Callable) -> Callable:
    """Decorate a command: its expected failures are raised again as click.ClickException (exit status 1)."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if type(error).__name__ == "Interrupted":  # by name, so that nothing heavy is imported
                raise Stopped(error, error.number) from error
            if debugging() or not _is_expected(error):
                raise
            raise click.ClickException(one_line(error)) from error

    return wrapper
