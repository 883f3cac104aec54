"""Pre-training on a split, without its labels: SkeletonMAE, or two views of a clip drawn together."""

import dataclasses

import keras

from keras_skelmae.data import CompletionBatches, MaskedBatches, SequenceSource, ViewBatches
from keras_skelmae.data.unlabelled import DEFAULT_MASK, DEFAULT_VIEW
from keras_skelmae.fast.networks.devices import device_count, kept_on_device
from keras_skelmae.fast.networks.trimmed_mae import TrimmedMAE, can_trim
from keras_skelmae.models import (
    ContrastiveModel,
    MotionCompletion,
    SkeletonEncoder,
    SkeletonMAE,
    SkeletonPreprocessor,
    STRLBackbone,
)
from keras_skelmae.models.skeleton_encoder import as_preprocessor
from keras_skelmae.training.fitting import fit
from keras_skelmae.training.optimization import compile_options, in_precision
from keras_skelmae.training.progress import EpochLine
from keras_skelmae.training.runs import Run, ids_digest
from keras_skelmae.training.starting_point import starting_point
from skelmae_datasets.runs.run_folder import MODEL
from skelmae_datasets.runs.saved_model import seen_by
from skelmae_datasets.runs.splits import pretraining_split

COLLAPSED = 0.01


@in_precision
def pretrain(
    store, split, output, settings, pretrained=None, verbose=True, callbacks=(), resume=False, force=False, minutes=None
):
    """Pre-train on a split and write a run folder: model.keras, history.csv, metrics.json.

    With objective "masked" every person of a sequence is a sequence of its own, since the autoencoder sees one person's
    frame at a time. With "contrastive" two views of a clip are drawn together, through the graph encoder or a whole
    backbone (scope). With "complete" a whole backbone makes clean motion of two spoiled views of each person's clip.

    Args:
        store: SkeletonStore.
        split: split name or expression.
        output: run folder, new.
        settings: Settings.
        pretrained: None, or what it goes on from: a run folder, a .keras file or a published backbone, see
            :func:`starting_point`.
        verbose: one line per epoch, where the standard output is a terminal.
        callbacks: further Keras callbacks.
        resume: go on with an unfinished run of the same settings and data, from its last checkpoint; the result is
            that of a run which was not stopped. force: although the data have changed.
        minutes: float, the longest time between two checkpoints; None = 10.

    Returns:
        dict of figures, as in metrics.json.

    Raises:
        DataError: the data do not fit the settings, or what it goes on from.
        TrainingError: the loss is not finite, or a batch does not fit into memory.
        Interrupted: SIGINT or SIGTERM came; the state was written.
    """
    keras.utils.set_random_seed(settings.data.seed)
    indices = pretraining_split(store, split, settings)
    start = pretraining_start(store, settings.for_clips(len(indices)), pretrained)
    model = pretraining_model(store, start.settings, start)
    data = pretraining_batches(model, SequenceSource(store), indices, start.settings)
    identity = {
        "stage": "pretrain",
        "fingerprint": store.fingerprint,
        "train": ids_digest(store, indices),
        "pretrained": start.digest,
    }
    with Run(output, start.settings, identity, resume, force) as run:
        if run.finished:
            return run.finished
        start.write_ids(run, [store.ids[index] for index in indices])
        return _pretrain(model, data, split, run, start, verbose, callbacks, minutes)


def pretraining_start(store, settings, pretrained=None):
    """The Start of a pre-training: an encoder or a whole backbone, as the objective trains it."""
    if settings.pretrain.objective == "complete":
        found = as_preprocessor(store, settings.flat()).get_config()
        found |= {"num_people": 1, **seen_by(settings.pretrain.camera, store)}  # every person is a clip of its own
        return starting_point(SkeletonPreprocessor(**found), settings, pretrained)
    alone = settings.pretrain.objective == "masked" or settings.pretrain.scope == "encoder"
    return starting_point(store, settings, pretrained, SkeletonEncoder if alone else STRLBackbone)


def pretraining_model(store, settings, start=None):
    """The model that Settings pre-train: a SkeletonMAE, a ContrastiveModel or a MotionCompletion, from a random Start
    where none is given."""
    start = start or pretraining_start(store, settings)
    values, objective = start.settings.flat(), start.settings.pretrain.objective
    if objective == "masked":
        return SkeletonMAE.from_settings({**values, "encoder": start.part}, store)
    if objective == "contrastive":
        return ContrastiveModel.from_settings({**values, "backbone": start.part}, store)
    sizes = {"target_coordinates": store.num_coordinates, "num_classes": max(len(store.classes), 1)}
    return MotionCompletion.from_settings({**values, **sizes, "backbone": start.part}, store)


def pretraining_batches(model, source, indices, settings):
    """The batches of a pre-training."""
    options = {
        "batch_size": settings.optimizer.batch_size,
        "augment": dataclasses.asdict(settings.augment),
        "seed": settings.data.seed,
    }
    values = settings.flat()
    if settings.pretrain.objective == "masked":
        masking = {key: values[key] for key in DEFAULT_MASK}
        return MaskedBatches(source, indices, model, masking=masking, **options)
    view, alone = {key: values[key] for key in DEFAULT_VIEW}, settings.pretrain.scope == "encoder"
    if settings.pretrain.objective == "complete":
        return CompletionBatches(source, indices, model, view=view, **options)
    return ViewBatches(source, indices, model, view=view, each_person=alone, **options)


def _pretrain(model, data, split, run, start, verbose, callbacks, minutes):
    settings, trained, store, varying = start.settings, model, data.store, False
    if isinstance(model, SkeletonMAE) and data.shares_mask and can_trim(model) and device_count() == 1:
        trained = TrimmedMAE(model)
        data.trim, varying = kept_on_device(trained.trim), not settings.pretrain.mask_parts

    trained.compile(**compile_options(settings, data.num_batches_of_epoch, varying))
    watch = [EpochLine(len(data) * data.batch_size)] if verbose else []
    history, seconds = fit(trained, data, run, settings, callbacks=[*watch, *callbacks], minutes=minutes)
    spread = history[-1]["target_spread"]
    metrics = {
        "stage": "pretrain",
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "train_split": split,
        "pretrained": start.told,
        "num_sequences": len(data.items),
        "loss": history[-1]["loss"],
        "target_spread": spread,
        "collapsed": bool(spread < COLLAPSED),
        "seconds": round(seconds, 1),
    }
    if metrics["collapsed"] and verbose:
        print(f"warning: the target has collapsed: its spread is {spread:.2g}, all its vectors point the same way")
    run.finish({MODEL: model}, metrics)
    return metrics
