"""mmpose and RTMPose predictions: instances of {"keypoints": [[x, y], ...], "keypoint_scores": [...]}.

Of a video: {"instance_info": [{"frame_id", "instances"}]}, or that list alone; of an image: the list of its instances.
Three values a joint are a pose lifter's x, y, z. Joints are taken by the names of `meta_info`, where it is.
Source: mmpose 1.x demo scripts and `split_instances`.
"""

from .clip import People
from .named_joints import names_beside

NAME = "mmpose JSON"
_NAMES = "meta_info.keypoint_id2name"


def fits(content):
    """Whether content is of a video."""
    if isinstance(content, dict):
        return isinstance(content.get("instance_info"), list)
    return isinstance(content, list) and bool(content) and isinstance(content[0], dict) and "instances" in content[0]


def fits_frame(content):
    """Whether content is of an image."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and "keypoint_scores" in first


def add(people, content, where=""):
    """Add the instances of a frame to a People."""
    for number, person in enumerate(content):
        key = f"{where}[{number}]"
        if not isinstance(person, dict) or not {"keypoints", "keypoint_scores"} <= set(person):
            people.fail(key, "keypoints and keypoint_scores", person)
        identity = person.get("track_id", person.get("instance_id"))
        people.facts.setdefault("width", _width(person["keypoints"]))
        people.add(person["keypoints"], person["keypoint_scores"], identity, f"{key}.keypoints")


def finish(people, names=None):
    """The Clip; names: of the joints, in their order."""
    width = people.facts.pop("width", 2)
    clip = people.clip((*("x", "y", "z")[:width], "score"))
    if names is not None and len(clip.points):
        clip.names = names_beside(names, clip.points.shape[1], people.source, _NAMES)
    if width == 3 and clip.points.shape[1] == 17 and clip.names is None:
        clip.layout = "h36m17"
        clip.notes.append("17 joints in 3D are taken for h36m17's, a pose lifter's (convert --layout names others)")
    return clip


def clips(content, source, channels=None):
    """[("", Clip)]."""
    people = People(source, channels)
    name = "instance_info" if isinstance(content, dict) else ""
    for number, frame in enumerate(content[name] if name else content):
        where = f"{name}[{number}]"
        if not isinstance(frame, dict) or not isinstance(frame.get("instances"), list):
            people.fail(f"{where}.instances", "a list", frame)
        people.frame(frame.get("frame_id", number), frame)
        add(people, frame["instances"], f"{where}.instances")
    return [("", finish(people, _names(content) if name else None))]


def _names(content):
    """Names of the joints in their order; None without them."""
    meta = content.get("meta_info")
    found = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(found, dict):
        return None
    return [found.get(str(number), found.get(number)) for number in range(len(found))]


def _width(points):
    first = points[0] if isinstance(points, list) and points else None
    return 3 if isinstance(first, list) and len(first) == 3 else 2
