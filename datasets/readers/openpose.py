"""OpenPose, one JSON file a frame: {"people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, score, ...]}]}.

Of BODY_25 or COCO's 18 joints; faces and hands beside them are not read. AlphaPose writes the same with its format
open, and {"bodies": [{"joints": [...]}]} with cmu. Source: OpenPose 1.7 doc/02_output.md, AlphaPose docs/output.md.
"""

NAME = "OpenPose JSON"
LAYOUTS = {25: "openpose25", 18: "openpose18"}
_KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints")  # now, before version 1.1, CMU's


def fits(content):
    return isinstance(content, dict) and any(isinstance(content.get(key), list) for key in ("people", "bodies"))


def add(people, content):
    """Add the people of a frame to a People."""
    name = "people" if "people" in content else "bodies"
    for number, person in enumerate(content[name]):
        if not isinstance(person, dict):
            people.fail(f"{name}[{number}]", "an object", person)
        for key in _KEYS:
            if key in person:
                break
        else:
            people.fail(f"{name}[{number}].{_KEYS[0]}", "the key", person)
        if person[key]:  # empty where only a hand or a face was found
            people.add(person[key], person=person.get("person_id"), where=f"{name}[{number}].{key}")


def finish(people):
    """The Clip."""
    clip = people.clip(("x", "y", "score"))
    clip.layout = LAYOUTS.get(clip.points.shape[1])
    return clip
