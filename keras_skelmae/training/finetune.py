"""Fine-tuning: the STRL classifier, end to end, from a pre-trained start or a random one."""

import dataclasses

import keras
import numpy as np

from keras_skelmae.data import LabelledBatches, SequenceSource, class_labels
from keras_skelmae.evaluation.evaluate import measure
from keras_skelmae.fast.networks.batch_slices import suggest_slices, train_in_slices
from keras_skelmae.fast.networks.devices import device_count
from keras_skelmae.models import Ensemble, STRLClassifier
from keras_skelmae.models.strl_classifier import describe_clips
from keras_skelmae.training.calibrating import HeldOut, bounded, calibrated, doubt_of
from keras_skelmae.training.fitting import fit
from keras_skelmae.training.mirroring import judge_mirror
from keras_skelmae.training.optimization import compile_options, in_precision
from keras_skelmae.training.progress import EpochLine
from keras_skelmae.training.runs import Run, ids_digest
from keras_skelmae.training.selection import SELECTIONS, KeepBest, MeanClassAccuracy, validated_epochs
from keras_skelmae.training.starting_point import starting_point
from keras_skelmae.training.statistics import estimate_statistics
from skelmae_datasets.runs.run_folder import HELD_IDS, MODEL
from skelmae_datasets.runs.splits import FEW, training_splits


def rare_classes(store, indices):
    """dict of the classes with fewer than FEW of these sequences to how many they have."""
    labels = store.labels[indices]
    count = np.bincount(labels[labels >= 0], minlength=len(store.classes))
    return {name: int(number) for name, number in zip(store.classes, count, strict=True) if number < FEW}


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
    calibrate=True,
):
    """Train a classifier and write a run folder: model.keras, history.csv, metrics.json.

    Args:
        store: SkeletonStore.
        train_split: split name or expression.
        val_split: likewise; None sets a part of the training split aside. It is reported, decides on a temperature, and
            chooses the weights only with ``select="best"``.
        output: run folder, new.
        settings: Settings.
        pretrained: None, or a run folder, a .keras file or a published backbone, see :func:`starting_point`.
        select: "last", "best" (accuracy on the validation split) or "best:mean_class".
        verbose: one line per epoch, where the standard output is a terminal.
        callbacks: further Keras callbacks.
        resume, force, minutes: as in ``pretrain``.
        allow_overlap: validate although sequences of the validation split are trained on.
        calibrate: fit a temperature on the validation sequences, see ``doubt_of``. False: they are a test split, and
            decide nothing. HeldOut: on these answers in their place.

    Returns:
        dict of figures, as in metrics.json.

    Raises:
        TrainingError, Interrupted: as in ``pretrain``. DataError: see :func:`training_splits`.
    """
    if select not in SELECTIONS:
        raise ValueError(f"select: expected one of {', '.join(SELECTIONS)}, found {select!r}")
    if val_split is None and SELECTIONS[select] and not settings.finetune.validation_fraction:
        raise ValueError(f"select: expected 'last' with validation_fraction = 0, found {select!r}")
    keras.utils.set_random_seed(settings.data.seed)
    train, validation = training_splits(store, train_split, val_split, settings, allow_overlap)
    start = starting_point(store, settings.for_clips(len(train)), pretrained)
    identity = {
        "stage": "finetune",
        "fingerprint": store.fingerprint,
        "train": ids_digest(store, train),
        "validation": ids_digest(store, validation),
        "select": select,
        "pretrained": start.digest,
    }
    with Run(output, start.settings, identity, resume, force) as run:
        if run.finished:
            return run.finished
        start.write_ids(run, [store.ids[index] for index in train])
        metrics = {
            "stage": "finetune",
            "data": str(store.path),
            "fingerprint": store.fingerprint,
            "train_split": train_split,
            "val_split": val_split,
            "num_sequences": len(train),
            "num_validation": len(validation),
            "overlap": int(np.isin(validation, train).sum()),  # sequences that are in both
            "pretrained": start.told,
            "select": select,
            "rare_classes": rare_classes(store, train),
        }
        source = SequenceSource(store)
        model, kept, history, seconds = _train(
            source, train, validation, run, start, select, verbose, callbacks, minutes
        )
        metrics |= {"epoch": kept, "loss": history[-1]["loss"]}
        saved, found = _judged(model, source, train, validation, start.settings, history[-1], calibrate, run, val_split)
        clips = model.trained_on
        metrics["clips"] = clips | {"seconds": clips["fps"] and [round(n / clips["fps"], 3) for n in clips["frames"]]}
        metrics |= {**found, "parameters": int(model.count_params()), "seconds": round(seconds, 1)}
        run.finish({MODEL: saved}, metrics)
        return metrics


def _train(source, train, validation, run, start, select, verbose, callbacks, minutes):
    """(trained STRLClassifier, epoch of its weights, rows of the history, seconds)."""
    settings, store = start.settings, source.store
    model = STRLClassifier.from_settings({**settings.flat(), "backbone": start.part}, store)
    model.trained_on = describe_clips(store, train)
    batch_size, compared = settings.optimizer.batch_size, SELECTIONS[select]
    held = None
    if len(validation):
        held = LabelledBatches(source, validation, model, batch_size=batch_size, training=False)
    augmented = {"seed": settings.data.seed, "augment": dataclasses.asdict(settings.augment)}
    balance = settings.finetune.class_balance
    data = LabelledBatches(source, train, model, balance, batch_size=batch_size, **augmented)

    _compile(model, settings, data, compared)
    if start.source is not None:  # its statistics are of other clips, or of masked ones
        estimate_statistics(model, source, train, **augmented)
    epochs, keep = settings.optimizer.epochs, KeepBest(compared) if compared else None
    watch = [EpochLine(len(data) * data.batch_size)] if verbose else []
    history, seconds = fit(
        model,
        data,
        run,
        settings,
        held=held,
        validated=validated_epochs(epochs, select),
        callbacks=[*watch, *callbacks],
        keep=keep,
        minutes=minutes,
    )
    if keep and keep.weights is not None:
        model.set_weights(keep.weights)
    estimate_statistics(model, source, train, **augmented)
    return model, keep.epoch if keep else epochs, history, seconds


def _compile(model, settings, data, compared):
    # Weighted: several devices fill a last batch up with rows of weight 0. Not by its name: Keras would make its
    # variables in the first step, see fit.
    metrics = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    if compared == "mean_class":
        metrics.append(MeanClassAccuracy(model.num_classes))
    loss = keras.losses.CategoricalCrossentropy(
        label_smoothing=settings.finetune.label_smoothing, reduction="mean_with_sample_weight"
    )
    model.compile(**compile_options(settings, data.num_batches_of_epoch), weighted_metrics=metrics, loss=loss)
    slices = suggest_slices(model, data.batch_size) if model.jit_compile else 1
    if slices > 1:
        train_in_slices(model, slices)


def _judged(model, source, train, validation, settings, last, calibrate, run, val_split):
    """(the model to be saved, its figures as ``evaluate`` finds them; on several devices those of the last epoch)."""
    if device_count() > 1:
        return model, {"accuracy": last["accuracy"], "val_accuracy": last.get("val_accuracy"), "mirror": False}
    store, mirror = source.store, judge_mirror(model, source, train) if settings.finetune.mirror == "auto" else {}
    answering = Ensemble([model], **mirror) if mirror else model
    figures = {"accuracy": measure(answering, store, train, "").result["top1"], "val_accuracy": None}
    figures |= {"mirror": bool(mirror), "one_sided": [model.names[label] for label in mirror.get("one_sided", ())]}
    labels = class_labels(store, model.names, np.concatenate([train, validation]))
    held = calibrate if isinstance(calibrate, HeldOut) else None
    if len(validation):
        found = measure(answering, store, validation, "")
        figures |= {"val_accuracy": found.result["top1"], "val_mean_class": found.result["mean_class"]}
        if calibrate is True:
            apart = ~np.isin(validation, train)  # with allow_overlap some are in both
            validation = validation[apart]
            doubt = doubt_of(store, train, validation, val_split is not None)
            ids = [store.ids[index] for index in validation]
            held = HeldOut(found.probabilities[apart], labels[validation], ids, doubt=doubt)
    if not calibrate:
        return answering, figures
    saved, figures["calibration"] = calibrated(model, mirror, held)
    known, figures["known"] = bounded(saved, store, train, labels, held, validation)
    if known is not None:
        known.save(run.path)
    if known is not None or figures["calibration"]["temperature"] != 1:
        run.write_ids(HELD_IDS, held.ids)
    return saved, figures
