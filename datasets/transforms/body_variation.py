"""Other bodies and another pace from a 3D recording: limb lengths, mirror image, time.

Pure functions. Arrays are (..., T, V, 3) in metres with y up; a joint at exactly zero is absent and stays so.
"""

import functools

import numpy as np

from .presence import is_seen, mask_absent


def slow_noise(generator, rows, frames, spacing=9):
    """Noise of unit variance, drawn at key frames and interpolated between them.

    Args:
        generator: `numpy.random.Generator`.
        rows: how many courses, int.
        frames: T.
        spacing: frames from one key frame to the next.

    Returns:
        (rows, T) float32.
    """
    keys = generator.standard_normal((rows, frames // spacing + 2), np.float32)
    before, leaving, coming = _between(frames, spacing)
    return keys.take(before, 1) * leaving + keys.take(before + 1, 1) * coming


@functools.lru_cache(64)
def _between(frames, spacing):
    """The key frame before each frame, and the weights of it and of the next, of squared sum 1; (T,) each."""
    times = np.arange(frames) / spacing
    before = times.astype(np.int64)
    share = times - before
    share *= share * (3 - 2 * share)  # no kinks
    spread = np.sqrt(share**2 + (1 - share) ** 2)
    return before, ((1 - share) / spread).astype(np.float32), (share / spread).astype(np.float32)


def warp_places(num_frames, length, generator, speed=(1.0, 1.0), warp=0.0):
    """Places in time of a clip that goes faster, slower and unevenly.

    Args:
        num_frames: frames of the recording, at least 1.
        length: frames of the clip, at least 1.
        generator: `numpy.random.Generator`.
        speed: (least, most) frames of the recording per frame of the clip; drawn evenly on a logarithmic scale, and
            no faster than the recording is long.
        warp: standard deviation of the logarithm of the pace, which changes slowly.

    Returns:
        (length,) float64 in 0..num_frames - 1, rising, for `sampling.interpolate_frames`.

    Raises:
        ValueError: a count below 1, or a speed that is not positive or not least first.
    """
    if num_frames < 1 or length < 1 or not 0 < speed[0] <= speed[1]:
        raise ValueError(f"expected 1 frame or more and 0 < speed, found {num_frames}, {length}, {tuple(speed)}")
    if num_frames == 1 or length == 1:
        return np.full(length, generator.integers(num_frames), float)
    window = min((length - 1) * np.exp(generator.uniform(*np.log(speed))), num_frames - 1)
    pace = np.exp(warp * slow_noise(generator, 1, length - 1)[0].astype(float))
    places = np.concatenate([[0], np.cumsum(pace)])
    return generator.uniform(0, num_frames - 1 - window) + places * (window / places[-1])


def mirror_body(clip, layout):
    """The mirror image: x changes its sign, left and right their joints. Twice gives the clip again."""
    return clip[..., layout.mirror, :] * np.array([-1, 1, 1], clip.dtype)


def scale_bones(clip, layout, generator, amount):
    """Change the length of each bone of the tree by a factor within 1 +- amount, directions kept, both sides alike.

    Where a person is seen in part the tree has gaps, and the clip is returned as it is.

    Args:
        clip: (..., T, V, 3).
        layout: `SkeletonLayout`; its edges as a tree from the root.
        generator: `numpy.random.Generator`.
        amount: below 1.

    Returns:
        Array like clip.
    """
    factors = 1 + amount * generator.uniform(-1, 1, layout.num_joints)
    seen = is_seen(clip)
    somebody = seen.any(-1, keepdims=True)
    if not amount or (somebody != seen).any():
        return clip
    parents, paths, bones = _tree(layout)
    for left, right in layout.mirror_pairs:
        factors[right] = factors[left]
    factors[parents == np.arange(len(parents))] = 1
    return mask_absent(((paths * factors) @ bones).astype(clip.dtype) @ clip, somebody)


@functools.cache
def _tree(layout):
    """(V,) parents, (V, V) bones as differences of joints, and which of them lead to a joint; a root's is its place."""
    parents = np.array(bone_parents(layout))
    bones = np.eye(layout.num_joints)
    for joint in np.flatnonzero(parents != np.arange(len(parents))):
        bones[joint, parents[joint]] = -1
    return parents, np.rint(np.linalg.inv(bones)), bones


def bone_parents(layout):
    """Each joint's neighbour on the way to the root, (V,) ints; a joint without one, such as the root, has itself."""
    parents, known = list(range(layout.num_joints)), set()
    for start in (layout.root, *range(layout.num_joints)):
        waiting = [] if start in known else [start]
        known.update(waiting)
        for joint in waiting:  # it grows
            for other in np.flatnonzero(layout.adjacency[joint]).tolist():
                if other not in known:
                    parents[other] = joint
                    known.add(other)
                    waiting.append(other)
    return tuple(parents)
