"""Pieces of HTML and SVG, and numbers as a reader wants them."""

import html


def escape(text):
    """Text for HTML, also within quotes."""
    return html.escape(str(text), quote=True)


def element(tag, *content, **attributes):
    """An element of HTML or SVG.

    Args:
        tag: its name.
        content: pieces of markup, one after another.
        attributes: None leaves one out; "_" stands for "-", at the end of a name (``class_``) for nothing; floats keep
            one decimal place.
    """
    told = ""
    for key, value in attributes.items():
        if value is not None:
            text = f"{value:.1f}" if isinstance(value, float) else str(value)
            told += f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"'
    return f"<{tag}{told}>{''.join(content)}</{tag}>"


def card(title, *content, size=""):
    """A box of the page."""
    return element("div", element("h3", escape(title)), *content, class_=f"card {size}".strip())


def soft(text):
    """A remark."""
    return element("p", escape(text), class_="soft")


def details(summary, content):
    """What is shown when asked for."""
    return element("details", element("summary", escape(summary)), content)


def table(heads, rows, numeric=(), head=True):
    """A table.

    Args:
        heads: titles of the columns. rows: lists of as many texts or numbers; the first is the row's own title.
        numeric: numbers of the columns that stand at the right. head: whether the titles are shown.
    """

    def cell(column, content, tag, **attributes):
        return element(tag, escape(content), class_="n" if column in numeric else None, **attributes)

    def row(first, *others):
        cells = (cell(column, content, "td") for column, content in enumerate(others, 1))
        return element("tr", cell(0, first, "th", scope="row"), *cells)

    top = element("tr", *(cell(column, title, "th", scope="col") for column, title in enumerate(heads)))
    body = element("tbody", *(row(*cells) for cells in rows))
    content = element("table", element("thead", top) if head else "", body, class_=None if head else "facts")
    wide = len(heads) > 3
    return element("div", content, class_="scroll" if wide else None, tabindex=0 if wide else None)


def number(value, digits=4):
    """A number in few characters."""
    return "–" if value is None else f"{value:.{digits}g}"


def percent(share):
    """A share in 0..1 as per cent."""
    return "–" if share is None else f"{100 * share:.1f} %"


def duration(seconds):
    """Seconds in the two largest units."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shortened(text, most):
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
