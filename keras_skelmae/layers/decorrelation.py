"""A loss on features whose channels repeat each other."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_skelmae")
class Decorrelation(keras.layers.Layer):
    """Features as they are; in training their channels' correlations are added to the losses.

    ``weight / C * sum over i != j of r_ij^2``, with r_ij the correlation of channels i and j over all rows where the
    person is there: 0 where no channel tells anything of another, C - 1 times the weight where all are the same.
    Drawing views together leaves a network with few directions in which its features vary; this keeps more of them.

    Args:
        weight: float, at least 0.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: bool ``(B, M, T)``, True = the person is there; None for all.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, V, C)``, the input.

    Example:
        >>> import numpy as np
        >>> layer = Decorrelation(0.5)
        >>> x = np.random.default_rng(0).normal(size=(2, 1, 8, 1, 1)).astype("float32")
        >>> _ = layer(np.repeat(x, 3, axis=-1), training=True)
        >>> round(float(layer.losses[0]), 3)
        1.0

    Raises:
        ValueError: a weight below 0.

    Reference:
        Cogswell et al., "Reducing Overfitting in Deep Networks by Decorrelating Representations", ICLR 2016, with
        correlations in place of covariances.
    """

    def __init__(self, weight, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= weight < float("inf"):
            raise ValueError(f"weight: expected at least 0, found {weight}")
        self.weight = float(weight)

    def call(self, inputs, presence=None, training=None):
        if training and self.weight:
            self.add_loss(self.weight * self._correlations(inputs, presence))
        return inputs

    @staticmethod
    def _correlations(inputs, presence):
        channels = inputs.shape[-1]
        x = ops.cast(inputs, "float32")
        there = ops.ones_like(x[..., :1])
        if presence is not None:
            there = there * ops.cast(presence, "float32")[..., None, None]
        x, there = ops.reshape(x, (-1, channels)), ops.reshape(there, (-1, 1))  # (rows, C), (rows, 1)
        count = ops.maximum(ops.sum(there), 1)
        x = (x - ops.sum(x * there, axis=0) / count) * there
        x = x * ops.rsqrt(ops.sum(ops.square(x), axis=0) / count + 1e-4)
        matrix = ops.matmul(ops.transpose(x), x) / count  # (C, C)
        own = ops.sum(ops.square(ops.sum(ops.square(x), axis=0) / count))  # the diagonal
        return (ops.sum(ops.square(matrix)) - own) / channels

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "weight": self.weight}
