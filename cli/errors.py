"""Expected failures become one line and exit status 1; wrong usage is click's own exit status 2."""

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
    """A training that a signal stopped in good order; exit status 128 + number of the signal."""

    def __init__(self, error):
        super().__init__(one_line(error))
        self.exit_code = 128 + error.number


@contextmanager
def expected_errors(debug=False):
    """Raise expected failures again as click.ClickException (exit status 1); with `debug` they stay as they are."""
    try:
        yield
    except BrokenPipeError:
        raise  # click ends quietly when the reader of our output has gone
    except Exception as error:
        if type(error).__name__ == "Interrupted":  # by name, so that nothing heavy is imported
            raise Stopped(error) from error
        if debug or not isinstance(error, EXPECTED):
            raise
        raise click.ClickException(one_line(error)) from error
