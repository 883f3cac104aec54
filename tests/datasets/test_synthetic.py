"""The motion generator: file format read here by a plain second reader, and a body that moves like one."""

import re

import numpy as np
import pytest

from skelmae_datasets.layouts import get_layout
from skelmae_datasets.synthetic import ACTION_NAMES, generate_motion, write_dataset

NTU = get_layout("ntu25")
XSUB_TRAIN = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    return write_dataset(folder, subjects=6, repetitions=3, frames=(12, 16))


def read(path):
    """Frames of a file, each a dict of body id -> (25, 12), line by line as the format says."""
    lines = iter(path.read_text("ascii").splitlines())
    frames = []
    for _ in range(int(next(lines))):
        bodies = {}
        for _ in range(int(next(lines))):
            header = next(lines).split()
            assert len(header) == 10 and next(lines) == "25"
            bodies[int(header[0])] = np.array([next(lines).split() for _ in range(25)], float)
        frames.append(bodies)
    assert next(lines, None) is None, "text after the last frame"
    return frames


def test_names_and_splits(files):
    assert len(files) == len(ACTION_NAMES) * 6 * 3 and files == sorted(files)
    numbers = [
        tuple(map(int, re.fullmatch(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", p.stem).groups())) for p in files
    ]
    _, cameras, subjects, _, actions = (set(column) for column in zip(*numbers, strict=True))
    assert cameras == {1, 2, 3} and subjects == set(range(1, 7)) and actions == set(range(1, 11))
    assert (files[0].parent / "classes.txt").read_text().splitlines() == list(ACTION_NAMES)
    # The names of setup 1 that NTU lists as missing.
    missing = {"C002P005R002A008", "C002P006R001A008", "C003P005R002A004", "C003P005R002A005"}
    missing |= {"C003P005R002A006", "C003P006R002A008"}
    assert not missing & {path.stem[4:] for path in files}


def test_two_subjects_serve_both_sides(tmp_path):
    paths = write_dataset(tmp_path, subjects=2, repetitions=1, actions=["bow"], frames=(8, 8))
    subjects = {int(path.stem[9:12]) for path in paths}
    assert subjects & XSUB_TRAIN and subjects - XSUB_TRAIN
    assert (tmp_path / "classes.txt").read_text() == "bow\n"


def test_files_are_genuine(files):
    people = {}
    for path in files[::3] + [p for p in files if p.stem.endswith("A010")]:
        frames = read(path)
        assert 12 <= len(frames) <= 16
        ids = {body for frame in frames for body in frame}
        assert all(body > 2**53 for body in ids)
        people.setdefault(path.stem[-4:], set()).add(max(len(frame) for frame in frames))
        for frame in frames:
            for joints in frame.values():
                assert np.isfinite(joints).all() and set(joints[:, 11]) <= {1, 2}
                assert (joints[:, 2] > 1).all()
                lengths = np.linalg.norm(joints[:, 7:11], axis=1)
                assert np.isclose(lengths, 1, atol=1e-4).sum() == 18 and (lengths == 0).sum() == 7
                slope = np.polyfit(joints[:, 0] / joints[:, 2], joints[:, 3], 1)
                np.testing.assert_allclose(slope, [365, 257], rtol=0.02)
                assert np.corrcoef(joints[:, 1] / joints[:, 2], joints[:, 6])[0, 1] < -0.999
    assert people.pop("A010") == {2} and all(1 in counts for counts in people.values())


def test_files_hold_the_generated_motion(files):
    path = next(p for p in files if p.stem.endswith("P001R001A010"))
    frames = [frame for frame in read(path) if frame]
    motion = generate_motion("handshake", 1, 1, camera=int(path.stem[5:8]), frames=(12, 16))
    written = np.array([[joints[:, :3] for joints in frame.values()] for frame in frames]).swapaxes(0, 1)
    np.testing.assert_allclose(written, motion[:, -len(frames) :], rtol=1e-5, atol=1e-6)


def test_seed_fixes_the_files(tmp_path, files):
    again = write_dataset(tmp_path / "a", subjects=1, repetitions=1, actions=ACTION_NAMES[:2], frames=(12, 16))
    other = write_dataset(tmp_path / "b", 1, 1, ACTION_NAMES[:2], seed=1, frames=(12, 16))
    first = {path.name: path for path in files}
    for path, different in zip(again, other, strict=True):
        assert path.read_bytes() == first[path.name].read_bytes() != different.read_bytes()


@pytest.mark.parametrize("action", ACTION_NAMES)
def test_bones_are_rigid_and_the_head_is_above_the_feet(action):
    for subject in (1, 2, 3):
        motion = generate_motion(action, subject, noise=0.0)
        assert motion.shape == (2 if action == "handshake" else 1, motion.shape[1], 25, 3)
        assert motion.dtype == np.float32 and 40 <= motion.shape[1] <= 80
        for child, parent in NTU.edges:
            if {child, parent} & {21, 22, 23, 24}:
                continue
            lengths = np.linalg.norm(motion[:, :, child] - motion[:, :, parent], axis=-1)
            np.testing.assert_allclose(lengths, np.broadcast_to(lengths[:, :1], lengths.shape), rtol=1e-4)
        height = np.ptp(motion[:, 0, :, 1], axis=1)
        assert (height > 1.0).all() and (height < 2.2).all()
        assert (motion[:, :, 3, 1] > motion[:, :, [15, 19], 1].max(axis=-1)).all()


def measure(action, value):
    return np.mean(
        [value(generate_motion(action, subject, r, noise=0.0)[0]) for subject in range(1, 7) for r in (1, 2, 3)]
    )


def test_actions_do_what_they_are_called():
    def feet_rise(x):
        return np.ptp(x[:, [15, 19], 1], axis=0).min()

    def pelvis_drop(x):
        return x[0, 0, 1] - x[-1, 0, 1]

    def travel(x):
        return np.linalg.norm((x[-1] - x[0])[0, [0, 2]])

    def hands_apart(x):
        return np.linalg.norm(x[:, 7] - x[:, 11], axis=-1).min()

    def hand_rise(x):
        return np.ptp(x[:, [7, 11], 1], axis=0).max()

    for action, value in (("jump", feet_rise), ("sit down", pelvis_drop), ("walk", travel)):
        others = [measure(other, value) for other in ACTION_NAMES if other != action]
        assert measure(action, value) > max(others), action
    assert measure("clap", hands_apart) < measure("bow", hands_apart)
    assert measure("wave", hand_rise) > measure("walk", hand_rise)


def test_noise_grows_the_error_and_size_differs_between_subjects():
    clean, noisy = (generate_motion("bow", noise=level) for level in (0.0, 1.0))
    assert 0.01 < np.abs(noisy - clean).mean() < 0.1
    spine = [np.linalg.norm(np.diff(generate_motion("bow", s, noise=0.0)[0, 0, [0, 1]], axis=0)) for s in range(1, 7)]
    assert np.ptp(spine) > 0.01


@pytest.mark.parametrize(
    "wrong", [{"action": "fly"}, {"action": "bow", "camera": 4}, {"action": "bow", "frames": (4, 9)}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        generate_motion(**wrong)


@pytest.mark.parametrize("wrong", [{"subjects": 0}, {"subjects": 41}, {"repetitions": 0}, {"actions": ["fly"]}])
def test_wrong_dataset_leaves_nothing_behind(tmp_path, wrong):
    with pytest.raises(ValueError, match="expected"):
        write_dataset(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
