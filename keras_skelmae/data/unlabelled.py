"""Batches without labels: clips with masks, and two views of each clip."""

import numpy as np

from keras_skelmae.data.batches import SkeletonBatches
from skelmae_datasets.transforms.masking import (
    motion_intensity,
    sample_joint_masks,
    sample_motion_masks,
    sample_part_masks,
)

DEFAULT_MASK = {"mask": "parts", "mask_parts": (), "num_masked": 0, "mask_frames": 0, "mask_sequences": 1}
DEFAULT_VIEW = {"node_drop": 0.1, "part_drop": 0.5}


class MaskedBatches(SkeletonBatches):
    """Batches ``({"keypoints", "mask"},)``, every person of a sequence a clip of its own.

    Args:
        masking: dict with mask ("parts", "joints" or "motion"), mask_parts, num_masked, mask_frames, mask_sequences;
            what is not in it is as in DEFAULT_MASK.
        trim: None, or a function of the mask (V,) of a whole batch that gives a further input ``trim``; for masks that
            a batch shares.
        Others as in SkeletonBatches.
    """

    each_person = True

    def __init__(self, *args, masking=None, trim=None, **options):
        super().__init__(*args, **options)
        self.masking, self.trim = {**DEFAULT_MASK, **(masking or {})}, trim

    def make(self, chosen, rng):
        x = self.keypoints(chosen, rng)
        mask = self._mask(x, rng)
        trimmed = {"trim": self.trim(mask[0, 0, 0])} if self.trim else {}
        return ({"keypoints": x, "mask": mask, **trimmed},)

    @property
    def shares_mask(self):
        """Whether one mask holds for all sequences and frames of a batch."""
        settings = self.masking
        if settings["mask"] == "parts" and settings["mask_parts"]:
            return True
        whole_clip = settings["mask_frames"] in (0, self.preprocessor.num_frames)
        return whole_clip and settings["mask_sequences"] in (0, self.batch_size)

    def _mask(self, x, rng):
        """(B, M, T, V) bool; True = masked, to be reconstructed."""
        settings = self.masking
        batch, people, frames, joints = x.shape[:4]
        lasts = settings["mask_frames"] or frames
        share = min(settings["mask_sequences"] or batch, batch)
        draws = (-(-batch // share), people, -(-frames // lasts))
        if settings["mask"] == "joints":
            mask = sample_joint_masks(joints, draws, settings["num_masked"] or joints // 2, rng, per_frame=True)
        elif settings["mask"] == "motion":
            intensity = np.add.reduceat(motion_intensity(x, self.dims), range(0, frames, lasts), axis=2)
            intensity = np.add.reduceat(intensity, range(0, batch, share), axis=0)
            mask = sample_motion_masks(intensity, settings["num_masked"] or joints // 2, rng)
        else:
            counts = {"num_parts": settings["num_masked"] or None, "parts": list(settings["mask_parts"]) or None}
            mask = sample_part_masks(self.store.layout, draws, rng, per_frame=True, **counts)
        return np.repeat(np.repeat(mask, lasts, axis=2)[:, :, :frames], share, axis=0)[:batch]


class ViewBatches(SkeletonBatches):
    """Batches ``({"keypoints", "other"},)``: two views of each clip, drawn, augmented and thinned by themselves.

    Args:
        view: dict with node_drop, the share of the joints that each person of a view lacks, below 1, and part_drop, how
            probable it is that a person of a view lacks one whole body part; what is not in it is as in DEFAULT_VIEW.
        each_person: bool, every person of a sequence is a clip of its own.
        Others as in SkeletonBatches.
    """

    def __init__(self, *args, view=None, each_person=False, **options):
        self.each_person = each_person
        super().__init__(*args, **options)
        self.view = {**DEFAULT_VIEW, **(view or {})}
        if not 0 <= self.view["node_drop"] < 1:
            raise ValueError(f"node_drop: expected a share in 0 <= share < 1, found {self.view['node_drop']}")
        if not 0 <= self.view["part_drop"] <= 1:
            raise ValueError(f"part_drop: expected a probability, found {self.view['part_drop']}")

    def make(self, chosen, rng):
        return ({name: self._thinned(self.keypoints(chosen, rng), rng) for name in ("keypoints", "other")},)

    def _thinned(self, x, rng):
        """The clips without some of each person's joints, all clip long."""
        joints = x.shape[3]
        dropped = min(round(self.view["node_drop"] * joints), joints - 1)
        x[sample_joint_masks(joints, x.shape[:3], dropped, rng)] = 0
        if self.view["part_drop"]:
            drawn = rng.random(x.shape[:2]) < self.view["part_drop"]  # (B, M)
            x[sample_part_masks(self.store.layout, x.shape[:3], rng, num_parts=1) & drawn[..., None, None]] = 0
        return x


def masked(store, split, model, **options):
    """Batches of a split for ``fit`` of a SkeletonMAE; arguments as in ``labelled``, options as in MaskedBatches."""
    return MaskedBatches(store, store.select(split), model, **options)


def views(store, split, model, **options):
    """Batches of a split for ``fit`` of a ContrastiveModel; arguments as in ``labelled``, options as in ViewBatches."""
    return ViewBatches(store, store.select(split), model, **options)
