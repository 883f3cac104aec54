"""Seeded batches from a store, the same on every backend: NumPy in, NumPy out."""

import keras
import numpy as np

from skelmae_datasets.masking import motion_intensity, sample_joint_masks, sample_motion_masks, sample_part_masks
from skelmae_datasets.sampling import (
    stretch_indices,
    uniform_grid_indices,
    uniform_sample_indices,
    uniform_sample_test_indices,
)
from skelmae_datasets.transforms import augment, random_flip

CACHE_BYTES = 2**27  # memory stays level however large the store
SAMPLINGS = ("uniform", "stretch")
MOVES = ("rotate", "scale", "shear", "joint_noise")
AUGMENTATIONS = ("crop_min", "flip", *MOVES)


class SequenceSource:
    """Sequences of a store by index, kept in memory while they fit."""

    def __init__(self, store, cache_bytes=CACHE_BYTES):
        self.store = store
        self.budget = cache_bytes
        self.cache = {}

    def read(self, index):
        """(M, T, V, C) float32; frames in which nobody was seen stay where they are, as zeros."""
        index = int(index)
        if index in self.cache:
            return self.cache[index]
        array = self.store.read(index)
        if self.budget >= array.nbytes:
            self.budget -= array.nbytes
            self.cache[index] = array
        return array


class SkeletonBatches(keras.utils.PyDataset):
    """Batches ``(keypoints, one-hot labels)``; ``({"keypoints", "mask"},)`` with ``masked``.

    With ``contrast`` they are ``({"keypoints", "other"},)``, two views of each sequence: frames drawn, augmented and
    joints dropped independently of each other.

    The batches depend on the seed, the epoch and the batch's number alone. In training the order is shuffled,
    frames are drawn at random, augmentation is applied and an incomplete last batch is left out; otherwise
    nothing is drawn. Keypoints are in the recording's units: models normalise by themselves.

    Args:
        source: SequenceSource or SkeletonStore.
        indices: samples of the store, int array.
        batch_size, num_frames, num_people: ints; absent people are zeros.
        use_score: bool, keep the confidence channel.
        training: bool.
        masked: None, or a dict with mask ("parts", "joints" or "motion"), mask_parts, num_masked, mask_frames,
            mask_sequences.
        targets: None, or (N, K) in the order of ``indices``, given in place of the one-hot labels.
        contrast: None, or a dict with node_drop, the share of the joints that each person of a view is without, below
            1, part_drop, how probable it is that a person of a view is without one whole body part, and frame_drop
            and gap: each view is without single frames, of a share drawn up to the first, and without one stretch of
            time, drawn up to the second.
        each_person: bool, every person of a sequence is a sequence of its own (pre-training).
        augment: dict of AUGMENTATIONS.
        num_clips: int, clips a sequence when not training; 1 = the middle frames of equal stretches.
        seed: int.
        first_epoch: int, for continuing.
        sampling: "uniform" (PYSKL's, which loops a short sequence) or "stretch", how training draws frames.
    """

    def __init__(self, source, indices, *, batch_size=32, num_frames=64, num_people=2, use_score=False,
                 training=True, masked=None, each_person=False, augment=None, num_clips=1, seed=0, first_epoch=0,
                 sampling="uniform", contrast=None, targets=None):
        super().__init__()
        self.source = source if isinstance(source, SequenceSource) else SequenceSource(source)
        self.store = self.source.store
        self.batch_size, self.num_frames, self.num_people = batch_size, num_frames, num_people
        self.dims = self.store.num_coordinates
        if use_score and not self.store.has_score:
            raise ValueError(f"{self.store.path}: use_score: expected a score channel, found {self.store.channels}")
        self.channels = self.dims + bool(use_score)
        self.training, self.num_clips = training, num_clips
        self.masked = None if masked is None else {**DEFAULT_MASK, **masked}
        self.needed = None  # SkeletonMAE.needed_joints, where a batch shares a mask
        if sampling not in SAMPLINGS:
            raise ValueError(f"sampling: expected one of {SAMPLINGS}, found {sampling!r}")
        self.sampling = sampling
        if contrast is not None:
            contrast = {**DEFAULT_VIEW, **contrast}
            for key in ("node_drop", "frame_drop", "gap"):
                if not 0 <= contrast[key] < 1:
                    raise ValueError(f"{key}: expected a share in 0 <= share < 1, found {contrast[key]}")
            if not 0 <= contrast["part_drop"] <= 1:
                raise ValueError(f"part_drop: expected a probability, found {contrast['part_drop']}")
        self.contrast = contrast
        self.part = (0, 1)  # number of this process and of all: only its rows are read, the others stay zeros
        self.augment = dict(augment or {})
        unknown = sorted(set(self.augment) - set(AUGMENTATIONS))
        if unknown:
            raise ValueError(f"augment: expected keys of {AUGMENTATIONS}, found {unknown}")
        self.seed, self.epoch, self.first_batch = seed, first_epoch, 0
        indices = np.asarray(indices, np.int64)
        if not len(indices):
            raise ValueError(f"{self.store.path}: expected at least one sequence, found an empty selection")
        if targets is not None and (each_person or targets.shape != (len(indices), len(self.store.classes))):
            raise ValueError(f"targets: expected ({len(indices)}, {len(self.store.classes)}) for whole sequences, "
                             f"found {targets.shape}, each_person={each_person}")
        self.targets = targets
        self.items = self._people(indices) if each_person else [(int(index), None) for index in indices]
        self._order()

    def _people(self, indices):
        items = []
        for index in indices:
            seen = self.source.read(index)[..., :self.dims].any(axis=(1, 2, 3))
            items += [(int(index), int(person)) for person in np.flatnonzero(seen)]
        if not items:
            raise ValueError(f"{self.store.path}: expected at least one person, found none in {len(indices)} sequences")
        return items

    def _order(self):
        count = len(self.items)
        self.order = np.arange(count)
        if self.training:
            self.order = np.random.default_rng([self.seed, self.epoch]).permutation(count)

    @property
    def num_batches_of_epoch(self):
        """Batches of a whole epoch; ``len`` counts those from ``first_batch`` on."""
        full, rest = divmod(len(self.items), self.batch_size)
        return full if self.training and full else full + bool(rest)

    def __len__(self):
        return self.num_batches_of_epoch - self.first_batch

    def begin(self, epoch, batch=0):
        """Go to a batch of an epoch, to continue there; batches before it are not given any more."""
        self.epoch, self.first_batch = epoch, batch
        self._order()

    def samples(self, number):
        """Ids of the sequences in batch ``number`` of the whole epoch."""
        return [self.store.ids[index] for index, _ in self._chosen(number)]

    def _positions(self, number):
        return self.order[number * self.batch_size:(number + 1) * self.batch_size]

    def _chosen(self, number):
        return [self.items[i] for i in self._positions(number)]

    def on_epoch_end(self):
        self.epoch += 1
        self._order()

    @property
    def labels(self):
        """(N,) int64 labels in order, when not training."""
        return self.store.labels[[index for index, _ in self.items]]

    def _frames(self, counts, rng):
        """(N, clips, T) frame numbers for recordings of so many frames."""
        if self.training:
            low = self.augment.get("crop_min", 1.0)
            sample = stretch_indices if self.sampling == "stretch" else uniform_sample_indices
            return sample(counts, self.num_frames, rng, (low, 1.0))[:, None]
        if self.num_clips == 1:
            return np.stack([uniform_grid_indices(count, self.num_frames)[None] for count in counts])
        return np.stack([uniform_sample_test_indices(count, self.num_frames, self.num_clips) for count in counts])

    def __getitem__(self, number):
        if not 0 <= number < len(self):
            raise IndexError(number)
        number += self.first_batch
        rng = np.random.default_rng([self.seed, self.epoch, number])
        chosen = self._chosen(number)
        if self.contrast is not None:
            return ({name: self._view(self._keypoints(chosen, rng), rng) for name in ("keypoints", "other")},)
        x = self._keypoints(chosen, rng)
        if self.masked is not None:
            mask = self._mask(x, rng)
            needed = {"needed": self.needed(mask[0, 0, 0])} if self.needed and self.shares_mask else {}
            return ({"keypoints": x, "mask": mask, **needed},)
        if self.targets is not None:
            return x, np.repeat(self.targets[self._positions(number)], len(x) // len(chosen), axis=0)
        labels = np.repeat(self.store.labels[[index for index, _ in chosen]], len(x) // len(chosen))
        return x, (labels[:, None] == np.arange(len(self.store.classes))).astype(np.float32)  # without a label: zeros

    def _keypoints(self, chosen, rng):
        """(B * clips, M, T, V, C) float32 of the chosen items; in training augmented."""
        clips = 1 if self.training else self.num_clips
        shape = (len(chosen) * clips, self.num_people, self.num_frames, self.store.layout.num_joints, self.channels)
        x = np.zeros(shape, np.float32)
        process, processes = self.part
        share = -(-len(chosen) // processes) if self.training else len(chosen)
        frames = self._frames(self.store.frames[[index for index, _ in chosen]], rng)  # of all rows in every process
        for row, (index, person) in enumerate(chosen):
            if row // share != process and self.training:
                continue
            sequence = self.source.read(index)
            sequence = sequence[:self.num_people] if person is None else sequence[person:person + 1]
            drawn = sequence.take(frames[row], axis=1)[..., :self.channels]  # (M, clips, T, V, C)
            x[row * clips:(row + 1) * clips, :len(sequence)] = drawn.swapaxes(0, 1)
        return self._augmented(x, rng) if self.training else x

    def _view(self, x, rng):
        """The clips without some of each person's joints, all clip long, and without some of the frames.

        Where frames are missing in a recording tells it from others more easily than what is done in it.
        """
        joints = x.shape[3]
        x[sample_joint_masks(joints, x.shape[:3], min(round(self.contrast["node_drop"] * joints), joints - 1), rng)] = 0
        if self.contrast["part_drop"]:
            drawn = rng.random(x.shape[:2]) < self.contrast["part_drop"]  # (B, M)
            x[sample_part_masks(self.store.layout, x.shape[:3], rng, num_parts=1) & drawn[..., None, None]] = 0
        batch, frames = x.shape[0], np.arange(self.num_frames)
        gone = np.zeros((batch, self.num_frames), bool)
        if self.contrast["gap"]:
            length = (rng.random(batch) * self.contrast["gap"] * self.num_frames).astype(int)
            start = rng.integers(0, self.num_frames - length + 1)
            gone |= (frames >= start[:, None]) & (frames < (start + length)[:, None])
        if self.contrast["frame_drop"]:
            gone |= rng.random(gone.shape) < rng.random((batch, 1)) * self.contrast["frame_drop"]
        x.swapaxes(1, 2)[gone] = 0
        return x

    def _augmented(self, x, rng):
        if self.augment.get("flip"):
            x = random_flip(x, rng, self.store.layout, self.augment["flip"])
        amounts = {key: self.augment[key] for key in MOVES if self.augment.get(key)}
        return augment(x, rng, self.dims, **amounts) if amounts else x

    @property
    def shares_mask(self):
        """Whether one mask holds for all sequences, people and frames of a batch."""
        mask = self.masked
        if mask is None or mask["mask"] == "parts" and mask["mask_parts"]:
            return mask is not None
        whole = mask["mask_frames"] in (0, self.num_frames) and mask["mask_sequences"] in (0, self.batch_size)
        return whole and self.num_people == 1

    def _mask(self, x, rng):
        """(B, M, T, V) bool; True = masked, to be reconstructed."""
        settings = self.masked
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
            mask = sample_part_masks(self.store.layout, draws, rng, num_parts=settings["num_masked"] or None,
                                     parts=list(settings["mask_parts"]) or None, per_frame=True)
        return np.repeat(np.repeat(mask, lasts, axis=2)[:, :, :frames], share, axis=0)[:batch]


DEFAULT_MASK = {"mask": "parts", "mask_parts": (), "num_masked": 0, "mask_frames": 0, "mask_sequences": 1}
DEFAULT_VIEW = {"node_drop": 0.2, "part_drop": 0.0, "frame_drop": 0.0, "gap": 0.0}


def batches(store, split, *, masked=False, **options):
    """Batches of a split for ``fit`` and ``evaluate``: see SkeletonBatches for the options.

    Args:
        store: SkeletonStore.
        split: a split name, or an expression such as "subject=215,216".
        masked: False, True (whole body parts, drawn) or a dict of mask settings.
    """
    settings = None if masked is False else {**DEFAULT_MASK, **({} if masked is True else masked)}
    return SkeletonBatches(store, store.select(split), masked=settings, **options)
