"""Statistics of a model's batch normalisations, taken again over its training clips."""

import numpy as np

from keras_skelmae.data import LabelledBatches
from keras_skelmae.evaluation.predict import predict_batches
from keras_skelmae.fast.networks.devices import device_count
from keras_skelmae.layers.presence_batch_normalization import PresenceBatchNormalization, estimating

SEQUENCES = 4096  # at most; a mean over more moves no more
DRAWN = 256  # clips at least, where chance makes each another one
BATCH = 64


def batch_normalizations(model):
    """The batch normalisations anywhere in a model."""
    found = {}
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, PresenceBatchNormalization):
            found[id(layer)] = layer
    return list(found.values())


def estimate_statistics(model, source, indices, seed=0, augment=None):
    """Put the statistics over the clips that a model is trained on into its batch normalisations.

    Those kept while training lag behind the weights, or are of masked clips, or of those another model was trained on.
    Clips are shuffled, so that every batch is of all classes, and augmented as in training: statistics of clean clips
    are narrower than those the weights have learned with, and a few joints not seen then count for more.

    On several devices nothing is done: the statistics kept while training stay.

    Args:
        model: STRLClassifier, STRLBackbone or SkeletonEncoder.
        source: SequenceSource. indices: samples it is trained on. seed: int, of the order and of what is drawn.
        augment: dict as SkeletonBatches takes it; None for clips as in prediction.

    Reference:
        Wu and Johnson, 'Rethinking "Batch" in BatchNorm', 2021 (precise batch normalisation).
    """
    layers = batch_normalizations(model)
    if not layers or device_count() > 1:
        return
    chosen = np.random.default_rng(seed).permutation(indices)[:SEQUENCES]
    if augment is not None:
        chosen = np.resize(chosen, max(len(chosen), DRAWN))
    chosen = chosen[: max(len(chosen) // BATCH, 1) * BATCH]  # a short last batch would weigh as much as a whole one
    options = {"batch_size": BATCH, "training": augment is not None, "augment": augment, "seed": seed}
    data = LabelledBatches(source, chosen, model, **options)
    with estimating(layers):
        model.make_predict_function(force=True)
        predict_batches(data, model.predict_on_batch)
    model.make_predict_function(force=True)
