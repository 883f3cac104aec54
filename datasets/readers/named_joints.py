"""Joints and markers that a file names: what they mean in the body, and the layout they are read in."""

import re

import numpy as np

from ..errors import DataError
from ..layout_map import advised
from ..layouts import SkeletonLayout, get_layout, layout_names
from .json_file import told

_CENTRE = {
    "pelvis": ("hips", "hip", "pelvis", "root", "c_hip", "mid_hip", "hip_center", "midhip"),
    "spine": ("spine", "torso", "abdomen"),
    "thorax": ("chest", "upper_chest", "thorax"),
    "neck": ("neck", "neck1", "neck_base"),
    "head": ("head",),
    "head_top": ("head_top", "head_end", "head_top_end"),
    "nose": ("nose",),
}
_SIDED = {  # the first that a file has; "leg" of a file without a knee is its joint, the knee
    "hip": ("hip", "hjc", "up_leg", "upleg", "thigh", "upper_leg", "hip_joint"),
    "knee": ("knee", "kjc", "kne", "leg", "low_leg", "lower_leg", "shin", "calf"),
    "ankle": ("ankle", "ajc", "ank", "foot"),
    "heel": ("heel", "hee"),
    "big_toe": ("big_toe", "toe_base", "toebase", "toe", "toes"),
    "small_toe": ("small_toe",),
    "shoulder": ("arm", "up_arm", "uparm", "upper_arm", "shoulder", "sho"),
    "elbow": ("elbow", "elb", "fore_arm", "forearm", "lower_arm", "low_arm"),
    "wrist": ("wrist", "wri", "hand"),
    "ear": ("ear",),
    "eye": ("eye",),
}
MOST = 0.8  # of a layout's joints that tell it
_SHORT = {name for names in _SIDED.values() for name in names}
_BODY = {*_CENTRE, *(f"{side}_{name}" for side in ("left", "right") for name in _SIDED)}


def body_names(names):
    """Names of joints or markers as layouts have them, LeftUpLeg, LHJC and left_thigh as left_hip; others as written.

    The arm of a file that has both LeftShoulder and LeftArm begins at the latter. Two never have one name.
    """
    plain = [_plain(name) for name in names]
    found = {}
    for target, known in _CENTRE.items():
        _take(found, plain, target, known)
    for side in ("left", "right"):
        for target, known in _SIDED.items():
            _take(found, plain, f"{side}_{target}", [f"{side}_{name}" for name in known])
    meant = {index: target for target, index in found.items()}
    taken, result = set(found), []
    for index, name in enumerate(plain):
        name = meant.get(index, name)
        while index not in meant and name in taken:
            name += "_"
        taken.add(name)
        result.append(name)
    return result


def _take(found, plain, target, known):
    index = next((plain.index(name) for name in known if name in plain), None)
    if index is not None and index not in found.values():
        found[target] = index


def _plain(name):
    """A name in one spelling, its side first: mixamorig:LeftUpLeg, L.up_leg and UpLeg_l are left_up_leg."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.rpartition(":")[2].strip())
    name = re.sub(r"[\s.\-_]+", "_", name).strip("_").lower().removesuffix("_study") or "joint"
    match = re.fullmatch(r"(left|right|l|r)_(.+)|(.+)_(left|right|l|r)", name)
    if match:
        return f"{_side(match[1] or match[4])}_{match[2] or match[3]}"
    if name[0] in "lr" and name[1:] in _SHORT:
        return f"{_side(name[0])}_{name[1:]}"
    return name


def _side(text):
    return {"l": "left", "r": "right"}.get(text, text)


def names_beside(names, count, source, key):
    """The names of joints that a file has beside numbers in an order of its own; None where that is a layout's.

    Args:
        names: list of str, or None. count: V of the numbers. source, key: what errors name.
    """
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise DataError(source, key, "names of joints", told(names))
    if len(names) != count:
        raise DataError(source, key, f"{count} names, as many as joints", f"{len(names)}")
    layouts = (get_layout(name) for name in layout_names())
    usual = any(layout.num_joints == count and _in_order(names, layout) for layout in layouts)
    return None if usual else tuple(names)


def _in_order(names, layout):
    """Whether every joint of the body stands where a layout has it; fingers and faces have names of all kinds."""
    pairs = list(zip(layout.joints, map(_plain, names), body_names(names), strict=True))
    known = set(layout.joints)
    same = [joint in (own, meant) for joint, own, meant in pairs]
    others = [
        joint not in _BODY and not known & {own, meant}
        for (joint, own, meant), found in zip(pairs, same, strict=True)
        if not found
    ]
    return any(same) and all(others)


def layout_for(clip, given, by_names, source, notes):
    """The layout of a Clip that names its joints.

    Args:
        given: SkeletonLayout asked for, or None. by_names: make one of the names alone where no built-in has them: it
            is good for `layout_map` and nothing else. source: what errors name. notes: a list that may grow.
    Raises: DataError where the names are of no layout.
    """
    names, meant = [_plain(name) for name in clip.names], body_names(clip.names)
    body = {"name": "joints by name", "joints": meant, "edges": [], "parts": {"body": meant}}
    if given is not None:
        have, wanted = {*names, *meant}, {_plain(joint) for joint in given.joints}
        if not wanted <= have:
            if len(names) != given.num_joints or wanted & have:
                way = _advised(body, [given])
                expected = f"all joints of {given.name}" + (f" (or {way}, by what the names mean)" if way else "")
                raise DataError(source, "joints", expected, _listed(clip.names))
            notes.append(f"joints are named otherwise than {given.name}'s and taken in their order")
        return given
    if clip.layout:
        return get_layout(clip.layout)
    for name in layout_names():
        if set(get_layout(name).joints) in (set(names), set(meant)):
            return get_layout(name)
    for name in layout_names():  # most of one: the others were never seen
        joints = set(get_layout(name).joints)
        if len(names) > MOST * len(joints) and set(names) <= joints:
            return get_layout(name)
    if by_names:
        return SkeletonLayout.from_dict(body, source)
    way = _advised(body, map(get_layout, layout_names()))
    expected = "the names of a built-in layout, " + (f"{way} by what they mean, or " if way else "or ")
    expected += "--layout FILE.toml with these"
    raise DataError(source, "joints", expected, _listed(clip.names))


def _advised(body, targets):
    """As `advised`, of a layout of names alone."""
    try:
        own = SkeletonLayout.from_dict(body)
    except DataError:
        return ""
    return advised(*((own, target) for target in targets))


def in_layout(clip, layout):
    """(N, V, C) the points of a Clip in the order of a layout, zero where it has no joint of a name."""
    if clip.names is None:
        return clip.points
    names = [_plain(name) for name in clip.names]
    places = dict(zip(body_names(clip.names), range(len(names)), strict=True)) | {
        name: index for index, name in reversed(list(enumerate(names)))
    }
    order = [places.get(joint, places.get(_plain(joint), -1)) for joint in layout.joints]
    if max(order) < 0:
        return clip.points  # taken in their order, or of another number: told where that is checked
    points = np.zeros((len(clip.points), len(order), clip.points.shape[2]), "float32")
    for joint, index in enumerate(order):
        if index >= 0:
            points[:, joint] = clip.points[:, index]
    return points


def _listed(names):
    return f"{len(names)}: {', '.join(names)}"[:100]
