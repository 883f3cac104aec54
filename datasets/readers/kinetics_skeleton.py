"""Kinetics-skeleton, one JSON file a clip: frames of up to five people, x and y 0 to 1, 18 joints of OpenPose.

{"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}]}], "label": "...", "label_index": 0}.
Source: st-gcn README.md and feeder/feeder_kinetics.py.
"""

from .clip import People
from .labels import label_of

NAME = "Kinetics-skeleton JSON"


def fits(content):
    return isinstance(content, dict) and isinstance(content.get("data"), list) and "label" in content


def clips(content, source, channels=None):
    """[("", Clip)]."""
    people = People(source, channels)
    for number, frame in enumerate(content["data"]):
        where = f"data[{number}]"
        if not isinstance(frame, dict) or not isinstance(frame.get("skeleton"), list):
            people.fail(f"{where}.skeleton", "a list", frame)
        people.frame(frame.get("frame_index", number), frame)
        for index, person in enumerate(frame["skeleton"]):
            key = f"{where}.skeleton[{index}]"
            if not isinstance(person, dict) or not {"pose", "score"} <= set(person):
                people.fail(key, "pose and score", person)
            people.add(person["pose"], person["score"], where=f"{key}.pose")
    label = label_of(content["label"])
    if label is None:
        people.fail("label", "a class name or number", content["label"])
    return [("", people.clip(("x", "y", "score"), normalized=True, label=label))]
