"""What the tests of estimators' files share: two walkers with round numbers, and one look at every way in."""

import json

import numpy as np
import pytest

from skelmae_datasets import SkeletonStore, convert, open_recordings, read_sequence, validate


def walkers(people=2, frames=6, joints=17):
    """(M, T, V, 2): joint v of person m in frame t at (100 + 300 m + 2 t + 3 v, 50 + v), which tells all of them."""
    m, t, v = np.meshgrid(np.arange(people), np.arange(frames), np.arange(joints), indexing="ij")
    return np.stack([100 + 300 * m + 2 * t + 3 * v, 50 + v], -1).astype("float64")


@pytest.fixture(name="walkers")
def fixture_walkers():
    return walkers


@pytest.fixture
def write_json(tmp_path):
    """Function (name, value): a JSON file in tmp_path."""

    def write(name, value):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return write


@pytest.fixture
def read(tmp_path):
    """Function (path, **options) -> (keypoints of the first sample, store, report): `convert`, and that
    `open_recordings`, `read_sequence` and `validate` see the same."""

    def read(path, **options):
        output = tmp_path / "out" / "o.h5"
        report = convert(path, output, **options)
        store = SkeletonStore(output)
        store.verify()
        opened = {name: value for name, value in options.items() if name not in ("labels", "fps", "classes", "force")}
        if not isinstance(path, list):
            with open_recordings(path, opened.pop("layout", None), **{"strict": False} | opened) as other:
                assert other.ids == store.ids and other.layout == store.layout and other.channels == store.channels
                for index in range(len(store)):
                    np.testing.assert_array_equal(other.read(index), store.read(index))
                assert other.path == path
            if not opened:
                assert read_sequence(path, layout=options.get("layout")).sample.id == store.ids[0]
                errors = [problem for problem in validate(path, layout=options.get("layout")) if problem.error]
                assert len(errors) == len(report["skipped"])
        return store.read(0), store, report

    return read
