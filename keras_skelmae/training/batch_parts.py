"""Steps of TensorFlow that cut a batch into parts, each computed by one core within its caches."""

import functools

import keras
import numpy as np

from keras_skelmae.layers.channelwise import on_cpu

PART_VALUES = 600_000  # of one tensor of features in a part; measured, see docs/speed.md
# Of one tensor of features in all batches, from where on compiling (2 to 3 s) takes less than it spares: half the time
# of the paper's network, a third of that of the recipe `small`
MANY_VALUES = 160_000_000


def has_batch_statistics(model):
    """Whether anything in a model is normalised over a batch."""
    return any(variable.name == "moving_mean" for variable in model.non_trainable_variables)


def suggest_batch_parts(model, batch_size, training=True):
    """Parts into which a CPU had better cut a batch: 1 where the whole fits the caches, or cannot be cut.

    Args:
        model: STRLClassifier or FusedClassifier.
        batch_size: int.
        training: bool; False for prediction, where batch statistics do not matter.

    Returns:
        int, a divisor of ``batch_size``.
    """
    if not _on_tensorflows_cpu() or training and has_batch_statistics(model):
        return 1
    values = _values(model)
    divisors = (count for count in range(1, batch_size + 1) if batch_size % count == 0)
    return next((count for count in divisors if batch_size // count * values <= PART_VALUES), batch_size)


def _on_tensorflows_cpu():
    return keras.config.backend() == "tensorflow" and on_cpu()


def _values(model):
    """Of one tensor of features, a sequence."""
    units = max(member.units for member in getattr(model, "members", [model]))
    return model.num_people * model.num_frames * model.layout.num_joints * units


def train_in_parts(model, parts):
    """Let the training steps of a compiled model cut each batch into equal parts. TensorFlow only.

    The losses and gradients of the parts are averaged. The result is that of the whole batch but for rounding and for
    what is dropped out, if the loss is a mean over sequences. The parts do not depend on each other, so TensorFlow
    computes as many at once as there are cores. A batch that cannot be cut evenly, or has weights, is computed whole.

    Args:
        model: keras.Model of one input; to be called after every ``compile``.
        parts: int, above 1.

    Raises:
        ValueError: another backend, or a model with batch statistics, which would be those of a part.
    """
    _check_backend(parts)
    if has_batch_statistics(model):
        raise ValueError(f'batch_parts: expected 1 with batch statistics (normalization = "layer" and one stream are '
                         f"without), found {parts}")
    model.train_step = functools.partial(_train_step, model, parts, _uncompiled(model, "make_train_function"))


def predict_in_parts(model, parts):
    """Let ``predict`` of a compiled model cut each batch into equal parts, as :func:`train_in_parts` does.

    Args:
        model: keras.Model of one input and one output; to be called after every ``compile``.
        parts: int, above 1.

    Raises:
        ValueError: another backend.
    """
    _check_backend(parts)
    model.predict_step = functools.partial(_predict_step, model, parts, _uncompiled(model, "make_predict_function"))


def prediction_function(model, batch_size, num_batches):
    """What gives the probabilities of so many batches soonest; the model stays as it is.

    On a CPU with TensorFlow many batches are worth compiling for, and are cut into parts; few, or those of another
    backend, are for ``predict_on_batch``.

    Args:
        model: STRLClassifier or FusedClassifier.
        batch_size: int, clips in a batch; the last one may have fewer.
        num_batches: int.

    Returns:
        Function of (B, M, T, V, C) that returns (B, num_classes) float32.
    """
    if not _on_tensorflows_cpu() or num_batches * batch_size * _values(model) < MANY_VALUES:
        return lambda x: np.asarray(model.predict_on_batch(x))
    import tensorflow as tf

    parts = suggest_batch_parts(model, batch_size, training=False)
    _, cut = _predicted(model, parts, True)
    together = tf.function(cut)

    def predict(x):
        missing = batch_size - len(x)  # another size would be compiled anew
        whole = np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)]) if missing else x
        return together(whole).numpy()[:len(x)]

    return predict


def _check_backend(parts):
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ValueError(f"batch_parts: expected 1 with the {backend} backend, found {parts}")


def _uncompiled(model, name):
    """Let a model's method that makes a function leave it uncompiled: the parts are, not what puts them together.

    Returns:
        What the parts are compiled by.
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


def _cut(x, parts):
    """Equal slices; unlike tf.split's they can be traced for a batch that does not divide, too."""
    size = keras.ops.shape(x)[0] // parts
    return [x[part * size:(part + 1) * size] for part in range(parts)]


def _predicted(model, parts, compiled):
    """Two functions of a batch that give its outputs: computed whole, and in parts."""
    import tensorflow as tf

    whole = tf.function(functools.partial(model, training=False), jit_compile=compiled)
    return whole, lambda x: tf.concat([whole(part) for part in _cut(x, parts)], 0)


def _predict_step(model, parts, compiled, data):
    import tensorflow as tf

    x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    whole, cut = _predicted(model, parts, compiled)
    return tf.cond(tf.equal(tf.shape(x)[0] % parts, 0), lambda: cut(x), lambda: whole(x))


def _train_step(model, parts, compiled, data):
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
        results = [gradients_of(*part, None) for part in zip(_cut(x, parts), _cut(y, parts), strict=True)]
        losses, predictions, gradients = zip(*results, strict=True)
        return (tf.add_n(losses) / parts, tf.concat(predictions, 0),
                [None if same[0] is None else tf.add_n(same) / parts for same in zip(*gradients, strict=True)])

    if sample_weight is None:
        loss, y_pred, gradients = tf.cond(tf.equal(tf.shape(x)[0] % parts, 0), cut, whole)
    else:  # parts whose weights differ do not count evenly
        loss, y_pred, gradients = whole()
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    tracker = next(metric for metric in model.metrics if metric.name == "loss")
    tracker.update_state(loss, sample_weight=tf.shape(x)[0])
    return model.compute_metrics(x, y, y_pred, sample_weight)
