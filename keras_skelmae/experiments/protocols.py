"""Evaluation protocols of the field: linear probe, nearest neighbours, retrieval, fine-tuning with fewer labels."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.evaluation.evaluate import measure
from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.metrics import linear_probe, nearest_neighbours, retrieval_precision, scores
from keras_skelmae.models import load_model
from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.runs import ids_digest
from keras_skelmae.training.starting_point import pretrained_file, pretrained_part, starting_point
from keras_skelmae.training.statistics import estimate_statistics
from skelmae_datasets import DataError
from skelmae_datasets.files import file_digest, read_json, write_json
from skelmae_datasets.runs.run_folder import TRAIN_IDS, of_seed, write_ids
from skelmae_datasets.runs.splits import few_shots, protocol_splits, stratified_fraction

PROTOCOLS = ("linear", "knn", "retrieval", "finetune", "semi")
FROZEN = (
    "Frozen features: mean and standard deviation over the frames of each body part's joints, standardised by the "
    "training clips, whose batch statistics the network has. They compare with each other, not with published figures, "
    "which are of the network's last vector and of larger data."
)


def random_model(store, settings, like=None):
    """A network before any training, what a pre-trained one is compared with.

    Args:
        store: SkeletonStore. settings: Settings; their backbone is made where there is nothing to be like.
        like: None, or the run folder or file of a pre-trained model, whose architecture is taken.
    """
    keras.utils.set_random_seed(settings.data.seed)
    if like is None:
        return starting_point(store, settings).part
    part = pretrained_part(like, store, settings)
    return type(part).from_config(part.get_config())


def run_protocol(
    protocol,
    store,
    train_split,
    test_split,
    output,
    settings,
    *,
    pretrained=None,
    like=None,
    seeds=(0,),
    fractions=(1.0,),
    shots=(),
    neighbours=1,
    verbose=False,
    resume=True,
    progress=None,
    allow_overlap=False,
):
    """Measure a pre-trained model, or random initialisation, by one protocol over seeds and fractions of the labels.

    A result that is already in ``output`` is not measured again, an interrupted training goes on.

    Args:
        protocol: one of PROTOCOLS; "semi" is "finetune" with fractions of the labels.
        store: SkeletonStore; train_split, test_split: split names or expressions.
        output: folder; index lists and results are written there.
        settings: Settings of the fine-tuning, and of a random network.
        pretrained: None for random initialisation, or a path with "{seed}" in it where each seed has its own.
        like: without ``pretrained``, such a path, whose architecture the random network has.
        seeds: ints. fractions: floats in (0, 1]. shots: ints, sequences of each class, besides the fractions.
        neighbours: k of "knn". progress: called with (done, total).
        resume: False begins an interrupted training from the start.
        allow_overlap: measure although sequences of the test split are trained on.

    Returns:
        dict with protocol, and rows: dict(fraction, mean, std, values, mean_class and its
        _std and _values, seeds) in per cent.

    Raises:
        DataError: a result in ``output`` has other settings or data; the splits share sequences.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)}, found {protocol!r}")
    train, test = protocol_splits(store, train_split, test_split, allow_overlap or protocol == "retrieval")
    rows, done = [], 0
    draws = [("fraction", f"{fraction:g}", fraction, stratified_fraction) for fraction in fractions]
    draws += [("shots", f"{count}shot", count, few_shots) for count in shots]
    for key, name, amount, draw in draws:
        results = []
        for seed in seeds:
            folder = Path(output) / f"{protocol}-{name}-{seed}"
            subset = train[draw(store.labels[train], amount, seed)]
            sources = [path and of_seed(path, seed) for path in (pretrained, like)]
            case = Case(protocol, store, subset, test, folder, settings.replace(seed=seed), *sources, neighbours)
            results.append(_result(case, test_split, verbose, resume))
            done += 1
            if progress:
                progress(done, len(draws) * len(seeds))
        rows.append({key: amount, **_spread(results), "seeds": list(seeds)})
    return {
        "protocol": protocol,
        "pretrained": None if pretrained is None else str(pretrained),
        "train_split": train_split,
        "test_split": test_split,
        "data": str(store.path),
        "rows": rows,
    }


@dataclass
class Case:
    """One measurement: a protocol on some sequences with one seed."""

    protocol: str
    store: object
    train: np.ndarray
    test: np.ndarray
    folder: Path
    settings: object
    source: str | None
    like: str | None
    neighbours: int

    def made_from(self):
        """What another measurement must have in common with this one to be the same."""
        return {
            "config": hashlib.sha256(self.settings.to_toml().encode()).hexdigest(),
            "fingerprint": self.store.fingerprint,
            "train": ids_digest(self.store, self.train),
            "test": ids_digest(self.store, self.test),
            "neighbours": self.neighbours,
            "pretrained": self.source and file_digest(pretrained_file(self.source)),
            "like": self.like and file_digest(pretrained_file(self.like)),
        }


def _result(case, test_split, verbose, resume):
    """The figures of a case, measured unless they are in its folder already."""
    file, made_from = case.folder / "result.json", case.made_from()
    if not file.exists():
        write_ids(case.folder, [case.store.ids[i] for i in case.train])
        write_json(file, {**_measure(case, test_split, verbose, resume), "made_from": made_from})
    result = read_json(file)
    for key, value in result.get("made_from", {}).items():
        if value != made_from[key]:
            found = "a result of something else; choose another --output"
            raise DataError(file, key, "what is asked for now", found)
    return result


def _spread(results):
    """Mean, standard deviation (of a sample: n - 1) and values of both accuracies over seeds, in per cent."""
    values = {key: [100 * result[key] for result in results] for key in ("top1", "mean_class")}
    spread = {key: float(np.std(found, ddof=1)) if len(found) > 1 else 0.0 for key, found in values.items()}
    return {
        "mean": float(np.mean(values["top1"])),
        "std": spread["top1"],
        "values": values["top1"],
        "mean_class": float(np.mean(values["mean_class"])),
        "mean_class_std": spread["mean_class"],
        "mean_class_values": values["mean_class"],
    }


def _measure(case, test_split, verbose, resume):
    store, train, test, settings = case.store, case.train, case.test, case.settings
    labels = store.labels
    if case.protocol in ("finetune", "semi"):
        if case.source is None and case.like is not None:
            settings = starting_point(store, settings, case.like).settings
        run = case.folder / "run"
        if run.exists() and not resume:
            shutil.rmtree(run)
        ids = f"ids={case.folder / TRAIN_IDS}"
        # overlaps were told of before; the test split decides nothing
        options = {"verbose": verbose, "resume": True, "allow_overlap": True, "calibrate": False}
        finetune(store, ids, test_split, run, settings, pretrained=case.source, **options)
        return measure(load_model(run), store, test, test_split).result
    if case.source is None:
        model = random_model(store, settings, case.like)
    else:
        model = pretrained_part(case.source, store, settings)
    # kept statistics are of masked clips or of another data set, or of none at all
    estimate_statistics(model, store, train, settings.data.seed)
    if case.protocol == "retrieval":
        precision = retrieval_precision(embed(model, store, test), labels[test])
        return {"top1": precision, "mean_class": precision}
    one, other = embed(model, store, train), embed(model, store, test)
    if case.protocol == "linear":
        probabilities, chosen = linear_probe(one, labels[train], other, settings.data.seed)
    else:
        probabilities, chosen = nearest_neighbours(one, labels[train], other, case.neighbours), None
    full = np.zeros((len(test), len(store.classes)), np.float32)
    full[:, : probabilities.shape[1]] = probabilities
    return {**scores(full, labels[test], store.classes), "C": chosen}


def markdown_table(results):
    """One Markdown table of several results of :func:`run_protocol`."""
    lines = ["| protocol | start | labels | top-1 % | mean class % | seeds |", "|---|---|---|---|---|---|"]
    for result in results:
        for row in result["rows"]:
            start = "random" if result["pretrained"] is None else "pre-trained"
            amount = f"{row['shots']} a class" if "shots" in row else f"{100 * row['fraction']:g} %"
            lines.append(
                f"| {result['protocol']} | {start} | {amount} | {row['mean']:.1f} +- "
                f"{row['std']:.1f} | {row['mean_class']:.1f} | {len(row['seeds'])} |"
            )
    if any(result["protocol"] not in ("finetune", "semi") for result in results):
        lines += ["", FROZEN]
    return "\n".join(lines)
