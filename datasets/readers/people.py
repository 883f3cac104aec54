"""Tracks to people: which of the bodies a sensor reported are persons, and who they are over time.

SGN, CTR-GCN and PYSKL share one idea: of several bodies drop the short and the wide, sort by motion, and join the
tracks that do not overlap. They differ in details that change the data, so each is a policy with a name. In all of
them a gap inside a track stays a gap (the published scripts close it up, which shifts what follows in time), and a
recording whose bodies are all suspicious keeps the best one (the published scripts stop with an error).
"""

import math
from dataclasses import dataclass

import numpy as np

from ..errors import DataError

MAX_PEOPLE, MAX_VALUES = 32, 1 << 26  # of one recording, however many tracks it has
MIN_FRAMES = 12  # shorter tracks are noise when there are several
SPREAD_RATIO, SPREAD_SHARE = 0.8, 0.69754  # wider than 0.8 of its height in so many frames: furniture


@dataclass
class Track:
    """One body id: frames (F,) rising frame numbers, joints (F, V, C), of NTU (F, 25, C), x y z in metres first."""

    frames: np.ndarray
    joints: np.ndarray

    @property
    def interval(self):
        """First frame and the frame after the last."""
        return int(self.frames[0]), int(self.frames[-1]) + 1


@dataclass(frozen=True)
class Policy:
    """One way from tracks to people.

    Attributes:
        filtered: drop short and wide tracks when there are several.
        in_turn: judge the width track after track and stop at the last one left (CTR-GCN), so the first of two wide
            tracks goes; else all at once.
        touching: tracks that share only the frame where one ends and the other starts count as apart, and the later
            one in order of motion overwrites it.
        from_start: every person after the first is taken to be busy from frame 0 on (both published scripts start
            the second person with the interval 0, 0).
        inner_gaps: frames without a chosen person are cut at both ends only, else everywhere. Frames in which the
            file has no body at all are never kept.
        swap: where the first frame has only the second person, the two change places.
    """

    filtered: bool = True
    in_turn: bool = False
    touching: bool = False
    from_start: bool = False
    inner_gaps: bool = False
    swap: bool = False


POLICIES = {
    "skelmae": Policy(),
    "pyskl": Policy(from_start=True, inner_gaps=True, swap=True),
    "ctr-gcn": Policy(in_turn=True, touching=True, from_start=True),
    "none": Policy(filtered=False),
}


@dataclass
class Verdict:
    """What became of one track: person is its place among the persons, or None where it was dropped for reason."""

    body: int
    frames: int
    person: int | None = None
    reason: str = ""


def arrange_people(keypoints, channels, people=None):
    """The people of a recording in any format but NTU's, which has its own POLICIES.

    Args:
        keypoints: (M, T, V, C), joints that were not seen zero.
        channels: names of the C channels.
        people: the most persons kept, `MAX_PEOPLE` where None.
    Returns: as `join_tracks`.
    """
    dims = 3 if "z" in channels else 2
    seen = keypoints[..., :dims].any(axis=(2, 3))  # (M, T)
    there = np.flatnonzero(seen.any(1))
    if len(there) <= 1:
        return keypoints[there[:1] if len(there) else slice(1)], 0, 1
    tracks = [Track(np.flatnonzero(seen[m]), keypoints[m][seen[m]]) for m in there]
    return join_tracks(tracks, keypoints.shape[1], channels, people)


def join_tracks(tracks, num_frames, channels, people=None):
    """Tracks as people: those that follow one another are one person, and the best comes first.

    A track continues the person who was last seen nearest to where it starts. The best has the highest sum of scores
    or, without scores, is seen in most frames, then moves most.

    Args:
        tracks: list of Track, joints (F, V, C) with those that were not seen at zero.
        num_frames, channels, people: as `arrange_people`.
    Returns: (keypoints (M, T, V, C), number of tracks joined to another, number of people found).
    Raises: DataError where the result would have more than `MAX_VALUES` values.
    """
    dims, persons = 3 if "z" in channels else 2, []
    for track in sorted(tracks, key=lambda track: track.interval):
        free = [person for person in persons if person[-1].interval[1] <= track.interval[0]]
        if free:
            start = _centre(track.joints[0, :, :dims])
            ends = [_centre(person[-1].joints[-1, :, :dims]) for person in free]
            free[int(np.argmin([np.linalg.norm(end - start) for end in ends]))].append(track)
        else:
            persons.append([track])
    found = len(persons)
    persons = sorted(persons, key=lambda person: _goodness(person, channels), reverse=True)[: people or MAX_PEOPLE]
    shape = (len(persons), num_frames, *tracks[0].joints.shape[1:])
    if math.prod(shape) > MAX_VALUES:
        raise DataError("", "", f"at most {MAX_VALUES} values in a recording", " x ".join(map(str, shape)))
    keypoints = np.zeros(shape, tracks[0].joints.dtype)
    for values, person in zip(keypoints, persons, strict=True):
        for track in person:
            values[track.frames] = track.joints
    return keypoints, len(tracks) - found, found


def _centre(joints):
    """(dims,) mean of the joints seen, of (V, dims)."""
    return joints[joints.any(-1)].mean(axis=0, dtype="float64")


def _goodness(person, channels):
    """What people are ordered by, the higher the better."""
    joints = np.concatenate([track.joints for track in person])
    if "score" in channels:
        return (float(joints[..., channels.index("score")].sum(dtype="float64")),)
    points = joints[joints.any(-1)].astype("float64")
    return len(joints), float(points.var(axis=0).sum())


def assign_people(tracks, people, source, policy="skelmae"):
    """Choose up to `people` persons among tracks.

    Args:
        tracks: dict body id -> Track.
        people: the most persons kept; further bodies are discarded.
        source: what errors name.
        policy: a name of POLICIES.
    Returns: (keypoints, verdicts). Keypoints (M, T, 25, C) float32, M persons by falling motion, T the frames with
        at least one of them; zero where a person is absent. Verdicts: a Verdict for every track.
    Raises: DataError where no body has a joint in any frame, ValueError where the policy is unknown.
    """
    if policy not in POLICIES:
        raise ValueError(f"denoise: expected one of {', '.join(POLICIES)}, found {policy!r}")
    rules = POLICIES[policy]
    verdicts = {body: Verdict(body, len(track.frames)) for body, track in tracks.items()}
    kept = {body: _present(track) for body, track in tracks.items()}
    for body in [body for body, track in kept.items() if not len(track.frames)]:
        verdicts[body].reason = "no joint in any frame"
        del kept[body]
    if not kept:
        raise DataError(source, "bodies", "a body in one frame or more", "none")
    actors = _join(_denoise(kept, rules, verdicts), kept, people, rules, verdicts)
    chosen = [track for actor in actors for track in actor]
    if len(chosen) == 1:
        return chosen[0].joints[None], list(verdicts.values())
    frames = np.unique(np.concatenate([track.frames for track in chosen]))
    if rules.inner_gaps:
        every = np.unique(np.concatenate([track.frames for track in tracks.values()]))
        frames = every[(every >= frames[0]) & (every <= frames[-1])]
    output = np.zeros((len(actors), len(frames), *chosen[0].joints.shape[1:]), "float32")
    for person, actor in zip(output, actors, strict=True):
        for track in actor:
            person[np.searchsorted(frames, track.frames)] = track.joints
    if rules.swap and len(actors) == 2 and output[1, 0, :, :3].any() and not output[0, 0, :, :3].any():
        output = output[::-1]
        for verdict in verdicts.values():
            verdict.person = None if verdict.person is None else 1 - verdict.person
    return output, list(verdicts.values())


def _join(bodies, tracks, people, rules, verdicts):
    """Persons as lists of tracks: each body joins the first that is not busy at its time, or is a new one."""
    actors, busy = [], []  # busy: [start, end] of each
    for body in bodies:
        start, end = tracks[body].interval
        for number, actor in enumerate(actors):
            if max(start, busy[number][0]) + rules.touching >= min(end, busy[number][1]):  # ends are exclusive
                busy[number] = [min(start, busy[number][0]), max(end, busy[number][1])]
                actor.append(tracks[body])
                verdicts[body].person = number
                break
        else:
            if len(actors) < people:
                verdicts[body].person = len(actors)
                busy.append([0 if actors and rules.from_start else start, end])
                actors.append([tracks[body]])
            else:
                verdicts[body].reason = f"overlaps {people} persons with more motion"
    return actors


def _present(track):
    """The track without the frames in which every joint is at the origin."""
    there = track.joints[..., :3].any(axis=(1, 2))
    return track if there.all() else Track(track.frames[there], track.joints[there])


def _denoise(tracks, rules, verdicts):
    """Body ids of the tracks that look like persons, by falling motion; never none."""
    if len(tracks) == 1:
        return list(tracks)
    kept = dict(tracks)
    if rules.filtered:
        for body in [body for body, track in tracks.items() if len(track.frames) < MIN_FRAMES]:
            verdicts[body].reason = f"{len(tracks[body].frames)} frames, fewer than {MIN_FRAMES}"
            del kept[body]
        if not kept:
            body = max(tracks, key=lambda b: len(tracks[b].frames))
            kept, verdicts[body].reason = {body: tracks[body]}, ""
        if len(kept) == 1:
            return list(kept)
    motions = {body: _motion(track.joints) for body, track in kept.items()}
    if rules.filtered:
        wide = {body: _wide_frames(track.joints) for body, track in kept.items()}
        shares = {body: float(frames.mean()) for body, frames in wide.items()}
        for body in list(kept):
            if rules.in_turn and len(kept) == 1:
                break
            if shares[body] >= SPREAD_SHARE:
                verdicts[body].reason = f"wider than {SPREAD_RATIO} of its height in {shares[body]:.0%} of its frames"
                del kept[body]
            elif wide[body].any():
                motions[body] = min(motions[body], _motion(tracks[body].joints[~wide[body]]))
        if not kept:
            body = min(shares, key=shares.get)
            kept, verdicts[body].reason = {body: tracks[body]}, ""
    return sorted(kept, key=lambda body: -motions[body])


def _motion(joints):
    """Sum over x, y, z of the variance over all frames and joints, square metres."""
    return float(joints[..., :3].reshape(-1, 3).astype("float64").var(axis=0).sum())


def _wide_frames(joints):
    """(F,) bool, True where a body is wider than SPREAD_RATIO of its height."""
    width, height = np.moveaxis(np.ptp(joints[..., :2], axis=1), -1, 0)
    return width > SPREAD_RATIO * height
