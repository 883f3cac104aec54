"""Accuracy of a trained classifier on a split, and predictions for single files."""

import tempfile
from pathlib import Path

import numpy as np

from keras_skelmae.models import FusedClassifier, STRLClassifier
from keras_skelmae.training.batch_parts import prediction_function
from keras_skelmae.training.feeding import SequenceSource, SkeletonBatches
from keras_skelmae.training.runs import TRAIN_IDS, load_model, model_file, read_json, versions
from skelmae_datasets import DataError, SkeletonStore

SHOWN_SEEN = 3
FUSION = "fusion.json"  # in the folder of a fused classifier: what it was made of


def scores(probabilities, labels, names):
    """Top-1, top-5, mean-class accuracy and confusion matrix.

    Args:
        probabilities: (N, K) float.
        labels: (N,) int.
        names: K class names.

    Returns:
        dict; accuracies in 0..1. ``per_class`` and ``mean_class`` know only the classes that occur.
    """
    num_classes = probabilities.shape[1]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    count = confusion.sum(axis=1)
    per_class = {str(names[k]): float(confusion[k, k] / count[k]) for k in range(num_classes) if count[k]}
    return {"top1": float((order[:, 0] == labels).mean()),
            "top5": float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
            "mean_class": float(np.mean(list(per_class.values()))),
            "per_class": per_class, "confusion": confusion.tolist(), "num_samples": int(len(labels))}


def load_classifier(path):
    """A STRLClassifier or FusedClassifier from a run folder or file, or DataError."""
    model = load_model(path)
    if not isinstance(model, (STRLClassifier, FusedClassifier)):
        raise DataError(model_file(path), "model", "a classifier", type(model).__name__)
    return model


def check_store(model, store, path):
    """DataError unless the model takes this store's joints and coordinates."""
    found = (store.layout.num_joints, store.num_coordinates)
    expected = (model.layout.num_joints, model.num_coordinates)
    if found != expected:
        raise DataError(store.path, "keypoints", "{} joints, {} coordinates as {} takes".format(*expected, path),
                        "{} joints, {} coordinates".format(*found))


def predict_store(model, store, indices, num_clips=1, batch_size=64, progress=None):
    """(N, K) probabilities, averaged over the clips of each sequence; ``progress`` is called with (done, total)."""
    data = SkeletonBatches(SequenceSource(store, 0), indices, batch_size=max(1, batch_size // num_clips),
                           num_frames=model.num_frames, num_people=model.num_people, use_score=model.use_score,
                           training=False, num_clips=num_clips)
    predict = prediction_function(model, data.batch_size * num_clips, len(data))
    found = []
    for number in range(len(data)):
        found.append(predict(data[number][0]))
        if progress:
            progress(number + 1, len(data))
    return np.concatenate(found).reshape(len(indices), num_clips, -1).mean(axis=1)


def trained_ids(model_path):
    """Ids of the samples that a model was trained on, going by the train_ids.txt beside it; none without one."""
    path = Path(model_path)
    file = (path if path.is_dir() else path.parent) / TRAIN_IDS
    return file.read_text("utf-8").splitlines() if file.is_file() else []


def check_unseen(model_path, store, split, indices):
    """DataError where a model was trained on one of these samples, going by the train_ids.txt beside it."""
    trained = set(trained_ids(model_path))
    seen = [store.ids[index] for index in indices if store.ids[index] in trained]
    if seen:
        more = ", ..." if len(seen) > SHOWN_SEEN else ""
        raise DataError(store.path, f"split {split}", "sequences that the model was not trained on",
                        f"{len(seen)} of {len(indices)} that it was ({', '.join(seen[:SHOWN_SEEN])}{more}); "
                        "--allow-overlap measures all the same")


def evaluate_model(model_path, store, split, num_clips=1, batch_size=64, progress=None, allow_overlap=False):
    """Evaluate a run folder or .keras file on a split; returns the dict of :func:`scores` and where it came from.

    Raises:
        DataError: the store does not fit the model; the model was trained on some of the split and ``allow_overlap``
            is False.
    """
    model = load_classifier(model_path)
    check_store(model, store, model_path)
    indices = store.select(split)
    if not allow_overlap:
        check_unseen(model_path, store, split, indices)
    labels = store.labels[indices]
    if len(store.classes) != model.num_classes or (labels < 0).any():
        raise DataError(store.path, "classes", f"{model.num_classes} classes, every sequence labelled",
                        f"{len(store.classes)} classes, {int((labels < 0).sum())} sequences without")
    probabilities = predict_store(model, store, indices, num_clips, batch_size, progress)
    return {"model": str(model_path), "data": str(store.path), "fingerprint": store.fingerprint, "split": split,
            "num_clips": num_clips, **scores(probabilities, labels, store.classes), "versions": versions()}


def read_samples(path, model):
    """Samples of any readable file, for prediction.

    Raises:
        DataError: unknown suffix or unreadable content.
    """
    from skelmae_datasets import convert_csv, read_skeleton
    from skelmae_datasets.pyskl import read_annotations

    path = Path(path)
    if path.suffix == ".skeleton":
        joints = "coco17" if model.layout.num_joints == 17 else "all"
        return [read_skeleton(path, people=model.num_people, joints=joints)]
    if path.suffix == ".pkl":
        return list(read_annotations(path))
    if path.suffix in (".h5", ".hdf5"):
        with SkeletonStore(path) as store:
            return [store.sample(i) for i in range(len(store))]
    if path.suffix == ".csv":
        with tempfile.TemporaryDirectory() as folder:
            convert_csv(path, Path(folder) / "store.h5", layout=model.layout)
            return read_samples(Path(folder) / "store.h5", model)
    raise DataError(path, "suffix", ".skeleton, .pkl, .csv or .h5", path.suffix or "none")


def class_names(model):
    """Its classes' names; numbers where it has none."""
    return model.class_names or [str(k) for k in range(model.num_classes)]


def predict_clip(model, keypoints):
    """(K,) probabilities of one sequence (M, T, V, C); people and channels beyond the model's are left out."""
    from skelmae_datasets.sampling import uniform_grid_indices

    channels = model.num_coordinates + model.use_score
    clip = np.zeros((1, model.num_people, model.num_frames, model.layout.num_joints, channels), np.float32)
    frames = uniform_grid_indices(keypoints.shape[1], model.num_frames)
    kept = keypoints[:model.num_people, frames, :, :channels]
    clip[0, :len(kept)] = kept
    return np.asarray(model.predict_on_batch(clip))[0]


def predict_files(model_path, inputs):
    """Class probabilities for every sequence of the given files.

    Returns:
        list of dict with input, sample, label, probability and probabilities by class name.
    """
    model = load_classifier(model_path)
    names = class_names(model)
    channels = model.num_coordinates + model.use_score
    results = []
    for path in inputs:
        for sample in read_samples(path, model):
            keypoints = np.asarray(sample.keypoints, np.float32)
            if keypoints.ndim != 4 or keypoints.shape[2] != model.layout.num_joints or keypoints.shape[3] < channels:
                raise DataError(path, f"{sample.id}.keypoints",
                                f"(M, T, {model.layout.num_joints}, {channels})", keypoints.shape)
            probability = predict_clip(model, keypoints)
            best = int(probability.argmax())
            results.append({"input": str(path), "sample": sample.id, "label": names[best],
                            "probability": float(probability[best]),
                            "probabilities": {name: float(p) for name, p in zip(names, probability, strict=True)}})
    return results


def describe(path):
    """What a store, a run folder or a .keras file holds, as a dict."""
    from skelmae_datasets import describe_store

    path = Path(path)
    if path.suffix in (".h5", ".hdf5"):
        return describe_store(path)
    if path.is_dir():
        files = sorted(item.name for item in path.iterdir() if item.is_file())
        if FUSION in files:
            return {"kind": "fused run", "files": files, **read_json(path / FUSION)}
        if "config.toml" not in files:
            raise DataError(path, "config.toml", "a run folder", "no such file")
        metrics = path / "metrics.json"
        return {"kind": "run", "files": files, "config": (path / "config.toml").read_text("utf-8"),
                "metrics": read_json(metrics) if metrics.exists() else None}
    model = load_model(path)
    config = {key: value for key, value in model.get_config().items() if key != "layout"}
    if isinstance(model, FusedClassifier):
        config["members"] = [{key: value for key, value in member.items() if key != "layout"}
                             for member in config["members"]]
    return {"kind": type(model).__name__, "layout": model.layout.name, "parameters": int(model.count_params()),
            "config": config}
