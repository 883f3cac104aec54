"""Seeded batches from a store, the same on every backend: NumPy in, NumPy out."""

import keras
import numpy as np

from keras_skelmae.models import SkeletonPreprocessor
from skelmae_datasets.runs.splits import class_labels
from skelmae_datasets.transforms.augmentation import augment, random_flip

CACHE_BYTES = 2**27  # memory stays level however large the store
MOVES = ("rotate", "scale", "shear", "joint_noise")
BALANCES = ("none", "weights", "sampling")
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
    """Batches of clips; a subclass says in ``make`` what becomes of the chosen items.

    The batches depend on the seed, the epoch and the batch's number alone. In training the order is shuffled,
    frames are drawn at random, augmentation is applied and an incomplete last batch is left out; otherwise
    nothing is drawn. Keypoints are in the recording's units: models place them by themselves.

    Args:
        source: SequenceSource or SkeletonStore.
        indices: samples of the store, int array.
        preprocessor: SkeletonPreprocessor, or what has one.
        batch_size: int.
        training: bool.
        augment: dict of AUGMENTATIONS.
        num_clips: int, clips per sequence when not training.
        seed: int.

    Raises:
        ValueError: naming the argument, what was expected and what was found. DataError: the store does not fit.
    """

    each_person = False  # whether every person of a sequence is a sequence of its own

    def __init__(
        self, source, indices, preprocessor, *, batch_size=32, training=True, augment=None, num_clips=1, seed=0
    ):
        super().__init__()
        self.source = source if isinstance(source, SequenceSource) else SequenceSource(source)
        self.store = self.source.store
        self.preprocessor = getattr(preprocessor, "preprocessor", preprocessor)
        self.preprocessor.check(self.store)
        if self.each_person and self.preprocessor.num_people != 1:
            self.preprocessor = SkeletonPreprocessor(**{**self.preprocessor.get_config(), "num_people": 1})
        self.batch_size, self.training, self.num_clips = batch_size, training, num_clips
        self.augment = dict(augment or {})
        unknown = sorted(set(self.augment) - set(AUGMENTATIONS))
        if unknown:
            raise ValueError(f"augment: expected keys of {AUGMENTATIONS}, found {unknown}")
        self.share = (0, 1)  # number of this process and of all: only its rows are read, the others stay zeros
        self.seed, self.epoch, self.first_batch = seed, 0, 0
        indices = np.asarray(indices, np.int64)
        if not len(indices):
            raise ValueError(f"{self.store.path}: expected at least one sequence, found an empty selection")
        self.items = self._people(indices) if self.each_person else [(int(index), None) for index in indices]
        self._order()

    @property
    def dims(self):
        """2 or 3 coordinates."""
        return self.preprocessor.num_coordinates

    def _people(self, indices):
        items = []
        for index in indices:
            seen = self.source.read(index)[..., : self.dims].any(axis=(1, 2, 3))
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
        full, rest = divmod(len(self.order), self.batch_size)
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

    def _chosen(self, number):
        return [self.items[i] for i in self.order[number * self.batch_size : (number + 1) * self.batch_size]]

    def on_epoch_end(self):
        self.epoch += 1
        self._order()

    def _times(self, counts, rng):
        """(N, clips, T) for recordings of so many frames."""
        if self.training:
            return self.preprocessor.random_times(counts, rng, self.augment.get("crop_min", 1.0))
        return self.preprocessor.times(counts, self.num_clips)

    def __getitem__(self, number):
        if not 0 <= number < len(self):
            raise IndexError(number)
        number += self.first_batch
        return self.make(self._chosen(number), np.random.default_rng([self.seed, self.epoch, number]))

    def keypoints(self, chosen, rng):
        """(B * clips, M, T, V, C) float32 of the chosen items; in training augmented."""
        clips = 1 if self.training else self.num_clips
        x = np.zeros((len(chosen) * clips, *self.preprocessor.clip_shape), np.float32)
        process, processes = self.share
        rows = -(-len(chosen) // processes) if self.training else len(chosen)
        times = self._times(self.store.frames[[index for index, _ in chosen]], rng)  # of all rows in every process
        for row, (index, person) in enumerate(chosen):
            if row // rows != process and self.training:
                continue
            sequence = self.source.read(index)
            sequence = sequence if person is None else sequence[person : person + 1]
            x[row * clips : (row + 1) * clips] = self.preprocessor.clips(
                sequence, times[row], self.store.image_size[index]
            )
        return self._augmented(x, rng) if self.training else x

    def _augmented(self, x, rng):
        if self.augment.get("flip"):
            x = random_flip(x, rng, self.store.layout, self.augment["flip"], self.dims)
        amounts = {key: self.augment[key] for key in MOVES if self.augment.get(key)}
        return augment(x, rng, self.dims, **amounts) if amounts else x


class LabelledBatches(SkeletonBatches):
    """Batches ``(keypoints, one-hot labels)``; a sequence without a label has zeros.

    Args:
        As SkeletonBatches. Where the preprocessor is a classifier's, labels are the numbers of its classes, found by
        their names.
        class_balance: in training "weights" gives a third array (B,), a sequence's weight, with which the classes that
            occur count alike and the mean is 1; "sampling" fills an epoch with as many sequences of each class.

    Raises:
        DataError: a sequence of a class that the classifier has not got.
    """

    def __init__(self, source, indices, preprocessor, class_balance="none", **options):
        if class_balance not in BALANCES:
            raise ValueError(f"class_balance: expected one of {', '.join(BALANCES)}, found {class_balance!r}")
        self.balanced, self.weights = None, None
        super().__init__(source, indices, preprocessor, **options)
        names = getattr(preprocessor, "names", self.store.classes)
        self.num_classes = len(names)
        self.store_labels = class_labels(self.store, names, [index for index, _ in self.items])
        if self.training and class_balance == "weights":
            self.weights = balanced_weights(self.labels, self.num_classes)
        elif self.training and class_balance == "sampling":
            self.balanced = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
            self._order()

    def _order(self):
        super()._order()
        if self.balanced:
            self.order = balanced_order(self.balanced, np.random.default_rng([self.seed, self.epoch]))

    @property
    def labels(self):
        """(N,) int64 labels of the items, in their order when not training."""
        return self.store_labels[[index for index, _ in self.items]]

    def make(self, chosen, rng):
        x = self.keypoints(chosen, rng)
        labels = np.repeat(self.store_labels[[index for index, _ in chosen]], len(x) // len(chosen))
        target = (labels[:, None] == np.arange(self.num_classes)).astype(np.float32)
        return (x, target) if self.weights is None else (x, target, self.weights[labels])


def balanced_weights(labels, num_classes):
    """(K,) float32: weights with which the classes that occur have equal sums, 1 on average over the sequences."""
    count = np.bincount(labels[labels >= 0], minlength=num_classes)
    share = count.sum() / max(np.count_nonzero(count), 1)
    return np.where(count > 0, share / np.maximum(count, 1), 1).astype(np.float32)


def balanced_order(members, rng):
    """An epoch of as many items as there are, in which each class has as many places; all of a class come in turn.

    Args:
        members: a list of item numbers for each class. rng: numpy.random.Generator.
    """
    total = sum(map(len, members))
    most = -(-total // len(members))
    drawn = [np.concatenate([rng.permutation(own) for _ in range(-(-most // len(own)))])[:most] for own in members]
    return rng.permutation(np.stack(drawn, axis=1).ravel()[:total])


def labelled(store, split, model, **options):
    """Batches of a split for ``fit`` and ``evaluate`` of a classifier.

    Args:
        store: SkeletonStore.
        split: a split name, or an expression such as "subject=215,216".
        model: what has a preprocessor, or one.
        options: see SkeletonBatches.
    """
    return LabelledBatches(store, store.select(split), model, **options)
