"""Several stores read as one, nothing copied: a data set may be as many files as its conversion had workers."""

import hashlib
from pathlib import Path

import numpy as np

from ..errors import DataError
from .facts import numbered_subjects
from .store import SELECTORS, SkeletonStore

_ALIKE = ("layout", "classes", "channels", "units")
BETWEEN = ";"  # stands between the expressions for each of several stores


class StoreSet(SkeletonStore):
    """Stores of the same layout, classes, channels and units, one after the other, as one SkeletonStore.

    Samples are numbered through in the order of the files; a split is the union of the files' splits of that name, and
    "train1;all" is one expression for each file. Ids must be different. Opening reads the tables of all files,
    keypoints are read from the file that has them.

    Args:
        paths: one or more paths of stores.
        labelled: False lets classes differ: several data sets as one, without classes and labels then.

    Raises:
        DataError: naming the file that differs from the first and in what.
    """

    def __init__(self, paths, labelled=True):
        self.labelled = labelled
        self.paths = [Path(path) for path in paths]
        if not self.paths:
            raise ValueError("stores: expected at least one, found none")
        self.stores, self.mapping, self.left_out = [], None, []
        try:
            for path in self.paths:
                self.stores.append(SkeletonStore(path))
            self._join()
        except (DataError, OSError):
            self.close()
            raise

    def __reduce__(self):
        return type(self), (self.paths, self.labelled), {"layout": self.layout, "mapping": self.mapping}

    def _join(self):
        first = self.stores[0]
        rest = len(self.stores) - 1
        self.path = Path(f"{first.path} and {rest} more") if rest else first.path
        alike = [key for key in _ALIKE if self.labelled or key != "classes"]
        for store in self.stores[1:]:
            for key in alike:
                expected, found = getattr(first, key), getattr(store, key)
                if expected != found:
                    expected, found = (getattr(value, "name", value) for value in (expected, found))
                    raise DataError(store.path, key, f"{expected} as in {first.path.name}", found)
        for key in _ALIKE:
            setattr(self, key, getattr(first, key))
        self.fps = first.fps if all(store.fps == first.fps for store in self.stores) else None
        self.dtype = np.result_type(*(store.dtype for store in self.stores))
        self.ids = [name for store in self.stores for name in store.ids]
        if len(set(self.ids)) != len(self.ids):
            twice = next(name for number, name in enumerate(self.ids) if name in self.ids[:number])
            raise DataError(self.path, "ids", "every id once", f"{twice!r} twice")
        for key in ("labels", "people", "frames", "image_size", *SELECTORS):
            setattr(self, key, np.concatenate([getattr(store, key) for store in self.stores]))
        self.subjects = []
        if any(store.subjects for store in self.stores):  # each has its own numbers for them
            named = [store.subject_name(number) for store in self.stores for number in store.subject.tolist()]
            numbers, self.subjects = numbered_subjects(named, self.path)
            self.subject = np.array(numbers, "int64")
        if any(store.classes != first.classes for store in self.stores):
            self.classes, self.labels = [], np.full_like(self.labels, -1)
        self._starts = np.cumsum([0, *(len(store) for store in self.stores)])
        self.splits = {}
        for name in dict.fromkeys(name for store in self.stores for name in store.splits):
            parts = zip(self.stores, self._starts[:-1], strict=True)
            self.splits[name] = np.concatenate([s.splits[name] + start for s, start in parts if name in s.splits])
        self.provenance = {"stores": {str(store.path): store.provenance for store in self.stores}}
        text = "\n".join(store.fingerprint for store in self.stores)
        self.fingerprint = first.fingerprint if not rest else hashlib.sha256(text.encode()).hexdigest()

    def select(self, expression):
        """Indices as of a SkeletonStore; "A;B" selects by A in the first file and by B in the second."""
        if BETWEEN not in str(expression) or expression in self.splits:
            return super().select(expression)
        each = str(expression).split(BETWEEN)
        if len(each) != len(self.stores):
            raise DataError(self.path, "split", f"{len(self.stores)} expressions, one per store", repr(expression))
        parts = zip(self.stores, each, self._starts[:-1], strict=True)
        return np.concatenate([store.select(part) + start for store, part, start in parts])

    def close(self):
        """Close all files; each opens again when needed."""
        for store in self.stores:
            store.close()

    def verify(self):
        """Recompute every file's fingerprint. Raises DataError where one differs."""
        for store in self.stores:
            store.verify()

    def read_frames(self, index, start, stop):
        """As of a SkeletonStore."""
        store, index = self._find(index)
        return store.read_frames(index, start, stop)

    def check(self, index):
        """As of a SkeletonStore."""
        store, index = self._find(index)
        store.check(index)

    def _read(self, index):
        store, index = self._find(index)
        return store._read(index)

    def _find(self, index):
        """(the store that has a sample, its number there)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index = int(index) % len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.stores[number], index - int(self._starts[number])
