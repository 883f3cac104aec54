"""Steps of TensorFlow that cut a batch into slices, each computed by one core within its caches."""

import functools

import keras
import numpy as np

from keras_skelmae.fast.ops.channels import on_cpu

SLICE_VALUES = 600_000  # of one tensor of features in a slice; measured, see docs/speed.md
# Of one tensor of features in all batches, from where on compiling (2 to 3 s) takes less than it spares: half the time
# of the paper's network, a third of that of the recipe `small`
MANY_VALUES = 160_000_000


def has_batch_statistics(model):
    """Whether anything in a model is normalised over a batch."""
    return any(variable.name == "moving_mean" for variable in model.non_trainable_variables)


def suggest_slices(model, batch_size, training=True):
    """Slices into which a CPU cuts a batch: 1 where the whole fits the caches, or cannot be cut.

    Args:
        model: STRLClassifier or Ensemble.
        batch_size: int.
        training: bool; False for prediction, where batch statistics do not matter.

    Returns:
        int, a divisor of ``batch_size``.
    """
    if not _on_tensorflows_cpu() or training and has_batch_statistics(model):
        return 1
    values = _values(model)
    divisors = (count for count in range(1, batch_size + 1) if batch_size % count == 0)
    return next((count for count in divisors if batch_size // count * values <= SLICE_VALUES), batch_size)


def _on_tensorflows_cpu():
    return keras.config.backend() == "tensorflow" and on_cpu()


def _values(model):
    """Of one tensor of features, a sequence."""
    people, frames, joints, _ = model.preprocessor.clip_shape
    return people * frames * joints * max(member.backbone.units for member in getattr(model, "members", [model]))


def train_in_slices(model, slices):
    """Let the training steps of a compiled model cut each batch into equal slices. TensorFlow only.

    The losses and gradients of the slices are averaged. The result is that of the whole batch but for rounding and for
    what is dropped out, if the loss is a mean over sequences. The slices do not depend on each other, so TensorFlow
    computes as many at once as there are cores. A batch that cannot be cut evenly, or has weights, is computed whole.

    Args:
        model: keras.Model of one input; to be called after every ``compile``.
        slices: int, above 1.

    Raises:
        ValueError: another backend, or a model with batch statistics, which would be those of a slice.
    """
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ValueError(f"slices: expected 1 with the {backend} backend, found {slices}")
    if has_batch_statistics(model):
        raise ValueError(
            f'slices: expected 1 with batch statistics (normalization = "layer" and one stream are '
            f"without), found {slices}"
        )
    model.train_step = functools.partial(_train_step, model, slices, _uncompiled(model, "make_train_function"))


def prediction_function(model, batch_size, num_batches):
    """What gives the probabilities of so many batches as soon as possible; the model stays as it is.

    On a CPU with TensorFlow many batches are worth compiling for, and are cut into slices; few, or those of another
    backend, are for ``predict_on_batch``.

    Args:
        model: STRLClassifier or Ensemble.
        batch_size: int, clips in a batch; the last one may have fewer.
        num_batches: int.

    Returns:
        Function of (B, M, T, V, C) that returns (B, num_classes) float32.
    """
    if not _on_tensorflows_cpu() or num_batches * batch_size * _values(model) < MANY_VALUES:
        return lambda x: np.asarray(model.predict_on_batch(x))
    import tensorflow as tf

    slices = suggest_slices(model, batch_size, training=False)
    whole = tf.function(functools.partial(model, training=False), jit_compile=True)
    together = tf.function(lambda x: tf.concat([whole(piece) for piece in _cut(x, slices)], 0))

    def predict(x):
        missing = batch_size - len(x)  # another size would be compiled again
        filled = np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)]) if missing else x
        return together(filled).numpy()[: len(x)]

    return predict


def _uncompiled(model, name):
    """Let a model's method that makes a function leave it uncompiled: the slices are, not what puts them together.

    Returns:
        What the slices are compiled by.
    """
    compiled, make = model.jit_compile, getattr(type(model), name)

    def made(force=False):
        model.jit_compile = False
        result = make(model, force)
        model.jit_compile = compiled
        return result

    setattr(model, name, made)
    setattr(model, name.removeprefix("make_"), None)  # what an earlier call made
    return compiled


def _cut(x, slices):
    """Equal slices; unlike tf.split's they can be traced for a batch that does not divide, too."""
    size = keras.ops.shape(x)[0] // slices
    return [x[index * size : (index + 1) * size] for index in range(slices)]


def _train_step(model, slices, compiled, data):
    import tensorflow as tf

    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    variables = model.trainable_variables

    @tf.function(jit_compile=compiled)
    def gradients_of(x, y, sample_weight):
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        return loss, y_pred, tape.gradient(scaled, variables)

    def whole():
        return gradients_of(x, y, sample_weight)

    def cut():
        results = [gradients_of(*pieces, None) for pieces in zip(_cut(x, slices), _cut(y, slices), strict=True)]
        losses, predictions, gradients = zip(*results, strict=True)
        return (
            tf.add_n(losses) / slices,
            tf.concat(predictions, 0),
            [None if same[0] is None else tf.add_n(same) / slices for same in zip(*gradients, strict=True)],
        )

    if sample_weight is None:
        loss, y_pred, gradients = tf.cond(tf.equal(tf.shape(x)[0] % slices, 0), cut, whole)
    else:  # slices whose weights differ do not count evenly
        loss, y_pred, gradients = whole()
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    tracker = next(metric for metric in model.metrics if metric.name == "loss")
    tracker.update_state(loss, sample_weight=tf.shape(x)[0])
    return model.compute_metrics(x, y, y_pred, sample_weight)
