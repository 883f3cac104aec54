"""Files of SLEAP and DeepLabCut: points of animals or people, by the names of their body parts.

SLEAP's analysis `.h5` and DeepLabCut's `.csv` are read here, SLEAP's `.slp` by sleap-io, of the extra `animals`.
Sources: SLEAP, "Analysis HDF5" (tracks (M, 2, V, T), point_scores (M, V, T), node_names); DeepLabCut, output of
`analyze_videos(save_as_csv=True)` (three or four lines of header: scorer, individuals, bodyparts, coords).
"""

import csv

import h5py
import numpy as np

from ..errors import DataError
from ..store.store import MAX_INFLATION
from .clip import Clip
from .motion_capture import library
from .people import MAX_PEOPLE, MAX_VALUES
from .table_text import MAX_LINE, encoding_of

SLEAP_NAME, SLP_NAME, DLC_NAME = "SLEAP analysis", "SLEAP labels", "DeepLabCut table"
_HEADERS = ("scorer", "individuals", "bodyparts", "coords")
_COORDS = ("x", "y", "likelihood")
_MAX_COLUMNS, _MAX_NAME = 1 << 12, 1 << 10


def _clip(values, names, fps=None):
    """The Clip of (M, T, V, C), C x, y, score; person m has the id m."""
    values = np.where(np.isfinite(values).all(-1, keepdims=True), values, 0)
    frames, people = np.nonzero(values[..., :2].any(axis=(2, 3)).T)
    with np.errstate(over="ignore"):
        points = values[people, frames].astype("float32")
    clip = Clip(points, ("x", "y", "score"), frames, people, values.shape[1], False)
    clip.names, clip.fps = tuple(names), fps
    return clip


# === SLEAP ===


def fits_analysis(path):
    """Whether an HDF5 file is SLEAP's analysis; False too where it cannot be read."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return "tracks" in file and "node_names" in file
    except (OSError, RuntimeError):
        return False


def analysis_clip(path):
    """The Clip of an analysis file."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            tracks, names = (_held(file, key, path) for key in ("tracks", "node_names"))
            if tracks.ndim != 4 or tracks.shape[1] != 2 or names.shape != tracks.shape[2:3]:
                raise DataError(path.name, "tracks", "(people, 2, joints, frames)", tracks.shape)
            if _longest(names, path) > _MAX_NAME:
                raise DataError(path.name, "node_names", f"texts of at most {_MAX_NAME} bytes", "longer ones")
            if tracks.size > MAX_VALUES or len(tracks) > MAX_PEOPLE or tracks.dtype.kind != "f":
                found = f"{tracks.dtype} {tracks.shape}"
                raise DataError(path.name, "tracks", f"at most {MAX_PEOPLE} people, {MAX_VALUES} numbers", found)
            points = tracks[()].transpose(0, 3, 2, 1)
            scores = np.ones(points.shape[:3], "float32")
            if "point_scores" in file:
                found, expected = _held(file, "point_scores", path), (len(tracks), *tracks.shape[2:])
                if found.shape != expected or found.dtype.kind != "f":
                    raise DataError(path.name, "point_scores", f"numbers {expected}", f"{found.dtype} {found.shape}")
                scores = found[()].transpose(0, 2, 1)
            names = [name.decode("utf-8") for name in names[()]]
            return _clip(np.concatenate([points, scores[..., None]], -1), names)
    except (KeyError, ValueError, TypeError, OSError, RuntimeError, AttributeError, MemoryError) as error:
        if isinstance(error, DataError) or (isinstance(error, OSError) and error.filename is not None):
            raise
        raise DataError(path.name, "", "an analysis file of SLEAP", error) from None


def _held(file, key, path):
    """A data set that lies in the file, with as much data behind it as it announces."""
    item = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        raise DataError(path.name, key, "a data set in this file", "another")
    if item.nbytes > MAX_INFLATION * (item.id.get_storage_size() + 4096):
        raise DataError(path.name, key, f"the announced {item.shape}", "no data behind them")
    return item


def _longest(texts, path):
    """Bytes of the longest text; of those of variable length as the file announces them, before HDF5 makes room."""
    if texts.dtype.kind == "S":
        return texts.dtype.itemsize
    place, length = texts.id.get_offset(), 16 * texts.size  # each a length, an address and a number
    if h5py.check_string_dtype(texts.dtype) is None or place is None:
        raise DataError(path.name, "node_names", "texts in one piece", texts.dtype)
    with open(path, "rb") as file:
        file.seek(place)
        found = np.frombuffer(file.read(length), "<u4")
    return int(found[::4].max(initial=0))


def labels_clips(path):
    """[(name, Clip)] of a `.slp`, a clip a video."""
    with open(path, "rb"):
        pass  # a plain OSError where it cannot be read
    module = library("sleap_io", "animals", path.name)
    try:
        labels = module.load_slp(str(path), open_videos=False)
        names = list(labels.skeletons[0].node_names)
        found = []
        for number, video in enumerate(labels.videos):
            values = np.asarray(labels.numpy(video=video, return_confidence=True), "float64")  # (T, M, V, 3)
            found.append((f"video{number}" if len(labels.videos) > 1 else "", values.swapaxes(0, 1)))
    except Exception as error:  # of many kinds
        raise DataError(path.name, "", "labels as sleap-io reads them", " ".join(str(error).split())[:160]) from None
    for _, values in found:
        if values.ndim != 4 or values.size > MAX_VALUES:
            raise DataError(path.name, "", f"at most {MAX_VALUES} values", values.shape)
    return [(name, _clip(_scored(values), names)) for name, values in found if values.size]


def _scored(values):
    """Points that a person labelled have no score: 1."""
    seen = np.isfinite(values[..., :2]).all(-1)
    values[..., 2] = np.where(seen & ~np.isfinite(values[..., 2]), 1, values[..., 2])
    return values


# === DeepLabCut ===


def fits_table(path):
    """Whether a `.csv` begins as DeepLabCut's."""
    try:
        with open(path, "rb") as file:
            return file.read(8).removeprefix(b"\xef\xbb\xbf")[:5] == b"score"
    except OSError:
        return False


def table_clip(path):
    """The Clip of a `.csv`."""
    with open(path, encoding=encoding_of(path), newline="") as file:
        try:
            lines = csv.reader(_short(file, path.name), strict=True)
            header = {}
            for row in lines:
                header[row[0].strip().lower() if row else ""] = row[1:]
                if "coords" in header:
                    break
            if not {"bodyparts", "coords"} <= set(header) <= set(_HEADERS):
                raise DataError(path.name, "line 1", f"lines {', '.join(_HEADERS)}", ", ".join(header)[:80])
            order, people, names = _columns(header, path.name)
            rows = []
            for row in lines:
                if len(row) != len(order) + 1:
                    expected = f"{len(order) + 1} fields"
                    raise DataError(path.name, f"line {lines.line_num}", expected, len(row))
                rows.append([float(field) if field.strip() else np.nan for field in row[1:]])
                if len(rows) * len(order) > MAX_VALUES:
                    raise DataError(path.name, "", f"at most {MAX_VALUES} values", "more")
        except (csv.Error, UnicodeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(path.name, f"line {lines.line_num}", "numbers", error) from None
    values = np.full((len(people), len(rows), len(names), 3), np.nan)
    for column, (person, name, coord) in zip(np.array(rows).reshape(-1, len(order)).T, order, strict=True):
        values[person, :, name, coord] = column
    return _clip(values, names)


def _columns(header, source):
    """([(person, joint, coordinate)] of each column, people, names of joints)."""
    parts, coords = header["bodyparts"], [name.strip().lower() for name in header["coords"]]
    owners = header.get("individuals", [""] * len(parts))
    if not len(parts) == len(coords) == len(owners) or not 0 < len(parts) <= _MAX_COLUMNS:
        raise DataError(source, "coords", f"as many as bodyparts, at most {_MAX_COLUMNS}", len(coords))
    if set(coords) != set(_COORDS):
        raise DataError(source, "coords", ", ".join(_COORDS), ", ".join(sorted(set(coords)))[:80])
    people, names = list(dict.fromkeys(owners)), list(dict.fromkeys(parts))
    order = [
        (people.index(owner), names.index(part), _COORDS.index(coord))
        for owner, part, coord in zip(owners, parts, coords, strict=True)
    ]
    if len(set(order)) < len(order) or len(people) > MAX_PEOPLE:
        raise DataError(source, "bodyparts", f"each once, of at most {MAX_PEOPLE} individuals", "others")
    return order, people, names


def _short(file, source):
    for line in file:
        if len(line) > MAX_LINE:
            raise DataError(source, "", f"lines of at most {MAX_LINE} characters", "more")
        yield line
