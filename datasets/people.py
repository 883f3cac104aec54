"""Tracks to people: which of the bodies a sensor reported are persons, and who they are over time.

Follows the denoising shared by SGN, CTR-GCN and PYSKL (length, spread, motion), with two of its known flaws
removed: a gap inside a track stays a gap, and a recording whose tracks are all suspicious keeps the best one.
"""

from dataclasses import dataclass

import numpy as np

from .errors import DataError

MIN_FRAMES = 12  # shorter tracks are noise when there are several
SPREAD_RATIO, SPREAD_SHARE = (
    0.8,
    0.69754,
)  # a body wider than 0.8 of its height in so many frames is furniture


@dataclass
class Track:
    """One body id: frames (F,) rising frame numbers, joints (F, 25, 11) float32, the first three x y z,
    metres.
    """

    frames: np.ndarray
    joints: np.ndarray

    @property
    def interval(self):
        """First frame and the frame after the last."""
        return int(self.frames[0]), int(self.frames[-1]) + 1


def assign_people(tracks, people, source):
    """Choose up to `people` persons among tracks.

    Args:
        tracks: dict body id -> Track.
        people: the most persons kept; further bodies are discarded.
        source: what errors name.
    Returns: (M, T, 25, 11) float32, M persons by falling motion, T the frames with at least one of them; zero
        where a person is absent.
    Raises: DataError where no body has a joint in any frame.
    """
    kept = [trimmed for track in tracks.values() for trimmed in [_present(track)] if len(trimmed.frames)]
    if not kept:
        raise DataError(source, "bodies", "a body in one frame or more", "none")
    actors = []  # each [start, end, tracks]
    for track in _denoise(kept):
        start, end = track.interval
        for actor in actors:
            if max(start, actor[0]) >= min(end, actor[1]):  # ends are exclusive: no shared frame
                actor[:2] = min(start, actor[0]), max(end, actor[1])
                actor[2].append(track)
                break
        else:
            if len(actors) < people:
                actors.append([start, end, [track]])
    frames = np.unique(np.concatenate([track.frames for actor in actors for track in actor[2]]))
    output = np.zeros((len(actors), len(frames), *kept[0].joints.shape[1:]), "float32")
    for person, actor in zip(output, actors, strict=True):
        for track in actor[2]:
            person[np.searchsorted(frames, track.frames)] = track.joints
    return output


def _present(track):
    """The track without the frames in which every joint is at the origin."""
    there = track.joints[..., :3].any(axis=(1, 2))
    return track if there.all() else Track(track.frames[there], track.joints[there])


def _denoise(tracks):
    """Tracks that look like persons, by falling motion; never none."""
    if len(tracks) > 1:
        long = [track for track in tracks if len(track.frames) >= MIN_FRAMES]
        tracks = long or [max(tracks, key=lambda track: len(track.frames))]
    motions = [_motion(track.joints) for track in tracks]
    if len(tracks) > 1:
        wide = [_wide_frames(track.joints) for track in tracks]
        shares = [float(frames.mean()) for frames in wide]
        good = [i for i, share in enumerate(shares) if share < SPREAD_SHARE] or [int(np.argmin(shares))]
        for i in good:
            if not wide[i].all():
                motions[i] = min(motions[i], _motion(tracks[i].joints[~wide[i]]))
        tracks, motions = [tracks[i] for i in good], [motions[i] for i in good]
    return [tracks[i] for i in sorted(range(len(tracks)), key=lambda i: -motions[i])]


def _motion(joints):
    """Sum over x, y, z of the variance over all frames and joints, square metres."""
    return float(joints[..., :3].reshape(-1, 3).astype("float64").var(axis=0).sum())


def _wide_frames(joints):
    """(F,) bool, True where a body is wider than SPREAD_RATIO of its height."""
    width, height = np.moveaxis(np.ptp(joints[..., :2], axis=1), -1, 0)
    return width > SPREAD_RATIO * height
