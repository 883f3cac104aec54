"""MediaPipe landmarks as JSON: 33 of a body or 21 of a hand, of a frame or of a list of frames.

A landmark is {"x", "y", "z", "visibility"} or a list of these; people are lists of landmarks, or one such list.
Landmarks of the image are x, y, 0 to 1, and a visibility; world landmarks (asked for by channels x,y,z, or where there
are no others) are x, y, z in metres. Source: ai.google.dev, PoseLandmarkerResult; `mp.solutions.pose`.
"""

import numpy as np

from ..errors import DataError
from .clip import People

NAME = "MediaPipe JSON"
LANDMARKS = (33, 21)  # of a body, of a hand
LAYOUTS = ("mediapipe33", "hand21")
NO_DEPTH = "depth of image landmarks has no sure scale and is left out"
_INSIDE = -0.2, 1.5  # where x, y of landmarks of the image are, some of them beside it
_IMAGE = ("landmarks", "pose_landmarks", "poseLandmarks", "landmark", "hand_landmarks", "handLandmarks")
_WORLD = ("worldLandmarks", "world_landmarks", "pose_world_landmarks", "poseWorldLandmarks", "hand_world_landmarks")
_NUMBER = ("frame", "frame_index", "frame_id", "frame_number", "frameIndex")
_SCORE = ("visibility", "score", "presence")


def fits_frame(content):
    """Whether content is of one frame."""
    if isinstance(content, dict):
        return any(key in content for key in (*_IMAGE, *_WORLD))
    return isinstance(content, list) and len(content) in LANDMARKS and all(map(_is_landmark, content))


def fits(content):
    """Whether content is a list of frames."""
    frames = _frames(content)
    first = next((frame for frame in frames if frame not in (None, [], {})), None)
    return first is not None and (fits_frame(first) or (isinstance(first, list) and fits_frame(first[0])))


def _frames(content):
    if isinstance(content, dict):
        content = content.get("frames")
    return content if isinstance(content, list) else []


def _is_landmark(value):
    return isinstance(value, dict) and "x" in value and "y" in value


def clips(content, source, channels=None):
    """[("", Clip)]."""
    people = People(source, channels)
    for number, frame in enumerate(_frames(content)):
        named = next((frame[key] for key in _NUMBER if key in frame), number) if isinstance(frame, dict) else number
        people.frame(named, frame)
        add(people, frame, f"[{number}]")
    return [("", finish(people))]


def add(people, content, where=""):
    """Add the people of a frame to a People."""
    image, world, key = content, None, ""
    if isinstance(content, dict):
        names = [next((name for name in names if content.get(name)), None) for names in (_IMAGE, _WORLD)]
        image, world = (content.get(name) if name else None for name in names)
        wanted = people.channels == ("x", "y", "z")
        use_world = bool(world) and (wanted or not image)
        key = f".{names[use_world]}" if names[use_world] else ""
        people.facts["both"] = people.facts.get("both") or bool(image and world and people.channels is None)
        if wanted and image and not world:
            people.fail(f"{where}.worldLandmarks", "world landmarks, for channels x,y,z", "none")
        image = world if use_world else image
        if image and people.facts.setdefault("world", use_world) != use_world:
            people.fail(where, "one kind of landmarks in all frames", "image and world landmarks")
    for number, person in enumerate(_persons(image)):
        points = person.get("landmark") if isinstance(person, dict) else person
        name = f"{where}{key}[{number}]"
        if not isinstance(points, list) or not points:
            people.fail(name, "a list of landmarks", person)
        people.add([_values(people, point, f"{name}[{j}]") for j, point in enumerate(points)], where=name)


def _persons(value):
    """The lists of landmarks in a value that may be one."""
    if not value:
        return []
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return [value]
    first = value[0]
    flat = _is_landmark(first) or (isinstance(first, list) and first and not isinstance(first[0], list | dict))
    return [value] if flat else value


def _values(people, point, where):
    """x, y, z, visibility of a landmark; NaN where there is no visibility."""
    if isinstance(point, list) and len(point) in (3, 4):
        return [*point, *[float("nan")] * (4 - len(point))]
    if not _is_landmark(point):
        people.fail(where, "x, y, z, visibility", point)
    score = next((point[key] for key in _SCORE if point.get(key) is not None), float("nan"))
    return [point["x"], point["y"], point.get("z", 0.0), score]


def finish(people):
    """The Clip."""
    world, both = people.facts.pop("world", False), people.facts.pop("both", False)
    clip = people.clip(("x", "y", "z", "score"))
    if len(clip.points) and clip.points.shape[1] not in LANDMARKS:
        people.fail("landmarks", f"{' or '.join(map(str, LANDMARKS))} of them", clip.points.shape[1])
    return as_landmarks(clip, world, both)


def as_landmarks(clip, world, both=False):
    """The Clip of points (N, V, 4), x, y, z, visibility, with the channels that are used of it."""
    scores = np.nan_to_num(clip.points[..., 3], nan=1)
    scored = bool(np.nan_to_num(clip.points[..., 3]).any())  # hands have none, or zeros
    clip.points[..., 3] = scores
    names = ("x", "y", "z") if world else ("x", "y")
    columns = [*range(len(names)), *([3] if scored else [])]
    clip.points, clip.channels = clip.points[..., columns], (*names, "score") if scored else names
    clip.normalized = False if world else None
    if not world:
        other = "; convert --channels x,y,z reads the world landmarks" if both else ""
        clip.notes.append(f"{NO_DEPTH}{other}")
    return clip


def from_table(clip, source, world, deep, channels, landmarks):
    """The Clip of a table's points (N, V, 4), x, y, z, visibility, with the channels that are used of it.

    The depth of MediaPipe's landmarks of the image has no sure scale; of all others x, y, z are places in space.

    Args:
        world: whether the columns say that they are the world's. deep: whether there is a z. channels: those asked for.
        landmarks: whether the joints are MediaPipe's.
    Raises: DataError where x, y, z may be either.
    """
    scored = bool(clip.points[..., 3].any())
    flat = clip.points[..., :2][clip.points[..., :2].any(-1)]
    image = not world and (not deep or (channels is not None and "z" not in channels))
    if landmarks and deep and not world and not image and len(flat):
        inside = are_inside(flat) and not is_world(clip.points)
        if inside and channels is not None:
            raise DataError(source, "", "world landmarks, for channels x,y,z", "landmarks of the image")
        if not inside and channels is None and not is_world(clip.points):
            expected = "--channels x,y,z (places in space) or x,y (of the image)"
            raise DataError(source, "", expected, f"MediaPipe's joints with x, y up to {np.abs(flat).max():.4g}")
        image = inside
    if landmarks and deep and image:
        return as_landmarks(clip, False)
    names = ("x", "y") if image else ("x", "y", "z")
    clip.points = clip.points[..., [*range(len(names)), *([3] if scored else [])]]
    clip.channels = (*names, "score") if scored else names
    clip.normalized = None if image else False
    return clip


def are_inside(flat):
    """Whether x, y (N, 2) are parts of an image's width and height; the world's are on both sides of the hips."""
    low, high = np.quantile(flat, (0.02, 0.98))
    return bool(low >= _INSIDE[0] and high <= _INSIDE[1])


def is_world(values):
    """Whether MediaPipe's landmarks (..., V, C) are centred on the hips, in metres."""
    if values.shape[-2] != 33:
        return False
    hips = np.nan_to_num(values[..., [23, 24], :2]).mean(-2)
    return bool(np.median(np.abs(hips)) < 0.02 and np.nanmin(values[..., :2]) < -0.05)
