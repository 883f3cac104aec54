"""Batch normalisation whose statistics leave out what is absent."""

import keras


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PresenceBatchNormalization(keras.layers.BatchNormalization):
    """BatchNormalization over the last axis that takes its statistics from present entries only.

    It is Keras's own, whose ``mask`` does just that, except that the mask is not attached to the output: here it
    marks people, not time steps, and must not travel on.

    Args:
        As ``keras.layers.BatchNormalization``.

    Call arguments:
        inputs: ``(..., C)``.
        mask: None or bool ``(...)``; here True = present, as everywhere in Keras.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Example:
        >>> import numpy as np
        >>> layer = PresenceBatchNormalization(epsilon=0.0)
        >>> x = np.array([[1.0, 5.0], [3.0, 7.0], [1000.0, 0.0]], "float32")
        >>> y = layer(x, training=True, mask=np.array([True, True, False]))
        >>> keras.ops.convert_to_numpy(y)[:2, 0].round(2).tolist()
        [-1.0, 1.0]

    Reference:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015.
    """

    def compute_mask(self, inputs, previous_mask=None):
        return None
