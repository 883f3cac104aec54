"""PReLU with one slope per channel."""

import keras

from keras_skelmae.fast.ops.channels import prelu


@keras.saving.register_keras_serializable(package="keras_skelmae")
class ChannelPReLU(keras.layers.PReLU):
    """Keras's PReLU with one slope per channel, 0.25 at first, whatever the number of leading axes.

    Input shape:
        ``(..., C)``.

    Output shape:
        ``(..., C)``.

    Example:
        >>> import numpy as np
        >>> keras.ops.convert_to_numpy(ChannelPReLU()(np.array([[-4.0, 4.0]], "float32"))).tolist()
        [[-1.0, 4.0]]

    Reference:
        He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """

    def __init__(self, **kwargs):
        super().__init__(alpha_initializer=keras.initializers.Constant(0.25), **kwargs)

    def build(self, input_shape):
        self.shared_axes = list(range(1, len(input_shape) - 1))
        super().build(input_shape)

    def call(self, inputs):
        return prelu(inputs, self.alpha)

    def get_config(self):
        return keras.layers.Layer.get_config(self)
