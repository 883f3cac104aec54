"""The store of `benchmarks/scale.py`: NTU RGB+D 60 but for the motions."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from skelmae_datasets import SkeletonStore, validate
from skelmae_datasets.benchmarks import EXPECTED_COUNTS, class_names, match_name, missing_names, ntu_splits

SEQUENCES = 40


@pytest.fixture(scope="module")
def scale():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "scale.py"
    spec = importlib.util.spec_from_file_location("scale", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def path(scale, tmp_path_factory):
    path = tmp_path_factory.mktemp("scale") / "ntu25.h5"
    found = scale.write_store(path, SEQUENCES)
    assert found["sequences"] == SEQUENCES and found["bytes"] == path.stat().st_size
    return path


def test_names_have_the_official_counts(scale):
    names = scale.benchmark_names()
    splits = {name: len(ids) for name, ids in ntu_splits(names, "ntu60").items()}
    assert {"all": len(set(names)), **splits} == EXPECTED_COUNTS["ntu60"]
    assert not missing_names("ntu60") & set(names)


def test_store_is_of_the_benchmark(path):
    with SkeletonStore(path) as store:
        store.verify()
        assert store.classes == class_names("ntu60") and len(store.classes) == 60
        assert store.layout.name == "ntu25" and store.channels == ("x", "y", "z")
        expected = {name: [store.ids[index] for index in rows] for name, rows in store.splits.items()}
        assert expected == ntu_splits(store.ids, "ntu60") and all(expected.values())
        for number, name in enumerate(store.ids):
            numbers = match_name(name)
            assert store.labels[number] == numbers["action"] - 1
            assert (store.subject[number], store.camera[number]) == (numbers["subject"], numbers["camera"])
            assert store.people[number] == (2 if numbers["action"] >= 50 else 1)
            assert store.read(number).all(axis=-1).all()
        assert set(store.people) == {1, 2} and 30 <= min(store.frames) < max(store.frames) <= 300


def test_the_seed_decides(scale, path, tmp_path):
    for name, seed in (("same", 0), ("other", 1)):
        scale.write_store(tmp_path / f"{name}.h5", SEQUENCES, seed=seed)
    stores = [SkeletonStore(file) for file in (path, tmp_path / "same.h5", tmp_path / "other.h5")]
    first, same, other = (store.fingerprint for store in stores)
    assert first == same != other


def test_pixels_lie_in_the_image(scale, tmp_path):
    scale.write_store(tmp_path / "coco17.h5", SEQUENCES, "coco17")
    assert not validate(tmp_path / "coco17.h5")
    with SkeletonStore(tmp_path / "coco17.h5") as store:
        assert store.units == "pixels" and store.channels == ("x", "y")
        values = np.concatenate([store.read(number).reshape(-1, 2) for number in range(len(store))])
        inside = (values >= 0) & (values < store.image_size[0][::-1])
        assert inside.mean() > 0.95


@pytest.mark.parametrize("sequences", [0, 56579])
def test_other_sizes_are_refused(scale, tmp_path, sequences):
    with pytest.raises(ValueError, match="sequences: expected 1..56578"):
        scale.write_store(tmp_path / "s.h5", sequences)
    assert not list(tmp_path.iterdir())
