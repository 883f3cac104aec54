"""What a report shows beyond a run's own files, measured once and kept in the run folder as JSON."""

import json
from pathlib import Path

import numpy as np

from keras_skelmae.report.reconstruction import Reconstruction, reconstruct
from keras_skelmae.training.config import resolve_config
from keras_skelmae.training.evaluation import load_classifier, predict_store, scores
from keras_skelmae.training.features import embed
from keras_skelmae.training.finetune import hold_out
from keras_skelmae.training.runs import load_model, write_text
from skelmae_datasets import DataError, SkeletonLayout
from skelmae_datasets.sampling import uniform_grid_indices

EVALUATION, EMBEDDING, RECONSTRUCTION = "evaluation.json", "embedding.json", "reconstruction.json"
MOST_EMBEDDED = 600
MASKED_MODELS = ("SkeletonMAE", "STRLAutoencoder")


def read_json(path):
    """A JSON file of a run folder, None where there is none. Raises DataError where it is not JSON."""
    path = Path(path)
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(path, "", "JSON", error) from None


def default_parts(layout):
    """The paper's best mask, right arm and right leg; the last part where a layout has not got them."""
    usual = tuple(part for part in ("right_arm", "right_leg") if part in layout.parts)
    return usual or (list(layout.parts)[-1],)


def training_split(run, store):
    """The split that a pre-training run learned from.

    Raises:
        DataError: the run does not say, or was trained on another store.
    """
    metrics = read_json(Path(run) / "metrics.json") if Path(run).is_dir() else None
    if not metrics or "split" not in metrics:
        raise DataError(run, "metrics.json", "a pre-training run folder, or --fit-split NAME", "no training split")
    if metrics.get("fingerprint") != store.fingerprint:
        found = f"another ({str(metrics.get('fingerprint'))[:16]})"
        raise DataError(store.path, "fingerprint", f"the data {run} was trained on, or --fit-split NAME", found)
    return metrics["split"]


def held_out(run, store):
    """(indices, name) of the validation sequences of a fine-tuning run, set aside ones drawn again."""
    metrics = read_json(Path(run) / "metrics.json")
    if metrics["val_split"] is not None:
        return store.select(metrics["val_split"]), metrics["val_split"]
    config = resolve_config("finetune", config_file=Path(run) / "config.toml")
    train = store.select(metrics["train_split"])
    return hold_out(store, train, config.validation_fraction, config.seed)[1], f"a part of {metrics['train_split']}"


def measure_finetuned(run, store):
    """Write evaluation.json and embedding.json of a fine-tuning run: its model on its validation sequences."""
    if _diverged(run):
        return
    model = load_classifier(run)
    indices, name = held_out(run, store)
    probabilities = predict_store(model, store, indices)
    result = scores(probabilities, store.labels[indices], store.classes)
    result |= {"data": str(store.path), "fingerprint": store.fingerprint, "split": name, "num_clips": 1}
    keep_evaluation(run, result, store.classes)
    write_embedding(run, model, store, indices, name, dict(zip(indices.tolist(), probabilities.argmax(1), strict=True)))


def measure_evaluated(run, store, split, result):
    """Write evaluation.json with a result of `evaluate_model`, and embedding.json of the same split."""
    keep_evaluation(run, result, store.classes)
    model, indices = load_classifier(run), _fewer(store.select(split))
    guesses = predict_store(model, store, indices).argmax(axis=1)
    write_embedding(run, model, store, indices, split, dict(zip(indices.tolist(), guesses, strict=True)))


def measure_pretrained(run, store):
    """Write embedding.json, and reconstruction.json where the model is a masked autoencoder, of a pre-training run."""
    if _diverged(run):
        return
    model, split = load_model(run), training_split(run, store)
    indices = store.select(split)
    write_embedding(run, model, store, indices, split)
    if type(model).__name__ in MASKED_MODELS and len(indices) > 1 and len(store.layout.parts) > 1:
        write_reconstruction(run, reconstruct(run, store, default_parts(store.layout), fit_split=split))


def _diverged(run):
    """Whether a training ended in a loss that is not a number: there is nothing to look at then but its curve."""
    return not np.isfinite(read_json(Path(run) / "metrics.json")["loss"])


def keep_evaluation(run, result, classes):
    """Write evaluation.json: the scores with the names of all classes."""
    kept = {key: value for key, value in result.items() if key != "model"}
    _write(Path(run) / EVALUATION, {**kept, "classes": list(classes)})


def write_embedding(run, model, store, indices, split, guesses=None):
    """Write embedding.json: the features of up to 600 sequences in the plane, by PCA and by t-SNE.

    Args:
        run: run folder. model: one of ours. store: SkeletonStore. indices: its samples. split: their name.
        guesses: dict index -> class number, None without a classifier.
    """
    indices = _fewer(indices)
    config = resolve_config("finetune", config_file=Path(run) / "config.toml")
    features = embed(model, store, indices)
    pca, explained = principal_components(features)
    tsne = neighbour_map(features, config.seed)
    content = {"split": split, "fingerprint": store.fingerprint, "width": features.shape[1], "seed": config.seed,
               "classes": list(store.classes), "explained": [round(float(x), 4) for x in explained],
               "ids": [store.ids[i] for i in indices], "labels": store.labels[indices].tolist(),
               "predicted": None if guesses is None else [int(guesses[int(i)]) for i in indices],
               "pca": np.round(pca, 4).tolist(), "tsne": tsne if tsne is None else tsne.round(3).tolist()}  # fmt: skip
    _write(Path(run) / EMBEDDING, content)


def principal_components(features):
    """(N, 2) of the two principal components and their shares of the variance; the largest loading is positive."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    centred = np.pad(centred, [(0, max(0, 2 - len(centred))), (0, max(0, 2 - centred.shape[1]))])
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    sign = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(axis=1)])
    sign[sign == 0] = 1
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
    content = found.to_dict() | {"layout": found.layout.to_dict(), "channels": list(found.channels),
                                 "frames": found.frames.tolist(), "keypoints": _rounded(found.keypoints),
                                 "positions": _rounded(found.positions)}  # fmt: skip
    _write(Path(run) / RECONSTRUCTION, content)


def read_reconstruction(run):
    """The Reconstruction of a run folder, None where there is none. Raises DataError for a file of another kind."""
    path = Path(run) / RECONSTRUCTION
    content = read_json(path)
    if content is None:
        return None
    try:
        layout = SkeletonLayout.from_dict(content.pop("layout"), path)
        masked = np.isin(np.arange(layout.num_joints), [j for part in content["parts"] for j in layout.parts[part]])
        arrays = {key: np.array(content.pop(key)) for key in ("keypoints", "positions", "frames")}
        channels = tuple(content.pop("channels"))
        return Reconstruction(layout=layout, masked=masked, channels=channels, **arrays, **content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(path, "", "a reconstruction", error) from None


def _fewer(indices):
    return indices[uniform_grid_indices(len(indices), MOST_EMBEDDED)] if len(indices) > MOST_EMBEDDED else indices


def _rounded(array):
    """Nested lists of numbers of five significant digits."""
    flat = np.array([float(f"{value:.5g}") for value in np.asarray(array, np.float64).ravel()])
    return flat.reshape(np.shape(array)).tolist()


def _write(path, content):
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")
