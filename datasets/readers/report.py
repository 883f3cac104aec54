"""What every conversion does alike: take samples or leave them out, and tell what was done."""

import re
from collections import Counter

import numpy as np

from ..benchmarks import check_counts
from ..errors import DataError
from ..layouts import default_layout, get_layout, layout_names
from ..store.writer import CHANNELS
from ..transforms.presence import MIN_SCORE, seen_only
from .labels import LabelNote
from .people import MAX_PEOPLE, arrange_people
from .units import UNITS, check_said, in_metres, unit_of
from .upright import AXES, NOT_UP, UpFinder, axis_of, turned

MAX_METRES, MAX_SCORE = 50, 2  # what is larger is given in another unit
_WAITING = 100  # samples whose body does not tell the unit that are held until another does
NEVER_SEEN = "joints that were never seen in "  # how the note of these begins
_NAMED = 8  # joints that a note names

# Layouts of joints in images, whose estimators give a score
OF_IMAGES = ("coco17", "openpose18", "openpose25", "halpe26", "wholebody133", "hand21")
MOST_SCORE = 1.2  # a heat map may exceed 1
COUNTED = {
    "unseen": f"joints at -1, not finite or scored {MIN_SCORE} or lower count as not seen",
    "empty": "sequences in which nobody was seen",
    "still": "sequences are of one frame: they show no motion",
    "gaps": "frames between others in which nobody was seen stay empty",
    "joined": "tracks that began after another had ended go on as the same person",
    "crowded": f"sequences with more than two people, the best first and at most {MAX_PEOPLE} of them",
    "copied": "sequences whose second person only repeated the first",
}
"""What a report counts, and how its notes tell it: `<number> <text>`."""


def with_scores(xyz, asked, notes):
    """The channels of x, y, z with scores beside, all unless x, y, z alone are asked for; a note where they go."""
    if asked == ("x", "y", "z"):
        way = "convert --channels x,y,z,score keeps them"
        notes.append(f"scores beside x, y, z tell what was seen, and are then left out ({way})")
        return xyz
    return (*xyz, "score")


def unscored(points, score, threshold):
    """(..., V, C) points with joints at zero whose score (..., V) is below a threshold."""
    return np.where((score < threshold)[..., None], points.dtype.type(0), points)


def threshold_note(threshold, scored):
    """What is told of a threshold of scores, where there are scores or not."""
    if scored:
        return f"joints scored below {threshold:g} count as not seen"
    return "there are no scores: --min-score has no effect"


class Reason(str):
    """Why a sample was left out, in one line; error is the DataError or OSError that says it."""

    def __new__(cls, error):
        reason = super().__new__(cls, error)
        reason.error = error
        return reason


class Conversion:
    """The samples of one conversion on their way into a StoreWriter.

    Args:
        writer: StoreWriter, entered. source: what errors name. strict: raise on the first bad sample instead of leaving
        it out. people: the most persons kept, all where None. arranged: the reader did `people.arrange_people`'s work.
        notes: what the reader mends, a list that may grow until the end. up: of x, y, z the axis that points up, one of
        `upright.AXES`: they are turned so that y does; None: y is expected, and told where it is not. unit: of x, y, z,
        one of `units.UNITS`: they are put into metres; None: as the size of the body tells, which is then told.
        upright: y is known to be up, and metres are the unit. turned_by: the axis by which readers turned before.
        absent: (V,) True where the layout's joints are known to be missing.
    Attributes: skipped, list of (id, Reason); notes; counts, a Counter of COUNTED.
    """

    def __init__(
        self,
        writer,
        source,
        strict=False,
        people=None,
        arranged=False,
        notes=None,
        up=None,
        unit=None,
        upright=False,
        turned_by=None,
        absent=None,
    ):
        check_said("up", up, AXES, writer.channels)
        check_said("unit", unit, UNITS, writer.channels)
        self.up, self.turned_by, self._finder = up, up or turned_by, None
        deep = "z" in writer.channels
        if deep and not upright:
            self._finder, self._ways = UpFinder(writer.layout.joints), []
        self.unit = unit or (None if self._finder and self._finder.known else "m")
        self._said_unit = unit is not None
        self._told_unit, self._waiting = self.unit is None, []
        self.writer, self.source, self.strict = writer, source, strict
        self.people, self.arranged, self.largest, self.empty = people, arranged, 0, []
        self.skipped, self.notes, self.counts = [], [] if notes is None else notes, Counter()
        self._absent = np.zeros(writer.layout.num_joints, bool) if absent is None else absent
        self._unseen, self._shown = np.zeros(writer.layout.num_joints, "int64"), 0

    def add(self, name, read, metres=False):
        """Take the Sample that `read()` gives, known to be in metres or not; whether it could be used."""
        try:
            sample = read()
            self._take(sample, metres)
        except (DataError, OSError) as error:
            self.leave_out(name, error)
            return False
        return True

    def leave_out(self, name, error):
        """Leave a sample out for this DataError or OSError; raise it where strict."""
        if isinstance(error, DataError) and not error.args[0]:
            error = DataError(self.source, name, *error.args[2:])
        if self.strict:
            raise error from None
        self.skipped.append((name, Reason(error)))

    def _take(self, sample, metres):
        channels, joined = self.writer.channels, 0
        keypoints, unseen = seen_and_not(sample.keypoints, channels)
        found = len(keypoints)
        if not self.arranged:
            keypoints, joined, found = arrange_people(keypoints, channels, self.people)
        sample.keypoints = turned(keypoints, self.up) if self.up else keypoints
        self.counts.update({"unseen": unseen, "joined": joined, "crowded": int(found > 2)})
        if metres and not self._said_unit:
            self._write(sample, "m")
            return
        unit = unit_of(sample.keypoints[..., :3].reshape(-1, *keypoints.shape[2:3], 3))[0] if self._told_unit else None
        if self.unit is None and unit is None and len(self._waiting) < _WAITING:
            self._waiting.append(sample)
            return
        if self.unit is None:
            self._settle(unit)
        if unit not in (None, self.unit):
            raise DataError("", sample.id, f"a body measured in {self.unit} as before, or --unit", f"one of {unit}")
        self._write(sample, self.unit)

    @property
    def num_samples(self):
        """How many samples there are so far."""
        return len(self.writer.ids) + len(self._waiting)

    def _settle(self, unit):
        """What samples are measured in is known, or None: it cannot be; those that waited for it are written."""
        self.unit, self._told_unit = unit or "m", unit is not None
        if self.unit != "m":
            told = f"the size of the bodies is that of people in {unit}: they are stored in metres"
            self.notes.append(f"{told} (--unit of convert and predict says another)")
        waiting, self._waiting = self._waiting, []
        for sample in waiting:
            try:
                self._write(sample, self.unit)
            except (DataError, OSError) as error:
                self.leave_out(sample.id, error)

    def _write(self, sample, unit):
        channels = self.writer.channels
        sample.keypoints = keypoints = in_metres(sample.keypoints, unit)
        self.writer.append(sample)
        if self._finder:
            way = self._finder.way(keypoints[..., :3].reshape(-1, *keypoints.shape[2:3], 3))
            self._ways += [way / np.linalg.norm(way)] if way.any() else []
        self.largest = np.maximum(self.largest, np.abs(keypoints).max(axis=(0, 1, 2)))
        seen = keypoints[..., : 3 if "z" in channels else 2].any(-1)
        there = np.flatnonzero(seen.any(axis=(0, 2)))
        if len(there):
            self._unseen += ~seen.any(axis=(0, 1)) & ~self._absent
            self._shown += 1
        gaps = int(there[-1] - there[0] + 1 - len(there)) if len(there) else 0
        self.empty += [] if len(there) else [sample.id]
        self.counts.update({"empty": int(not len(there)), "gaps": gaps, "still": int(keypoints.shape[1] == 1)})

    def conclude(self, splits, benchmark=None):
        """Name the splits, and note in the store what it is missing.

        Args:
            splits: dict name -> ids. benchmark: the one the samples are named after, with official counts, or None.
        Returns: dict with samples, skipped, people {M: samples}, layout, channels, classes (number), class_counts
            {name: samples}, nobody_seen [ids], splits {name: samples}, split_missing {name: ids not among the samples},
            notes [text], the counts of COUNTED, benchmark (None where less than half of every official count is there:
            the name alone is no proof), counts {split: {found, expected}}, and partial: whether a count differs from
            the official one.
        Raises: DataError where there are no samples.
        """
        writer, skipped = self.writer, self.skipped
        if self._waiting:
            self._settle(None)
        if not writer.ids:
            found = f"{len(skipped)} bad ones; {skipped[0][1]}" if skipped else "none"
            raise DataError(self.source, "samples", "one usable sample or more", found)
        splits = self._tidy(splits)
        missing = writer.set_splits(splits)
        sizes = {name: len(ids) - missing[name] for name, ids in splits.items()}
        benchmark, counts = self._claimed(benchmark, sizes)
        if len(writer.classes) == 1:
            self.notes.append(LabelNote(f"one class only, {writer.classes[0]!r}: there is nothing to tell apart"))
        dims, scored = 3 if "z" in writer.channels else 2, "score" in writer.channels
        if writer.units == "metres" and max(self.largest[:dims]) > MAX_METRES:
            told = f"values up to {max(self.largest[:dims]):g} are stored as metres, which they hardly are"
            self.notes.append(f"{told}: --unit of convert and predict says in what they are")
        if scored and self.largest[-1] > MAX_SCORE:
            self.notes.append(f"scores up to {self.largest[-1]:g} are left as they are, though 1 should be the most")
        up = axis_of(np.median(self._ways, axis=0)) if self._finder and self._ways else None
        if up not in (None, "y"):
            expected = "but y is taken to be up, by the virtual camera and by weights of 3D data"
            way = f"--up={up} of convert and predict turns them, unless they lie there"
            if self.turned_by:
                expected = f"not along y, after --up={self.turned_by} turned them"
                way = "another axis sets them upright, unless they lie there"
            self.notes.append(f"{NOT_UP}{up}, {expected}: {way}")
        self.notes += self._missing()
        self.notes += [f"{self.counts[key]} {text}" for key, text in COUNTED.items() if self.counts[key]]
        partial = any(entry["found"] != entry["expected"] for entry in counts.values())
        writer.provenance |= {"benchmark": benchmark, "skipped": len(skipped), "partial": partial}
        self.notes[:] = dict.fromkeys(self.notes)  # an input read by a conversion of its own has told some
        notes = {"notes": [], "label_notes": []}
        for note in self.notes:
            notes["label_notes" if isinstance(note, LabelNote) else "notes"].append(note)
        notes["nobody_seen"] = self.empty
        writer.provenance |= {key: texts for key, texts in notes.items() if texts}
        return {
            "samples": len(writer.ids),
            "skipped": skipped,
            "people": writer.people,
            "layout": writer.layout.name,
            "channels": list(writer.channels),
            "classes": len(writer.classes),
            "class_counts": writer.class_counts,
            "nobody_seen": self.empty,
            "splits": sizes,
            "split_missing": missing,
            "benchmark": benchmark,
            "counts": counts,
            "partial": partial,
            "notes": self.notes,
            **{key: self.counts[key] for key in COUNTED},
        }

    def _missing(self):
        """A line on joints that whole sequences do not show."""
        gone = np.flatnonzero(self._unseen)
        if len(gone):
            names = [self.writer.layout.joints[joint] for joint in gone[np.argsort(-self._unseen[gone], kind="stable")]]
            most, least = self._unseen[gone].max(), self._unseen[gone].min()
            told = ", ".join(names[:_NAMED]) + (f", ... ({len(names)})" if len(names) > _NAMED else "")
            count = f"{least} to {most}" if least < most else f"{most}"
            yield f"{NEVER_SEEN}{count} of {self._shown} sequences: {told}"

    def _tidy(self, splits):
        """The splits with names that a store can hold and each id once."""
        tidy = {}
        for name, ids in splits.items():
            known = re.sub(r"[/=,]|[^ -~\w]", "_", name).strip("./ ") or "split"
            while known in tidy or known == "all":
                known += "_"
            if known != name:
                self.notes.append(LabelNote(f"split {name!r} is called {known!r}"))
            tidy[known] = list(dict.fromkeys(ids))
            if len(tidy[known]) < len(ids):
                text = f"split {known!r} names {len(ids) - len(tidy[known])} ids more than once, taken once"
                self.notes.append(LabelNote(text))
        return tidy

    def _claimed(self, benchmark, sizes):
        """(benchmark or None, counts): a benchmark's name is given to half of one of its parts or more."""
        counts = check_counts(benchmark, len(self.writer.ids), sizes)
        counts = {name: entry for name, entry in counts.items() if name == "all" or name in sizes}
        if not counts or any(2 * entry["found"] >= entry["expected"] for entry in counts.values()):
            return benchmark, counts
        told = "its splits and classes are taken, but compare with no published figures"
        self.notes.append(LabelNote(f"named as in {benchmark}, but too few to be it: {told}"))
        return None, {}


def seen_and_not(keypoints, channels):
    """(what `seen_only` makes of keypoints, how many joints it has put to zero)."""
    kept = seen_only(keypoints, channels)
    return kept, 0 if kept is keypoints else int((kept != keypoints).any(-1).sum())


def looks_scored(values, layout=None):
    """Whether the third of (..., 3) values is in doubt: like scores in [0, 1], beside x or y beyond 10, like pixels.

    layout: SkeletonLayout; of one that pose estimators have, x and y from 0 to 1 are like parts of an image, too.
    """
    values = seen_only(values, ("x", "y", "z"))
    seen = values[values.any(-1)]
    if not len(seen) or seen[..., 2].min() < 0 or seen[..., 2].max() > MOST_SCORE:
        return False
    flat, of_image = seen[..., :2], layout is not None and layout.name in OF_IMAGES
    return bool(np.abs(flat).max() > 10 or (of_image and flat.min() >= 0 and flat.max() <= MOST_SCORE))


def usual_layout(joints, notes, dims=None):
    """The layout that is usual for so many joints; a note where there are others and dims, 2 or 3, does not tell."""
    skeleton = default_layout(joints)
    names = [name for name in layout_names() if get_layout(name).num_joints == joints]
    if len(names) > 1 and (joints, dims) not in ((17, 2), (25, 3)):
        notes.append(f"{joints} joints are taken for {skeleton.name}'s (convert --layout {' or '.join(names)})")
    return skeleton


def parse_channels(channels):
    """Channels given as a tuple or as text, x,y,score, checked; None for None."""
    if channels is None:
        return None
    given = tuple(part.strip() for part in (channels.split(",") if isinstance(channels, str) else channels))
    if given not in CHANNELS:
        raise DataError("channels", "", " or ".join(map(",".join, CHANNELS)), ",".join(map(str, given)))
    return given
