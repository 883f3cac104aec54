"""Notes on how recordings were read: those of one kind, which differ in their numbers alone, are told once."""

import re

from .labels import LabelNote

_NUMBER = re.compile(r"(?<!\w)\d[\d.]*(e[+-]?\d+)?(?!\w)")


def note_kind(note):
    """A note without its numbers: what it has in common with others of its kind."""
    return _NUMBER.sub("N", note)


def grouped(notes):
    """A list of the notes, of each kind the first, and how many recordings are told others of it; labels' as they are.

    notes: of one recording after the other.
    """
    kinds = {}
    for note in notes:
        kinds.setdefault(note if isinstance(note, LabelNote) else note_kind(note), []).append(note)
    told = []
    for first, *others in kinds.values():
        alike = any(other != first for other in others)
        told.append(f"{first} (and {len(others)} more recordings, with other numbers)" if alike else first)
    return told
