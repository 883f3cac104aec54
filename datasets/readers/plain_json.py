"""One sequence in a JSON file of our own: plain lists and names, for programs that know nothing of stores.

{"format": "skelmae-sequence", "version": 1, "layout": a built-in name or a layout as an object, "joints": [names],
"channels": ["x", "y", "score"], "units": "pixels", "fps": 30, "image_size": [width, height], "label": "wave",
"subject": 3, "camera": 1, "setup": 2, "splits": ["train"], "keypoints": [people][frames][joints][channels]}; what is
not known is null or left out, a joint that was not seen is zero in every channel. A label that is a text is the name of
its class, whatever it says: "nan" and "01", too.
"""

import numpy as np

from ..errors import DataError
from ..layouts import SkeletonLayout, get_layout, layout_names
from ..store.facts import EXPECTED, is_fact, is_whole
from ..store.writer import CHANNELS, check_rate
from .clip import Clip
from .json_file import told
from .labels import label_of
from .people import MAX_PEOPLE, MAX_VALUES

NAME, FORMAT, VERSION = "skelmae JSON", "skelmae-sequence", 1
UNITS = {2: "pixels", 3: "metres"}  # of x, y and of x, y, z


def content_of(sample, layout, channels, action=None, splits=(), fps=None):
    """The JSON-able form of a Sample; keypoints stay an array. action: name of its class, None unknown."""
    known = layout.name in layout_names() and get_layout(layout.name) == layout
    height, width = sample.image_size
    facts = {key: getattr(sample, key) for key in EXPECTED}
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": sample.id,
        "layout": layout.name if known else layout.to_dict(),
        "joints": list(layout.joints),
        "channels": list(channels),
        "units": UNITS[3 if "z" in channels else 2],
        "fps": fps,
        "image_size": [width, height] if height and width else None,
        "label": action,
        **{key: None if value == -1 else value for key, value in facts.items()},
        "splits": list(splits),
        "keypoints": np.ascontiguousarray(sample.keypoints, "float32"),
    }


def fits(content):
    """Whether JSON is of this form."""
    return isinstance(content, dict) and content.get("format") == FORMAT


def clips(content, source, channels=None):
    """[("", Clip)] of the content. Raises DataError naming the key that is not as described."""

    def fail(key, expected):
        raise DataError(source, key, expected, told(content.get(key)))

    if content.get("version") != VERSION:
        fail("version", VERSION)
    names, layout = content.get("channels"), content.get("layout")
    if not isinstance(names, list) or tuple(names) not in CHANNELS:
        fail("channels", "one of " + ", ".join(map("-".join, CHANNELS)))
    if isinstance(layout, dict):
        layout = SkeletonLayout.from_dict(layout, f"{source}: layout")
    elif not isinstance(layout, str) or layout not in layout_names():
        fail("layout", "a built-in name or a layout")
    units = UNITS[3 if "z" in names else 2]
    if content.get("units") not in (None, units):
        fail("units", units)
    size = content.get("image_size")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and all(map(is_whole, size))):
        fail("image_size", "[width, height] or null")
    size = (0, 0) if size is None else (size[1], size[0])
    facts = {key: content[key] for key in EXPECTED if content.get(key) is not None}
    for key, value in facts.items():
        if not is_fact(key, value) or value == -1:
            fail(key, f"{EXPECTED[key]}, or null")
    splits = content.get("splits") or []
    if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
        fail("splits", "a list of names")
    label = label_in(content.get("label"))
    if label is None:
        fail("label", "a name, a number or null")
    values = _keypoints(content, source, get_layout(layout).num_joints, len(names))
    frames, people = np.nonzero(values.any(axis=(2, 3)).T)
    clip = Clip(values[people, frames], tuple(names), frames, people, values.shape[1], size == (1, 1), layout, label)
    clip.image_size, clip.fps, clip.arranged = size, check_rate(source, content.get("fps")), True
    clip.metres, name = content.get("units") == "metres", content.get("id")
    clip.id = name if isinstance(name, str) and name.isprintable() else ""
    clip.facts = facts | ({"split": splits} if splits else {})
    return [("", clip)]


def label_in(value):
    """A label as the file has it: a text unchanged, an empty one none; others as `label_of`."""
    return value or -1 if isinstance(value, str) else label_of(value)


def _keypoints(content, source, joints, width):
    """The keypoints, (M, T, V, C) float32."""
    try:
        values = np.array(content.get("keypoints"))
    except (ValueError, OverflowError):  # lists of several lengths
        values = np.zeros(0)
    if values.dtype.kind not in "fiu" or values.ndim != 4 or 0 in values.shape or values.shape[2:] != (joints, width):
        expected, found = f"numbers, people x frames x {joints} x {width}", " x ".join(map(str, values.shape)) or "none"
        raise DataError(source, "keypoints", expected, found)
    if len(values) > MAX_PEOPLE or values.size > MAX_VALUES:
        raise DataError(source, "keypoints", f"at most {MAX_PEOPLE} people and {MAX_VALUES} values", values.shape)
    with np.errstate(over="ignore"):
        return values.astype("float32")
