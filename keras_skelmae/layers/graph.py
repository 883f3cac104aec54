"""Small helpers shared by the graph layers: adjacency from an edge list, and normalisation by name."""

import numpy as np

from keras_skelmae.layers.channel_normalization import ChannelNormalization
from keras_skelmae.layers.presence_batch_normalization import PresenceBatchNormalization

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


def directed_adjacency(edges, num_joints):
    """Two (V, V) float32: the mean of a joint's parents, and of its children; zeros where there are none."""
    graphs = np.zeros((2, num_joints, num_joints), "float32")
    adjacency_matrix(edges, num_joints)  # checks the joints
    for child, parent in edges:
        graphs[0, child, parent] = graphs[1, parent, child] = 1.0
    return graphs / np.maximum(graphs.sum(axis=2, keepdims=True), 1)


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
    """Apply a layer of :func:`make_normalization`; ``presence`` keeps padding out of batch statistics."""
    return x if layer is None else layer(x, presence=presence, training=training)
