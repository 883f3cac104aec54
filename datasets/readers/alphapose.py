"""AlphaPose: a list of {"image_id", "keypoints": [x, y, score, ...], "score", "idx"} of all frames, 17 or 26 joints.

Results in COCO's form are the same. PoseFlow writes {image: [{"keypoints", "idx"}]}. Source: AlphaPose docs/output.md.
"""

from pathlib import PurePath

from .clip import People

NAME = "AlphaPose JSON"


def fits(content):
    if isinstance(content, dict):
        first = next(iter(content.values()), None)
        return bool(isinstance(first, list) and first and _is_person(first[0]))
    return isinstance(content, list) and bool(content) and _is_person(content[0]) and "image_id" in content[0]


def _is_person(value):
    return isinstance(value, dict) and "keypoints" in value and not isinstance(value["keypoints"], dict)


def clips(content, source, channels=None):
    """[("", Clip)]."""
    people, frames = People(source, channels), {}
    if isinstance(content, dict):
        content = [
            person | {"image_id": image} if isinstance(person, dict) else person
            for image, found in content.items()
            for person in (found if isinstance(found, list) else [found])
        ]
    for number, person in enumerate(content):
        image = person.get("image_id") if _is_person(person) else None
        if isinstance(image, bool) or not isinstance(image, int | str):
            people.fail(f"[{number}]", "image_id and keypoints", person)
        image = PurePath(image).stem if isinstance(image, str) else image
        frames.setdefault(image, []).append((number, person))
    for image, found in frames.items():
        people.frame(image, found[0][1])
        for number, person in found:
            identity = person.get("idx", person.get("track_id"))
            people.add(person["keypoints"], person=identity, where=f"[{number}].keypoints")
    return [("", people.clip(("x", "y", "score")))]
