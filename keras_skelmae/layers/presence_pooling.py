"""Averaging over what is there: frames, joints and people that were observed."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.frames import largest

PEOPLE_FUSIONS = ("mean", "concat")
TIMES = ("mean", "mean+max")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class PresencePooling(keras.layers.Layer):
    """Mean over joints and present frames, then over present people (``mean``) or side by side (``concat``).

    With groups the joints of each are averaged by themselves.

    A person absent from the whole clip has no weight (``mean``) or a zero vector (``concat``); a clip without
    anybody gives zeros.

    Args:
        people: "mean" or "concat".
        groups: None, or lists of joint indices, such as body parts: each is averaged by itself and all stand side by
            side, G * C channels instead of C.
        time: "mean", or "mean+max" for the largest value over the present frames beside it.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: bool ``(B, M, T)``; True = the person is there.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, C)`` or ``(B, M * C)``, with groups G times as wide, with "mean+max" twice.

    Example:
        >>> import numpy as np
        >>> layer = PresencePooling()
        >>> x = np.stack([np.ones((4, 3, 2)), 9 * np.ones((4, 3, 2))])[None].astype("float32")
        >>> here = np.array([[[True] * 4, [False] * 4]])
        >>> keras.ops.convert_to_numpy(layer(x, here)).tolist()
        [[1.0, 1.0]]

    Reference:
        None; padding people with zeros is PYSKL's convention.
    """

    def __init__(self, people="mean", groups=None, time="mean", **kwargs):
        super().__init__(**kwargs)
        if people not in PEOPLE_FUSIONS:
            raise ValueError(f"people: expected one of {PEOPLE_FUSIONS}, found {people!r}")
        if time not in TIMES:
            raise ValueError(f"time: expected one of {TIMES}, found {time!r}")
        self.people = people
        self.time = time
        self.groups = None if groups is None else [[int(joint) for joint in group] for group in groups]

    def call(self, inputs, presence):
        if self.groups is None:
            x = ops.mean(inputs, axis=3)  # (B, M, T, C)
        else:
            means = np.zeros((len(self.groups), inputs.shape[3]), "float32")  # (G, V)
            for row, group in enumerate(self.groups):
                means[row, group] = 1 / len(group)
            x = ops.matmul(ops.cast(means, inputs.dtype), inputs)  # (B, M, T, G, C)
            x = ops.reshape(x, (-1, *inputs.shape[1:3], len(self.groups) * inputs.shape[-1]))  # (B, M, T, G * C)
        weight = ops.cast(presence, x.dtype)[..., None]  # (B, M, T, 1)
        frames = ops.sum(weight, axis=2)  # (B, M, 1)
        pooled = [ops.sum(x * weight, axis=2) / ops.maximum(frames, 1)]  # (B, M, C)
        if self.time == "mean+max":
            pooled.append(largest(x, presence[..., None], axis=2))
        x = ops.concatenate(pooled, axis=-1)
        if self.people == "concat":
            return ops.reshape(x, (-1, x.shape[1] * x.shape[2]))  # (B, M * C)
        here = ops.cast(frames > 0, x.dtype)  # (B, M, 1)
        return ops.sum(x * here, axis=1) / ops.maximum(ops.sum(here, axis=1), 1)  # (B, C)

    def compute_output_shape(self, input_shape):
        width = input_shape[-1] * (1 if self.groups is None else len(self.groups)) * (2 if self.time != "mean" else 1)
        return (input_shape[0], width * (input_shape[1] if self.people == "concat" else 1))

    def get_config(self):
        return {**super().get_config(), "people": self.people, "groups": self.groups, "time": self.time}
