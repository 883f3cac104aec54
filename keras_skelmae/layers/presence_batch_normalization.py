"""Batch normalisation whose statistics leave out what is absent."""

import contextlib

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PresenceBatchNormalization(keras.layers.BatchNormalization):
    """BatchNormalization over the last axis that takes its statistics from present entries only.

    The moving statistics are means weighted by the number of present entries, without a share of their initial
    values: a batch in which nobody is present leaves them alone, and after one step they are those of that step.

    Args:
        As ``keras.layers.BatchNormalization``; ``renorm`` and another axis than the last are refused.

    Call arguments:
        inputs: ``(..., C)``.
        presence: None or bool of some leading axes of ``inputs``; True = present.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Raises:
        ValueError: ``axis`` is not the last, or ``renorm``.

    Example:
        >>> import numpy as np
        >>> layer = PresenceBatchNormalization(epsilon=0.0)
        >>> x = np.array([[1.0, 5.0], [3.0, 7.0], [1000.0, 0.0]], "float32")
        >>> y = layer(x, presence=np.array([True, True, False]), training=True)
        >>> keras.ops.convert_to_numpy(y)[:2, 0].round(2).tolist()
        [-1.0, 1.0]

    Reference:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015.
    """

    estimating = False  # see `estimating`

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if kwargs.get("renorm"):
            raise ValueError("renorm: expected False, found True")

    def build(self, input_shape):
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(f"axis: expected the last one, found {self.axis} of {len(input_shape)} axes")
        super().build(input_shape)
        self.moving_count = self.add_weight(
            shape=(), name="moving_count", initializer="zeros", trainable=False, autocast=False
        )

    def call(self, inputs, presence=None, training=None):
        if not (self.estimating or (training and self.trainable)):
            return super().call(inputs, training=False)
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        mean, variance, share = self._statistics(x, presence)
        self._update(mean, variance, share)
        gamma = ops.cast(self.gamma, x.dtype) if self.scale else None
        beta = ops.cast(self.beta, x.dtype) if self.center else None
        x = ops.batch_normalization(x, mean, variance, -1, offset=beta, scale=gamma, epsilon=self.epsilon)
        return ops.cast(x, self.compute_dtype)

    def _statistics(self, x, presence):
        """Mean and variance (C,) of the present entries, and their share of all."""
        axes = tuple(range(len(x.shape) - 1))
        if presence is None:
            return *ops.moments(x, axes, synchronized=self.synchronized), 1.0
        for _ in range(len(x.shape) - 1 - len(presence.shape)):
            presence = ops.expand_dims(presence, -1)
        there = ops.cast(presence, x.dtype)[..., None] * ops.ones_like(x[..., :1])  # (..., 1)
        count, share = ops.maximum(ops.sum(there), 1), ops.mean(there)
        mean = ops.sum(there * x, axis=axes) / count
        variance = ops.sum(there * ops.square(x - mean), axis=axes) / count
        # with nobody there the kept ones are as good as any, and what is normalised stays small
        mean = ops.where(share > 0, mean, ops.cast(self.moving_mean, x.dtype))
        return mean, ops.where(share > 0, variance, ops.cast(self.moving_variance, x.dtype)), share

    def _update(self, mean, variance, share):
        kept, weight = (1.0, share) if self.estimating else (self.momentum, (1 - self.momentum) * share)
        total = kept * self.moving_count + weight
        rate = weight / ops.maximum(total, keras.config.epsilon())  # 0 where nobody is present
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving + rate * (ops.cast(value, moving.dtype) - moving))
        self.moving_count.assign(total)


@contextlib.contextmanager
def estimating(layers):
    """Let every call of these layers normalise over its batch, and have their statistics be the mean over these calls.

    Training or not, trainable or not; what drops out does not. The functions that call the layers must be made within.

    Args:
        layers: PresenceBatchNormalization layers, built.
    """
    for layer in layers:
        layer.moving_count.assign(0.0)
        layer.estimating = True
    try:
        yield
    finally:
        for layer in layers:
            layer.estimating = False
            # of an average that goes on from here as if it had been kept for long
            layer.moving_count.assign(ops.minimum(layer.moving_count, 1.0))
