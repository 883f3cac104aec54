"""Optimisers from Settings."""

import functools
import inspect

import keras

from keras_skelmae.fast.ops.channels import on_cpu
from keras_skelmae.optimizers import SGD, UNDECAYED
from keras_skelmae.schedules import WarmupSchedule


def make_optimizer(options, steps_per_epoch):
    """The optimiser that OptimizerSettings ask for; its schedule counts changes of the weights."""
    accumulated = options.gradient_accumulation_steps
    steps_per_epoch = steps_per_epoch / accumulated
    rate = WarmupSchedule(
        options.learning_rate,
        round(options.epochs * steps_per_epoch),
        round(options.warmup_epochs * steps_per_epoch),
        options.schedule,
        [round(epoch * steps_per_epoch) for epoch in options.step_epochs],
    )
    common = {"learning_rate": rate, "global_clipnorm": options.global_clipnorm or None}
    if accumulated > 1:
        common["gradient_accumulation_steps"] = accumulated
    if options.ema_momentum:  # Keras averages after every step, with accumulated gradients too
        common.update(use_ema=True, ema_momentum=options.ema_momentum ** (1 / accumulated))
    if options.optimizer == "sgd":
        return SGD(momentum=options.momentum, l2=options.weight_decay, **common)
    optimizer = keras.optimizers.AdamW(weight_decay=options.weight_decay, **common)
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


JIT = {"auto": "auto", "on": True, "off": False}
WIDE = 16  # units from which on compiling saves more than it costs, see docs/speed.md


def compiled(settings, varying):
    """``jit_compile`` for Keras, whose own "auto" never compiles with TensorFlow on a CPU.

    JAX has to compile: without, it computes every operation by itself, six to ten times as long.
    """
    if settings.optimizer.jit_compile == "auto" and keras.config.backend() == "tensorflow":
        timed = not settings.without_effect("temporal")  # the autoencoder of single frames has no layers of time
        if timed and settings.model.temporal in ("body", "residual") and on_cpu():
            return False  # half a minute to minutes of compiling, and hardly faster
        return settings.model.units >= WIDE and not varying  # every shape would be compiled again
    return JIT[settings.optimizer.jit_compile]


def compile_options(settings, steps_per_epoch, varying=False):
    """Arguments of ``keras.Model.compile`` that Settings decide on.

    Args:
        settings: Settings. steps_per_epoch: int.
        varying: bool, whether the shapes of batches differ.

    Raises:
        ValueError: several steps per execution with PyTorch.
    """
    together = settings.optimizer.steps_per_execution
    if together > 1 and keras.config.backend() == "torch":
        raise ValueError(f"steps_per_execution: expected 1 with the torch backend, found {together}")
    return {
        "optimizer": make_optimizer(settings.optimizer, steps_per_epoch),
        "jit_compile": compiled(settings, varying),
        "steps_per_execution": together,
    }


def in_precision(function):
    """Run a function with a ``settings`` argument under its dtype policy; the one before comes back after."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(signature.bind(*args, **kwargs).arguments["settings"].optimizer.dtype_policy)
        try:
            return function(*args, **kwargs)
        finally:
            keras.config.set_dtype_policy(before)

    return wrapper
