"""COCO keypoint annotations: {"images", "annotations": [{"image_id", "keypoints": [x, y, flag, ...]}], "categories"}.

A flag is 0 where a joint is not labelled; 1 (hidden) and 2 are. Images of several videos or folders are as many clips.
Joints are taken by the names of their category.
Source: cocodataset.org, data format, keypoint detection; `videos` as in PoseTrack and mmpose.
"""

from pathlib import PurePosixPath

from .clip import People
from .labels import plain
from .named_joints import names_beside

NAME = "COCO keypoint annotations"


def fits(content):
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("images", "annotations"))


def clips(content, source, channels=None):
    """[(name of the video or folder, Clip)], one where the images are of one."""
    parts, place = {}, {}
    fail = People(source).fail
    for number, image in enumerate(content["images"]):
        if not isinstance(image, dict) or not _is_key(image.get("id")):
            fail(f"images[{number}].id", "a number or text", image)
        name = image.get("file_name")
        path = PurePosixPath(name.replace("\\", "/")) if isinstance(name, str) else PurePosixPath("")
        video = image.get("video_id", image.get("vid_id", ""))
        part = str(video) if video != "" and _is_key(video) else str(path.parent).strip("./")
        key = next((image[k] for k in ("frame_id", "frame_index") if _is_key(image.get(k))), path.stem or image["id"])
        place[image["id"]] = part, len(parts.setdefault(part, []))
        parts[part].append((key, image, []))
    for number, person in enumerate(content["annotations"]):
        if not isinstance(person, dict) or not _is_key(person.get("image_id")) or person["image_id"] not in place:
            fail(f"annotations[{number}].image_id", "the id of an image", person)
        part, row = place[person["image_id"]]
        parts[part][row][2].append((number, person))
    names = _names(content)
    return [(part if len(parts) > 1 else "", _clip(rows, names, source, channels)) for part, rows in parts.items()]


def _names(content):
    """{id of a category: (key, its names of joints)}."""
    categories = content.get("categories")
    return {
        str(plain(category.get("id"))): (f"categories[{number}].keypoints", category.get("keypoints"))
        for number, category in enumerate(categories if isinstance(categories, list) else ())
        if isinstance(category, dict) and category.get("keypoints")
    }


def _clip(rows, names, source, channels):
    people, size, used = People(source, channels), (0, 0), {}
    for key, image, found in rows:
        people.frame(key, image)
        sides = image.get("height"), image.get("width")
        if all(isinstance(side, int) and 0 < side < 2**20 for side in sides):
            size = sides
        for number, person in found:
            points = person.get("keypoints")
            if not points or person.get("num_keypoints") == 0:
                continue  # a box alone
            people.add(points, person=person.get("track_id"), where=f"annotations[{number}].keypoints")
            key, own = names.get(str(plain(person.get("category_id"))), ("", None))
            used.setdefault(str(own), (key, own))
    clip = people.clip(("x", "y", "score"), image_size=size)
    if len(used) > 1:
        people.fail(
            "annotations", "people of one category, or of the same keypoints", [key for key, _ in used.values()]
        )
    for key, own in used.values():
        clip.names = names_beside(own, clip.points.shape[1], source, key)
    return clip


def _is_key(value):
    return isinstance(value, int | str) and not isinstance(value, bool)
