"""Files to arrays: skeleton layouts, readers of recordings, and the store they are converted to."""

from .arrays import convert_arrays
from .csv_table import convert_csv
from .errors import DataError
from .layouts import SkeletonLayout, get_layout, layout_names
from .ntu import convert_ntu, read_skeleton
from .pyskl import convert_pyskl
from .sequences import Sequence, read_sequence
from .store import Sample, SkeletonStore, StoreWriter, describe_store
from .store_set import StoreSet
from .validation import validate

__all__ = [
    "DataError",
    "Sample",
    "Sequence",
    "SkeletonLayout",
    "SkeletonStore",
    "StoreSet",
    "StoreWriter",
    "convert_arrays",
    "convert_csv",
    "convert_ntu",
    "convert_pyskl",
    "describe_store",
    "get_layout",
    "layout_names",
    "read_sequence",
    "read_skeleton",
    "validate",
]
