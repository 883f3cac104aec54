"""From tracks to people: each rule of each policy on a case made by hand, where the policies differ above all."""

import numpy as np
import pytest

from skelmae_datasets import DataError
from skelmae_datasets.readers.people import POLICIES, Track, arrange_people, assign_people

PUBLISHED = ("pyskl", "ctr-gcn")


def track(frames, size=1.0, wide=0, mark=1.0):
    """A body seen in the given frames: it sways by `size` (so motion grows with it), is wide in the first `wide`."""
    frames = np.asarray(list(frames))
    joints = np.zeros((len(frames), 25, 3), "float32")
    joints[..., 1] = np.linspace(0, 1, 25)
    joints[..., 0] = 0.3 * np.linspace(0, 1, 25)
    joints[:wide, :, 0] *= 5
    joints[..., 2] = mark + size * (np.arange(len(frames)) % 2)[:, None]
    return Track(frames, joints)


def assign(policy, people=2, **tracks):
    """(keypoints, dict name -> person or the reason)."""
    numbers = dict(enumerate(tracks))
    bodies = dict(zip(numbers, tracks.values(), strict=True))
    keypoints, verdicts = assign_people(bodies, people, "x", policy)
    assert [v.frames for v in verdicts] == [len(t.frames) for t in tracks.values()]
    return keypoints, {numbers[v.body]: v.reason if v.person is None else v.person for v in verdicts}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_lone_body_is_never_filtered_and_its_gap_stays(policy):
    keypoints, found = assign(policy, a=track([0, 1, 5], wide=3))
    assert keypoints.shape == (1, 3, 25, 3) and found == {"a": 0}
    b = track([*range(20)], 0.1, mark=9)
    keypoints, found = assign(policy, a=track([*range(6), *range(9, 20)], 3), b=b)
    assert keypoints.shape[:2] == (2, 20) and found == {"a": 0, "b": 1}
    assert not keypoints[0, 6:9].any() and keypoints[0, 9:].any(axis=(1, 2)).all(), "nothing moved up"


@pytest.mark.parametrize("policy", POLICIES)
def test_length_11_goes_and_12_stays(policy):
    _, found = assign(policy, 3, a=track(range(30), 3), b=track(range(11), 2), c=track(range(12), 1))
    short = 1 if policy == "none" else "11 frames, fewer than 12"
    assert found == {"a": 0, "b": short, "c": 2 if policy == "none" else 1}
    _, found = assign(policy, a=track(range(5), 3), b=track(range(5, 9), 5))
    assert found["a"] == 0, "of short tracks alone the longest is kept"


@pytest.mark.parametrize("policy", POLICIES)
def test_spread_share_of_the_threshold(policy):
    """69 of 100 wide frames are fewer than 0.69754, 70 are not."""
    _, found = assign(policy, a=track(range(100), 3), b=track(range(100), 2, wide=69))
    assert found == {"a": 0, "b": 1}
    _, found = assign(policy, a=track(range(100), 3), b=track(range(100), 2, wide=70))
    assert found["b"] == (1 if policy == "none" else "wider than 0.8 of its height in 70% of its frames")


def test_of_two_wide_tracks_ctr_gcn_keeps_the_later_and_the_others_the_less_wide():
    tracks = {"a": track(range(100), 3, wide=80), "b": track(range(100), 2, wide=90)}
    assert assign("ctr-gcn", **tracks)[1]["b"] == 0
    for policy in ("skelmae", "pyskl"):
        assert assign(policy, **tracks)[1]["a"] == 0
    third = track(range(100), 1)
    for policy in ("skelmae", *PUBLISHED):
        assert assign(policy, **tracks, c=third)[1]["c"] == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_the_body_with_more_motion_comes_first_wide_frames_aside(policy):
    assert assign(policy, a=track(range(30), 1), b=track(range(30), 2))[1] == {"a": 1, "b": 0}
    leap = track(range(30), 0.1, wide=15)
    leap.joints[:15, :, 2] += np.arange(15)[:, None]  # all its motion is in frames that are wide
    expected = {"a": 1, "b": 0} if policy == "none" else {"a": 0, "b": 1}
    assert assign(policy, a=track(range(30), 1), b=leap)[1] == expected


@pytest.mark.parametrize("policy", POLICIES)
def test_tracks_apart_are_one_person(policy):
    keypoints, found = assign(policy, a=track(range(15), 3), b=track(range(15, 30), 2))
    assert found == {"a": 0, "b": 0} and keypoints.shape[:2] == (1, 30)


@pytest.mark.parametrize("policy", POLICIES)
def test_one_shared_frame_means_two_persons_but_for_ctr_gcn_which_overwrites(policy):
    keypoints, found = assign(policy, a=track(range(16), 3, mark=1), b=track(range(15, 30), 2, mark=7))
    if policy == "ctr-gcn":
        assert found == {"a": 0, "b": 0} and keypoints.shape[:2] == (1, 30) and keypoints[0, 15, 0, 2] == 7
    else:
        assert found == {"a": 0, "b": 1} and keypoints.shape[:2] == (2, 30)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_published_scripts_take_the_second_person_as_busy_from_frame_0(policy):
    tracks = {"a": track(range(60), 4), "b": track(range(40, 60), 3), "c": track(range(20), 2)}
    late = "overlaps 2 persons with more motion" if policy in PUBLISHED else 1
    assert assign(policy, **tracks)[1] == {"a": 0, "b": 1, "c": late}


@pytest.mark.parametrize("policy", POLICIES)
def test_frames_with_nobody_chosen(policy):
    """A short body fills the gap between two tracks; it is dropped, and only PYSKL keeps its frames, as zeros."""
    tracks = {"a": track(range(15), 3), "b": track(range(20, 40), 2), "ghost": track(range(50), 1, wide=50)}
    keypoints, found = assign(policy, **tracks)
    if policy == "none":
        assert keypoints.shape[:2] == (2, 50)
        return
    assert found["ghost"].startswith("wider")
    assert keypoints.shape[:2] == (1, 40 if policy == "pyskl" else 35)


@pytest.mark.parametrize("policy", POLICIES)
def test_pyskl_swaps_where_the_second_person_is_there_first(policy):
    keypoints, found = assign(policy, a=track(range(10, 30), 3, mark=1), b=track(range(30), 1, mark=7))
    assert found == ({"a": 1, "b": 0} if policy == "pyskl" else {"a": 0, "b": 1})
    assert (keypoints[found["b"], :, 0, 2] >= 7).all() and not keypoints[found["a"], :10].any()


def test_more_than_two_bodies_and_an_unknown_policy():
    tracks = {name: track(range(20), size) for name, size in (("a", 1), ("b", 4), ("c", 3), ("d", 2))}
    assert assign("skelmae", 3, **tracks)[1] == {"a": "overlaps 3 persons with more motion", "b": 0, "c": 1, "d": 2}
    with pytest.raises(ValueError, match="one of skelmae, pyskl, ctr-gcn, none, found 'sgn'"):
        assign("sgn", **tracks)
    nobody = track(range(3))
    nobody.joints[:] = 0
    with pytest.raises(DataError, match="a body in one frame or more"):
        assign("pyskl", a=nobody)
    assert assign("pyskl", a=nobody, b=track(range(3)))[1] == {"a": "no joint in any frame", "b": 0}


SCORED, SPACE = ("x", "y", "score"), ("x", "y", "z")


def person(frames, length, channels, at=10.0, score=0.5, sway=1.0):
    """(T, V, C): seen in the given frames only."""
    keypoints = np.zeros((length, 5, 3), "float32")
    frames = np.asarray(list(frames))
    keypoints[frames] = at + sway * (np.arange(len(frames)) % 2)[:, None, None] + np.arange(5)[:, None]
    if channels == SCORED:
        keypoints[frames, :, 2] = score
    return keypoints


def test_tracks_that_follow_one_another_are_one_person():
    parts = [person(range(start, start + 4), 24, SCORED) for start in range(0, 24, 4)]
    keypoints, joined, found = arrange_people(np.stack(parts), SCORED)
    assert (keypoints.shape[0], joined, found) == (1, 5, 1)
    np.testing.assert_array_equal(keypoints[0], np.sum(parts, axis=0))
    overlapping = np.stack([person(range(5), 9, SCORED), person(range(4, 9), 9, SCORED)])
    assert arrange_people(overlapping, SCORED)[1:] == (0, 2)
    back = np.stack([person([0, 1, 6, 7], 8, SCORED), person([3, 4], 8, SCORED)])
    assert arrange_people(back, SCORED)[1:] == (0, 2), "who comes back was there all the time"


def test_a_track_continues_the_person_who_was_nearest():
    parts = [person(range(4), 8, SPACE, at) for at in (10, 90)] + [person(range(4, 8), 8, SPACE, at) for at in (88, 12)]
    keypoints, joined, found = arrange_people(np.stack(parts), SPACE)
    assert (joined, found) == (2, 2)
    assert np.abs(np.diff(keypoints[:, :, 0, 0], axis=1)).max() < 4


@pytest.mark.parametrize("limit", [None, 1])
def test_the_best_comes_first(limit):
    scored = np.stack([person(range(9), 9, SCORED, score=score) for score in (0.2, 0.9, 0.5)])
    assert arrange_people(scored, SCORED, limit)[0][:, 0, 0, 2].tolist() == pytest.approx([0.9, 0.5, 0.2][:limit])
    seen = np.stack([person(range(4), 9, SPACE, 30), person(range(9), 9, SPACE, 60)])
    assert arrange_people(seen, SPACE, limit)[0][0, 0, 0, 0] == 60, "who is seen longer"
    moving = np.stack([person(range(9), 9, SPACE, 30), person(range(9), 9, SPACE, 60, sway=9)])
    assert arrange_people(moving, SPACE, limit)[0][0, 0, 0, 0] == 60, "who moves more"


def test_one_person_nobody_and_a_crowd():
    one = person(range(2, 9), 9, SCORED)[None]
    assert arrange_people(one, SCORED)[0] is not None and arrange_people(one, SCORED)[1:] == (0, 1)
    padded = np.concatenate([np.zeros_like(one), one])
    np.testing.assert_array_equal(arrange_people(padded, SCORED)[0], one)
    assert arrange_people(np.zeros_like(padded), SCORED)[0].shape == one.shape
    crowd = np.repeat(one, 40, 0)
    assert arrange_people(crowd, SCORED)[0].shape[0] == 32 and arrange_people(crowd, SCORED)[2] == 40
