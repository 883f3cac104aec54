"""Evaluation protocols of the field: linear probe, nearest neighbours, retrieval, fine-tuning with fewer labels."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_skelmae.evaluation.doubts import with_doubts
from keras_skelmae.evaluation.evaluate import count_seen, measure
from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.metrics import average_precisions, linear_probe, nearest_neighbours, scores
from keras_skelmae.experiments.kept import read_result
from keras_skelmae.models import load_model
from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.runs import ids_digest
from keras_skelmae.training.starting_point import architecture_of, pretrained_file, pretrained_part, starting_point
from keras_skelmae.training.statistics import estimate_statistics
from skelmae_datasets.files import file_digest, write_json
from skelmae_datasets.runs.run_folder import PRETRAIN_IDS, TRAIN_IDS, of_seed, write_ids
from skelmae_datasets.runs.splits import few_shots, protocol_splits, stratified_fraction, untrained_classes

PROTOCOLS = ("linear", "knn", "retrieval", "finetune", "semi")
FROZEN = (
    "Frozen features: mean and standard deviation over the frames of each body part's joints, standardised by the "
    "{} clips; the network has the batch statistics of the training clips. They compare with each other, not with "
    "published figures, which are of the network's last vector and of larger data."
)
FIGURES = ("top1", "mean_class", "nobody_seen")  # of one measurement
SEEN_IDS = (TRAIN_IDS, PRETRAIN_IDS)  # what a pre-training, or what came before it, saw


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
        dict with protocol, num_test, nobody_seen (test sequences in which nobody was: wrong), untrained (see
        ``untrained_classes``), alone (of "retrieval", test sequences that no other is of the class of: left out),
        seen_in_training and seen_in_pretraining (test sequences, at most), and rows: dict(fraction or shots, num_train,
        mean, std, values, mean_class and its _std and _values, seeds) in per cent; of "retrieval" these are mean
        average precisions, over all sequences and over classes. One seed has no std: None.

    Raises:
        DataError: a result in ``output`` has other settings or data; the splits share sequences, or have too few
            classes. SettingsError: a setting that was asked for differs from what was pre-trained.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)}, found {protocol!r}")
    retrieval = protocol == "retrieval"
    train, test = protocol_splits(store, train_split, test_split, allow_overlap, retrieval)
    rows, done = [], 0
    draws = [("fraction", f"{fraction:g}", fraction, stratified_fraction) for fraction in fractions]
    draws += [("shots", f"{count}shot", count, few_shots) for count in shots]
    for *_, amount, draw in draws:
        count = len(draw(store.labels[train], amount, 0))
        if protocol == "knn" and neighbours > count:  # before anything is measured
            raise ValueError(f"neighbours: expected 1 to {count}, the training sequences, found {neighbours}")
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
        rows.append({key: amount, "num_train": len(subset), **_spread(results), "seeds": list(seeds)})
    starts = () if pretrained is None else {of_seed(pretrained, seed) for seed in seeds}
    return {
        "protocol": protocol,
        "pretrained": None if pretrained is None else str(pretrained),
        "train_split": train_split,
        "test_split": test_split,
        "data": str(store.path),
        "num_test": len(test),
        "nobody_seen": results[-1]["nobody_seen"],
        "untrained": {} if retrieval else untrained_classes(store, train, test),
        "alone": _count_alone(store.labels[test]) if retrieval else 0,
        "seen_in_training": 0 if retrieval else int(np.isin(test, train).sum()),
        "seen_in_pretraining": max([count_seen(start, store, test, *SEEN_IDS) for start in starts], default=0),
        "rows": rows,
    }


def _count_alone(labels):
    """How many sequences are the only ones of their class."""
    return int((np.bincount(labels) == 1).sum())


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
    return read_result(file, made_from, FIGURES)


def _spread(results):
    """Mean, standard deviation (of a sample: n - 1) and values of both accuracies over seeds, in per cent."""
    values = {key: [100 * result[key] for result in results] for key in FIGURES[:2]}
    spread = {key: float(np.std(found, ddof=1)) if len(found) > 1 else None for key, found in values.items()}
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
        settings.adopt(architecture_of(model), case.source)  # refuses what differs
    # kept statistics are of masked clips or of another data set, or of none at all
    estimate_statistics(model, store, train, settings.data.seed)
    other = embed(model, store, test)
    nobody = ~other.any(axis=1)  # features of an empty clip
    told = {"nobody_seen": int(nobody.sum())}
    if case.protocol == "retrieval":
        found = average_precisions(other, labels[test])
        found[nobody & np.isfinite(found)] = 0
        each = [found[(labels[test] == label) & np.isfinite(found)] for label in np.unique(labels[test])]
        of_classes = [values.mean() for values in each if len(values)]
        return {"top1": float(np.nanmean(found)), "mean_class": float(np.mean(of_classes)), **told}
    one = embed(model, store, train)
    if case.protocol == "linear":
        probabilities, chosen = linear_probe(one, labels[train], other, settings.data.seed)
    else:
        probabilities, chosen = nearest_neighbours(one, labels[train], other, case.neighbours), None
    full = np.zeros((len(test), len(store.classes)), np.float32)
    full[:, : probabilities.shape[1]] = probabilities
    full[nobody] = np.nan  # no answer, as in a fine-tuning
    return {**scores(full, labels[test], store.classes), "C": chosen, **told}


def markdown_table(results):
    """One Markdown table of several results of :func:`run_protocol`, all of one protocol."""
    retrieval = results[0]["protocol"] == "retrieval"
    figure = "mean average precision %" if retrieval else "top-1 %"
    lines = [
        f"| protocol | start | labels | clips | {figure} | mean class % | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for row in result["rows"]:
            start = "random" if result["pretrained"] is None else "pre-trained"
            amount = f"{row['shots']} a class" if "shots" in row else f"{100 * row['fraction']:g} %"
            spread = "" if row["std"] is None else f" +- {row['std']:.1f}"
            lines.append(
                f"| {result['protocol']} | {start} | {amount} | {row['num_train']} | {row['mean']:.1f}{spread} | "
                f"{row['mean_class']:.1f} | {len(row['seeds'])} |"
            )
    if results[0]["protocol"] not in ("finetune", "semi"):
        lines += ["", FROZEN.format("test" if retrieval else "training")]
    return with_doubts(lines, *results)
