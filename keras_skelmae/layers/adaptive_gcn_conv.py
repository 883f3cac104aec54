"""Graph convolution whose joint-to-joint weights are learned, from the skeleton on."""

import keras
import numpy as np
from keras import ops

from keras_skelmae.fast.ops.channels import neighbour_sum
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.gcn_conv import GCNConv
from keras_skelmae.layers.graph import directed_adjacency


@keras.saving.register_keras_serializable(package="keras_skelmae")
class AdaptiveGCNConv(GCNConv):
    """Graph convolution over three learned graphs.

    In message form ``h_i' = sum_k sum_j A_k[i, j] W_k h_j + b``, in matrix form ``H' = sum_k A_k H W_k + b``. The
    weights A start at the skeleton: every joint itself, its parent, the mean of its children. They are free from there
    on, so that joints far apart on the body can see each other.

    Args:
        As GCNConv; edges are (child, parent) pairs.

    Call arguments:
        inputs: ``(..., V, C)``.

    Input shape:
        ``(..., V, C)``, any number of leading axes (at least the batch).

    Output shape:
        ``(..., V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = AdaptiveGCNConv(8, edges=[(1, 0), (2, 1)])
        >>> tuple(layer(np.ones((4, 3, 2), "float32")).shape[1:])
        (3, 8)

    Reference:
        Duan et al., "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM MM 2022 (ST-GCN++), for
        weights that begin as the graphs of Yan et al., "Spatial Temporal Graph Convolutional Networks", AAAI 2018.
    """

    def build(self, input_shape):
        joints = input_shape[self.joint_axis]
        start = np.stack([np.eye(joints, dtype="float32"), *directed_adjacency(self.edges, joints)])
        self.adjacency = self.add_weight(
            shape=start.shape, initializer=lambda shape, dtype: ops.cast(start, dtype), name="adjacency"
        )
        self.dense = [
            Dense(
                self.units,
                use_bias=index == 0,
                name=f"dense_{index}",
                dtype=self.dtype_policy,
                kernel_initializer=self.kernel_initializer.clone(),
            )
            for index in range(len(start))
        ]
        for dense in self.dense:
            dense.build(input_shape)
        self.built = True

    def call(self, inputs):
        graphs = zip(self.dense, ops.unstack(ops.convert_to_tensor(self.adjacency), axis=0), strict=True)
        return sum(dense(neighbour_sum(graph, inputs, self.joint_axis)) for dense, graph in graphs)  # (..., V, units)
