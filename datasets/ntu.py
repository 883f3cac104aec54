"""Raw `.skeleton` text of NTU RGB+D (and other Kinect v2 recordings in its format) to samples and stores.

Per frame: a body count; per body 10 values (the first a 64-bit body id), a joint count, and 12 values a
joint: x y z, depth x y, colour x y, orientation w x y z, tracking state. Source: read_skeleton_file.m of the
    NTU RGB+D authors.
"""

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from .benchmarks import (
    EXPECTED_COUNTS,
    class_names,
    match_name,
    missing_names,
    ntu_benchmark,
    ntu_splits,
    parse_name,
)
from .errors import DataError
from .layouts import NTU25_TO_COCO17
from .people import Track, assign_people
from .store import Sample, StoreWriter

__all__ = ["RawSequence", "convert_ntu", "parse_name", "parse_skeleton", "read_skeleton"]

JOINTS, BODY_VALUES, JOINT_VALUES = 25, 10, 12
COLOUR_SIZE, DEPTH_SIZE = (1080, 1920), (424, 512)  # (height, width), pixels
JOINT_MODES = ("all", "coco17")
_MAX_BYTES = 256 << 20  # the longest NTU recordings are below 10 MB
_MAX_TOKEN = 40
_BLOCK = 64  # files a worker is given ahead, which bounds the memory


@dataclass
class RawSequence:
    """A parsed file: tracks is dict body id -> Track, by appearance; num_frames counts empty frames too."""

    tracks: dict
    num_frames: int


def parse_skeleton(data, source="skeleton"):
    """Parse the text of one file.

    Args:
        data: bytes or str.
        source: what errors name.
    Returns: RawSequence; joints are (F, 25, 11) float32 without the tracking state. A group of values (x y z,
        depth, colour, orientation) with one that is not finite becomes zero. A body id twice in a frame: the
        first counts.
    Raises: DataError where the text ends early, goes on, or holds something else.
    """
    tokens = (data.encode() if isinstance(data, str) else data).split()
    if max(map(len, tokens), default=0) > _MAX_TOKEN:
        raise DataError(source, "", f"numbers of at most {_MAX_TOKEN} characters", "a longer one")
    try:
        with np.errstate(over="ignore"):
            values = (
                np.array(tokens, "S").astype("float64").astype("float32")
                if tokens
                else np.zeros(0, "float32")
            )
    except (ValueError, MemoryError):
        raise DataError(source, _first_bad(tokens), "a number") from None
    bodies, position, body_size = {}, 1, BODY_VALUES + 1 + JOINTS * JOINT_VALUES
    num_frames = _count(tokens, 0, "frame count", source)
    if num_frames > len(tokens) - 1:
        raise DataError(
            source, "frame count", f"at most {len(tokens) - 1}, the values that follow", num_frames
        )
    for frame in range(num_frames):
        count = _count(tokens, position, f"frame {frame}: body count", source)
        position += 1
        if count * body_size > len(tokens) - position:
            raise DataError(
                source, f"frame {frame}", f"{count} bodies of {body_size} values", len(tokens) - position
            )
        for _ in range(count):
            body = _count(tokens, position, f"frame {frame}: body id", source)
            joints = _count(tokens, position + BODY_VALUES, f"frame {frame}: joint count", source)
            if joints != JOINTS:
                raise DataError(source, f"frame {frame}: joint count", JOINTS, joints)
            track = bodies.setdefault(body, {})
            track.setdefault(frame, position + BODY_VALUES + 1)
            position += body_size
    if position != len(tokens):
        raise DataError(
            source, "end", f"nothing after frame {num_frames}", f"{len(tokens) - position} more values"
        )
    span = np.arange(JOINTS * JOINT_VALUES)
    tracks = {}
    for body, starts in bodies.items():
        rows = values[np.fromiter(starts.values(), "int64", len(starts))[:, None] + span]
        joints = rows.reshape(-1, JOINTS, JOINT_VALUES)[..., :-1]  # (F, 25, 11)
        for group in (slice(0, 3), slice(3, 5), slice(5, 7), slice(7, 11)):
            part = joints[..., group]
            part[~np.isfinite(part).all(axis=-1)] = 0.0
        tracks[body] = Track(np.fromiter(starts, "int64", len(starts)), joints)
    return RawSequence(tracks, num_frames)


def read_skeleton(path, people=2, joints="all"):
    """Read one `.skeleton` file.

    Args:
        path: the file; label, subject, camera and setup come from a name like S001C002P003R001A010, else -1.
        people: the most persons kept.
        joints: "all": 25 joints, x y z in metres; "coco17": 17 joints, x y in pixels of the colour image, or
            of the depth image where the file has no colour coordinates.
    Returns: Sample with keypoints (M, T, V, C) float32, frames without a body dropped, label the action less
        one.
    Raises: DataError on a broken file or one without a body, OSError where it cannot be read.
    """
    if joints not in JOINT_MODES:
        raise DataError("joints", "", f"one of {', '.join(JOINT_MODES)}", repr(joints))
    if people < 1:
        raise DataError("people", "", "1 or more", people)
    path = Path(path)
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise DataError(path.name, "size", f"at most {_MAX_BYTES >> 20} MiB", "more")
    values = assign_people(parse_skeleton(data, path.name).tracks, people, path.name)  # (M, T, 25, 11)
    size = (0, 0)
    if joints == "all":
        keypoints = values[..., :3]
    else:
        colour, depth = values[..., 5:7], values[..., 3:5]
        plane, size = (colour, COLOUR_SIZE) if colour.any() else (depth, DEPTH_SIZE)
        if not plane.any():
            raise DataError(path.name, "joints", "colour or depth coordinates", "zeros")
        keypoints = plane[:, :, list(NTU25_TO_COCO17)]
    name = match_name(path.stem) or {}
    numbers = {key: name.get(key, -1) for key in ("subject", "camera", "setup")}
    return Sample(
        path.stem, np.ascontiguousarray(keypoints), name.get("action", 0) - 1, image_size=size, **numbers
    )


def convert_ntu(folder, output, joints="all", people=2, workers=1, progress=None, strict=False):
    """Convert a folder of `.skeleton` files, searched recursively, into one store.

    Recordings that the NTU RGB+D authors list as missing are left out. Official splits and class names are
    given to NTU recordings (subject <= 106, setup <= 32); others get classes named by the actions present,
    "A001", and no split. A `classes.txt` in the folder (a name a line, action 1 first) replaces the names: the
    recordings are then no benchmark, and keep its split rules only where their numbers fit.

    Args:
        folder: where the files are; output: the store to write.
        joints, people: as `read_skeleton`.
        workers: processes that parse. progress: called with (done, total). strict: raise on the first bad
            file.
    Returns: dict with samples, skipped [(name, reason)], missing_listed, people {M: samples}, splits {name:
        samples}, benchmark ("ntu60", "ntu120" or None), partial (True where files are bad or a benchmark is
        not whole).
    Raises: DataError where no file is usable, or as `read_skeleton` if strict.
    """
    paths = sorted(
        (p for p in Path(folder).rglob("*.skeleton") if p.is_file()), key=lambda p: (p.stem, str(p))
    )
    if not paths:
        raise DataError(folder, "", ".skeleton files", "none")
    good, skipped = {}, []
    for path in paths:
        reason = (
            "the name has another form than SsssCcccPpppRrrrAaaa" if match_name(path.stem) is None else None
        )
        reason = reason or ("a second file of this name" if path.stem in good else None)
        if reason and strict:
            raise DataError(path, "name", "", reason)
        if reason:
            skipped.append((path.name, reason))
        else:
            good[path.stem] = path
    if not good:
        raise DataError(folder, "", "files named SsssCcccPpppRrrrAaaa.skeleton", skipped[0][0])
    names = {stem: match_name(stem) for stem in good}
    benchmark = ntu_benchmark(names.values())
    rules, own = benchmark, _own_classes(Path(folder) / "classes.txt")
    if own:
        benchmark = None
    missing = sorted(missing_names(benchmark) & set(good)) if benchmark else []
    wanted = [good[stem] for stem in good if stem not in set(missing)]
    actions = sorted({name["action"] for name in names.values()})
    if own and actions[-1] > len(own):
        raise DataError(Path(folder) / "classes.txt", "", f"{actions[-1]} names", len(own))
    labels = {a: a - 1 if benchmark or own else i for i, a in enumerate(actions)}
    provenance = {"reader": "ntu", "source": Path(folder).resolve().name, "joints": joints, "people": people}
    counts, done = Counter(), 0
    with StoreWriter(
        output,
        layout="ntu25" if joints == "all" else "coco17",
        classes=own or (class_names(benchmark) if benchmark else [f"A{a:03d}" for a in actions]),
        channels=("x", "y", "z") if joints == "all" else ("x", "y"),
        units="metres" if joints == "all" else "pixels",
        provenance=provenance,
    ) as writer:
        for path, result in zip(wanted, _read_all(wanted, people, joints, workers), strict=True):
            done += 1
            if isinstance(result, Sample):
                result.label = labels[names[result.id]["action"]]
                writer.append(result)
                counts[len(result.keypoints)] += 1
            elif strict:
                raise result
            else:
                skipped.append((path.name, str(result)))
            if progress:
                progress(done, len(wanted))
        if not writer.ids:
            raise DataError(folder, "", "one usable file or more", f"{len(skipped)} bad; {skipped[0][1]}"
                            if skipped else f"{len(missing)} files, all listed as missing")  # fmt: skip
        splits = ntu_splits(writer.ids, rules) if rules else {}
        writer.set_splits(splits)
        expected = EXPECTED_COUNTS[benchmark]["all"] if benchmark else len(writer.ids)
        partial = bool(skipped) or len(writer.ids) != expected
        writer.provenance |= {"benchmark": benchmark, "skipped": len(skipped), "partial": partial}
    return {
        "samples": len(writer.ids), "skipped": skipped, "missing_listed": len(missing),
        "people": dict(sorted(counts.items())), "splits": {name: len(ids) for name, ids in splits.items()},
        "benchmark": benchmark, "partial": partial,
    }  # fmt: skip


def _own_classes(path):
    """The lines of classes.txt, or None where there is none."""
    if not path.is_file():
        return None
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]


def _read_all(paths, people, joints, workers):
    """A Sample or the error for each path, in order; a bounded number are held at a time."""
    tasks = ((path, people, joints) for path in paths)
    if workers <= 1:
        yield from map(_read_one, tasks)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            while block := list(islice(tasks, _BLOCK * workers)):
                yield from pool.map(_read_one, block, chunksize=8)
        except BrokenProcessPool:
            raise DataError("workers", "", "", "a process ended; try fewer workers") from None


def _read_one(task):
    try:
        return read_skeleton(*task)
    except (DataError, OSError) as error:
        return error


def _count(tokens, position, key, source):
    """The token as an int >= 0 (body ids exceed 2**53, so never by way of float)."""
    if position >= len(tokens):
        raise DataError(source, key, "a number", "the end of the file")
    token = tokens[position]
    if not token.isdigit() or len(token) > 20:
        raise DataError(source, key, "a whole number", ascii(token[:20]))
    return int(token)


def _first_bad(tokens):
    for position, token in enumerate(tokens):
        try:
            float(token)
        except ValueError:
            return f"value {position}: {ascii(token[:20])}"
    return "values"
