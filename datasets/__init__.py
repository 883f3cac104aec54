"""Files to arrays: skeleton layouts, readers of recordings, and the store they are converted to."""

from .data_export import export_data
from .errors import DataError
from .layout_map import LayoutMap, layout_map
from .layouts import SkeletonLayout, get_layout, layout_names
from .projection import project_recordings
from .readers.arrays import convert_arrays
from .readers.clips import convert_clips
from .readers.convert import convert
from .readers.csv_table import convert_csv
from .readers.ntu import convert_ntu, read_skeleton
from .readers.pyskl import convert_pyskl
from .readers.recordings import Sequence, describe_recordings, open_recordings, read_sequence
from .store import Sample, SkeletonStore, StoreSet, StoreWriter, describe_store
from .validation import validate

__all__ = [
    "DataError",
    "LayoutMap",
    "Sample",
    "Sequence",
    "SkeletonLayout",
    "SkeletonStore",
    "StoreSet",
    "StoreWriter",
    "convert",
    "convert_arrays",
    "convert_clips",
    "convert_csv",
    "convert_ntu",
    "convert_pyskl",
    "describe_recordings",
    "describe_store",
    "export_data",
    "get_layout",
    "layout_map",
    "layout_names",
    "open_recordings",
    "project_recordings",
    "read_sequence",
    "read_skeleton",
    "validate",
]
