"""Expected failures become one line and exit status 1; wrong usage is click's own exit status 2."""

import signal
from contextlib import contextmanager

import click

EXPECTED = (OSError, ModuleNotFoundError, MemoryError, ValueError)
"""What the user's files, settings or machine can cause; DataError, SettingsError and TrainingError are ValueErrors."""


def one_line(error):
    """The error as one line that names the file where the exception knows it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --batch-size or fewer --workers may help"
    return " ".join(str(error).split()) or type(error).__name__


class Stopped(click.ClickException):
    """What a signal stopped in good order, and how it goes on; exit status 128 + number of the signal."""

    def __init__(self, text, number, goes_on):
        super().__init__("; ".join(filter(None, (text, goes_on))))
        self.exit_code = 128 + number


@contextmanager
def expected_errors(debug=False, goes_on=""):
    """Raise expected failures again as click.ClickException (exit status 1); with `debug` they stay as they are.

    Args:
        goes_on: how a command that was stopped goes on; "" where it begins again, which needs no word.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if not goes_on:
            raise
        raise Stopped("stopped by SIGINT", signal.SIGINT, goes_on) from error
    except BrokenPipeError:
        raise  # click ends quietly when the reader of our output has gone
    except Exception as error:
        if type(error).__name__ == "Interrupted":  # by name, so that nothing heavy is imported
            raise Stopped(one_line(error), error.number, goes_on) from error
        if debug or not isinstance(error, EXPECTED):
            raise
        raise click.ClickException(one_line(error)) from error
