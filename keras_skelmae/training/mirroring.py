"""Whether the classes of a data set know left and right, asked of the trained classifier and its training split."""

import numpy as np

from keras_skelmae.training.devices import device_count
from keras_skelmae.training.feeding import SkeletonBatches

SEQUENCES = 32  # of a class, at most


def classes_are_symmetric(model, source, indices, batch_size=64):
    """True where the mirror images of every class's training sequences are mostly recognised as that class.

    "Raise the left arm" is not symmetric: its mirror images look like another class.

    Args:
        model: STRLClassifier, trained without ``mirror``.
        source: SequenceSource.
        indices: samples it was trained on.

    Returns:
        bool; False where the model cannot mirror (see STRLClassifier), and on several devices.
    """
    if model.normalize != "clip" or not model.layout.mirror_pairs or device_count() > 1:
        return False
    labels = source.store.labels[indices]
    chosen = np.sort(np.concatenate([np.asarray(indices)[labels == label][:SEQUENCES] for label in np.unique(labels)]))
    data = SkeletonBatches(source, chosen, batch_size=batch_size, num_frames=model.num_frames,
                           num_people=model.num_people, use_score=model.use_score, training=False)
    found = []
    for number in range(len(data)):
        x = data[number][0][:, :, :, list(model.layout.mirror)]
        x[..., 0] *= -1
        found.append(np.asarray(model.predict_on_batch(x)).argmax(axis=1))
    found, labels = np.concatenate(found), data.labels
    return all(np.bincount(found[labels == label]).argmax() == label for label in np.unique(labels))
