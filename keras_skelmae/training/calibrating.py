"""What a model owes to clips that were held out of its training: a temperature for its probabilities."""

from dataclasses import dataclass

import numpy as np

from keras_skelmae.evaluation.calibration import LEAST_CLIPS, answered, calibration, fit_temperature, temper
from keras_skelmae.models import Ensemble


@dataclass
class HeldOut:
    """Answers to clips that were held out, by the network itself or by those of a cross-validation."""

    probabilities: np.ndarray  # (N, K), NaN where nobody was seen
    labels: np.ndarray  # (N,)


def calibrated(model, mirror, held):
    """The classifier to be saved, and how its probabilities fitted the held-out clips before and after.

    Args:
        model: STRLClassifier. mirror: bool, whether mirror images count.
        held: HeldOut of the model with these mirror images, or None.

    Returns:
        (STRLClassifier or Ensemble, dict of temperature, before, after and reason as in metrics.json, "" where one was
        fitted).
    """
    facts = {"temperature": 1.0, "before": None, "after": None, "reason": "clips that are held out were not looked at"}
    if held is not None:
        count = len(answered(held.probabilities, held.labels)[1])
        facts["before"] = facts["after"] = calibration(held.probabilities, held.labels)
        facts["reason"] = f"{count} clips held out, {LEAST_CLIPS} are needed" if count < LEAST_CLIPS else ""
        facts["temperature"] = fit_temperature(held.probabilities, held.labels)
        if facts["temperature"] != 1:
            facts["after"] = calibration(temper(held.probabilities, facts["temperature"]), held.labels)
    if not mirror and facts["temperature"] == 1:
        return model, facts
    return Ensemble([model], mirror=mirror, temperature=facts["temperature"]), facts
