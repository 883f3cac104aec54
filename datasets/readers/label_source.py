"""Where the labels of recordings stand that have none in their files: folders, a table, or a pattern in the names."""

import csv
import re
from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..store.facts import EXPECTED, is_fact
from .labels import LabelNote, label_of, plain_label
from .suffixes import PACKED, SUFFIXES
from .table_text import dict_rows

FOLDERS = "folders"
_FACTS = ("label", *EXPECTED, "split")
_SHOWN = 3  # names that are told
_MAX_LINES = 1 << 22
_ENDS = (*SUFFIXES, ".mp4", ".avi", ".mov", ".mkv", ".webm")  # of recordings and of the videos they are from


class LabelSource:
    """Facts of samples by their names.

    Args:
        given: "folders": the first folder of a name is its label; the path of a CSV with the columns file, label and if
            you have them subject, camera, setup, split; or a regular expression with a group named label (and the
            others) that is searched for in names; None: no labels.
            names: of the recordings; their samples may have names that go on.
    Attributes: labels, a set, those known beforehand.
    Raises: DataError where the table or the pattern is not as described, or a line is of two recordings; OSError where
        the table cannot be read.
    """

    def __init__(self, given, names=()):
        self._pattern = self._table = None
        self._folders, self.labels, self.used = given == FOLDERS, set(), {}
        self._names, self._given, self._matched = list(names), given, False
        self._own = set(self._names)
        if given is not None and not self._folders:
            if "(?P<" in str(given):
                self._pattern = _compiled(str(given))
            else:
                self._table = _read_table(Path(given))
        for name in self._names:
            self.labels.add(self.facts(name).get("label", -1))
        if self._table:
            self.labels |= {facts["label"] for facts in self._table.values()}

    def facts(self, name):
        """dict of label and what else is known of a sample; empty where nothing is.

        Raises: DataError where a line without folders is of two recordings.
        """
        found = self._found(name)
        self._matched |= bool(found)
        return found

    def _found(self, name):
        if self._folders:
            first, slash, _ = name.partition("/")
            return {"label": first} if slash else {}
        if self._pattern:
            match = self._pattern.search(name)
            return parse_facts(match.groupdict(), "labels", name) if match else {}
        last = PurePosixPath(name).name
        for key in (name, *([last] if last not in self._own else [])) if self._table else ():
            if key in self._table:
                if self.used.setdefault(key, name) != name:
                    expected = "the name of one recording, with its folders"
                    told = f"two: {self.used[key]} and {name}"
                    raise DataError(Path(self._given).name, f"file {key!r}", expected, told)
                return self._table[key]
        return {}

    def notes(self, unknown, total):
        """What is to be told after `total` samples, `unknown` of them without a label.

        Raises: DataError where labels are given and none is of any of them.
        """
        if total and self._given is not None and not self._matched:
            self._fail()
        if unknown and (self._folders or self._pattern or self._table):
            yield LabelNote(f"{unknown} of {total} sequences have no label")
        if self._table and len(self._table) > len(self.used):
            left = sorted(set(self._table) - set(self.used))
            told = ", ".join(map(repr, left[:_SHOWN])) + (", ..." if len(left) > _SHOWN else "")
            yield LabelNote(f"{len(left)} names of the table of labels are of no sequence: {told}")

    def _fail(self):
        such = ", ".join(map(repr, self._names[:_SHOWN])) or "those of the recordings"
        if self._table:
            raise DataError(
                Path(self._given).name, "file", f"names of recordings, such as {such}", repr(min(self._table))
            )
        expected = "files in a folder for each class" if self._folders else f"a pattern that is in names such as {such}"
        raise DataError("labels", "", expected, f"{such} alone" if self._folders else str(self._given))


def _compiled(text):
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise DataError("labels", "", "a regular expression", error) from None
    unknown = set(pattern.groupindex) - set(_FACTS)
    if "label" not in pattern.groupindex or unknown:
        raise DataError("labels", "", f"a group (?P<label>...), others of {', '.join(_FACTS[1:])}", text)
    return pattern


def _read_table(path):
    table, rows = {}, dict_rows(path)
    try:
        _, names = next(rows)
        if not {"file", "label"} <= set(names):
            found = ", ".join(names)[:80] or "nothing"
            raise DataError(path.name, "line 1", "columns file, label[, subject, camera, setup, split]", found)
        for number, row in rows:
            where = f"line {number}"
            name = (row["file"] or "").strip().replace("\\", "/")
            if not name or number > _MAX_LINES:
                raise DataError(path.name, where, "the name of a file", "none")
            facts = parse_facts(row, path.name, where)
            key = plain_name(name)
            if table.setdefault(key, facts) != facts:
                raise DataError(path.name, where, f"one line for {key!r}", "another with other labels")
    except (UnicodeError, csv.Error) as error:
        raise DataError(path.name, "", "a table of labels", error) from None
    if not table:
        raise DataError(path.name, "line 2", "the name of a file and its label", "the end of the file")
    return table


def plain_name(name):
    """The name of a recording without the suffix of its file, whichever is read, or of its video."""
    whole = PurePosixPath(name)
    whole = whole.with_suffix("") if whole.suffix.lower() == PACKED else whole
    return str(whole.with_suffix("")) if whole.suffix.lower() in _ENDS else name


def parse_facts(values, source, where):
    """The facts in a dict of texts: labels are texts; subjects may have names, cameras and setups are numbers."""
    facts = {"label": label_of(values["label"])}
    if facts["label"] is None:
        raise DataError(source, where, "a label", ascii(values["label"])[:60])
    for key, expected in EXPECTED.items():
        text = values.get(key) or ""
        facts[key] = plain_label(text)
        if not is_fact(key, facts[key]):
            raise DataError(source, f"{where}: {key}", expected, ascii(text)[:60])
    splits = [name.strip() for name in re.split(r"[;|]", values.get("split") or "") if name.strip()]
    return facts | ({"split": splits} if splits else {})
