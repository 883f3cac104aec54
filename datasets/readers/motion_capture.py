"""Motion capture of one recording: TRC, BVH, C3D and joints of SMPL bodies, to x, y, z in metres with y up.

TRC is text of OpenSim and others, read here; BVH is read by pybvh, C3D by ezc3d, of the extra `mocap`. What a file does
not tell, the unit and where up is, is found by the body: as tall as a person, and its head above its feet.
"""

import importlib
import math

import numpy as np

from ..errors import DataError
from .clip import Clip
from .json_file import MAX_BYTES
from .people import MAX_VALUES
from .units import UNITS, in_metres, unit_of
from .upright import AXES, UpFinder, axis_of, turned

NAMES = {".trc": "TRC", ".bvh": "BVH", ".c3d": "C3D"}
SUFFIXES = tuple(NAMES)
SMPL_NAME = "joints of SMPL bodies"
_UNIT_WORDS = {"meters": "m", "metres": "m", "meter": "m", "inches": "in"}
_SMPL = ("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand")  # fmt: skip
_SMPL_COUNTS = (22, 24, 52, 55, 73, 127, 144)  # joints of SMPL bodies with hands, faces, more: the first 22 are alike
SMPL_KEYS = ("joints", "joints3d", "joints_3d", "jtr")
SMPL_RATES = ("mocap_framerate", "mocap_frame_rate", "fps", "framerate")


def clip_of(path, unit=None, up=None):
    """The Clip of a file. unit, up: as `clip_of_motion`, where the file does not say or wrongly."""
    read = {".trc": _read_trc, ".bvh": _read_bvh, ".c3d": _read_c3d}[path.suffix.lower()]
    points, names, fps, own_unit, own_up = read(path)
    return clip_of_motion(points, names, fps, path.name, unit or own_unit, up or own_up)


def clip_of_motion(points, names, fps, source, unit=None, up=None):
    """The Clip of places of joints.

    Args:
        points: (F, V, 3), those that were not seen not finite or zero. names: of the V joints.
        fps: frames per second, None unknown. unit: a key of UNITS, None where the size of the body tells it.
        up: one of AXES, None where head and feet tell it.
    Raises: DataError where there is no frame, or neither the file nor the body tells unit and up.
    """
    notes = []
    for key, value, known in (("unit", unit, UNITS), ("up", up, AXES)):
        if value is not None and value not in known:
            raise DataError(key, "", f"one of {', '.join(known)}", value)
    if points.ndim != 3 or 0 in points.shape or points.size > MAX_VALUES:
        raise DataError(
            source, "", f"frames of joints, at most {MAX_VALUES} values", " x ".join(map(str, points.shape))
        )
    points = np.where(np.isfinite(points).all(-1, keepdims=True), points, 0).astype("float64")
    if unit is None:
        unit = _unit(points, source)
        notes.append(f"the size of the body is that of a person in {unit}")
    if up is None:
        up = _up(points, names, source)
        notes.append(f"{up} is up: it is where the head is" if up != "y" else "")
    points = turned(in_metres(points, unit), up).astype("float32")
    frames = np.flatnonzero(points.any(axis=(1, 2)))
    clip = Clip(points[frames], ("x", "y", "z"), frames, np.zeros(len(frames), "int64"), len(points))
    clip.metres = True
    clip.names, clip.fps, clip.arranged, clip.notes = tuple(names), fps, True, [note for note in notes if note]
    return clip


def _unit(points, source):
    """What places are measured in, by the size of the body."""
    unit, size = unit_of(points)
    if unit is None:
        raise DataError(source, "", "--unit m, cm, mm or in: the file does not say it", f"a body of {size:.3g}")
    return unit


def _up(points, names, source):
    """The axis along which the head is above the feet."""
    finder = UpFinder(names)
    expected = "--up y or --up z (or another axis): the file does not say it"
    if not finder.known:
        raise DataError(source, "", expected, "no joints named as head and feet")
    up = axis_of(finder.way(points))
    if up in (None, "x", "-x"):  # nobody has x upwards
        raise DataError(source, "", expected, "a body that is not upright")
    return up


# === TRC ===


def _read_trc(path):
    """(points, names, fps, unit, up) of the text."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(path.name, "", f"at most {MAX_BYTES >> 20} MiB", "more")
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    if len(lines) < 5 or not lines[0].startswith("PathFileType"):
        raise DataError(path.name, "line 1", "PathFileType, and five lines of header", lines[0][:40] if lines else "")
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    unit = head.get("Units", "").strip().lower()
    unit = _UNIT_WORDS.get(unit, unit)
    if unit not in UNITS:
        raise DataError(path.name, "line 3: Units", f"one of {', '.join(UNITS)}", unit or "none")
    try:
        fps = float(head.get("DataRate", ""))
    except ValueError:
        fps = math.nan
    if not 0 < fps < math.inf:
        raise DataError(path.name, "line 3: DataRate", "frames per second", head.get("DataRate") or "none")
    names = [name.strip() for name in lines[3].split("\t")[2:] if name.strip()]
    if not names:
        raise DataError(path.name, "line 4", "names of markers", "none")
    points = _trc_rows(path.name, lines, 3 * len(names))
    return points.reshape(len(points), len(names), 3), names, fps, unit, None


def _trc_rows(source, lines, width):
    """(F, width) of the lines after the header, NaN where a field is empty."""
    rows = []
    for number, line in enumerate(lines[5:], 6):
        if not line.strip():
            continue
        fields = line.split("\t")[2 : 2 + width]
        fields += [""] * (width - len(fields))  # programs leave out what is empty at the end
        try:
            rows.append([float(field) if field.strip() else math.nan for field in fields])
        except ValueError:
            found = next(field for field in fields if not _is_number(field))
            raise DataError(source, f"line {number}", "numbers with tabs between them", ascii(found)[:40]) from None
        if len(rows) * width > MAX_VALUES:
            raise DataError(source, f"line {number}", f"at most {MAX_VALUES} values", "more")
    return np.array(rows, "float64").reshape(-1, width)


def _is_number(field):
    try:
        return not field.strip() or float(field) is not None
    except ValueError:
        return False


# === Through libraries ===


def library(name, extra, source):
    """A module of an extra. Raises DataError naming the extra where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        expected = f"{name.replace('_', '-')}, which reads it: pip install 'keras-skelmae[{extra}]'"
        raise DataError(source, "", expected, "no such package") from None


def _read_bvh(path):
    with open(path, "rb"):
        pass  # a plain OSError where it cannot be read
    module = library("pybvh", "mocap", path.name)
    try:
        motion = module.read_bvh_file(path, warn_on_world_up_disagreement=False)
        return motion.joint_positions(), list(motion.joint_names), float(motion.fps), None, None
    except Exception as error:  # of many kinds
        raise DataError(path.name, "", "BVH as pybvh reads it", _one_line(error)) from None


def _read_c3d(path):
    with open(path, "rb"):
        pass
    module = library("ezc3d", "mocap", path.name)
    try:
        file = module.c3d(str(path))
        point, points = file["parameters"]["POINT"], file["data"]["points"]
        names = [name for key in sorted(point) if key.startswith("LABELS") for name in point[key]["value"]]
        units = (point["UNITS"]["value"] or [""]) if "UNITS" in point else [""]
        fps = float(point["RATE"]["value"][0])
    except Exception as error:
        raise DataError(path.name, "", "C3D as ezc3d reads it", _one_line(error)) from None
    unit = units[0].strip().lower()
    unit = _UNIT_WORDS.get(unit, unit) or None
    if unit is not None and unit not in UNITS:
        raise DataError(path.name, "POINT:UNITS", f"one of {', '.join(UNITS)}", unit)
    names = names[: points.shape[1]]
    if len(names) < points.shape[1] or len({name.rpartition(":")[0] for name in names}) > 1:
        raise DataError(path.name, "POINT:LABELS", "markers of one subject, each with a name", f"{len(names)}")
    return points[:3].transpose(2, 1, 0), names, fps, unit, None


def _one_line(error):
    return " ".join(str(error).split())[:160] or type(error).__name__


# === SMPL ===


def is_smpl(shape):
    """Whether an array of joints can be of SMPL bodies."""
    return len(shape) == 3 and shape[1] in _SMPL_COUNTS and shape[2] == 3


def smpl_clip(points, fps, source, unit=None, up=None):
    """The Clip of joints (F, J, 3) of SMPL bodies, as `clip_of_motion`; they are in metres unless a unit is given."""
    count = 24 if points.shape[1] == 24 else 22
    if unit is None and _unit(points[:, :count], source) != "m":
        raise DataError(source, "", "joints in metres, or --unit", "a body of another size")
    clip = clip_of_motion(points[:, :count], _SMPL[:count], fps, source, unit or "m", up)
    clip.layout = "smpl24"
    return clip
