"""A linear map of the channels."""

import keras
from keras import ops

from keras_skelmae.fast.ops.channels import multiplies_rows_slowly


@keras.saving.register_keras_serializable(package="keras_skelmae")
class Dense(keras.layers.Dense):
    """Keras's Dense, ``y = x W + b`` over the last axis, its rows one matrix whatever the number of leading axes.

    It has the name of Keras's, by which saved files find its weights.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., units)``.

    Example:
        >>> import numpy as np
        >>> tuple(Dense(8)(np.ones((2, 5, 4, 3), "float32")).shape)
        (2, 5, 4, 8)

    Reference:
        None; the gradient of W is one product of matrices then, see docs/speed.md.
    """

    def call(self, inputs, training=None):
        if not multiplies_rows_slowly():
            return super().call(inputs, training=training)
        x = super().call(ops.reshape(inputs, (-1, inputs.shape[-1])), training=training)
        return ops.reshape(x, (*inputs.shape[:-1], self.units))
