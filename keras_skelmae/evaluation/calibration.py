"""Whether probabilities mean what they say: likelihood, calibration error, and the temperature that mends it."""

import numpy as np

LEAST_CLIPS = 20  # fewer tell nothing about one number to be fitted
LOWEST, HIGHEST = 0.05, 20.0  # temperatures
BINS = 15
DRAWS = 200  # of the noise floor
SMALLEST = float(np.finfo(np.float32).tiny)  # probabilities below it have no logarithm


def answered(probabilities, labels):
    """The rows in which somebody was seen and that have a label: (probabilities, labels)."""
    kept = np.isfinite(probabilities).all(axis=1) & (labels >= 0)
    return np.asarray(probabilities, np.float64)[kept], np.asarray(labels)[kept]


def temper(probabilities, temperature):
    """Probabilities (N, K) of the same logits divided by a temperature; with ``1 / temperature`` back again."""
    powers = np.log(np.maximum(probabilities, SMALLEST)) / temperature
    powers = np.exp(powers - powers.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities, labels):
    """The temperature with the greatest likelihood on clips that were not trained on.

    The negative log-likelihood is convex in 1 / T; the zero of its slope is found by halving. As in Platt's scaling a
    label counts for ``(N + 1) / (N + 2)`` and the other classes share the rest, so that clips that are all recognised
    do not make the model certain.

    Args:
        probabilities: (N, K) float; rows that are not finite are passed over. labels: (N,) int.

    Returns:
        float within LOWEST..HIGHEST; 1.0 for fewer than LEAST_CLIPS rows, or a single class.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; Platt, "Probabilistic Outputs for Support
        Vector Machines", 1999, for the targets.
    """
    probabilities, labels = answered(probabilities, labels)
    count, classes = probabilities.shape
    if count < LEAST_CLIPS or classes < 2:
        return 1.0
    logits = np.log(np.maximum(probabilities, SMALLEST))
    target = np.full((count, classes), 1 / ((count + 2) * (classes - 1)))
    target[np.arange(count), labels] = (count + 1) / (count + 2)
    wanted = float((target * logits).sum())

    def slope(sharpness):
        return float((temper(probabilities, 1 / sharpness) * logits).sum()) - wanted

    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / middle


def negative_log_likelihood(probabilities, labels):
    """Mean of -log p of the labels, nats. probabilities: (N, K). labels: (N,) int."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST)).mean())


def reliability(confidence, right, bins=BINS):
    """Bins of equally many clips, in the order of their confidence: how sure the answers are, how many are right.

    Args:
        confidence: (N,) probability of the answer. right: (N,) bool. bins: int, at most.

    Returns:
        list of dict(confidence, accuracy, count).
    """
    order = np.argsort(confidence, kind="stable")
    found = [part for part in np.array_split(order, min(bins, max(len(order) // 5, 1))) if len(part)]
    return [
        {"confidence": float(confidence[part].mean()), "accuracy": float(right[part].mean()), "count": len(part)}
        for part in found
    ]


def calibration_error(confidence, right, bins=BINS):
    """Mean distance of confidence and accuracy over :func:`reliability`'s bins, 0..1."""
    found = reliability(confidence, right, bins)
    gaps = [entry["count"] * abs(entry["confidence"] - entry["accuracy"]) for entry in found]
    return float(sum(gaps) / max(len(confidence), 1))


def noise_floor(confidence, bins=BINS, draws=DRAWS, seed=0):
    """The calibration error of a perfectly calibrated model with these confidences: (mean, 95 % quantile) over draws.

    What is right is drawn with the probability that the confidence states: with few clips it never fits exactly.

    Reference:
        Bröcker and Smith, "Increasing the Reliability of Reliability Diagrams", 2007 (consistency resampling).
    """
    rng = np.random.default_rng(seed)
    errors = [calibration_error(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(draws)]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def calibration(probabilities, labels):
    """How well probabilities fit what happened.

    Args:
        probabilities: (N, K) float; rows that are not finite are passed over. labels: (N,) int.

    Returns:
        dict of num_clips, nll (nats), ece (0..1, bins of equally many clips), ece_floor and ece_floor_95 (what chance
        alone gives), bins; None where there are no rows.
    """
    probabilities, labels = answered(probabilities, labels)
    if not len(labels):
        return None
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    floor, most = noise_floor(confidence)
    return {
        "num_clips": len(labels),
        "nll": negative_log_likelihood(probabilities, labels),
        "ece": calibration_error(confidence, right),
        "ece_floor": floor,
        "ece_floor_95": most,
        "bins": reliability(confidence, right),
    }


def compare_calibration(probabilities, labels, temperature, num_clips=1):
    """:func:`calibration` of a model's probabilities, and of what they were before its temperature.

    Args:
        probabilities: (N, K) of a model with this temperature. labels: (N,) int.
        num_clips: whose probabilities were averaged; with several there is no way back to what was before.

    Returns:
        dict of temperature, before and after; before is None where nothing else was.
    """
    raw = None
    if temperature != 1 and num_clips == 1:
        raw = calibration(temper(probabilities, 1 / temperature), labels)
    return {"temperature": temperature, "before": raw, "after": calibration(probabilities, labels)}
