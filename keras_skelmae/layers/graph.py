"""Small helpers shared by the graph layers: adjacency from an edge list, and normalisation by name."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.channelwise import ChannelNormalization
from keras_skelmae.layers.presence_normalization import PresenceBatchNormalization

NORMALIZATIONS = ("batch", "layer", "none")


def check_edges(edges):
    """Return ``edges`` as a list of [child, parent] integer pairs (JSON-able), or raise ValueError."""
    pairs = [[int(joint) for joint in pair] for pair in edges]
    if any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"edges: expected pairs of joint indices >= 0, found {edges!r}")
    return pairs


def adjacency_matrix(edges, num_joints):
    """(V, V) float32, 0/1, symmetric, zero diagonal."""
    adjacency = np.zeros((num_joints, num_joints), "float32")
    for child, parent in edges:
        if max(child, parent) >= num_joints:
            raise ValueError(f"edges: joint {max(child, parent)} is outside the input's {num_joints} joints")
        adjacency[child, parent] = adjacency[parent, child] = 1.0
    np.fill_diagonal(adjacency, 0.0)
    return adjacency


def receptive_fields(edges, num_joints, joints, num_layers):
    """Which joints ``num_layers`` graph convolutions need to know for those wanted of the last.

    Args:
        edges: pairs of joint indices. num_joints: int. joints: the wanted ones, in any order.
        num_layers: int.

    Returns:
        list of num_layers + 1 int32 arrays: the input's joints, each layer's, at the end ``joints`` as given.
    """
    closed = adjacency_matrix(edges, num_joints) + np.eye(num_joints, dtype="float32")
    fields = [np.asarray(joints, "int32")]
    for _ in range(num_layers):
        fields.insert(0, np.flatnonzero(closed[fields[0]].any(axis=0)).astype("int32"))
    return fields


def submatrix(matrix, fields):
    """Rows and columns of a (V, V) matrix for a convolution from the joints fields[0] to fields[1]; None = all."""
    if fields is None:
        return matrix
    return ops.take(ops.take(matrix, fields[1], axis=0), fields[0], axis=1)


def propagate(matrix, x, joint_axis=-2):
    """(V'', V') times the features of V' joints that stand on ``joint_axis``, -2 or 0."""
    matrix = ops.cast(matrix, x.dtype)
    if joint_axis == -2:
        return ops.matmul(matrix, x)
    return ops.tensordot(matrix, x, axes=1)  # one large product in place of many small ones


def check_joint_axis(axis):
    """``axis``, or ValueError."""
    if axis not in (-2, 0):
        raise ValueError(f"joint_axis: expected -2 or 0, found {axis!r}")
    return axis


def make_normalization(kind, name, dtype):
    """A normalisation layer over the last axis, or None."""
    if kind not in NORMALIZATIONS:
        raise ValueError(f"normalization: expected one of {NORMALIZATIONS}, found {kind!r}")
    if kind == "batch":
        return PresenceBatchNormalization(momentum=0.9, epsilon=1e-5, name=name, dtype=dtype)
    if kind == "layer":
        return ChannelNormalization(epsilon=1e-5, name=name, dtype=dtype)
    return None


def normalize(layer, x, presence=None, training=None):
    """Apply ``layer``; ``presence`` (x's leading axes, True = present) keeps padding out of batch statistics."""
    if layer is None:
        return x
    if isinstance(layer, keras.layers.BatchNormalization):
        mask = None
        if presence is not None:
            for _ in range(len(x.shape) - 1 - len(presence.shape)):
                presence = ops.expand_dims(presence, -1)
            mask = ops.logical_and(presence, ops.ones_like(x[..., 0], dtype="bool"))
        return layer(x, training=training, mask=mask)
    return layer(x)
