"""From the joints of a recording to those of a network that has other ones."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.joint_presence import observed


@keras.saving.register_keras_serializable(package="keras_skelmae")
class JointMapping(keras.layers.Layer):
    """Every joint given is the mean of some joints taken, ``y_v = sum_{u in S_v} x_u / |S_v|``.

    A joint is observed where all that it is made of are, else zero, and so is one that is made of none: the rule of
    ``skelmae_datasets.layout_map``, as a layer.

    Args:
        sources: for every joint given a list of the joints whose mean it is; empty where there is none.

    Input shape:
        ``(..., V, C)`` coordinates, joints not observed at zero.

    Output shape:
        ``(..., len(sources), C)``, float32.

    Raises:
        ValueError: a joint that the input has not got.

    Example:
        >>> import numpy as np
        >>> y = JointMapping([[0, 1], [], [1]])(np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32"))
        >>> keras.ops.convert_to_numpy(y)[0].tolist()
        [[2.0, 3.0], [0.0, 0.0], [3.0, 4.0]]
    """

    def __init__(self, sources, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})  # pixels need more than float16
        self.sources = [[int(joint) for joint in given] for given in sources]

    def build(self, input_shape):
        joints = input_shape[-2]
        if any(not 0 <= joint < joints for given in self.sources for joint in given):
            raise ValueError(f"sources: expected joints from 0 to {joints - 1}, found {self.sources}")
        self.matrix = np.zeros((len(self.sources), joints), np.float32)
        for row, given in zip(self.matrix, self.sources, strict=True):
            row[given] = 1 / max(len(given), 1)
        self.built = True

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        seen = observed(x)[..., None]  # (..., V, 1)
        whole = ops.matmul(self.matrix, ops.cast(seen, "float32")) > 1 - 1e-4  # (..., V', 1)
        return ops.where(whole, ops.matmul(self.matrix, ops.where(seen, x, 0.0)), 0.0)  # (..., V', C)

    def compute_output_spec(self, inputs):
        shape = (*inputs.shape[:-2], len(self.sources), inputs.shape[-1])
        return keras.KerasTensor(shape, dtype="float32")  # whatever the policy

    def get_config(self):
        return {**super().get_config(), **config_of(self, "sources")}
