"""MediaPipe's landmarks in every form that people save them: JSON, arrays, wide and long tables."""

import numpy as np
import pytest

from skelmae_datasets import DataError, convert, get_layout

JOINTS = get_layout("mediapipe33").joints


def landmarks(points, z=0.1, visibility=0.5):
    keys = {"z": z} | ({} if visibility is None else {"visibility": visibility})
    return [{"x": x, "y": y} | keys for x, y in points.tolist()]


def metres(walkers, frames=5):
    """(T, 33, 3) about the hips."""
    points = walkers(1, frames, 33)[0] / 1000
    return np.concatenate([points - points[:, [23, 24]].mean(1, keepdims=True), np.full((frames, 33, 1), 0.25)], -1)


FORMS = {
    "list of objects": lambda p, w: [{"frame": t, "landmarks": landmarks(p[t])} for t in range(len(p))],
    "bare lists": lambda p, w: [landmarks(frame) for frame in p],
    "tasks, web": lambda p, w: [
        {"landmarks": [landmarks(frame)], "worldLandmarks": [w(t)]} for t, frame in enumerate(p)
    ],
    "tasks, python": lambda p, w: [
        {"pose_landmarks": [landmarks(frame)], "pose_world_landmarks": [w(t)]} for t, frame in enumerate(p)
    ],
    "solutions": lambda p, w: {"frames": [{"poseLandmarks": landmarks(frame)} for frame in p]},
    "messages": lambda p, w: [{"pose_landmarks": {"landmark": landmarks(frame)}} for frame in p],
    "numbers": lambda p, w: [{"landmarks": [[x, y, 0.1, 0.5] for x, y in frame.tolist()]} for frame in p],
}


@pytest.mark.parametrize("form", FORMS)
def test_json(read, write_json, walkers, form):
    points, world = walkers(1, 5, 33)[0] / 1000, metres(walkers)

    def world_of(t):
        return [{"x": x, "y": y, "z": z, "visibility": 0.5} for x, y, z in world[t].tolist()]

    path = write_json("m.json", FORMS[form](points, world_of))
    found, store, report = read(path)
    np.testing.assert_allclose(found[0, ..., :2], points, rtol=1e-6)
    assert (
        store.layout.name == "mediapipe33" and (found[..., 2] == 0.5).all() and report["read"] == {"MediaPipe JSON": 1}
    )
    found, _, _ = read(path, image_size=(1000, 1000))
    np.testing.assert_allclose(found[0, ..., :2], points * 1000, rtol=1e-6)
    if form.startswith("tasks"):
        assert any("--channels x,y,z reads the world landmarks" in note for note in report["notes"])
        found, store, _ = read(path, channels="x,y,z")
        np.testing.assert_allclose(found[0], world, rtol=1e-5, atol=1e-7)
        assert store.units == "metres"


def test_frames_of_nobody_several_people_and_files_a_frame(read, write_json, walkers):
    points = walkers(2, 6, 33) / 1000
    frames = [{"landmarks": [landmarks(person) for person in points[:, t]]} for t in range(6)]
    frames[2], frames[3] = {"landmarks": []}, {"landmarks": None}
    found, _, _ = read(write_json("m.json", frames))
    points[:, 2:4] = 0
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-6)
    for t in range(6):
        path = write_json(f"frames/{t}.json", frames[t])
    found, _, report = read(path.parent)
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-6)
    assert report["read"] == {"MediaPipe JSON, one file a frame": 1}


def test_hands_have_no_visibility(read, write_json, walkers):
    frames = [{"landmarks": [landmarks(frame, visibility=0.0)]} for frame in walkers(1, 4, 21)[0] / 1000]
    _, store, _ = read(write_json("m.json", frames))
    assert store.layout.name == "hand21" and store.channels == ("x", "y")


def test_arrays_of_the_image_and_of_the_world(read, tmp_path, walkers):
    points = walkers(1, 5, 33)[0] / 1000
    rest = np.broadcast_to([0.1, 0.5], (5, 33, 2))
    np.save(tmp_path / "m.npy", np.concatenate([points, rest], -1))
    found, store, _ = read(tmp_path / "m.npy")
    np.testing.assert_allclose(found[0, ..., :2], points, rtol=1e-6)
    assert store.channels == ("x", "y", "score")
    np.save(tmp_path / "w.npy", np.concatenate([metres(walkers), rest[..., 1:]], -1))
    found, store, _ = read(tmp_path / "w.npy")
    np.testing.assert_allclose(found[0, ..., :3], metres(walkers), rtol=1e-5, atol=1e-7)
    assert store.channels == ("x", "y", "z", "score") and (found[0, ..., 3] == 0.5).all()
    found, store, report = read(tmp_path / "w.npy", channels="x,y,z")
    np.testing.assert_allclose(found[0], metres(walkers), rtol=1e-5, atol=1e-7)
    assert store.channels == ("x", "y", "z") and any("x,y,z,score keeps" in note for note in report["notes"])
    found, store, _ = read(tmp_path / "w.npy", channels="x,y,z,score", min_score=0.6)
    assert store.channels == ("x", "y", "z", "score") and not found.any()


def wide(points, names, axes=("x", "y", "z", "visibility"), pattern="{}_{}", lead="frame", first=0):
    head = [lead, *(pattern.format(name, axis) for name in names for axis in axes)]
    rows = [
        [t + first, *(value for x, y in frame.tolist() for value in (x, y, 0.1, 0.5)[: len(axes)])]
        for t, frame in enumerate(points)
    ]
    return "\n".join(",".join(map(str, row)) for row in [head, *rows]) + "\n"


OWN = {"left_mouth": "mouth_left", "right_mouth": "mouth_right", "mouth_left": "left_mouth"}


@pytest.mark.parametrize(
    "form", ["names", "capitals", "own names", "x0", "x1", "landmark_0_x", "long names", "long numbers"]
)
def test_tables(read, tmp_path, walkers, form):
    points = walkers(1, 5, 33)[0] / 1000
    path = tmp_path / "m.csv"
    if form.startswith("long"):
        rows = [
            f"{t},{JOINTS[v].upper() if 'names' in form else v},{x},{y},0.1,0.5"
            for t in range(5)
            for v, (x, y) in enumerate(points[t].tolist())
        ]
        path.write_text("\n".join(["frame,landmark,x,y,z,visibility", *rows[::-1]]))
    else:
        names = {
            "names": JOINTS,
            "capitals": [name.upper() for name in JOINTS],
            "own names": [OWN.get(name, name) for name in JOINTS],
            "x0": range(33),
            "x1": range(1, 34),
            "landmark_0_x": [f"landmark_{v}" for v in range(33)],
        }[form]
        short = form in ("x0", "x1")
        text = wide(points, names, ("x", "y", "z", "v") if short else ("x", "y", "z", "visibility"))
        if short:
            text = wide(points, names, ("x", "y", "z", "v"), "{1}{0}")
        path.write_text(text)
    found, store, report = read(path)
    np.testing.assert_allclose(found[0, ..., :2], points, rtol=1e-6)
    assert (found[..., 2] == 0.5).all() and report["read"] == {"table of landmarks": 1} and store.ids == ["m"]


def test_tables_of_several_clips_with_gaps(read, tmp_path, walkers):
    text = wide(walkers(1, 9, 33)[0] / 1000, JOINTS)
    lines = text.splitlines()
    rows = [f"video,{lines[0]}", *(f"{name},{line}" for name in "ab" for t, line in enumerate(lines[1:]) if t != 3)]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    found, store, _ = read(tmp_path / "m.csv")
    assert store.ids == ["m-a", "m-b"] and found.shape[1] == 9 and not found[:, 3].any() and found[:, 4].any()


def test_world_columns(read, tmp_path, walkers):
    world = metres(walkers)
    head = ["frame", *(f"{name}_{axis}" for name in JOINTS for axis in ("x", "y", "world_x", "world_y", "world_z"))]
    rows = [[t, *(v for x, y, z in world[t].tolist() for v in (0.5, 0.5, x, y, z))] for t in range(5)]
    (tmp_path / "w.csv").write_text("\n".join(",".join(map(str, row)) for row in [head, *rows]))
    found, store, _ = read(tmp_path / "w.csv", channels="x,y,z")
    np.testing.assert_allclose(found[0], world, rtol=1e-5, atol=1e-7)
    _, store, _ = read(tmp_path / "w.csv")
    assert store.channels == ("x", "y")


@pytest.mark.parametrize(
    "content",
    [
        [{"landmarks": 5}],
        [{"landmarks": [5]}],
        [{"landmarks": [[{"x": 1}]]}],
        [{"landmarks": [[{"x": 0.1, "y": "a"}] * 33]}],
        [{"landmarks": [[{"x": 0.1, "y": 0.2}] * 32]}],
    ],
)
def test_faults(write_json, tmp_path, content):
    with pytest.raises(DataError):
        convert(write_json("m.json", content), tmp_path / "o.h5", strict=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [(("0.103", "abc"), "a number, found 'abc'"), (("\n3,", "\n3,9,"), "columns"), (("\n4,", "\n,"), "frame")],
)
def test_faults_of_tables(tmp_path, walkers, change, match):
    text = wide(walkers(1, 5, 33)[0] / 1000, JOINTS).replace(*change, 1)
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=match):
        convert(tmp_path / "m.csv", tmp_path / "o.h5", strict=True)
