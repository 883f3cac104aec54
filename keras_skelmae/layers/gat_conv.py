"""Graph attention on a fixed skeleton graph."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import adjacency_matrix, check_edges


@keras.saving.register_keras_serializable(package="keras_skelmae")
class GATConv(keras.layers.Layer):
    """Graph attention: every joint weighs itself and its neighbours.

    In message form ``h_i' = sum_{j in N(i) + i} a_ij W h_j + b`` with
    ``a_i = softmax_j(LeakyReLU(u . W h_i + v . W h_j))``; ``num_heads`` of these stand side by side.

    Args:
        units: int, width of the output, a multiple of ``num_heads``.
        edges: pairs of joint indices; the graph is undirected.
        num_heads: int.
        negative_slope: float, of the LeakyReLU.
        kernel_initializer: initialiser of the kernel and the attention vectors.

    Call arguments:
        inputs: ``(..., V, C)``.

    Input shape:
        ``(..., V, C)``, any number of leading axes (at least the batch).

    Output shape:
        ``(..., V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = GATConv(8, edges=[(1, 0), (2, 1)])
        >>> tuple(layer(np.ones((4, 3, 2), "float32")).shape[1:])
        (3, 8)

    Reference:
        Velickovic et al., "Graph Attention Networks", ICLR 2018.
    """

    def __init__(self, units, edges, num_heads=4, negative_slope=0.2, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if units % num_heads:
            raise ValueError(f"units: expected a multiple of {num_heads} heads, found {units}")
        self.units = units
        self.edges = check_edges(edges)
        self.num_heads = num_heads
        self.negative_slope = negative_slope
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        joints = input_shape[-2]
        self.attended = (adjacency_matrix(self.edges, joints) + np.eye(joints, dtype="float32")) > 0  # (V, V)
        self.dense = Dense(
            self.units,
            use_bias=False,
            name="dense",
            dtype=self.dtype_policy,
            kernel_initializer=self.kernel_initializer.clone(),
        )
        self.dense.build(input_shape)
        shape = (self.units // self.num_heads, self.num_heads)
        self.receiver = self.add_weight(shape=shape, initializer=self.kernel_initializer.clone(), name="receiver")
        self.sender = self.add_weight(shape=shape, initializer=self.kernel_initializer.clone(), name="sender")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs):
        x = self.dense(inputs)  # (..., V, units)
        shape = ops.shape(x)
        # one leading axis: TensorFlow's softmax takes at most five in all on some processors
        x = ops.reshape(x, (-1, shape[-2], self.units // self.num_heads, self.num_heads))  # (N, V, F, H)
        receiver = ops.sum(x * ops.cast(self.receiver, x.dtype), axis=-2)  # (N, V, H)
        sender = ops.sum(x * ops.cast(self.sender, x.dtype), axis=-2)  # (N, V, H)
        score = ops.expand_dims(receiver, -2) + ops.expand_dims(sender, -3)  # (N, V, V, H)
        score = ops.leaky_relu(score, self.negative_slope)
        # -1e4 is -inf for a softmax and still a float16
        score = ops.where(self.attended[..., None], score, ops.cast(-1e4, score.dtype))
        weight = ops.softmax(score, axis=-2)  # (N, V, V, H)
        x = ops.einsum("nijh,njfh->nifh", weight, x)  # (N, V, F, H)
        return ops.reshape(x, shape) + ops.cast(self.bias, x.dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(self, "units", "edges", "num_heads", "negative_slope", "kernel_initializer"),
        }
