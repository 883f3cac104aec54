"""Labels of any file to class names and numbers: one rule for every reader, and never a silent shift."""

import re

import numpy as np

from ..benchmarks import unique_names

_NUMBER = re.compile(r"-?\d{1,10}(\.0*)?", re.ASCII)
_NONE = ("", "nan", "NaN", "<NA>")
_MAX_LABEL = 2**31


def plain(value):
    """A value in another type as a plain one: 24.0 as 24, an array of one number as that number, bytes as text."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        value = value.reshape(-1)[0].item()
    if isinstance(value, list | tuple) and len(value) == 1:
        value = plain(value[0])
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain_label(value):
    """A label as a whole number from 0, a class name, or -1 for none; None for what cannot be one."""
    value = plain(value)
    if isinstance(value, str):
        value = value.strip()
        if _NUMBER.fullmatch(value):
            value = int(float(value))
        else:
            return -1 if value in _NONE else value
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return -1
    return value if isinstance(value, int) and not isinstance(value, bool) and -1 <= value < _MAX_LABEL else None


class LabelNote(str):
    """A note of a conversion on classes, labels or splits: it says nothing of how joints were read."""


class ClassTable:
    """Class names in label order, and the number of each label.

    Args:
        labels: those of the file, as `plain_label` gives them; -1 and None are passed over.
        names: class names in label order; None where there are none: classes are then called by their labels.
    Attributes: names, a list; originals, the labels in order where they were renumbered, else None; notes, a list.
    """

    def __init__(self, labels, names=None):
        labels = {label for label in labels if label is not None and label != -1}
        numbers = sorted(label for label in labels if isinstance(label, int))
        texts = sorted(label for label in labels if isinstance(label, str))
        self.notes, self.originals, self._first = [], None, 0
        if names is None:
            order = numbers if not texts else sorted({str(label) for label in labels})
            self.names = [str(label) for label in order]
            if not texts and order != list(range(len(order))):
                self.originals = order
                told = ", ".join(self.names[:4]) + ("..." if len(order) > 4 else "")
                text = f"labels are not 0 to {len(order) - 1}: the classes are called by them, {told}"
                self.notes.append(LabelNote(text))
        else:
            self.names = unique_names(names)
            if numbers and not all(str(label) in self.names for label in numbers):
                self._count_from(numbers)
        self._numbers = {name: index for index, name in enumerate(self.names)}

    def _count_from(self, numbers):
        """Whether labels that are numbers count from 0 or 1."""
        names = self.names
        if numbers[0] == 1 and numbers[-1] == len(names):
            self._first = 1
            text = f"labels count from 1 to {len(names)}: 1 is {names[0]!r}, {len(names)} is {names[-1]!r}"
            self.notes.append(LabelNote(text))
        elif numbers[0] > 0 and numbers[-1] < len(names):
            text = f"no label is 0: they are counted from 0, so {numbers[0]} is {names[numbers[0]]!r}"
            self.notes.append(LabelNote(text))

    def number(self, label):
        """The class number of a label; -1 for none, None where it is no class."""
        if label == -1 or label is None:
            return label
        if str(label) in self._numbers:
            return self._numbers[str(label)]
        index = label - self._first if isinstance(label, int) else -1
        return index if 0 <= index < len(self.names) else None
