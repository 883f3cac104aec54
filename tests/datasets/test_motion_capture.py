"""Motion capture and animals' tools: places in metres with y up, joints by their names, whatever the file."""

import csv
import importlib

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import DataError, SkeletonStore, convert, get_layout, open_recordings, read_sequence, validate
from skelmae_datasets.readers import motion_capture, upright
from skelmae_datasets.readers.named_joints import body_names

SMPL = ("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand")  # fmt: skip
HEIGHT = dict(zip(SMPL, (95, 90, 90, 105, 50, 50, 115, 8, 8, 125, 3, 3, 145, 140, 140, 160, 140, 140, 115, 115, 90, 90,
    80, 80), strict=True))  # fmt: skip
SIDE = {"left": 20, "right": -20}


def body(frames=5, names=SMPL):
    """(F, V, 3) in metres, y up: a person who walks along z, left at positive x."""
    x = np.array([SIDE.get(name.partition("_")[0], 0) for name in names], "float64")
    places = np.stack([x, [HEIGHT[name] for name in names], np.zeros(len(names))], -1) / 100
    return places + np.arange(frames)[:, None, None] * [0, 0, 0.03] + [0.5, 0, 1]


def z_up(points):
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, -z, y], -1)


def write_trc(path, points, names, rate=100, unit="mm"):
    heads = "\t".join(f"{name}\t\t" for name in names)
    lines = [
        "PathFileType\t4\t(X/Y/Z)\ta.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{len(points)}\t{len(names)}\t{unit}\t{rate}\t1\t{len(points)}",
        f"Frame#\tTime\t{heads}",
        "\t\t" + "\t".join(f"X{i + 1}\tY{i + 1}\tZ{i + 1}" for i in range(len(names))),
        "",
    ]
    for number, frame in enumerate(points):
        values = "\t".join("" if np.isnan(value) else f"{value:.4f}" for value in frame.ravel())
        lines.append(f"{number + 1}\t{number / rate:.3f}\t{values}")
    path.write_text("\n".join(lines) + "\n")
    return path


def read(path, tmp_path, **options):
    """(the first sample's keypoints, store, report), and that the other ways in see the same."""
    report = convert(path, tmp_path / "o.h5", **options)
    with SkeletonStore(tmp_path / "o.h5") as store:
        found = store.read(0)
    if set(options) <= {"layout", "to"}:
        with open_recordings(path, **options) as other:
            np.testing.assert_array_equal(other.read(0), found)
        np.testing.assert_array_equal(read_sequence(path, **options).sample.keypoints, found)
        assert not [problem for problem in validate(path, **options) if problem.error]
    return found, store, report


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1000), ("m", 1), ("Meters", 1), ("cm", 100)])
@pytest.mark.parametrize("turn", [lambda points: points, z_up])
def test_trc_is_metres_with_y_up(tmp_path, unit, factor, turn):
    path = write_trc(tmp_path / "a.trc", turn(body()) * factor, SMPL, unit=unit)
    found, store, report = read(path, tmp_path)
    np.testing.assert_allclose(found[0], body(), atol=1e-3)
    assert report["read"] == {"TRC": 1} and store.layout.name == "smpl24" and store.fps == 100
    assert store.units == "metres" and store.channels == ("x", "y", "z")
    assert (turn is z_up) == any("z is up" in note for note in report["notes"])


def test_absent_markers_order_and_resampling(tmp_path):
    points, order = body(9) * 1000, np.random.default_rng(0).permutation(24)
    points[2, 3] = np.nan
    points[8, :] = np.nan
    path = write_trc(tmp_path / "a.trc", points[:, order], [SMPL[i] for i in order], rate=60)
    found, _, _ = read(path, tmp_path)
    assert found.shape == (1, 9, 24, 3) and not found[0, 2, 3].any() and not found[0, 8].any()
    np.testing.assert_allclose(found[0, :2], body(9)[:2], atol=1e-3)
    found, store, _ = read(path, tmp_path, fps=30)
    assert found.shape[1] == 5 and store.fps == 30
    np.testing.assert_allclose(found[0, 2], body(9)[4], atol=1e-3)


def test_names_of_several_programs_mean_the_same():
    mixamo = ["mixamorig:Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "LeftShoulder", "LeftArm",
        "LeftForeArm", "LeftHand", "Head", "RightArm"]  # fmt: skip
    assert body_names(mixamo) == ["pelvis", "left_hip", "left_knee", "left_ankle", "left_big_toe", "left_shoulder_",
        "left_shoulder", "left_elbow", "left_wrist", "head", "right_shoulder"]  # fmt: skip
    assert body_names(["RShoulder", "R.Hip", "r_knee", "Ankle_R", "RBigToe", "Nose"]) == [
        f"right_{name}" for name in ("shoulder", "hip", "knee", "ankle", "big_toe")
    ] + ["nose"]  # fmt: skip
    assert body_names(["LSHO", "LELB", "LANK", "LTOE", "LHEE", "C7"]) == [
        f"left_{name}" for name in ("shoulder", "elbow", "ankle", "big_toe", "heel")
    ] + ["c7"]  # fmt: skip
    assert body_names(list(SMPL)) == list(SMPL)
    assert len(set(body_names(["a", "a", "A", "Hips", "pelvis"]))) == 5


def test_markers_need_a_layout_or_a_target(tmp_path):
    names = ["Hips", "LeftUpLeg", "RightUpLeg", "LeftLeg", "RightLeg", "LeftFoot", "RightFoot", "Head", "LeftArm",
        "RightArm", "LeftForeArm", "RightForeArm", "LeftHand", "RightHand"]  # fmt: skip
    meant = ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")  # fmt: skip
    path = write_trc(tmp_path / "a.trc", body(4, meant) * 1000, names)
    with pytest.raises(DataError, match="a.trc: joints: expected the names of a built-in layout, --to h36m17 by"):
        convert(path, tmp_path / "o.h5")
    found, store, report = read(path, tmp_path, to="coco17")
    wrists = get_layout("coco17").joints.index("left_wrist")
    np.testing.assert_allclose(found[0, :, wrists], body(4, ("left_wrist",))[:, 0], atol=1e-3)
    assert store.layout.name == "coco17" and any("missing: left_eye" in note for note in report["notes"])
    with pytest.raises(DataError, match=r"names of a built-in layout, --to \w+ by what they mean, or --layout"):
        convert(path, tmp_path / "o.h5")
    meaningless = write_trc(tmp_path / "m.trc", body(4, SMPL[:9]) * 1000, [f"M{i}" for i in range(9)])
    for options in ({"layout": "coco17", "up": "y"}, {"up": "y"}):
        with pytest.raises(DataError) as caught:
            convert(meaningless, tmp_path / "o.h5", **options)
        assert "--to" not in str(caught.value), "it would be refused, too"
    own = get_layout("coco17").to_dict()
    own |= {"name": "own", "joints": names[::-1], "parts": {"all": names}, "edges": [], "mirror_pairs": [], "root": 0}
    own.pop("bones"), own.pop("shoulders"), own.pop("spine")
    layout = type(get_layout("coco17")).from_dict(own)
    (tmp_path / "own.toml").write_text(layout.to_toml())
    found, store, _ = read(path, tmp_path, layout=str(tmp_path / "own.toml"))
    np.testing.assert_allclose(found[0], body(4, meant)[:, ::-1], atol=1e-3)
    with pytest.raises(DataError, match=r"all joints of coco17 \(or --to coco17"):
        convert(path, tmp_path / "o.h5", layout="coco17")
    unnamed = write_trc(tmp_path / "b.trc", body(4, SMPL[:17]) * 1000, [f"M{i}" for i in range(17)])
    with pytest.raises(DataError, match="expected --up y or --up z .* found no joints named as head and feet"):
        convert(unnamed, tmp_path / "o.h5", layout="coco17")
    found, _, report = read(unnamed, tmp_path, layout="coco17", up="y")
    np.testing.assert_allclose(found[0], body(4, SMPL[:17]), atol=1e-3)
    assert any("taken in their order" in note for note in report["notes"])


def test_unit_and_up_are_found_by_the_body_or_asked_for():
    for unit, factor in (("m", 1), ("cm", 100), ("mm", 1000)):
        for up, turn in (("y", lambda p: p), ("z", z_up), ("-y", lambda p: p * [1, -1, -1])):
            clip = motion_capture.clip_of_motion(turn(body()) * factor, SMPL, 30, "a")
            np.testing.assert_allclose(clip.points, body(), atol=1e-4)
            assert (unit, up) and clip.fps == 30
    turned = {up: upright.turned(np.eye(3)[None], up)[0] for up in upright.AXES}
    for up, matrix in turned.items():
        axis = np.eye(3)["xyz".index(up[-1])] * (-1 if up[0] == "-" else 1)
        np.testing.assert_allclose(axis @ matrix, [0, 1, 0])
        assert round(np.linalg.det(matrix)) == 1  # left stays left
    lying = body()[:, :, [1, 0, 2]]
    with pytest.raises(DataError, match="found a body that is not upright"):
        motion_capture.clip_of_motion(lying, SMPL, 30, "a", "m")
    with pytest.raises(DataError, match="--unit m, cm, mm or in"):
        motion_capture.clip_of_motion(body() * 20, SMPL, 30, "a")
    inches = motion_capture.clip_of_motion(body() / 0.0254, SMPL, 30, "a", "in")
    np.testing.assert_allclose(inches.points, body(), atol=1e-4)
    for options in ({"unit": "mile"}, {"up": "w"}):
        with pytest.raises(DataError, match="expected one of"):
            motion_capture.clip_of_motion(body(), SMPL, 30, "a", **options)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: "x", "line 1: expected PathFileType"),
        (
            lambda text: text.replace("\tmm\t", "\tfurlong\t"),
            "line 3: Units: expected one of m, cm, mm, in, found furlong",
        ),
        (lambda text: text.replace("100\t100", "x\t100"), "line 3: DataRate: expected frames per second, found x"),
        (
            lambda text: text.replace("500.0000", "many", 1),
            "line 7: expected numbers with tabs between them, found 'many'",
        ),
        (lambda text: "\n".join(text.split("\n")[:6]), "expected frames of joints"),
    ],
)
def test_a_trc_that_is_none(tmp_path, change, match):
    path = write_trc(tmp_path / "a.trc", body() * 1000, SMPL)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=match):
        convert(path, tmp_path / "o.h5", strict=True)


@pytest.mark.parametrize("count", [22, 24, 52])
def test_joints_of_smpl_bodies(tmp_path, count):
    points = np.zeros((6, count, 3))
    points[:, : min(count, 24)] = z_up(body(6))[:, : min(count, 24)]
    np.savez(tmp_path / "a.npz", joints=points, mocap_framerate=np.array(120.0), gender=np.array("female"))
    found, store, report = read(tmp_path / "a.npz", tmp_path)
    named = 24 if count == 24 else 22
    np.testing.assert_allclose(found[0, :, :named], body(6)[:, :named], atol=1e-5)
    assert not found[0, :, named:].any() and store.layout.name == "smpl24" and store.fps == 120
    assert report["read"] == {"joints of SMPL bodies": 1}
    with pytest.raises(DataError, match="joints in metres, or --unit"):
        np.savez(tmp_path / "b.npz", joints=points * 100)
        convert(tmp_path / "b.npz", tmp_path / "o.h5")


def test_parameters_of_a_body_model_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", poses=np.zeros((3, 156)), trans=np.zeros((3, 3)), betas=np.zeros(16))
    with pytest.raises(DataError, match=r"expected joints \(F, 22, 3\) or more, which the body model makes") as error:
        convert(tmp_path / "a.npz", tmp_path / "o.h5")
    assert "\n" not in str(error.value)


BVH = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT LeftUpLeg
 {
  OFFSET 10 -5 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT LeftFoot
  {
   OFFSET 0 -80 0
   CHANNELS 3 Zrotation Xrotation Yrotation
   End Site
   {
    OFFSET 0 0 10
   }
  }
 }
 JOINT Head
 {
  OFFSET 0 70 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 20 0
  }
 }
}
MOTION
Frames: 2
Frame Time: 0.0083333
0 90 0 0 0 0 0 0 0 0 0 0 0 0 0
5 90 0 0 0 90 0 0 0 0 0 0 0 0 0
"""
LEG = """name = "leg"
joints = ["Head", "Hips", "LeftUpLeg", "LeftFoot"]
edges = [["Head", "Hips"], ["LeftUpLeg", "Hips"], ["LeftFoot", "LeftUpLeg"]]
[parts]
all = ["Head", "Hips", "LeftUpLeg", "LeftFoot"]
"""


def test_bvh(tmp_path):
    pytest.importorskip("pybvh")
    (tmp_path / "a.bvh").write_text(BVH)
    (tmp_path / "leg.toml").write_text(LEG)
    found, store, report = read(tmp_path / "a.bvh", tmp_path, layout=str(tmp_path / "leg.toml"))
    straight = [[0, 1.6, 0], [0, 0.9, 0], [0.1, 0.85, 0], [0.1, 0.05, 0]]
    turned = [[0.05, 1.6, 0], [0.05, 0.9, 0], [0.05, 0.85, -0.1], [0.05, 0.05, -0.1]]  # a quarter about y
    np.testing.assert_allclose(found[0], [straight, turned], atol=1e-6)
    assert store.fps == pytest.approx(120, rel=1e-4) and report["read"] == {"BVH": 1}
    assert "the size of the body is that of a person in cm" in report["notes"]
    (tmp_path / "b.bvh").write_text(BVH[:300])
    with pytest.raises(DataError, match=r"b\.bvh: expected BVH as pybvh reads it") as error:
        convert(tmp_path / "b.bvh", tmp_path / "o.h5")
    assert "\n" not in str(error.value)


def test_c3d(tmp_path):
    ezc3d = pytest.importorskip("ezc3d")
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [100]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["LABELS"]["value"] = [f"Anna:{name}" for name in SMPL]
    points = np.ones((4, 24, 5))
    points[:3] = (z_up(body()) * 1000).transpose(2, 1, 0)
    points[:3, 4, 2] = np.nan
    file["data"]["points"] = points
    file.write(str(tmp_path / "a.c3d"))
    found, store, _ = read(tmp_path / "a.c3d", tmp_path)
    expected = body()
    expected[2, 4] = 0
    np.testing.assert_allclose(found[0], expected, atol=1e-4)
    assert store.fps == 100 and store.layout.name == "smpl24"
    (tmp_path / "b.c3d").write_bytes(b"\x02P" + bytes(600))
    with pytest.raises(DataError, match=r"b\.c3d: expected C3D as ezc3d reads it"):
        convert(tmp_path / "b.c3d", tmp_path / "o.h5")


@pytest.mark.parametrize(("name", "extra"), [("a.bvh", "mocap"), ("a.c3d", "mocap"), ("a.slp", "animals")])
def test_an_absent_library_is_named_with_its_extra(tmp_path, monkeypatch, name, extra):
    def absent(name):
        raise ImportError(name)

    (tmp_path / name).write_text(BVH)
    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(DataError, match=rf"pip install 'keras-skelmae\[{extra}\]', found no such package") as error:
        convert(tmp_path / name, tmp_path / "o.h5", to="coco17")
    assert "\n" not in str(error.value)


def points_2d(people=2, frames=6):
    rng = np.random.default_rng(0)
    start = rng.uniform(50, 300, (people, 1, 17, 2)) + np.arange(people)[:, None, None, None] * 400
    return start + 2 * np.arange(frames)[None, :, None, None]


def test_sleap_analysis(tmp_path):
    points, names = points_2d(), get_layout("coco17").joints
    scores = np.full((2, 6, 17), 0.5)
    scores[0] += 0.1
    points[1, 3] = np.nan
    with h5py.File(tmp_path / "a.analysis.h5", "w") as file:
        file["tracks"] = points.transpose(0, 3, 2, 1)
        file["point_scores"] = scores.transpose(0, 2, 1)
        file["node_names"] = [name.encode() for name in names]
    found, store, report = read(tmp_path / "a.analysis.h5", tmp_path)
    expected = np.concatenate([points, scores[..., None]], -1)
    expected[1, 3] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert report["read"] == {"SLEAP analysis": 1} and store.layout.name == "coco17"
    (tmp_path / "set").mkdir()
    (tmp_path / "a.analysis.h5").rename(tmp_path / "set" / "b.analysis.h5")
    assert convert(tmp_path / "set", tmp_path / "o.h5")["samples"] == 1
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["tracks"], file["node_names"] = np.zeros((2, 3)), [b"a"]
    with pytest.raises(DataError, match=r"tracks: expected \(people, 2, joints, frames\)"):
        convert(tmp_path / "c.h5", tmp_path / "o.h5")


@pytest.mark.parametrize("several", [False, True])
def test_deeplabcut_tables(tmp_path, several):
    points, names = points_2d(2 if several else 1), get_layout("coco17").joints
    people = range(len(points))
    head = [["scorer"], ["individuals"], ["bodyparts"], ["coords"]]
    for person in people:
        for name in names:
            for coord in ("x", "y", "likelihood"):
                for row, value in zip(head, ("net", f"mouse{person}", name, coord), strict=True):
                    row.append(value)
    with open(tmp_path / "a.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(head if several else [head[0], *head[2:]])
        for t in range(6):
            values = [v for m in people for x, y in points[m, t] for v in (x, y, 0.9)]
            writer.writerow([t, *(values if t != 2 else [""] * len(values))])
    found, store, report = read(tmp_path / "a.csv", tmp_path)
    points[:, 2] = 0
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-6)
    assert report["read"] == {"DeepLabCut table": 1} and store.layout.name == "coco17"
    text = (tmp_path / "a.csv").read_text()
    for change, match in (
        (text.replace("likelihood", "score"), "coords: expected x, y, likelihood"),
        (text.replace("0.9", "high"), "line 4: expected numbers|line 5: expected numbers"),
        (text + "9,1,2\n", "fields, found 3"),
        (text.replace("bodyparts", "bodies"), "expected lines scorer, individuals, bodyparts, coords"),
    ):
        (tmp_path / "b.csv").write_text(change)
        with pytest.raises(DataError, match=match):
            convert(tmp_path / "b.csv", tmp_path / "o.h5", strict=True)


def test_sleap_labels(tmp_path):
    sio = pytest.importorskip("sleap_io")
    skeleton, points = sio.Skeleton(list(get_layout("coco17").joints)), points_2d(1)
    video, track = sio.Video(filename="a.mp4"), sio.Track("one")
    frames = []
    for t, frame in enumerate(points[0]):
        instance = sio.PredictedInstance.from_numpy(
            frame, skeleton, point_scores=np.full(17, 0.7), score=1.0, track=track
        )
        frames.append(sio.LabeledFrame(video=video, frame_idx=t, instances=[instance]))
    sio.Labels(frames).save(str(tmp_path / "a.slp"), embed=False)
    found, store, _ = read(tmp_path / "a.slp", tmp_path)
    np.testing.assert_allclose(found[..., :2], points, rtol=1e-5)
    np.testing.assert_allclose(found[..., 2], 0.7, rtol=1e-5)
    (tmp_path / "b.slp").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"b\.slp: expected labels as sleap-io reads them"):
        convert(tmp_path / "b.slp", tmp_path / "o.h5")


def test_the_command(tmp_path):
    write_trc(tmp_path / "a.trc", body() * 1000, SMPL)

    def run(*arguments):
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    done = run("convert", tmp_path / "a.trc", tmp_path / "o.h5", "--unit", "mm", "--up", "y", "--fps", 50)
    assert done.exit_code == 0 and "read as TRC" in done.output and "from 100 to 50" in done.output, done.output
    assert run("project", tmp_path / "a.trc", tmp_path / "v.h5", "--layout", "coco17").exit_code == 0
