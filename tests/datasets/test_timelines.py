"""Timelines in files: every form says the same, and what is read is what was written."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from skelmae_datasets import DataError
from skelmae_datasets.readers.intervals import IntervalTable
from skelmae_datasets.timelines import NOBODY, UNKNOWN, Segment, Timeline, clock, read_timelines, write_timelines


def lines(fps=25.0):
    first = [Segment(0, 50, None, None, UNKNOWN), Segment(50, 110, "wave & <go>", 0.875)]
    second = [Segment(0, 30, "kick, high", 0.5), Segment(30, 110, None, None, NOBODY)]
    made = {"frames": 110, "fps": fps, "input": "hour.json", "settings": {"window": 8, "stride": 2}}
    return [Timeline("hour", segments=parts, person=n, **made) for n, parts in ((1, first), (2, second))]


@pytest.mark.parametrize("fps", [25.0, None])
def test_json_comes_back(fps, tmp_path):
    write_timelines(tmp_path / "t.json", lines(fps))
    found = read_timelines(tmp_path / "t.json")
    for one, other in zip(found, lines(fps), strict=True):
        assert (one.recording, one.person, one.frames, one.fps) == (other.recording, other.person, 110, fps)
        assert one.segments == other.segments
    entry = json.loads((tmp_path / "t.json").read_text())["timelines"][0]
    assert entry["window"] == 8 and entry["segments"][1]["start"] == (fps and 2.0)
    if fps is None:
        assert read_timelines(tmp_path / "t.json", fps=50)[0].fps == 50
    else:
        with pytest.raises(DataError, match="hour: fps: expected 25 frames per second .*, found 50"):
            read_timelines(tmp_path / "t.json", fps=50)


def test_a_csv_is_a_table_of_intervals(tmp_path):
    write_timelines(tmp_path / "t.csv", lines())
    text = (tmp_path / "t.csv").read_text().splitlines()
    assert text[0] == "file,person,start_frame,end_frame,start,end,label,probability,reason"
    assert text[2] == "hour,1,50,110,2.0,4.4,wave & <go>,0.8750,"
    assert text[4] == f"hour,2,30,110,1.2,4.4,,,{NOBODY}"
    found = read_timelines(tmp_path / "t.csv")
    assert [[(s.start, s.end, s.label) for s in line.segments] for line in found] == [
        [(s.start, s.end, s.label) for s in line.segments] for line in lines()
    ]
    assert [line.person for line in found] == [1, 2] and found[0].frames == 110
    labelled = [one for one in IntervalTable(tmp_path / "t.csv").in_recording("hour", 110) if one.label is not None]
    assert [(one.person, one.label) for one in labelled] == [(2, "kick, high"), (1, "wave & <go>")]


def test_subtitles(tmp_path):
    write_timelines(tmp_path / "t.vtt", lines())
    assert (tmp_path / "t.vtt").read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nperson 2: kick, high\n\n"
        "00:00:02.000 --> 00:00:04.400\nperson 1: wave &amp; &lt;go&gt;\n"
    )
    write_timelines(tmp_path / "t.vtt", lines()[1:])
    assert (tmp_path / "t.vtt").read_text().splitlines()[-1] == "kick, high"


def test_elan(tmp_path):
    write_timelines(tmp_path / "t.eaf", lines())
    root = ElementTree.parse(tmp_path / "t.eaf").getroot()
    assert root.tag == "ANNOTATION_DOCUMENT" and root.find("HEADER").get("TIME_UNITS") == "milliseconds"
    assert [child.tag for child in root] == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE"]
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values()) == [0, 1200, 2000, 4400]
    found = {}
    for tier in root.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") == root.find("LINGUISTIC_TYPE").get("LINGUISTIC_TYPE_ID")
        for note in tier.iter("ALIGNABLE_ANNOTATION"):
            times = [slots[note.get(f"TIME_SLOT_REF{n}")] for n in (1, 2)]
            found[tier.get("TIER_ID")] = (*times, note.find("ANNOTATION_VALUE").text)
    assert found == {"person 1": (2000, 4400, "wave & <go>"), "person 2": (0, 1200, "kick, high")}


def test_what_cannot_be_written_is_told(tmp_path):
    other = lines()[0]
    other.recording = "second"
    for name, given, match in (
        ("t.srt", lines(), r"t.srt: suffix: expected .json, .csv, .vtt, .eaf, found .srt"),
        ("t.vtt", [*lines(), other], "expected one recording in .vtt; .json and .csv take several, found 2"),
        ("t.eaf", lines(None), r"expected frames per second \(--fps\), as its times are seconds, found none"),
    ):
        with pytest.raises(DataError, match=match):
            write_timelines(tmp_path / name, given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"kind": "timelines"},
        {"kind": "timelines", "timelines": [{}]},
        {"kind": "timelines", "timelines": [{"segments": [{"start_frame": 3, "end_frame": 3, "label": "a"}]}]},
    ],
)
def test_a_json_without_timelines_is_named(content, tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="skelmae predict --output`") as error:
        read_timelines(tmp_path / "t.json")
    assert str(error.value).startswith(str(tmp_path / "t.json")) and "\n" not in str(error.value)


def damaged(*, segment=(), **changes):
    """A .json of a timeline as it is written, something of it or of its first segment changed."""
    first = {"start_frame": 0, "end_frame": 50, "label": "wave", "probability": 0.9} | dict(segment)
    own = {"input": "hour.json", "sample": "hour", "person": 1, "frames": 110, "fps": 25.0}
    return json.dumps({"kind": "timelines", "timelines": [own | {"segments": [first]} | changes]})


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"segment": {"end_frame": 111}}, "found a segment from 0 to 111 of 110 frames"),
        ({"segment": {"start_frame": -9, "end_frame": -1}}, "found a segment from -9 to -1 of 110 frames"),
        ({"segment": {"start_frame": 0.5}}, "found a segment from 0.5 to 50 of 110 frames"),
        ({"segment": {"label": 3}}, "found a label 3"),
        ({"segment": {"probability": "high"}}, "found '<=' not supported"),
        ({"segment": {"probability": float("nan")}}, "found a probability of nan"),
        ({"frames": float("inf")}, "found frames inf"),
        ({"frames": 0}, "found frames 0"),
        ({"person": 0}, "found person 0"),
        ({"sample": None}, "found sample None"),
        ({"fps": 0}, "fps: expected more than 0 and at most .*, found 0"),
        ({"fps": float("nan")}, "fps: expected more than 0 and at most .*, found nan"),
        ({"fps": "x"}, "fps: expected more than 0 and at most .*, found 'x'"),
    ],
)
def test_a_timeline_that_cannot_be_is_told(changes, found, tmp_path):
    (tmp_path / "t.json").write_text(damaged())
    assert read_timelines(tmp_path / "t.json")[0].segments == [Segment(0, 50, "wave", 0.9)]
    (tmp_path / "t.json").write_text(damaged(**changes))
    with pytest.raises(DataError, match=f"t.json: .*{found}"):
        read_timelines(tmp_path / "t.json")


def test_no_timelines_and_one_twice_are_told(tmp_path):
    path = tmp_path / "t.json"
    for told, match in (
        ([], "t.json: timelines: expected one or more, found none"),
        ([*lines(), lines()[0]], "expected recordings of different names, found 'hour' of hour.json and of hour.json"),
        ([lines()[0], lines(50.0)[1]], r"of all people of 'hour', found \(110, 25.0\) and \(110, 50.0\)"),
    ):
        entries = [line.to_dict() for line in told]
        path.write_text(json.dumps({"kind": "timelines", "timelines": entries}))
        with pytest.raises(DataError, match=match):
            read_timelines(path)


def test_recordings_of_one_name_are_not_written_as_one(tmp_path):
    other = lines()
    for line in other:
        line.input = "tuesday/hour.json"
    for suffix, match in (
        ("json", "expected recordings of different names, found 'hour' of hour.json and of tuesday/hour.json"),
        ("csv", "expected recordings of different names"),
        ("vtt", "expected one recording in .vtt"),
        ("eaf", "expected one recording in .eaf"),
    ):
        with pytest.raises(DataError, match=match):
            write_timelines(tmp_path / f"t.{suffix}", [*lines(), *other])
    assert not list(tmp_path.iterdir())


def test_a_table_is_as_long_as_the_last_interval_of_anybody(tmp_path):
    (tmp_path / "t.csv").write_text("file,start_frame,end_frame,label,person\nr,0,20,wave,1\nr,0,60,squat,2\n")
    assert [line.frames for line in read_timelines(tmp_path / "t.csv")] == [60, 60]


def test_times():
    assert [clock(seconds) for seconds in (0, 59.9996, 3661.25)] == ["00:00:00.000", "00:01:00.000", "01:01:01.250"]
