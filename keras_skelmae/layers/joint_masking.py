"""Replacing masked joints by a learnable token."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of


@keras.saving.register_keras_serializable(package="keras_skelmae")
class JointMasking(keras.layers.Layer):
    """Replace the feature of every masked joint by one learnable token ``x_[M]``.

    Which joints are masked is decided outside (``skelmae_datasets.masking``), so that a seed gives the same
    masks on every backend.

    Args:
        initializer: initialiser of the token.

    Call arguments:
        inputs: ``(..., V, C)`` float, the features.
        joint_mask: ``(..., V)`` bool; True = masked, to be reconstructed.

    Input shape:
        ``(..., V, C)``.

    Output shape:
        ``(..., V, C)``.

    Example:
        >>> import numpy as np
        >>> layer = JointMasking(initializer="zeros")
        >>> y = layer(np.ones((1, 2, 3), "float32"), joint_mask=np.array([[True, False]]))
        >>> keras.ops.convert_to_numpy(y)[0].tolist()
        [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]

    Reference:
        Yan et al., ICCV 2023, section 3.2; Hou et al., "GraphMAE", KDD 2022.
    """

    def __init__(self, initializer=None, **kwargs):
        super().__init__(**kwargs)
        if initializer is None:
            initializer = keras.initializers.RandomNormal(stddev=0.02)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.token = self.add_weight(shape=(input_shape[-1],), initializer=self.initializer, name="token")
        self.built = True

    def call(self, inputs, joint_mask):
        masked = ops.expand_dims(ops.cast(joint_mask, "bool"), -1)  # (..., V, 1), True = masked
        return ops.where(masked, ops.cast(self.token, inputs.dtype), inputs)  # (..., V, C)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "initializer")}
