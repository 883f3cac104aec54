"""How good a timeline is: by frame, by segment and by the order of segments, the measures of temporal segmentation.

Frames of which the truth says nothing are background, and so are frames for which a timeline has no label. Background
is no class of segments: neither ``f1`` nor ``edit`` sees it, but a label given there is a segment too many. For
``frame_accuracy`` background is one more class, right where both have none.

Reference:
    Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection", CVPR 2017; Abu Farha and Gall,
    "MS-TCN: Multi-Stage Temporal Convolutional Network for Action Segmentation", CVPR 2019.
"""

from bisect import bisect_right

import numpy as np

OVERLAPS = (0.10, 0.25, 0.50)
BACKGROUND = -1


def labels_of(segments, frames, numbers):
    """(T,) int64, the class of each frame and -1 for background; numbers: dict of label to class."""
    labels = np.full(frames, BACKGROUND, np.int64)
    for segment in segments:
        if segment.label is not None:
            labels[segment.start : segment.end] = numbers[segment.label]
    return labels


def segments_of(labels):
    """[(class, start, end)] of the stretches of one class in (T,) labels, without background."""
    labels = np.asarray(labels)
    cuts = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    found = ((int(labels[start]), start, end) for start, end in zip(cuts, cuts[1:], strict=False) if start < end)
    return [segment for segment in found if segment[0] != BACKGROUND]


def matches(true, predicted, overlap):
    """How many predicted segments are right, too many, and how many true ones are missed: (tp, fp, fn).

    In the order of time each predicted segment takes the true one of its class that it overlaps most, by intersection
    over union; it is right where that is at least ``overlap`` and nobody has taken that segment before.

    Args:
        true, predicted: [(class, start, end)] in the order of time, without overlaps. overlap: float in 0..1.
    """
    taken, right, ends = set(), 0, [last for _, _, last in true]
    for kind, start, end in predicted:
        best, place = 0.0, None
        for number in range(bisect_right(ends, start), len(true)):
            other, first, last = true[number]
            if first >= end:
                break
            if other == kind:
                both = min(end, last) - max(start, first)
                share = both / (max(end, last) - min(start, first))
                if share > best:
                    best, place = share, number
        if place is not None and best >= overlap and place not in taken:
            taken.add(place)
            right += 1
    return right, len(predicted) - right, len(true) - right


def f1(counts):
    """2 tp / (2 tp + fp + fn) of (tp, fp, fn); 1 where nothing was to be found and nothing was."""
    right, more, missed = counts
    total = 2 * right + more + missed
    return 2 * right / total if total else 1.0


def edit_score(true, predicted):
    """1 - Levenshtein distance of two orders of segments / the longer's length; 1 where both are empty.

    Args:
        true, predicted: sequences of classes, one for each segment.
    """
    true, predicted = list(true), list(predicted)
    row = list(range(len(predicted) + 1))
    for i, one in enumerate(true, 1):
        before, row = row, [i]
        for j, other in enumerate(predicted, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (one != other)))
    return 1 - row[-1] / max(len(true), len(predicted), 1)


def segment_scores(pairs):
    """All measures over timelines.

    Args:
        pairs: [(true, predicted)] of (T,) int labels of the frames, -1 for background.

    Returns:
        dict, shares in 0..1: frame_accuracy of all frames; labelled_accuracy of those that have a true label (None
        without any); f1 {"10", "25", "50"}, segments counted over all timelines together; edit, the mean over
        timelines; and frames, true_segments, predicted_segments, timelines.

    Raises:
        ValueError: no pair, or two of different lengths.
    """
    if not pairs:
        raise ValueError("timelines: expected one or more, found none")
    counts, edits, right, frames, labelled = np.zeros((len(OVERLAPS), 3), np.int64), [], np.zeros(2, np.int64), 0, 0
    for true, predicted in pairs:
        true, predicted = np.asarray(true), np.asarray(predicted)
        if true.shape != predicted.shape or true.ndim != 1:
            raise ValueError(f"labels: expected two of the same length, found {true.shape} and {predicted.shape}")
        same, there = true == predicted, true != BACKGROUND
        right += [same.sum(), (same & there).sum()]
        frames, labelled = frames + len(true), labelled + int(there.sum())
        parts, found = segments_of(true), segments_of(predicted)
        counts += [matches(parts, found, overlap) for overlap in OVERLAPS]
        edits.append(edit_score([part[0] for part in parts], [part[0] for part in found]))
    return {
        "frame_accuracy": float(right[0] / frames),
        "labelled_accuracy": float(right[1] / labelled) if labelled else None,
        "f1": {f"{100 * o:.0f}": float(f1(c.tolist())) for o, c in zip(OVERLAPS, counts, strict=True)},
        "edit": float(np.mean(edits)),
        "frames": frames,
        "true_segments": int(counts[0, [0, 2]].sum()),
        "predicted_segments": int(counts[0, [0, 1]].sum()),
        "timelines": len(pairs),
    }
