"""Tables of joints with names, in space: a line a frame or a line a joint, in a folder or alone, are read alike."""

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonStore, convert, get_layout

JOINTS = get_layout("kinect20").joints
CAMEL = ["".join(part.title() for part in name.split("_")) for name in JOINTS]
FRAMES = 20


def body(frames=FRAMES, seed=0):
    """(T, 20, 3) metres, y up: somebody of 1.7 m who stands two metres away and moves the joints a little."""
    height = {"head": 1.7, "shoulder": 1.4, "elbow": 1.15, "wrist": 0.95, "hand": 0.9, "spine": 1.1, "hip": 0.95,
        "knee": 0.5, "ankle": 0.1, "foot": 0.03}  # fmt: skip
    across = [0.2 * (("left" in name) - ("right" in name)) for name in JOINTS]
    up = [next(value for part, value in height.items() if part in name) for name in JOINTS]
    places = np.stack([across, up, np.full(20, 2.0)], -1)
    moved = np.random.default_rng(seed).uniform(-0.02, 0.02, (frames, 20, 3))
    return (places + moved).round(4)


def wide(places, names=CAMEL, pattern="{}_{}", axes="XYZ", times=None):
    head = [pattern.format(name, axis) for name in names for axis in axes]
    lines = [[f"{value:.6g}" for value in frame[:, : len(axes)].ravel()] for frame in places]
    if times is not None:
        head, lines = ["Time", *head], [[f"{t:.4f}", *line] for t, line in zip(times, lines, strict=True)]
    return "\n".join(map(",".join, [head, *lines])) + "\n"


def long(places, first="sample", name="one", times=None):
    rows = [
        f"{name},{t if times is None else times[t]},{joint},{x},{y},{z}"
        for t, frame in enumerate(places)
        for joint, (x, y, z) in zip(JOINTS, frame.tolist(), strict=True)
    ]
    return "\n".join([f"{first},frame,joint,x,y,z", *rows]) + "\n"


SPELLINGS = {
    "LeftShoulder_X": lambda p: wide(p),
    "leftShoulderX": lambda p: wide(p, [name[0].lower() + name[1:] for name in CAMEL], "{}{}"),
    "Left Shoulder X": lambda p: wide(p, [name.replace("_", " ").title() for name in JOINTS], "{} {}"),
    "LEFT_SHOULDER.x": lambda p: wide(p, [name.upper() for name in JOINTS], "{}.{}", "xyz"),
    "LeftShoulder (X)": lambda p: wide(p, CAMEL, "{} ({})"),
    "another order": lambda p: wide(p[:, ::-1], CAMEL[::-1]),
    "numbers": lambda p: wide(p, range(20), "joint_{}_{}", "xyz"),
    "long": lambda p: long(p),
    "long, a trial": lambda p: long(p, "Trial"),
    "long, a video": lambda p: long(p, "video"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_content_is_read_alike_on_every_path(read, tmp_path, spelling):
    """Alone and among others in a folder, whoever wrote it."""
    places = body()
    alone, folder = tmp_path / "one.csv", tmp_path / "folder"
    folder.mkdir()
    for path in (alone, folder / "one.csv", folder / "two.csv"):
        path.write_text(SPELLINGS[spelling](places))
    for path in (alone, folder):
        found, store, report = read(path, layout="kinect20")
        assert store.channels == ("x", "y", "z") and store.layout.name == "kinect20" and store.units == "metres"
        np.testing.assert_allclose(found[0], places, atol=1e-6)
        assert not any("depth" in note for note in report["notes"])
    assert convert(folder, tmp_path / "xyz.h5", channels="x,y,z", layout="kinect20")["samples"] == 2


def test_long_tables_of_a_folder_keep_labels_and_what_is_bad_in_one(tmp_path):
    """Two samples a file, one with a bad line: the other is read, with its class and subject."""
    (tmp_path / "in").mkdir()
    lines = long(body(), name="a").splitlines() + long(body(seed=1), name="b").splitlines()[1:]
    lines = [lines[0] + ",label,subject", *(line + (",wave,3" if line[0] == "a" else ",kick,4") for line in lines[1:])]
    lines[-1] = lines[-1].replace("right_foot,", "right_foot,far")
    (tmp_path / "in" / "t.csv").write_text("\n".join(lines))
    report = convert(tmp_path / "in", tmp_path / "o.h5")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.ids == ["t-a"] and store.classes == ["wave"] and store.sample(0).subject == 3
    ((name, why),) = report["skipped"]
    assert name == "t-b" and "x: expected a number" in why and "far" in why


@pytest.mark.parametrize("header", ["a,b,c", "frame,joint,v", "LeftShoulder_X,LeftShoulder_Z"])
def test_a_table_of_no_known_form_among_others_is_left_out(tmp_path, header):
    for name, text in (("a", wide(body())), ("b", header + "\n" + "1," * header.count(",") + "1\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    ((name, why),) = convert(tmp_path, tmp_path / "o.h5")["skipped"]
    assert name == "b" and "expected columns left_hip_x" in why and "\n" not in why


def test_a_joint_without_depth_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(wide(body()).replace("Spine_Z", "Spine_W", 1))
    with pytest.raises(DataError, match="a z of all joints or of none, found none of Spine"):
        convert(tmp_path / "a.csv", tmp_path / "o.h5")


def test_names_of_no_layout_are_told_with_the_way(tmp_path):
    (tmp_path / "a.csv").write_text(wide(body()).replace("HipCenter", "Pelvis"))
    with pytest.raises(DataError, match="--to kinect20 by what they mean"):
        convert(tmp_path / "a.csv", tmp_path / "o.h5")
    convert(tmp_path / "a.csv", tmp_path / "o.h5", to="kinect20")
    with SkeletonStore(tmp_path / "o.h5") as store:
        np.testing.assert_allclose(store.read(0)[0, :, 1:], body()[:, 1:], atol=1e-6)


def test_mediapipes_joints_in_doubt_are_refused(tmp_path):
    """Pixels with a depth of no scale, or millimetres: only the user knows."""
    joints = get_layout("mediapipe33").joints
    places = np.random.default_rng(0).uniform(100, 900, (33, 3)) + np.arange(5.0)[:, None, None]
    (tmp_path / "m.csv").write_text(wide(places, joints))
    with pytest.raises(DataError, match="--channels x,y,z"):
        convert(tmp_path / "m.csv", tmp_path / "o.h5")
    for channels in ("x,y", "x,y,z"):
        convert(tmp_path / "m.csv", tmp_path / "o.h5", channels=channels, unit="m" if "z" in channels else None)
        with SkeletonStore(tmp_path / "o.h5") as store:
            np.testing.assert_allclose(store.read(0)[0], places[..., : channels.count(",") + 1], rtol=1e-5)


# === Times ===


@pytest.mark.parametrize("form", ["wide", "long"])
def test_a_pause_in_the_times_has_nobody(read, tmp_path, form):
    times = np.arange(FRAMES) / 30
    times[10:] += 1
    text = wide(body(), times=times) if form == "wide" else long(body(), times=times.round(4).tolist())
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "one.csv", tmp_path / "in" / "one.csv"):
        path.write_text(text)
    for path in (tmp_path / "one.csv", tmp_path / "in"):
        found, store, _ = read(path)
        assert store.fps == 30 and found.shape[1] == FRAMES + 30
        assert found[0].any(axis=(1, 2)).tolist() == [True] * 10 + [False] * 30 + [True] * 10


@pytest.mark.parametrize("form", ["wide", "long"])
@pytest.mark.parametrize("seed", range(4))
def test_times_that_jitter_a_little_are_even(read, tmp_path, form, seed):
    times = np.arange(FRAMES) / 30 + np.random.default_rng(seed).uniform(-0.004, 0.004, FRAMES)
    text = wide(body(), times=times) if form == "wide" else long(body(), times=times.round(4).tolist())
    (tmp_path / "a.csv").write_text(text)
    found, store, _ = read(tmp_path / "a.csv")
    assert store.fps == 30
    np.testing.assert_allclose(found[0], body(), atol=1e-6)


def test_uneven_times_of_a_long_table_are_resampled(read, tmp_path):
    steps = np.random.default_rng(0).choice([0.03, 0.04, 0.055], FRAMES)
    times = (np.cumsum(steps) - steps[0]).round(4)
    (tmp_path / "a.csv").write_text(long(body(), times=times.tolist()))
    found, store, report = read(tmp_path / "a.csv")
    assert sum("resampled by their times" in note for note in report["notes"]) == 1
    at = np.arange(found.shape[1]) / store.fps
    expected = np.stack([np.interp(at, times, body()[:, 3, axis]) for axis in range(3)], -1)
    np.testing.assert_allclose(found[0, :, 3], expected, atol=1e-5)


def test_one_frame_leaves_the_rate_of_the_others(tmp_path):
    for name, frames in (("a", FRAMES), ("b", 1)):
        (tmp_path / f"{name}.csv").write_text(wide(body(frames), times=np.arange(frames) / 30))
    report = convert(tmp_path, tmp_path / "o.h5")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.fps == 30 and not any("no one frame rate" in note for note in report["notes"])


def test_times_that_are_no_numbers_are_told(read, tmp_path):
    text = wide(body(), times=np.arange(FRAMES) / 30).replace("0.0333,", "00:00:01,", 1)
    (tmp_path / "a.csv").write_text(text)
    found, store, report = read(tmp_path / "a.csv")
    assert store.fps is None and found.shape[1] == FRAMES
    assert any("are not used: time has '00:00:01'" in note for note in report["notes"])


# === Units, up, joints that are missing ===

IN = {"m": 1, "cm": 100, "mm": 1000}


@pytest.mark.parametrize("unit", IN)
@pytest.mark.parametrize("form", ["wide", "long", "array"])
def test_the_unit_is_found_by_the_body_on_every_path(read, tmp_path, unit, form):
    places = body() * IN[unit]
    (tmp_path / "in").mkdir()
    name = "a.npy" if form == "array" else "a.csv"
    for path in (tmp_path / name, tmp_path / "in" / name):
        if form == "array":
            np.save(path, places)
        else:
            path.write_text({"wide": wide, "long": long}[form](places))
    for path in (tmp_path / name, tmp_path / "in"):
        options = {"channels": "x,y,z"} if form == "array" else {}
        found, _, report = read(path, layout="kinect20", **options)
        np.testing.assert_allclose(found[0], body(), atol=2e-3 if form == "wide" else 1e-5)
        assert sum(f"people in {unit}: they are stored in metres" in note for note in report["notes"]) == (unit != "m")


@pytest.mark.parametrize("form", ["wide", "long", "both"])
def test_the_unit_that_is_said_goes_before(read, tmp_path, form):
    """A crouching body of 0.4 m in centimetres tells no unit: the option does, of several inputs too."""
    places = body() * [1, 0.2, 1]
    paths = [tmp_path / f"{name}.csv" for name in ("wide", "long") if form in (name, "both")]
    for path in paths:
        path.write_text({"wide": wide, "long": long}[path.stem](places * 100))
    found, store, report = read(paths if form == "both" else paths[0], unit="cm")
    for index in range(len(store)):
        np.testing.assert_allclose(store.read(index)[0], places, atol=2e-5)
    assert len(store) == len(paths) and not any("people in" in note for note in report["notes"])
    _, _, report = read(paths[0])
    assert any("hardly are: --unit of convert and predict says" in note for note in report["notes"])


def test_recordings_wait_for_one_that_tells_the_unit_and_another_unit_is_left_out(tmp_path):
    bodies = {"a": body() * [1, 0.2, 1] * 1000, "b": body() * 1000, "c": body(), "d": body(seed=1) * [1, 0.2, 1] * 1000}
    for name, places in bodies.items():
        (tmp_path / f"{name}.csv").write_text(wide(places))
    report = convert(tmp_path, tmp_path / "o.h5")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.ids == ["a", "b", "d"]
        np.testing.assert_allclose(store.read(0)[0], bodies["a"] / 1000, atol=2e-3)
    ((name, why),) = report["skipped"]
    assert name == "c" and "a body measured in mm as before, or --unit, found one of m" in why


def test_a_store_is_put_into_metres_by_the_option_alone(tmp_path):
    (tmp_path / "a.csv").write_text(wide(body()))
    convert(tmp_path / "a.csv", tmp_path / "m.h5")
    convert(tmp_path / "m.h5", tmp_path / "o.h5", unit="cm")
    with SkeletonStore(tmp_path / "o.h5") as store:
        np.testing.assert_allclose(store.read(0)[0], body() / 100, atol=1e-6)


def test_a_unit_of_pictures_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(wide(body() * 100, axes="XY"))
    with pytest.raises(DataError, match="unit: expected recordings of x, y, z, found x,y"):
        convert(tmp_path / "a.csv", tmp_path / "o.h5", unit="mm")


@pytest.mark.parametrize(("up", "then"), [("z", "z"), ("-y", "-y"), ("y", None)])
def test_turning_that_does_not_set_bodies_upright_is_told(tmp_path, up, then):
    (tmp_path / "a.csv").write_text(wide(body()))
    for inputs in (tmp_path / "a.csv", [tmp_path / "a.csv", tmp_path / "a.csv"]):
        if isinstance(inputs, list):
            (tmp_path / "b.csv").write_text(long(body()))
            inputs = [tmp_path / "a.csv", tmp_path / "b.csv"]
        notes = [note for note in convert(inputs, tmp_path / "o.h5", up=up)["notes"] if "stand along" in note]
        assert bool(notes) == bool(then) and all(f"not along y, after --up={up} turned them" in note for note in notes)


def test_joints_that_whole_sequences_do_not_show_are_told_once(tmp_path):
    """A column that is not there, and one that is empty: in two of three sequences."""
    gone = body()
    gone[:, 7] = np.nan
    (tmp_path / "a.csv").write_text(wide(body()))
    (tmp_path / "b.csv").write_text(wide(gone).replace("nan", ""))
    (tmp_path / "c.csv").write_text(wide(np.delete(body(), 7, 1), CAMEL[:7] + CAMEL[8:]))
    for inputs in (tmp_path, [tmp_path / "c.csv", tmp_path / "b.csv", tmp_path / "a.csv"]):
        notes = [note for note in convert(inputs, tmp_path / "o.h5")["notes"] if "never seen" in note]
        assert notes == ["joints that were never seen in 2 of 3 sequences: left_hand"]


# === Labels, names, folders ===


def people_with_one_name_each(tmp_path):
    folder = tmp_path / "in"
    for number, who in enumerate(("anna", "bo")):
        (folder / who).mkdir(parents=True)
        (folder / who / "1.csv").write_text(wide(body(seed=number)))
    return folder


@pytest.mark.parametrize("explicit", [True, False])
def test_a_line_that_is_of_two_files_is_refused_and_one_with_folders_taken(tmp_path, explicit):
    folder, labels = people_with_one_name_each(tmp_path), tmp_path / "labels.csv"
    inputs = [folder / who / "1.csv" for who in ("anna", "bo")] if explicit else folder
    labels.write_text("file,label\n1.csv,wave\n")
    with pytest.raises(DataError, match=r"labels\.csv: file '1': expected the name of one .* two: anna/1 and bo/1"):
        convert(inputs, tmp_path / "o.h5", labels=labels)
    labels.write_text("file,label,subject\nanna/1.csv,wave,anna\nbo/1.csv,kick,bo\n")
    convert(inputs, tmp_path / "o.h5", labels=labels)
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert store.ids == ["anna/1", "bo/1"] and store.labels.tolist() == [1, 0]


def test_a_file_beside_folders_has_the_line_without_them(tmp_path):
    folder = people_with_one_name_each(tmp_path)
    (folder / "1.csv").write_text(wide(body()))
    (tmp_path / "labels.csv").write_text("file,label\n1.csv,wave\nbo/1.csv,kick\n")
    convert(folder, tmp_path / "o.h5", labels=tmp_path / "labels.csv")
    with SkeletonStore(tmp_path / "o.h5") as store:
        found = dict(zip(store.ids, store.labels.tolist(), strict=True))
    assert found == {"1": 1, "anna/1": -1, "bo/1": 0}


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ("file,label\nelsewhere.csv,wave\n", r"l\.csv: file: expected names of recordings, such as 'a', found 'else"),
        ("folders", "labels: expected files in a folder for each class"),
        (r"(?P<label>[a-z]+)_\d", "labels: expected a pattern that is in names such as 'a'"),
    ],
)
def test_labels_of_no_file_are_an_error(tmp_path, labels, match):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(wide(body()))
    if labels.startswith("file"):
        (tmp_path / "l.csv").write_text(labels)
        labels = tmp_path / "l.csv"
    for inputs in (tmp_path / "in", tmp_path / "in" / "a.csv", [tmp_path / "in", tmp_path / "in"][:1]):
        with pytest.raises(DataError, match=match):
            convert(inputs, tmp_path / "o.h5", labels=labels)
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_labels_with_any_separator_and_of_files_that_are_not_there(tmp_path, delimiter):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(wide(body()))
    lines = [("file", "label"), ("a.csv", "wave"), *((f"{name}.csv", "kick") for name in "vwxyz")]
    (tmp_path / "l.csv").write_text("\n".join(map(delimiter.join, lines)))
    report = convert(tmp_path / "in", tmp_path / "o.h5", labels=tmp_path / "l.csv")
    assert report["class_counts"]["wave"] == 1
    assert "5 names of the table of labels are of no sequence: 'v', 'w', 'x', ..." in report["notes"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_intervals_with_any_separator(tmp_path, delimiter):
    (tmp_path / "a.csv").write_text(wide(body()))
    lines = [("file", "start_frame", "end_frame", "label"), ("a.csv", "2", "9", "wave")]
    (tmp_path / "l.csv").write_text("\n".join(map(delimiter.join, lines)))
    report = convert(tmp_path / "a.csv", tmp_path / "o.h5", labels=tmp_path / "l.csv")
    assert report["class_counts"] == {"wave": 1}


@pytest.mark.parametrize("names", [[], ["notes.docx"]])
def test_a_folder_without_recordings_is_told_what_is_read(tmp_path, names):
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_text("x")
    with pytest.raises(DataError, match=r"a folder with \.pkl, .*\.csv, \.json, .* or \.skeleton files, found"):
        convert(tmp_path / "in", tmp_path / "o.h5")


@pytest.mark.parametrize("form", ["folder", "table", "inputs"])
def test_notes_that_differ_in_numbers_are_told_once_with_their_count(tmp_path, form):
    """Three recordings whose times are uneven, each otherwise; `show` and `info` read the same notes."""
    texts = []
    for seed in range(3):
        steps = np.random.default_rng(seed).choice([0.03, 0.04, 0.055 + 0.001 * seed], FRAMES)
        times = (np.cumsum(steps) - steps[0]).round(4).tolist()
        texts.append(long(body(), name=f"s{seed}", times=times))
    if form == "table":
        lines = texts[0] + "".join(text.partition("\n")[2] for text in texts[1:])
        inputs = tmp_path / "a.csv"
        inputs.write_text(lines)
    else:
        inputs = [tmp_path / f"{number}.csv" for number in range(3)]
        for path, text in zip(inputs, texts, strict=True):
            path.write_text(text)
        inputs = inputs if form == "inputs" else tmp_path
    report = convert(inputs, tmp_path / "o.h5")
    told = [note for note in report["notes"] if "resampled by their times" in note]
    assert len(told) == 1 and told[0].endswith("(and 2 more recordings, with other numbers)")
    with SkeletonStore(tmp_path / "o.h5") as store:
        assert [note for note in store.notes if "resampled" in note] == told


@pytest.mark.parametrize("form", ["wide", "long", "landmarks"])
@pytest.mark.parametrize("seen", ["image", "world"])
def test_mediapipes_depth_is_left_out_of_the_image_alone(read, tmp_path, form, seen):
    """In every form of table, alone and in a folder."""
    joints = get_layout("mediapipe33").joints
    places = np.random.default_rng(0).uniform(0.2, 0.8, (33, 3)) + np.arange(5.0)[:, None, None] / 1000
    if seen == "world":
        places -= places[:, [23, 24]].mean(1, keepdims=True)
    rows = [(t, name, *xyz) for t, frame in enumerate(places) for name, xyz in zip(joints, frame.tolist(), strict=True)]
    head = {"long": "sample,frame,joint,x,y,z", "landmarks": "frame,landmark,x,y,z"}.get(form)
    first = "a," if form == "long" else ""
    text = "\n".join([head or "", *(first + ",".join(map(str, row)) for row in rows)]) if head else wide(places, joints)
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "a.csv", tmp_path / "in" / "a.csv"):
        path.write_text(text)
    for path in (tmp_path / "a.csv", tmp_path / "in"):
        found, store, report = read(path)
        assert store.channels == (("x", "y") if seen == "image" else ("x", "y", "z"))
        np.testing.assert_allclose(found[0], places[..., : len(store.channels)], atol=1e-5)
        assert sum("depth of image landmarks" in note for note in report["notes"]) == (seen == "image")


def test_channels_that_a_table_has_not_are_refused_on_every_path(tmp_path):
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "a.csv", tmp_path / "in" / "a.csv"):
        path.write_text(long(body()))
    for path in (tmp_path / "a.csv", tmp_path / "in"):
        with pytest.raises(DataError, match="channels: expected x,y, found x,y,z"):
            convert(path, tmp_path / "o.h5", channels="x,y")
