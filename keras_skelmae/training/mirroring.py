"""Which classes of a data set know left and right, asked of the trained classifier and its training split."""

import re

import keras
import numpy as np

from keras_skelmae.data import LabelledBatches
from keras_skelmae.evaluation.predict import predict_batches
from keras_skelmae.fast.networks.devices import device_count
from keras_skelmae.layers import SkeletonMirror

SEQUENCES = 32  # of a class, at most
KEPT = 0.5  # measured: 0.19 where classes name a side, 0.73 to 0.85 where none does (docs/results.md)
LEAST_KEPT = 0.2  # of a class; measured: 0.09 to 1, and 0 of a wave by the right hand alone

SIDE = re.compile(r"(left|right)(s|ward|wards|hand|handed|arm|leg|foot|side)?")


def names_a_side(names):
    """Whether a class is called after a side: a word such as Left or right, or two that differ by a single l and r."""
    words = [tuple(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)) for name in names]
    swapped = {tuple({"l": "r", "r": "l"}.get(word, word) for word in parts) for parts in words}
    return any(SIDE.fullmatch(word) for parts in words for word in parts) or any(
        parts in swapped for parts in words if {"l", "r"} & set(parts)
    )


def judge_mirror(model, source, indices, batch_size=64):
    """What an Ensemble of a classifier is to make of mirror images, judged by clips it was trained on.

    They count where at least half of the mirrored clips (the mean over classes) keep their class, and no two classes
    change places, as "raise the left arm" and "raise the right arm" do. A class of which less than a fifth do is
    one-sided: if it is only ever done with one hand, it may be told by that hand. A class called after a side decides
    at once.

    Args:
        model: STRLClassifier.
        source: SequenceSource.
        indices: samples it was trained on.

    Returns:
        dict of the Ensemble's arguments ``mirror`` and ``one_sided``; empty where mirror images do not count: also
        where the model cannot mirror, and on several devices.
    """
    preprocessor = model.preprocessor
    if preprocessor.normalize != "clip" or not preprocessor.layout.mirror_pairs or device_count() > 1:
        return {}
    if names_a_side(model.names):
        return {}
    labels = source.store.labels[indices]
    chosen = np.sort(np.concatenate([np.asarray(indices)[labels == label][:SEQUENCES] for label in np.unique(labels)]))
    data = LabelledBatches(source, chosen, model, batch_size=batch_size, training=False)
    mirror = SkeletonMirror(preprocessor.layout.mirror, preprocessor.num_coordinates)

    def guess(x):
        return np.asarray(model.predict_on_batch(keras.ops.convert_to_numpy(mirror(x)))).argmax(axis=1)

    return mirror_by(data.labels, np.concatenate(predict_batches(data, guess)))


def mirror_by(labels, found):
    """The rule of :func:`judge_mirror`, from the labels of clips and those found in their mirror images."""
    kept = {int(label): np.mean(found[labels == label] == label) for label in np.unique(labels)}
    usual = {label: np.bincount(found[labels == label]).argmax() for label in kept}
    swapped = any(usual[label] != label and usual.get(usual[label]) == label for label in kept)
    if swapped or np.mean(list(kept.values())) < KEPT:
        return {}
    return {"mirror": True, "one_sided": [label for label, share in kept.items() if share < LEAST_KEPT]}
