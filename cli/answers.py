"""What `skelmae predict` answers, as text: labels of short recordings, timelines of long ones."""

from .printing import table

ALTERNATIVES = 3  # classes of a recording that are printed
SEGMENTS = 20  # of a timeline


def told(results):
    """Labels of short recordings, then the timelines of each long one."""
    short = [result for result in results if isinstance(result, dict)]
    lines, recordings = [_ranked(short)] if short else [], {}
    for result in results:
        if not isinstance(result, dict):
            recordings.setdefault((result.input, result.recording), []).append(result)
    return "\n".join([*lines, *map(_segments, recordings.values())])


def _ranked(results):
    """A line per sequence: the likeliest classes first."""
    rows = []
    for result in results:
        if result["label"] is None:
            near = f"nothing known (nearest: {result['nearest']})" if "nearest" in result else "- nobody was seen"
            rows.append((result["sample"], near))
            continue
        ranked = sorted(result["probabilities"].items(), key=lambda entry: -entry[1])[:ALTERNATIVES]
        rows.append((result["sample"], *(f"{name} {100 * probability:.1f}%" for name, probability in ranked)))
    return table(rows, indent="")


def _time(timeline, frame):
    """A frame as minutes and seconds, or its number where the rate is not known."""
    if timeline.fps is None:
        return frame
    minutes, seconds = divmod(round(10 * frame / timeline.fps), 600)
    return f"{minutes}:{seconds / 10:04.1f}"


def _segments(timelines):
    """The first segments of one recording's timelines with a label, and how much of it has none."""
    first = timelines[0]
    length = f"{first.frames} frames" + ("" if first.fps is None else f", {_time(first, first.frames)} min")
    cut = "windows of {window} frames, one every {stride}".format(**first.settings)
    rows = [(line, segment) for line in timelines for segment in line.known]
    rows.sort(key=lambda row: row[1].start)
    cells = [("start", "end", *["person"] * (first.person is not None), "label", "probability")]
    for line, segment in rows[:SEGMENTS]:
        who = [line.person] if line.person is not None else []
        share = f"{100 * segment.probability:.1f}%"
        cells.append((_time(line, segment.start), _time(line, segment.end), *who, segment.label, share))
    lines = [f"{first.recording}: {length}; {cut}"]
    lines += [table([tuple(map(str, row)) for row in cells])] if rows else ["  nothing is known anywhere"]
    if len(rows) > SEGMENTS:
        lines.append(f"  ... and {len(rows) - SEGMENTS} more (--output FILE writes all)")
    for line in timelines:
        parts = [f"{100 * share:.0f}% {reason}" for reason, share in _without(line).items()]
        who = "" if line.person is None else f"person {line.person}: "
        lines += [f"  {who}{', '.join(parts)}"] if parts else []
    return "\n".join(lines)


def _without(timeline):
    """{why there is no label: share of the recording}."""
    found = {}
    for segment in timeline.segments:
        if segment.label is None:
            found[segment.reason] = found.get(segment.reason, 0) + (segment.end - segment.start) / timeline.frames
    return found
