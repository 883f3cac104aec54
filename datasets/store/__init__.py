"""The store: one HDF5 file of skeleton sequences, its reader, its writer, and several of them as one."""

from .store import SELECTORS, SkeletonStore, describe_store
from .store_set import StoreSet
from .writer import Sample, StoreWriter

__all__ = ["SELECTORS", "Sample", "SkeletonStore", "StoreSet", "StoreWriter", "describe_store"]
