"""Labels of any file to class names and numbers: one rule for every reader, and never a silent shift."""

import re

import numpy as np

from ..benchmarks import unique_names
from ..errors import DataError

_NUMBER = re.compile(r"-?\d{1,10}(\.0*)?", re.ASCII)
_WHOLE = re.compile(r"(0|[1-9]\d{0,9})(\.0*)?", re.ASCII)  # 3 and, as programs write floats, 3.0; not 003
_NONE = re.compile(r"|nan|NaN|<NA>|-1(\.0*)?")
_MAX_LABEL = 2**31
_TOLD = 4  # labels that a note has


def plain(value):
    """A value in another type as a plain one: 24.0 as 24, an array of one number as that number, bytes as text."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        value = value.reshape(-1)[0].item()
    if isinstance(value, list | tuple) and len(value) == 1:
        value = plain(value[0])
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def label_of(value):
    """A label as it is written: a whole number from 0, a text (001 too), or -1 for none; None for what cannot be one.

    What a text of digits means is for the ClassTable of the whole input to say.
    """
    value = plain(value)
    if isinstance(value, str):
        value = value.strip()
        return -1 if _NONE.fullmatch(value) else value
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return -1
    return value if isinstance(value, int) and not isinstance(value, bool) and -1 <= value < _MAX_LABEL else None


def plain_label(value):
    """As `label_of`, a number that is written as text as that number: of a joint, a subject, a camera."""
    label = label_of(value)
    number = _value(label) if isinstance(label, str) else None
    return label if number is None else number if -1 <= number < _MAX_LABEL else None


def _value(label):
    """The number that a label is or is written as; None for words."""
    if isinstance(label, str):
        return int(float(label)) if _NUMBER.fullmatch(label) else None
    return label


class LabelNote(str):
    """A note of a conversion on classes, labels or splits: it says nothing of how joints were read."""


class ClassTable:
    """Class names in label order, and the number of each label: how labels are read is decided once for all of them.

    Texts are names where all of them are, or one is a word: each is then the class that is called exactly so. Other
    texts, and whole numbers, are places of classes counted from 0 or 1; only where these cannot be are they names.

    Args:
        labels: all of the input, as `label_of` gives them; -1 and None are passed over.
        names: class names in label order; None where there are none: classes are then called by their labels.
    Attributes: names, a list; originals, the labels in order where they were renumbered, else None; notes, a list.
    Raises: DataError where numbers may be places or names, and would be other classes.
    """

    def __init__(self, labels, names=None):
        labels = {label for label in labels if label is not None and label != -1}
        texts = {label for label in labels if isinstance(label, str)}
        self.notes, self.originals, self._first, self._by_place = [], None, 0, False
        self.names = self._called(labels) if names is None else unique_names(names)
        self._named = {name: place for place, name in enumerate(self.names)}
        self._valued = _places_of_values(self.names)
        self._by_name = texts <= set(self.names) or any(_value(text) is None for text in texts)
        if names is not None:
            self._count(sorted({_value(label) for label in (labels - texts if self._by_name else labels)}))

    def _called(self, labels):
        """Names of the classes that labels themselves tell; numbers in their order, 3.0 called 3."""
        written, values = {str(label) for label in labels}, {_value(label) for label in labels}
        if not all(map(_WHOLE.fullmatch, written)) or len(values) < len(written):
            return sorted(written, key=lambda name: (0 if None in values else _value(name), name))
        order = sorted(values)
        if order != list(range(len(order))):
            self.originals = order
            told = ", ".join(map(str, order[:_TOLD])) + ("..." if len(order) > _TOLD else "")
            self._note(f"labels are not 0 to {len(order) - 1}: the classes are called by them, {told}")
        return list(map(str, order))

    def _count(self, numbers):
        """Decide whether numbers are places of classes, from 0 or 1, or names."""
        if not numbers:
            return
        self._first = int(numbers[0] == 1 and numbers[-1] == len(self.names))
        places, names = list(map(self._placed, numbers)), list(map(self._valued.get, numbers))
        doubt = [numbers[i] for i in range(len(numbers)) if names[i] is not None and names[i] != places[i]]
        found, others = (sum(place is not None for place in part) for part in (places, names))
        if doubt and found == others:
            self._refuse(doubt[0])
        self._by_place = found >= others
        if self._by_place and places != names:
            self._tell_places(numbers, doubt)

    def _refuse(self, number):
        """Raise the DataError of a number that is one class by its place and another by its name."""
        place, name = self._placed(number), self._valued[number]
        first = "no class" if place is None else repr(self.names[place])
        expected = "numbers that are one class, by place or by name (--classes with words decides)"
        raise DataError("labels", "", expected, f"{number}: {first} by place, {self.names[name]!r} by name")

    def _tell_places(self, numbers, doubt):
        """Note how numbers are counted where there was a choice."""
        names, first, last = self.names, numbers[0], numbers[-1]
        if self._first:
            self._note(f"labels count from 1 to {len(names)}: 1 is {names[0]!r}, {len(names)} is {names[-1]!r}")
        elif first > 0 and last < len(names):
            self._note(f"no label is 0: they are counted from 0, so {first} is {names[first]!r}")
        elif doubt:
            self._note(f"labels are places of classes from 0, not names: {doubt[0]} is {names[doubt[0]]!r}")

    def _note(self, text):
        self.notes.append(LabelNote(text))

    def _placed(self, number):
        """The class at the place that a number tells; None without one."""
        return number - self._first if 0 <= number - self._first < len(self.names) else None

    def number(self, label):
        """The class number of a label; -1 for none, None where it is no class."""
        if label == -1 or label is None:
            return label
        if isinstance(label, str) and self._by_name:
            return self._named.get(label)
        value = _value(label)
        return None if value is None else self._placed(value) if self._by_place else self._valued.get(value)


def _places_of_values(names):
    """{number: place} of the names that are numbers; 1 goes before 01."""
    found = {}
    for place, name in enumerate(names):
        value = _value(name)
        if value is not None and (value not in found or name == str(value)):
            found[value] = place
    return found
