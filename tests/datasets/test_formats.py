"""Every row of the README's table of formats: a file in that format through the command it names."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli
from skelmae_datasets import SkeletonStore, get_layout
from skelmae_datasets.synthetic import write_dataset

README = Path(__file__).parents[2] / "README.md"


def table():
    """dict format -> (files, command, becomes) of the README."""
    section = README.read_text("utf-8").partition("## Data formats")[2].partition("\n## ")[0]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line.startswith("|")][2:]
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
    assert opened.has_score == ("scores" in becomes or name in ("Bare list", "Own layout", "Store"))
    assert (opened.layout.name == "mine") == (name == "Own layout")
    opened.verify()
    if name == "Kinect v2 text":
        assert opened.classes == ["wave", "kick"]
