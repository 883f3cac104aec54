"""Timelines: who did what from when to when in a recording, and the files they are written to and read from."""

import csv
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from .errors import DataError
from .files import read_json, write_text
from .readers.intervals import IntervalTable
from .store.facts import is_whole
from .store.writer import check_rate

NOBODY, UNKNOWN = "nobody was seen", "nothing known"
ALIKE = 2e-3  # rates that differ by a smaller part are one, such as 29.97 and 30
KIND = "timelines"  # what the .json of timelines calls itself
COLUMNS = ("file", "person", "start_frame", "end_frame", "start", "end", "label", "probability", "reason")
_ELAN = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording with one answer: start and end, the frame after the last, in frames from 0.

    label: class, None where nothing is known. probability: of the label, the mean of its windows; else 0. reason: why
    there is no label, NOBODY or UNKNOWN.
    """

    start: int
    end: int
    label: str | None
    probability: float | None = None
    reason: str = ""


@dataclass
class Timeline:
    """The segments of a recording without gaps between them, of one person or of all together.

    recording: id of the sample. frames: length. person: number from 1, the best first; None: all together. fps: frames
    per second, None where it is not known. input: the file. settings: what it was made with.
    """

    recording: str
    frames: int
    segments: list
    person: int | None = None
    fps: float | None = None
    input: str = ""
    settings: dict = field(default_factory=dict)

    @property
    def known(self):
        """The segments with a label."""
        return [segment for segment in self.segments if segment.label is not None]

    def seconds(self, frame):
        """Time of a frame; None where the rate is not known."""
        return None if self.fps is None else round(frame / self.fps, 3)

    def to_dict(self):
        """All of it as a JSON-able dict, times in seconds too."""
        told = {"start": self.seconds, "end": self.seconds}
        segments = []
        for segment in self.segments:
            values = asdict(segment)
            place = {f"{key}_frame": values.pop(key) for key in told}
            segments.append(place | {key: change(place[f"{key}_frame"]) for key, change in told.items()} | values)
        own = {key: getattr(self, key) for key in ("person", "frames", "fps")}
        return {"input": self.input, "sample": self.recording} | own | self.settings | {"segments": segments}


def write_timelines(path, timelines):
    """Write timelines to .json, .csv (a table that `convert --labels` takes), .vtt subtitles or .eaf (ELAN).

    Raises: DataError: another suffix; two recordings of one name; .vtt and .eaf of several recordings or without frames
        per second.
    """
    path = Path(path)
    suffix = check_suffix(path)
    if suffix in (".vtt", ".eaf"):
        recordings = {(timeline.input, timeline.recording) for timeline in timelines}
        if len(recordings) != 1:
            raise DataError(path, "", f"one recording in {suffix}; .json and .csv take several", len(recordings))
        if any(timeline.fps is None for timeline in timelines):
            raise DataError(path, "", "frames per second (--fps), as its times are seconds", "none")
    _check_names(path, timelines)
    write_text(path, WRITERS[suffix](timelines))


def check_suffix(path, more=()):
    """The suffix of a file to write timelines to, one of `more` or of ours; DataError for another."""
    suffix = Path(path).suffix.lower()
    if suffix not in (*WRITERS, *more):
        raise DataError(path, "suffix", ", ".join((*WRITERS, *more)), suffix or "none")
    return suffix


def _check_names(path, timelines):
    """Raise DataError where a person of a recording, by its name, has two timelines, or it two lengths or rates."""
    inputs, forms = {}, {}
    for timeline in timelines:
        key, form = (timeline.recording, timeline.person), (timeline.frames, timeline.fps)
        if key in inputs:
            found = f"{timeline.recording!r} of {inputs[key] or 'one file'} and of {timeline.input or 'another'}"
            raise DataError(path, "timelines", "recordings of different names", found)
        inputs[key] = timeline.input
        if forms.setdefault(timeline.recording, form) != form:
            expected = f"as many frames and frames per second of all people of {timeline.recording!r}"
            raise DataError(path, "timelines", expected, f"{forms[timeline.recording]} and {form}")


def _json(timelines):
    content = {"kind": KIND, "timelines": [timeline.to_dict() for timeline in timelines]}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(timelines):
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for timeline in timelines:
        for segment in timeline.segments:
            times = (timeline.seconds(segment.start), timeline.seconds(segment.end))
            share = "" if segment.probability is None or segment.label is None else f"{segment.probability:.4f}"
            answer = (segment.label, share, segment.reason)
            writer.writerow((timeline.recording, timeline.person, segment.start, segment.end, *times, *answer))
    return file.getvalue()


def clock(seconds):
    """Seconds as h:mm:ss.mmm."""
    minutes, rest = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _vtt(timelines):
    cues, several = [], len(timelines) > 1
    for timeline in timelines:
        who = f"person {timeline.person}: " if several else ""
        for segment in timeline.known:
            times = [clock(frame / timeline.fps) for frame in (segment.start, segment.end)]
            cues.append(
                (segment.start, f"{times[0]} --> {times[1]}\n{escape(' '.join((who + segment.label).split()))}")
            )
    texts = [text for _, text in sorted(cues, key=lambda cue: cue[0])]
    return "\n\n".join(["WEBVTT", *texts]) + "\n"


def _eaf(timelines):
    marks = []  # (milliseconds, number of the annotation, whether its end)
    for number, (timeline, segment) in enumerate((line, part) for line in timelines for part in line.known):
        times = (round(1000 * frame / timeline.fps) for frame in (segment.start, segment.end))
        marks += [(time, number, end) for end, time in enumerate(times)]
    marks.sort()  # ELAN wants slots in the order of time
    slots = {mark[1:]: f"ts{place}" for place, mark in enumerate(marks, 1)}
    order = [f'    <TIME_SLOT TIME_SLOT_ID="{slots[mark[1:]]}" TIME_VALUE="{mark[0]}"/>' for mark in marks]
    tiers, number = [], 0
    for timeline in timelines:
        name = quoteattr("all" if timeline.person is None else f"person {timeline.person}")
        tiers.append(f'  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID={name}>')
        for segment in timeline.known:
            place = f'TIME_SLOT_REF1="{slots[number, 0]}" TIME_SLOT_REF2="{slots[number, 1]}"'
            value = f"<ANNOTATION_VALUE>{escape(segment.label)}</ANNOTATION_VALUE>"
            number += 1
            inner = f'<ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" {place}>{value}</ALIGNABLE_ANNOTATION>'
            tiers.append(f"    <ANNOTATION>{inner}</ANNOTATION>")
        tiers.append("  </TIER>")
    head = (
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="1970-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="{_ELAN}">'
    )
    kind = '  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head, '  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>']
    return (
        "\n".join([*lines, "  <TIME_ORDER>", *order, "  </TIME_ORDER>", *tiers, kind, "</ANNOTATION_DOCUMENT>"]) + "\n"
    )


WRITERS = {".json": _json, ".csv": _csv, ".vtt": _vtt, ".eaf": _eaf}


def read_timelines(path, fps=None):
    """The Timelines in a .json that `write_timelines` wrote, or in a .csv as `IntervalTable` reads it.

    Args:
        path: the file. fps: frames per second, where the file does not say.
    Raises: DataError where the file holds no timelines, two of one person, or says another rate; OSError where it
        cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return _of_table(IntervalTable(path), fps)
    content = read_json(path)
    if content.get("kind") != KIND:
        raise DataError(path, "kind", f"{KIND!r}, as `skelmae predict --output` writes", repr(content.get("kind"))[:40])
    try:
        found = [_of_dict(entry, path) for entry in content["timelines"]]
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(path, "timelines", "those that `skelmae predict --output` writes", error) from None
    if not found:
        raise DataError(path, "timelines", "one or more", "none")
    _check_names(path, found)
    for timeline in found:
        timeline.fps = agreed_rate(timeline.fps, fps, path, f"{timeline.recording}: fps")
    return found


def agreed_rate(own, fps, source, key="fps", hint=""):
    """Frames per second: a recording's own, or those that are asked for where it does not say; None for neither.

    Args:
        source, key: what errors name. hint: what follows the rate that was asked for in them.
    Raises: DataError where the two are others.
    """
    if own is None or fps is None:
        return fps if own is None else own
    if abs(fps - own) > ALIKE * own:
        raise DataError(source, key, f"{own:g} frames per second as it says, or no --fps", f"{fps:g}{hint}")
    return own


def _of_dict(entry, path):
    frames, person, segments, last = entry["frames"], entry["person"], [], 0
    for key, value in (("frames", frames), ("person", 1 if person is None else person)):
        if not is_whole(value) or value < 1:
            raise ValueError(f"{key} {value!r}")
    if not isinstance(entry["sample"], str):
        raise ValueError(f"sample {entry['sample']!r}")
    for item in entry["segments"]:
        start, end, label, share = (item.get(key) for key in ("start_frame", "end_frame", "label", "probability"))
        if not (is_whole(start) and is_whole(end) and last <= start < end <= frames):
            raise ValueError(f"a segment from {start!r} to {end!r} of {frames} frames")
        if not isinstance(item["label"], str | None):
            raise ValueError(f"a label {label!r}")
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"a probability of {share!r}")
        segments.append(Segment(start, end, label, share, item.get("reason") or ""))
        last = end
    rate = check_rate(path, entry["fps"])
    return Timeline(entry["sample"], frames, segments, person, rate, str(entry["input"]))


def _of_table(table, fps):
    found = []
    for name in table.files:
        intervals = table.in_recording(name, 1 << 62, fps)
        frames = max(interval.end for interval in intervals)  # a person's last interval may end earlier
        for person in sorted({interval.person for interval in intervals}, key=lambda number: number or 0):
            own = [interval for interval in intervals if interval.person == person]
            segments = [Segment(one.start, one.end, one.named, one.probability) for one in own]
            found.append(Timeline(name, frames, segments, person, fps, str(table.path)))
    return found
