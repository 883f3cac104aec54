"""Fine-tuning: the STRL classifier, end to end, from a pre-trained start or a random one."""

import dataclasses
from pathlib import Path

import keras

from keras_skelmae.data import LabelledBatches, SequenceSource
from keras_skelmae.evaluation.evaluate import measure
from keras_skelmae.fast.networks.batch_slices import suggest_slices, train_in_slices
from keras_skelmae.fast.networks.devices import device_count
from keras_skelmae.models import Ensemble, STRLClassifier
from keras_skelmae.training.fitting import fit
from keras_skelmae.training.mirroring import classes_are_symmetric
from keras_skelmae.training.optimization import compile_options, in_precision
from keras_skelmae.training.progress import EpochLine
from keras_skelmae.training.runs import Run, ids_digest
from keras_skelmae.training.starting_point import starting_point
from keras_skelmae.training.statistics import estimate_statistics
from skelmae_datasets.files import file_digest
from skelmae_datasets.runs.run_folder import MODEL, PRETRAIN_IDS, TRAIN_IDS, model_file, trained_ids
from skelmae_datasets.runs.splits import training_splits

SELECTIONS = ("last", "best")
VALIDATIONS = 10  # of a training, evenly spread, unless the best epoch is looked for


class KeepBest(keras.callbacks.Callback):
    """Remember the weights that the best validation was made with: with a moving average those are not the trained."""

    def __init__(self):
        super().__init__()
        self.best, self.weights, self.epoch, self._now = -1.0, None, None, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch + 1

    def on_test_end(self, logs=None):
        if logs.get("accuracy", -1) > self.best:
            self.best, self.epoch, self.weights = logs["accuracy"], self._now, self.model.get_weights()


def validated_epochs(epochs, select):
    """The epochs after which a training of so many is validated, counted from 1."""
    if select == "best" or epochs <= VALIDATIONS:
        return list(range(1, epochs + 1))
    return [round(epochs * number / VALIDATIONS) for number in range(1, VALIDATIONS + 1)]


def phases(settings, pretrained):
    """The trainings that one run consists of, each as (first epoch, Settings).

    From random initialisation there is one. Otherwise the pre-trained layers stay as they are for ``frozen_epochs``,
    then everything is trained with ``pretrained_rate`` times the learning rate; each has a schedule of its own.
    """
    if not pretrained:
        return [(0, settings)]
    epochs = settings.optimizer.epochs
    frozen = min(settings.finetune.frozen_epochs, epochs)
    found = [(0, settings.replace(epochs=frozen))] if frozen else []
    if frozen < epochs:
        rate = settings.optimizer.learning_rate * settings.finetune.pretrained_rate
        found.append((frozen, settings.replace(epochs=epochs - frozen, learning_rate=rate)))
    return found


@in_precision
def finetune(
    store,
    train_split,
    val_split,
    output,
    settings,
    pretrained=None,
    select="last",
    verbose=True,
    callbacks=(),
    resume=False,
    force=False,
    minutes=None,
    allow_overlap=False,
):
    """Train a classifier and write a run folder: model.keras, history.csv, metrics.json.

    Args:
        store: SkeletonStore.
        train_split: split name or expression.
        val_split: likewise; None sets a part of the training split aside. It is reported, and chooses the weights
            only with ``select="best"``.
        output: run folder, new.
        settings: Settings.
        pretrained: None, or a run folder or .keras file, see :func:`starting_point`.
        select: "last" or "best".
        verbose: one line per epoch, where the standard output is a terminal.
        callbacks: further Keras callbacks.
        resume, force, minutes: as in ``pretrain``.
        allow_overlap: validate although sequences of the validation split are trained on.

    Returns:
        dict of figures, as in metrics.json.

    Raises:
        TrainingError, Interrupted: as in ``pretrain``. DataError: see :func:`training_splits`.
    """
    if select not in SELECTIONS:
        raise ValueError(f"select: expected one of {SELECTIONS}, found {select!r}")
    keras.utils.set_random_seed(settings.data.seed)
    train, validation = training_splits(store, train_split, val_split, settings, allow_overlap)
    start = starting_point(store, settings.for_clips(len(train)), pretrained)
    identity = {
        "stage": "finetune",
        "fingerprint": store.fingerprint,
        "train": ids_digest(store, train),
        "validation": ids_digest(store, validation),
        "select": select,
        "pretrained": None if pretrained is None else file_digest(model_file(pretrained)),
    }
    with Run(output, start.settings, identity, resume, force) as run:
        if run.finished:
            return run.finished
        run.write_ids(TRAIN_IDS, [store.ids[index] for index in train])
        if pretrained is not None:
            names = (PRETRAIN_IDS, TRAIN_IDS)
            run.write_ids(PRETRAIN_IDS, dict.fromkeys(seen for name in names for seen in trained_ids(pretrained, name)))
        metrics = {
            "stage": "finetune",
            "data": str(store.path),
            "fingerprint": store.fingerprint,
            "train_split": train_split,
            "val_split": val_split,
            "num_sequences": len(train),
            "num_validation": len(validation),
            "pretrained": None if pretrained is None else str(Path(pretrained)),
            "select": select,
        }
        return _finetune(store, train, validation, run, start, metrics, verbose, callbacks, minutes)


def _finetune(store, train, validation, run, start, metrics, verbose, callbacks, minutes):
    settings, source = start.settings, SequenceSource(store)
    model = STRLClassifier.from_settings({**settings.flat(), "backbone": start.backbone}, store)
    batch_size, options = settings.optimizer.batch_size, settings.finetune
    held = LabelledBatches(source, validation, model, batch_size=batch_size, training=False)
    augmented = {"seed": settings.data.seed, "augment": dataclasses.asdict(settings.augment)}
    data = LabelledBatches(source, train, model, batch_size=batch_size, **augmented)

    def prepare(first, phase):
        for layer in start.learned:
            layer.trainable = first > 0 or not options.frozen_epochs
        model.compile(
            **compile_options(phase, data.num_batches_of_epoch),
            # Weighted: several devices fill a last batch up with rows of weight 0. Not by its name: Keras
            # would make its variables in the first step, see fit.
            weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            loss=keras.losses.CategoricalCrossentropy(
                label_smoothing=options.label_smoothing, reduction="mean_with_sample_weight"
            ),
        )
        slices = suggest_slices(model, batch_size) if model.jit_compile else 1
        if slices > 1:
            train_in_slices(model, slices)

    if start.learned:  # its statistics are of other clips, or of masked ones
        estimate_statistics(model, source, train, **augmented)
    epochs, keep = settings.optimizer.epochs, KeepBest() if metrics["select"] == "best" else None
    watch = [EpochLine(len(data) * data.batch_size)] if verbose else []
    history, seconds = fit(
        model,
        data,
        run,
        phases(settings, bool(start.learned)),
        prepare,
        held=held,
        validated=validated_epochs(epochs, metrics["select"]),
        callbacks=[*watch, *callbacks],
        keep=keep,
        minutes=minutes,
    )
    for layer in start.learned:
        layer.trainable = True
    if keep and keep.weights is not None:
        model.set_weights(keep.weights)
    estimate_statistics(model, source, train, **augmented)
    mirror = options.mirror == "auto" and classes_are_symmetric(model, source, train)
    saved = Ensemble([model], mirror=True) if mirror else model
    metrics |= {
        "epoch": keep.epoch if keep else epochs,
        "loss": history[-1]["loss"],
        **_accuracies(saved, store, train, validation, history[-1]),
        "mirror": mirror,
        "parameters": int(model.count_params()),
        "seconds": round(seconds, 1),
    }
    run.finish({MODEL: saved}, metrics)
    return metrics


def _accuracies(model, store, train, validation, last):
    """Of the model that is saved, as ``evaluate`` finds them; on several devices those of the last epoch."""
    if device_count() > 1:
        return {key: last[key] for key in ("accuracy", "val_accuracy")}
    splits = {"accuracy": train, "val_accuracy": validation}
    return {key: measure(model, store, indices, key).result["top1"] for key, indices in splits.items()}
