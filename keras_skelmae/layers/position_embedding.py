"""Learnable position embeddings along time or along the joints."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PositionEmbedding(keras.layers.Layer):
    """Add one learnable vector per position of ``axis``: the temporal position embedding with ``axis=-3``.

    Args:
        axis: int, -3 (frames) or -2 (joints) of ``(B, M, T, V, C)``.
        initializer: initialiser of the table.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.

    Input shape:
        ``(B, M, T, V, C)``, the chosen axis of static size.

    Output shape:
        ``(B, M, T, V, C)``.

    Example:
        >>> import numpy as np
        >>> layer = PositionEmbedding(axis=-3)
        >>> tuple(layer(np.ones((1, 2, 8, 3, 4), "float32")).shape[1:])
        (2, 8, 3, 4)

    Reference:
        Yan et al., ICCV 2023, section 3.3.
    """

    def __init__(self, axis=-3, initializer=None, **kwargs):
        super().__init__(**kwargs)
        if axis not in (-3, -2):
            raise ValueError(f"axis: expected -3 (frames) or -2 (joints), found {axis}")
        self.axis = axis
        if initializer is None:
            initializer = keras.initializers.RandomNormal(stddev=0.02)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        size, width = input_shape[self.axis], input_shape[-1]
        if size is None:
            raise ValueError(f"position embedding along axis {self.axis} needs a static size, found {input_shape}")
        shape = (size, 1, width) if self.axis == -3 else (size, width)
        self.embedding = self.add_weight(shape=shape, initializer=self.initializer, name="embedding")
        self.built = True

    def call(self, inputs):
        return inputs + ops.cast(self.embedding, inputs.dtype)  # (B, M, T, V, C)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "axis", "initializer")}
