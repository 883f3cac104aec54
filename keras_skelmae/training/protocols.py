"""Evaluation protocols of the field: linear probe, nearest neighbours, retrieval, fine-tuning with fewer labels."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.models import SkeletonEncoder, STRLClassifier
from keras_skelmae.training.evaluation import predict_store, scores
from keras_skelmae.training.features import embed, linear_probe, nearest_neighbours, retrieval_precision
from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.pretrain import people_count, shared_model_options, trunk_options
from keras_skelmae.training.runs import (
    TRAIN_IDS,
    file_digest,
    ids_digest,
    load_model,
    model_file,
    read_json,
    write_text,
)
from skelmae_datasets import DataError

PROTOCOLS = ("linear", "knn", "retrieval", "finetune", "semi")


def stratified_fraction(labels, fraction, seed):
    """Positions of a random ``fraction`` of each class, at least one of each, in rising order.

    Args:
        labels: (N,) int; fraction: in (0, 1]; seed: int.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: expected 0 < fraction <= 1, found {fraction}")
    rng = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        chosen.append(rows[:max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(chosen))


def random_model(store, config):
    """The network of ``config.scope`` before any training: what a pre-trained one is compared with."""
    keras.utils.set_random_seed(config.seed)
    if config.scope == "trunk":
        return STRLClassifier(num_classes=len(store.classes), num_people=people_count(store, config),
                              **trunk_options(store, config))
    return SkeletonEncoder(num_people=1, **shared_model_options(store, config))


def run_protocol(protocol, store, train_split, test_split, output, config, *, pretrained=None, seeds=(0,),
                 fractions=(1.0,), neighbours=1, verbose=False, resume=True, progress=None):
    """Measure a pre-trained model, or random initialisation, by one protocol over seeds and fractions of the labels.

    A result that is already in ``output`` is not measured again, an interrupted training goes on.

    Args:
        protocol: one of PROTOCOLS; "semi" is "finetune" with fractions of the labels.
        store: SkeletonStore; train_split, test_split: split names or expressions.
        output: folder; index lists and results are written there.
        config: Config of the fine-tuning, and of the random network.
        pretrained: None for random initialisation, or a path with "{seed}" in it where each seed has its own.
        seeds: ints. fractions: floats in (0, 1]. neighbours: k of "knn". progress: called with (done, total).
        resume: False begins an interrupted training anew.

    Returns:
        dict with protocol, and rows: dict(fraction, mean, std, values, mean_class and its
        _std and _values, seeds) in per cent.

    Raises:
        DataError: a result in ``output`` has other settings or data.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)}, found {protocol!r}")
    output = Path(output)
    train, test = store.select(train_split), store.select(test_split)
    rows = []
    for fraction in fractions:
        values, mean_class = [], []
        for seed in seeds:
            folder = output / f"{protocol}-{fraction:g}-{seed}"
            done = folder / "result.json"
            subset = train[stratified_fraction(store.labels[train], fraction, seed)]
            source = None if pretrained is None else str(pretrained).format(seed=seed)
            settings = dataclasses.replace(config, seed=seed)
            made_from = {"config": hashlib.sha256(settings.to_toml().encode()).hexdigest(),
                         "fingerprint": store.fingerprint, "train": ids_digest(store, subset),
                         "test": ids_digest(store, test), "neighbours": neighbours,
                         "pretrained": source and file_digest(model_file(source))}
            if not done.exists():
                write_text(folder / TRAIN_IDS, "".join(f"{store.ids[i]}\n" for i in subset))
                result = _measure(protocol, store, subset, test, folder, settings, source, neighbours, test_split,
                                  verbose, resume)
                write_text(done, json.dumps({**result, "made_from": made_from}, indent=2) + "\n")
            result = read_json(done)
            for key, value in result.get("made_from", {}).items():
                if value != made_from[key]:
                    raise DataError(done, key, "what is asked for now", "a result of something else; choose another "
                                    "--output")
            if progress:
                progress(len(rows) * len(seeds) + len(values) + 1, len(fractions) * len(seeds))
            values.append(100 * result["top1"])
            mean_class.append(100 * result["mean_class"])
        rows.append({"fraction": fraction, "mean": float(np.mean(values)), "std": float(np.std(values)),
                     "values": values, "mean_class": float(np.mean(mean_class)),
                     "mean_class_std": float(np.std(mean_class)), "mean_class_values": mean_class,
                     "seeds": list(seeds)})
    return {"protocol": protocol, "pretrained": None if pretrained is None else str(pretrained),
            "train_split": train_split, "test_split": test_split, "data": str(store.path), "rows": rows}


def _measure(protocol, store, train, test, folder, config, source, neighbours, test_split, verbose, resume):
    labels = store.labels
    if protocol in ("finetune", "semi"):
        run = folder / "run"
        if run.exists() and not resume:
            shutil.rmtree(run)
        finetune(store, f"ids={folder / TRAIN_IDS}", test_split, run, config, pretrained=source, verbose=verbose,
                 resume=True)
        model = load_model(run)
        return scores(predict_store(model, store, test), labels[test], store.classes)
    model = random_model(store, config) if source is None else load_model(source)
    if protocol == "retrieval":
        features = embed(model, store, test)
        precision = retrieval_precision(features, labels[test])
        return {"top1": precision, "mean_class": precision}
    one, other = embed(model, store, train), embed(model, store, test)
    if protocol == "linear":
        probabilities = linear_probe(one, labels[train], other, config.seed)
    else:
        probabilities = nearest_neighbours(one, labels[train], other, neighbours)
    full = np.zeros((len(test), len(store.classes)), np.float32)
    full[:, :probabilities.shape[1]] = probabilities
    return scores(full, labels[test], store.classes)


def markdown_table(results):
    """One Markdown table of several results of :func:`run_protocol`."""
    lines = ["| protocol | start | labels | top-1 % | mean class % | seeds |", "|---|---|---|---|---|---|"]
    for result in results:
        for row in result["rows"]:
            start = "random" if result["pretrained"] is None else "pre-trained"
            lines.append(f"| {result['protocol']} | {start} | {100 * row['fraction']:g} % | {row['mean']:.1f} +- "
                         f"{row['std']:.1f} | {row['mean_class']:.1f} | {len(row['seeds'])} |")
    return "\n".join(lines)
