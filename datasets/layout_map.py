"""From the joints of one layout to those of another, by what their names mean in the body."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import DataError
from .layouts import SkeletonLayout, get_layout, layout_names

_ALIASES = {
    "spine_base": "pelvis",
    "hip_center": "pelvis",
    "mid_hip": "pelvis",
    "spine_middle": "spine",
    "spine_shoulder": "thorax",
    "shoulder_center": "thorax",
    "foot_index": "big_toe",
}
# OpenPose's neck is annotated as the middle of the shoulders; Human3.6M's head is its top, Kinect's its middle.
_OF_LAYOUT = {("openpose18", "neck"): "thorax", ("openpose25", "neck"): "thorax", ("h36m17", "head"): "head_top"}
_HIPS, _SHOULDERS, _EARS = (("left_" + joint, "right_" + joint) for joint in ("hip", "shoulder", "ear"))
# What stands for a point of the body that the source has not got: the mean of the first of these that it has.
# Nothing gives eyes, ears, mouth, toes or fingers, and the top of the head no nose.
_DERIVED = {
    "pelvis": [_HIPS],
    "thorax": [_SHOULDERS, ("neck",)],
    "spine": [(*_HIPS, *_SHOULDERS)],
    "neck": [("thorax",), _SHOULDERS],
    "head": [_EARS, ("nose",), ("head_top",)],
    "head_top": [("head",), _EARS],
    "nose": [("head",)],
}
for _side in ("left", "right"):
    _DERIVED[f"{_side}_hand"] = [(f"{_side}_pinky", f"{_side}_index")]  # knuckles
    _DERIVED[f"{_side}_foot"] = [(f"{_side}_big_toe", f"{_side}_small_toe"), (f"{_side}_big_toe",)]


@dataclass(frozen=True)
class LayoutMap:
    """Which source joints give each target joint.

    Attributes:
        source, target: SkeletonLayout.
        sources: per target joint the indices of the source joints whose mean it is; empty where it is missing.
        derived: indices of the target joints that the source has not got itself.
    """

    source: SkeletonLayout
    target: SkeletonLayout
    sources: tuple[tuple[int, ...], ...]
    derived: tuple[int, ...]

    @property
    def missing(self):
        """(V,) bool over the target joints, True = missing, to be masked."""
        return np.array([not sources for sources in self.sources])

    def apply(self, keypoints, channels):
        """Keypoints in the target layout.

        A target joint is seen where all its source joints are, else zero in every channel; its coordinates are their
        mean, its score is the least of theirs.

        Args:
            keypoints: (..., V, C) of the source layout, joints not seen at zero.
            channels: names of the C channels, such as ("x", "y", "score").

        Returns:
            (..., V', C), dtype as given.

        Raises:
            DataError: another number of joints or channels.
        """
        keypoints = np.asarray(keypoints)
        form = (self.source.num_joints, len(channels))
        if keypoints.shape[-2:] != form:
            expected = f"(..., {form[0]}, {form[1]}) ({self.source.name})"
            raise DataError("layout map", "keypoints", expected, keypoints.shape)
        score = channels.index("score") if "score" in channels else None
        xyz = [place for place in range(len(channels)) if place != score]
        seen = keypoints[..., xyz].any(-1)
        result = np.zeros((*keypoints.shape[:-2], self.target.num_joints, len(channels)), keypoints.dtype)
        for joint, sources in enumerate(self.sources):
            if sources:
                taken = keypoints[..., sources, :]
                values = taken.mean(-2) if len(sources) > 1 else taken[..., 0, :]
                if score is not None:
                    values[..., score] = taken[..., score].min(-1)
                result[..., joint, :] = values * seen[..., sources].all(-1)[..., None]
        return result

    def __str__(self):
        """What is derived and what is missing, in words."""
        names, texts = self.source.joints, []
        for joint in self.derived:
            origin = ", ".join(names[index] for index in self.sources[joint])
            mean = "mean of " if len(self.sources[joint]) > 1 else ""
            texts.append(f"{self.target.joints[joint]} = {mean}{origin}")
        missing = [joint for joint, gone in zip(self.target.joints, self.missing, strict=True) if gone]
        found = f"{self.target.num_joints - len(missing)} of {self.target.num_joints} joints"
        head = f"{self.source.name} to {self.target.name}: {found}"
        told = [
            head,
            "derived: " + "; ".join(texts) if texts else "",
            "missing: " + ", ".join(missing) if missing else "",
        ]
        return ". ".join(text for text in told if text)


def layout_map(source, target):
    """How to read skeletons of one layout as another's, joint by joint, by their names.

    Names that mean the same point of the body in several layouts (hip_center, spine_base, mid_hip, pelvis) are taken
    for each other. What the source has not got is the mean of its neighbours where that is sound, such as the pelvis of
    both hips, else missing. The nose is Kinect's head, as `convert-ntu --joints coco17` has it, but eyes and ears
    stay missing, which that command takes from the head too.

    Args:
        source, target: SkeletonLayout, name or TOML file.

    Returns:
        LayoutMap.

    Raises:
        DataError: less than a third of the target joints is found.
    """
    source, target = get_layout(source), get_layout(target)
    points: dict[str, int] = {}
    for index, joint in enumerate(source.joints):
        points.setdefault(_point(source, joint), index)
    sources, derived = [], []
    for joint in target.joints:
        point = _point(target, joint)
        found: Sequence[str] = (point,)
        if point not in points:
            found = next((given for given in _DERIVED.get(point, ()) if all(p in points for p in given)), ())
            derived += [len(sources)] if found else []
        sources.append(tuple(points[given] for given in found))
    count = sum(map(bool, sources))
    if 3 * count < target.num_joints:
        expected = f"a layout that has a third of the {target.num_joints} joints of {target.name} or more"
        raise DataError("layout map", f"{source.name} to {target.name}", expected, f"{count} of them")
    return LayoutMap(source, target, tuple(sources), tuple(derived))


def advised(*pairs):
    """The option that reads the joints of one layout as another's by their names, "" where too few are alike.

    pairs: (source, target) layouts; of several the one that leaves least missing.
    """
    found = []
    for source, target in pairs:
        try:
            found.append(layout_map(source, target))
        except DataError:
            continue
    if not found:
        return ""
    target = min(found, key=lambda each: each.missing.sum()).target
    known = target.name in layout_names() and get_layout(target.name) == target
    return f"--to {target.name}" if known else f"--to FILE.toml of {target.name}"


def _point(layout, joint):
    """The point of the body that a joint is: a name common to all layouts."""
    name = joint.strip().lower().replace(" ", "_").replace("-", "_")
    if (layout.name, name) in _OF_LAYOUT:
        return _OF_LAYOUT[layout.name, name]
    side, _, rest = name.partition("_")
    if side in ("left", "right"):
        return f"{side}_{_ALIASES.get(rest, rest)}"
    return _ALIASES.get(name, name)
