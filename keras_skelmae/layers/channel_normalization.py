"""Layer normalisation over the channels."""

import keras
from keras import ops

from keras_skelmae.fast.ops.channels import normalized, sums_products_slowly


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ChannelNormalization(keras.layers.LayerNormalization):
    """Keras's LayerNormalization over the last axis.

    Args:
        epsilon: float, added to the variance.

    Call arguments:
        inputs: ``(..., C)``.
        presence: not used: every row is normalised by itself. It is here so that all normalisations are called alike.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Example:
        >>> import numpy as np
        >>> layer = ChannelNormalization(epsilon=0.0)
        >>> keras.ops.convert_to_numpy(layer(np.array([[1.0, 3.0]], "float32"))).tolist()
        [[-1.0, 1.0]]

    Reference:
        Ba et al., "Layer Normalization", 2016.
    """

    def __init__(self, epsilon=1e-3, name=None, dtype=None, trainable=True):  # no axis, no layer without a scale
        super().__init__(epsilon=epsilon, name=name, dtype=dtype, trainable=trainable)

    def call(self, inputs, presence=None, training=None):
        if not training or not sums_products_slowly():
            return super().call(inputs)
        x = ops.cast(inputs, "float32") if self.compute_dtype in ("float16", "bfloat16") else inputs
        return ops.cast(normalized(x, self.gamma, self.beta, self.epsilon), self.compute_dtype)

    def get_config(self):
        return {**keras.layers.Layer.get_config(self), "epsilon": self.epsilon}
