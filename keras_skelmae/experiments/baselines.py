"""What the same clips give without a network: a ridge on their poses, and the nearest clip by dynamic time warping."""

import time

import numpy as np

from keras_skelmae.evaluation.doubts import with_doubts
from keras_skelmae.evaluation.metrics import scores
from skelmae_datasets.runs.splits import protocol_splits, untrained_classes
from skelmae_datasets.transforms.sampling import grid_places, interpolate_frames

FRAMES = 32
BAND = 4  # frames by which two clips may run apart when warped
MOST_COMPARED = 2000  # training clips that every test clip is compared with
PENALTIES = tuple(float(f"1e{power}") for power in range(-2, 5))


def pose_clips(store, indices, frames=FRAMES):
    """Poses of sequences: resampled, missing joints filled in over time, about the body's middle, of one size.

    Args:
        store: SkeletonStore. indices: samples of it.

    Returns:
        (N, M, frames, V, D) float32, M the most people of any, at most 2; zeros for who was never seen.
    """
    dims = store.num_coordinates
    people = int(np.clip(store.people[indices].max(), 1, 2))
    found = np.zeros((len(indices), people, frames, store.layout.num_joints, dims), np.float32)
    for row, index in enumerate(indices):
        recording = store.read(index)[:people, ..., :dims]
        places = grid_places(recording.shape[1], frames)
        clip = _filled(interpolate_frames(recording, places, store.channels[:dims])[:, 0])  # (M, T, V, D)
        seen = clip.any(axis=(1, 2, 3))
        if seen.any():
            middle = clip[seen].mean(axis=(0, 1, 2))
            size = np.sqrt(np.square(clip[seen] - middle).sum(axis=-1).mean())
            found[row, : len(clip)][seen] = (clip[seen] - middle) / max(size, 1e-9)
    return found


def _filled(clip):
    """(M, T, V, D) with joints that were not seen in some frames interpolated, in time; in no frame: at the body's."""
    seen, frames = clip.any(axis=-1), np.arange(clip.shape[1])
    for person, joint in zip(*np.nonzero(seen.any(axis=1) & ~seen.all(axis=1)), strict=True):
        there = np.flatnonzero(seen[person, :, joint])
        for axis in range(clip.shape[-1]):
            clip[person, :, joint, axis] = np.interp(frames, there, clip[person, there, joint, axis])
    for person in np.flatnonzero(seen.any(axis=(1, 2))):
        never = ~seen[person].any(axis=0)
        clip[person][:, never] = clip[person][:, ~never].mean(axis=1, keepdims=True)
    return clip


def ridge(train, labels, test):
    """A ridge regression on one target a class, from poses and their velocities.

    Its penalty is the one of PENALTIES with the least error of leaving one clip out.

    Args:
        train, test: of :func:`pose_clips`. labels: (N,) int.

    Returns:
        (test clips, K) scores, K = 1 + the largest label.
    """
    x, other = (np.concatenate([_rows(clips), _rows(np.diff(clips, axis=2))], axis=1) for clips in (train, test))
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    x, other = (x - mean) / scale, (other - mean) / scale
    target = np.where(np.arange(labels.max() + 1) == labels[:, None], 1.0, -1.0)
    centre = target.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T / x.shape[1])
    turned, best = vectors.T @ (target - centre), (np.inf, None)
    for penalty in PENALTIES:
        shares = values / (values + penalty)
        missed = target - centre - vectors @ (shares[:, None] * turned)
        kept = 1 - np.square(vectors) @ shares - 1 / len(x)  # leaving one out, in closed form
        error = np.square(missed / np.maximum(kept, 1e-6)[:, None]).mean()
        best = min(best, (error, penalty))
    weights = vectors @ (turned / (values + best[1])[:, None])  # (N, K)
    return other @ x.T / x.shape[1] @ weights + centre


def _rows(clips):
    return clips.reshape(len(clips), -1).astype(np.float64)


def warped_distances(clip, others, band=BAND):
    """Squared distances of one clip to others, both warped in time to fit: (N,).

    Args:
        clip: (T, D). others: (N, T, D). band: frames by which the two may run apart.

    Reference:
        Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978.
    """
    frames = len(clip)
    squares = np.square(others).sum(axis=2)[..., None] + np.square(clip).sum(axis=1)  # (N, T, T)
    cost = np.ascontiguousarray((squares - 2 * others @ clip.T).transpose(2, 1, 0))  # (T, T of the others, N)
    path = np.full((frames + 1, frames + 1, len(others)), np.inf, cost.dtype)
    path[0, 0] = 0
    for here in range(frames):
        low, high = max(0, here - band), min(frames, here + band + 1)
        before = np.minimum(path[here, low:high], path[here, low + 1 : high + 1])
        for there in range(low, high):
            nearest = np.minimum(before[there - low], path[here + 1, there])
            path[here + 1, there + 1] = nearest + cost[here, there]
    return path[-1, -1]


def nearest_by_warping(train, labels, test, progress=None):
    """(test clips, K): 1 for the class of the nearest training clip by :func:`warped_distances` of their poses."""
    flat = [np.swapaxes(clips, 1, 2).reshape(len(clips), FRAMES, -1) for clips in (train, test)]
    if len(train) > MOST_COMPARED:
        chosen = np.sort(np.random.default_rng(0).permutation(len(train))[:MOST_COMPARED])
        flat[0], labels = flat[0][chosen], labels[chosen]
    found = np.zeros((len(test), labels.max() + 1))
    for row, clip in enumerate(flat[1]):
        found[row, labels[warped_distances(clip, flat[0]).argmin()]] = 1
        if progress:
            progress(row + 1, len(test))
    return found


BASELINES = {"ridge": "ridge on poses and velocities", "dtw": "nearest clip by time warping"}


def run_baselines(store, train, test, progress=None):
    """Accuracy of both baselines on samples of a store, which have labels.

    Args:
        store: SkeletonStore. train, test: samples of it. progress: called with (done, total) test clips.

    Returns:
        (dict of the keys of BASELINES to dict(top1, mean_class in 0..1, seconds), test clips in which nobody was seen).
    """
    labels, results = store.labels[train], {}
    clips = pose_clips(store, np.concatenate([train, test]))
    clips = clips[: len(train)], clips[len(train) :]
    nobody = ~clips[1].any(axis=(1, 2, 3, 4))
    for name in BASELINES:
        started = time.perf_counter()
        if name == "ridge":
            said = ridge(clips[0], labels, clips[1])
        else:
            said = nearest_by_warping(clips[0], labels, clips[1], progress)
        full = np.full((len(test), len(store.classes)), -1e9)  # no class that was not trained on
        full[:, : said.shape[1]] = said
        full[nobody] = np.nan  # no answer, as of a network
        found = scores(full, store.labels[test], store.classes)
        results[name] = {key: found[key] for key in ("top1", "mean_class")}
        results[name]["seconds"] = round(time.perf_counter() - started, 2)
    return results, int(nobody.sum())


def compare_baselines(store, train_split, test_split, progress=None, allow_overlap=False):
    """:func:`run_baselines` on two splits, as baseline.json holds it.

    Raises:
        DataError: sequences without a label; the splits share sequences, unless ``allow_overlap``; a single class.
    """
    train, test = protocol_splits(store, train_split, test_split, allow_overlap)
    results, nobody = run_baselines(store, train, test, progress)
    return {
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "train_split": train_split,
        "test_split": test_split,
        "num_train": len(train),
        "num_test": len(test),
        "nobody_seen": nobody,
        "untrained": untrained_classes(store, train, test),
        "seen_in_training": int(np.isin(test, train).sum()),
        "results": results,
    }


def baseline_table(found, network=None):
    """The baselines as a Markdown table, and a run's evaluation (dict) of the same split below them."""
    lines = ["| without a network | top-1 % | mean class % | seconds |", "|---|---|---|---|"]
    for name, result in found["results"].items():
        accuracies = " | ".join(f"{100 * result[key]:.1f}" for key in ("top1", "mean_class"))
        lines.append(f"| {BASELINES[name]} | {accuracies} | {result['seconds']:.1f} |")
    if network:
        accuracies = " | ".join(f"{100 * network[key]:.1f}" for key in ("top1", "mean_class"))
        lines.append(f"| the network | {accuracies} | |")
    return with_doubts(lines, found)
