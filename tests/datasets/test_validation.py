"""Validation tells every fault with its sample, and repairs into another file only."""

import pickle

import h5py
import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert_ntu, convert_pyskl, get_layout, validate
from skelmae_datasets.synthetic import write_dataset


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_dataset(folder, subjects=2, repetitions=1, actions=None, seed=1, frames=(12, 14))
    return folder


def told(problems):
    return [(p.sample, p.key, p.error) for p in problems]


def annotation(i, **changes):
    rng = np.random.default_rng(i)
    values = {"frame_dir": f"v{i}", "label": i, "img_shape": (240, 320), "total_frames": 5}
    values["keypoint"] = rng.uniform(1, 240, (1, 5, 17, 2)).astype("float16")
    return values | {"keypoint_score": rng.uniform(0.1, 1, (1, 5, 17)).astype("float16")} | changes


def test_sound_inputs_have_no_errors(recordings, tmp_path):
    assert not any(p.error for p in validate(recordings))
    assert not validate(sorted(recordings.glob("*.skeleton"))[-1])
    convert_ntu(recordings, tmp_path / "s.h5")
    assert validate(tmp_path / "s.h5") == []
    (tmp_path / "l.toml").write_text(get_layout("coco17").to_toml())
    assert validate(tmp_path / "l.toml") == []


def test_every_fault_of_an_annotation_file(tmp_path):
    nan = annotation(2)["keypoint"]
    nan[0, 1, 3, 0] = np.nan
    items = [
        annotation(0),
        annotation(1, total_frames=9),
        annotation(2, keypoint=nan),
        annotation(0),
        7,
        annotation(3, keypoint_score=None),
    ]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"split": {"train": ["v0", "v0", "gone"]}, "annotations": items}))
    before = path.read_bytes()
    problems = validate(path, tmp_path / "fixed.h5")
    assert told(problems) == [
        ("v1", "annotations[1].total_frames", True),
        ("v0", "sample 'v0'", True),
        ("4", "annotations[4]", True),
        ("", "split['train']", True),
        ("", "1 sequences have no scores: taken as 1 where a joint was seen", False),
        ("", "split 'train' names 1 ids more than once, taken once", False),
        ("", "1 joints at -1, not finite or scored 0.01 or lower count as not seen", False),
    ]
    assert (problems[0].expected, problems[0].found, problems[3].found) == ("5", "9", "1 of others")
    assert str(problems[-1]).startswith("note: file: 1 joints at -1")
    store = SkeletonStore(tmp_path / "fixed.h5")
    assert store.ids == ["v0", "v2", "v3"] and not store.read(1)[0, 1, 3].any() and path.read_bytes() == before
    assert not [p for p in validate(tmp_path / "fixed.h5") if p.error]
    path.write_bytes(b"junk")
    assert [p.key for p in validate(path)] == ["pickle"]


def test_broken_recordings(recordings, tmp_path):
    good = sorted(recordings.glob("*.skeleton"))[:3]
    for file in good:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / good[1].name).write_bytes(good[1].read_bytes()[:-300])
    (tmp_path / "other.skeleton").write_bytes(b"0\n")
    problems = validate(tmp_path, tmp_path / "out.h5")
    assert {p.sample for p in problems if p.error} == {good[1].name, "other.skeleton"}
    assert SkeletonStore(tmp_path / "out.h5").ids == [good[0].stem, good[2].stem]


def test_a_damaged_store_is_told_and_salvaged(tmp_path):
    items = [
        annotation(
            i,
            keypoint=np.repeat(annotation(i)["keypoint"], 60, 1),
            total_frames=300,
            keypoint_score=np.ones((1, 300, 17), "float16"),
        )
        for i in range(4)
    ]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"split": {"all4": ["v0", "v1", "v2", "v3"]}, "annotations": items}))
    path = tmp_path / "s.h5"
    convert_pyskl(tmp_path / "a.pkl", path)
    with h5py.File(path) as file:
        chunk = file["keypoints"].id.get_chunk_info(7)  # of sample v1: rows 448 to 511
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    problems = validate(path, tmp_path / "saved.h5")
    assert [p.sample for p in problems if p.key.startswith("sample")] == ["v1"] and problems[-1].error
    saved = SkeletonStore(tmp_path / "saved.h5")
    assert saved.ids == ["v0", "v2", "v3"] and saved.splits["all4"].tolist() == [0, 1, 2]
    with SkeletonStore(path) as store:
        store.read(0)  # one bad chunk does not spoil the others
        for call in (lambda: store.read(1), store.verify):
            with pytest.raises(DataError, match=r"s\.h5"):
                call()


def test_what_cannot_be_validated_or_fixed(tmp_path):
    with pytest.raises(FileNotFoundError):
        validate(tmp_path / "absent.pkl")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match="suffix"):
        validate(tmp_path / "a.txt")
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([annotation(0)]))
    with pytest.raises(DataError, match="another file"):
        validate(path, path)


def test_a_repair_does_not_replace_what_is_no_store(recordings, tmp_path):
    convert_ntu(recordings, tmp_path / "s.h5")
    (tmp_path / "mine.h5").write_text("mine")
    with pytest.raises(DataError, match="mine.h5: output: expected a new file or a store"):
        validate(tmp_path / "s.h5", tmp_path / "mine.h5")
    assert (tmp_path / "mine.h5").read_text() == "mine"
    validate(tmp_path / "s.h5", tmp_path / "copy.h5")
    assert validate(tmp_path / "copy.h5", tmp_path / "copy2.h5") == []


def test_a_store_is_not_sound_as_another_layout(recordings, tmp_path):
    convert_ntu(recordings, tmp_path / "s.h5")
    assert validate(tmp_path / "s.h5", layout="ntu25") == []
    (problem,) = validate(tmp_path / "s.h5", layout="coco17")
    assert problem.error and str(problem).endswith(
        "expected ntu25, as the store has (--to reads it as another), found coco17"
    )
