"""Tables of joints: what they become, and every fault told by line and column."""

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import DataError, SkeletonStore, convert_csv, get_layout, read_sequence, validate
from skelmae_datasets.readers import csv_table
from skelmae_datasets.readers.report import COUNTED

HEADER = "sample,person,frame,joint,x,y,score,label,subject,split"


def rows(sample="a", frames=(3, 4, 6), person=0, label="wave", subject=1, split="train", joints=range(17), names=False):
    layout = get_layout("coco17")
    end = f"0.5,{label},{subject},{split}"
    return [
        f"{sample},{person},{t},{layout.joints[v] if names else v},{100 + t + v},{50 + v},{end}"
        for t in frames
        for v in joints
    ]


def write(tmp_path, lines, header=HEADER, name="t.csv", encoding="utf-8", end="\n"):
    path = tmp_path / name
    path.write_bytes((end.join([header, *lines]) + end).encode(encoding))
    return path


def convert(path, **options):
    report = convert_csv(path, path.with_suffix(".h5"), **options)
    return report, SkeletonStore(path.with_suffix(".h5"))


def test_a_table_becomes_what_it_says(tmp_path):
    lines = rows("a", names=True) + rows("b", frames=range(2), label="kick", subject=2, split="test;few")
    report, store = convert(write(tmp_path, lines))
    assert report["samples"] == len(store) == 2 and store.classes == ["kick", "wave"]
    assert store.layout.name == "coco17" and store.channels == ("x", "y", "score") and store.units == "pixels"
    assert store.labels.tolist() == [1, 0] and store.subject.tolist() == [1, 2]
    assert {name: members.tolist() for name, members in store.splits.items()} == {"train": [0], "test": [1], "few": [1]}
    keypoints = store.read(0)
    assert keypoints.shape == (1, 4, 17, 3)
    np.testing.assert_array_equal(keypoints[0, 0, 5], [108, 55, 0.5])
    assert not keypoints[0, 2].any(), "frame 5 has no line"
    np.testing.assert_array_equal(keypoints[0, 3, :, 0], 106 + np.arange(17))
    assert [p.key for p in validate(tmp_path / "t.csv")] == [f"1 {COUNTED['gaps']}"] and not report["skipped"]


@pytest.mark.parametrize(("delimiter", "encoding", "end"), [(";", "utf-8", "\n"), ("\t", "utf-8-sig", "\r\n")])
def test_other_delimiters_give_the_same(tmp_path, delimiter, encoding, end):
    one = convert(write(tmp_path, rows()))[1]
    other = [line.replace(",", delimiter) for line in rows()]
    two = convert(write(tmp_path, other, HEADER.replace(",", delimiter), "u.csv", encoding, end))[1]
    assert one.fingerprint == two.fingerprint


def test_names_as_other_programs_write_them(tmp_path):
    one = convert(write(tmp_path, rows(names=True)))[1]
    lines = [
        line.replace(layout, layout.replace("_", " ").title())
        for line in rows(names=True)
        for layout in [line.split(",")[3]]
    ]
    path = write(tmp_path, lines, "Video,person,T,joint,X,Y,Confidence,label,subject,split", "u.csv")
    two = convert(path, columns={"sample": "Video", "frame": "T", "score": "confidence"})[1]
    assert one.fingerprint == two.fingerprint
    with pytest.raises(DataError, match="line 1: expected columns frame .or --columns frame=ITS"):
        convert(path)
    with pytest.raises(DataError, match="expected a column called 'certainty'"):
        convert(path, columns={"sample": "Video", "frame": "T", "score": "certainty"})
    with pytest.raises(DataError, match="columns: expected some of sample, .* found 'clip'"):
        convert(path, columns={"clip": "Video"})


def test_persons_absent_joints_and_columns_that_mean_nothing(tmp_path):
    lines = [f"{line},why" for line in rows(person="left", frames=[0]) + rows(person="right", frames=[0, 1])]
    lines[2] = "a,left,0,2,,,,wave,1,train,why"
    lines[3] = "a,left,0,3,nan,7,1,wave,1,train,why"
    report, store = convert(write(tmp_path, lines, HEADER + ",note"))
    assert report["people"] == {2: 1}
    keypoints = store.read(0)
    assert keypoints[0].any(axis=(1, 2)).all(), "who is seen longer comes first"
    assert not keypoints[1, 0, 2:4].any() and keypoints[1, 0, 4].any() and not keypoints[1, 1].any()
    assert convert(tmp_path / "t.csv", people=1)[1].read(0).shape[0] == 1


def test_own_layout_and_three_dimensions(tmp_path):
    (tmp_path / "own.toml").write_text(
        'name = "stick"\njoints = ["top", "end"]\nedges = [["end", "top"]]\n[parts]\nall = ["top", "end"]\n'
    )
    lines = [f"s,{t},{joint},{t + 1},2,3" for t in range(2) for joint in ("top", "end")]
    path = write(tmp_path, lines, "sample,frame,joint,x,y,z")
    _, store = convert(path, layout=str(tmp_path / "own.toml"))
    assert store.units == "metres" and store.labels.tolist() == [-1] and store.read(0).shape == (1, 2, 2, 3)
    sequence = read_sequence(path, layout=str(tmp_path / "own.toml"))
    np.testing.assert_array_equal(sequence.sample.keypoints, store.read(0))
    with pytest.raises(DataError, match="--layout NAME or FILE.toml for 2 joints|names of a built-in layout"):
        convert(path)


def test_labels_as_numbers_keep_their_order_and_take_names(tmp_path):
    lines = rows("a", label=10) + rows("b", label=9) + rows("c", label=2)
    assert convert(write(tmp_path, lines))[1].classes == ["2", "9", "10"]
    lines = rows("a", label=1) + rows("b", label=0)
    assert convert(write(tmp_path, lines), classes=["zero", "one"])[1].labels.tolist() == [1, 0]
    lines = rows("a", label=1) + rows("b", label="zero")
    report, store = convert(write(tmp_path, lines), classes=["zero", "one"])
    assert store.ids == ["b"] and "label: expected one of 2 classes, found '1'" in str(report["skipped"][0][1])


def test_labels_that_are_names_of_digits_are_these_classes(tmp_path):
    names = ["001", "002", "010"]
    lines = rows("a", label="001") + rows("b", label="010") + rows("c", label="001") + rows("d", label="")
    for options in ({"classes": names}, {"classes": names[::-1]}, {}):
        report, store = convert(write(tmp_path, lines), **options)
        assert [store.classes[k] if k >= 0 else None for k in store.labels] == ["001", "010", "001", None]
        assert not report["skipped"]
    assert [clip.label for _, clip in csv_table.clips(write(tmp_path, lines))] == ["001", "010", "001", -1]
    lines = rows("a", label=1) + rows("b", label=2)
    assert convert(write(tmp_path, lines), classes=["1", "2", "3"])[1].labels.tolist() == [0, 1]


def test_labels_and_joints_that_count_from_1(tmp_path):
    lines = rows("a", label=1) + rows("b", label=2)
    shifted = [",".join([*r.split(",")[:3], str(int(r.split(",")[3]) + 1), *r.split(",")[4:]]) for r in lines]
    one = convert(write(tmp_path, lines), classes=["wave", "kick"])[1]
    report, two = convert(write(tmp_path, shifted, name="u.csv"), classes=["wave", "kick"])
    assert one.fingerprint == two.fingerprint and one.labels.tolist() == [0, 1]
    assert report["notes"] == [
        "17 joints are taken for coco17's (convert --layout coco17 or h36m17)",
        "joints count from 1: 1 is nose, 17 is right_ankle",
        "labels count from 1 to 2: 1 is 'wave', 2 is 'kick'",
        "2 frames between others in which nobody was seen stay empty",
    ]
    assert convert(tmp_path / "u.csv", layout="coco17", classes=["wave", "kick"])[1].fingerprint == one.fingerprint
    with pytest.raises(
        DataError, match="joint: expected --layout, of 18 joints from 0 or of 17 from 1, found numbers up to 17"
    ):
        convert(write(tmp_path, [r for r in shifted if r.split(",")[3] != "5"], name="v.csv"))
    assert "no line has joint 0, nose" in convert(tmp_path / "v.csv", layout="openpose18")[0]["notes"][0]
    report, store = convert(tmp_path / "v.csv", layout="coco17")
    assert "count from 1" in report["notes"][0] and not store.read(0)[..., 4, :].any()


NUMBERS = {
    "floats of pandas": (lambda r: [*r[:2], f"{r[2]}.0", f"{r[3]}.0", *r[4:7], f"{r[7]}.0", f"{r[8]}.0", r[9]], ""),
    "epoch milliseconds": (lambda r: [*r[:2], str(1_700_000_000_000 + 33 * int(r[2])), *r[3:]], "frames are 33 apart"),
    "seconds": (lambda r: [*r[:2], f"{int(r[2]) / 30:.3f}", *r[3:]], "frames are times in seconds, 30 frames"),
    "every fifth": (lambda r: [*r[:2], str(5 * int(r[2])), *r[3:]], "frames are 5 apart"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_as_other_programs_write_them(tmp_path, case):
    change, note = NUMBERS[case]
    frames = (3, 4, 5, 6, 8)
    lines = rows("a", frames, label=0) + rows("b", frames, label=1)
    one = convert(write(tmp_path, lines))[1]
    report, two = convert(
        write(tmp_path, [",".join(change(line.split(","))) for line in lines], name="u.csv"), layout="coco17"
    )
    assert (one.fingerprint == two.fingerprint) == (case != "seconds") and one.frames.tolist() == [6, 6]
    assert all((one.read(index) == two.read(index)).all() for index in range(2))
    assert one.fps is None and two.fps == (30 if case == "seconds" else None)
    *notes, gaps = report["notes"]
    assert gaps.startswith("2 frames between others") and " ".join(notes).startswith(note) and bool(notes) == bool(note)


@pytest.mark.parametrize("absent", ["", "nan", "NaN", "None", "NA", "null", "inf", "1e39", "-1"])
def test_a_joint_that_was_not_seen(tmp_path, absent):
    lines = rows("a")
    lines[3] = f"a,0,3,3,{absent},{absent if absent == '-1' else 7},0.5,wave,1,train"
    lines[4] = "a,0,3,4,8,7,0.01,wave,1,train"
    lines[5] = "a,0,3,5,8,7,,wave,1,train"
    report, store = convert(write(tmp_path, lines))
    assert not store.read(0)[0, 0, 3:6].any() and store.read(0)[0, 0, 6:].all()
    assert report["unseen"] == 3 and "3 joints at -1, not finite or scored 0.01" in " ".join(report["notes"])


def test_encodings_and_decimal_commas(tmp_path):
    lines = [r.replace("wave", "grüße") for r in rows()]
    one = convert(write(tmp_path, lines))[1]
    assert one.classes == ["grüße"]
    for encoding in ("utf-16", "latin-1"):
        report, two = convert(write(tmp_path, lines, name="u.csv", encoding=encoding))
        assert two.fingerprint == one.fingerprint
        assert ("the text is not UTF-8: read as Latin-1" in report["notes"]) == (encoding == "latin-1")
    for delimiter in ";\t":
        other = [r.replace(",", delimiter).replace("0.5", "0,5") for r in lines]
        report, two = convert(write(tmp_path, other, HEADER.replace(",", delimiter), "u.csv"))
        assert two.fingerprint == one.fingerprint and "commas in numbers are decimal points" in report["notes"]
    with pytest.raises(DataError, match="line 2: x: expected a number"):
        convert(write(tmp_path, [r.replace(",103,", ',"103,5",') for r in lines], name="u.csv"), strict=True)


def test_class_names_of_a_file_with_a_byte_order_mark(tmp_path):
    (tmp_path / "names.txt").write_text("wave\r\nkick\r\n", "utf-8-sig")
    path = write(tmp_path, rows("a", label="kick") + rows("b", label="wave"))
    arguments = ["convert-csv", path, tmp_path / "o.h5", "--classes", tmp_path / "names.txt"]
    assert CliRunner().invoke(cli, list(map(str, arguments))).exit_code == 0
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.classes == ["wave", "kick"] and store.labels.tolist() == [1, 0]


def test_scores_beside_z_and_columns_that_are_not_read(tmp_path):
    lines = [f"{r},{v},9" for v, r in enumerate(rows("a", frames=[0]))]
    lines[4] = lines[4].replace(",0.5,", ",0.0,")
    report, store = convert(write(tmp_path, lines, HEADER + ",z,visibility"), layout="coco17")
    assert store.channels == ("x", "y", "z", "score") and not store.read(0)[0, 0, 4].any()
    assert store.read(0)[0, 0, 6].tolist() == [106, 56, 6, 0.5]
    assert report["notes"][0] == "columns that are not read: visibility"
    told = "values up to 116 are stored as metres, which they hardly are: --unit of convert and predict says in what"
    assert f"{told} they are" in report["notes"]
    report, store = convert(write(tmp_path, [r.replace("0.5", "0.0") for r in rows(names=True)], name="u.csv"))
    assert store.channels == ("x", "y") and "no score is above 0.01" in report["notes"][0]


def test_ids_that_change_and_more_than_32_of_them(tmp_path):
    lines = [r for t in range(60) for r in rows("a", frames=[t], person=t)]
    expected = convert(write(tmp_path, rows("a", frames=range(60))))[1]
    report, store = convert(write(tmp_path, lines, name="u.csv"))
    np.testing.assert_array_equal(store.read(0), expected.read(0))
    assert report["joined"] == 59 and "59 tracks that began after another had ended" in " ".join(report["notes"])


def test_names_of_mediapipe(tmp_path):
    own = {"left_mouth": "mouth_left", "right_mouth": "mouth_right"}
    lines = [f"a,0,{own.get(j, j).upper()},{v + 1},1" for v, j in enumerate(get_layout("mediapipe33").joints)]
    _, store = convert(write(tmp_path, lines, "sample,frame,joint,x,y"))
    assert store.layout.name == "mediapipe33" and store.read(0)[0, 0, :, 0].tolist() == list(range(1, 34))
    hand = [j.replace("_", "_FINGER_", 1) if j[0] in "imr" else j for j in get_layout("hand21").joints]
    lines = [f"a,0,{j},{v + 1},1" for v, j in enumerate(hand)]
    assert convert(write(tmp_path, lines, "sample,frame,joint,x,y"))[1].layout.name == "hand21"


HEADER_FAULTS = {
    "x missing": (
        HEADER.replace(",x", ",u"),
        rows(),
        "t.csv: line 1: expected columns x (or --columns x=ITS_NAME; docs/own-data.md has other forms), found sample, ",
    ),
    "column twice": (HEADER + ",x", [r + ",1" for r in rows()], "each column once, found 'x' twice"),
    "columns": (HEADER, [*rows(), "a,0"], "line 53: expected 10 columns, found 2"),
    "quote": (HEADER, [*rows(), '"a,0'], "line 53: expected separated fields"),
    "empty": (HEADER, [], "line 2: expected a joint, found the end"),
    "unknown joints": (HEADER, [r.replace(",3,0,", ",3,nostril,") for r in rows()], "names of a built-in layout"),
}


@pytest.mark.parametrize("case", HEADER_FAULTS)
def test_faults_of_the_file_end_the_conversion(tmp_path, case):
    header, lines, message = HEADER_FAULTS[case]
    with pytest.raises(DataError) as error:
        convert(write(tmp_path, lines, header))
    assert message in str(error.value) and "t.csv" in str(error.value)
    assert not (tmp_path / "t.h5").exists()


SAMPLE_FAULTS = {
    "x": ("a,0,3,5,left,50,.5,wave,1,train", "line 7: x: expected a number (empty: not observed), found 'left'"),
    "frame": ("a,0,3.5,5,1,50,.5,wave,1,train", "line 7: frame: expected a whole number, found '3.5'"),
    "huge frame": ("a,0,999999999,5,1,5,.5,wave,1,train", "frame: expected frames within"),
    "joint": ("a,0,3,17,1,50,.5,wave,1,train", "line 7: joint: expected a joint of coco17 or an index below 17"),
    "twice": ("a,0,3,4,1,50,.5,wave,1,train", "line 7: joint: expected each joint once per frame and person"),
    "label": ("a,0,3,5,1,50,.5,kick,1,train", "line 7: label: expected the same in all lines of 'a', found 'kick'"),
    "subject": ("a,0,3,5,1,50,.5,wave,2,train", "line 7: subject: expected the same"),
}


@pytest.mark.parametrize("case", SAMPLE_FAULTS)
def test_faults_of_a_sample_leave_it_out_or_stop_a_strict_run(tmp_path, case):
    line, message = SAMPLE_FAULTS[case]
    lines = [*rows("a")[:5], line, *rows("a")[6:], *rows("b")]
    path = write(tmp_path, lines)
    report, store = convert(path, layout="coco17")
    assert store.ids == ["b"] and [name for name, _ in report["skipped"]] == ["a"]
    told = report["skipped"][0][1]
    assert message in told and told.startswith("t.csv: ")
    with pytest.raises(DataError):
        convert(path, layout="coco17", strict=True)
    if case not in ("joint", "huge frame"):
        assert [problem.sample for problem in validate(path) if problem.error] == ["a"]


@pytest.mark.parametrize("held", [1 << 20, 1, 60, 120])
@pytest.mark.parametrize("order", ["by frame", "backwards", "shuffled"])
def test_lines_may_stand_in_any_order(tmp_path, monkeypatch, order, held):
    lines = rows("a") + rows("b", label="kick") + rows("c", frames=[0, 1])
    expected = convert(write(tmp_path, lines))[1]
    other = {"by frame": sorted(lines, key=lambda line: int(line.split(",")[2])), "backwards": lines[::-1]}
    other["shuffled"] = np.random.default_rng(0).permutation(lines).tolist()
    other = rows("a")[:1] + rows("b", label="kick")[:1] + rows("c", frames=[0])[:1] + other[order]
    other = list(dict.fromkeys(other))  # the samples first appear in the same order
    monkeypatch.setattr(csv_table, "_HELD", held)
    assert convert(write(tmp_path, other, name="u.csv"))[1].fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\xff\xfe\x00s",
        HEADER.encode() + b"\n\xff\n",
        b"a" * 200_000,
        b"\x00" * 100,
        b"x,y\n1,2\n",
        HEADER.encode() + b"\n" + b"a," * 100_000,
    ],
)
def test_hostile_files_are_told_in_one_line(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    result = CliRunner().invoke(cli, ["convert-csv", str(tmp_path / "t.csv"), str(tmp_path / "out.h5")])
    assert result.exit_code == 1, result.exception
    assert result.output.startswith("Error: t.csv") and result.output.count("\n") == 1
    assert not (tmp_path / "out.h5").exists()


def test_memory_is_bounded_by_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, "MAX_VALUES", 60)
    report, _ = convert(write(tmp_path, rows("a") + rows("b", frames=[0])))
    assert [name for name, _ in report["skipped"]] == ["a"] and "at most 60 values" in report["skipped"][0][1]


def test_random_bytes_never_leave_a_store_or_a_traceback(tmp_path):
    rng = np.random.default_rng(0)
    good = ("\n".join([HEADER, *rows("a", frames=[0, 1]), *rows("b", frames=[0])]) + "\n").encode()
    for _ in range(150):
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        (tmp_path / "t.csv").write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
        try:
            convert_csv(tmp_path / "t.csv", tmp_path / "o.h5")
        except DataError as error:
            assert str(error)
        else:
            with SkeletonStore(tmp_path / "o.h5") as store:
                store.verify()
