"""Which joints were observed at all."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of


@keras.saving.register_keras_serializable(package="keras_skelmae")
class JointPresence(keras.layers.Layer):
    """True where a joint was observed, that is where any of its coordinates is not exactly zero.

    Args:
        num_coordinates: int, how many leading channels are coordinates (2 or 3).

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, V)``, bool.

    Example:
        >>> import numpy as np
        >>> layer = JointPresence(2)
        >>> keras.ops.convert_to_numpy(layer(np.array([[[[[0.0, 0.0], [3.0, 0.0]]]]]))).tolist()
        [[[[False, True]]]]

    Reference:
        Absent people and undetected joints are zeros in PYSKL's annotation files.
    """

    def __init__(self, num_coordinates, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pixels and millimetres need more than float16
        self.num_coordinates = num_coordinates

    def call(self, inputs):
        return ops.any(ops.not_equal(inputs[..., : self.num_coordinates], 0), axis=-1)  # (B, M, T, V)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape[:-1], dtype="bool")

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_coordinates")}
