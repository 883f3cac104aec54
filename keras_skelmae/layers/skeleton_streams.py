"""Joint, bone and motion streams as channels."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.graph import check_edges

STREAMS = ("joint", "motion", "bone", "relative", "distance")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonStreams(keras.layers.Layer):
    """Concatenate the named views of the coordinates on the channel axis.

    ``joint``: all input channels. ``motion``: ``x[t + 1] - x[t]``, zero in the last frame and where the joint is
    not observed in both frames. ``bone``: joint minus the joint it hangs from, zero at the root and where either is
    missing.
    ``relative``: joint minus the mean of the observed joints of its person and frame, zero where it is missing.
    ``distance``: its distances to all V joints of its person and frame, zero where either is missing: the same however
    the camera is turned.

    Args:
        streams: a non-empty sequence out of STREAMS.
        num_coordinates: int, 2 or 3; motion and bone use these channels only.
        bones: (joint, reference) pairs, for ``bone``; a joint without a pair has none. ``SkeletonLayout.bones``.

    Call arguments:
        inputs: ``(B, M, T, V, C)`` normalised coordinates.
        visible: ``(B, M, T, V)`` bool, True = observed and not masked: no stream shows a masked joint through another.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, T, V, C')``: C for joint, V for distance, num_coordinates for each of the others.

    Example:
        >>> import numpy as np
        >>> layer = SkeletonStreams(["joint", "motion"], 2, [(1, 0)])
        >>> tuple(layer(np.ones((1, 1, 4, 2, 2), "float32"), np.ones((1, 1, 4, 2), bool)).shape[1:])
        (1, 4, 2, 4)

    Reference:
        Shi et al., "Two-Stream Adaptive Graph Convolutional Networks", CVPR 2019, for joint and bone; there the bone of
        a joint whose reference is missing reaches to the origin, and motion of one that appears is a leap.
    """

    def __init__(self, streams, num_coordinates, bones, **kwargs):
        super().__init__(**kwargs)
        unknown = sorted(set(streams) - set(STREAMS))
        if unknown or not streams:
            raise ValueError(f"streams: expected a selection of {STREAMS}, found {list(streams)!r}")
        self.streams = list(streams)
        self.num_coordinates = num_coordinates
        self.bones = check_edges(bones)

    def build(self, input_shape):
        self.reference = np.arange(input_shape[-2], dtype="int32")
        for joint, reference in self.bones:
            self.reference[joint] = reference
        self.built = True

    def call(self, inputs, visible):
        xyz = inputs[..., : self.num_coordinates]
        seen = ops.cast(visible, inputs.dtype)[..., None]  # (B, M, T, V, 1)
        views = [inputs if stream == "joint" else getattr(self, f"_{stream}")(xyz, seen) for stream in self.streams]
        return views[0] if len(views) == 1 else ops.concatenate(views, axis=-1)

    def _motion(self, xyz, seen):
        step = (xyz[:, :, 1:] - xyz[:, :, :-1]) * seen[:, :, 1:] * seen[:, :, :-1]
        return ops.concatenate([step, ops.zeros_like(xyz[:, :, :1])], axis=2)

    def _bone(self, xyz, seen):
        return (xyz - ops.take(xyz, self.reference, axis=3)) * seen * ops.take(seen, self.reference, axis=3)

    def _relative(self, xyz, seen):
        count = ops.maximum(ops.sum(seen, axis=3, keepdims=True), 1)  # (B, M, T, 1, 1)
        return (xyz - ops.sum(xyz * seen, axis=3, keepdims=True) / count) * seen

    def _distance(self, xyz, seen):
        gap = ops.expand_dims(xyz, 4) - ops.expand_dims(xyz, 3)  # (B, M, T, V, V, C)
        both = ops.expand_dims(seen, 4) * ops.expand_dims(seen, 3)
        # the small number, which float16 has not, keeps the square root's gradient finite
        far = ops.sqrt(ops.sum(ops.square(ops.cast(gap, "float32")), axis=-1) + 1e-8)
        return ops.cast(far, gap.dtype) * both[..., 0]

    def compute_output_shape(self, input_shape):
        widths = {"joint": input_shape[-1], "distance": input_shape[-2]}
        width = sum(widths.get(stream, self.num_coordinates) for stream in self.streams)
        return (*input_shape[:-1], width)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "streams", "num_coordinates", "bones")}
