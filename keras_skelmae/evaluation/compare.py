"""Predicted timelines beside the true intervals of their recordings."""

from dataclasses import replace
from pathlib import PurePath

import numpy as np

from keras_skelmae.evaluation.segment_metrics import labels_of, segment_scores
from skelmae_datasets import DataError
from skelmae_datasets.timelines import UNKNOWN, Segment


def compare_timelines(timelines, table):
    """Measure predicted timelines by a table of true intervals.

    True intervals of a person are compared with that person's timeline. Where they name nobody, the timelines of a
    recording are joined first: at each frame the most probable answer of all people.

    Args:
        timelines: list of Timeline. table: IntervalTable.

    Returns:
        ([(predicted Timeline, true Timeline)], figures as of ``segment_scores``).

    Raises:
        DataError: intervals that do not fit their recording, of a recording or a person without a timeline, or some
            with and some without a person; a label that one side spells in other capitals or with other spaces.
    """
    pairs, recordings = [], {}
    for timeline in timelines:
        recordings.setdefault(timeline.recording, []).append(timeline)
    for name, lines in recordings.items():
        first = lines[0]
        intervals = table.in_recording(name, first.frames, first.fps) or table.in_recording(
            PurePath(first.input).name, first.frames, first.fps
        )
        if intervals:
            pairs += _pairs(table, lines, intervals)
    unused = sorted(set(table.files) - set(table.used))
    if unused:
        found = f"{unused[0]!r}, of which there is no timeline"
        raise DataError(
            table.path.name, "file", f"recordings of the timelines, such as {timelines[0].recording!r}", found
        )
    names = dict.fromkeys(part.label for pair in pairs for line in pair for part in line.known)
    _check_spelling(table.path.name, names)
    numbers = {name: number for number, name in enumerate(names)}
    labels = [[labels_of(line.segments, pair[0].frames, numbers) for line in pair] for pair in pairs]
    return pairs, segment_scores([(true, predicted) for predicted, true in labels])


def _check_spelling(path, names):
    """DataError where two labels are one but for capitals and spaces: each would count as wrong against the other."""
    spelled = {}
    for name in names:
        other = spelled.setdefault("".join(name.casefold().split()), name)
        if other != name:
            raise DataError(path, "label", f"one spelling, here and in the timelines, of {other!r}", repr(name))


def _pairs(table, lines, intervals):
    people = {interval.person for interval in intervals}
    if people == {None}:
        line = lines[0] if len(lines) == 1 else _joined(lines)
        return [(line, _true(line, intervals))]
    known = {line.person for line in lines}
    for interval in intervals:
        if interval.person not in known:
            told = "of all people together" if known == {None} else ", ".join(str(person) for person in sorted(known))
            expected = f"a person with a timeline of {lines[0].recording} ({told})"
            found = "nobody" if interval.person is None else interval.person
            raise DataError(table.path.name, f"line {interval.line}: person", expected, found)
    return [(line, _true(line, [one for one in intervals if one.person == line.person])) for line in lines]


def _true(line, intervals):
    """The Timeline of the true intervals."""
    parts = [Segment(one.start, one.end, one.named) for one in intervals if one.label is not None]
    return replace(line, segments=parts, input="", settings={})


def _joined(lines):
    """The most probable answer of all people at each frame, as one Timeline."""
    best = np.zeros(lines[0].frames)
    labels, names = np.full(lines[0].frames, -1), []
    for line in lines:
        for part in line.known:
            names += [part.label] if part.label not in names else []
            here = slice(part.start, part.end)
            better = best[here] < (1.0 if part.probability is None else part.probability)
            best[here][better] = 1.0 if part.probability is None else part.probability
            labels[here][better] = names.index(part.label)
    cuts = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    parts = []
    for start, end in zip(cuts, cuts[1:], strict=False):
        name = names[labels[start]] if labels[start] >= 0 else None
        share = float(best[start:end].mean()) if name is not None else None
        parts.append(Segment(start, end, name, share, "" if name is not None else UNKNOWN))
    return replace(lines[0], segments=parts, person=None)
