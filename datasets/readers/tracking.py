"""People of single frames to tracks: who is who from one frame to the next, by the nearest pose and by ids.

A track expects its person where its last movement leads. Detections and tracks are paired so that the sum of the
distances is the least (Hungarian method), and no pair is farther apart than a gate: whoever is, begins a new track.
Ids that an estimator gives are kept, unless people would have to jump for them.
"""

import numpy as np

from .people import MAX_PEOPLE

MAX_UNSEEN = 30  # frames a track waits for its person
_GATE, _GATE_GROWTH, _MAX_GATE = 0.5, 0.1, 1.5  # in body sizes: of the next frame, more for each one missed
_SMOOTHING, _LEAD = 0.5, 10  # of the movement; frames that it is continued without a sight
_MAX_TRACKS = 4 * MAX_PEOPLE  # that wait at a time
_MAX_STEADY = 8  # people that are followed in all frames at once
_JUMPS = 1.5  # ids that cost as many times the nearest poses are none


def link_people(points, frames, ids=None):
    """Which track each detection belongs to.

    Args:
        points: (N, V, D) coordinates, joints that were not seen zero; each detection has one or more.
        frames: (N,) int64, rising. ids: (N,) int64, -1 where there is none; None for no ids at all.
    Returns: ((N,) int64 numbers of tracks from 0, whether the ids were followed).
    Source: linear assignment is SciPy's `linear_sum_assignment`.
    """
    if not len(points):
        return np.zeros(0, "int64"), False
    points = points.astype("float64")
    poses = _Poses(points, frames)
    followed = ids is not None and (ids >= 0).any() and poses.agree_with(ids)
    if not followed and poses.is_one():
        return np.zeros(len(points), "int64"), False
    if not followed and (numbers := poses.steady()) is not None:
        return numbers, False
    return _Tracks(poses, ids if followed else np.full(len(points), -1)).numbers, followed


def frame_starts(frames):
    """Where each frame begins in rising frame numbers (N,), and N: (number of frames + 1,)."""
    return np.concatenate([[0], np.flatnonzero(np.diff(frames)) + 1, [len(frames)]])


def distances(one, one_seen, other, other_seen):
    """(K, L) mean distance of the joints that both have, of (K, V, D) and (L, V, D); of their centres if none."""
    both = one_seen[:, None] & other_seen[None]  # (K, L, V)
    apart = np.linalg.norm(one[:, None] - other[None], axis=-1)
    count = both.sum(-1)
    found = (apart * both).sum(-1) / np.maximum(count, 1)
    if not count.all():
        centres = (_centres(points, seen) for points, seen in ((one, one_seen), (other, other_seen)))
        first, second = centres
        found = np.where(count > 0, found, np.linalg.norm(first[:, None] - second[None], axis=-1))
    return found


def _centres(points, seen):
    return (points * seen[..., None]).sum(1) / np.maximum(seen.sum(1), 1)[:, None]


def gate(unseen):
    """How far, in body sizes, a person may be from where they are expected, `unseen` frames after the last sight."""
    return np.minimum(_GATE + _GATE_GROWTH * (unseen - 1), _MAX_GATE)


class _Poses:
    """The detections. Attributes: points, seen (N, V), sizes (N,) the larger side of each, frames, starts."""

    def __init__(self, points, frames):
        self.points, self.frames, self.starts = points, frames, frame_starts(frames)
        self.seen = points.any(-1)
        low = np.where(self.seen[..., None], points, np.inf).min(1)
        high = np.where(self.seen[..., None], points, -np.inf).max(1)
        size = (high - low).max(-1)
        usual = np.median(size[size > 0]) if (size > 0).any() else 1.0
        self.sizes = np.maximum(size, 0.3 * usual)  # of those seen in part

    def is_one(self):
        """Whether nobody is ever beside another and nobody jumps: one person."""
        if len(self.starts) - 1 < len(self.points):
            return False
        both = self.seen[1:] & self.seen[:-1]
        apart = np.linalg.norm(self.points[1:] - self.points[:-1], axis=-1)
        count = both.sum(1)
        mean = (apart * both).sum(1) / np.maximum(count, 1)
        gaps = np.diff(self.frames)
        return bool((count > 0).all() and (mean <= gate(gaps) * self.sizes[:-1]).all() and (gaps <= MAX_UNSEEN).all())

    def steady(self):
        """(N,) tracks where the same few people are in every frame and nobody comes near another; None elsewhere.

        Found for all frames at once, and proven to be what `_Tracks` finds: that expects a person within `most` per
        frame of the last sight, `most` being the longest way from one frame to the next. So if all are within the gate
        by more than that, and every other is farther by more than twice that, each row of its costs has its least in
        another column, and their sum is the least.
        """
        counts = np.diff(self.starts)
        people, length = int(counts[0]), len(counts)
        if not 1 < people <= _MAX_STEADY or (counts != people).any() or length < 2:
            return None
        points = self.points.reshape(length, people, *self.points.shape[1:])
        seen = self.seen.reshape(length, people, -1)
        cost = np.empty((length - 1, people, people))  # (T - 1, before, after)
        for before in range(people):
            for after in range(people):
                both = seen[:-1, before] & seen[1:, after]  # (T - 1, V)
                apart = points[1:, after] - points[:-1, before]
                apart = np.sqrt(np.einsum("tvd,tvd->tv", apart, apart))
                count = both.sum(1)
                if not count.all():
                    return None
                cost[:, before, after] = (apart * both).sum(1) / count
        nearest = cost.argmin(2)
        own = np.take_along_axis(cost, nearest[..., None], 2)[..., 0]  # (T - 1, people)
        np.put_along_axis(cost, nearest[..., None], np.inf, 2)
        gaps = np.diff(self.frames[self.starts[:-1]])
        most = own.max() * np.minimum(gaps, _LEAD)
        near = own + most[:, None] <= gate(gaps)[:, None] * self.sizes.min()
        clear = own + 2 * most[:, None] < cost.min(2)
        if not (near & clear).all() or (np.sort(nearest, 1) != np.arange(people)).any() or gaps.max() > MAX_UNSEEN:
            return None
        numbers, at = [list(range(people))], list(range(people))
        for to in nearest.tolist():
            now = [0] * people
            for before, after in enumerate(to):
                now[after] = at[before]
            numbers.append(now)
            at = now
        return np.array(numbers, "int64").ravel()

    def agree_with(self, ids):
        """Whether people move about as little by their ids as by the nearest poses, from each frame to the next."""
        by_id = nearest = 0.0
        for start, middle, end in zip(self.starts[:-2], self.starts[1:-1], self.starts[2:], strict=True):
            before, after = ids[start:middle], ids[middle:end]
            one = start + np.flatnonzero(np.isin(before, after) & (before >= 0))
            if len(one) < 2 or len(np.unique(ids[one])) < len(one):
                continue
            other = middle + np.array([np.flatnonzero(after == ids[index])[0] for index in one])
            cost = distances(self.points[one], self.seen[one], self.points[other], self.seen[other])
            by_id += float(np.trace(cost))
            nearest += float(cost[_assign(cost)].sum())
        return by_id <= _JUMPS * nearest + 1e-9


class _Tracks:
    """Follows the detections through the frames. Attributes: numbers (N,) int64, the track of each."""

    def __init__(self, poses, ids):
        self.poses, self.ids, self.count = poses, ids, 0
        self.numbers = np.full(len(ids), -1)
        self.by_id = {}  # id -> number of its track
        width = poses.points.shape[1:]
        self.number, self.time, self.size = np.zeros(0, "int64"), np.zeros(0, "int64"), np.zeros(0)  # of those waiting
        self.last, self.seen, self.speed = np.zeros((0, *width)), np.zeros((0, width[0]), bool), np.zeros((0, width[1]))
        for start, end in zip(poses.starts[:-1], poses.starts[1:], strict=True):
            self._frame(np.arange(start, end))

    def _frame(self, found):
        poses, now = self.poses, self.poses.frames[found[0]]
        for index in found[self.ids[found] >= 0]:
            self.numbers[index] = self.by_id.get(int(self.ids[index]), -1)
        free, known = found[self.numbers[found] < 0], found[self.numbers[found] >= 0]
        keep = (now - self.time <= MAX_UNSEEN) & (np.argsort(np.argsort(-self.time, kind="stable")) < _MAX_TRACKS)
        self._keep(keep)
        rows = np.flatnonzero(~np.isin(self.number, self.numbers[known]))
        if len(rows) and len(free):
            unseen = now - self.time[rows]
            lead = np.minimum(unseen, _LEAD)[:, None]
            expected = self.last[rows] + (self.speed[rows] * lead)[:, None]
            cost = distances(expected, self.seen[rows], poses.points[free], poses.seen[free]) / self.size[rows, None]
            allowed = cost <= gate(unseen)[:, None]
            row, column = _assign(np.where(allowed, cost, 1e6))
            fits = allowed[row, column]
            self.numbers[free[column[fits]]] = self.number[rows[row[fits]]]
        for index in free:
            if self.numbers[index] < 0:
                self.numbers[index], self.count = self.count, self.count + 1
            if self.ids[index] >= 0:
                self.by_id[int(self.ids[index])] = int(self.numbers[index])
        self._move(found, now)

    def _keep(self, rows):
        if not rows.all():
            for name in ("number", "time", "size", "last", "seen", "speed"):
                setattr(self, name, getattr(self, name)[rows])

    def _move(self, found, now):
        """Take the detections of a frame as the last sight of their tracks."""
        poses, numbers = self.poses, self.numbers[found]
        place = {number: row for row, number in enumerate(self.number.tolist())}
        rows = np.array([place.get(number, -1) for number in numbers.tolist()])
        old, new = rows >= 0, found[rows < 0]
        rows, index = rows[old], found[old]
        points, seen, before = poses.points[index], poses.seen[index], self.seen[rows]
        both = seen & before
        step = ((points - self.last[rows]) * both[..., None]).sum(1) / np.maximum(both.sum(1), 1)[:, None]
        step /= np.maximum(now - self.time[rows], 1)[:, None]
        self.speed[rows] = np.where(both.any(1)[:, None], (1 - _SMOOTHING) * self.speed[rows] + _SMOOTHING * step, 0)
        self.last[rows], self.seen[rows], self.time[rows] = points, seen, now
        self.size[rows] = 0.8 * self.size[rows] + 0.2 * poses.sizes[index]
        if not len(new):
            return
        self.number = np.append(self.number, self.numbers[new])
        self.time, self.size = np.append(self.time, np.full(len(new), now)), np.append(self.size, poses.sizes[new])
        self.last, self.seen = np.append(self.last, poses.points[new], 0), np.append(self.seen, poses.seen[new], 0)
        self.speed = np.append(self.speed, np.zeros((len(new), self.speed.shape[1])), 0)


def _assign(cost):
    """(rows, columns) of the pairs with the least sum of costs (K, L)."""
    if cost.size == 1:
        return np.zeros(1, "int64"), np.zeros(1, "int64")
    from scipy.optimize import linear_sum_assignment  # takes as long to import as all of NumPy

    return linear_sum_assignment(cost)
