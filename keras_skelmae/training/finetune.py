"""Fine-tuning: the STRL classifier, end to end, from a pre-trained encoder or from random initialisation."""

import dataclasses
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.models import STRLClassifier, transfer_weights
from keras_skelmae.training.batch_parts import suggest_batch_parts, train_in_parts
from keras_skelmae.training.feeding import SequenceSource, SkeletonBatches
from keras_skelmae.training.fitting import fit
from keras_skelmae.training.mirroring import classes_are_symmetric
from keras_skelmae.training.optimization import compile_options, in_precision
from keras_skelmae.training.pretrain import augmentation, people_count, trunk_options
from keras_skelmae.training.probe_targets import check_probe_share, targets_of
from keras_skelmae.training.progress import EpochLine
from keras_skelmae.training.runs import TRAIN_IDS, Run, file_digest, ids_digest, load_model, model_file

SELECTIONS = ("last", "best")


def hold_out(store, indices, fraction, seed):
    """Split indices into (training, validation): whole subjects where at least four are known, else by class.

    Args:
        store: SkeletonStore.
        indices: int array.
        fraction: float, share to set aside, at least one sequence.
        seed: int.
    """
    rng = np.random.default_rng(seed)
    indices = np.asarray(indices)
    subjects = np.unique(store.subject[indices])
    chosen = np.zeros(len(indices), bool)
    if len(subjects) >= 4 and subjects[0] >= 0:
        for subject in rng.permutation(subjects)[:-1]:
            if chosen.any() and chosen.mean() >= fraction:
                break
            chosen |= store.subject[indices] == subject
    else:
        labels = store.labels[indices]
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            if len(rows) > 1:
                chosen[rows[:max(1, round(fraction * len(rows)))]] = True
    if chosen.all() or not chosen.any():
        raise ValueError(f"{store.path}: expected enough sequences to set {fraction:.0%} aside, found {len(indices)}")
    return indices[~chosen], indices[chosen]


class KeepBest(keras.callbacks.Callback):
    """Remember the weights of the epoch with the best validation accuracy."""

    def __init__(self):
        super().__init__()
        self.best, self.weights, self.epoch = -1.0, None, None

    def on_epoch_end(self, epoch, logs=None):
        if logs.get("val_accuracy", -1) > self.best:
            self.best, self.epoch, self.weights = logs["val_accuracy"], epoch + 1, self.model.get_weights()


def phases(config, pretrained):
    """The trainings that one run consists of, each as (first epoch, Config).

    From random initialisation there is one. Otherwise the pre-trained layers stay as they are for ``frozen_epochs``,
    then everything is trained with ``pretrained_rate`` times the learning rate; each has a schedule of its own.
    """
    if not pretrained:
        return [(0, config)]
    frozen = min(config.frozen_epochs, config.epochs)
    found = [(0, dataclasses.replace(config, epochs=frozen))] if frozen else []
    if frozen < config.epochs:
        rate = config.learning_rate * config.pretrained_rate
        found.append((frozen, dataclasses.replace(config, epochs=config.epochs - frozen, learning_rate=rate)))
    return found


@in_precision
def finetune(store, train_split, val_split, output, config, pretrained=None, select="last", verbose=True,
             callbacks=(), resume=False, force=False, minutes=None):
    """Train a classifier and write a run folder: model.keras, history.csv, metrics.json.

    Args:
        store: SkeletonStore.
        train_split: split name or expression.
        val_split: likewise; None sets a part of the training split aside. It is reported, and chooses the weights
            only with ``select="best"``.
        output: run folder, new.
        config: Config.
        pretrained: None, a pre-training run folder, or a model.keras or encoder.keras file. What it gives: its
            weights (``config.transfer``), and a share of the targets (``config.probe_share``); without one the
            targets' share comes from the classifier's own random features.
        select: "last" or "best".
        verbose: one line an epoch, where the standard output is a terminal.
        callbacks: further Keras callbacks.
        resume, force, minutes: as in ``pretrain``.

    Returns:
        dict of figures, as in metrics.json.

    Raises:
        TrainingError, Interrupted: as in ``pretrain``.
    """
    if select not in SELECTIONS:
        raise ValueError(f"select: expected one of {SELECTIONS}, found {select!r}")
    if config.transfer == "kernels" and config.frozen_epochs:  # frozen layers normalise by statistics of their own
        raise ValueError(f"frozen_epochs: expected 0 with transfer = 'kernels', found {config.frozen_epochs}")
    check_probe_share(config.probe_share)
    if pretrained is not None and config.transfer == "none" and not config.probe_share:
        raise ValueError("transfer: expected all or kernels with probe_share = 0, found 'none': nothing of "
                         f"{pretrained} would be used")
    encoder = None if pretrained is None else load_model(pretrained)
    train = store.select(train_split)
    if val_split is None:
        train, validation = hold_out(store, train, config.validation_fraction, config.seed)
    else:
        validation = store.select(val_split)
    if (store.labels[np.concatenate([train, validation])] < 0).any():
        raise ValueError(f"{store.path}: expected a label on every sequence of {train_split}, found some without")
    identity = {"stage": "finetune", "fingerprint": store.fingerprint, "train": ids_digest(store, train),
                "validation": ids_digest(store, validation), "select": select,
                "pretrained": None if pretrained is None else file_digest(model_file(pretrained))}
    with Run(output, config, identity, resume, force) as run:
        if run.finished:
            return run.finished
        run.write(TRAIN_IDS, "".join(f"{store.ids[index]}\n" for index in train))
        metrics = {"stage": "finetune", "data": str(store.path), "fingerprint": store.fingerprint,
                   "train_split": train_split, "val_split": val_split, "num_sequences": len(train),
                   "num_validation": len(validation),
                   "pretrained": None if pretrained is None else str(Path(pretrained)), "select": select}
        return _finetune(store, train, validation, run, config, encoder, metrics, verbose, callbacks, minutes)


def _finetune(store, train, validation, run, config, encoder, metrics, verbose, callbacks, minutes):
    keras.utils.set_random_seed(config.seed)
    people = people_count(store, config)
    source = SequenceSource(store)
    common = {"batch_size": config.batch_size, "num_frames": config.num_frames, "num_people": people,
              "use_score": config.use_score, "seed": config.seed}
    held = SkeletonBatches(source, validation, training=False, **common)
    model = STRLClassifier(
        num_classes=len(store.classes), class_names=list(store.classes), num_people=people,
        people=config.people_fusion, pooling=config.pooling, time_pooling=config.time_pooling,
        dropout_rate=config.dropout_rate, head_units=config.head_units, **trunk_options(store, config))
    targets = None
    if config.probe_share:
        targets = targets_of(model if encoder is None else encoder, store, train, config.probe_share, config.seed,
                             metrics["pretrained"])
    hands_on = encoder is not None and config.transfer != "none"
    learned = transfer_weights(encoder, model, config.transfer) if hands_on else []
    data = SkeletonBatches(source, train, augment=augmentation(config), sampling=config.sampling, targets=targets,
                           **common)

    def prepare(first, settings):
        for layer in learned:
            layer.trainable = first > 0 or not config.frozen_epochs
        model.compile(**compile_options(settings, data.num_batches_of_epoch),
                      # Weighted: several devices fill a last batch up with rows of weight 0. Not by its name: Keras
                      # would make its variables in the first step, see fit.
                      weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
                      loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing,
                                                                reduction="mean_with_sample_weight"))
        parts = config.batch_parts or (suggest_batch_parts(model, config.batch_size) if model.jit_compile else 1)
        if parts > 1:
            train_in_parts(model, parts)

    keep = KeepBest() if metrics["select"] == "best" else None
    validated = sorted({*range(config.validation_every, config.epochs + 1, config.validation_every), config.epochs})
    watch = [EpochLine(len(data) * data.batch_size)] if verbose else []
    history, seconds = fit(model, data, run, phases(config, bool(learned)), prepare, held=held, validated=validated,
                           callbacks=[*watch, *callbacks], keep=keep, minutes=minutes)
    for layer in learned:
        layer.trainable = True
    if keep and keep.weights is not None:
        model.set_weights(keep.weights)
    if config.mirror == "auto":
        model.mirror = classes_are_symmetric(model, source, train)
        model.make_predict_function(force=True)
        model.make_test_function(force=True)
    last = history[-1]
    metrics |= {"epoch": keep.epoch if keep else config.epochs, "loss": last["loss"], "accuracy": last["accuracy"],
                "val_accuracy": keep.best if keep else last["val_accuracy"],
                "mirror": model.mirror, "parameters": int(model.count_params()), "seconds": round(seconds, 1)}
    run.finish({"model.keras": model}, metrics)
    return metrics
