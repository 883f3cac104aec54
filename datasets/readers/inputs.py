"""Files and folders to recordings: which are clips, which are the frames of one, and what form they have."""

import functools
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from ..files import walk
from . import (
    alphapose,
    animals,
    clip_arrays,
    coco,
    csv_table,
    kinetics_skeleton,
    landmark_table,
    mediapipe,
    mmpose,
    motion_capture,
    openpose,
    plain_json,
    yolo,
)
from .clip import People
from .json_file import load_json, told
from .labels import label_of
from .pyskl import image_size_in
from .rates import rate_in
from .restricted_pickle import restricted_load
from .suffixes import IN_FOLDERS

ANALYSIS = ".analysis.h5"  # SLEAP's, in folders
_FRAME = re.compile(r"(?P<prefix>.*?)[_-]?(?P<number>\d{1,15})(_keypoints|_landmarks|_pose|_keypoint)?")
_MAX_EMPTY = 1 << 12  # files of a folder that are looked into for somebody


@dataclass(frozen=True)
class Form:
    """A form of JSON: name; fits, whether content has it; clips(content, source, channels), or of frames add and
    finish."""

    name: str
    fits: object
    clips: object = None
    add: object = None
    finish: object = None


FORMS = (
    Form(plain_json.NAME, plain_json.fits, plain_json.clips),
    Form(kinetics_skeleton.NAME, kinetics_skeleton.fits, kinetics_skeleton.clips),
    Form(coco.NAME, coco.fits, coco.clips),
    Form(mmpose.NAME, mmpose.fits, mmpose.clips),
    Form(openpose.NAME, openpose.fits, add=openpose.add, finish=openpose.finish),
    Form(mediapipe.NAME, mediapipe.fits_frame, add=mediapipe.add, finish=mediapipe.finish),
    Form(mediapipe.NAME, mediapipe.fits, mediapipe.clips),
    Form(yolo.NAME, yolo.fits, add=yolo.add, finish=yolo.finish),
    Form(yolo.NAME, yolo.fits_video, yolo.clips),
    Form(mmpose.NAME, mmpose.fits_frame, add=mmpose.add, finish=mmpose.finish),
    Form(alphapose.NAME, alphapose.fits, alphapose.clips),
)
"""Tried in this order."""


@dataclass
class Recording:
    """A source of one clip, or of several in one file.

    name: of the sample. form: what it is taken for, of JSON known when it is read. read: function (channels, layout),
    both None where not asked for, that gives [(part of the name, Clip or DataError)]; it can be pickled. labelled:
    whether it may say its class. paths: its files.
    """

    name: str
    form: str
    read: object
    labelled: bool = False
    paths: list = field(default_factory=list)


def find_recordings(path, inside="", motion=None):
    """([Recording] in the order of their names, number of other files) of a file or folder.

    Args:
        path: the file or folder. inside: begins the names of a folder's recordings.
        motion: dict of unit and up, for motion capture that does not say them.
    Raises: DataError where a file is of no known form, OSError where one cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        return [_file(path, _printable(path.stem), motion)], 0
    groups, others = {}, 0
    for folder, names in walk(path):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in IN_FOLDERS and not name.lower().endswith(ANALYSIS):
                others += 1
                continue
            match = _FRAME.fullmatch(stem)
            key = (folder, suffix.lower(), match["prefix"] if match else None, None if match else name)
            groups.setdefault(key, []).append((int(match["number"]) if match else 0, name))
    found, prefixes = [], Counter(key[:2] for key in groups if key[2] is not None)
    alone = max(prefixes.values(), default=1) == 1  # a folder a clip, which is called by it
    for (folder, suffix, prefix, _), files in groups.items():
        base = "/".join((inside, *folder.relative_to(path).parts)).strip("/")
        files = sorted(files)
        numbers, files = [number for number, _ in files], [os.path.join(folder, name) for _, name in files]
        form = _frames_form(files, suffix) if prefix is not None else None
        if form is False:
            others += len(files)
        elif form is not None:
            name = (base or path.resolve().name) if alone else f"{base}/{prefix}".strip("/")
            read = functools.partial(_read_frames, files, numbers, form)
            found.append(Recording(_printable(name) or "clip", f"{form.name}, one file a frame", read, paths=files))
        else:
            for file in map(Path, files):
                if suffix == ".txt" and not yolo.is_text(file):
                    others += 1
                    continue
                found.append(_file(file, _printable(f"{base}/{file.stem}".strip("/")), motion))
    if not found:
        raise DataError(path, "", f"recordings: {', '.join(IN_FOLDERS)}", f"{others} other files" if others else "none")
    return sorted(found, key=lambda recording: recording.name), others


def has_recordings(path):
    """Whether a folder has a file that may be a clip or a frame."""
    return any(
        (Path(name).suffix.lower() in IN_FOLDERS or name.lower().endswith(ANALYSIS))
        and (not name.lower().endswith(".txt") or yolo.is_text(folder / name))
        for folder, names in walk(path)
        for name in names
    )


def recognise(content, source):
    """The Form of JSON. Raises DataError where it is of none."""
    form = next((form for form in FORMS if form.fits(content)), None)
    if form is None:
        names = ", ".join(dict.fromkeys(form.name.replace(" JSON", "") for form in FORMS))
        found = told(content)
        if content and isinstance(content, list | dict):
            found += f" with {', '.join(map(told, list(content)[:4]))}"
        raise DataError(source, "", f"JSON of {names} (docs/own-data.md has other ways)", found[:160])
    return form


_TEXT = Form(yolo.TEXT_NAME, None)


def _frames_form(files, suffix):
    """The Form that numbered files have as frames; None where each is a clip, False where they are something else."""
    if suffix == ".txt":
        return _TEXT if any(map(yolo.is_text, files[:_MAX_EMPTY])) else False
    if suffix != ".json":
        return None
    for file in files[:_MAX_EMPTY]:
        try:
            content = load_json(file)
            if content not in ([], {}):
                form = recognise(content, os.path.basename(file))
                return form if form.add else None
        except DataError:
            continue  # told when it is read
    return None


def _read_frames(files, numbers, form, channels=None, layout=None):
    """As Recording.read, of a file a frame."""
    source = os.path.basename(os.path.dirname(files[0]))
    people = People(source, channels)
    people.numbers = numbers
    for file in files:
        people.source = str(file).rpartition(os.sep)[2]
        content = None if form.name == yolo.TEXT_NAME else load_json(file)
        people.frame(people.source, content)
        if form.name == yolo.TEXT_NAME:
            yolo.read_text(file, people)
            continue
        if content in ([], {}):
            continue
        if not form.fits(content):
            people.fail("", f"{form.name} as in the other files", content)
        form.add(people, content)
    people.source = source
    if form.name == yolo.TEXT_NAME:
        return [("", yolo.finish_text(people, layout.num_joints if layout else None))]
    return [("", form.finish(people))]


def _file(path, name, motion=None):
    """The Recording of a file that is a clip."""
    suffix, motion = path.suffix.lower(), motion or {}
    if suffix == ".json":
        recording = Recording(name, "JSON", None, _says_label(path))
        recording.read = functools.partial(_read_json, recording, path)
    elif suffix == ".npy" or suffix == ".npz":
        recording = Recording(name, clip_arrays.NAME, None)
        recording.read = functools.partial(_read_array, recording, path, motion)
    elif suffix == ".txt":
        recording = Recording(name, yolo.TEXT_NAME, functools.partial(_read_frames, [path], [0], _TEXT))
    elif suffix in motion_capture.SUFFIXES:
        read = functools.partial(motion_capture.clip_of, path, **motion)
        recording = Recording(name, motion_capture.NAMES[suffix], functools.partial(_one, read))
    elif suffix == ".csv" and not animals.fits_table(path) and csv_table.fits(path):
        recording = Recording(name, csv_table.NAME, functools.partial(csv_table.clips, path), True)
    elif suffix == ".csv" and not animals.fits_table(path):
        labelled = landmark_table.says_label(path)
        recording = Recording(name, landmark_table.NAME, functools.partial(_read_table, path), labelled)
    elif suffix in (".pkl", ".pickle"):
        recording = Recording(name, "pickle of one clip", functools.partial(_read_pickle, path), True)
    elif suffix == ".slp":
        recording = Recording(name, animals.SLP_NAME, functools.partial(_read_labels, path))
    else:
        form, read = {
            ".h5": (animals.SLEAP_NAME, animals.analysis_clip),
            ".csv": (animals.DLC_NAME, animals.table_clip),
        }[suffix]
        recording = Recording(name, form, functools.partial(_one, functools.partial(read, path)))
    recording.paths = [path]
    return recording


def _one(read, channels=None, layout=None):
    """As Recording.read, of a file of one clip whose channels are known."""
    return [("", read())]


def _read_table(path, channels=None, layout=None):
    """As Recording.read."""
    return landmark_table.clips(path, channels, layout)


def _read_labels(path, channels=None, layout=None):
    """As Recording.read."""
    return animals.labels_clips(path)


def _read_array(recording, path, motion, channels=None, layout=None):
    """As Recording.read; the recording's form is known then."""
    clip, recording.form = clip_arrays.clip_of(path, channels, **motion)
    return [("", clip)]


def _says_label(path):
    """Whether a JSON file may say its class."""
    with open(path, "rb") as file:
        return any(b'"label"' in part for part in iter(functools.partial(file.read, 1 << 20), b""))


def _read_json(recording, path, channels=None, layout=None):
    """As Recording.read; the recording's form is known then."""
    content = load_json(path)
    form = recognise(content, path.name)
    recording.form = form.name
    if form.clips:
        clips, rate = form.clips(content, path.name, channels), rate_in(content, path.name)
        for _, clip in clips:
            if clip.fps and rate and abs(clip.fps - rate) > 0.02 * rate:
                clip.notes.append(f"its times say {clip.fps:g} frames a second, its rate {rate:g}: the times are taken")
            clip.fps = clip.fps or rate
        return clips
    people = People(path.name, channels)
    people.frame(0)
    form.add(people, content)
    return [("", form.finish(people))]


def _read_pickle(path, channels=None, layout=None):
    """A clip an annotation: {"keypoint": (M, T, V, C), "keypoint_score": (M, T, V)}; or mmpose's instances."""
    content = restricted_load(path)
    if isinstance(content, dict) and "keypoint" in content:
        clip = clip_arrays.clip_of_arrays(content["keypoint"], content.get("keypoint_score"), path.name, channels)
        clip.label = label_of(content.get("label", -1))
        fail = People(path.name).fail
        if clip.label is None:
            fail("label", "a class name or number", content["label"])
        clip.image_size = image_size_in(content, clip.channels, fail)
        return [("", clip)]
    if mmpose.fits(content):
        return mmpose.clips(content, path.name, channels)
    raise DataError(path.name, "", "a dict with keypoint, or mmpose's instance_info", told(content))


def _printable(name):
    return "".join(c if c.isprintable() else "_" for c in name)
