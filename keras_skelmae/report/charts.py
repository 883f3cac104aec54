"""Charts as inline SVG, drawn by hand: no library, no network, the same bytes for the same numbers.

What can be pointed at carries its text in `data-tip`; report.js shows it for the mouse and for the arrow keys.
Colours are classes, so that report.css gives them for light and for dark.
"""

import math
import unicodedata

from keras_skelmae.report.markup import element, escape, number, percent, shortened

COLOURS = 8
SHAPES = (  # corners; a circle has none
    (),
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)),
    ((0, -1.4), (1.2, 0), (0, 1.4), (-1.2, 0)),
)
MARKS = COLOURS * len(SHAPES)  # of as many classes; a further one has that of another
MOST_NAMED = 40  # classes whose names are written beside a confusion matrix


def ticks(low, high, count=4):
    """Round numbers within low..high, about `count` steps apart."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (factor * step) <= count + 0.5)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def svg(width, height, label, content, kind="chart", **attributes):
    """An <svg> that scales with the page and takes the keyboard's focus."""
    attributes |= {"class_": kind, "viewBox": f"0 0 {width} {height}", "role": "img", "tabindex": 0}
    return element("svg", *content, aria_label=label, **attributes)


def words(text, x, y, anchor=None, **attributes):
    """Text in a chart."""
    return element("text", escape(text), x=x, y=y, text_anchor=anchor, **attributes)


def _known(values):
    """(epoch, value) of those that can be drawn."""
    return [(epoch, v) for epoch, v in enumerate(values, 1) if v is not None and math.isfinite(v)]


class _Plane:
    """Where epochs and values lie in a chart of curves."""

    width, height, left, right, top, bottom = 360, 216, 44, 352, 10, 180

    def __init__(self, series, unit=""):
        known = [value for *_, values in series for _, value in _known(values)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        pad = (high - low) * 0.05 or 0.5
        self.low, self.high = low - pad, high + pad
        if unit == "%":  # no share is less than none or more than all
            self.low, self.high = max(self.low, -0.05), min(self.high, 1.05)
        self.epochs = max((len(values) for *_, values in series), default=1)

    def x(self, epoch):
        share = (epoch - 1) / (self.epochs - 1) if self.epochs > 1 else 0.5
        return self.left + (self.right - self.left) * share

    def y(self, value):
        return self.bottom - (self.bottom - self.top) * (value - self.low) / (self.high - self.low)


def line_chart(label, series, unit=""):
    """Curves over epochs.

    Args:
        label: what the chart says, for those who do not see it.
        series: [(name, colour number, dashed, values)]; a value of None is left out.
        unit: "%" shows shares as per cent.
    """
    plane = _Plane(series, unit)
    parts = _scales(plane, unit)
    for _, colour, dashed, values in series:
        parts += _curve(plane, _line_style(colour, dashed), values)
    return svg(plane.width, plane.height, label, parts + _bands(plane, series, percent if unit == "%" else number))


def _scales(plane, unit):
    """Lines across at round values, and the numbers of epochs."""
    parts, marks = [], ticks(plane.low, plane.high)
    digits = max(0, -math.floor(math.log10(marks[1] - marks[0]) + 1e-9)) if len(marks) > 1 else 2
    for mark in marks:
        y, text = plane.y(mark), f"{100 * mark:.0f}" if unit == "%" else f"{mark + 0.0:.{digits}f}"
        parts.append(element("line", class_="grid", x1=plane.left, x2=plane.right, y1=y, y2=y))
        parts.append(words(text, plane.left - 5, y + 3.5, "end"))
    for epoch in sorted({max(1, round(mark)) for mark in ticks(1, plane.epochs, 5)} | {1}):
        parts.append(words(epoch, plane.x(epoch), plane.height - 21, "middle"))
    parts.append(words("epoch", (plane.left + plane.right) / 2, plane.height - 4, "middle", class_="axis"))
    return parts


def _line_style(colour, dashed):
    return f"s{colour % COLOURS}{' dashed' if dashed else ''}"


def _curve(plane, style, values):
    points = [(plane.x(epoch), plane.y(value)) for epoch, value in _known(values)]
    dots = points if len(points) <= 12 else ()
    line = element("polyline", class_=f"line {style}", points=_path(points))
    return [line, *(element("circle", class_=f"dot {style}", cx=x, cy=y, r=2.4) for x, y in dots)]


def _path(points):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _bands(plane, series, told):
    """What each epoch says where it is pointed at."""
    parts, half = [], (plane.right - plane.left) / max(1, plane.epochs - 1) / 2
    for epoch in range(1, plane.epochs + 1):
        now = ((name, values[epoch - 1]) for name, _, _, values in series if epoch <= len(values))
        tip = [f"epoch {epoch}", *(f"{name}: {told(value)}" for name, value in now if value is not None)]
        left, right = max(plane.left, plane.x(epoch) - half), min(plane.right, plane.x(epoch) + half)
        size = {"x": left, "y": plane.top, "width": max(right - left, 1), "height": plane.bottom - plane.top}
        parts.append(element("rect", class_="band", data_tip="\n".join(tip), **size))
    return parts


def legend(series):
    """The lines of a `line_chart`."""
    marks = (element("span", class_=f"swatch {_line_style(colour, dashed)}") for _, colour, dashed, _ in series)
    return _legend(marks, [name for name, *_ in series])


def _legend(marks, texts):
    lines = (element("li", mark, escape(text)) for mark, text in zip(marks, texts, strict=True))
    return element("ul", *lines, class_="legend")


def bar_chart(label, rows):
    """Bars of shares: [(share in 0..1, name, tip)]."""
    bar, width, left, full = 17, 360, 142, 178
    parts = []
    for index, (share, name, tip) in enumerate(rows):
        top = index * bar
        place = {"x": left, "y": top + 4, "height": 9, "rx": 2}
        content = (
            element("rect", class_="hit", x=0, y=top, width=width, height=bar),
            words(shortened(name, 20), left - 6, top + 12, "end"),
            element("rect", class_="track", width=full, **place),
            element("rect", class_="bar", width=full * share, **place),
            words(f"{100 * share:.0f} %", left + full + 5, top + 12),
        )
        parts.append(element("g", *content, data_tip=tip))
    return svg(width, bar * len(rows) + 2, label, parts)


def confusion_chart(label, classes, matrix, totals=None):
    """A confusion matrix, rows true and columns predicted, each cell as dark as its share of the class.

    Args:
        totals: clips of each class, those without a prediction too; the sums of the rows by default.
    """
    totals = [sum(row) for row in matrix] if totals is None else totals
    count, named = len(classes), len(classes) <= MOST_NAMED
    # slanted names are 0.7 of a cell apart, and 13 pixels high with what hangs below the line
    cell = 22 if count <= 12 else 20 if named else 12 if count <= 70 else 8
    left = 12 + int(max((label_width(shortened(name, 18)) for name in classes), default=0) if named else 20)
    top = int(left * 0.74) + 14 if named else 30
    side, extra = cell * count, int(left * 0.72) if named else 4  # the last slanted name leans over the edge
    parts = [
        words("predicted", left + side / 2, 10, "middle", class_="axis"),
        words("true", 4, top - 6 if named else 10, class_="axis"),
    ]
    for index, name in enumerate(classes):
        middle = (index + 0.5) * cell
        if named or index % 10 == 0:
            text = shortened(name, 18) if named else index
            parts.append(words(text, left - 5, top + middle + 3.5, "end"))
            slanted = {"transform": f"rotate(-45 {left + middle + 2:.1f} {top - 5})"} if named else {}
            parts.append(words(text, left + middle + 2 * named, top - 5, None if named else "middle", **slanted))
    for row, values in enumerate(matrix):
        for column, value in enumerate(values):
            if value or row == column:
                place = {"x": left + column * cell, "y": top + row * cell, "width": cell, "height": cell}
                parts.append(_confusion_cell(classes[row], classes[column], value, totals[row], place))
    parts.append(element("rect", class_="frame", x=left, y=top, width=side, height=side))
    wide = (
        left + side + 4 + extra
    )  # not smaller than this, so that counts stay readable; its card scrolls where it must
    style = f"min-width:{wide}px;max-width:{wide * 1.35:.0f}px"
    return svg(wide, top + side + 6, label, parts, "chart matrix", style=style)


def label_width(text):
    """About how wide a label is in pixels; signs of East Asia are twice as wide as letters."""
    return sum(11.0 if unicodedata.east_asian_width(sign) in "WF" else 6.2 for sign in text)


def _confusion_cell(true, predicted, value, total, place):
    share, right, cell = value / total if total else 0.0, true == predicted, place["width"]
    colour = {"class_": "right" if right else "wrong", "fill_opacity": f"{0.08 + 0.92 * share if value else 0:.2f}"}
    content = [element("rect", class_="cell", **place), element("rect", **colour, **place)]
    if value and cell >= 17:
        tone = "count on" if share > 0.5 else "count"
        content.append(words(value, place["x"] + cell / 2, place["y"] + cell / 2 + 3.2, "middle", class_=tone))
    what = true if right else f"{true} taken for {predicted}"
    return element("g", *content, data_tip=f"{what}\n{value} of {total} ({100 * share:.0f} %)")


def scatter_chart(label, points, tips, classes):
    """Points in the plane, coloured and shaped by class number (-1: none)."""
    width, height, pad = 360, 300, 14
    xs, ys = zip(*points, strict=True)
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    scale = min((width - 2 * pad) / max(wide, 1e-9), (height - 2 * pad) / max(high, 1e-9))
    left, bottom = (width - scale * wide) / 2, (height + scale * high) / 2
    radius = 3.4 if len(points) <= 300 else 2.6
    parts = [element("rect", class_="frame", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=4)]
    for (x, y), tip, kind in zip(points, tips, classes, strict=True):
        place = left + scale * (x - min(xs)), bottom - scale * (y - min(ys))
        parts.append(marker(kind, *place, radius, data_tip=tip))
    return svg(width, height, label, parts, "chart scatter")


def reliability_chart(label, series):
    """How often answers are right by how sure they are; on the diagonal probabilities mean what they say.

    Args:
        series: [(name, colour number, list of dict(confidence, accuracy, count))].
    """
    size, left, bottom = 260, 38, 222
    side = size - left - 14

    def place(confidence, accuracy):
        return left + side * confidence, bottom - side * accuracy

    parts = [element("rect", class_="frame", x=left, y=bottom - side, width=side, height=side)]
    (x1, y1), (x2, y2) = place(0, 0), place(1, 1)
    parts.append(element("line", class_="grid", x1=x1, y1=y1, x2=x2, y2=y2))
    for mark in (0, 0.25, 0.5, 0.75, 1):
        parts.append(words(f"{100 * mark:.0f}", left - 5, place(0, mark)[1] + 3.5, "end"))
        parts.append(words(f"{100 * mark:.0f}", place(mark, 0)[0], bottom + 14, "middle"))
    parts.append(words("confidence, %", left + side / 2, bottom + 30, "middle", class_="axis"))
    parts.append(words("right, %", left, bottom - side - 4, class_="axis"))
    for name, colour, bins in series:
        points = [place(entry["confidence"], entry["accuracy"]) for entry in bins]
        parts.append(element("polyline", class_=f"line {_line_style(colour, False)}", points=_path(points)))
        for (x, y), entry in zip(points, bins, strict=True):
            tip = f"{name}\n{percent(entry['confidence'])} sure, {percent(entry['accuracy'])} right\n"
            tip += f"{entry['count']} sequences"
            style = f"dot {_line_style(colour, False)}"
            parts.append(element("circle", class_=style, cx=x, cy=y, r=3.2, data_tip=tip))
    return svg(size, size, label, parts)


def marker(kind, x, y, radius, **attributes):
    """The mark of a class: colours first, then shapes."""
    style = f"mark s{kind % COLOURS}" if kind >= 0 else "mark none"
    corners = SHAPES[kind // COLOURS % len(SHAPES)] if kind >= 0 else ()
    if not corners:
        return element("circle", class_=style, cx=float(x), cy=float(y), r=radius, **attributes)
    path = _path((x + a * radius, y + b * radius) for a, b in corners)
    return element("polygon", class_=style, points=path, **attributes)


def class_legend(classes, present):
    """The marks of the classes that occur."""
    kinds, frame = sorted(present), {"class_": "key", "viewBox": "0 0 12 12", "aria_hidden": "true"}
    marks = (element("svg", marker(kind, 6, 6, 4), **frame) for kind in kinds)
    return _legend(marks, [classes[kind] if kind >= 0 else "no label" for kind in kinds])
