"""Raw `.skeleton` recordings of NTU RGB+D (and other Kinect v2 recordings in its format) to samples and stores."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..benchmarks import class_names, match_name, missing_names, name_numbers, ntu_benchmark, ntu_splits
from ..errors import DataError
from ..files import walk
from ..layouts import NTU25_TO_COCO17
from ..store import Sample, StoreWriter
from .journal import Journal
from .people import POLICIES, assign_people
from .pool import read_in_order
from .report import Conversion
from .skeleton_text import parse_skeleton

COLOUR_SIZE, DEPTH_SIZE = (1080, 1920), (424, 512)  # (height, width), pixels
JOINT_MODES = {"all": 3, "coco17": 7}  # -> leading values of a joint that are needed
_FORMS = {"all": ("ntu25", ("x", "y", "z")), "coco17": ("coco17", ("x", "y"))}  # layout and channels of a store
_MAX_BYTES = 128 << 20  # the longest NTU recordings are below 10 MB
_AHEAD = 16  # files a worker is given at a time; three such batches per worker bound the memory


def read_skeleton(path, people=2, joints="all", denoise="skelmae"):
    """Read one `.skeleton` file.

    Args:
        path: the file; label, subject, camera and setup come from a name like S001C002P003R001A010, else -1.
        people: the most persons kept.
        joints: "all": 25 joints, x y z in metres; "coco17": 17 joints, x y in pixels of the colour image, or
            of the depth image where the file has no colour coordinates.
        denoise: how bodies become persons, a name of `people.POLICIES`.
    Returns: Sample with keypoints (M, T, V, C) float32, frames without a body dropped, label the action less one.
    Raises: DataError on a broken file or one without a body, OSError where it cannot be read.
    """
    return read_people(path, people, joints, denoise)[0]


def read_people(path, people=2, joints="all", denoise="skelmae"):
    """As `read_skeleton`, but returns (Sample, a `people.Verdict` for every track in the file)."""
    _check(people, joints, denoise)
    path = Path(path)
    with open(path, "rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise DataError(path.name, "size", f"at most {_MAX_BYTES >> 20} MiB", "more")
    tracks = parse_skeleton(data, path.name, JOINT_MODES[joints]).tracks
    values, verdicts = assign_people(tracks, people, path.name, denoise)  # (M, T, 25, 3 or 7)
    keypoints, size = values, (0, 0)
    if joints == "coco17":
        colour, depth = values[..., 5:7], values[..., 3:5]
        plane, size = (colour, COLOUR_SIZE) if colour.any() else (depth, DEPTH_SIZE)
        if not plane.any():
            raise DataError(path.name, "joints", "colour or depth coordinates", "zeros")
        keypoints = plane[:, :, list(NTU25_TO_COCO17)]
    label = (match_name(path.stem) or {"action": 0})["action"] - 1
    keypoints = np.ascontiguousarray(keypoints)
    return Sample(path.stem, keypoints, label, image_size=size, **name_numbers(path.stem)), verdicts


def _check(people, joints, denoise):
    for name, value, known in (("joints", joints, JOINT_MODES), ("denoise", denoise, POLICIES)):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    if people < 1:
        raise ValueError(f"people: expected 1 or more, found {people}")


def convert_ntu(
    path,
    output,
    joints="all",
    people=2,
    workers=1,
    progress=None,
    strict=False,
    denoise="skelmae",
    resume=False,
    up=None,
    force=False,
):
    """Convert a folder of `.skeleton` files, searched recursively, into one store; or a single such file.

    Recordings that the NTU RGB+D authors list as missing are left out. NTU recordings (subject <= 106, setup <= 32)
    get the official splits and class names; others get classes named by the actions present, "A001", and no split.
    A `classes.txt` in the folder (a name per line, action 1 first) replaces the names: the recordings are then no
    benchmark, and keep its split rules only where their numbers fit. A single file may have any name, and has no label.

    Args:
        path: the folder or file; output: the store to write.
        joints, people, denoise: as `read_skeleton`.
        workers: processes that parse. progress: called with (done, total). strict: raise on the first bad file.
        resume: continue a killed conversion with the same settings; files that changed are read again.
        up: as `Conversion`. force: replace an output that is no store.
    Returns: as `Conversion.conclude`, skipped with file names; and dropped [(sample, body id, frames, reason)] of the
        tracks that became no person, missing_listed, resumed (files taken from the killed conversion).
    Raises: DataError where no file is usable, or as `read_skeleton` if strict.
    """
    _check(people, joints, denoise)
    path = Path(path)
    found = _folder(path, strict) if path.is_dir() else _Found([path], [], [], {path.stem: -1})
    settings = {"source": path.resolve().name, "joints": joints, "people": people, "denoise": denoise}
    layout, channels = _FORMS[joints]
    options = {"layout": layout, "channels": channels, "provenance": {"reader": "ntu"} | settings}
    writer = StoreWriter(output, classes=found.classes, **options)
    with Journal(output, {"folder": str(path.resolve())} | settings, resume, force) as journal, writer:
        resumed, dropped = len(journal.done), []
        conversion = Conversion(writer, path, strict or path.is_file(), arranged=True, up=up, upright=True)
        conversion.skipped += found.skipped
        results = _read_all(found.files, (people, joints, denoise), workers, journal)
        for done, (file, result) in enumerate(results, 1):
            if conversion.add(file.name, lambda result=result: _labelled(result, found.labels)):
                dropped += [(result[0].id, *entry) for entry in result[1]]
            if progress:
                progress(done, len(found.files))
        splits = ntu_splits(writer.ids, found.rules) if found.rules else {}
        report = conversion.conclude(splits, found.benchmark)
        writer.provenance |= {"dropped_tracks": len(dropped)}
    return report | {"missing_listed": found.missing, "dropped": dropped, "resumed": resumed}


def _labelled(result, labels):
    """The Sample of a (Sample, dropped tracks) with its label; an error is raised."""
    if isinstance(result, Exception):
        raise result
    result[0].label = labels[result[0].id]
    return result[0]


@dataclass
class _Found:
    """The files to read, why others are not, and what their names tell.

    rules: the benchmark whose split rules are kept. benchmark: the one they are a part of. missing: how many of them
    it lists as missing.
    """

    files: list
    skipped: list
    classes: list
    labels: dict
    rules: str | None = None
    benchmark: str | None = None
    missing: int = 0


def _folder(folder, strict):
    """The recordings below a folder, as _Found."""
    good, skipped = _recordings(folder, strict)
    names = {stem: match_name(stem) for stem in good}
    rules, lines = ntu_benchmark(names.values()), folder / "classes.txt"
    own = (
        [line.strip() for line in lines.read_text("utf-8-sig").splitlines() if line.strip()]
        if lines.is_file()
        else None
    )
    benchmark = None if own else rules
    missing = missing_names(benchmark) & set(good) if benchmark else frozenset()
    if len(missing) == len(good):
        raise DataError(folder, "samples", "one usable file or more", f"{len(missing)} files, all listed as missing")
    actions = sorted({name["action"] for name in names.values()})
    if own and actions[-1] > len(own):
        raise DataError(lines, "", f"{actions[-1]} names", len(own))
    classes = own or (class_names(benchmark) if benchmark else [f"A{a:03d}" for a in actions])
    numbers = {a: a - 1 if benchmark or own else i for i, a in enumerate(actions)}
    labels = {stem: numbers[name["action"]] for stem, name in names.items()}
    files = [path for stem, path in good.items() if stem not in missing]
    return _Found(files, skipped, classes, labels, rules, benchmark, len(missing))


def _recordings(folder, strict):
    """(dict stem -> path in order, [(name, why it is left out)]) of the `.skeleton` files below the folder."""
    paths = sorted(skeleton_files(folder), key=lambda p: (p.stem, str(p)))
    if not paths:
        raise DataError(folder, "", ".skeleton files", "none")
    good, skipped = {}, []
    for path in paths:
        if match_name(path.stem) is not None and path.stem not in good:
            good[path.stem] = path
            continue
        twice = path.stem in good
        reason = "a second file of this name" if twice else "the name has another form than SsssCcccPpppRrrrAaaa"
        if strict:
            raise DataError(path, "name", "", reason)
        skipped.append((path.name, reason))
    if not good:
        raise DataError(folder, "", "files named SsssCcccPpppRrrrAaaa.skeleton", skipped[0][0])
    return good, skipped


def skeleton_files(folder):
    """The `.skeleton` files below a folder, in any case, but hidden ones, such as the ._ copies that macOS leaves."""
    return sorted(place / name for place, names in walk(folder) for name in names if name.lower().endswith(".skeleton"))


def _read_all(paths, options, workers, journal):
    """(path, (Sample, dropped tracks) or the error) for each path, in order; what is new goes into the journal."""
    stamps = {path: f"{path.stem} {(stat := path.stat()).st_size} {stat.st_mtime_ns}" for path in paths}
    tasks = [(path, *options) for path in paths if stamps[path] not in journal.done]
    fresh = read_in_order(_read_one, tasks, workers, _AHEAD)
    for path in paths:
        if stamps[path] in journal.done:
            meta, keypoints = journal.read(stamps[path])
            if keypoints is None:
                yield path, DataError(*meta["error"])
            else:
                yield path, (Sample(path.stem, keypoints, **meta["sample"]), [tuple(e) for e in meta["dropped"]])
            continue
        result = next(fresh)
        if isinstance(result, DataError):
            journal.append(stamps[path], {"error": result.args}, None)
        elif not isinstance(result, Exception):
            sample, dropped = result
            meta = {k: v for k, v in vars(sample).items() if k not in ("id", "keypoints", "label")}
            journal.append(stamps[path], {"sample": meta, "dropped": dropped}, sample.keypoints)
        yield path, result


def _read_one(task):
    try:
        sample, verdicts = read_people(*task)
    except (DataError, OSError) as error:
        return error
    return sample, [(v.body, v.frames, v.reason) for v in verdicts if v.person is None]
