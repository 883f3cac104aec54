"""Rates and times in JSON and tables: the store's frames per second, and an even rate where times are not."""

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert

FRAMES = 30


def moving(times):
    """(F, 33, 2) of a body that moves steadily, at seconds (F,): what it is at any time is known."""
    still = np.random.default_rng(0).uniform(100, 300, (33, 2))
    return still + 40 * np.asarray(times)[:, None, None]


def frames_of(times, **more):
    points = moving(times)
    rows = [[{"x": x, "y": y, "z": 0.0, "visibility": 0.5} for x, y in frame.tolist()] for frame in points]
    return [{"landmarks": [row]} | {key: values[i] for key, values in more.items()} for i, row in enumerate(rows)]


EVEN = np.arange(FRAMES) / 25


@pytest.mark.parametrize(
    "content",
    [
        {"fps": 25, "frames": frames_of(EVEN)},
        {"metadata": {"frame_rate": 25.0}, "frames": frames_of(EVEN)},
        frames_of(EVEN, fps=[25] * FRAMES),
        frames_of(EVEN, timestamp_ms=[40 * i + 7 for i in range(FRAMES)]),
        frames_of(EVEN, timestamp=list(1.7e9 + EVEN)),
        frames_of(EVEN, time=(1000 * EVEN).tolist()),
        frames_of(EVEN, timestamp=(1e6 * EVEN).tolist()),
        frames_of(EVEN, timestamp=[int(1e9 * time) for time in EVEN]),
    ],
    ids=["fps", "metadata", "each frame", "ms", "seconds", "milliseconds", "microseconds", "nanoseconds"],
)
def test_a_rate_or_even_times_are_the_stores_rate(read, write_json, tmp_path, content):
    path = write_json("a.json", content)
    found, store, report = read(path)
    assert store.fps == 25 and found.shape[1] == FRAMES and not any("apart" in note for note in report["notes"])
    np.testing.assert_allclose(found[0, ..., :2], moving(EVEN), rtol=1e-5)
    report = convert(path, tmp_path / "o.h5", fps=50)
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.fps == 50 and store.frames.tolist() == [2 * FRAMES - 1]
    assert "1 sequences are resampled from 25 to 50 frames a second" in report["notes"]
    assert read(path, source_fps=10)[1].fps == 10


def test_times_beside_frame_numbers_keep_gaps(read, write_json):
    there = [number for number in range(FRAMES) if number % 7 != 3]
    times = EVEN[there]
    content = frames_of(times, frame=there, timestamp_ms=(1000 * times).round().tolist())
    found, store, report = read(write_json("a.json", content))
    assert store.fps == 25 and not any("apart" in note for note in report["notes"])
    assert found[0].any(axis=(1, 2)).nonzero()[0].tolist() == there


def test_uneven_times_are_resampled_and_pauses_stay_empty(read, write_json):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.choice([0.03, 0.04, 0.055], 80))
    times[40:] += 1  # nobody was recorded for a second
    path = write_json("a.json", frames_of(times - times[0], timestamp_ms=(1000 * times).round().tolist()))
    found, store, report = read(path)
    assert store.fps == 25 and sum("resampled by their times" in note for note in report["notes"]) == 1
    at = np.arange(found.shape[1]) / 25
    seen = found[0].any(axis=(1, 2))
    np.testing.assert_allclose(found[0, seen, :, :2], moving(at)[seen], atol=0.1)  # where the body is at that time
    pause = (at > times[39] - times[0] + 0.02) & (at < times[40] - times[0] - 0.02)
    assert (seen == ~pause).all() and pause.sum() > 20
    found, store, report = read(path, source_fps=30)
    assert store.fps == 30 and found.shape[1] == 80 and not any("resampled" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"timestamp": list(range(FRAMES))}, "timestamp grows by 1 from frame to frame, of no sure unit"),
        ({"time": [5.0] * FRAMES}, "time does not rise from frame to frame and is not used"),
        ({"timestamp": ["2024-01-01"] * FRAMES}, ""),
    ],
)
def test_times_in_doubt_are_not_used(read, write_json, more, told):
    found, store, report = read(write_json("a.json", frames_of(EVEN, **more)))
    assert store.fps is None and found.shape[1] == FRAMES
    assert sum("not used" in note for note in report["notes"]) == bool(told) and told in " ".join(report["notes"])


def test_what_contradicts_is_told_and_what_is_no_rate_refused(read, write_json, tmp_path):
    content = {"fps": 30, "frames": frames_of(EVEN, timestamp_ms=(1000 * EVEN).tolist())}
    _, store, report = read(write_json("a.json", content))
    assert store.fps == 25 and "its times say 25 frames a second, its rate 30: the times are taken" in report["notes"]
    for rate, found in ((-3, "-3"), ("many", "'many'"), (True, "True")):
        path = write_json("b.json", {"fps": rate, "frames": frames_of(EVEN)})
        with pytest.raises(DataError, match=f"b.json: fps: expected .*frames .* found {found}"):
            convert(path, tmp_path / "o.h5", strict=True)


def test_a_file_a_frame_other_forms_and_tables(write_json, tmp_path):
    for number, time in enumerate(EVEN):
        people = {"people": [{"pose_keypoints_2d": [1.0 + number, 2.0, 0.9] * 25}], "timestamp": time}
        path = write_json(f"op/{number:03}_keypoints.json", people)
    instances = [{"keypoints": [[1.0 + i, 2.0]] * 17, "keypoint_scores": [0.9] * 17} for i in range(FRAMES)]
    info = [{"frame_id": i + 1, "timestamp": EVEN[i], "instances": [each]} for i, each in enumerate(instances)]
    lines = [f"a,{time:.2f},{joint},1,{2 + time}" for time in EVEN for joint in range(17)]
    (tmp_path / "t.csv").write_text("\n".join(["sample,frame,joint,x,y", *lines]))
    for given in (path.parent, write_json("m.json", {"instance_info": info}), tmp_path / "t.csv"):
        convert(given, tmp_path / "o.h5")
        with SkeletonStore(tmp_path / "o.h5") as store:
            assert store.fps == 25 and store.frames.tolist() == [FRAMES]
