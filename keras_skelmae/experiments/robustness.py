"""Accuracy of a trained classifier against recordings that are made worse, one kind of fault at a time."""

from pathlib import Path

import numpy as np

from keras_skelmae.evaluation import load_classifier, measure
from keras_skelmae.evaluation.doubts import with_doubts
from keras_skelmae.evaluation.evaluate import tell_seen
from skelmae_datasets import DataError
from skelmae_datasets.runs.splits import measured_split
from skelmae_datasets.transforms.degradation import DEGRADATIONS, check_kinds


class DegradedStore:
    """A store whose recordings are made worse as they are read; all else is as in the store.

    Args:
        store: SkeletonStore. kind: key of DEGRADATIONS. amount: of it. seed: int; with the kind, the amount and the
            sample it decides what is drawn.
    """

    def __init__(self, store, kind, amount, seed=0):
        self.store, self.amount = store, amount
        self.function, amounts, _ = DEGRADATIONS[kind]
        self.seed = (seed, list(DEGRADATIONS).index(kind), amounts.index(amount))
        self.frames = store.frames
        if kind == "rate":  # known without reading: the generator draws but where to begin
            self.frames = np.array([self._count(index) for index in range(len(store))])

    def __getattr__(self, name):
        return getattr(self.store, name)

    def __len__(self):
        return len(self.store)

    def _generator(self, index):
        return np.random.default_rng((*self.seed, int(index)))

    def _count(self, index):
        frames = int(self.store.frames[index])
        nothing = np.zeros((1, frames, 1, 1), np.float32)
        return self.function(nothing, 2, self.store.layout, self.amount, self._generator(index)).shape[1]

    def read(self, index):
        """Keypoints of one sample, (M, T, V, C) float32."""
        options = (self.store.num_coordinates, self.store.layout, self.amount, self._generator(index))
        return self.function(self.store.read(index), *options)


def robustness(model_path, store, split, kinds=tuple(DEGRADATIONS), seed=0, progress=None, allow_overlap=False):
    """Top-1 and mean-class accuracy of a run by kind and amount of fault.

    Args:
        model_path: run folder or .keras file. store: SkeletonStore. split: of it.
        kinds: of DEGRADATIONS; swaps are left out where a layout has no left and right, and so are as many parts as it
            has.
        seed: int, of what is drawn; the same for every model.
        progress: called with (done, total) measurements.

    Returns:
        dict of model, data, fingerprint, test_split, num_samples, nobody_seen, seen_in_training, seen_in_pretraining,
        seed and curves: {kind: dict(text, amounts, top1, mean_class)}, accuracies in 0..1; the first amount changes
        nothing.

    Raises:
        ValueError: an unknown kind. DataError: the model was trained on some of the split, unless ``allow_overlap``;
            kinds that its layout has nothing for.
    """
    check_kinds(kinds)
    indices = measured_split(model_path, store, split, allow_overlap)
    model = load_classifier(model_path)
    measured = {kind: found for kind in kinds if len(found := _amounts(kind, store.layout)) > 1}
    if not measured:
        wanted = "left and right joints for swaps, two body parts for parts, or other --kinds"
        raise DataError(store.path, "layout", wanted, f"{store.layout.name} without")
    curves, plain = {}, None
    total, done = 1 + sum(len(amounts) - 1 for amounts in measured.values()), 0
    for kind, amounts in measured.items():
        text = DEGRADATIONS[kind][2]
        results = []
        for amount in amounts:
            first = amount == amounts[0]
            found = (
                plain if first and plain else measure(model, DegradedStore(store, kind, amount, seed), indices, split)
            )
            plain = plain or found
            results.append(found.result)
            done += not (first and done)
            if progress:
                progress(done, total)
        accuracies = {key: [result[key] for result in results] for key in ("top1", "mean_class")}
        curves[kind] = {"text": text, "amounts": list(amounts), **accuracies}
    tell_seen(plain, model_path, store)
    return {
        "model": str(Path(model_path)),
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "test_split": split,
        "num_samples": len(indices),
        **{key: plain.result[key] for key in ("nobody_seen", "seen_in_training", "seen_in_pretraining")},
        "seed": seed,
        "curves": curves,
    }


def _amounts(kind, layout):
    """The amounts of a kind of fault that recordings of this layout can have; the first changes nothing."""
    if kind == "swaps" and not layout.mirror_pairs:
        return ()
    return [amount for amount in DEGRADATIONS[kind][1] if kind != "parts" or amount < len(layout.parts)]


def robustness_table(results):
    """One Markdown table of several results of :func:`robustness`: a line a kind and model, the amounts beside it."""
    lines = []
    for kind in dict.fromkeys(kind for result in results for kind in result["curves"]):
        curves = [(result["model"], result["curves"][kind]) for result in results if kind in result["curves"]]
        first = curves[0][1]
        lines += ["", f"| {first['text']} | {' | '.join(f'{amount:g}' for amount in first['amounts'])} |"]
        lines.append("|---" * (len(first["amounts"]) + 1) + "|")
        for name, curve in curves:
            lines.append(f"| {name} | {' | '.join(f'{100 * top1:.1f}' for top1 in curve['top1'])} |")
    return with_doubts(lines[1:], *results)
