"""Seeded batches from a store for ``fit``, the same on every backend."""

from keras_skelmae.data.batches import LabelledBatches, SequenceSource, SkeletonBatches, class_labels, labelled
from keras_skelmae.data.completion import CompletionBatches, completions
from keras_skelmae.data.unlabelled import MaskedBatches, ViewBatches, masked, views

__all__ = [
    "CompletionBatches",
    "LabelledBatches",
    "MaskedBatches",
    "SequenceSource",
    "SkeletonBatches",
    "ViewBatches",
    "class_labels",
    "completions",
    "labelled",
    "masked",
    "views",
]
