"""Results of single trainings that an experiment keeps, and takes again when its command is given again."""

import numpy as np

from skelmae_datasets import DataError
from skelmae_datasets.files import read_json


def read_result(file, made_from, numbers, rows=None):
    """A result.json of this version, of what is asked for now.

    Args:
        file: Path of it. made_from: dict of what it must have been made from. numbers: keys that hold one.
        rows: None, or dict of further keys to how many numbers, or rows of as many, each holds.

    Raises:
        DataError: naming the key that is missing or damaged, or was made from something else.
    """
    result = read_json(file)
    for key in numbers:
        if not isinstance(result.get(key), int | float):
            raise DataError(file, key, "a number, as this version writes it", f"none; remove {file.parent}")
    before = result.get("made_from")
    for key, value in made_from.items():
        if not isinstance(before, dict) or before.get(key) != value:
            raise DataError(file, key, "what is asked for now", "a result of something else; choose another --output")
    for key, count in (rows or {}).items():
        if not _is_table(result.get(key), count):
            raise DataError(file, key, f"numbers for each of {count} clips", f"something else; remove {file.parent}")
    return result


def _is_table(value, count):
    try:
        rows = np.array(value)
    except ValueError:  # rows of several lengths
        return False
    return len(np.atleast_1d(rows)) == count and rows.dtype.kind in "fi"
