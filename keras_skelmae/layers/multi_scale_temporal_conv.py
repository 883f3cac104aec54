"""Multi-scale temporal pooling: parallel temporal branches over each joint's track."""

import itertools

import keras
from keras import ops

from keras_skelmae.fast.ops.frames import check_frames, shifted
from keras_skelmae.layers.config import config_of
from keras_skelmae.layers.dense import Dense
from keras_skelmae.layers.graph import make_normalization, normalize
from keras_skelmae.layers.pointwise_update import PointwiseUpdate


@keras.saving.register_keras_serializable(package="keras_skelmae")
class MultiScaleTemporalConv(keras.layers.Layer):
    """Parallel branches of dilated temporal convolutions, temporal max-pooling and 1x1, concatenated.

    Every branch begins with its own 1x1 convolution, all of them one Dense here, and all but the 1x1 branch go on with
    a normalisation and a ReLU.

    Args:
        units: int, output width, divided among the ``len(dilations) + 2`` branches; the first has what is left over.
        kernel_size: int, odd, frames a convolution sees.
        dilations: one temporal convolution for each.
        pool_size: int, odd, frames of the max-pooling branch.
        strides: int, keep every ``strides``-th frame.
        residual: bool, add the input (needs as many channels as ``units``).
        fused: bool, mix the branches by a ReLU, a 1x1 convolution and one more normalisation.
        normalization: "batch", "layer" or "none".
        activation: applied at the end.

    Call arguments:
        inputs: ``(B, M, T, V, C)``.
        presence: None or bool ``(B, M, T)``; absent entries stay out of the batch statistics.

    Input shape:
        ``(B, M, T, V, C)``.

    Output shape:
        ``(B, M, ceil(T / strides), V, units)``.

    Example:
        >>> import numpy as np
        >>> layer = MultiScaleTemporalConv(16)
        >>> tuple(layer(np.ones((1, 2, 8, 3, 4), "float32")).shape[1:])
        (2, 8, 3, 16)

    Reference:
        Chen et al., "Channel-wise Topology Refinement Graph Convolution" (CTR-GCN), ICCV 2021, for the branches; with
        ``kernel_size=3, dilations=(1, 2, 3, 4), fused=True`` Duan et al., "PYSKL: Towards Good Practices for Skeleton
        Action Recognition", ACM MM 2022 (ST-GCN++). The convolutions have no bias: a normalisation follows.
    """

    def __init__(
        self,
        units,
        kernel_size=5,
        dilations=(1, 2),
        pool_size=3,
        strides=1,
        residual=False,
        fused=False,
        normalization="batch",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if units < len(dilations) + 2:
            raise ValueError(f"units: expected at least one for each of {len(dilations) + 2} branches, found {units}")
        if kernel_size % 2 == 0 or pool_size % 2 == 0:
            raise ValueError(f"kernel_size and pool_size: expected odd, found {kernel_size} and {pool_size}")
        self.units = units
        self.kernel_size = kernel_size
        self.dilations = [int(dilation) for dilation in dilations]
        self.pool_size = pool_size
        self.strides = strides
        self.residual = residual
        self.fused = fused
        self.normalization = normalization
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        check_frames(input_shape)
        if self.residual and input_shape[-1] != self.units:
            raise ValueError(f"residual: expected {self.units} input channels, found shape {tuple(input_shape)}")
        rest = self.units // (len(self.dilations) + 2)
        first = self.units - rest * (len(self.dilations) + 1)
        self.branch_units = [first, *[rest] * (len(self.dilations) + 1)]
        output, dtype = (*input_shape[:-1], self.units), self.dtype_policy
        self.pointwise = Dense(self.units, name="pointwise", dtype=dtype)
        self.pointwise.build(input_shape)
        self.norm_in = make_normalization(self.normalization, "norm_in", dtype)
        self.norm_out = make_normalization(self.normalization, "norm_out", dtype)
        if self.norm_in is not None:
            self.norm_in.build((*output[:-1], self.units - rest))
            self.norm_out.build(output)
        self.fusion = None
        if self.fused:
            self.fusion = PointwiseUpdate(self.units, self.normalization, None, name="fusion", dtype=dtype)
            self.fusion.build(output)
        # All taps of one convolution are one matrix: (C, taps * units), see call
        self.kernels = [
            self.add_weight(
                shape=(width, self.kernel_size * width),
                initializer=keras.initializers.VarianceScaling(1.0 / self.kernel_size, "fan_in"),
                name=f"kernel_{index}",
            )
            for index, width in enumerate(self.branch_units[: len(self.dilations)])
        ]
        self.built = True

    def _conv(self, x, kernel, dilation):
        taps = ops.split(ops.matmul(x, ops.cast(kernel, x.dtype)), self.kernel_size, axis=-1)
        reach = self.kernel_size // 2
        moved = [shifted(tap, (index - reach) * dilation) for index, tap in enumerate(taps)]
        return sum(moved[1:], moved[0])  # (B, M, T, V, branch_units)

    def _pool(self, x):
        reach = self.pool_size // 2  # inputs are >= 0 after the ReLU, so zero padding never wins
        out = x
        for offset in range(-reach, reach + 1):
            if offset:
                out = ops.maximum(out, shifted(x, offset))
        return out

    def call(self, inputs, presence=None, training=None):
        x = self.pointwise(inputs)  # (B, M, T, V, units)
        x, plain = ops.split(x, [self.units - self.branch_units[-1]], axis=-1)
        x = ops.relu(normalize(self.norm_in, x, presence, training))
        if presence is not None:
            x = x * ops.cast(presence, x.dtype)[..., None, None]
        *branches, pooled = ops.split(x, list(itertools.accumulate(self.branch_units[:-2])), axis=-1)
        out = [
            self._conv(branch, kernel, dilation)
            for branch, kernel, dilation in zip(branches, self.kernels, self.dilations, strict=True)
        ]
        out = ops.concatenate([*out, self._pool(pooled), plain], axis=-1)  # (B, M, T, V, units)
        if self.strides > 1:
            out, inputs = out[:, :, :: self.strides], inputs[:, :, :: self.strides]
            presence = None if presence is None else presence[:, :, :: self.strides]
        x = normalize(self.norm_out, out, presence, training)
        if self.fusion is not None:
            x = self.fusion(ops.relu(x), presence=presence, training=training)
        return self.activation(x + inputs if self.residual else x)

    def compute_output_shape(self, input_shape):
        frames = input_shape[2] if input_shape[2] is None else -(-input_shape[2] // self.strides)
        return (*input_shape[:2], frames, input_shape[3], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(
                self,
                "units",
                "kernel_size",
                "dilations",
                "pool_size",
                "strides",
                "residual",
                "fused",
                "normalization",
                "activation",
            ),
        }
