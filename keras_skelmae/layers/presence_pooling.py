"""Averaging over what is there: frames and people that were observed."""

import keras
from keras import ops

from keras_skelmae.fast.ops.frames import largest
from keras_skelmae.layers.config import config_of

TIMES = ("mean", "mean+max")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PresencePooling(keras.layers.Layer):
    """Mean over joints and present frames, then over present people.

    A person absent from the whole clip has no weight; a clip without anybody gives zeros.

    Args:
        time: "mean", or "mean+max" for the largest value over the present frames beside it.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: bool ``(B, M, T)``; True = the person is there.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, C)``, with "mean+max" ``(B, 2 * C)``.

    Example:
        >>> import numpy as np
        >>> layer = PresencePooling()
        >>> x = np.stack([np.ones((4, 3, 2)), 9 * np.ones((4, 3, 2))])[None].astype("float32")
        >>> presence = np.array([[[True] * 4, [False] * 4]])
        >>> keras.ops.convert_to_numpy(layer(x, presence)).tolist()
        [[1.0, 1.0]]

    Reference:
        None; padding people with zeros is PYSKL's convention.
    """

    def __init__(self, time="mean", **kwargs):
        super().__init__(**kwargs)
        if time not in TIMES:
            raise ValueError(f"time: expected one of {TIMES}, found {time!r}")
        self.time = time

    def call(self, inputs, presence):
        x = ops.mean(inputs, axis=3)  # (B, M, T, C)
        weight = ops.cast(presence, x.dtype)[..., None]  # (B, M, T, 1)
        frames = ops.sum(weight, axis=2)  # (B, M, 1)
        pooled = ops.sum(x * weight, axis=2) / ops.maximum(frames, 1)  # (B, M, C)
        if self.time == "mean+max":
            pooled = ops.concatenate([pooled, largest(x, presence[..., None], axis=2)], axis=-1)  # (B, M, 2 * C)
        people = ops.cast(frames > 0, x.dtype)  # (B, M, 1)
        return ops.sum(pooled * people, axis=1) / ops.maximum(ops.sum(people, axis=1), 1)  # (B, C)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1] * (1 if self.time == "mean" else 2))

    def get_config(self):
        return {**super().get_config(), **config_of(self, "time")}
