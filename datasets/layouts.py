"""Skeleton layouts as data: joint names, edges, mirror pairs, body parts; the rest is derived from these."""

import difflib
import functools
import json
import os
import tomllib
from dataclasses import asdict, dataclass
from importlib import resources

import numpy as np

from .errors import DataError

# COCO joint i is NTU joint NTU25_TO_COCO17[i] (0-based); nose, eyes and ears all become the head.
NTU25_TO_COCO17 = (3, 3, 3, 3, 3, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18)
_DEFAULTS = {17: "coco17", 25: "ntu25", 20: "kinect20", 18: "openpose18", 33: "mediapipe33", 21: "hand21"}
_DEFAULTS |= {24: "smpl24", 26: "halpe26", 32: "azure32", 133: "wholebody133"}
_quote = functools.partial(json.dumps, ensure_ascii=False)
_KEYS = ("name", "joints", "edges", "mirror", "parts", "root", "spine", "shoulders", "bones")


@dataclass(frozen=True)
class SkeletonLayout:
    """One skeleton of V joints.

    Attributes:
        name: short identifier.
        joints: V unique joint names, in the order of the data.
        edges: (child, parent) joint indices.
        mirror_pairs: (left, right) joint indices; joints in no pair mirror onto themselves.
        parts: part name -> joint indices; an ordered partition of the joints.
        root: the centre joint.
        spine: (lower, upper) joints that give the vertical of a 3D skeleton, or None.
        shoulders: (left, right) joints, or None.
        bones: one (joint, reference) pair per joint; by default those of the edges, and the root with itself.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    mirror_pairs: tuple[tuple[int, int], ...]
    parts: dict[str, tuple[int, ...]]
    root: int = 0
    spine: tuple[int, int] | None = None
    shoulders: tuple[int, int] | None = None
    bones: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        parents = {joint: joint for joint in range(len(self.joints))}
        parents.update(reversed(self.edges))  # of several parents the first counts
        parents.update(dict(self.bones))
        object.__setattr__(self, "bones", tuple(sorted(parents.items())))

    def __hash__(self):
        return hash((self.name, self.joints, self.edges))

    @property
    def num_joints(self):
        return len(self.joints)

    @property
    def adjacency(self):
        """(V, V) float32, 1 where an edge joins two joints: symmetric, zero diagonal."""
        matrix = np.zeros((self.num_joints, self.num_joints), "float32")
        for child, parent in self.edges:
            matrix[child, parent] = matrix[parent, child] = 1.0
        return matrix

    @property
    def part_masks(self):
        """(parts, V) bool, True where the joint belongs to the part."""
        masks = np.zeros((len(self.parts), self.num_joints), bool)
        for row, members in zip(masks, self.parts.values(), strict=True):
            row[list(members)] = True
        return masks

    @property
    def mirror(self):
        """(V,) int64 permutation that swaps left and right."""
        order = np.arange(self.num_joints, dtype="int64")
        for left, right in self.mirror_pairs:
            order[left], order[right] = right, left
        return order

    def to_dict(self):
        """JSON-able form; `from_dict` gives an equal layout back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values, source="layout"):
        """A layout from `to_dict`, `dataclasses.asdict` or a TOML table. Raises DataError naming the key."""
        parsed = _Parsed(values, str(source))
        if parsed.faults:
            raise parsed.faults[0]
        return cls(**parsed.fields)

    def to_toml(self):
        """TOML text that `from_toml` reads; joints are written by name."""
        names = self.joints

        def pairs(items):
            return _quote([[names[a], names[b]] for a, b in items])

        lines = [f"name = {_quote(self.name)}", f"joints = {_quote(names)}"]
        lines += [f"edges = {pairs(self.edges)}", f"mirror = {pairs(self.mirror_pairs)}"]
        lines += [f"root = {_quote(names[self.root])}"]
        for key in ("spine", "shoulders"):
            pair = getattr(self, key)
            lines += [f"{key} = {pairs([pair])[1:-1]}"] if pair else []
        lines += [f"bones = {pairs(self.bones)}", "", "[parts]"]
        for part, members in self.parts.items():
            lines.append(f"{_quote(part)} = {_quote([names[j] for j in members])}")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, path):
        """One layout from a TOML file. Raises DataError naming file and key, OSError if unreadable."""
        return cls.from_dict(_read_toml(path), path)


def layout_faults(path):
    """Every fault of a TOML file, a list of DataError; the first is the one that `from_toml` raises."""
    try:
        return _Parsed(_read_toml(path), str(path)).faults
    except DataError as error:
        return [error]


def _read_toml(path):
    with open(path, "rb") as file:
        try:
            return tomllib.load(file)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(path, "TOML", "", error) from None


def layout_names():
    """Names of the built-in layouts, a tuple."""
    return tuple(_builtin())


def get_layout(layout):
    """The layout for a built-in name, a path to a TOML file, or a layout (returned as it is)."""
    if isinstance(layout, SkeletonLayout):
        return layout
    if isinstance(layout, str) and layout in _builtin():
        return _builtin()[layout]
    path = os.fspath(layout)
    if path.endswith(".toml") or os.path.isfile(path):
        return SkeletonLayout.from_toml(path)
    close = difflib.get_close_matches(path, _builtin(), 3, 0.4)
    names = close + [name for name in _builtin() if name not in close]
    raise DataError("layout", "", f"one of {', '.join(names)} or a .toml file", repr(path))


def default_layout(num_joints):
    """The usual layout for V joints. Raises DataError where none is usual."""
    if num_joints not in _DEFAULTS:
        expected = f"--layout NAME or FILE.toml for {num_joints} joints (no built-in layout is usual for them)"
        raise DataError("layout", "", expected)
    return get_layout(_DEFAULTS[num_joints])


@functools.cache
def _builtin():
    text = resources.files(__package__).joinpath("data/layouts.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    return {name: SkeletonLayout.from_dict({"name": name} | table, name) for name, table in tables.items()}


class _Parsed:
    """A table as the fields of a SkeletonLayout, and its faults, a list of DataError. A faulty value is left out."""

    def __init__(self, values, source):
        self.source, self.faults, self.fields = source, [], {}
        if not isinstance(values, dict):
            self._fault("", "a table", type(values).__name__)
            return
        self.values = dict(values)
        if "mirror_pairs" in values:
            self.values["mirror"] = self.values.pop("mirror_pairs")
        for key in ("name", "joints", "edges", "parts"):
            if key not in self.values:
                self._fault(key, "the key", "none")
        for key in sorted(set(map(str, self.values)) - set(_KEYS)):
            self._fault(key, f"a key of {', '.join(_KEYS)}", "an unknown key")
        name = self.values.get("name", "-")
        if not isinstance(name, str) or not name:
            self._fault("name", "a non-empty text", repr(name))
        if self._take_joints():
            edges, mirror, parts = self._edges(), self._mirror(), self._parts()
            two = {key: self._sequence(self.values.get(key) or None, key, 2) for key in ("spine", "shoulders")}
            root, bones = self._joint(self.values.get("root", 0), "root"), self._pairs("bones")
            self.fields = {"name": name, "joints": tuple(self.names), "edges": edges, "mirror_pairs": mirror}
            self.fields |= {"parts": parts, "root": root, "bones": bones, **two}

    def _fault(self, key, expected, found):
        self.faults.append(DataError(self.source, key, expected, found))

    def _take_joints(self):
        """Whether the joints are sound: without them nothing else can be told."""
        names = self.values.get("joints")
        if not isinstance(names, list | tuple) or not names or not all(isinstance(n, str) and n for n in names):
            if "joints" in self.values:
                self._fault("joints", "a list of names", repr(names)[:80])
            return False
        if len(set(names)) != len(names):
            self._fault("joints", "unique names", sorted({n for n in names if names.count(n) > 1})[0])
            return False
        self.names, self.numbers = names, {name: index for index, name in enumerate(names)}
        return True

    def _joint(self, value, key):
        index = self.numbers.get(value) if isinstance(value, str) else value
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(self.names):
            self._fault(key, f"a joint name or an index below {len(self.names)}", repr(value))
            return None
        return index

    def _sequence(self, value, key, length=None):
        """Indices of a list of joints; None without a value, or where one of them is no joint."""
        if value is None:
            return None
        if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
            self._fault(key, "a list" if length is None else f"a list of {length}", repr(value)[:80])
            return None
        found = tuple(self._joint(item, f"{key}[{i}]") for i, item in enumerate(value))
        return None if None in found else found

    def _numbered_pairs(self, key):
        """[(number, pair)] of the sound pairs of a list."""
        items = self.values.get(key) or ()
        if not isinstance(items, list | tuple):
            self._fault(key, "a list of pairs", repr(items)[:80])
            return []
        found = [(i, self._sequence(() if item is None else item, f"{key}[{i}]", 2)) for i, item in enumerate(items)]
        return [entry for entry in found if entry[1] is not None]

    def _pairs(self, key):
        return tuple(pair for _, pair in self._numbered_pairs(key))

    def _edges(self):
        seen, edges = set(), self._numbered_pairs("edges")
        for i, (child, parent) in edges:
            if child == parent or frozenset((child, parent)) in seen:
                self._fault(f"edges[{i}]", "two joints not joined before", f"[{child}, {parent}]")
            seen.add(frozenset((child, parent)))
        return tuple(pair for _, pair in edges)

    def _mirror(self):
        mirror = self._pairs("mirror")
        paired = [joint for pair in mirror for joint in pair]
        if len(set(paired)) != len(paired):
            self._fault("mirror", "each joint in one pair at most", "a repeated joint")
        return mirror

    def _parts(self):
        given = self.values.get("parts", {})
        if not isinstance(given, dict):
            self._fault("parts", "a table of joint lists", type(given).__name__)
            return {}
        parts = {str(name): self._sequence(() if m is None else m, f"parts.{name}") for name, m in given.items()}
        if "parts" not in self.values or None in parts.values():
            return {}  # which is told, and leaves open what the others lack
        members = [joint for part in parts.values() for joint in part]
        if sorted(members) != list(range(len(self.names))) or not all(parts.values()):
            wrong = sorted({self.names[j] for j in range(len(self.names)) if members.count(j) != 1})
            self._fault("parts", "every joint in exactly one part, no empty part", ", ".join(wrong))
        return parts
