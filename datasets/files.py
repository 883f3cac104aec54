"""Files that are written whole or not at all, JSON files, and digests."""

import contextlib
import glob
import hashlib
import json
import os
import tempfile
from pathlib import Path

from .errors import DataError, naming

TEMPORARY = ".part-"  # how the names of unfinished files begin


def current_umask():
    """Which permissions new files go without; it can only be read by setting it."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`, to be written and closed inside; then it becomes `path`.

    On an error `path` stays as it was and nothing is left behind. The content is on the disk before the name is: a
    power cut leaves the old file or the new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.stem}-", suffix=path.suffix)
    except OSError as error:  # names a file that nobody asked for
        raise type(error)(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    try:
        yield temporary
        with naming(path):
            os.chmod(temporary, 0o666 & ~current_umask())  # a temporary file is for its owner alone
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def leftovers(path):
    """The temporary files of `path` that killed writers left behind, a list."""
    path = Path(path)
    random = "?" * 8  # of mkstemp
    return list(path.parent.glob(f"{TEMPORARY}{glob.escape(path.stem)}-{random}{glob.escape(path.suffix)}"))


def write_atomically(path, write):
    """Call `write(temporary path)` and move that file to `path`, as `replacing` does."""
    with replacing(path) as temporary, naming(path):
        write(temporary)


def write_text(path, text):
    """Write text atomically."""
    write_atomically(path, lambda temporary: Path(temporary).write_text(text, "utf-8"))


def write_json(path, content, indent=2):
    """Write a JSON-able value atomically."""
    write_text(path, json.dumps(content, indent=indent) + "\n")


def read_json(path, missing_ok=False):
    """The JSON object in a file; with `missing_ok` None where there is no file.

    Raises: DataError where the file holds something else, OSError where it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        if missing_ok:
            return None
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(path, "", "JSON", error) from None
    if not isinstance(content, dict):
        raise DataError(path, "", "a JSON object", type(content).__name__)
    return content


def file_digest(path):
    """SHA-256 of a file, as hexadecimal text; None for None."""
    if path is None:
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(path):
    """Yield (folder, sorted names of its files), hidden ones left out; links are followed, to a folder once."""
    folders, seen = [Path(path)], set()
    while folders:
        folder = folders.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
        yield folder, sorted(entry.name for entry in shown if entry.is_file())
        below = sorted(entry.name for entry in shown if entry.is_dir())
        folders += [folder / name for name in reversed(below)]
