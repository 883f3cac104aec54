"""Layouts: the built-in ones are sound, orders are the published ones, files round trip, faults name their
key.
"""

from dataclasses import asdict

import numpy as np
import pytest

from skelmae_datasets import DataError, SkeletonLayout, get_layout, layout_names, validate
from skelmae_datasets.layouts import NTU25_TO_COCO17, default_layout, layout_faults

SMALL = {"name": "small", "joints": ["a", "b", "c"], "edges": [["b", "a"], [2, 0]], "parts": {"p": ["a"], "q": [1, 2]}}


@pytest.mark.parametrize("name", layout_names())
def test_builtin_layout_is_sound(name, tmp_path):
    layout = get_layout(name)
    adjacency = layout.adjacency
    assert len(layout.edges) == layout.num_joints - 1
    assert (adjacency == adjacency.T).all() and not adjacency.diagonal().any()
    walks = np.linalg.matrix_power(adjacency + np.eye(layout.num_joints), layout.num_joints)
    assert (walks > 0).all(), "the graph is one tree"
    assert (layout.part_masks.sum(0) == 1).all()
    np.testing.assert_array_equal(layout.mirror[layout.mirror], np.arange(layout.num_joints))
    for left, right in layout.mirror_pairs:
        assert layout.joints[left].replace("left", "right") == layout.joints[right] != layout.joints[left]
    flipped = adjacency[np.ix_(layout.mirror, layout.mirror)]
    assert (flipped == adjacency).all(), "mirroring keeps the graph"
    assert [joint for joint, _ in layout.bones] == list(range(layout.num_joints))
    (tmp_path / "layout.toml").write_text(layout.to_toml(), "utf-8")
    assert get_layout(str(tmp_path / "layout.toml")) == layout
    assert SkeletonLayout.from_dict(layout.to_dict()) == layout == SkeletonLayout.from_dict(asdict(layout))


def test_published_orders():
    order = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 20, 23, 24, 21, 22]
    assert get_layout("ntu25").mirror.tolist() == order
    assert get_layout("ntu25").bones[20] == (20, 20)
    coco = get_layout("coco17")
    assert [len(part) for part in coco.parts.values()] == [5, 4, 2, 2, 2, 2]
    assert coco.bones[11:13] == ((11, 0), (12, 0)), "hips refer to the nose in the bone stream"
    assert [j + 1 for j in NTU25_TO_COCO17] == [4, 4, 4, 4, 4, 5, 9, 6, 10, 7, 11, 13, 17, 14, 18, 15, 19]
    ntu = get_layout("ntu25").joints
    for joint, source in list(zip(coco.joints, NTU25_TO_COCO17, strict=True))[5:]:
        assert ntu[source] == joint


def test_estimators_orders():
    whole, halpe = get_layout("wholebody133"), get_layout("halpe26")
    assert whole.joints[:17] == halpe.joints[:17] == get_layout("coco17").joints
    assert [whole.joints.index(name) for name in ("left_heel", "chin", "nose_base")] == [19, 31, 56]
    assert whole.joints[91:112] == tuple(f"left_hand_{name}" for name in get_layout("hand21").joints)
    # pairs that a mirrored face exchanges, as mmpose's configs have them
    assert {(39, 23), (49, 40), (62, 65), (70, 63), (77, 71), (90, 88)} <= {
        pair for left, right in whole.mirror_pairs for pair in ((left, right), (right, left))
    }
    assert halpe.joints[17:22] == ("head", "neck", "hip", "left_big_toe", "right_big_toe")
    azure, smpl = get_layout("azure32"), get_layout("smpl24")
    assert [azure.joints.index(name) for name in ("left_thumb", "right_clavicle", "head", "right_ear")] == [
        10, 11, 26, 31
    ]  # fmt: skip
    assert dict(smpl.edges) == dict(
        enumerate([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21], 1)
    )


def test_default_layout_by_joints():
    assert default_layout(17).name == "coco17" and default_layout(20).name == "kinect20"
    with pytest.raises(DataError, match="19 joints"):
        default_layout(19)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"joints": ["a", "a", "c"]}, "joints"),
        ({"joints": "abc"}, "joints"),
        ({"edges": [["b", "z"]]}, r"edges\[0\]\[1\]"),
        ({"edges": [[0, 3]]}, r"edges\[0\]\[1\]"),
        ({"edges": [[0, 1], [1, 0]]}, r"edges\[1\]"),
        ({"parts": {"p": ["a"], "q": ["b"]}}, "parts.*found c"),
        ({"parts": {"p": [0, 1], "q": [1, 2]}}, "parts"),
        ({"mirror": [[0, 1], [1, 2]]}, "mirror"),
        ({"root": 1.5}, "root"),
        ({"spine": [0]}, "spine"),
        ({"colour": 1}, "colour"),
        ({"name": ""}, "name"),
    ],
)
def test_faults_name_their_key(change, key):
    with pytest.raises(DataError, match=key):
        SkeletonLayout.from_dict(SMALL | change)


def test_every_fault_of_a_file_is_told_the_first_as_an_error(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(
        'name = ""\njoints = ["a", "b", "c"]\nedges = [["b", "a"], ["a", "b"], ["c", "z"], ["c"]]\n'
        'mirror = [["a", "b"], ["b", "c"]]\nroot = "z"\nspine = ["a", "y"]\ncolour = 1\nshape = 2\n'
        '[parts]\np = ["a", "c"]\nq = ["c"]\n'
    )
    told = [str(fault) for fault in layout_faults(path)]
    keys = ["colour", "shape", "name", "edges[2][1]", "edges[3]", "edges[1]", "mirror", "parts", "spine[1]", "root"]
    assert [line.removeprefix(f"{path}: ").partition(": ")[0] for line in told] == keys
    assert told[7].endswith("every joint in exactly one part, no empty part, found b, c")
    with pytest.raises(DataError) as error:
        get_layout(path)
    assert str(error.value) == told[0]
    problems = validate(path)
    assert [problem.key for problem in problems] == keys and all(problem.error for problem in problems)
    path.write_text('name = "x"\nroot = "z"\n')  # without joints only what is missing can be told
    assert [fault.args[1] for fault in layout_faults(path)] == ["joints", "edges", "parts"]


def test_unknown_name_lists_the_close_one_and_bad_toml_is_told(tmp_path):
    with pytest.raises(DataError, match="one of coco17"):
        get_layout("coco")
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(DataError, match="x.toml"):
        get_layout(tmp_path / "x.toml")
    with pytest.raises(FileNotFoundError):
        get_layout("absent.toml")
