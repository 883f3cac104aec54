"""Who is in a sample and how it was recorded: numbers, or names of subjects, which a store numbers as its classes."""

import numpy as np

from ..errors import DataError

EXPECTED = dict.fromkeys(("subject", "camera", "setup"), "a whole number")
EXPECTED["subject"] += " or a name without , and ;"  # these stand between subjects of an expression


def is_whole(value):
    """Whether a value is a whole number, NumPy's too, and no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_fact(key, value):
    """Whether a value can be a sample's subject, camera or setup: a whole number, -1 for none; a subject has a name."""
    if key == "subject" and isinstance(value, str):
        return bool(value.strip()) and value.isprintable() and not set(value) & set(",;")
    return is_whole(value) and -1 <= value < 2**31


def numbered_subjects(values, source):
    """(numbers, names) of subjects, -1 unknown: as they are and [] where none has a name, else all have, sorted.

    Raises: DataError, naming the source, where two names differ in capitals and spaces alone: one person or two?
    """
    if not any(isinstance(value, str) for value in values):
        return list(values), []
    names = sorted({str(value) for value in values if value != -1})
    alike = {}
    for name in names:
        first = alike.setdefault("".join(name.split()).casefold(), name)
        if first != name:
            raise DataError(source, "subject", "one spelling for each person", f"{first!r} and {name!r}")
    places = {name: number for number, name in enumerate(names)}
    return [-1 if value == -1 else places[str(value)] for value in values], names
