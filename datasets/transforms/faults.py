"""Faults of pose estimators and of depth sensors, of the kind and size measured in recordings.

`estimator_faults` is fitted to what a 2D estimator found in JHMDB: clips of `train1` with 17 COCO joints, 660 of them,
20,488 frames with somebody. Lengths are relative to the extent, the rms distance of the joints from their centroid
(median 56 pixels in images of 320 x 240). Found there:

- Scores: quantiles of each kind of joint, `SCORES`. As normal numbers by rank, those of elbows and wrists vary between
  clips (86 %), slowly within one (13.7 %) and from frame to frame (0.3 %). They go together within a limb (correlation
  0.89) and in both legs (0.8), less in both arms and the head (0.4), and not at all in arms and legs.
- Joints not seen, with a score of 0.01 or less: 13 % of the ankles, 5 % of the knees, 1 % of the hips and none else, 20
  frames long: legs that the image cuts off. In 11 % of the clips both ankles are lost for more than half the time, in
  4 % both knees. The scores' quantiles and course make them, without a rule of their own.
- Jitter: by fourth differences in time over sqrt(70), in which white noise keeps its size and motion all but vanishes
  (0.0015 and less in motion capture at 30 frames a second). Robust standard deviations by score are 0.025 at 0.1 to
  0.3, 0.030 at 0.4, 0.020 at 0.8, 0.0055 above 0.99; 90 and 99 % quantiles are 3 and 7 times as large as in a normal
  distribution. `WHITE` and `_TAIL` are such that views of motion capture measure the same.
- Slow error cannot be measured without the truth. It is twice the jitter, joined with what ties score s and error in
  MotionBERT's noise (params/d2c_params.pkl), 0.085 (1 / s - 1), and at most 0.35.
- Frames without anybody: 9.8 %; 11 % over all clips. 3 % of the clips never have anybody; of the others 25 % have
  gaps, two each, `GAPS` long, 7.4 % of all their frames.
- Left and right change places from one frame to the next (both nearer to the other's last place by half) in 24 % of the
  clips, at 0.6 to 1.3 % of the steps, in arms as in legs, for `SWAPS` frames. Some of these are limbs that cross.

`sensor_faults`: jitter by the same measure in Northwestern-UCLA (Kinect v1, `xsub5_train_nodup`) is 2.4, 3.0, 3.1 and
5.4 mm in the half metres from 2 to 4 m, along each axis alike: 0.7 mm times the distance in metres to the power 1.5.
IntelliRehabDS (Kinect v2, smoothed by its SDK) has 0.2 to 1.6 mm, and infers 1.7 % of the joints, for `LOSSES` frames.
"""

import functools
from statistics import NormalDist

import numpy as np

from .body_variation import slow_noise
from .presence import MIN_SCORE, is_seen, mask_absent

_SHARES = (0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
SCORES = {  # by kind of joint, quantiles at _SHARES
    "other": (0.328, 0.88, 0.924, 0.966, 0.982, 0.989, 0.992, 0.996, 0.998, 0.999, 0.999, 1, 1, 1, 1),
    "elbow": (0, 0.039, 0.062, 0.135, 0.265, 0.396, 0.523, 0.703, 0.823, 0.9, 0.945, 0.97, 0.985, 0.994, 1),
    "wrist": (0, 0.034, 0.057, 0.114, 0.22, 0.311, 0.402, 0.562, 0.691, 0.805, 0.886, 0.938, 0.97, 0.989, 1),
    "hip": (0, 0.012, 0.028, 0.125, 0.706, 0.911, 0.953, 0.983, 0.993, 0.997, 0.998, 0.999, 1, 1, 1),
    "knee": (0, 0, 0, 0.011, 0.048, 0.121, 0.2, 0.346, 0.488, 0.628, 0.755, 0.863, 0.942, 0.98, 0.999),
    "ankle": (0, 0, 0, 0, 0, 0.015, 0.036, 0.092, 0.188, 0.384, 0.627, 0.811, 0.927, 0.98, 1),
}
_WORDS = {  # in names of joints; the first that fits
    "ankle": ("ankle", "foot", "toe", "heel"),
    "wrist": ("wrist", "hand", "thumb", "pinky", "index"),
    "elbow": ("elbow",),
    "knee": ("knee",),
    "hip": ("hip", "pelvis", "spine_base"),
}
_VARIANCES = np.sqrt(np.array([0.86, 0.137, 0.003], "float32"))  # of scores: clip, slow, frame
_SCORE_POINTS = (0.03, 0.075, 0.15, 0.25, 0.4, 0.6, 0.78, 0.9, 0.97, 1)
WHITE = (0.01, 0.017, 0.02, 0.02, 0.024, 0.02, 0.016, 0.011, 0.007, 0.0044)  # at _SCORE_POINTS, median over time
_SLOW = tuple(
    min(0.35, ((2 * white) ** 2 + (0.085 * (1 / score - 1)) ** 2) ** 0.5)
    for score, white in zip(_SCORE_POINTS, WHITE, strict=True)
)
_TAIL, _MEDIAN = 1.0, 0.885  # exp(n) n': the spread of sizes, and the robust deviation of the whole
GAPS = ((0.05, 0.25, 0.5, 0.75, 0.95, 1), (1, 1, 2, 6, 18, 36))  # (shares, quantiles), frames
SWAPS = ((0.1, 0.25, 0.5, 0.75, 0.9), (1, 1, 3, 6, 14))
LOSSES = ((0.5, 0.75, 0.9, 0.95, 1), (1, 4, 9, 21, 40))
_CLIP, _LONG = 34, 150  # frames of a clip of JHMDB, and those over which what differs between clips changes
_EVENLY = (np.arange(100) + 0.5) / 100
_SENSOR_JITTER = 0.0007  # metres at 1 m


def estimator_faults(
    points, layout, generator, jitter=1.0, slow_jitter=1.0, scored=1.0, gaps=0.25, swaps=0.24, losses=0.0
):
    """What a 2D estimator makes of the true places of a person's joints.

    Args:
        points: (T, V, 2) float, absent joints at zero.
        layout: `SkeletonLayout`.
        generator: `numpy.random.Generator`.
        jitter, slow_jitter: factors on the measured size of the errors from frame to frame and of the slow ones.
        scored: probability that scores are drawn, which tell the size of the errors; else all are 1.
        gaps: probability, in each 34 frames, that the person is lost in some runs of frames.
        swaps: probability, in each 34 frames, that left and right arms or legs change places for a while.
        losses: share of a body part's frames in which it is lost, in runs; JHMDB has none but those by scores.

    Returns:
        (T, V, 3) float32: x, y, score; joints not seen at zero.
    """
    frames = len(points)
    seen = is_seen(points)
    scores = np.ones(seen.shape, np.float32)
    if generator.random() < scored:
        scores = draw_scores(layout, frames, generator)
    extent = body_extent(points, seen)
    moved = points + extent * _errors(scores, generator, jitter, slow_jitter)
    for _ in range(_times(generator, frames, swaps)):
        _swap(moved, seen, layout, generator)
    if losses:
        runs = draw_runs(generator, len(layout.parts), frames, losses, LOSSES)  # (P, T)
        seen = seen & ~(runs.T.astype(np.uint8) @ layout.part_masks.astype(np.uint8)).astype(bool)
    seen = _with_gaps(seen, generator, gaps) & (scores > MIN_SCORE)
    return np.concatenate([moved, scores[..., None]], -1).astype(np.float32) * seen[..., None]


def sensor_faults(points, layout, generator, jitter=1.0, slow_jitter=1.0, gaps=0.0, losses=0.017):
    """What a depth sensor at the origin makes of the true places of a person's joints.

    Args:
        points: (T, V, 3) metres, z the distance from the sensor; absent joints at zero.
        layout, generator, jitter, slow_jitter, gaps: as `estimator_faults`.
        losses: share of each joint's frames in which it is lost, in runs.

    Returns:
        (T, V, 3) float32, joints not seen at zero.
    """
    frames, joints = points.shape[:2]
    seen = is_seen(points)
    size = _SENSOR_JITTER * np.maximum(points[..., 2:], 0) ** 1.5
    moved = points + size * _noise(generator, frames, joints, 3, jitter, 2 * slow_jitter)
    if losses:
        seen = seen & ~draw_runs(generator, joints, frames, losses, LOSSES).T
    return mask_absent(moved.astype(np.float32), _with_gaps(seen, generator, gaps))


def draw_scores(layout, frames, generator):
    """Scores as a 2D estimator gives them, (T, V) float32 in 0..1; see above for what was measured."""
    mixing, kinds = _score_structure(layout)
    rows = mixing.shape[1]
    causes = _VARIANCES[0] * slow_noise(generator, rows, frames, _LONG)
    causes += _VARIANCES[1] * slow_noise(generator, rows, frames)
    causes += _VARIANCES[2] * generator.standard_normal((rows, frames), np.float32)
    normal = mixing @ causes
    scores = np.empty_like(normal)
    for kind, members in kinds:
        scores[members] = np.interp(normal[members], _normal_quantiles(), SCORES[kind])
    return scores.T


def draw_runs(generator, rows, frames, share, lengths):
    """Runs of frames, (rows, T) bool, of lengths drawn by quantiles; about `share` of all are within one."""
    found = np.zeros((rows, frames), bool)
    mean = np.interp(_EVENLY, *lengths).mean()
    for _ in range(generator.poisson(share * rows * frames / mean)):
        row, start = generator.integers(rows), generator.integers(frames)
        found[row, start : start + _run_length(generator, lengths)] = True
    return found


def body_extent(points, seen):
    """Rms distance of the seen joints of (..., V, D) from their centroid in each frame, one number; 0 for nobody."""
    count = np.count_nonzero(seen, axis=-1)[..., None, None]
    centroid = np.ones((1, points.shape[-2]), points.dtype) @ points / np.maximum(count, 1)
    offsets = (points - centroid) * seen[..., None]
    return float(np.sqrt(np.vdot(offsets, offsets) / max(np.count_nonzero(seen), 1)))


def joint_kind(name):
    """The kind of a joint, a key of SCORES, by its name."""
    return next((kind for kind, words in _WORDS.items() if any(word in name for word in words)), "other")


def _times(generator, frames, probability):
    """How often something happens that `probability` of JHMDB's clips have, then twice each on average."""
    clips = generator.binomial(max(1, round(frames / _CLIP)), probability)
    return clips + generator.poisson(clips)


def _with_gaps(seen, generator, probability):
    """The seen joints (T, V), in some runs of frames none."""
    for _ in range(_times(generator, len(seen), probability)):
        start, length = generator.integers(len(seen)), _run_length(generator, GAPS)
        seen[start : start + length] = False
    return seen


def _run_length(generator, lengths):
    return max(1, round(np.interp(generator.random(), *lengths)))


def _errors(scores, generator, jitter, slow_jitter):
    """Errors (T, V, 2), relative to the extent, of the size that goes with each score."""
    frames, joints = scores.shape
    white = np.interp(scores, _SCORE_POINTS, WHITE)[..., None]
    slow = np.interp(scores.mean(0), _SCORE_POINTS, _SLOW)[:, None]
    errors = white * _noise(generator, frames, joints, 2, jitter, 0) if jitter else 0.0
    return errors + slow * _noise(generator, frames, joints, 2, 0, slow_jitter) if slow_jitter else errors


def _noise(generator, frames, joints, dims, jitter, slow_jitter):
    """(T, V, D) noise, robust deviation `jitter` from frame to frame and standard deviation `slow_jitter` slowly."""
    noise = np.zeros((frames, joints, dims), np.float32)
    if jitter:
        sizes = np.exp(_TAIL * slow_noise(generator, joints, frames)).T[..., None]
        noise += jitter / _MEDIAN * sizes * generator.standard_normal(noise.shape, np.float32)
    if slow_jitter:
        slow = slow_noise(generator, joints * dims, frames).reshape(joints, dims, frames)
        noise += slow_jitter * slow.transpose(2, 0, 1)
    return noise


def _swap(points, seen, layout, generator):
    """Exchange left and right, in place, of the arms with the shoulders or of knees and feet, for a run of frames."""
    kinds = ("knee", "ankle") if generator.random() < 0.5 else ("elbow", "wrist", "shoulder")
    start, length = generator.integers(len(points)), _run_length(generator, SWAPS)
    frames = slice(start, start + length)
    for left, right in layout.mirror_pairs:
        name = layout.joints[left]
        if joint_kind(name) in kinds or ("shoulder" in kinds and "shoulder" in name):
            for array in (points, seen):
                array[frames, [left, right]] = array[frames, [right, left]]


@functools.cache
def _score_structure(layout):
    """(V, 2 + P + V) weights of what joints have in common, and [(kind, its joints)]."""
    kinds = [joint_kind(name) for name in layout.joints]
    parts = layout.part_masks.T.astype(float)  # (V, P)
    lower = np.array([kind in ("hip", "knee", "ankle") for kind in kinds])[:, None]
    half = np.where(lower, [0, 0.8], [0.4, 0])
    weights = [half, parts * np.where(lower, 0.1, 0.5), 0.1 * np.eye(len(kinds))]
    members = [(kind, [joint for joint, other in enumerate(kinds) if other == kind]) for kind in SCORES]
    return np.sqrt(np.concatenate(weights, 1)).astype(np.float32), [entry for entry in members if entry[1]]


@functools.cache
def _normal_quantiles():
    inner = [NormalDist().inv_cdf(share) for share in _SHARES[1:-1]]
    return (-4.0, *inner, 4.0)
