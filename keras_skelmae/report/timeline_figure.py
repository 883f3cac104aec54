"""Timelines as a picture: a bar for each person, coloured by class, that goes on below where a line is full."""

import math
import re

from keras_skelmae.report.charts import COLOURS, ticks, words
from keras_skelmae.report.markup import element, escape, shortened
from keras_skelmae.report.page import read_asset
from skelmae_datasets.timelines import clock

WIDTH, LEFT, RIGHT = 1200, 92, 1190
BAR, GAP, AXIS = 20, 5, 26  # heights in pixels
LEAST, MOST_LINES = 24, 60  # pixels of the usual segment; lines of a recording
LETTER = 6.4  # width of a letter


def timeline_svg(timelines, truth=()):
    """SVG text of timelines, of several recordings below each other.

    Args:
        timelines: list of Timeline. truth: the true Timelines of the same people, shown above the predicted ones.
    """
    truth = list(truth) or [None] * len(timelines)
    recordings = {}
    for line, true in zip(timelines, truth, strict=True):
        recordings.setdefault((line.input, line.recording), []).append((line, true))
    every = [line for pair in zip(timelines, truth, strict=True) for line in pair if line is not None]
    names = sorted({part.label for line in every for part in line.known})
    colours, parts, top = {name: number for number, name in enumerate(names)}, [], 8
    for (_, name), lines in recordings.items():
        parts.append(words(shortened(name, 120), 8, top + 12, class_="title"))
        drawn, top = _recording(lines, colours, top + 22)
        parts += drawn
    drawn, height = _legend(colours, top)
    style = element("style", _style())
    box = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {height}", "role": "img"}
    back = element("rect", class_="back", width=WIDTH, height=height)
    label = f"Timelines of {len(recordings)} recordings" if len(recordings) > 1 else "Timeline"
    return element("svg", style, back, *parts, *drawn, width=WIDTH, height=height, aria_label=label, **box) + "\n"


def _recording(lines, colours, top):
    """(pieces, where they end) of one recording."""
    frames, rate = lines[0][0].frames, lines[0][0].fps
    length, parts, rows = _frames_of_line(lines, frames), [], []
    for line, true in lines:
        who = "all" if line.person is None else f"person {line.person}"
        rows += [(who, line)] if true is None else [(f"{who}, true", true), ("predicted", line)]
    scale = (RIGHT - LEFT) / length
    for first in range(0, frames, length):
        last, bottom = min(first + length, frames), top + len(rows) * (BAR + GAP)
        parts += _axis(first, last, scale, rate, top, bottom)
        for number, (who, line) in enumerate(rows):
            y = top + number * (BAR + GAP)
            parts.append(words(who, LEFT - 8, y + 14, "end"))
            parts.append(element("rect", class_="track", x=LEFT, y=y, width=(last - first) * scale, height=BAR))
            here = (part for part in line.known if part.start < last and part.end > first)
            parts += (_bar(line, part, first, last, scale, y, colours[part.label]) for part in here)
        top = bottom + AXIS
    return parts, top


def _frames_of_line(lines, frames):
    """How many frames a line of the picture shows: so many that the usual segment is wide enough to see."""
    lengths = sorted(part.end - part.start for pair in lines for line in pair if line for part in line.known)
    if not lengths:
        return frames
    wanted = (RIGHT - LEFT) / LEAST * lengths[len(lengths) // 2]
    count = min(max(1, math.ceil(frames / wanted)), MOST_LINES)
    return math.ceil(frames / count)


def _axis(first, last, scale, rate, top, bottom):
    """Times below a line, and lines up from them."""
    parts = []
    marks = ticks(first / (rate or 1), last / (rate or 1), 8)
    for mark in marks:
        x = LEFT + (mark * (rate or 1) - first) * scale
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=top - 2, y2=bottom))
        text = f"{mark:.0f}" if rate is None else clock(mark)[: 8 if marks[-1] - marks[0] >= 8 else 10]
        parts.append(words(text.removeprefix("00:"), x, bottom + 11, "middle"))
    return parts


def _bar(line, part, first, last, scale, y, colour):
    x = LEFT + (max(part.start, first) - first) * scale
    width = (min(part.end, last) - max(part.start, first)) * scale
    times = [str(frame) if line.fps is None else clock(frame / line.fps) for frame in (part.start, part.end)]
    share = "" if part.probability is None else f", {100 * part.probability:.0f} %"
    tip = element("title", escape(f"{part.label}: {times[0]} to {times[1]}{share}"))
    style = f"s{colour % COLOURS} t{colour // COLOURS % 3}"
    content = [tip, element("rect", class_=style, x=x, y=y, width=max(width, 0.6), height=BAR, rx=2)]
    if width > 3 * LETTER:
        content.append(words(shortened(part.label, int((width - 4) / LETTER)), x + 4, y + 14, class_="on"))
    return element("g", *content)


def _legend(colours, top):
    parts, x = [], LEFT
    for name, colour in colours.items():
        text = shortened(name, 40)
        width = 22 + LETTER * len(text) + 16
        if x + width > RIGHT:
            x, top = LEFT, top + 18
        parts.append(
            element("rect", class_=f"s{colour % COLOURS} t{colour // COLOURS % 3}", x=x, y=top, width=14, height=12)
        )
        parts.append(words(text, x + 20, top + 10))
        x += width
    return parts, top + 24


def _style():
    """The report's colours of light pages, with nothing from outside."""
    found = dict(re.findall(r"--(\w+): (#\w+)", read_asset("report.css").partition("}")[0]))
    lines = [f".s{number}{{fill:{found[f's{number}']}}}" for number in range(COLOURS)]
    lines += [".t1{fill-opacity:.6}.t2{fill-opacity:.35}", f".back{{fill:{found['card']}}}"]
    lines += [f".track{{fill:{found['track']}}}.grid{{stroke:{found['rule']}}}"]
    lines += [f"text{{font:11px system-ui,'DejaVu Sans',sans-serif;fill:{found['soft']}}}"]
    lines += [f".title{{font-size:13px;fill:{found['text']}}}.on{{fill:{found['card']}}}"]
    return "".join(lines)
