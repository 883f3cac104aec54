"""Every row of the table in docs/formats.md: a file in that format through the command it names."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import SkeletonStore, get_layout, open_recordings
from skelmae_datasets.synthetic import write_dataset

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"


def table():
    """dict format -> (files, command, becomes) of the page."""
    lines = PAGE.read_text("utf-8").partition("| format |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines]
    return {row[0]: row[1:] for row in rows}


def recordings(folder, names=("S001C001P001R001A001", "S002C002P003R002A060")):
    folder.mkdir(parents=True)
    made = write_dataset(folder, 1, 1, seed=3, frames=(12, 13))
    texts = [path.read_bytes() for path in made]
    for path in [*made, folder / "classes.txt"]:
        path.unlink()
    for name, text in zip(names, texts, strict=False):
        (folder / f"{name}.skeleton").write_bytes(text)
    return folder


def ntu60(tmp):
    return [recordings(tmp / "nturgb+d_skeletons")], {"xsub_train": 1, "xsub_val": 1, "xview_train": 1, "xview_val": 1}


def ntu120(tmp):
    recordings(tmp / "raw" / "nturgb+d_skeletons")
    recordings(tmp / "raw" / "nturgb+d_skeletons120", ["S018C003P008R001A061", "S019C001P045R001A120"])
    splits = {"xsub_train": 3, "xsub_val": 1, "xset_train": 2, "xset_val": 2}
    return [tmp / "raw"], splits | {"oneshot_train": 2, "oneshot_exemplar": 1, "oneshot_val": 1}


def ntu_2d(tmp):
    arguments, splits = ntu60(tmp)
    return [*arguments, "--joints", "coco17"], splits


def kinect(tmp):
    folder = recordings(tmp / "own", ["S001C001P215R001A001", "S001C001P216R001A002"])
    (folder / "classes.txt").write_text("wave\nkick\n")
    return [folder], {}


def items(joints=17, dims=2, **changes):
    rng = np.random.default_rng(0)
    values = {"label": 0, "total_frames": 4, "keypoint": rng.uniform(1, 99, (1, 4, joints, dims)).astype("float16")}
    if dims == 2:
        values |= {"img_shape": (9, 16), "keypoint_score": rng.uniform(0.1, 1, (1, 4, joints)).astype("float16")}
    return [values | {"frame_dir": f"v{i}"} | changes for i in range(2)]


def dump(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def pyskl_2d(tmp):
    return [dump(tmp / "diving48_hrnet.pkl", {"split": {"train": ["v0"], "test": ["v1"]}, "annotations": items()})], {
        "train": 1,
        "test": 1,
    }


def pyskl_3d(tmp):
    content = {"split": {"xsub_train": ["v0"], "xsub_val": ["v1"]}, "annotations": items(25, 3)}
    return [dump(tmp / "ntu60_3danno.pkl", content)], {"xsub_train": 1, "xsub_val": 1}


def bare_list(tmp):
    return [dump(tmp / "gym_train.pkl", items(num_person_raw=1))], {}


def kinetics(tmp):
    (tmp / "kp").mkdir()
    points = np.ones((3, 17, 3), "float16")
    dump(tmp / "kp" / "k.pkl", {"v0": {"keypoint": points}, "v1": {"keypoint": points}})
    header = {
        "label": 0,
        "total_frames": 2,
        "raw_file": "x/k.pkl",
        "frame_inds": np.array([0, 0, 1], "int16"),
        "box_score": np.ones(3, "float16"),
        "valid": {0.5: 2},
    }
    annotations = [header | {"frame_dir": f"v{i}"} for i in range(2)]
    return [
        dump(tmp / "k400_hrnet.pkl", {"split": {"val": ["v0"]}, "annotations": annotations}),
        "--kpfiles",
        tmp / "kp",
    ], {"val": 1}


def ctr_gcn(tmp):
    x, y = np.ones((1, 300, 150), "float32"), np.eye(60)[:1]
    np.savez(tmp / "NTU60_CV.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return [tmp / "NTU60_CV.npz"], {"xview_train": 1, "xview_val": 1}


def st_gcn(tmp, name="train_data", joints=25):
    (tmp / "arrays").mkdir()
    np.save(tmp / "arrays" / f"{name}.npy", np.full((2, 3, 30, joints, 2), 0.1, "float32"))
    split = name.partition("_")[0]
    dump(tmp / "arrays" / f"{split}_label.pkl", (["a.skeleton", "b.skeleton"], [0, 1]))
    return [tmp / "arrays"], {split: 2}


def aimclr(tmp):
    arguments, splits = st_gcn(tmp, "train_position")
    (tmp / "arrays" / "train_label.pkl").unlink()
    np.save(tmp / "arrays" / "train_label.npy", np.array([[0], [1]]))
    return arguments, splits


def kinetics_skeleton(tmp):
    return [st_gcn(tmp, "val_data", 18)[0][0] / "val_data.npy"], {"val": 2}


def points(people=1, frames=4, joints=17):
    """(M, T, V, 2) in pixels."""
    return np.random.default_rng(1).uniform(50, 400, (people, 1, joints, 2)) + np.arange(frames)[None, :, None, None]


def numbered(folder, values, ending):
    """A file a frame below folder, twice."""
    for name in ("wave/a", "kick/b"):
        for number, value in enumerate(values):
            path = folder / name / f"{number}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value if isinstance(value, str) else json.dumps(value))
    return [folder, "--labels", "folders"], {}


def whole(tmp, value):
    """A file a clip, twice."""
    for name in ("wave", "kick"):
        (tmp / "clips" / name).mkdir(parents=True)
        (tmp / "clips" / name / "clip.json").write_text(json.dumps(value))
    return [tmp / "clips"], {}


def scored(frame):
    return [value for x, y in frame.tolist() for value in (x, y, 0.5)]


def openpose(tmp):
    frames = [{"version": 1.3, "people": [{"pose_keypoints_2d": scored(f)}]} for f in points(joints=25)[0]]
    return numbered(tmp / "clips", frames, "_keypoints.json")


def kinetics_json(tmp):
    data = [
        {"frame_index": t + 1, "skeleton": [{"pose": (f / 500).ravel().tolist(), "score": [0.5] * 18}]}
        for t, f in enumerate(points(joints=18)[0])
    ]
    return whole(tmp, {"data": data, "label": "wave", "label_index": 0})


def yolo_text(tmp):
    lines = [f"0 .5 .5 .1 .3 {' '.join(f'{v:.5f}' for v in scored(f / 500))} 0.9 1\n" for f in points()[0]]
    return numbered(tmp / "clips", [line.replace("0.00100", "0.50000") for line in lines], ".txt")


def yolo_json(tmp):
    frames = [
        [{"name": "person", "keypoints": {"x": f[:, 0].tolist(), "y": f[:, 1].tolist(), "visible": [0.5] * 17}}]
        for f in points()[0]
    ]
    return whole(tmp, frames)


def mediapipe_json(tmp):
    frames = points(joints=33)[0] / 500
    marks = [[{"x": x, "y": y, "z": 0.1, "visibility": 0.5} for x, y in f.tolist()] for f in frames]
    return whole(tmp, [{"landmarks": [frame]} for frame in marks])


def mediapipe_array(tmp):
    values = np.concatenate([points(joints=33)[0] / 500, np.full((4, 33, 2), 0.5)], -1)
    (tmp / "clips").mkdir()
    for name in "ab":
        np.save(tmp / "clips" / f"{name}.npy", values)
    return [tmp / "clips"], {}


def mediapipe_table(tmp):
    names = get_layout("mediapipe33").joints
    head = ",".join(["frame", *(f"{name}_{axis}" for name in names for axis in ("x", "y", "visibility"))])
    lines = [",".join(map(str, [t, *scored(f / 500)])) for t, f in enumerate(points(joints=33)[0])]
    (tmp / "clips").mkdir()
    for name in "ab":
        (tmp / "clips" / f"{name}.csv").write_text("\n".join([head, *lines]))
    return [tmp / "clips"], {}


def wide_table(tmp):
    names = ["".join(part.title() for part in joint.split("_")) for joint in get_layout("kinect20").joints]
    head = ",".join(["Time", *(f"{name}_{axis}" for name in names for axis in "XYZ")])
    lines = [",".join(map(str, [t / 30, *np.c_[f, f[:, 0]].ravel()])) for t, f in enumerate(points(joints=20)[0])]
    (tmp / "clips").mkdir()
    for name in "ab":
        (tmp / "clips" / f"{name}.csv").write_text("\n".join([head, *lines]))
    return [tmp / "clips"], {}


def alphapose(tmp):
    return whole(tmp, [{"image_id": f"{t}.jpg", "keypoints": scored(f)} for t, f in enumerate(points()[0])])


def instance(frame):
    return {"keypoints": frame.tolist(), "keypoint_scores": [0.5] * len(frame)}


def mmpose(tmp):
    frames = [{"frame_id": t, "instances": [instance(f)]} for t, f in enumerate(points()[0])]
    return whole(tmp, {"meta_info": {}, "instance_info": frames})


def mmpose_pickles(tmp):
    (tmp / "clips").mkdir()
    for name in "ab":
        dump(tmp / "clips" / f"{name}.pkl", {"keypoint": points(), "keypoint_score": np.full((1, 4, 17), 0.5)})
    return [tmp / "clips"], {}


def coco(tmp):
    images = [{"id": t, "file_name": f"{t}.jpg", "height": 480, "width": 640} for t in range(4)]
    flat = [[v if v != 0.5 else 2 for v in scored(f)] for f in points()[0]]
    found = [{"id": t, "image_id": t, "keypoints": row} for t, row in enumerate(flat)]
    return whole(tmp, {"images": images, "annotations": found, "categories": []})


def movenet(tmp):
    values = np.concatenate([points()[0, ..., ::-1] / 500, np.full((4, 17, 1), 0.5)], -1)
    (tmp / "clips").mkdir()
    for name in "ab":
        np.save(tmp / "clips" / f"{name}.npy", values[:, None, None])
    return [tmp / "clips"], {}


def plain_array(tmp):
    (tmp / "clips").mkdir()
    np.save(tmp / "clips" / "a.npy", points()[0])
    np.save(tmp / "clips" / "b.npy", points(2))
    return [tmp / "clips"], {}


def own_table(tmp):
    lines = [
        f"{name},{t},{joint},{1 + t},{2 + v},{name},{split}"
        for name, split in (("wave", "train"), ("kick", "test"))
        for t in range(3)
        for v, joint in enumerate(get_layout("coco17").joints)
    ]
    (tmp / "own.csv").write_text("\n".join(["sample,frame,joint,x,y,label,split", *lines]) + "\n")
    return [tmp / "own.csv"], {"train": 1, "test": 1}


def own_layout(tmp):
    text = get_layout("coco17").to_toml().replace('"coco17"', '"mine"')
    (tmp / "mine.toml").write_text(text)
    return [*bare_list(tmp)[0], "--layout", tmp / "mine.toml"], {}


def store(tmp):
    run(tmp, "convert-pyskl", *pyskl_2d(tmp)[0])
    return [tmp / "out.h5"], {"train": 1, "test": 1}


ROWS = {
    "NTU RGB+D 60 raw": ntu60,
    "NTU RGB+D 120 raw": ntu120,
    "NTU RGB+D as 2D": ntu_2d,
    "Kinect v2 text": kinect,
    "PYSKL 2D": pyskl_2d,
    "PYSKL 3D": pyskl_3d,
    "Bare list": bare_list,
    "Kinetics": kinetics,
    "CTR-GCN, MAMP": ctr_gcn,
    "st-gcn, 2s-AGCN": st_gcn,
    "AimCLR, CrosSCLR": aimclr,
    "Kinetics-skeleton": kinetics_skeleton,
    "OpenPose 1.7": openpose,
    "Kinetics-skeleton JSON": kinetics_json,
    "YOLO-pose text": yolo_text,
    "YOLO-pose JSON": yolo_json,
    "MediaPipe JSON": mediapipe_json,
    "MediaPipe array": mediapipe_array,
    "MediaPipe table": mediapipe_table,
    "Wide table": wide_table,
    "AlphaPose 0.6": alphapose,
    "mmpose 1.x, RTMPose": mmpose,
    "mmpose pickles": mmpose_pickles,
    "COCO annotations": coco,
    "MoveNet": movenet,
    "Array of one clip": plain_array,
    "Own table": own_table,
    "Own layout": own_layout,
    "Store": store,
}


def run(tmp, command, first, *options):
    output = [] if command == "info" else [tmp / "out.h5"]
    arguments = [command, first, *output, *options, "--json"]
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_the_table_and_the_tests_agree():
    assert list(table()) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_row(name, tmp_path):
    _, command, becomes = table()[name]
    arguments, splits = ROWS[name](tmp_path)
    report = run(tmp_path, command.strip("`"), *arguments)
    assert report["splits"] == splits and report["samples"] >= 2 and not report.get("skipped")
    opened = SkeletonStore(tmp_path / "out.h5")
    layout = becomes.partition(" ")[0].strip(",")
    assert opened.layout.name == (layout if layout in ("ntu25", "coco17", "openpose18") else opened.layout.name)
    scored_too = ("Bare list", "Own layout", "Store", "MediaPipe JSON", "MediaPipe array", "MediaPipe table")
    assert opened.has_score == ("scores" in becomes or name in scored_too)
    assert (opened.layout.name == "mine") == (name == "Own layout")
    opened.verify()
    if command == "`convert`":  # the same through the dispatcher, and drawn
        with open_recordings(arguments[0], strict=True) as other:
            assert other.ids == opened.ids
            np.testing.assert_array_equal(other.read(1), opened.read(1))
        shown = CliRunner().invoke(cli, ["show", str(arguments[0]), "--output", str(tmp_path / "a.png")])
        assert shown.exit_code == 0 and (tmp_path / "a.png").stat().st_size > 1000, shown.output
    if name == "Kinect v2 text":
        assert opened.classes == ["wave", "kick"]
