"""How far a run's answers can be trusted, as a part of the report page."""

from keras_skelmae.evaluation.doubts import doubts
from keras_skelmae.report.charts import legend, reliability_chart
from keras_skelmae.report.markup import card, details, element, number, percent, soft, table
from keras_skelmae.report.robustness_figure import robustness_figure
from keras_skelmae.report.run_folder import measured_on
from skelmae_datasets.pictures.figures import embedded_svg

WITHOUT = {"ridge": "ridge on poses and velocities", "dtw": "nearest clip by time warping"}
SAME = {"fingerprint": "fingerprint", "split": "test_split"}  # of an evaluation and of a baseline
CALIBRATED = {"before": "as trained", "after": "with its temperature"}


def section(run):
    """Everything on trust that was measured."""
    cards = [*calibration(run), *baseline(run), *crossed(run), *robustness(run)]
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
    heads = ["", "log loss", "calibration error", "of chance"]
    chart = reliability_chart("Share of right answers by the probability of the answer", series)
    lines = legend([(name, colour, False, ()) for name, colour, _ in series]) if len(series) > 1 else ""
    return [card("Reliability", chart, lines, full), card("Calibration", table(heads, rows, {1, 2, 3}), soft(told))]


def baseline(run):
    """A card of what the same clips gave without a network, and the network on the same split."""
    found = run.baseline
    if not found:
        return []
    rows = [[WITHOUT.get(name, name), percent(entry["top1"])] for name, entry in found["results"].items()]
    evaluated = run.evaluation or {}
    same = all(evaluated.get(key) == found[other] for key, other in SAME.items())
    best = max(entry["top1"] for entry in found["results"].values())
    where = measured_on(run, found, "test_split")
    told = f"Top-1 on {where}. Evaluate the run on this split to see what the network gives."
    if same:
        rows.append(["the network", percent(evaluated["top1"])])
        told = f"Top-1 on {where}: {100 * (evaluated['top1'] - best):+.1f} points over the best of these."
    told = " ".join([told, *doubts(found)])
    return [card("Does the network earn its training?", table(["", "top-1"], rows, {1}, head=False), soft(told))]


def crossed(run):
    """A card of what cross-validation found of a model that is trained on everything."""
    found = run.metrics.get("cross_validation")
    if not found:
        return []
    rows = [
        [text, f"{found[key]['mean']:.1f} \u00b1 {found[key]['std']:.1f} %"]
        for key, text in (("top1", "top-1"), ("mean_class", "mean class"))
    ]
    told = f"Mean and spread of {found['folds']} folds by {found['grouped_by']}. This model has seen all clips."
    return [card("Cross-validation", table(["", ""], rows, {1}, head=False), soft(told))]


def robustness(run):
    """A card of the curves of accuracy against faults."""
    found = run.robustness
    if not found:
        return []
    drawing = embedded_svg(lambda colour: robustness_figure({run.name: found}, colour), "Accuracy against faults")
    rows = [
        [curve["text"], ", ".join(f"{amount:g}: {percent(top1)}" for amount, top1 in zip(*values, strict=True))]
        for curve in found["curves"].values()
        for values in [(curve["amounts"], curve["top1"])]
    ]
    where = measured_on(run, found, "test_split")
    told = f"Top-1 on {where}, {found['num_samples']} sequences, made worse step by step."
    told = " ".join([told, *doubts(found)])
    strip = element("div", drawing, class_="scroll strip", tabindex=0)
    full = details("as a table", table(["", "top-1"], rows, head=False))
    return [card("Robustness", strip, soft(told), full, size="wide")]
