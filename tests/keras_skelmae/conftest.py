"""A small store of synthetic recordings for the modules that need no other."""

import pytest

from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two subjects, three repetitions of two actions: 12 sequences, open."""
    folder = tmp_path_factory.mktemp("store")
    write_dataset(folder / "raw", subjects=2, repetitions=3, actions=["wave", "squat"])
    convert_ntu(folder / "raw", folder / "s.h5")
    with SkeletonStore(folder / "s.h5") as opened:
        yield opened
