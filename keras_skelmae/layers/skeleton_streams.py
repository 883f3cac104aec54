"""Joint, bone and motion streams as channels."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.graph import check_edges

STREAMS = ("joint", "motion", "bone", "relative", "distance")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SkeletonStreams(keras.layers.Layer):
    """Concatenate the named views of the coordinates on the channel axis.

    ``joint``: all input channels. ``motion``: ``x[t + 1] - x[t]``, zero in the last frame and where the joint is
    not observed in both frames. ``bone``: joint minus its parent, zero at the root and where either is missing.
    ``relative``: joint minus the mean of the observed joints of its person and frame, zero where it is missing.
    ``distance``: its distances to all V joints of its person and frame, zero where either is missing: the same however
    the camera is turned.

    Args:
        streams: a non-empty sequence out of STREAMS.
        num_coordinates: int, 2 or 3; motion and bone use these channels only.
        edges: (child, parent) pairs, for ``bone``.

    Call arguments:
        inputs: ``(B, M, T, V, C)`` normalised coordinates.
        presence: ``(B, M, T, V)`` bool, True = observed. In pre-training masked joints count as not observed, so that
            no stream shows them through another joint.

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
        Shi et al., "Two-Stream Adaptive Graph Convolutional Networks", CVPR 2019.
    """

    def __init__(self, streams, num_coordinates, edges, **kwargs):
        super().__init__(**kwargs)
        unknown = sorted(set(streams) - set(STREAMS))
        if unknown or not streams:
            raise ValueError(f"streams: expected a selection of {STREAMS}, found {list(streams)!r}")
        self.streams = list(streams)
        self.num_coordinates = num_coordinates
        self.edges = check_edges(edges)

    def build(self, input_shape):
        parent = np.arange(input_shape[-2])
        for child, target in self.edges:
            parent[child] = target
        self.parent = parent.astype("int32")
        self.built = True

    def call(self, inputs, presence):
        parts = []
        xyz = inputs[..., :self.num_coordinates]
        seen = ops.expand_dims(ops.cast(presence, inputs.dtype), -1)  # (B, M, T, V, 1)
        for stream in self.streams:
            if stream == "joint":
                parts.append(inputs)
            elif stream == "motion":
                step = (xyz[:, :, 1:] - xyz[:, :, :-1]) * seen[:, :, 1:] * seen[:, :, :-1]
                parts.append(ops.concatenate([step, ops.zeros_like(xyz[:, :, :1])], axis=2))
            elif stream == "relative":
                count = ops.maximum(ops.sum(seen, axis=3, keepdims=True), 1)  # (B, M, T, 1, 1)
                parts.append((xyz - ops.sum(xyz * seen, axis=3, keepdims=True) / count) * seen)
            elif stream == "distance":
                gap = ops.expand_dims(xyz, 4) - ops.expand_dims(xyz, 3)  # (B, M, T, V, V, C)
                both = ops.expand_dims(seen, 4) * ops.expand_dims(seen, 3)
                # the small number keeps the square root's gradient finite
                far = ops.sqrt(ops.sum(ops.square(gap), axis=-1) + 1e-8)
                parts.append(far * both[..., 0])
            else:
                parts.append((xyz - ops.take(xyz, self.parent, axis=3)) * seen * ops.take(seen, self.parent, axis=3))
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, input_shape):
        widths = {"joint": input_shape[-1], "distance": input_shape[-2]}
        width = sum(widths.get(stream, self.num_coordinates) for stream in self.streams)
        return (*input_shape[:-1], width)

    def get_config(self):
        return {**super().get_config(), "streams": self.streams, "num_coordinates": self.num_coordinates,
                "edges": self.edges}
