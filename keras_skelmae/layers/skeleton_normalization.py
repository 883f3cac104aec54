"""Coordinates in the recording's units to centred, scaled ones."""

import keras
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.joint_presence import observed

MODES = ("clip", "image", "none")
SAME = 1e-10  # of the squared distance from the origin to the centre: joints no further from it are in one place


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonNormalization(keras.layers.Layer):
    """Centre and scale raw coordinates; joints that were not observed become zero; further channels pass unchanged.

    ``clip``: subtract the mean of all observed joints of the clip (all people and frames), divide by their
    root mean square distance from it: invariant to translation and scale, keeps the motion inside the clip.
    ``image``: ``x' = (x - w / 2) / (w / 2)``, ``y' = (y - h / 2) / (h / 2)`` (PYSKL's PreNormalize2D "fix").
    ``none``: unchanged.

    Args:
        num_coordinates: int, 2 or 3.
        mode: "clip", "image" or "none".
        image_size: (height, width) in pixels, for ``image``.

    Input shape:
        ``(B, M, T, V, C)``, in pixels or metres.

    Output shape:
        ``(B, M, T, V, C)``.

    Example:
        >>> import numpy as np
        >>> layer = SkeletonNormalization(2)
        >>> y = layer(np.array([[[[[1.0, 1.0], [3.0, 1.0], [0.0, 0.0]]]]], "float32"))
        >>> (keras.ops.convert_to_numpy(y).round(3) + 0)[0, 0, 0].tolist()
        [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]

    Reference:
        Duan et al., "PYSKL", 2022, for ``image``.
    """

    def __init__(self, num_coordinates, mode="clip", image_size=(1080, 1920), **kwargs):
        super().__init__(autocast=False, **kwargs)  # pixels and millimetres need more than float16
        if num_coordinates not in (2, 3):
            raise ValueError(f"num_coordinates: expected 2 or 3, found {num_coordinates}")
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {MODES}, found {mode!r}")
        if mode == "image" and num_coordinates != 2:
            raise ValueError("mode 'image' needs 2 coordinates")
        self.num_coordinates = num_coordinates
        self.mode = mode
        self.image_size = [int(side) for side in image_size]

    def call(self, inputs):
        present = observed(inputs[..., : self.num_coordinates])[..., None]  # (B, M, T, V, 1)
        inputs = ops.where(present, inputs, ops.zeros((), inputs.dtype))  # what is not a number would spread
        if self.mode == "none":
            return ops.cast(inputs, self.compute_dtype)
        xyz = ops.cast(inputs[..., : self.num_coordinates], "float32")  # sums of squares need the range
        weight = ops.cast(present, "float32")
        if self.mode == "image":
            height, width = self.image_size
            half = ops.convert_to_tensor([width / 2, height / 2], dtype="float32")
            xyz = (xyz - half) / half
        else:
            count = ops.maximum(ops.sum(weight, axis=(1, 2, 3), keepdims=True), 1.0)  # (B, 1, 1, 1, 1)
            center = ops.sum(xyz * weight, axis=(1, 2, 3), keepdims=True) / count  # (B, 1, 1, 1, C)
            xyz = (xyz - center) * weight
            square = ops.sum(ops.square(xyz), axis=(1, 2, 3, 4), keepdims=True) / count
            least = SAME * ops.sum(ops.square(center), axis=-1, keepdims=True)  # what rounding leaves of one place
            xyz = ops.where(square > least, xyz * ops.rsqrt(ops.maximum(square, 1e-12)), 0.0)
        xyz = ops.cast(xyz * weight, self.compute_dtype)
        if inputs.shape[-1] == self.num_coordinates:
            return xyz
        return ops.concatenate([xyz, ops.cast(inputs[..., self.num_coordinates :], self.compute_dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "num_coordinates", "mode", "image_size")}
