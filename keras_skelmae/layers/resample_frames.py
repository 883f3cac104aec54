"""Any number of frames to a fixed one, inside the model."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.joint_presence import observed
from skelmae_datasets.transforms.sampling import SAMPLINGS


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ResampleFrames(keras.layers.Layer):
    """Any number of frames to ``num_frames``, as ``SkeletonPreprocessor`` does it, inside an exported model.

    ``stretch``: places evenly spaced in time; between two frames coordinates are interpolated where the joint was
    observed in both, else those of the nearer frame are taken, and further channels are the lower of the two.
    ``pyskl``: the middle frame of each of that many equal stretches, a short recording looped.

    Args:
        num_frames: int.
        num_coordinates: int, 2 or 3.
        sampling: "stretch" or "pyskl".

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, num_frames, V, C)``.

    Example:
        >>> import numpy as np
        >>> layer = ResampleFrames(2, 2)
        >>> x = np.arange(1.0, 13.0).reshape((1, 1, 6, 1, 2))
        >>> keras.ops.convert_to_numpy(layer(x))[0, 0, :, 0].tolist()
        [[3.0, 4.0], [9.0, 10.0]]

    Reference:
        Duan et al., "PYSKL", 2022, for ``pyskl``.
    """

    def __init__(self, num_frames, num_coordinates, sampling="stretch", **kwargs):
        super().__init__(autocast=False, **kwargs)  # pixels need more than float16
        if sampling not in SAMPLINGS:
            raise ValueError(f"sampling: expected one of {SAMPLINGS}, found {sampling!r}")
        self.num_frames = num_frames
        self.num_coordinates = num_coordinates
        self.sampling = sampling

    def call(self, inputs):
        count, stretches = ops.shape(inputs)[2], 2 * self.num_frames
        number = ops.arange(self.num_frames, dtype="int32")
        place = (2 * number + 1) * count  # in half stretches
        if self.sampling == "pyskl":
            index = ops.where(count < self.num_frames, number % count, place // stretches)
            return ops.take(inputs, index, axis=2)
        place = ops.clip(place - self.num_frames, 0, stretches * (count - 1))  # by whole numbers: floats would round
        before = place // stretches
        share = ops.cast(place % stretches, "float32") / stretches
        share = ops.reshape(ops.cast(share, inputs.dtype), (-1, 1, 1))  # (num_frames, 1, 1)
        one, other = ops.take(inputs, before, axis=2), ops.take(inputs, ops.minimum(before + 1, count - 1), axis=2)
        dims = self.num_coordinates
        both = ops.logical_and(observed(one[..., :dims]), observed(other[..., :dims]))[..., None]
        between = one + share * (other - one)
        if inputs.shape[-1] > dims:
            between = ops.concatenate([between[..., :dims], ops.minimum(one, other)[..., dims:]], axis=-1)
        return ops.where(ops.logical_and(both, share > 0), between, ops.where(share < 0.5, one, other))

    def compute_output_spec(self, inputs):
        shape = (*inputs.shape[:2], self.num_frames, *inputs.shape[3:])
        return keras.KerasTensor(shape, dtype=inputs.dtype)  # as it came, whatever the policy

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_frames", "num_coordinates", "sampling")}
