"""The parts of the report page, each a piece of HTML from RunFolders."""

from itertools import permutations

from keras_skelmae.report.advice import advice
from keras_skelmae.report.charts import (
    MARKS,
    bar_chart,
    class_legend,
    confusion_chart,
    legend,
    line_chart,
    scatter_chart,
)
from keras_skelmae.report.markup import card, details, duration, element, escape, number, percent, soft, table
from keras_skelmae.report.reconstruction_figure import caption, reconstruction_figure, short_unit
from keras_skelmae.report.run_folder import class_counts, measured_on, no_command, repeat_command
from skelmae_datasets.pictures.figures import embedded_svg
from skelmae_datasets.timelines import NOBODY

CONFUSED = 8
STAGES = {"pretrain": "pre-training", "finetune": "fine-tuning"}
TITLES = {"loss": "Loss", "accuracy": "Accuracy, %", "target_spread": "Spread of the target (0: collapsed)"}


def _headed(title, cards, remark=""):
    """A heading, a remark and cards beside each other."""
    return element("h2", title) + (soft(remark) if remark else "") + element("div", *cards, class_="grid")


def subtitle(runs):
    """What the page is about, in a line."""
    if len(runs) > 1:
        return f"{len(runs)} runs beside each other"
    return f"{STAGES[runs[0].stage]} on {runs[0].metrics['data']}"


def overview(runs):
    """Final figures: cards for one run, a table for several."""
    facts = [_facts(run) for run in runs]
    if len(runs) == 1:
        told = {key: value for key, value in facts[0].items() if key not in ("stage", "data")}  # the subtitle says it
        pairs = (element("dt", escape(key)) + element("dd", escape(value)) for key, value in told.items())
        return element("dl", *(element("div", pair) for pair in pairs), class_="figures")
    keys = dict.fromkeys(key for entry in facts for key in entry)
    rows = [[key, *(entry.get(key, "–") for entry in facts)] for key in keys]
    return element("h2", "Overview") + element("div", table(["", *(run.name for run in runs)], rows), class_="card")


def next_steps(runs):
    """What to do where something is off; nothing where all is well."""
    told = [(run.name, text) for run in runs for text in advice(run)]
    items = (element("li", escape(f"{name}: {text}" if len(runs) > 1 else text)) for name, text in told)
    content = element("div", element("ul", *items, class_="steps"), class_="card")
    return element("section", element("h2", "What to do next"), content) if told else ""


def _facts(run):
    metrics, evaluated = run.metrics, run.evaluation
    found = {"stage": STAGES[run.stage], "data": metrics["data"]}
    if evaluated:
        found |= {"top-1": percent(evaluated["top1"]), "mean class": percent(evaluated.get("mean_class"))}
        found["measured on"] = f"{measured_on(run, evaluated)} ({evaluated.get('num_samples')})"
    elif metrics.get("val_accuracy") is not None:
        found["validation accuracy"] = percent(metrics["val_accuracy"])
    if run.stage == "finetune" and "accuracy" in metrics:
        found["training clips"] = percent(metrics["accuracy"])
    found["final loss"] = number(metrics.get("loss"))
    if "target_spread" in metrics:
        found["target spread"] = number(metrics["target_spread"], 3) + " collapsed" * bool(metrics.get("collapsed"))
    compared = run.reconstruction.compared if run.reconstruction else {}
    if compared.get("error") is not None:
        found["masked joints' error"] = f"{compared['error'] / compared['mean_pose']:.2f} of the mean pose's"
    found["sequences"] = f"{metrics['num_sequences']:,}"
    return found | ({"training time": duration(metrics["seconds"])} if "seconds" in metrics else {})


def curves(runs):
    """Learning curves: a chart for each quantity and stage, all runs in it."""
    cards = []
    for stage in STAGES:
        members = [(index, run) for index, run in enumerate(runs) if run.stage == stage]
        keys = dict.fromkeys(key.removeprefix("val_") for _, run in members for key in run.history)
        for key in (key for key in keys if key not in ("epoch", "seconds", "learning_rate")):
            title = TITLES.get(key, key.replace("_", " "))
            title += f" ({STAGES[stage]})" if len({run.stage for run in runs}) > 1 else ""
            series = list(_series(members, key, len(runs) == 1))
            share = key == "accuracy"
            chart = line_chart(f"{title} by epoch", series, "%" if share else "")
            cards.append(card(title, chart, legend(series), _history_table(series, percent if share else number)))
    return element("section", _headed("Learning curves", cards)) if cards else ""


def _series(members, quantity, single):
    """A quantity in training and, dashed, in validation, as `line_chart` takes it."""
    for index, run in members:
        for dashed, key, text in ((False, quantity, "training"), (True, f"val_{quantity}", "validation")):
            if key in run.history:
                name, colour = (text, int(dashed)) if single else (f"{run.name}, {text}", index)
                yield name, colour, dashed, run.history[key]


def _history_table(series, told):
    epochs = max(len(values) for *_, values in series)
    columns = [[*map(told, values), *["–"] * (epochs - len(values))] for *_, values in series]
    rows = zip(range(1, epochs + 1), *columns, strict=True)
    return details("as a table", table(["epoch", *(name for name, *_ in series)], rows))


def accuracy(run):
    """Confusion matrix, most confused pairs and accuracy by class of an evaluated classifier."""
    found = run.evaluation
    if not found:
        return ""
    counts, matrix = class_counts(found), found["confusion"]
    classes, totals = list(counts), list(counts.values())
    remark = f"Measured on {measured_on(run, found)}, {found.get('num_samples')} sequences"
    remark += f", {found['num_clips']} clips each." if found.get("num_clips", 1) > 1 else "."
    if found.get("nobody_seen"):
        remark += f" In {found['nobody_seen']} of them nobody was seen: they count as wrong and have no prediction."
    if found.get("seen_in_training"):
        remark += f" {found['seen_in_training']} of them were trained on: the figures flatter."
    if found.get("seen_in_pretraining"):
        remark += f" {found['seen_in_pretraining']} of them were seen by the pre-training."
    label = f"Confusion matrix of {len(classes)} classes; top-1 {percent(found['top1'])}"
    chart = element("div", confusion_chart(label, classes, matrix, totals), class_="scroll")
    rows = [[name, *row] for name, row in zip(classes, matrix, strict=True)]
    full = table(["true \\ predicted", *classes], rows, range(1, len(classes) + 1))
    size = "wide" if len(classes) > 24 else "two" if len(classes) > 14 else ""
    rights = [matrix[k][k] for k in range(len(classes))]
    told = [f"{name}\n{right} of {total} right" for name, right, total in zip(classes, rights, totals, strict=True)]
    shares = [(rights[k] / totals[k], classes[k], told[k]) for k in range(len(classes)) if totals[k]]
    cards = [
        card("Confusion matrix", chart, details("as a table", full), size=size),
        card("Accuracy by class", bar_chart("Accuracy by class, lowest first", sorted(shares))),
        card("Most often confused", _most_confused(classes, matrix, totals)),
    ]
    return _headed("Accuracy", cards, remark)


def _most_confused(classes, matrix, totals):
    rows = []
    pairs = sorted((-matrix[row][column], row, column) for row, column in permutations(range(len(classes)), 2))
    for value, row, column in pairs[:CONFUSED]:
        if value:
            rows.append([-value, classes[row], classes[column], f"{-100 * value / totals[row]:.0f} %"])
    return table(["times", "was", "taken for", "share"], rows, {0, 3}) if rows else element("p", "No confusion.")


def embedding(run):
    """The features of sequences in the plane, by PCA and by t-SNE."""
    found = run.embedding
    if not found:
        return ""
    classes, labels, guesses, plane = found["classes"], found["labels"], found.get("predicted"), found["pca"]
    count = f"{len(labels)} sequences"
    tips, rows = [], []
    for index, name in enumerate(found["ids"]):
        label = classes[labels[index]] if labels[index] >= 0 else "no label"
        guess = [classes[guesses[index]] if guesses[index] >= 0 else NOBODY] if guesses else []
        tips.append("\n".join([name, label, *(f"predicted: {text}" for text in guess)]))
        rows.append([name, label, *guess, *(number(value, 3) for value in plane[index])])
    heads = ["sequence", "class", *(["predicted"] if guesses else []), "PCA 1", "PCA 2"]
    shares = " and ".join(f"{100 * share:.0f} %" for share in found.get("explained", [])[:2])
    chart = scatter_chart(f"{count} by two principal components", plane, tips, labels)
    cards = [card("Embedding, PCA", chart, soft(f"{shares} of the variance"))]
    if found.get("tsne"):
        chart = scatter_chart(f"{count} by t-SNE", found["tsne"], tips, labels)
        cards.append(card("Embedding, t-SNE", chart, soft("near is alike; far says little")))
    shared = soft("classes share marks: point at one for its own") if len(classes) > MARKS else ""
    cards.append(card("Classes", class_legend(classes, set(labels)), shared, details("as a table", table(heads, rows))))
    return _headed("Embedding", cards, f"{count} of {measured_on(run, found)}, {found.get('width')} features each.")


def reconstruction(run):
    """Input, masked and reconstructed skeletons, and the error of every masked joint."""
    found = run.reconstruction
    if found is None:
        return ""
    masked = f"masked: {found.parts_told}"
    label = f"Input, masked and reconstructed skeletons of {found.sample}, {masked}"
    drawing = embedded_svg(lambda colour: reconstruction_figure(found, title=False, colour=colour), label)
    units, keys = short_unit(found), ("error", "mean_pose", "error_units", "mean_pose_units")
    rows = [
        [entry["joint"].replace("_", " "), *(number(entry[key], 3) for key in keys)]
        for entry in (*found.joints, {"joint": "all masked", **found.total})
    ]
    heads = ["joint", "error", "mean pose", f"error {units}", f"mean pose {units}"]
    text, compared = caption(found).replace("\n", " "), found.compared
    if compared.get("error") is not None:
        text += f" Over {compared['sequences']} other sequences that were not trained on: {compared['error']:.3f} "
        text += f"against {compared['mean_pose']:.3f} normalised."
    title = "  ·  ".join(part for part in (found.sample, found.action, masked) if part)
    strip = element("div", drawing, class_="scroll strip", tabindex=0)
    return _headed("Reconstruction", [card(title, strip, soft(text), table(heads, rows, {1, 2, 3, 4}), size="wide")])


def settings(runs):
    """The settings, those that differ between runs first; nothing where none has any."""
    if not any(run.settings for run in runs):
        return ""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    values = {key: [_setting(run.settings.get(key)) for run in runs] for key in keys}
    differing = [[key, *values[key]] for key in keys if len(set(values[key])) > 1]
    same = [[key, values[key][0]] for key in keys if len(set(values[key])) == 1]
    content = details(f"{len(same)} settings{' in common' if len(runs) > 1 else ''}", table(["setting", "value"], same))
    if differing:
        content = element("h3", "Different") + table(["setting", *(run.name for run in runs)], differing) + content
    return element("section", element("h2", "Configuration"), element("div", content, class_="card"))


def _setting(value):
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return {True: "yes", False: "no", None: "–"}[value] if value is None or isinstance(value, bool) else str(value)


def provenance(runs):
    """The data and its fingerprint, times, versions, and the command that repeats the run."""
    cards = []
    for run in runs:
        metrics, seconds = run.metrics, [value for value in run.history.get("seconds", []) if value is not None]
        rows = [
            ["data", metrics["data"]],
            ["its fingerprint", metrics.get("fingerprint", "–")],
            ["trained on", f"{metrics['train_split']} ({metrics['num_sequences']})"],
        ]
        in_python = metrics.get("made_in_python")
        if run.stage == "finetune" and not in_python:
            validated = (
                metrics.get("val_split") or "a part set aside" * bool(metrics.get("num_validation")) or "nothing"
            )
            rows.append(["validated on", f"{validated} ({metrics.get('num_validation')})"])
        if not in_python:
            rows.append(["starts from", metrics.get("pretrained") or "random initialisation"])
        per_epoch = f", {seconds[-1] / len(seconds):.3g} s per epoch" if seconds else ""
        if "seconds" in metrics:
            rows.append(["time", duration(metrics["seconds"]) + per_epoch])
        rows.append(["versions", ", ".join(f"{key} {value}" for key, value in metrics.get("versions", {}).items())])
        command = repeat_command(run)
        told = soft("To repeat it:") + element("pre", escape(command)) if command else soft(no_command(metrics))
        content = table(["", ""], rows, head=False) + told
        several = len(runs) > 1
        cards.append(card(run.name, content) if several else element("div", content, class_="card wide"))
    return element("section", _headed("Data, time, command", cards))
