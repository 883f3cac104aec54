"""The one error of the data layer, and files named in the errors of the system."""

import contextlib
import errno
import os


class DataError(ValueError):
    """Data that cannot be used, told in one line: where, which key, what was expected and what was found.

    >>> str(DataError("a.pkl", "annotations[3].keypoint", "float array (M, T, 17, 2)", "(1, 40, 18, 2)"))
    'a.pkl: annotations[3].keypoint: expected float array (M, T, 17, 2), found (1, 40, 18, 2)'
    """

    def __init__(self, source, key="", expected="", found=""):
        super().__init__(str(source), str(key), str(expected), str(found))

    def __str__(self):
        source, key, expected, found = self.args
        tail = ", ".join(part for part in (expected and f"expected {expected}", found and f"found {found}") if part)
        return ": ".join(part for part in (source, key, tail) if part).replace("\n", " ")

    def __reduce__(self):  # crosses process borders unchanged
        return type(self), self.args


@contextlib.contextmanager
def naming(path):
    """An OSError from inside names this file where it names none, as those of a full disk do."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        text = os.strerror(error.errno) if error.errno else " ".join(str(error).split())  # HDF5's have no number
        raise OSError(error.errno or errno.EIO, text, str(path)) from error
