"""Graph convolution of Kipf and Welling on a fixed skeleton graph."""

import keras
import numpy as np

from keras_skelmae.fast.ops.channels import neighbour_sum
from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import adjacency_matrix, check_edges, check_joint_axis


@keras.saving.register_keras_serializable(package="keras_skelmae")
class GCNConv(keras.layers.Layer):
    """Graph convolution with symmetric normalisation.

    In message form ``h_i' = W sum_{j in N(i) + i} h_j / sqrt(d_i d_j) + b`` with ``d`` the degree counting the joint
    itself, in matrix form ``H' = D^{-1/2} (A + I) D^{-1/2} H W + b``.

    Args:
        units: int, width of the output.
        edges: pairs of joint indices; the graph is undirected.
        kernel_initializer: initialiser of the kernel.
        joint_axis: int, where V stands, see GINConv.

    Call arguments:
        inputs: ``(..., V, C)``.

    Input shape:
        ``(..., V, C)``, any number of leading axes (at least the batch).

    Output shape:
        ``(..., V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = GCNConv(8, edges=[(1, 0), (2, 1)])
        >>> tuple(layer(np.ones((4, 3, 2), "float32")).shape[1:])
        (3, 8)

    Reference:
        Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017.
    """

    def __init__(self, units, edges, kernel_initializer="glorot_uniform", joint_axis=-2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.edges = check_edges(edges)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.joint_axis = check_joint_axis(joint_axis)

    def build(self, input_shape):
        joints = input_shape[self.joint_axis]
        closed = adjacency_matrix(self.edges, joints) + np.eye(joints, dtype="float32")
        degree = closed.sum(axis=1)
        self.propagation = closed / np.sqrt(np.outer(degree, degree))  # (V, V)
        self.dense = Dense(
            self.units, name="dense", dtype=self.dtype_policy, kernel_initializer=self.kernel_initializer.clone()
        )
        self.dense.build(input_shape)
        self.built = True

    def call(self, inputs):
        return self.dense(neighbour_sum(self.propagation, inputs, self.joint_axis))  # (..., V, units)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "units", "edges", "kernel_initializer", "joint_axis")}
