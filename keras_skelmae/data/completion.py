"""Batches for a MotionCompletion: two spoiled views of a clip beside the clean motion."""

from dataclasses import replace

import numpy as np

from keras_skelmae.data.batches import SequenceSource
from keras_skelmae.data.unlabelled import ViewBatches
from skelmae_datasets.transforms.camera import ESTIMATOR, SENSOR, relative_to_hips, see, vary
from skelmae_datasets.transforms.masking import sample_part_masks
from skelmae_datasets.transforms.sampling import interpolate_frames

CLIP_FRAMES = (20, 110)  # least and most frames of a recording that become a clip
OVERLAP = 0.7  # of the clip, at least, is in each view
DENSER = 1.5  # frames of the clip from which views of num_frames are taken


class CompletionBatches(ViewBatches):
    """Batches ``({"keypoints", "other", "clean", "known", "label"},)`` as MotionCompletion takes them.

    Of a store in 3D a clip is a stretch of a recording at another pace, its body's bones scaled, mirrored, its limbs
    maybe those of another clip; then two cameras drawn at random see it, each a part of its time, with an estimator's
    faults (models of 2 coordinates) or a sensor's. Recordings are drawn by label: every label as often, every frame of
    it as often, since motion capture is uneven; there are as many clips in an epoch as fit into the recordings.

    Of a store in 2D both views are the recording, cut, moved and turned as ``augment`` says; what is to be completed
    is what masks hide.

    Then half of the views lack body parts, all the time or half of it, and joints.

    Args:
        model: MotionCompletion. view: dict with node_drop, the share of joints that these views lack, and part_drop,
            how probable it is that a view lacks a body part. Others as in SkeletonBatches.
    """

    def __init__(self, source, indices, model, *, view=None, **options):
        source = source if isinstance(source, SequenceSource) else SequenceSource(source)
        store = source.store
        self.clips = model.preprocessor
        self.lifted = store.num_coordinates == 3
        self.variation = ESTIMATOR if self.clips.num_coordinates == 2 else SENSOR
        self.camera = self.variation.without_variation()
        own = type(self.clips).for_data(store, self.clips.num_frames, 1) if self.lifted else self.clips
        super().__init__(source, indices, own, view=view, each_person=True, **options)
        if not self.lifted:
            self.clips = self.preprocessor

    def _order(self):
        """The items of an epoch: of recordings in 3D drawn by label, as many as there are clips in them."""
        if not self.lifted:
            super()._order()
            return
        indices = [index for index, _ in self.items]
        frames, labels = self.store.frames[indices].astype(float), self.store.labels[indices]
        share = frames.copy()
        for label in np.unique(labels):
            share[labels == label] /= frames[labels == label].sum()
        count = max(self.batch_size, round(frames.sum() / np.mean(CLIP_FRAMES)))
        rng = np.random.default_rng([self.seed, self.epoch])
        self.order = rng.choice(len(frames), count, p=share / share.sum())

    def make(self, chosen, rng):
        x, clean, known = self._lifted(chosen, rng) if self.lifted else self._as_recorded(chosen, rng)
        x[self._hidden(len(chosen), rng)] = 0
        labels = self.store.labels[[index for index, _ in chosen]].astype("int32")
        given = {"clean": clean.swapaxes(0, 1), "known": known.swapaxes(0, 1).astype("float32"), "label": labels}
        return ({"keypoints": x[0], "other": x[1], **given},)

    def _hidden(self, count, rng):
        """(2, B, 1, T, V) bool, True = hidden in that view."""
        frames, joints, layout = *self.clips.clip_shape[1:3], self.clips.layout
        hidden = sample_part_masks(layout, (2, count, frames), rng, num_parts=1)  # (2, B, T, V)
        start = rng.integers(0, frames // 2 + 1, (2, count, 1)) * (rng.random((2, count, 1)) < 0.5)
        stop = np.where(start > 0, start + frames // 2, frames)
        now = (np.arange(frames) >= start) & (np.arange(frames) < stop)
        hidden &= (now & (rng.random((2, count, 1)) < self.view["part_drop"]))[..., None]
        gone = rng.random((2, count, 1, joints)) < self.view["node_drop"]
        return (hidden | gone & (rng.random((2, count, 1, 1)) < 0.5))[:, :, None]

    def _as_recorded(self, chosen, rng):
        x = np.stack([self.keypoints(chosen, rng) for _ in range(2)])  # (2, B, 1, T, V, C)
        clean, known = (
            np.zeros((*x.shape[:2], *x.shape[3:5], self.dims), np.float32),
            np.zeros(x[:, :, 0, ..., 0].shape, bool),
        )
        for place in np.ndindex(*x.shape[:2]):
            goal, there = relative_to_hips(x[place][..., : self.dims], self.clips.layout)
            clean[place], known[place] = goal[0], there[0]
        return x, clean, known

    def _lifted(self, chosen, rng):
        _, frames, joints, channels = self.clips.clip_shape
        shape = (2, len(chosen), frames, joints)
        x = np.zeros((*shape[:2], 1, *shape[2:], channels), np.float32)
        clean, known = np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
        clips = [self._stretch(index, person, rng) for index, person in chosen]
        length = round(DENSER * frames)
        for row, clip in enumerate(clips):
            pace = max(len(clip) - 1, 1) / (length - 1)
            settings = replace(self.variation, speed=(pace, pace))
            body = vary(clip, self.clips.layout, rng, settings, clips[rng.integers(len(clips))], length)
            for side in range(2):
                lasts = rng.uniform(OVERLAP, 1) * (length - 1)
                places = rng.uniform(0, length - 1 - lasts) + np.linspace(0, lasts, frames)
                part = interpolate_frames(body, places[None], ("x", "y", "z"))[:, 0]
                seen = see(part, self.clips.layout, rng, self.camera)
                x[side, row], clean[side, row] = seen.keypoints[..., :channels], seen.target[0]
                known[side, row] = seen.known[0]
        return x, clean, known

    def _stretch(self, index, person, rng):
        """(T', V, 3) of a recording, from somewhere in it."""
        sequence = self.source.read(index)[person]
        least, most = np.log(CLIP_FRAMES)
        length = min(len(sequence), round(np.exp(rng.uniform(least, most))))
        start = rng.integers(len(sequence) - length + 1)
        return sequence[start : start + length, :, :3]


def completions(store, split, model, **options):
    """Batches of a split for ``fit`` of a MotionCompletion; arguments as in ``labelled``, options as in
    CompletionBatches."""
    return CompletionBatches(store, store.select(split), model, **options)
