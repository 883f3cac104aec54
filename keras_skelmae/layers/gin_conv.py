"""Graph isomorphism convolution on a fixed skeleton graph."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.channelwise import ChannelPReLU, outer, sums_products_slowly
from keras_skelmae.layers.graph import adjacency_matrix, check_edges, check_joint_axis, propagate, submatrix


@keras.saving.register_keras_serializable(package="keras_skelmae")
class GINConv(keras.layers.Layer):
    """Graph isomorphism convolution.

    In message form ``h_i' = MLP((1 + eps) h_i + sum_{j in N(i)} h_j)``, in matrix form
    ``H' = MLP((A + (1 + eps) I) H)`` with the fixed 0/1 adjacency ``A`` of the skeleton.
    The MLP is Dense, PReLU, Dense.

    Args:
        units: int, width of the output.
        edges: pairs of joint indices; the graph is undirected.
        hidden_units: int, width inside the MLP; ``units`` if None.
        train_epsilon: bool, whether ``eps`` is learned; it starts at 0.
        kernel_initializer: initialiser of both Dense kernels.
        joint_axis: int, where V stands: -2, or 0 as GraphEncoder has it, in front of all else.

    Call arguments:
        inputs: ``(..., V, C)``.
        fields: None, or (joints that ``inputs`` holds, joints wanted): int ``(V',)`` and ``(V'',)``; the first have to
            contain the second and their neighbours. See :func:`receptive_fields`.

    Input shape:
        ``(..., V, C)``, any number of leading axes (at least the batch).

    Output shape:
        ``(..., V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = GINConv(8, edges=[(1, 0), (2, 1)])
        >>> tuple(layer(np.ones((4, 3, 2), "float32")).shape[1:])
        (3, 8)

    Reference:
        Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019.
    """

    def __init__(self, units, edges, hidden_units=None, train_epsilon=True,
                 kernel_initializer="glorot_uniform", joint_axis=-2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.edges = check_edges(edges)
        self.hidden_units = hidden_units
        self.train_epsilon = train_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.joint_axis = check_joint_axis(joint_axis)

    def build(self, input_shape):
        hidden = self.hidden_units or self.units
        self.adjacency = adjacency_matrix(self.edges, input_shape[self.joint_axis])
        self.epsilon = self.add_weight(shape=(), initializer="zeros", trainable=self.train_epsilon, name="epsilon")
        lead = tuple(input_shape[:-1])
        self.hidden = keras.layers.Dense(hidden, name="hidden", dtype=self.dtype_policy,
                                         kernel_initializer=self.kernel_initializer.clone())
        self.activation = ChannelPReLU(name="activation", dtype=self.dtype_policy)
        self.output_dense = keras.layers.Dense(self.units, name="output_dense", dtype=self.dtype_policy,
                                               kernel_initializer=self.kernel_initializer.clone())
        self.hidden.build(input_shape)
        self.activation.build((*lead, hidden))
        self.output_dense.build((*lead, hidden))
        self.built = True

    def call(self, inputs, fields=None, training=None):
        x = propagate(submatrix(self.adjacency, fields), inputs, self.joint_axis)  # (..., V, C)
        itself = inputs
        if fields is not None:
            itself = propagate(submatrix(np.eye(len(self.adjacency)), fields), inputs, self.joint_axis)
        weight = 1 + ops.cast(self.epsilon, inputs.dtype)
        if training and sums_products_slowly():
            weight = outer(ops.ones_like(itself[..., :1]), weight * ops.ones((inputs.shape[-1],), inputs.dtype))
        x = x + weight * itself
        x = self.activation(self.hidden(x))  # (..., V, hidden)
        return self.output_dense(x)  # (..., V, units)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "edges": self.edges,
                "hidden_units": self.hidden_units, "train_epsilon": self.train_epsilon,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
                "joint_axis": self.joint_axis}
