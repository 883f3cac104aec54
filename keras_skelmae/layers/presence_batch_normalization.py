"""Batch normalisation whose statistics leave out what is absent."""

import contextlib

import keras
from keras import ops

from keras_skelmae.fast.ops.channels import batch_normalized


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PresenceBatchNormalization(keras.layers.BatchNormalization):
    """BatchNormalization over the last axis that takes its statistics from present entries only.

    The moving statistics are means weighted by the number of present entries, without a share of their initial
    values: a batch in which nobody is present leaves them alone, and after one step they are those of that step.

    Args:
        As ``keras.layers.BatchNormalization``; ``renorm``, ``synchronized`` and another axis than the last are refused.

    Call arguments:
        inputs: ``(..., C)``.
        presence: None or bool of some leading axes of ``inputs``; True = present.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Raises:
        ValueError: ``axis`` is not the last, or ``renorm`` or ``synchronized``.

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
        for name in ("renorm", "synchronized"):
            if kwargs.get(name):
                raise ValueError(f"{name}: expected False, found True")

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
        gamma = ops.cast(self.gamma, x.dtype) if self.scale else None
        beta = ops.cast(self.beta, x.dtype) if self.center else None
        kept = (self.moving_mean, self.moving_variance)
        x, mean, variance, share = batch_normalized(x, gamma, beta, self.epsilon, presence, kept)
        self._update(mean, variance, share)
        return ops.cast(x, self.compute_dtype)

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
