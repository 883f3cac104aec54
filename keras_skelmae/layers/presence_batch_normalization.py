"""Batch normalisation whose statistics leave out what is absent."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PresenceBatchNormalization(keras.layers.BatchNormalization):
    """BatchNormalization over the last axis that takes its statistics from present entries only.

    Args:
        As ``keras.layers.BatchNormalization``.

    Call arguments:
        inputs: ``(..., C)``.
        presence: None or bool of some leading axes of ``inputs``; True = present.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

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

    def call(self, inputs, presence=None, training=None):
        mask = None
        if presence is not None:
            for _ in range(len(inputs.shape) - 1 - len(presence.shape)):
                presence = ops.expand_dims(presence, -1)
            mask = ops.logical_and(presence, ops.ones_like(inputs[..., 0], dtype="bool"))
        return super().call(inputs, training=training, mask=mask)
