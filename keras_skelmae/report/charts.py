"""Charts as inline SVG, drawn by hand: no library, no network, the same bytes for the same numbers.

What can be pointed at carries its text in `data-tip`; report.js shows it for the mouse and for the arrow keys.
Colours are classes, so that report.css gives them for light and for dark.
"""

import html
import math

SHAPES = ("circle", "square", "triangle", "diamond")
COLOURS = 8


def escape(text):
    """Text for HTML, also within quotes."""
    return html.escape(str(text), quote=True)


def number(value, digits=4):
    """A number in few characters."""
    return "–" if value is None else f"{value:.{digits}g}"


def ticks(low, high, count=4):
    """Round numbers within low..high, about `count` steps apart."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (factor * step) <= count + 0.5)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def svg(width, height, label, content, kind="chart"):
    """An <svg> that scales with the page and takes the keyboard's focus."""
    return (f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" tabindex="0" '
            f'aria-label="{escape(label)}">{content}</svg>')  # fmt: skip


def line_chart(label, series, unit=""):
    """Curves over epochs.

    Args:
        label: what the chart says, for those who do not see it.
        series: [(name, colour number, dashed, values)]; a value of None is left out.
        unit: "%" shows shares as per cent.
    """
    width, height, left, right, top, bottom = 360, 216, 44, 8, 10, 36
    known = [v for _, _, _, values in series for v in values if v is not None and math.isfinite(v)]
    epochs = max((len(values) for *_, values in series), default=1)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high == low:
        low, high = low - 0.5, high + 0.5
    pad = (high - low) * 0.05
    low, high = low - pad, high + pad

    def x(epoch):
        return left + (width - left - right) * ((epoch - 1) / (epochs - 1) if epochs > 1 else 0.5)

    def y(value):
        return top + (height - top - bottom) * (1 - (value - low) / (high - low))

    def told(value):
        return f"{100 * value:.1f} %" if unit == "%" else number(value)

    parts = []
    marks = ticks(low, high)
    digits = max(0, -math.floor(math.log10(marks[1] - marks[0]) + 1e-9)) if len(marks) > 1 else 2
    for tick in marks:
        text = f"{100 * tick:.0f}" if unit == "%" else f"{tick + 0.0:.{digits}f}"
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
                     f'<text x="{left - 5}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{text}</text>')  # fmt: skip
    marks = sorted({max(1, round(tick)) for tick in ticks(1, epochs, 5)} | {1})
    for mark in marks:
        parts.append(f'<text x="{x(mark):.1f}" y="{height - 21}" text-anchor="middle">{mark}</text>')
    parts.append(f'<text class="axis" x="{(left + width - right) / 2:.1f}" y="{height - 4}" '
                 'text-anchor="middle">epoch</text>')  # fmt: skip
    for _, colour, dashed, values in series:
        points = [(x(i + 1), y(v)) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
        style = f's{colour % COLOURS}{" dashed" if dashed else ""}'
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="line {style}" points="{path}"/>')
        if len(points) <= 12:
            parts += [f'<circle class="dot {style}" cx="{a:.1f}" cy="{b:.1f}" r="2.4"/>' for a, b in points]
    half = (width - left - right) / max(1, epochs - 1) / 2
    for epoch in range(1, epochs + 1):
        rows = [f"{name}: {told(values[epoch - 1])}" for name, _, _, values in series
                if epoch <= len(values) and values[epoch - 1] is not None]  # fmt: skip
        a, b = max(left, x(epoch) - half), min(width - right, x(epoch) + half)
        tip = escape("\n".join([f"epoch {epoch}", *rows]))
        parts.append(f'<rect class="band" x="{a:.1f}" y="{top}" width="{max(b - a, 1):.1f}" '
                     f'height="{height - top - bottom}" data-tip="{tip}"/>')  # fmt: skip
    return svg(width, height, label, "".join(parts))


def legend(entries):
    """A legend of lines: [(name, colour number, dashed)]."""
    items = "".join(f'<li><span class="swatch s{colour % COLOURS}{" dashed" if dashed else ""}"></span>'
                    f"{escape(name)}</li>" for name, colour, dashed in entries)  # fmt: skip
    return f'<ul class="legend">{items}</ul>'


def bar_chart(label, rows):
    """Bars of shares: [(name, share in 0..1, tip)]."""
    bar, width, left, right = 17, 360, 128, 40
    parts = []
    for index, (name, share, tip) in enumerate(rows):
        top, length = index * bar, (width - left - right) * share
        short = name if len(name) <= 20 else name[:19] + "…"
        parts.append(f'<g data-tip="{escape(tip)}"><rect class="hit" x="0" y="{top}" width="{width}" height="{bar}"/>'
                     f'<text x="{left - 6}" y="{top + 12}" text-anchor="end">{escape(short)}</text>'
                     f'<rect class="track" x="{left}" y="{top + 4}" width="{width - left - right}" height="9" rx="2"/>'
                     f'<rect class="bar" x="{left}" y="{top + 4}" width="{length:.1f}" height="9" rx="2"/>'
                     f'<text x="{width - right + 5}" y="{top + 12}">{100 * share:.0f} %</text></g>')  # fmt: skip
    return svg(width, bar * len(rows) + 2, label, "".join(parts))


def confusion_chart(label, classes, matrix):
    """A confusion matrix, rows true and columns predicted, each cell as dark as its share of the row."""
    count = len(classes)
    named = count <= 40
    cell = 22 if count <= 12 else 17 if count <= 30 else 12 if count <= 70 else 8
    longest = min(18, max(map(len, classes), default=1)) if named else 3
    left = 12 + int(longest * 6.2)
    top = int(left * 0.74) + 14 if named else 16
    size = left + cell * count + 4
    extra = int(left * 0.72) if named else 4  # the last slanted name leans over the edge
    parts = [f'<text class="axis" x="{left + cell * count / 2:.0f}" y="10" text-anchor="middle">predicted</text>',
             f'<text class="axis" x="4" y="{top - 6}">true</text>']  # fmt: skip
    for index, name in enumerate(classes):
        short = (name if len(name) <= 18 else name[:17] + "…") if named else ""
        middle = index * cell + cell / 2
        if named:
            parts.append(f'<text x="{left - 5}" y="{top + middle + 3.5:.1f}" text-anchor="end">{escape(short)}</text>'
                         f'<text transform="translate({left + middle + 2:.1f} {top - 5}) rotate(-45)">'
                         f"{escape(short)}</text>")  # fmt: skip
        elif index % 10 == 0:
            parts += [f'<text x="{left - 5}" y="{top + middle + 3.5:.1f}" text-anchor="end">{index}</text>',
                      f'<text x="{left + middle:.1f}" y="{top - 3}" text-anchor="middle">{index}</text>']  # fmt: skip
    for row, values in enumerate(matrix):
        total = sum(values)
        for column, value in enumerate(values):
            if not value and row != column:
                continue
            share = value / total if total else 0.0
            kind = "right" if row == column else "wrong"
            x, y = left + column * cell, top + row * cell
            what = classes[row] if row == column else f"{classes[row]} taken for {classes[column]}"
            tip = escape(f"{what}\n{value} of {total} ({100 * share:.0f} %)")
            place = f'x="{x}" y="{y}" width="{cell}" height="{cell}"'
            parts.append(f'<g data-tip="{tip}"><rect class="cell" {place}/><rect class="{kind}" {place} '
                         f'fill-opacity="{0.08 + 0.92 * share if value else 0:.2f}"/>')  # fmt: skip
            if value and cell >= 17:
                tone = " on" if share > 0.5 else ""
                parts.append(f'<text class="count{tone}" x="{x + cell / 2:.1f}" y="{y + cell / 2 + 3.2:.1f}" '
                             f'text-anchor="middle">{value}</text>')  # fmt: skip
            parts.append("</g>")
    side = cell * count
    parts.append(f'<rect class="frame" x="{left}" y="{top}" width="{side}" height="{side}"/>')
    chart = svg(size + extra, top + side + 6, label, "".join(parts), "chart matrix")
    wide = size + extra  # not smaller than this, so that counts stay readable; its card scrolls where it must
    return chart.replace("<svg ", f'<svg style="min-width:{wide}px;max-width:{wide * 1.35:.0f}px" ', 1)


def scatter_chart(label, points, tips, classes):
    """Points in the plane, coloured and shaped by class number (-1: none)."""
    width, height, pad = 360, 300, 14
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low_x, low_y = min(xs), min(ys)
    scale = min((width - 2 * pad) / max(max(xs) - low_x, 1e-9), (height - 2 * pad) / max(max(ys) - low_y, 1e-9))
    shift_x = (width - scale * (max(xs) - low_x)) / 2
    shift_y = (height - scale * (max(ys) - low_y)) / 2
    radius = 3.4 if len(points) <= 300 else 2.6
    parts = [f'<rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="4"/>']
    for (x, y), tip, kind in zip(points, tips, classes, strict=True):
        a, b = shift_x + scale * (x - low_x), height - shift_y - scale * (y - low_y)
        parts.append(marker(kind, a, b, radius, f'data-tip="{escape(tip)}"'))
    return svg(width, height, label, "".join(parts), "chart scatter")


def marker(kind, x, y, radius, attributes=""):
    """The mark of a class: colours first, then shapes."""
    if kind < 0:
        return f'<circle class="mark none" cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {attributes}/>'
    style = f'class="mark s{kind % COLOURS}" {attributes}'
    shape = SHAPES[kind // COLOURS % len(SHAPES)]
    if shape == "circle":
        return f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
    if shape == "square":
        side = radius * 1.8
        return f'<rect {style} x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:.1f}" height="{side:.1f}"/>'
    tips = ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)) if shape == "triangle" else ((0, -1.4), (1.2, 0), (0, 1.4), (-1.2, 0))
    path = " ".join(f"{x + a * radius:.1f},{y + b * radius:.1f}" for a, b in tips)
    return f'<polygon {style} points="{path}"/>'


def class_legend(classes, present):
    """The marks of the classes that occur."""
    items = "".join(f'<li><svg class="key" viewBox="0 0 12 12" aria-hidden="true">{marker(k, 6, 6, 4)}</svg>'
                    f"{escape(classes[k] if k >= 0 else 'no label')}</li>" for k in sorted(present))  # fmt: skip
    return f'<ul class="legend">{items}</ul>'
