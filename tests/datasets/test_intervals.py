"""Labelled intervals: what a table says, what is refused, and the clips that are cut."""

import numpy as np
import pytest

from skelmae_datasets import DataError, Sample, SkeletonStore, StoreSet, StoreWriter, convert
from skelmae_datasets.readers.intervals import IntervalTable, has_intervals


def table(folder, text, name="intervals.csv"):
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture
def recordings(tmp_path):
    """A store of two recordings, 50 frames of two people and 20 of one, at 10 frames a second."""
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "long.h5", layout="coco17", classes=[], channels=("x", "y"), fps=10) as writer:
        for name, people, frames in (("day/hour", 2, 50), ("other", 1, 20)):
            writer.append(Sample(name, rng.uniform(1, 400, (people, frames, 17, 2)), subject="7b", image_size=(4, 5)))
    return tmp_path / "long.h5"


TEXT = """file,start,end,label,person,subject,split
day/hour.mp4,0,1.5,wave,1,,train
hour,1.5,2.04,kick,1,3,train;more
hour,0.3,5.0,kick,2,,
other.json,1.0,2.0,sit,,,
other.json,0.2,0.4,,,,
unheard,1,2,wave,,,
"""


def test_intervals_in_seconds_become_clips(recordings, tmp_path):
    report = convert(recordings, tmp_path / "clips.h5", labels=str(table(tmp_path, TEXT)))
    with SkeletonStore(recordings) as whole, SkeletonStore(tmp_path / "clips.h5") as clips:
        hour, other = whole.read(0), whole.read(1)
        expected = {
            "day/hour@0-15-person1": ("wave", hour[:1, :15], "7b"),
            "day/hour@15-20-person1": ("kick", hour[:1, 15:20], "3"),
            "day/hour@3-50-person2": ("kick", hour[1:, 3:50], "7b"),
            "other@10-20": ("sit", other[:, 10:], "7b"),
        }
        assert sorted(clips.ids) == sorted(expected) and clips.classes == ["kick", "sit", "wave"] and clips.fps == 10
        for number, name in enumerate(clips.ids):
            label, keypoints, subject = expected[name]
            np.testing.assert_array_equal(clips.read(number), keypoints)
            sample = clips.sample(number)
            assert (clips.classes[sample.label], sample.subject, sample.image_size) == (label, subject, (4, 5))
        assert [clips.ids[i] for i in clips.splits["more"]] == ["day/hour@15-20-person1"]
        assert len(clips.splits["train"]) == 2
    assert report["samples"] == 4 and report["read"] == {"store": 1}
    assert any("1 names of the table of intervals are of no recording, such as 'unheard'" in n for n in report["notes"])


def test_frames_go_before_seconds_and_need_no_rate(recordings, tmp_path):
    text = "file,start_frame,end_frame,start,end,label\nother,3,9,0,0,a\nother,9,20,,,b\n"
    convert(recordings, tmp_path / "clips.h5", labels=str(table(tmp_path, text)))
    with SkeletonStore(tmp_path / "clips.h5") as clips:
        assert clips.ids == ["other@3-9", "other@9-20"] and clips.frames.tolist() == [6, 11]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("other,1,1,a", "line 2: expected 0 <= start < end, found 1 and 1"),
        ("other,2,1,a", "line 2: expected 0 <= start < end, found 2 and 1"),
        ("other,-1,1,a", "line 2: expected 0 <= start < end"),
        ("other,x,1,a", "line 2: start: expected a number, found 'x'"),
        ("other,0,nan,a", "line 2: end: expected a number"),
        (",0,1,a", "line 2: expected the name of a file, found none"),
        (
            "other,0,1,a\nother,0.5,2,b",
            "line 3: expected intervals that do not overlap, found one that begins at 0.5, ",
        ),
        ("other,0,3,a", "line 2: expected an end within other, 20 frames or 2.000 s, found second 3"),
        ("other,0,0.01,a", "line 2: expected an interval of one frame or more, found less at 10 a second"),
        ("nobody,0,1,a", "file: expected names of recordings, such as 'day/hour', found 'nobody'"),
        ("other,0,1,", "file: expected names of recordings, such as 'day/hour', found lines without labels"),
    ],
)
def test_an_interval_that_is_none_is_told_in_one_line(line, found, recordings, tmp_path):
    path = table(tmp_path, f"file,start,end,label\n{line}\n")
    with pytest.raises(DataError) as error:
        convert(recordings, tmp_path / "clips.h5", labels=str(path))
    assert str(error.value).startswith(f"intervals.csv: {found}") and "\n" not in str(error.value)
    assert not (tmp_path / "clips.h5").exists()


def test_people_and_overlaps(recordings, tmp_path):
    head = "file,start_frame,end_frame,label,person\n"
    ok = IntervalTable(table(tmp_path, f"{head}h,0,9,a,1\nh,5,12,b,2\nh,9,12,c,1\n"))
    assert [(one.start, one.person) for one in ok.of("h.npy")] == [(0, 1), (5, 2), (9, 1)]
    for lines, match in (
        ("h,0,9,a,1\nh,5,12,b,\n", "line 3: expected intervals that do not overlap"),
        ("h,0,9,a,0\n", "line 2: person: expected a number from 1, found 0"),
        ("h,0,9,a,1.5\n", "line 2: person: expected a whole number"),
        ("h,0.5,9,a,1\n", "line 2: start_frame: expected a whole number"),
    ):
        with pytest.raises(DataError, match=match):
            IntervalTable(table(tmp_path, head + lines))
    twice = IntervalTable(table(tmp_path, f"{head}h,0,9,a,1\nx/h,4,6,b,1\n"))
    with pytest.raises(DataError, match="line 3: expected intervals that do not overlap"):
        twice.of("x/h")
    with pytest.raises(DataError, match="file 'h': expected the name of one recording, .* two: h.npy and z/h"):
        ok.of("z/h")
    with pytest.raises(DataError, match="line 2: person: expected one of 1 in other, found 2"):
        convert(recordings, tmp_path / "c.h5", labels=str(table(tmp_path, f"{head}other,0,9,a,2\n")))


def test_seconds_without_a_rate_and_other_tables(recordings, tmp_path):
    path = table(tmp_path, "file,start,end,label\na,0,1,x\n")
    with pytest.raises(DataError, match=r"file 'a': expected frames per second \(--fps\)"):
        IntervalTable(path).in_recording("a", 100)
    with pytest.raises(DataError, match="line 1: expected columns file, start, end"):
        IntervalTable(table(tmp_path, "file,start,label\na,0,x\n"))
    with pytest.raises(DataError, match="line 2: expected a file, its start, end and label, found the end"):
        IntervalTable(table(tmp_path, "file,start,end,label\n"))
    assert has_intervals(path) and not has_intervals(table(tmp_path, "file,label\n", "labels.csv"))
    assert not has_intervals("folders") and not has_intervals("(?P<label>x)") and not has_intervals(None)
    with pytest.raises(FileNotFoundError):
        has_intervals(tmp_path / "none.csv")


def test_frames_are_read_in_parts_and_damage_is_found(recordings, tmp_path):
    with SkeletonStore(recordings) as store:
        whole = store.read(0)
        for start, stop in ((0, 50), (7, 8), (31, 50)):
            np.testing.assert_array_equal(store.read_frames(0, start, stop), whole[:, start:stop])
        for start, stop in ((-1, 3), (3, 3), (0, 51)):
            with pytest.raises(ValueError, match="frames: expected 0 <= start < stop <= 50"):
                store.read_frames(0, start, stop)
        store.check(0)
        store._crc32[1] += 1
        with pytest.raises(DataError, match="sample 'other': expected the keypoints that were written"):
            store.check(1)
    with StoreWriter(tmp_path / "b.h5", layout="coco17", classes=[], channels=("x", "y")) as writer:
        writer.append(Sample("b", np.ones((1, 4, 17, 2))))
    with StoreSet([tmp_path / "b.h5", recordings]) as both:
        np.testing.assert_array_equal(both.read_frames(1, 7, 20), whole[:, 7:20])
        both.check(2)
