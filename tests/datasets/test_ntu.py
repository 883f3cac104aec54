"""Raw skeleton text: exact values, large body ids, denoising rules, splits, broken files, real recordings."""

import os
from pathlib import Path

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert_ntu, read_skeleton
from skelmae_datasets.benchmarks import missing_names
from skelmae_datasets.readers.skeleton_text import parse_skeleton

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
BIG = 72057594037927936


def body(seed, width=0.3, motion=0.2):
    """(25, 11) values of an upright body."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, motion, (25, 11))
    values[:, 0] = np.linspace(0, width, 25)
    values[:, 1] = np.linspace(-0.8, 0.8, 25) + rng.normal(0, motion)
    values[:, 3:7] = np.abs(values[:, 3:7]) + 100
    return np.round(values, 4)


def text(frames, newline="\n"):
    """`.skeleton` text of a list of frames, each a dict body id -> (25, 11)."""
    lines = [str(len(frames))]
    for frame in frames:
        lines.append(str(len(frame)))
        for number, values in frame.items():
            lines += [f"{number} 0 1 1 1 1 0 0.1 -0.2 2", "25"]
            lines += [" ".join(map(str, joint)) + " 2" for joint in values.tolist()]
    return newline.join(lines) + newline


def save(folder, frames, name="S001C002P003R001A010"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.skeleton").write_text(text(frames))
    return folder / f"{name}.skeleton"


def test_parse_is_exact_and_keeps_close_ids_apart():
    frames = [{BIG: body(0), BIG + 1: body(1)}, {}, {BIG + 1: body(2)}]
    for newline in ("\n", "\r\n"):
        raw = parse_skeleton(text(frames, newline))
        assert raw.num_frames == 3 and list(raw.tracks) == [BIG, BIG + 1]
        assert raw.tracks[BIG + 1].frames.tolist() == [0, 2]
        np.testing.assert_array_equal(raw.tracks[BIG + 1].joints[1], body(2).astype("float32"))


def test_not_a_number_becomes_an_absent_joint():
    values = body(0)
    values[3, 1] = np.nan
    values[4, 5] = np.inf
    joints = parse_skeleton(text([{1: values}])).tracks[1].joints[0]
    assert not joints[3, :3].any() and joints[3, 3:].all()
    assert not joints[4, 5:7].any() and joints[4, :5].all()


GOOD = text([{BIG: body(0)}, {BIG: body(1)}])


@pytest.mark.parametrize(
    ("broken", "match"),
    [
        ("", "frame count"),
        ("x", "value 0"),
        (GOOD[: len(GOOD) // 2], "frame 1|expected"),
        (GOOD + "1 2 3", "nothing after frame 2"),
        ("99999999999 " + GOOD, "frame count"),
        (GOOD.replace("2\n1\n", "2\n1000000\n", 1), "1000000 bodies"),
        (GOOD.replace("\n25\n", "\n24\n", 1), "joint count: expected 25, found 24"),
        (GOOD.replace(str(BIG), "-5", 1), "body id"),
        (GOOD.replace("-0.2 2", "abc 2", 1), "abc"),
        (GOOD.replace(" 100.", " " + "1" * 500, 1), "characters"),
        (GOOD.replace(" 100.", " 1_00.", 1), "1_00"),
        (GOOD.replace(" 100.", " 1.00.", 1), "1.00."),
    ],
)
def test_broken_text_is_told(broken, match):
    with pytest.raises(DataError, match=match):
        parse_skeleton(broken)


def test_frames_without_bodies_are_dropped_and_gaps_stay(tmp_path):
    frames = (
        [{}] * 3
        + [{1: body(i), 2: body(99)} for i in range(15)]
        + [{2: body(99)}] * 2
        + [{1: body(i)} for i in range(5)]
    )
    sample = read_skeleton(save(tmp_path, frames))
    assert sample.keypoints.shape == (2, 22, 25, 3), "the moving body first, 25 frames less 3 empty ones"
    assert (
        not sample.keypoints[0, 15:17].any() and sample.keypoints[0, 17:].any() and not sample.keypoints[1, 17:].any()
    )
    np.testing.assert_array_equal(sample.keypoints[0, 17], body(0)[:, :3].astype("float32"))
    assert (sample.label, sample.subject, sample.camera, sample.setup) == (9, 3, 2, 1)


def test_short_and_wide_tracks_are_dropped_but_never_all(tmp_path):
    frames = [{1: body(i)} | ({2: body(i + 50)} if i < 11 else {}) | {3: body(7, width=4)} for i in range(20)]
    assert len(read_skeleton(save(tmp_path, frames)).keypoints) == 1
    np.testing.assert_array_equal(
        read_skeleton(save(tmp_path, frames)).keypoints[0, 5], body(5)[:, :3].astype("float32")
    )
    short = [{1: body(i)} | ({2: body(i)} if i < 3 else {}) for i in range(6)]
    assert read_skeleton(save(tmp_path, short)).keypoints.shape[:2] == (1, 6)
    wide = [{1: body(i, width=9), 2: body(i, width=5)} for i in range(15)]
    assert read_skeleton(save(tmp_path, wide)).keypoints.shape[:2] == (1, 15)


def test_a_body_that_comes_back_under_another_id_is_one_person(tmp_path):
    frames = [{1: body(i)} for i in range(15)] + [{2: body(i)} for i in range(15)]
    assert read_skeleton(save(tmp_path, frames)).keypoints.shape[:2] == (1, 30)
    touching = [{1: body(i)} for i in range(15)] + [{1: body(3), 2: body(4)}] + [{2: body(i)} for i in range(15)]
    assert read_skeleton(save(tmp_path, touching)).keypoints.shape[:2] == (2, 31), "a shared frame means two persons"
    assert read_skeleton(save(tmp_path, touching), people=1).keypoints.shape[:2] == (1, 16)


def test_coco17_takes_colour_then_depth(tmp_path):
    frames = [{1: body(0)}]
    sample = read_skeleton(save(tmp_path, frames), joints="coco17")
    assert sample.keypoints.shape == (1, 1, 17, 2) and sample.image_size == (1080, 1920)
    np.testing.assert_array_equal(sample.keypoints[0, 0, 5], body(0)[4, 5:7].astype("float32"))
    frames[0][1][:, 5:7] = 0
    sample = read_skeleton(save(tmp_path, frames), joints="coco17")
    assert sample.image_size == (424, 512)
    np.testing.assert_array_equal(sample.keypoints[0, 0, 0], frames[0][1][3, 3:5].astype("float32"))


def test_convert_ntu_splits_missing_and_bad(tmp_path):
    frames = [{BIG: body(i)} for i in range(4)]
    folder = tmp_path / "raw"
    listed = min(missing_names("ntu60"))
    for name in ("S001C001P001R001A001", "S001C002P003R001A060", listed):
        save(folder / "deep", frames, name)
    save(folder, [{}, {}], "S001C001P001R001A002")
    save(folder, frames, "other")
    seen = []
    report = convert_ntu(folder, tmp_path / "s.h5", progress=lambda *p: seen.append(p))
    assert report["samples"] == 2 and report["missing_listed"] == 1 and report["people"] == {1: 2}
    assert report["benchmark"] is None and not report["partial"] and "too few to be it" in report["notes"][0]
    assert [name for name, _ in report["skipped"]] == ["other.skeleton", "S001C001P001R001A002.skeleton"]
    assert report["splits"] == {"xsub_train": 1, "xsub_val": 1, "xview_train": 1, "xview_val": 1} and seen[-1] == (3, 3)
    store = SkeletonStore(tmp_path / "s.h5")
    assert store.ids[store.select("xview_train")[0]] == "S001C002P003R001A060"
    assert store.labels.tolist() == [0, 59] and store.classes[59] == "walking apart from each other"
    with pytest.raises(DataError, match="other"):
        convert_ntu(folder, tmp_path / "t.h5", strict=True)
    assert not (tmp_path / "t.h5").exists()


def test_copies_of_macos_are_passed_over_and_suffixes_may_be_capitals(tmp_path):
    folder = tmp_path / "raw"
    for action in (1, 2):
        save(folder, [{BIG: body(i)} for i in range(4)], f"S001C001P215R001A00{action}")
    for hidden in (folder / "._S001C001P215R001A001.skeleton", folder / "__MACOSX" / "._S001C001P215R001A002.skeleton"):
        hidden.parent.mkdir(exist_ok=True)
        hidden.write_bytes(b"\0\x05\x16\x07" * 40)
    (folder / "S001C001P215R001A002.skeleton").rename(folder / "S001C001P215R001A002.SKELETON")
    report = convert_ntu(folder, tmp_path / "s.h5", strict=True)
    assert report["samples"] == 2 and not report["skipped"] and report["benchmark"] is None and not report["notes"]


def test_nothing_usable_is_an_error(tmp_path):
    with pytest.raises(DataError, match="found none"):
        convert_ntu(tmp_path, tmp_path / "s.h5")
    save(tmp_path, [{}])
    with pytest.raises(DataError, match="1 bad"):
        convert_ntu(tmp_path, tmp_path / "s.h5")
    assert not (tmp_path / "s.h5").exists()


def test_real_recordings_and_workers_agree(tmp_path):
    folder = DATA / "irds_skeleton"
    if not folder.is_dir():
        pytest.skip(f"the IntelliRehabDS recordings are not at {folder}")
    report = convert_ntu(folder, tmp_path / "1.h5")
    assert report["samples"] == 188 and not report["skipped"] and report["benchmark"] is None and not report["splits"]
    convert_ntu(folder, tmp_path / "2.h5", workers=2)
    one, two = SkeletonStore(tmp_path / "1.h5"), SkeletonStore(tmp_path / "2.h5")
    assert one.fingerprint == two.fingerprint and one.classes == [f"A{i:03d}" for i in range(1, 10)]
    sample = one.sample(0)
    np.testing.assert_allclose(sample.keypoints[0, 0, 0], [-0.3805821, 0.008953178, 2.14976], rtol=1e-6)
