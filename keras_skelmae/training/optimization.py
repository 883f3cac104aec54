"""Optimisers from a Config."""

import functools
import inspect

import keras

from keras_skelmae.schedules import WarmupSchedule


def make_optimizer(config, steps_per_epoch):
    """The optimiser a Config asks for; its schedule counts changes of the weights."""
    steps_per_epoch = steps_per_epoch / config.accumulate
    rate = WarmupSchedule(config.learning_rate, round(config.epochs * steps_per_epoch),
                          round(config.warmup_epochs * steps_per_epoch), config.schedule,
                          [round(epoch * steps_per_epoch) for epoch in config.step_epochs])
    common = {"learning_rate": rate, "weight_decay": config.weight_decay or None,
              "global_clipnorm": config.clip_norm or None}
    if config.accumulate > 1:
        common["gradient_accumulation_steps"] = config.accumulate
    if config.ema:  # Keras averages after every step, with accumulated gradients too
        common.update(use_ema=True, ema_momentum=config.ema ** (1 / config.accumulate))
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=config.momentum, nesterov=config.nesterov, **common)
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(**{**common, "weight_decay": config.weight_decay})
        optimizer.exclude_from_weight_decay(
            var_names=["bias", "gamma", "beta", "alpha", "epsilon", "embedding", "token"])
        return optimizer
    return keras.optimizers.Adam(**common)


JIT = {"auto": "auto", "on": True, "off": False}
WIDE = 32  # units from which on compiling saves more than it costs, see benchmarks/RESULTS.md


def compiled(config, varying):
    """``jit_compile`` for Keras, whose own "auto" never compiles with TensorFlow on a CPU."""
    if config.jit == "auto" and keras.config.backend() == "tensorflow":
        return config.units >= WIDE and not varying  # every shape would be compiled anew
    return JIT[config.jit]


def compile_options(config, steps_per_epoch, varying=False):
    """Arguments of ``keras.Model.compile`` that a Config decides on.

    Args:
        config: Config. steps_per_epoch: int.
        varying: bool, whether the shapes of batches differ.

    Raises:
        ValueError: several steps an execution with PyTorch.
    """
    if config.steps_per_execution > 1 and keras.config.backend() == "torch":
        raise ValueError(f"steps_per_execution: expected 1 with the torch backend, found {config.steps_per_execution}")
    return {"optimizer": make_optimizer(config, steps_per_epoch), "jit_compile": compiled(config, varying),
            "steps_per_execution": config.steps_per_execution}


def in_precision(function):
    """Run a function with a ``config`` argument under that Config's dtype policy; the one before comes back after."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(signature.bind(*args, **kwargs).arguments["config"].precision)
        try:
            return function(*args, **kwargs)
        finally:
            keras.config.set_dtype_policy(before)

    return wrapper
