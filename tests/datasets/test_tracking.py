"""Who is who: people who cross, are missed and change their order and ids, against simpler ways of joining them."""

import numpy as np
import pytest

from skelmae_datasets import get_layout
from skelmae_datasets.readers import tracking
from skelmae_datasets.readers.tracking import MAX_UNSEEN, distances, frame_starts, link_people

COCO = get_layout("coco17")
# a standing figure, hip at the origin, 1.62 high
FIGURE = np.array(
    [[0.0, -0.82], [0.03, -0.85], [-0.03, -0.85], [0.06, -0.83], [-0.06, -0.83], [0.17, -0.62], [-0.17, -0.62],
     [0.22, -0.35], [-0.22, -0.35], [0.24, -0.1], [-0.24, -0.1], [0.11, -0.02], [-0.11, -0.02], [0.12, 0.4],
     [-0.12, 0.4], [0.12, 0.8], [-0.12, 0.8]]
)  # fmt: skip
SWING = {9: 0.18, 10: -0.18, 7: 0.08, 8: -0.08, 13: -0.12, 14: 0.12, 15: -0.25, 16: 0.25}


def scene(people, seed, frames=400, missing=0.2):
    """People who walk back and forth across each other in pixels, `missing` of their detections left out, in any order.

    Returns: points (N, 17, 2), frames (N,), who (N,).
    """
    rng, t, parts = np.random.default_rng((people, seed)), np.arange(frames) / 30, []
    for person in range(people):
        height, phase = rng.uniform(150, 230), rng.uniform(0, 2 * np.pi, 2)
        x = 960 + rng.uniform(200, 700) * np.sin(2 * np.pi * t / rng.uniform(6, 14) + phase[0])
        y = 500 + rng.uniform(-40, 40) + 3 * np.sin(t)
        swing = np.sin(np.pi * rng.uniform(1.5, 2.3) * t + phase[1])
        body = np.repeat(FIGURE[None], frames, 0)
        for joint, share in SWING.items():
            body[:, joint, 0] += share * swing
        body = body * height / 1.7 + np.stack([x, y], -1)[:, None] + rng.normal(0, 0.01 * height, body.shape)
        body[rng.random((frames, 17)) < 0.05] = 0
        seen = np.flatnonzero(rng.random(frames) >= missing)
        parts.append((body[seen], seen, np.full(len(seen), person)))
    points, at, who = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((rng.random(len(at)), at))
    return points[order], at[order], who[order]


def shuffled(frames, people, rng):
    """Ids that are other ones in every frame."""
    starts = frame_starts(frames)
    sizes = np.diff(starts)
    return np.concatenate([rng.permutation(people)[:size] for size in sizes])


def share_right(numbers, who):
    """The share of detections that are of the person to whom most of their track belongs."""
    return sum(np.bincount(who[numbers == number]).max() for number in np.unique(numbers)) / len(who)


def nearest(points, frames, greedy):
    """The simpler ways: the nearest last pose, without a gate and without movement, greedily or by SciPy."""
    from scipy.optimize import linear_sum_assignment

    seen, numbers, last = points.any(-1), np.full(len(frames), -1), []
    starts = frame_starts(frames)
    for start, end in zip(starts[:-1], starts[1:], strict=True):
        found = np.arange(start, end)
        cost = distances(points[last], seen[last], points[found], seen[found]) if last else np.zeros((0, len(found)))
        if greedy:
            pairs, left = [], cost.copy()
            while left.size and np.isfinite(left).any():
                row, column = np.unravel_index(left.argmin(), left.shape)
                pairs.append((row, column))
                left[row], left[:, column] = np.inf, np.inf
        else:
            pairs = zip(*linear_sum_assignment(cost), strict=True)
        for row, column in pairs:
            numbers[found[column]], last[row] = row, found[column]
        for index in found[numbers[found] < 0]:
            numbers[index] = len(last)
            last.append(index)
    return numbers


@pytest.mark.parametrize("people", range(1, 6))
def test_people_who_cross_stay_themselves(people):
    ours, greedy, plain = [], [], []
    for seed in range(3):
        points, frames, who = scene(people, seed)
        ids = shuffled(frames, people, np.random.default_rng(seed)) if seed else None
        numbers, followed = link_people(points, frames, ids)
        assert not followed or people == 1
        ours.append(share_right(numbers, who))
        greedy.append(share_right(nearest(points, frames, True), who))
        plain.append(share_right(nearest(points, frames, False), who))
        assert len(np.unique(numbers)) <= people + 1
    assert min(ours) > 0.99
    assert people < 3 or (np.mean(ours) > np.mean(greedy) and np.mean(ours) > np.mean(plain))


def test_ids_that_make_sense_are_followed_where_poses_would_not_do():
    points, frames, who = scene(2, 0, missing=0)
    points = points - points[:, [11]] + [900, 500]  # both at one place, and never apart
    points[who == 1] += [5, 0]
    numbers, followed = link_people(points, frames, 10 + who)
    assert followed and share_right(numbers, who) == 1 and len(np.unique(numbers)) == 2


def test_an_id_that_changes_is_the_same_person():
    points, frames, who = scene(3, 1, missing=0)
    ids = np.where((frames > 200) & (who == 1), 77, who)
    numbers, followed = link_people(points, frames, ids)
    assert followed and share_right(numbers, who) == 1 and len(np.unique(numbers)) == 3


def test_whoever_jumps_or_comes_late_is_somebody_else():
    figure = FIGURE[None] * 100 + 500
    points = np.concatenate([figure, figure + 2, figure + 900, figure + 902])
    assert link_people(points, np.arange(4))[0].tolist() == [0, 0, 1, 1]
    late = np.array([0, 1, 3 + MAX_UNSEEN, 4 + MAX_UNSEEN])
    assert link_people(np.repeat(figure, 4, 0), late)[0].tolist() == [0, 0, 1, 1]
    assert link_people(points[:0], np.arange(0))[0].tolist() == []


def test_one_person_is_one_track_with_gaps_and_joints_that_differ():
    points, frames, _ = scene(1, 5)
    assert set(link_people(points, frames)[0]) == {0}
    half = points.copy()
    half[::2, ::2], half[1::2, 1::2] = 0, 0  # no joint in common from one frame to the next
    assert set(link_people(half, frames)[0]) == {0}


def test_many_people_take_bounded_memory():
    rng = np.random.default_rng(0)
    points, frames = rng.uniform(0, 9e3, (64 * 30, 1, 2)) + np.zeros((1, 17, 1)), np.repeat(np.arange(30), 64)
    assert link_people(points, frames)[0].max() < len(points)


def test_tracks_do_not_depend_on_the_unit():
    points, frames, _ = scene(3, 2)
    np.testing.assert_array_equal(link_people(points, frames)[0], link_people(points / 1000, frames)[0])


def test_layout_of_the_figure():
    assert len(FIGURE) == COCO.num_joints


@pytest.mark.parametrize("seed", range(40))
def test_people_who_keep_apart_are_followed_at_once_as_one_by_one(seed):
    """Whatever `steady` answers is what the frames one by one give; and it answers where people keep apart."""
    rng = np.random.default_rng(seed)
    people, frames = int(rng.integers(2, 5)), 30
    pace = rng.uniform(0.2, 14, (people, 1))
    start = np.arange(people)[:, None] * rng.uniform(20, 300)
    centre = start + np.cumsum(rng.normal(0, 1, (people, frames)) * pace, 1)  # (M, T)
    body = rng.uniform(0, 100, (people, 1, 17, 2))
    scene = body + np.stack([centre, np.zeros_like(centre)], -1)[:, :, None]
    scene[rng.random(scene.shape[:3]) < 0.1] = 0
    order = np.array([rng.permutation(people) for _ in range(frames)])  # who is told first differs from frame to frame
    points = scene[order, np.arange(frames)[:, None]].reshape(-1, 17, 2)
    numbers = np.repeat(np.cumsum(rng.integers(1, 4, frames)), people)
    poses = tracking._Poses(points, numbers)
    found = poses.steady()
    if found is not None:
        np.testing.assert_array_equal(found, tracking._Tracks(poses, np.full(len(points), -1)).numbers)
    if start[-1, 0] / (people - 1) > 150 and pace.max() < 2:
        assert found is not None
