"""Tracks to people: which of the bodies a sensor reported are persons, and who they are over time.

SGN, CTR-GCN and PYSKL share one idea: of several bodies drop the short and the wide, sort by motion, and join the
tracks that do not overlap. They differ in details that change the data, so each is a policy with a name. In all of
them a gap inside a track stays a gap (the published scripts close it up, which shifts what follows in time), and a
recording whose bodies are all suspicious keeps the best one (the published scripts stop with an error).
"""

from dataclasses import dataclass

import numpy as np

from ..errors import DataError

MIN_FRAMES = 12  # shorter tracks are noise when there are several
SPREAD_RATIO, SPREAD_SHARE = 0.8, 0.69754  # wider than 0.8 of its height in so many frames: furniture


@dataclass
class Track:
    """One body id: frames (F,) rising frame numbers, joints (F, 25, C) float32, the first three x y z, metres."""

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
