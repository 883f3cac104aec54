"""Tables with a line a frame: of whom and which clip a line is, scores, decimal commas, what is not read."""

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert, get_layout, open_recordings

JOINTS = get_layout("coco17").joints
SCORE = 0.5


def table(points, columns=(), pattern="{}_{}", score="", delimiter=",", extra=None):
    """The lines of points (N, V, 2): columns {header: value of each line} first, extra ones last."""
    axes = ["x", "y", *([score] if score else [])]
    columns, extra = dict(columns), extra or {}
    head = [*columns, *(pattern.format(name, axis) for name in JOINTS for axis in axes), *extra]
    lines = [delimiter.join(head)]
    for row, place in enumerate(points.tolist()):
        numbers = [value for x, y in place for value in ((x, y, SCORE) if score else (x, y))]
        lines.append(delimiter.join(map(str, [c[row] for c in columns.values()] + numbers)))
        lines[-1] += "".join(f"{delimiter}{c[row]}" for c in extra.values())
    return lines


def of_two(walkers, who=(0, 1)):
    """(points (12, V, 2), frames, ids): two people in turn in six frames."""
    points = walkers(2, 6).swapaxes(0, 1).reshape(12, 17, 2)
    return points, [t for t in range(6) for _ in range(2)], list(who) * 6


def write(tmp_path, lines, name="t.csv"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def from_left(keypoints):
    """People in the order of where they stand."""
    return keypoints[np.argsort(keypoints[:, 0, 0, 0])]


# === People, clips, frames ===


@pytest.mark.parametrize(
    "column", ["person", "person_id", "track", "track_id", "Track ID", "trackId", "player", "instance", "id"]
)
@pytest.mark.parametrize("who", [(0, 1), ("anna", "bo")])
def test_people_by_any_name_of_their_column(read, tmp_path, walkers, column, who):
    points, frames, ids = of_two(walkers, who)
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "t.csv", tmp_path / "in" / "t.csv"):
        write(path.parent, table(points, {"frame": frames, column: ids}))
    for path in (tmp_path / "t.csv", tmp_path / "in"):
        found, _, report = read(path)
        np.testing.assert_array_equal(from_left(found), walkers(2, 6))
        told = [f"{column.lower()} is read as person"] if column != "person" else []
        assert [note for note in report["notes"] if "is read as" in note] == told


@pytest.mark.parametrize("column", ["sample", "video", "video_id", "video_name", "Clip ID", "clip_id", "sequence"])
def test_clips_by_any_name_of_their_column(read, tmp_path, walkers, column):
    points, frames, ids = of_two(walkers, ("a", "b"))
    _, store, _ = read(write(tmp_path, table(points, {column: ids, "frame": frames})))
    assert store.ids == ["t-a", "t-b"]
    for index in range(2):
        np.testing.assert_array_equal(store.read(index), walkers(2, 6)[index : index + 1])


@pytest.mark.parametrize(
    "column", ["frame", "frame_no", "frame_number", "frame_idx", "frame_id", "Frame No", "frameIdx"]
)
def test_frames_by_any_name_of_their_column(read, tmp_path, walkers, column):
    """In any order, and with a gap."""
    points = walkers(1, 5)[0]
    order = [3, 0, 4, 1]
    found, _, _ = read(write(tmp_path, table(points[order], {column: order})))
    assert found.shape[:2] == (1, 5) and not found[0, 2].any()
    np.testing.assert_array_equal(found[0, [0, 1, 3, 4]], points[[0, 1, 3, 4]])


def test_the_analysis_table_of_sleap(read, tmp_path, walkers):
    points, frames, ids = of_two(walkers, ("track_0", "track_1"))
    columns = {"track": ids, "frame_idx": frames, "instance.score": [0.9] * 12}
    found, store, report = read(write(tmp_path, table(points, columns, "{}.{}", "score")))
    assert store.channels == ("x", "y", "score") and found.shape == (2, 6, 17, 3)
    np.testing.assert_array_equal(from_left(found)[..., :2], walkers(2, 6))
    assert (found[..., 2] == SCORE).all() and "columns that are not read: instance.score" in report["notes"]


def test_people_and_clips_of_one_table(read, tmp_path, walkers):
    points, frames, ids = of_two(walkers)
    columns = {"video_id": ["a"] * 12 + ["b"] * 12, "frame": frames * 2, "track": ids * 2}
    _, store, _ = read(write(tmp_path, table(np.concatenate([points, points + 5]), columns)))
    for index, shift in enumerate((0, 5)):
        np.testing.assert_array_equal(from_left(store.read(index)), walkers(2, 6) + shift)


@pytest.mark.parametrize("column", ["frame", "time"])
def test_a_second_line_of_a_person_in_a_frame_is_refused(tmp_path, walkers, column):
    """Whatever tells the people apart has a name that is not known: nothing is overwritten."""
    points, frames, ids = of_two(walkers)
    path = write(tmp_path, table(points, {column: frames, "performer": ids, "clip": ["a"] * 12}))
    expected = (
        r"t\.csv: line 3: expected each person once in a frame \(name the column that tells people apart person, "
    )
    expected += (
        rf"clips sample, .*\), found a second line of {column} '0', clip 'a'; columns that are not read: performer"
    )
    with pytest.raises(DataError, match=expected) as error:
        convert(path, tmp_path / "o.h5")
    assert "\n" not in str(error.value) and not (tmp_path / "o.h5").exists()
    with pytest.raises(DataError, match="each person once in a frame"), open_recordings(path):
        pass
    write(tmp_path, table(points[::2], {"frame": range(6)}), "in/good.csv")
    path.rename(tmp_path / "in" / "t.csv")
    ((name, why),) = convert(tmp_path / "in", tmp_path / "o.h5")["skipped"]
    assert name == "t" and "each person once in a frame" in why


def test_a_person_twice_in_a_frame_is_refused_where_people_are_named(tmp_path, walkers):
    points, frames, ids = of_two(walkers, ("anna", "anna"))
    path = write(tmp_path, table(points, {"frame": frames, "track": ids}))
    with pytest.raises(DataError, match="line 3: expected each person once .* second line of frame '0', track 'anna'"):
        convert(path, tmp_path / "o.h5")


@pytest.mark.parametrize("times", [{}, {"time": [f"00:00:{t:02d}" for t in range(6) for _ in range(2)]}])
def test_several_people_without_frames_are_refused(tmp_path, walkers, times):
    points, _, ids = of_two(walkers)
    path = write(tmp_path, table(points, times | {"track": ids}))
    with pytest.raises(DataError, match="frame: expected a column frame, or time in numbers, .* found 2 of track"):
        convert(path, tmp_path / "o.h5")


@pytest.mark.parametrize("people", [1, 2])
def test_an_id_that_numbers_lines_tells_nobody_apart(read, tmp_path, walkers, people):
    points, frames, _ = of_two(walkers)
    if people == 1:
        points, frames = points[::2], range(6)
    columns = {"id": range(len(points))} | ({"frame": frames} if people == 2 else {})
    found, _, report = read(write(tmp_path, table(points, columns)))
    np.testing.assert_array_equal(from_left(found), walkers(2, 6)[:people])
    assert "id is another in every line and is not read" in report["notes"]


@pytest.mark.parametrize("frame", ["", "nan", "inf", "first"])
def test_a_frame_that_is_no_number_is_told_with_its_line(tmp_path, walkers, frame):
    path = write(tmp_path, table(walkers(1, 3)[0], {"frame_no": [0, frame, 2]}))
    with pytest.raises(DataError, match=f"line 3: frame.*: expected a number, found '{frame}'"):
        convert(path, tmp_path / "o.h5")


def test_landmarks_of_times_that_are_no_numbers_are_refused(tmp_path):
    """A line a landmark: each would be a frame of its own."""
    lines = [
        "time,landmark,x,y",
        *(f"00:00:0{t},{name},{t + 1},{v}" for t in range(2) for v, name in enumerate(JOINTS)),
    ]
    with pytest.raises(DataError, match="line 2: frame: expected a number, found time has '00:00:00'"):
        convert(write(tmp_path, lines), tmp_path / "o.h5")


# === Columns beside the joints ===


@pytest.mark.parametrize("score", ["score", "likelihood", "confidence", "visibility"])
@pytest.mark.parametrize("pattern", ["{}_{}", "{}.{}"])
def test_scores_by_any_name(read, tmp_path, walkers, score, pattern):
    found, store, report = read(write(tmp_path, table(walkers(1, 5)[0], {"frame": range(5)}, pattern, score)))
    assert store.channels == ("x", "y", "score") and (found[..., 2] == SCORE).all()
    np.testing.assert_array_equal(found[..., :2], walkers(1, 5))
    assert not any("not read" in note for note in report["notes"])


@pytest.mark.parametrize("form", ["wide", "landmarks", "joints"])
def test_columns_that_are_not_read_are_told_alike(read, tmp_path, walkers, form):
    """On every path and once, in each form of a table."""
    points = walkers(1, 5)[0]
    if form == "wide":
        lines = table(points, {"frame": range(5)}, extra={"Mood": ["good"] * 5, "Weather": [7] * 5})
    else:
        first, joint = ("", "landmark") if form == "landmarks" else ("a,", "joint")
        lines = [("sample," if first else "") + f"frame,{joint},x,y,Mood,Weather"]
        places = [(t, v, *xy) for t, frame in enumerate(points.tolist()) for v, xy in enumerate(frame)]
        lines += [f"{first}{t},{JOINTS[v]},{x},{y},good,7" for t, v, x, y in places]
    (tmp_path / "in").mkdir()
    for name in ("t.csv", "in/one.csv", "in/two.csv"):
        write(tmp_path, lines, name)
    for path in (tmp_path / "t.csv", tmp_path / "in"):
        found, store, report = read(path)
        np.testing.assert_array_equal(found[0], points)
        told = [note for note in report["notes"] if "not read" in note]
        assert told == ["columns that are not read: mood, weather"] == [n for n in store.notes if "not read" in n]


@pytest.mark.parametrize("form", ["wide", "landmarks"])
def test_what_all_lines_of_a_clip_say_of_it_is_read(read, tmp_path, walkers, form):
    """Class, subject and splits, as in a table of joints; what changes within a clip, or is no such thing, is told."""
    points = np.concatenate([walkers(1, 5)[0], walkers(1, 5)[0]])
    columns = {"clip": ["a"] * 5 + ["b"] * 5, "frame": [*range(5), *range(5)]}
    said = {"Label": ["wave"] * 5 + ["kick"] * 5, "subject": ["anna"] * 5 + ["bo"] * 5, "split": ["train;few"] * 10}
    said |= {"camera": [1] * 5 + [1, 2, 1, 2, 1], "setup": ["left"] * 10}
    if form == "wide":
        lines = table(points, columns, extra=said)
    else:
        lines = [",".join([*columns, "landmark", "x", "y", *said])]
        for row, frame in enumerate(points.tolist()):
            before, after = ([str(values[row]) for values in each.values()] for each in (columns, said))
            lines += [",".join([*before, JOINTS[v], str(x), str(y), *after]) for v, (x, y) in enumerate(frame)]
    for path in (write(tmp_path, lines), write(tmp_path, lines, "in/t.csv").parent):
        _, store, report = read(path)
        assert [store.classes[label] for label in store.labels] == ["wave", "kick"]
        assert [store.subject_name(number) for number in store.subject] == ["anna", "bo"]
        assert store.splits.keys() == {"train", "few"} and store.camera.tolist() == [1, -1]
        told = sorted(note.partition(" is not read")[0] for note in report["notes"] if "not read" in note)
        assert told == ["camera", "setup"]


def test_a_joint_without_y_and_a_second_score_are_told(read, tmp_path, walkers):
    extra = {"tail_x": [1] * 5, "nose_likelihood": [0.9] * 5}
    lines = table(walkers(1, 5)[0], {"frame": range(5)}, score="score", extra=extra)
    found, _, report = read(write(tmp_path, lines))
    assert (found[..., 2] == SCORE).all() and "columns that are not read: tail_x, nose_likelihood" in report["notes"]


# === Decimal commas ===


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas_are_read_as_of_the_other_form(tmp_path, walkers, delimiter):
    points, times = walkers(1, 6)[0] + 0.25, [round(t / 25, 3) for t in range(6)]
    plain = table(points, {"time": times}, score="score", extra={"ear": ["-"] * 6})
    commas = [line.replace(".", ",") for line in table(points, {"time": times}, score="score", delimiter=delimiter)]
    long = [delimiter.join(["sample", "frame", "joint", "x", "y", "score"])]
    for t, frame in zip(times, points.tolist(), strict=True):
        rows = ([f"{value}".replace(".", ",") for value in (*xy, SCORE)] for xy in frame)
        long += [delimiter.join(["a", f"{t}".replace(".", ","), JOINTS[v], *row]) for v, row in enumerate(rows)]
    found = {}
    for name, lines in {"plain": plain, "commas": commas, "long": long}.items():
        report = convert(write(tmp_path, lines, f"{name}.csv"), tmp_path / f"{name}.h5")
        assert ("commas in numbers are decimal points" in report["notes"]) == (name != "plain")
        with SkeletonStore(tmp_path / f"{name}.h5") as store:
            assert store.fps == 25
            found[name] = store.read(0)
    np.testing.assert_array_equal(found["plain"][0, ..., :2], points)
    for name in ("commas", "long"):
        np.testing.assert_array_equal(found[name], found["plain"])


def test_a_comma_is_no_decimal_point_where_it_separates(tmp_path, walkers):
    lines = table(walkers(1, 2)[0], {"frame": range(2)})
    lines[1] = lines[1].replace("100.0,", '"100,5",', 1)
    with pytest.raises(DataError, match="line 2: nose_x: expected a number, found '100,5'"):
        convert(write(tmp_path, lines), tmp_path / "o.h5")


# === Names are the same in the other form ===


def test_the_other_form_takes_the_same_names(read, tmp_path, walkers):
    points = walkers(2, 6)
    rows = [(t, m, v) for t in range(6) for m in range(2) for v in range(17)]
    lines = [f"a,{t},{m},{JOINTS[v]},{points[m, t, v, 0]},{points[m, t, v, 1]}" for t, m, v in rows]
    found, _, report = read(write(tmp_path, ["video_id,Frame Idx,Track,joint,x,y", *lines]))
    np.testing.assert_array_equal(from_left(found), points)
    assert {"video_id is read as sample", "frame idx is read as frame", "track is read as person"} <= {*report["notes"]}
