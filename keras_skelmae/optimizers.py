"""Optimisers whose weight decay is what the field's recipes mean."""

import re

import keras
from keras import ops

# of biases, slopes, scales, positions and tokens, which decay nowhere
UNDECAYED = ("bias", "gamma", "beta", "alpha", "epsilon", "embedding", "token")


@keras.saving.register_keras_serializable(package="keras_skelmae")
class SGD(keras.optimizers.SGD):
    """SGD with Nesterov's momentum, and weight decay as part of the gradient, of kernels and of learned graph weights.

    ``g = gradient + l2 * w``, as PyTorch's ``weight_decay`` is. Keras's own is taken from the weights beside the
    gradient: momentum does not gather it, and with 0.9 it removes a tenth as much.

    Args:
        learning_rate: float or schedule.
        momentum: float.
        l2: float, the weight decay.
        kwargs: as ``keras.optimizers.Optimizer`` has them.

    Reference:
        Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013; Loshchilov
        and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, for the two kinds of decay.
    """

    def __init__(self, learning_rate=0.1, momentum=0.9, l2=0.0, name="sgd", **kwargs):
        kwargs.pop("nesterov", None)  # of a config
        super().__init__(learning_rate, momentum, nesterov=True, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        if self.l2 and not re.search("|".join(UNDECAYED), variable.name):
            gradient = gradient + ops.cast(self.l2 * variable, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}
