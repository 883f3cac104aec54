"""Which epoch's weights a fine-tuning saves, and after which epochs it is validated."""

import keras
from keras import ops

SELECTIONS = {"last": None, "best": "accuracy", "best:mean_class": "mean_class"}  # -> what is compared
VALIDATIONS = 10  # of a training, evenly spread, unless the best epoch is looked for


@keras.saving.register_keras_serializable(package="keras_skelmae")
class MeanClassAccuracy(keras.metrics.Metric):
    """The mean over the classes that occur of the share of their clips that is recognised.

    Args:
        num_classes: int.

    Example:
        >>> metric = MeanClassAccuracy(2)
        >>> metric.update_state([[1, 0], [1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
        >>> round(float(metric.result()), 4)
        0.8333
    """

    def __init__(self, num_classes, name="mean_class", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.right = self.add_variable((num_classes,), "zeros", name="right")
        self.count = self.add_variable((num_classes,), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(y_true, self.dtype)
        hit = ops.cast(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)), self.dtype)
        weight = ops.ones_like(hit) if sample_weight is None else ops.cast(sample_weight, self.dtype)
        weight = ops.cast(weight > 0, self.dtype)  # a class's own weight would cancel out
        self.right.assign_add(ops.sum(y_true * (hit * weight)[:, None], axis=0))
        self.count.assign_add(ops.sum(y_true * weight[:, None], axis=0))

    def result(self):
        present = ops.cast(self.count > 0, self.dtype)
        share = self.right / ops.maximum(self.count, 1)
        return ops.sum(share * present) / ops.maximum(ops.sum(present), 1)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


class KeepBest(keras.callbacks.Callback):
    """Remember the weights that the best validation was made with: with a moving average those are not the trained.

    Args:
        measure: name of the metric that is compared.
    """

    def __init__(self, measure="accuracy"):
        super().__init__()
        self.measure = measure
        self.best, self.weights, self.epoch, self._now = -1.0, None, None, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch + 1

    def on_test_end(self, logs=None):
        if logs.get(self.measure, -1) > self.best:
            self.best, self.epoch, self.weights = logs[self.measure], self._now, self.model.get_weights()


def validated_epochs(epochs, select):
    """The epochs after which a training of so many is validated, counted from 1."""
    if SELECTIONS[select] or epochs <= VALIDATIONS:
        return list(range(1, epochs + 1))
    return [round(epochs * number / VALIDATIONS) for number in range(1, VALIDATIONS + 1)]
