"""How far a run's answers can be trusted, as a part of the report page."""

from keras_skelmae.report.charts import reliability_chart
from keras_skelmae.report.markup import card, details, element, number, percent, soft, table

CALIBRATED = {"before": "as trained", "after": "with its temperature"}


def section(run):
    """Everything on trust that was measured."""
    cards = [*calibration(run)]
    return element("h2", "Trust") + element("div", *cards, class_="grid") if cards else ""


def calibration(run):
    """Cards of reliability and calibration error of an evaluated classifier, before and after its temperature."""
    found = (run.evaluation or {}).get("calibration")
    if not found or not found["after"]:
        return []
    known = {key: found[key] for key in CALIBRATED if found[key]}
    names = CALIBRATED if len(known) > 1 else {"after": "the model"}
    series = [(names[key], int(key == "before"), entry["bins"]) for key, entry in known.items()]
    rows = [
        [names[key], number(entry["nll"], 3), percent(entry["ece"]), percent(entry["ece_floor"])]
        for key, entry in known.items()
    ]
    told = f"Temperature {found['temperature']:.2f}; {found['after']['num_clips']} sequences."
    told += " Chance alone gives a perfectly calibrated model the error in the last column."
    if found.get("fitted_on"):
        told += f" The temperature was fitted on {found['fitted_on']} of these sequences."
    numbers = [
        [name, *(number(entry[key], 3) for key in ("confidence", "accuracy")), entry["count"]]
        for name, _, bins in series
        for entry in bins
    ]
    full = details("as a table", table(["", "confidence", "right", "sequences"], numbers, {1, 2, 3}))
    heads = ["", "log-likelihood, negative", "calibration error", "of chance"]
    chart = reliability_chart("Share of right answers by the probability of the answer", series)
    return [card("Reliability", chart, full), card("Calibration", table(heads, rows, {1, 2, 3}), soft(told))]
