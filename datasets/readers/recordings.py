"""From the path of any readable file or folder to its samples: the one place that knows which reader it takes."""

import contextlib
import difflib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..layouts import SkeletonLayout, get_layout
from ..store import Sample, SkeletonStore, describe_store
from . import animals, csv_table, landmark_table, yolo
from .arrays import are_stacked, convert_arrays
from .clips import convert_clips
from .csv_table import convert_csv
from .inputs import has_recordings
from .mocap import convert_mocap, is_mocap
from .ntu import convert_ntu, skeleton_files
from .pyskl import convert_pyskl
from .suffixes import IN_FOLDERS, KINDS, PACKED, SUFFIXES

_CONVERTERS = {
    "annotations": convert_pyskl,
    "arrays": convert_arrays,
    "table": convert_csv,
    "clips": convert_clips,
    "mocap": convert_mocap,
}
CALLED = {
    "skeletons": "NTU RGB+D .skeleton text",
    "annotations": "annotation pickle as of PYSKL",
    "arrays": "arrays as of CTR-GCN or st-gcn",
    "table": csv_table.NAME,
    "store": "store",
    "mocap": "motion capture",
}
"""What kinds are called, besides "clips", whose forms have names of their own."""
_ESTIMATORS = (".jsonl", ".xlsx", ".parquet")


def kind_of(path):
    """What a path is to be read as: a key of CALLED, "clips" (files of estimators), or "layout".

    Raises: DataError where neither the suffix nor the content is known, OSError where there is nothing.
    """
    path = Path(path)
    if path.is_dir():
        return _kind_of_folder(path)
    if not path.suffix:
        path.stat()
    suffix, packed = path.suffix.lower(), path.suffix.lower() == PACKED
    kind = KINDS.get(Path(path.stem).suffix.lower() if packed else suffix)
    if kind is None or (packed and kind != "annotations"):
        raise _wrong_kind(path)
    if suffix == ".npz" and is_mocap(path):
        return "mocap"
    if path.is_file() and (
        (kind == "arrays" and not are_stacked(path))
        or (kind == "table" and (animals.fits_table(path) or landmark_table.fits(path)))
        or (kind == "store" and animals.fits_analysis(path))
    ):
        return "clips"
    if suffix == ".txt" and path.is_file() and not yolo.is_text(path):
        raise _wrong_kind(path, "a text that is not YOLO's")
    return kind


def _kind_of_folder(path):
    names = [entry.name.lower() for entry in path.iterdir() if not entry.name.startswith(".")]
    if next(iter(skeleton_files(path)), None) is not None:
        return "skeletons"
    if any(name.endswith(".npy") and are_stacked(path / name) for name in names):
        return "arrays"
    if has_recordings(path):
        return "clips"
    if any(map(_is_estimate, names)):
        raise _wrong_kind(path, "a folder of an estimator's files")
    shown = f"{names[0]} and other files" if len(names) > 1 else names[0] if names else "an empty folder"
    raise DataError(path, "", f"a folder with {', '.join(IN_FOLDERS)} or .skeleton files", shown)


def convert_recordings(path, output, layout=None, *, people=None, joints="all", strict=False, **options):
    """Convert what `open_recordings` opens, stores apart, to a store; returns the report of the kind's `convert_*`.

    options: further ones of the kind's `convert_*`.
    """
    kind = kind_of(path)
    if kind == "skeletons":
        return convert_ntu(path, output, joints, people=2 if people is None else people, strict=strict, **options)
    if kind not in _CONVERTERS:
        raise _wrong_kind(path)
    return _CONVERTERS[kind](path, output, layout=layout, people=people, strict=strict, **options)


def _is_estimate(name):
    return name.lower().endswith(_ESTIMATORS)


def _wrong_kind(path, found=None):
    way = "; make a table of it, docs/own-data.md" if found or _is_estimate(Path(path).name) else ""
    expected = f"{', '.join(SUFFIXES)} or a folder"
    return DataError(path, "suffix", expected, f"{found or Path(path).suffix or 'none'}{way}")


@contextlib.contextmanager
def open_recordings(path, layout=None, *, to=None, people=None, joints="all", strict=True, **options):
    """Open a file or folder of recordings as a SkeletonStore; a context manager.

    A store is opened itself. All else is first converted, by the reader of its kind, to a temporary store, so that
    samples are the same as those of a conversion.

    Args:
        path: a store, a `.skeleton` file or a folder of them, an annotation `.pkl`, `.npz` or `.npy` arrays or a folder
            of them, a `.csv` table of joints, or files of pose estimators (`convert_clips`) or a folder of them.
        layout: SkeletonLayout, name or TOML file; by default the file's own, or the usual one for V joints.
        to: the layout to read them in, by the joints' names (`SkeletonStore.map_to`); by default as they are.
        people: the most persons kept of a converted sample; by default as many as its reader keeps.
        joints: of `.skeleton` files, as `read_skeleton`.
        strict: raise on the first bad sample instead of leaving it out.
        options: further ones of the kind's `convert_*`.
    Raises: DataError where the file is unsound, of another kind, or has another number of joints than the layout;
        OSError where it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        if kind_of(path) == "store":
            store = stack.enter_context(SkeletonStore(path))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="skelmae-"))
            output = Path(folder) / Path(os.path.abspath(path)).name  # of this name, as readers' errors tell it
            with _told_of(path, folder):
                options |= {"by_names": True} if to is not None and kind_of(path) == "clips" else {}
                report = convert_recordings(
                    path, output, layout, people=people, joints=joints, strict=strict, **options
                )
            store = stack.enter_context(SkeletonStore(output, source=path))
            store.left_out = report["skipped"]
        if layout is not None:
            skeleton = get_layout(layout)
            if skeleton.num_joints != store.layout.num_joints:
                raise DataError(path, "layout", f"{store.layout.num_joints} joints", skeleton.num_joints)
            store.layout = skeleton
        if to is not None:
            store.map_to(to)
        yield store


def describe_recordings(path):
    """What is in whatever `open_recordings` opens, as `describe_store`; size_bytes is that of a store of it."""
    with open_recordings(path, strict=False) as store:
        return describe_store(store)


@contextlib.contextmanager
def _told_of(path, folder):
    """An OSError about the temporary folder names the user's file."""
    try:
        yield
    except OSError as error:
        if not str(error.filename).startswith(folder):
            raise
        raise OSError(error.errno, f"{error.strerror} in the temporary folder {folder}", str(path)) from error


@dataclass
class Sequence:
    """A sample, the layout of its joints, what its channels are, the name of its class ("": unknown), and notes on how
    its file was read."""

    sample: Sample
    layout: SkeletonLayout
    channels: tuple[str, ...]
    action: str = ""
    notes: tuple[str, ...] = ()

    @property
    def num_coordinates(self):
        """2 or 3."""
        return 3 if "z" in self.channels else 2


def read_sequence(path, sample=None, layout=None, to=None):
    """One sequence of whatever `open_recordings` opens, with what is needed to look at it.

    Args:
        path, layout, to: as `open_recordings`.
        sample: its id; None for the first.
    Returns: Sequence.
    Raises: DataError where the file is unsound, of another kind or has no such sample; OSError where unreadable.
    """
    with open_recordings(path, layout, to=to, strict=False) as store:
        if sample is not None and sample not in store.ids:
            close = difflib.get_close_matches(sample, store.ids, 3, 0.4) or store.ids[:3]
            bad = store.provenance.get("skipped")
            note = f"; {bad} left out as bad, `skelmae validate` says why" if bad else ""
            raise DataError(path, "sample", f"an id such as {', '.join(close)}", f"{sample!r}{note}")
        found = store.sample(0 if sample is None else store.ids.index(sample))
        action = store.classes[found.label] if found.label >= 0 else ""
        return Sequence(found, store.layout, store.channels, action, tuple(store.notes))
