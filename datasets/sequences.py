"""One sequence of any readable file, with what is needed to look at it."""

import difflib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import pyskl
from .arrays import convert_arrays
from .csv_table import convert_csv
from .errors import DataError
from .layouts import SkeletonLayout, get_layout
from .ntu import read_skeleton
from .store import Sample, SkeletonStore

SUFFIXES = (".skeleton", ".pkl", ".h5", ".hdf5", ".npz", ".npy", ".csv")


@dataclass
class Sequence:
    """A sample, the layout of its joints, what its channels are, and the name of its class ("": unknown)."""

    sample: Sample
    layout: SkeletonLayout
    channels: tuple[str, ...]
    action: str = ""

    @property
    def num_coordinates(self):
        """2 or 3."""
        return 3 if "z" in self.channels else 2


def read_sequence(path, sample=None, layout=None):
    """One sequence of a recording, an annotation pickle, array files, a CSV table of joints or a store.

    Args:
        path: a file with one of SUFFIXES; array files and tables are converted to a temporary store first.
        sample: its id; None for the first.
        layout: SkeletonLayout, name or TOML file; by default the store's, or the usual one for V joints.

    Returns: Sequence.
    Raises: DataError where the file is unsound, of another kind or has no such sample; OSError where unreadable.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".skeleton":
        found = read_skeleton(path)
        if sample not in (None, found.id):
            raise _unknown(path, sample, [found.id])
        return Sequence(found, get_layout(layout or "ntu25"), ("x", "y", "z"))
    if suffix == ".pkl":
        return _annotation(path, sample, layout)
    if suffix in (".h5", ".hdf5"):
        return _stored(path, sample, layout)
    if suffix in (".npz", ".npy", ".csv"):
        convert = convert_csv if suffix == ".csv" else convert_arrays
        with tempfile.TemporaryDirectory() as folder:
            convert(path, Path(folder) / "store.h5", layout=layout)
            return _stored(Path(folder) / "store.h5", sample, layout, path)
    raise DataError(path, "suffix", ", ".join(SUFFIXES), suffix or "none")


def _stored(path, sample, layout, source=None):
    with SkeletonStore(path) as store:
        if sample is not None and sample not in store.ids:
            raise _unknown(source or path, sample, store.ids)
        found = store.sample(0 if sample is None else store.ids.index(sample))
        skeleton = store.layout if layout is None else get_layout(layout)
        if skeleton.num_joints != store.layout.num_joints:
            raise DataError(source or path, "layout", f"{store.layout.num_joints} joints", skeleton.num_joints)
        action = store.classes[found.label] if found.label >= 0 else ""
        return Sequence(found, skeleton, store.channels, action)


def _annotation(path, sample, layout):
    content = pyskl.restricted_load(path)
    annotations, _, meta = pyskl._parts(content, path.name)
    (skeleton, coordinates), scored, _ = pyskl._survey(annotations, layout, path.name)
    channels = ("x", "y", "z") if coordinates == 3 else ("x", "y", "score") if scored else ("x", "y")
    key = "filename" if "filename" in annotations[0] else "frame_dir"
    names = [pyskl._name(a.get(key)) if isinstance(a, dict) else "" for a in annotations]
    if sample is not None and sample not in names:
        raise _unknown(path, sample, names)
    number = 0 if sample is None else names.index(sample)
    found = pyskl._sample(annotations[number], key, channels, skeleton, path.name, number)
    classes, renumbered = pyskl._classes(annotations, None, meta, path, key)
    label = renumbered.index(found.label) if renumbered and found.label in renumbered else found.label
    return Sequence(found, skeleton, channels, classes[label] if 0 <= label < len(classes) else "")


def _unknown(path, sample, names):
    close = difflib.get_close_matches(sample, names, 3, 0.4) or names[:3]
    return DataError(path, "sample", f"an id such as {', '.join(close)}", repr(sample))
