"""One recording in a plain array: (T, V, C), (M, T, V, C) or (T, M, V, C), `.npy` or `.npz` with scores beside.

V joints of x, y; x, y, z; x, y, score; or MediaPipe's x, y, z, visibility (T, 33, 4). MoveNet's outputs, one after the
other, are y, x, score 0 to 1: (T, 1, 1, 17, 3), or (T, 1, 6, 56) of six people with their boxes.
Source: TensorFlow Hub, MoveNet SinglePose and MultiPose model cards.
"""

import contextlib
import zipfile

import numpy as np

from ..errors import DataError
from .arrays import Rows, open_rows
from .clip import Clip
from .mediapipe import as_landmarks, is_world
from .motion_capture import SMPL_KEYS, SMPL_NAME, SMPL_RATES, is_smpl, smpl_clip
from .people import MAX_VALUES
from .report import looks_scored

NAME, MOVENET = "array of one clip", "MoveNet array"
_POINTS = ("keypoints", "keypoint", "joints", "poses", "pose", "data", "landmarks", "arr_0")
_SCORES = ("scores", "keypoint_scores", "keypoint_score", "confidence", "conf")
_MULTI = (6, 56)  # people, values of each: 17 joints, box, score


def clip_of(path, channels=None, unit=None, up=None):
    """(Clip, what it is taken for) of a `.npy` or `.npz`.

    channels: what the values are, where asked for or in doubt. unit, up: of SMPL joints, as `smpl_clip`.
    """
    if path.suffix.lower() == ".npz" and channels in (None, ("x", "y", "z")):
        with _archive(path) as archive:
            clip = _smpl_clip(archive, path.name, unit, up)
            if clip is not None:
                return clip, SMPL_NAME
    values, scores = _read(path)
    return _clip(values, scores, path.name, channels), NAME


def _smpl_clip(archive, source, unit, up):
    """The Clip of an archive of SMPL joints; None for another."""
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    key = next((name for name in names if name.lower() in SMPL_KEYS), None)
    values = None if key is None else _member(archive, key, source)
    if values is None or not is_smpl(values.shape):
        return None
    rate = next((name for name in names if name.lower() in SMPL_RATES), None)
    try:
        fps = None if rate is None else float(np.lib.format.read_array(archive.open(f"{rate}.npy"), allow_pickle=False))
    except Exception as error:  # NumPy's, zlib's and zipfile's have no common base
        raise DataError(source, rate, "one number", error) from None
    return smpl_clip(values, fps, source, unit, up)


def clip_of_arrays(values, scores, source, channels=None):
    """The Clip of arrays that lie in memory, as `clip_of`."""
    for array in (values, scores):
        if array is not None and (not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu"):
            raise DataError(source, "keypoint", "an array of numbers", type(array).__name__)
    return _clip(values.astype("float64"), None if scores is None else scores.astype("float64"), source, channels)


def _read(path):
    """(values, scores or None)."""
    if path.suffix.lower() == ".npy":
        return _whole(open_rows(path)), None
    with _archive(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if {"poses", "trans"} <= set(names):
            expected = (
                "joints (F, 22, 3) or more, which the body model makes of poses and trans (smplx, human_body_prior)"
            )
            raise DataError(path.name, "", expected, "poses and trans alone")
        key = names[0] if len(names) == 1 else next((name for name in _POINTS if name in names), None)
        if key is None:
            raise DataError(path.name, "", f"an array called {', '.join(_POINTS[:3])}, ...", ", ".join(names)[:80])
        score = next((name for name in _SCORES if name in names), None)
        return tuple(_member(archive, name, path.name) if name else None for name in (key, score))


def _archive(path):
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:
        raise DataError(path.name, "", "a .npz archive", error) from None


def _member(archive, key, source):
    try:
        info = archive.getinfo(f"{key}.npy")
        file = archive.open(info)
    except Exception as error:
        raise DataError(source, key, "an array", error) from None
    return _whole(Rows(file, info.file_size, f"{source}: {key}"))


def _whole(rows):
    """All of an array as float64."""
    with contextlib.closing(rows):
        shape = rows.shape
        if np.prod([float(side) for side in shape]) > MAX_VALUES:
            raise DataError(rows.source, "", f"at most {MAX_VALUES} values", " x ".join(map(str, shape)))
        found = np.array([rows.read() for _ in range(shape[0])], "float64").reshape(shape)
        rows.finish()
        return found


def _clip(values, scores, source, channels):
    shape, notes = values.shape, []
    if shape[-2:] == _MULTI:
        people = values.reshape(-1, *_MULTI)
        values = people[..., :51].reshape(-1, 6, 17, 3)
        values = np.where((people[..., 55] > 0.1)[..., None, None], values, 0).swapaxes(0, 1)[..., [1, 0, 2]]
        return _gathered(values, ("x", "y", "score"), True, ["six people of MoveNet MultiPose, boxes scored above 0.1"])
    if len(shape) < 3 or shape[-1] not in (2, 3, 4) or 0 in shape:
        expected = "(T, V, C), (M, T, V, C) or (T, M, V, C), C 2 to 4 (docs/own-data.md has other ways)"
        raise DataError(source, "", expected, shape)
    moved = shape[-2:] == (17, 3) and shape[-3] == 1 and len(shape) > 3 and channels is None
    lead = [side for side in shape[:-2] if side != 1] or [1]
    if len(lead) > 2 or (len(lead) == 2 and lead[0] == lead[1]):
        raise DataError(source, "", "people and frames of different number before joints and values", shape)
    values = values.reshape(*lead, *shape[-2:])
    if len(lead) == 1:
        values, first = values[None], True
    else:
        first = lead[0] < lead[1]  # there are fewer people than frames
        notes.append(f"the axes are read as {'(M, T, V, C)' if first else '(T, M, V, C)'}")
        values = values if first else values.swapaxes(0, 1)
    moved = moved and bool(((values >= 0) & (values <= 1.5)).all())
    if moved or channels == ("y", "x", "score"):
        return _gathered(values[..., [1, 0, 2]], ("x", "y", "score"), True if moved else None, notes)
    if scores is not None:
        scores = scores.reshape(scores.shape[:-1]) if scores.shape == (*shape[:-1], 1) else scores
        if scores.shape != shape[:-1]:
            raise DataError(source, "scores", f"shape {shape[:-1]}", scores.shape)
        scores = scores.reshape(*lead, shape[-2])
        scores = scores[None] if len(lead) == 1 else scores if first else scores.swapaxes(0, 1)
        names = (*("x", "y", "z")[: shape[-1]], "score")
        return _gathered(np.concatenate([values, scores[..., None]], -1), names, None, notes)
    if shape[-1] == 4:
        world = channels == ("x", "y", "z") or (channels is None and is_world(values))
        return as_landmarks(_gathered(values, ("x", "y", "z", "score"), None, notes), world)
    if shape[-1] == 3 and channels is None:
        seen = values.reshape(-1, 3)[np.isfinite(values.reshape(-1, 3)).all(-1)]
        unit = len(seen) and seen.min() >= 0 and seen.max() <= 1.2
        if looks_scored(seen) or unit:
            told = "x,y,score, x,y,z or y,x,score" if unit else "x,y,score or x,y,z"
            raise DataError(source, "", f"--channels {told}", "a third value of 0 to 1, in doubt")
    return _gathered(values, channels or ("x", "y", "z")[: shape[-1]], None, notes)


def _gathered(values, channels, normalized, notes):
    """The Clip of (M, T, V, C); person m has the id m."""
    if len(channels) != values.shape[-1]:
        raise DataError("", "channels", f"{values.shape[-1]} of them", ",".join(channels))
    frames, people = np.nonzero(np.nan_to_num(values[..., :2]).any(axis=(2, 3)).T)
    with np.errstate(over="ignore"):
        points = values[people, frames].astype("float32")
    return Clip(points, tuple(channels), frames, people, values.shape[1], normalized, notes=list(notes))
