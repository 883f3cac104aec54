"""Which joints were observed at all."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of
from skelmae_datasets.transforms.presence import MAX_VALUE


def observed(coordinates):
    """Bool ``(...)`` of coordinates ``(..., k)``, by the rule of ``skelmae_datasets.transforms.presence``."""
    sound = ops.all(ops.abs(coordinates) <= MAX_VALUE, axis=-1)  # False for what is not a number
    somewhere = ops.logical_and(ops.any(coordinates != 0, axis=-1), ops.any(coordinates != -1, axis=-1))
    return ops.logical_and(sound, somewhere)


@keras.saving.register_keras_serializable(package="keras_skelmae")
class JointPresence(keras.layers.Layer):
    """True where a joint was observed: its coordinates are not all 0, not all -1, and all of them numbers in bounds.

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
        return observed(inputs[..., : self.num_coordinates])  # (B, M, T, V)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape[:-1], dtype="bool")

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_coordinates")}
