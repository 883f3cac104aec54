"""A clip and its mirror image."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.joint_presence import observed


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonMirror(keras.layers.Layer):
    """Clips with left and right exchanged: the paired joints, and the sign of x.

    For what places the body itself: a network that begins with ``SkeletonNormalization(mode="clip")``.

    Args:
        mirror: the joint that takes each joint's place, a permutation. ``SkeletonLayout.mirror``.
        num_coordinates: int, 2 or 3; joints that were not observed become zeros.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, V, C)``.

    Example:
        >>> import numpy as np
        >>> layer = SkeletonMirror([1, 0], 2)
        >>> keras.ops.convert_to_numpy(layer(np.array([[[[[1.0, 2.0], [3.0, 4.0]]]]]))).tolist()
        [[[[[-3.0, 4.0], [-1.0, 2.0]]]]]

    Reference:
        None; averaging over a mirrored copy is common practice.
    """

    def __init__(self, mirror, num_coordinates, **kwargs):
        super().__init__(autocast=False, **kwargs)  # pixels need more than float16
        self.mirror = [int(joint) for joint in mirror]
        self.num_coordinates = num_coordinates

    def call(self, inputs):
        there = observed(inputs[..., : self.num_coordinates])[..., None]  # -1 would not be known in the mirror
        swapped = ops.take(ops.where(there, inputs, ops.zeros((), inputs.dtype)), self.mirror, axis=3)
        return ops.concatenate([-swapped[..., :1], swapped[..., 1:]], axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)  # as it came, whatever the policy

    def get_config(self):
        return {**super().get_config(), **config_of(self, "mirror", "num_coordinates")}
