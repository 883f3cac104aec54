"""Any number of frames to a fixed one, inside the model."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ResampleFrames(keras.layers.Layer):
    """Any number of frames to ``num_frames``: the middle frame of each of that many equal stretches.

    The same frames as ``skelmae_datasets.sampling.uniform_grid_indices``, inside an exported model.

    Args:
        num_frames: int.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, num_frames, V, C)``.

    Example:
        >>> import numpy as np
        >>> layer = ResampleFrames(2)
        >>> x = np.arange(8.0).reshape((1, 1, 8, 1, 1))
        >>> keras.ops.convert_to_numpy(layer(x)).ravel().tolist()
        [2.0, 6.0]

    Reference:
        None.
    """

    def __init__(self, num_frames, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pixels need more than float16
        self.num_frames = num_frames

    def call(self, inputs):
        count = ops.shape(inputs)[2]
        index = (2 * ops.arange(self.num_frames, dtype="int32") + 1) * count // (2 * self.num_frames)
        return ops.take(inputs, index, axis=2)

    def compute_output_spec(self, inputs):
        shape = (*inputs.shape[:2], self.num_frames, *inputs.shape[3:])
        return keras.KerasTensor(shape, dtype=inputs.dtype)  # as it came, whatever the policy

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_frames")}
