"""What a model owes to clips that were held out of its training: a temperature, and a bound to what it knows."""

from dataclasses import dataclass

import numpy as np

from keras_skelmae.evaluation.calibration import LEAST_CLIPS, answered, calibration, fit_temperature, temper
from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.known import choose_threshold, fit_known, strangeness
from keras_skelmae.models import Ensemble

LEAST_PEOPLE = 3  # one may be harder than all others


@dataclass
class HeldOut:
    """Answers to clips that were held out, by the network itself or by those of a cross-validation."""

    probabilities: np.ndarray  # (N, K), NaN where nobody was seen
    labels: np.ndarray  # (N,)
    ids: list  # of the clips
    distances: np.ndarray | None = None  # (N,) to the training clips, see KnownClasses
    doubt: str = ""  # why they do not stand for new clips


def doubt_of(store, train, held, chosen):
    """Why held-out clips do not stand for new ones, "" where they do.

    They do where they are of several people who were not trained on. Of a single person's clips the temperature can be
    far off, and clips drawn one by one are too like those trained on (docs/trust.md has the figures); of a validation
    split that the user chose, it is the user who knows whether they are.

    Args:
        store: SkeletonStore. train, held: samples of it. chosen: bool, whether the user chose them.
    """
    people = np.unique(store.subject[held])
    unknown = not len(people) or people[0] < 0
    if not chosen and (unknown or np.isin(people, store.subject[train]).any()):
        found = "may be of people it was trained on"
    elif not unknown and len(people) < LEAST_PEOPLE:
        found = f"are of {len(people)} {'person' if len(people) == 1 else 'people'}, {LEAST_PEOPLE} are needed"
    else:
        return ""
    return f"the held-out clips {found}: give --val-split of others, or use `skelmae protocol cross-validate --final`"


def calibrated(model, mirror, held):
    """The classifier to be saved, and how its probabilities fitted the held-out clips before and after.

    Args:
        model: STRLClassifier. mirror: what :func:`judge_mirror` says of mirror images.
        held: HeldOut of the model with these mirror images, or None.

    Returns:
        (STRLClassifier or Ensemble, dict of temperature, before, after and reason as in metrics.json, "" where one was
        fitted).
    """
    facts = {"temperature": 1.0, "before": None, "after": None, "reason": "no clips were held out"}
    if held is not None:
        count = len(answered(held.probabilities, held.labels)[1])
        facts["before"] = facts["after"] = calibration(held.probabilities, held.labels)
        facts["reason"] = f"{count} clips held out, {LEAST_CLIPS} are needed" if count < LEAST_CLIPS else held.doubt
        facts["temperature"] = 1.0 if facts["reason"] else fit_temperature(held.probabilities, held.labels)
        if facts["temperature"] != 1:
            facts["after"] = calibration(temper(held.probabilities, facts["temperature"]), held.labels)
    if not mirror and facts["temperature"] == 1:
        return model, facts
    return Ensemble([model], **mirror, temperature=facts["temperature"]), facts


def bounded(model, store, train, labels, held, held_indices):
    """(KnownClasses of a classifier or None, their facts as in metrics.json).

    Args:
        model: the classifier that is saved. store: SkeletonStore. train: samples it was trained on.
        labels: of all samples, as ``class_labels`` gives them.
        held: HeldOut or None, before the model's temperature. held_indices: its samples, where it has no distances.
    """
    known = None if held is None else fit_known(model, store, train, labels)
    if known is None:
        return None, {"threshold": None, "num_clips": 0, "reason": "no clips were held out"}
    distances = held.distances
    if distances is None:
        distances = known.distances(embed(model, store, held_indices)) if len(held_indices) else np.zeros(0)
    seen = np.isfinite(held.probabilities).all(axis=1)
    told = temper(held.probabilities[seen], getattr(model, "temperature", 1.0))
    known.threshold, count = choose_threshold(strangeness(distances[seen], told)), int(seen.sum())
    if np.isfinite(known.threshold):
        return known, {"threshold": known.threshold, "num_clips": count, "reason": ""}
    few = f"{count} clips held out, {LEAST_CLIPS} are needed"
    return None, {"threshold": None, "num_clips": count, "reason": few}
