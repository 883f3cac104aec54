"""The parts of the report page, each a piece of HTML from RunFolders."""

from keras_skelmae.report.charts import (
    bar_chart,
    class_legend,
    confusion_chart,
    escape,
    legend,
    line_chart,
    number,
    scatter_chart,
)
from keras_skelmae.report.run_folder import repeat_command

CONFUSED = 8
STAGES = {"pretrain": "pre-training", "finetune": "fine-tuning"}
TITLES = {"loss": "Loss", "accuracy": "Accuracy, %", "target_spread": "Spread of the target (0: collapsed)"}
SENTINEL = "#010203"  # the text of figures, replaced by the page's own colour


def subtitle(runs):
    """What the page is about, in a line."""
    if len(runs) > 1:
        return f"{len(runs)} runs beside each other"
    run = runs[0]
    return f"{STAGES[run.stage]} on {run.metrics['data']}"


def overview(runs):
    """Final figures: cards for one run, a table for several."""
    facts = [_facts(run) for run in runs]
    if len(runs) == 1:
        cells = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in facts[0].items())
        return f'<dl class="figures">{cells}</dl>'
    keys = list(dict.fromkeys(key for entry in facts for key in entry))
    return '<h2>Overview</h2><div class="card">' + _table(
        ["", *(run.name for run in runs)], [[key, *(entry.get(key, "–") for entry in facts)] for key in keys]
    ) + "</div>"


def _facts(run):
    metrics, found = run.metrics, {"stage": STAGES[run.stage]}
    if run.evaluation:
        found |= {"top-1": _percent(run.evaluation["top1"]), "mean class": _percent(run.evaluation.get("mean_class")),
                  "measured on": f"{run.evaluation.get('split')} ({run.evaluation.get('num_samples')})"}  # fmt: skip
    elif "val_accuracy" in metrics:
        found["validation accuracy"] = _percent(metrics["val_accuracy"])
    found["final loss"] = number(metrics.get("loss"))
    if "target_spread" in metrics:
        found["target spread"] = number(metrics["target_spread"], 3) + (" collapsed" * bool(metrics.get("collapsed")))
    if run.reconstruction is not None and run.reconstruction.compared.get("error") is not None:
        compared = run.reconstruction.compared
        found["masked joints' error"] = f"{compared['error'] / compared['mean_pose']:.2f} of the mean pose's"
    found |= {"sequences": f"{metrics.get('num_sequences'):,}", "training time": _duration(metrics.get("seconds"))}
    return found


def curves(runs):
    """Learning curves: a chart for each quantity and stage, all runs in it."""
    charts = []
    for stage in ("pretrain", "finetune"):
        members = [(index, run) for index, run in enumerate(runs) if run.stage == stage]
        bases = dict.fromkeys(key.removeprefix("val_") for _, run in members for key in run.history)
        for base in (key for key in bases if key not in ("epoch", "seconds", "learning_rate")):
            series = []
            for index, run in members:
                for key, text in ((base, "training"), (f"val_{base}", "validation")):
                    if key in run.history:
                        name = text if len(runs) == 1 else f"{run.name}, {text}"
                        colour = (0 if key == base else 1) if len(runs) == 1 else index
                        series.append((name, colour, key != base, run.history[key]))
            title = TITLES.get(base, base.replace("_", " "))
            if len({run.stage for run in runs}) > 1:
                title += f" ({STAGES[stage]})"
            charts.append(_card(title, line_chart(f"{title} by epoch", series, "%" if base == "accuracy" else ""),
                                legend([entry[:3] for entry in series]), _history_table(series)))  # fmt: skip
    return f'<section><h2>Learning curves</h2><div class="grid">{"".join(charts)}</div></section>' if charts else ""


def _history_table(series):
    epochs = max(len(values) for *_, values in series)
    rows = [[epoch + 1, *(number(values[epoch]) if epoch < len(values) else "–" for *_, values in series)]
            for epoch in range(epochs)]  # fmt: skip
    return _details("as a table", _table(["epoch", *(name for name, *_ in series)], rows))


def accuracy(run):
    """Confusion matrix, most confused pairs and accuracy by class of an evaluated classifier."""
    found = run.evaluation
    if not found:
        return ""
    classes, matrix = [str(name) for name in found["classes"]], found["confusion"]
    pairs = sorted(((value, row, column) for row, values in enumerate(matrix) for column, value in enumerate(values)
                    if value and row != column), key=lambda entry: (-entry[0], entry[1], entry[2]))  # fmt: skip
    rows = [[value, classes[row], classes[column], f"{100 * value / sum(matrix[row]):.0f} %"]
            for value, row, column in pairs[:CONFUSED]]  # fmt: skip
    worst = (_table(["times", "was", "taken for", "share"], rows, {0, 3}) if rows else "<p>No confusion.</p>")
    shares = [(name, matrix[k][k] / sum(matrix[k]), f"{name}\n{matrix[k][k]} of {sum(matrix[k])} right")
              for k, name in enumerate(classes) if sum(matrix[k])]  # fmt: skip
    shares.sort(key=lambda entry: (entry[1], entry[0]))
    text = f"Measured on {found.get('split')}, {found.get('num_samples')} sequences"
    text += f", {found['num_clips']} clips each" if found.get("num_clips", 1) > 1 else ""
    full = _table(["true \\ predicted", *classes], [[name, *matrix[k]] for k, name in enumerate(classes)],
                  set(range(1, len(classes) + 1)))  # fmt: skip
    label = f"Confusion matrix of {len(classes)} classes; top-1 {_percent(found['top1'])}"
    size = "wide" if len(classes) > 40 else "two" if len(classes) > 14 else ""
    chart = f'<div class="scroll">{confusion_chart(label, classes, matrix)}</div>'
    return (f'<h2>Accuracy</h2><p class="soft">{escape(text)}.</p><div class="grid">'
            + _card("Confusion matrix", chart, _details("as a table", full), size=size)
            + _card("Accuracy by class", bar_chart("Accuracy by class, lowest first", shares))
            + _card("Most often confused", worst) + "</div>")  # fmt: skip


def embedding(run):
    """The features of sequences in the plane, by PCA and by t-SNE."""
    found = run.embedding
    if not found:
        return ""
    classes, labels, guesses = found["classes"], found["labels"], found.get("predicted")
    names = [classes[label] if label >= 0 else "no label" for label in labels]
    tips = [f"{name}\n{label}" + (f"\npredicted: {classes[guesses[i]]}" if guesses else "")
            for i, (name, label) in enumerate(zip(found["ids"], names, strict=True))]  # fmt: skip
    shares = " and ".join(f"{100 * share:.0f} %" for share in found.get("explained", [])[:2])
    cards = [_card("Embedding, PCA", scatter_chart(f"{len(labels)} sequences by two principal components",
                                                   found["pca"], tips, labels),
                   f'<p class="soft">{shares} of the variance</p>')]  # fmt: skip
    if found.get("tsne"):
        cards.append(_card("Embedding, t-SNE", scatter_chart(f"{len(labels)} sequences by t-SNE", found["tsne"], tips,
                                                             labels),
                           '<p class="soft">near is alike; far says little</p>'))  # fmt: skip
    heads = ["sequence", "class", *(["predicted"] if guesses else []), "PCA 1", "PCA 2"]
    rows = [[name, label, *([classes[guesses[i]]] if guesses else []), *(number(value, 3) for value in found["pca"][i])]
            for i, (name, label) in enumerate(zip(found["ids"], names, strict=True))]  # fmt: skip
    text = f"{len(labels)} sequences of {found.get('split')}, {found.get('width')} features each"
    return (f'<h2>Embedding</h2><p class="soft">{escape(text)}.</p><div class="grid">{"".join(cards)}'
            f'<div class="card"><h3>Classes</h3>{class_legend(classes, set(labels))}'
            f'{_details("as a table", _table(heads, rows))}</div></div>')  # fmt: skip


def reconstruction(run):
    """Input, masked and reconstructed skeletons, and the error of every masked joint."""
    found = run.reconstruction
    if found is None:
        return ""
    from keras_skelmae.report.figures import svg_text
    from keras_skelmae.report.reconstruction_figure import caption, reconstruction_figure

    drawing = svg_text(reconstruction_figure(found, title=False, colour=SENTINEL), transparent=True)
    drawing = drawing[drawing.index("<svg"):].replace(SENTINEL, "currentColor")
    masked = ", ".join(part.replace("_", " ") for part in found.parts)
    label = f"Input, masked and reconstructed skeletons of {found.sample}, masked: {masked}"
    drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    rows = [[entry["joint"].replace("_", " "),
             *(number(entry[key], 3) for key in ("error", "mean_pose", "error_units", "mean_pose_units"))]
            for entry in (*found.joints, {"joint": "all masked", **found.total})]  # fmt: skip
    units = "px" if found.units == "pixels" else "m"
    heads = ["joint", "error", "mean pose", f"error {units}", f"mean pose {units}"]
    text = caption(found).replace("\n", " ")
    compared = found.compared
    if compared.get("error") is not None:
        text += (f" Over {compared['sequences']} other sequences that were not trained on: {compared['error']:.3f} "
                 f"against {compared['mean_pose']:.3f} normalised.")  # fmt: skip
    head = "  ·  ".join(part for part in (found.sample, found.action, f"masked: {masked}") if part)
    return (f'<h2>Reconstruction</h2><div class="grid"><div class="card wide"><h3>{escape(head)}</h3>'
            f'<div class="scroll strip" tabindex="0">{drawing}</div><p class="soft">{escape(text)}</p>'
            f'{_table(heads, rows, {1, 2, 3, 4})}</div></div>')  # fmt: skip


def settings(runs):
    """The configuration, settings that differ between runs first."""
    keys = list(dict.fromkeys(key for run in runs for key in run.config))
    values = {key: [_setting(run.config.get(key)) for run in runs] for key in keys}
    differing = [key for key in keys if len(set(values[key])) > 1]
    rest = [key for key in keys if key not in differing]
    heads = ["setting", *(run.name if len(runs) > 1 else "value" for run in runs)]
    parts = []
    if differing:
        parts.append(f"<h3>Different</h3>{_table(heads, [[key, *values[key]] for key in differing])}")
    same = [[key, *values[key]] for key in rest] if len(runs) == 1 else [[key, values[key][0]] for key in rest]
    parts.append(_details(f"{len(rest)} settings{' in common' if len(runs) > 1 else ''}",
                          _table(["setting", "value"], same)))  # fmt: skip
    return f'<section><h2>Configuration</h2><div class="card">{"".join(parts)}</div></section>'


def provenance(runs):
    """The data and its fingerprint, times, versions, and the command that repeats the run."""
    parts = []
    for run in runs:
        metrics = run.metrics
        seconds = [value for value in run.history.get("seconds", []) if value is not None]
        rows = [["data", metrics["data"]], ["its fingerprint", metrics.get("fingerprint", "–")]]
        if run.stage == "pretrain":
            rows.append(["trained on", f"{metrics.get('split')} ({metrics.get('num_sequences')})"])
        else:
            rows += [["trained on", f"{metrics.get('train_split')} ({metrics.get('num_sequences')})"],
                     ["validated on", f"{metrics.get('val_split') or 'a part set aside'} "
                                      f"({metrics.get('num_validation')})"],
                     ["starts from", metrics.get("pretrained") or "random initialisation"]]  # fmt: skip
        rows.append(["time", _duration(metrics.get("seconds"))
                     + (f", {seconds[-1] / len(seconds):.3g} s an epoch" if seconds else "")])  # fmt: skip
        rows.append(["versions", ", ".join(f"{key} {value}" for key, value in metrics.get("versions", {}).items())])
        heading = f"<h3>{escape(run.name)}</h3>" if len(runs) > 1 else ""
        wide = " wide" if len(runs) == 1 else ""
        parts.append(f'<div class="card{wide}">{heading}{_table(["", ""], rows, head=False)}'
                     f'<p class="soft" style="margin:12px 0 4px">To repeat it:</p>'
                     f"<pre>{escape(repeat_command(run))}</pre></div>")  # fmt: skip
    return f'<section><h2>Data, time, command</h2><div class="grid">{"".join(parts)}</div></section>'


def _card(title, *content, size=""):
    return f'<div class="card {size}"><h3>{escape(title)}</h3>{"".join(content)}</div>'


def _details(summary, content):
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _table(heads, rows, numeric=(), head=True):
    def cells(row, tag, scope=""):
        return "".join(f'<{tag}{scope}{" class=n" if i in numeric else ""}>{escape(cell)}</{tag}>'
                       for i, cell in enumerate(row))  # fmt: skip

    first = " class=n" if 0 in numeric else ""
    body = "".join(f'<tr><th scope="row"{first}>{escape(row[0])}</th>' + "".join(
        f'<td{" class=n" if i in numeric else ""}>{escape(cell)}</td>' for i, cell in enumerate(row[1:], 1)) + "</tr>"
        for row in rows)  # fmt: skip
    top = f'<thead><tr>{cells(heads, "th", " scope=col")}</tr></thead>' if head else ""
    scroll = '<div class="scroll" tabindex="0">' if len(heads) > 3 else "<div>"
    kind = "" if head else ' class="facts"'
    return f"{scroll}<table{kind}>{top}<tbody>{body}</tbody></table></div>"


def _setting(value):
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _percent(share):
    return "–" if share is None else f"{100 * share:.1f} %"


def _duration(seconds):
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
