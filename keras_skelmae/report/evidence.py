"""What a report shows beyond a run's own files, measured once and kept in the run folder as JSON."""

from pathlib import Path

import numpy as np

from keras_skelmae.data import class_labels
from keras_skelmae.evaluation import embed, load_classifier, measure
from keras_skelmae.evaluation.evaluate import tell_seen
from keras_skelmae.models import SkeletonMAE, load_model
from keras_skelmae.report.reconstruction import Reconstruction, reconstruct, spread
from skelmae_datasets import DataError, SkeletonLayout
from skelmae_datasets.files import read_json, write_json
from skelmae_datasets.runs.run_folder import EMBEDDING, EVALUATION, RECONSTRUCTION, SETTINGS, read_metrics
from skelmae_datasets.runs.settings import read_settings
from skelmae_datasets.runs.splits import training_split, training_splits
from skelmae_datasets.transforms.masking import default_parts, part_mask

MOST_EMBEDDED = 600
ARRAYS = ("keypoints", "positions", "frames")  # of a Reconstruction


def measure_finetuned(run, store):
    """Write evaluation.json and embedding.json of a fine-tuning run: its model on its validation sequences."""
    if _diverged(run):
        return
    metrics, settings = read_metrics(run), read_settings(Path(run) / SETTINGS, "finetune")
    train, validation = metrics["train_split"], metrics["val_split"]
    _, indices = training_splits(store, train, validation, settings, True)  # what was set aside is drawn again
    if not len(indices):
        return
    split = validation or f"a part of {train}"
    measured = measure(load_classifier(run), store, indices, split)
    tell_seen(measured, run, store)
    measure_evaluated(run, store, measured)


def measure_evaluated(run, store, measured):
    """Write evaluation.json and embedding.json from a Measured of a run's model on a split of a store."""
    kept = {key: value for key, value in measured.result.items() if key != "model"}
    write_json(Path(run) / EVALUATION, {**kept, "classes": measured.model.names}, indent=None)
    answered = np.isfinite(measured.probabilities).all(axis=1)
    guesses = np.where(answered, measured.probabilities.argmax(axis=1), -1)
    write_embedding(run, measured.model, store, measured.indices, measured.result["split"], guesses)


def measure_pretrained(run, store):
    """Write embedding.json, and reconstruction.json where the model is a masked autoencoder, of a pre-training run."""
    if _diverged(run):
        return
    model, split = load_model(run), training_split(run, store)
    indices = store.select(split)
    write_embedding(run, model, store, indices, split)
    if isinstance(model, SkeletonMAE) and len(indices) > 1 and len(store.layout.parts) > 1:
        write_reconstruction(run, reconstruct(model, store, default_parts(store.layout), fit_split=split))


def _diverged(run):
    """Whether a training ended in a loss that is not finite: there is nothing to look at then but its curve."""
    return not np.isfinite(read_metrics(run)["loss"])


def write_embedding(run, model, store, indices, split, guesses=None):
    """Write embedding.json: the features of up to 600 sequences in the plane, by PCA and by t-SNE.

    Args:
        run: run folder. model: one of ours. store: SkeletonStore. indices: its samples. split: their name.
        guesses: their class numbers as found, -1 where nobody was seen; None without a classifier.
    """
    chosen = spread(np.arange(len(indices)), MOST_EMBEDDED)
    indices = indices[chosen]
    metrics = read_metrics(run)
    seed = 0 if metrics.get("made_in_python") else read_settings(Path(run) / SETTINGS, metrics["stage"]).data.seed
    features, names = embed(model, store, indices), getattr(model, "names", store.classes)
    pca, explained = principal_components(features)
    tsne = neighbour_map(features, seed)
    content = {
        "split": split,
        "data": str(store.path),
        "fingerprint": store.fingerprint,
        "width": features.shape[1],
        "seed": seed,
        "classes": list(names),
        "explained": explained.round(4).tolist(),
        "ids": [store.ids[index] for index in indices],
        "labels": class_labels(store, names, indices)[indices].tolist(),
        "predicted": None if guesses is None else guesses[chosen].tolist(),
        "pca": pca.round(4).tolist(),
        "tsne": None if tsne is None else tsne.round(3).tolist(),
    }
    write_json(Path(run) / EMBEDDING, content, indent=None)


def principal_components(features):
    """(N, 2) of the two principal components and their shares of the variance; the largest loading is positive."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    centred = np.pad(centred, [(0, max(0, 2 - side)) for side in centred.shape])
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    sign = np.where(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)] < 0, -1, 1)
    shares = values[:2] ** 2 / max(float((values**2).sum()), 1e-12)
    return (left[:, :2] * values[:2] * sign)[: len(features)], shares


def neighbour_map(features, seed):
    """(N, 2) by t-SNE on standardised features, one thread and a seed; None for fewer than 5, or for equal ones."""
    if len(features) < 5 or not np.ptp(features, axis=0).any():
        return None
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # sums in another order give another picture
        x = StandardScaler().fit_transform(features.astype(np.float64))
        x = PCA(min(30, *x.shape), svd_solver="full").fit_transform(x)
        return TSNE(init="pca", perplexity=min(30.0, (len(x) - 1) / 3), random_state=seed, n_jobs=1).fit_transform(x)


def write_reconstruction(run, found):
    """Write reconstruction.json: the whole of a Reconstruction, coordinates to five digits."""
    arrays = {key: _rounded(getattr(found, key)) for key in ARRAYS}
    content = found.to_dict() | {"layout": found.layout.to_dict(), "channels": list(found.channels), **arrays}
    write_json(Path(run) / RECONSTRUCTION, content, indent=None)


def read_reconstruction(run):
    """The Reconstruction of a run folder, None where there is none. Raises DataError for a file of another kind."""
    path = Path(run) / RECONSTRUCTION
    content = read_json(path, missing_ok=True)
    if content is None:
        return None
    try:
        layout = SkeletonLayout.from_dict(content.pop("layout"), path)
        arrays = {key: np.array(content.pop(key)) for key in ARRAYS}
        return Reconstruction(layout=layout, masked=part_mask(layout, content["parts"]), **arrays, **content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(path, "", "a reconstruction", error) from None


def _rounded(array):
    """Nested lists of numbers of five significant digits."""
    if array.dtype.kind == "i":
        return array.tolist()
    return np.vectorize(lambda value: float(f"{value:.5g}"))(array).tolist()
