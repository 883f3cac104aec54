"""Tables of text, whatever they are of: their encoding, delimiter, columns and fields."""

import codecs
import csv
import re

import numpy as np

from ..errors import DataError
from ..store.facts import EXPECTED
from .labels import label_of, plain_label

SYNONYMS = {
    "sample": ("trial", "video", "clip", "file", "filename", "recording", "sequence", "sample_id", "trial_id",
        "video_id", "video_name", "clip_id", "clip_name", "recording_id", "sequence_id", "sequence_name"),
    "frame": ("frame_number", "frame_id", "frame_index", "frame_idx", "frame_no", "frame_num"),
    "person": ("person_id", "track_id", "track", "player", "player_id", "instance", "instance_id", "individual",
        "body_id", "skeleton_id"),
}  # fmt: skip
"""What tables call a column in any spelling (Frame No is frame_no), the first that there is, where none is called by
its name."""
COMMAS = "commas in numbers are decimal points"
FACTS = ("label", *EXPECTED, "split")  # the same in all lines of a sample
DELIMITERS = (",", ";", "\t")
MAX_LINE, MAX_NAME = 1 << 16, 200  # characters, those of a name
_ABSENT = {"", "nan", "na", "n/a", "<na>", "none", "null", "-"}


def column_of(name, names):
    """Place among the names of columns, in any spelling, of the one that SYNONYMS takes for a name; None without."""
    if name in names:
        return names.index(name)
    plain = [_squeezed(own) for own in names]
    return next((plain.index(own) for own in map(_squeezed, SYNONYMS[name]) if own in plain), None)


def _squeezed(name):
    return re.sub(r"[\s_.\-]+", "", name.lower())


def unread(names):
    """[the note on columns of these names, which are not read]; [] where there are none."""
    names = [name for name in names if name]
    told = f"columns that are not read: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
    return [told] if names else []


def number_in(text, delimiter):
    """(the number of a field, NaN where it says that there is none, None for what is no number; whether its comma is a
    decimal point, as it may be where fields are separated by something else)."""
    try:
        return float(text), False
    except ValueError:
        if text.strip().lower() in _ABSENT:
            return np.nan, False
    try:
        return (float(text.replace(",", ".")), True) if delimiter != "," else (None, False)
    except ValueError:
        return None, False


def label_in(text):
    """The label in a field, as `label_of`; None for one that is too long."""
    return label_of(text) if len(text) <= MAX_NAME else None


def fact_in(text):
    """The subject, camera or setup in a field: a number, a name or -1 for none."""
    return -1 if text.strip().lower() in _ABSENT else plain_label(text)


def splits_in(text):
    """Names of the splits in a field."""
    names = [name.strip() for name in text.replace("|", ";").split(";")]
    return [name for name in names if name.lower() not in _ABSENT]


def encoding_of(path):
    """What the text of a file is written in: told by its first bytes, else UTF-8 unless it is none."""
    with open(path, "rb") as file:
        decoder, data = codecs.getincrementaldecoder("utf-8")(), file.read(1 << 20)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while data:
                decoder.decode(data)
                data = file.read(1 << 20)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def numbered_lines(file, source):
    """Yield (line number, line) of an open text; DataError for a line beyond MAX_LINE."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise DataError(source, f"line {number}", f"at most {MAX_LINE} characters", "more")
        yield number, line


def delimiter_of(line):
    """What separates the fields of a line of text: a comma, a semicolon or a tab."""
    return max(DELIMITERS, key=line.count)


def dict_rows(path):
    """Yield (line number, {column in small letters: text}) of a table whose first line names its columns; first the
    columns, as (1, [name]).

    Raises: csv.Error, UnicodeError, OSError.
    """
    with open(path, encoding=encoding_of(path), newline="") as file:
        delimiter = delimiter_of(file.readline(MAX_LINE))
        file.seek(0)
        rows = csv.DictReader(file, strict=True, delimiter=delimiter)
        rows.fieldnames = [str(name).strip().lower() for name in rows.fieldnames or ()]
        yield 1, rows.fieldnames
        for row in rows:
            yield rows.line_num, row


def plain_name(name):
    """A joint's name without what differs between programs: Left Elbow, LEFT_ELBOW and left-elbow are one."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def loose_name(name):
    """As `plain_name`, where mouth_left, leftMouth and left_mouth are one, too, and index_finger_mcp is index_mcp."""
    name = plain_name(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).replace("_finger", "")
    match = re.fullmatch(r"(\w+)_(left|right)", name)
    return f"{match[2]}_{match[1]}" if match else name
