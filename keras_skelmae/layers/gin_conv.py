"""Graph isomorphism convolution on a fixed skeleton graph."""

import keras
from keras import ops

from keras_skelmae.fast.ops.channels import neighbour_sum, scaled
from keras_skelmae.layers.channel_prelu import ChannelPReLU
from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import adjacency_matrix, check_edges, check_joint_axis


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

    def __init__(
        self,
        units,
        edges,
        hidden_units=None,
        train_epsilon=True,
        kernel_initializer="glorot_uniform",
        joint_axis=-2,
        **kwargs,
    ):
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
        self.hidden = Dense(
            hidden, name="hidden", dtype=self.dtype_policy, kernel_initializer=self.kernel_initializer.clone()
        )
        self.activation = ChannelPReLU(name="activation", dtype=self.dtype_policy)
        self.output_dense = Dense(
            self.units, name="output_dense", dtype=self.dtype_policy, kernel_initializer=self.kernel_initializer.clone()
        )
        self.hidden.build(input_shape)
        self.activation.build((*lead, hidden))
        self.output_dense.build((*lead, hidden))
        self.built = True

    def call(self, inputs, training=None):
        weight = 1 + ops.cast(self.epsilon, inputs.dtype)
        x = neighbour_sum(self.adjacency, inputs, self.joint_axis) + scaled(inputs, weight, training)  # (..., V, C)
        return self.mlp(x)  # (..., V, units)

    def mlp(self, x):
        """Dense, PReLU, Dense."""
        return self.output_dense(self.activation(self.hidden(x)))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(self, "units", "edges", "hidden_units", "train_epsilon", "kernel_initializer", "joint_axis"),
        }
