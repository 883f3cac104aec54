"""Pre-training: SkeletonMAE, or what it is compared with, on a split, without its labels."""

import keras
import numpy as np

from keras_skelmae.models import ContrastiveEncoder, SkeletonMAE, STRLAutoencoder, STRLSiamese
from keras_skelmae.training.devices import device_count, kept_on_device
from keras_skelmae.training.feeding import AUGMENTATIONS, DEFAULT_MASK, DEFAULT_VIEW, SequenceSource, SkeletonBatches
from keras_skelmae.training.fitting import fit
from keras_skelmae.training.optimization import compile_options, in_precision
from keras_skelmae.training.progress import EpochLine
from keras_skelmae.training.runs import Run, ids_digest

COLLAPSED = 0.01
VIEW_LOSS = {"contrastive": "nt_xent", "vicreg": "vicreg"}  # by objective


def shared_model_options(store, config):
    """Constructor arguments both models take, from the store and the Config."""
    return {"layout": store.layout, "num_coordinates": store.num_coordinates, "use_score": config.use_score,
            "num_frames": config.num_frames, "units": config.units, "encoder_layers": config.encoder_layers,
            "normalize": config.normalize, "image_size": config.image_size, "streams": config.streams,
            "normalization": config.normalization, "backbone": config.backbone,
            "joint_positions": config.joint_positions}


def trunk_options(store, config):
    """Constructor arguments of the STRL layers, from the store and the Config."""
    return {**shared_model_options(store, config), "num_layers": config.num_layers,
            "share_people": config.share_people, "residual": config.residual, "readout": config.readout,
            "encoder_pool": config.encoder_pool, "temporal": config.temporal,
            "temporal_strides": config.temporal_strides, "body_streams": config.body_streams,
            "body_units": config.body_units,
            "body_dropout": config.body_dropout}


def people_count(store, config):
    """P of a Config: as given, or as many as the store holds, at most 2."""
    return config.people or int(np.clip(store.people.max(), 1, 2))


def augmentation(config):
    """The augmentation settings of a Config."""
    return {key: getattr(config, key) for key in AUGMENTATIONS}


@in_precision
def pretrain(store, split, output, config, verbose=True, callbacks=(), resume=False, force=False, minutes=None):
    """Pre-train on a split and write a run folder: model.keras, encoder.keras, history.csv, metrics.json.

    With scope "encoder" every person of a sequence is a sequence of its own, since the encoder sees one person's
    frame at a time; with "trunk" people stay together, and there is no encoder.keras. With objective "contrastive" or
    "vicreg" two views of a clip are drawn together, by a ContrastiveEncoder or STRLSiamese in the masked one's place.

    Args:
        store: SkeletonStore.
        split: split name or expression.
        output: run folder, new.
        config: Config.
        verbose: one line an epoch, where the standard output is a terminal.
        callbacks: further Keras callbacks.
        resume: go on with an unfinished run of the same settings and data, from its last checkpoint; the result is
            that of a run which was not stopped. force: although the data have changed.
        minutes: float, the longest time between two checkpoints; None = 10.

    Returns:
        dict of figures, as in metrics.json.

    Raises:
        TrainingError: the loss is not finite, or a batch does not fit into memory.
        Interrupted: SIGINT or SIGTERM came; the state was written.
    """
    identity = {"stage": "pretrain", "fingerprint": store.fingerprint, "split": ids_digest(store, store.select(split))}
    with Run(output, config, identity, resume, force) as run:
        return run.finished or _pretrain(store, split, run, config, verbose, callbacks, minutes)


def _pretrain(store, split, run, config, verbose, callbacks, minutes):
    keras.utils.set_random_seed(config.seed)
    trunk = config.scope == "trunk"
    people = people_count(store, config) if trunk else 1
    masked = config.objective == "masked"
    if masked:
        kind = {"masked": {key: getattr(config, key) for key in DEFAULT_MASK}}
    else:
        kind = {"contrast": {key: getattr(config, key) for key in DEFAULT_VIEW}}
    data = SkeletonBatches(
        SequenceSource(store), store.select(split), batch_size=config.batch_size, num_frames=config.num_frames,
        num_people=people, use_score=config.use_score, each_person=not trunk, augment=augmentation(config),
        seed=config.seed, sampling=config.sampling, **kind)
    two_views = {} if masked else {"loss": VIEW_LOSS[config.objective], "temperature": config.temperature}
    if trunk and masked:
        model = STRLAutoencoder(num_people=people, target=config.target, **trunk_options(store, config))
    elif trunk:
        model = STRLSiamese(num_people=people, time_pooling=config.time_pooling, decorrelation=config.decorrelation,
                            **two_views, **trunk_options(store, config))
    elif not masked:
        model = ContrastiveEncoder(num_people=1, **two_views, **shared_model_options(store, config))
    else:
        model = SkeletonMAE(num_people=1, target=config.target, remedy=config.remedy, beta=config.beta,
                            loss_function=config.loss_function, remask=config.remask,
                            **shared_model_options(store, config))

    if masked and not trunk and device_count() == 1:
        data.needed = kept_on_device(model.needed_joints) if model.normalization != "batch" else None

    varying = data.needed is not None and data.shares_mask and not config.mask_parts

    def prepare(_, settings):
        model.compile(**compile_options(settings, data.num_batches_of_epoch, varying))

    watch = [EpochLine(len(data) * data.batch_size)] if verbose else []
    history, seconds = fit(model, data, run, [(0, config)], prepare, callbacks=[*watch, *callbacks], minutes=minutes)
    spread = history[-1]["target_spread"]
    metrics = {"stage": "pretrain", "data": str(store.path), "fingerprint": store.fingerprint, "split": split,
               "num_sequences": len(data.items), "loss": history[-1]["loss"], "target_spread": spread,
               "collapsed": bool(spread < COLLAPSED), "seconds": round(seconds, 1)}
    if metrics["collapsed"] and verbose:
        print(f"warning: the target has collapsed: its spread is {spread:.2g}, all its vectors point the same way")
    models = {"model.keras": model}
    if not trunk:
        models["encoder.keras"] = model.encoder
    run.finish(models, metrics)
    return metrics
