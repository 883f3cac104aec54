"""YOLO-pose: a text file a frame, a line a person; or the JSON of Ultralytics' results.

A line is `class x y width height`, then x y [score] of each joint, all 0 to 1, then the box's confidence (`save_conf`)
and the track id (`track`) where asked for. A frame without anybody has no file. JSON is a list of {"name", "box",
"keypoints": {"x", "y", "visible"}, "track_id"} a frame, in pixels. Source: Ultralytics 8, `Results.save_txt`,
`Results.summary` and docs/datasets/pose.
"""

import os

import numpy as np

from ..errors import DataError
from ..layouts import get_layout, layout_names

NAME, TEXT_NAME = "Ultralytics JSON", "YOLO-pose text"
MAX_BYTES = 1 << 20  # of the text of a frame
_BOX = 5  # class and box


def fits(content):
    """Whether content is of a frame."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and isinstance(first.get("keypoints"), dict)


def fits_video(content):
    """Whether content is a list of frames."""
    frames = content if isinstance(content, list) else []
    full = next((frame for frame in frames if isinstance(frame, list) and frame), None)
    return all(isinstance(frame, list) for frame in frames) and fits(full)


def add(people, content, where=""):
    """Add the people of a frame of JSON to a People."""
    for number, person in enumerate(content):
        key = f"{where}[{number}].keypoints"
        points = person.get("keypoints") if isinstance(person, dict) else None
        if not isinstance(points, dict) or not {"x", "y"} <= set(points):
            people.fail(key, "x and y", points)
        x, y, scores = points["x"], points["y"], points.get("visible")
        if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y) or not x:
            people.fail(key, "x and y of one length", points)
        people.add([list(pair) for pair in zip(x, y, strict=True)], scores, person.get("track_id"), key)
        people.facts["scored"] = people.facts.get("scored", False) or scores is not None


def finish(people):
    """The Clip of JSON frames."""
    return people.clip(("x", "y", "score") if people.facts.pop("scored", True) else ("x", "y"))


def clips(content, source, channels=None):
    """[("", Clip)] of a list of frames."""
    from .clip import People

    people = People(source, channels)
    for number, frame in enumerate(content):
        people.frame(number)
        add(people, frame, f"[{number}]")
    return [("", finish(people))]


def is_text(path):
    """Whether the first line of a file is that of a person."""
    with open(path, "rb") as file:
        words = file.readline(1 << 16).split()
    try:
        box = [float(word) for word in words]
    except ValueError:
        return False
    return len(box) > _BOX + 8 and box[0] == int(box[0]) >= 0 and all(0 <= side <= 1.5 for side in box[1:_BOX])


def read_text(path, people):
    """Add the people of a frame's text to a People, their lines as they are."""
    name = os.path.basename(path)
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(name, "", f"at most {MAX_BYTES >> 20} MiB a frame", "more")
    for number, line in enumerate(data.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            raise DataError(name, f"line {number}", "numbers", ascii(line.decode("latin-1"))[:60]) from None
        people.add(row, where=f"line {number}")


def finish_text(people, joints=None):
    """The Clip of lines; joints: V where it is known."""
    if not len(people):
        return people.clip(("x", "y", "score"), normalized=True)
    lines = people.clip(("value",))
    values = lines.points[..., 0]
    count, width, extra = _form(values.shape[1] - _BOX, people, joints)
    points = values[:, _BOX : _BOX + count * width].reshape(len(values), count, width)
    lines.channels, lines.normalized, lines.points = ("x", "y", "score")[:width], True, points
    tail = values[:, _BOX + count * width :]
    if extra and _are_ids(tail[:, -1], lines.frames):
        lines.ids = tail[:, -1].astype("int64")
    told = f"lines are read as {count} joints of {', '.join(lines.channels)}"
    lines.notes.append(told + (f" and {extra} more" if extra else ""))
    return lines


def _form(count, people, joints):
    """(joints, values a joint, values after them) of so many values behind the box."""
    known = [joints] if joints else sorted({get_layout(name).num_joints for name in layout_names()})
    found = [(v, d, count - v * d) for d in (3, 2) for v in known if 0 <= count - v * d <= 2]
    usual = [form for form in found if form[:2] == (17, 3)]
    found = usual or [form for form in found if form[2] == min(other[2] for other in found)]
    if len(found) != 1:
        expected = "x y [score] of the joints of a layout, confidence, id (--layout says which)"
        raise DataError(people.source, "line 1", expected, f"{count} values behind the box")
    return found[0]


def _are_ids(values, frames):
    """Whether values (N,) can be ids: whole numbers from 1, each once in a frame."""
    whole = bool(np.isfinite(values).all() and (values == np.round(values)).all() and (values >= 1).all())
    return whole and len(np.unique(np.stack([frames, values]), axis=1).T) == len(values)
