"""Clips of estimators' files to samples in one form: coordinates, joints and people alike, whatever wrote them."""

import copy
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError
from ..layouts import get_layout
from ..store import Sample
from ..store.writer import check_rate
from ..transforms.presence import MIN_SCORE, seen_only
from .named_joints import in_layout, layout_for
from .people import MAX_PEOPLE, MAX_VALUES, Track, join_tracks
from .rates import evened
from .report import threshold_note, unscored, usual_layout, with_scores
from .tracking import frame_starts, link_people

MAX_IN_FRAME = 2 * MAX_PEOPLE  # people, those with the best scores


@dataclass
class Part:
    """One clip as it was read: its Sample or the error, and what its file tells besides."""

    name: str
    sample: object
    label: int | str = -1
    facts: dict = field(default_factory=dict)
    fps: float | None = None
    metres: bool = False
    id: str = ""


@dataclass
class Result:
    """What became of a recording: its name and form, its parts or the error; notes, and what was counted."""

    name: str
    form: str
    parts: list = field(default_factory=list)
    error: Exception | None = None
    notes: list = field(default_factory=list)
    counts: dict = field(default_factory=dict)


class ClipReader:
    """Reads recordings in one form. Attributes: layout, channels, names, notes; normalized, whether x, y are 0 to 1."""

    def __init__(self, recordings, source, layout, channels, image_size, min_score, people, by_names, source_fps):
        self.by_names, self.source_fps = by_names, check_rate("source_fps", source_fps)
        self.recordings, self.source, self.asked, self.people = recordings, source, channels, people
        self.image_size, self.min_score = _checked_size(image_size), min_score
        self.settings = {"people": people, "channels": channels, "image_size": image_size, "min_score": min_score}
        self.settings["source_fps"] = self.source_fps
        self.names, self.notes = [recording.name for recording in recordings], []
        self.given = None if layout is None else get_layout(layout)
        if min_score is not None and not 0 <= min_score <= 1:
            raise DataError("min_score", "", "0 to 1", min_score)
        self._held, first, problem = None, None, None
        for recording in recordings:
            try:
                found = self._read(recording)
                first = next((c for _, c in found if not isinstance(c, Exception) and len(c.points)), None)
                problem = problem or next((c for _, c in found if isinstance(c, Exception)), None)
            except (DataError, OSError) as error:
                problem = problem or error
                continue
            if first is not None:
                self._held = recording, found
                break
        if first is None:
            raise problem or DataError(source, "", "somebody in one frame or more", "nobody")
        self._decide(first)

    def _read(self, recording):
        asked = ("x", "y", "z") if self.asked and "z" in self.asked else self.asked  # scores come with them
        return recording.read(asked, self.given)

    def _decide(self, clip):
        names = clip.channels
        dims = 3 if "z" in names else 2
        if clip.names is not None:
            chosen = layout_for(clip, self.given, self.by_names, self.source, self.notes)
        elif self.given or clip.layout:
            chosen = self.given or get_layout(clip.layout)
        else:
            chosen = usual_layout(clip.points.shape[1], self.notes, dims)
        joints = in_layout(clip, chosen).shape[1]
        if chosen.num_joints != joints:
            raise DataError(self.source, "joints", f"{chosen.num_joints} ({chosen.name})", joints)
        self.layout = chosen
        self._scores_count = scored = "score" in names and bool((np.nan_to_num(clip.points[..., -1]) > MIN_SCORE).any())
        if "score" in names and not scored:
            self.notes.append(f"no score is above {MIN_SCORE}: they say nothing and are left out")
        if scored and _are_flags(clip.points[..., -1]):
            scored = False
            self.notes.append("flags 0, 1, 2 of joints tell what was labelled, and are then left out")
        self.channels = ("x", "y", "z")[:dims]
        if scored:
            self.channels = with_scores(self.channels, self.asked, self.notes)
        if self.min_score is not None:
            self.notes.append(threshold_note(self.min_score, self._scores_count))
        if self.asked not in (None, self.channels, ("y", "x", "score")):
            raise DataError(self.source, "channels", ",".join(self.asked), ",".join(self.channels))
        self.normalized = bool(clip.is_normalized) and dims == 2
        if self.normalized and self.image_size is None:
            way = "--image-size W,H of convert and predict makes them pixels"
            self.notes.append(f"x and y are 0 to 1 and kept so, in an image of 1 x 1: {way}")

    def own_labels(self):
        """Labels that the files themselves have."""
        found = set()
        for recording in self.recordings:
            if recording.labelled:
                try:
                    found |= {c.label for _, c in self._read(recording) if not isinstance(c, Exception)}
                except (DataError, OSError):
                    continue  # told when it is converted
        return found

    def alone(self):
        """A copy to be sent to other processes."""
        other = copy.copy(self)
        other.recordings, other.names, other._held = [], [], None
        return other

    def result(self, recording):
        """The Result of a recording."""
        held, self._held = self._held, None
        if held and held[0] is not recording:
            held, self._held = None, held
        try:
            found = held[1] if held else self._read(recording)
        except (DataError, OSError) as error:
            return Result(recording.name, recording.form, error=error)
        result = Result(recording.name, recording.form, counts=Counter())
        for place, clip in found:
            name = f"{recording.name}-{place}" if place else recording.name
            if isinstance(clip, Exception):
                result.parts.append(Part(name, clip))
                continue
            result.counts.update(clip.counts)
            try:
                sample = self.sample(name, clip, result)
                if clip.seconds is not None and self.source_fps is None:
                    sample.keypoints, note = evened(sample.keypoints, clip.seconds, clip.fps, self.channels)
                    clip.notes.append(note)
            except DataError as error:
                sample = error
            result.notes += [note for note in clip.notes if note not in result.notes]
            result.parts.append(Part(name, sample, clip.label, clip.facts, clip.fps, clip.metres, clip.id))
        return result

    def sample(self, name, clip, result):
        """The Sample of a Clip, without what labels tell; what was done on the way is told to the Result."""
        if clip.layout and clip.names is None and self.given is None and get_layout(clip.layout) != self.layout:
            raise DataError("", name, f"joints of {self.layout.name} as before", get_layout(clip.layout).name)
        size = self._size(clip)
        empty = np.zeros((1, max(1, clip.length), self.layout.num_joints, len(self.channels)), "float32")
        if not len(clip.points):
            return Sample(name, empty, image_size=size)
        clip.points = in_layout(clip, self.layout)
        if clip.points.shape[1] != self.layout.num_joints:
            raise DataError("", name, f"{self.layout.num_joints} joints ({self.layout.name})", clip.points.shape[1])
        if clip.length * clip.points[0].size > MAX_VALUES:
            raise DataError("", name, f"frames within {MAX_VALUES} values", f"{clip.length} frames")
        given, points = clip.points, self._points(clip, name)
        result.counts["unseen"] += int((np.nan_to_num(given[..., :2]).any(-1) & ~points.any(-1)).sum())
        normalized = clip.is_normalized
        if normalized is not None and "z" not in self.channels and normalized != self.normalized:
            kinds = ["pixels", "0 to 1"]
            raise DataError("", name, f"x and y in {kinds[self.normalized]} as before", kinds[not self.normalized])
        if self.normalized and self.image_size:
            points[..., :2] *= np.float32(self.image_size)
        rows = np.flatnonzero(points.any(axis=(1, 2)))
        rows = rows[_best_of_frames(points[rows], clip.frames[rows], self.channels)]
        points, frames = points[rows], clip.frames[rows]
        if not len(rows):
            return Sample(name, empty, image_size=size)
        if clip.arranged:
            ids = clip.ids[rows]
            keypoints = np.zeros((int(ids.max()) + 1, *empty.shape[1:]), "float32")
            keypoints[ids, frames] = points
            return Sample(name, keypoints[: self.people], image_size=size)
        dims = 3 if "z" in self.channels else 2
        numbers, followed = link_people(points[..., :dims], frames, clip.ids[rows])
        if (clip.ids[rows] >= 0).any() and not followed:
            result.notes.append("people would have to jump for their ids: joined by the nearest pose")
        order = np.argsort(numbers, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
        tracks = [Track(frames[part], points[part]) for part in parts]
        keypoints, joined, _ = join_tracks(tracks, clip.length, self.channels, self.people)
        result.counts["joined"] += joined
        return Sample(name, keypoints, image_size=size)

    def _points(self, clip, name):
        """(N, V, C) in the store's channels, joints that were not seen zero."""
        names, points = clip.channels, clip.points
        if ("z" in names) != ("z" in self.channels):
            raise DataError("", name, f"{','.join(self.channels)} as before", ",".join(names))
        if "score" in names:
            score = points[..., -1]
            use = "score" in self.channels or self._scores_count
            if use and self.min_score is not None and not _are_flags(score):
                points = unscored(points, score, self.min_score)
            points = points if use else points[..., :-1]
            names = names if use else names[:-1]
        points = seen_only(points, names)
        if "score" in self.channels and "score" not in names:
            points = np.concatenate([points, points.any(-1, keepdims=True)], -1, dtype="float32")
        return np.array(points[..., : len(self.channels)])

    def _size(self, clip):
        if self.image_size:
            return self.image_size[::-1]
        return (1, 1) if self.normalized else clip.image_size


def _checked_size(size):
    if size is None:
        return None
    width, height = size
    if not all(isinstance(side, int) and 0 < side < 2**20 for side in (width, height)):
        raise DataError("image_size", "", "width and height in pixels", size)
    return width, height


def _are_flags(scores):
    """Whether scores are COCO's 0 (not labelled), 1 (hidden) and 2."""
    return bool(len(scores) and np.isin(scores, (0, 1, 2)).all() and scores.max() == 2)


def _best_of_frames(points, frames, channels):
    """Rows of (N, V, C) with at most `MAX_IN_FRAME` of a frame, of the best scores or most joints; in their order."""
    if not len(frames) or np.diff(frame_starts(frames)).max() <= MAX_IN_FRAME:
        return np.arange(len(frames))
    worth = points[..., -1].sum(-1) if "score" in channels else points.any(-1).sum(-1)
    order = np.lexsort((-worth, frames))
    starts = frame_starts(frames)
    rank = np.arange(len(order)) - np.repeat(starts[:-1], np.diff(starts))
    return np.sort(order[rank < MAX_IN_FRAME])
