"""The report page: made from the run folder alone, the same bytes each time, sound in a browser."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation import Measured, evaluate_model, predict_files, scores
from keras_skelmae.evaluation.evaluate import tell_seen
from keras_skelmae.models import load_model
from keras_skelmae.report import evidence, trust
from keras_skelmae.report.advice import advice
from keras_skelmae.report.charts import COLOURS, MARKS, confusion_chart, label_width, line_chart, marker, ticks
from keras_skelmae.report.evidence import (
    measure_evaluated,
    measure_pretrained,
    neighbour_map,
    principal_components,
    write_embedding,
)
from keras_skelmae.report.keep_run import keep_run
from keras_skelmae.report.markup import duration, element, table
from keras_skelmae.report.page import render_report, write_report
from keras_skelmae.report.run_folder import RunFolder, measured_on, read_run, read_runs, repeat_command
from keras_skelmae.report.sections import accuracy, curves, embedding, next_steps
from keras_skelmae.training import pretrain
from skelmae_cli.main import cli
from skelmae_datasets import DataError, Sample, SkeletonLayout, SkeletonStore, StoreSet, StoreWriter
from skelmae_datasets.runs.settings import parse_override

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def skelmae(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


class Reader(HTMLParser):
    """What a page refers to, and whether its elements close."""

    VOID = {"meta", "link", "br", "path", "rect", "line", "circle", "polyline", "polygon", "use", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.links, self.unlabelled, self.tags = [], [], 0, []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.links += [value for key, value in attrs.items() if key in ("src", "href", "xlink:href") and value]
        self.unlabelled += tag == "svg" and "aria-label" not in attrs and "aria-hidden" not in attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_trainings_leave_a_report_that_needs_nothing_else(runs):
    for name, words in (
        ("pre", ("Reconstruction", "Spread of the target", "--train-split xsub_train", "t-SNE")),
        ("fine", ("Confusion matrix", "Most often confused", "Accuracy by class")),
    ):
        page = (runs / name / "report.html").read_text("utf-8")
        reader = Reader()
        reader.feed(page)
        assert not reader.open and not reader.unlabelled
        assert all(link.startswith(("#", "data:")) for link in reader.links), reader.links
        assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?https?:", page)
        fingerprint = json.loads((runs / name / "metrics.json").read_text())["fingerprint"]
        for word in (*words, "Learning curves", "PCA", "Configuration", fingerprint, "To repeat it"):
            assert word in page, (name, word)
        assert "<both>" not in page and "wave &lt;both&gt; &amp; &quot;all&quot;" in page


def test_the_same_folder_gives_the_same_bytes(runs, tmp_path):
    for name in ("pre", "fine"):
        first = (runs / name / "report.html").read_bytes()
        assert write_report([runs / name], tmp_path / f"{name}.html").read_bytes() == first
        assert skelmae("report", runs / name, "--output", tmp_path / "x.html").strip() == str(tmp_path / "x.html")
        assert (tmp_path / "x.html").read_bytes() == first


def test_the_figures_are_those_of_the_evaluation(runs):
    found = json.loads((runs / "fine" / "evaluation.json").read_text())
    metrics = json.loads((runs / "fine" / "metrics.json").read_text())
    assert found["top1"] == pytest.approx(metrics["val_accuracy"], abs=1e-6), "the sequences set aside, found again"
    assert found["num_samples"] == metrics["num_validation"] == sum(map(sum, found["confusion"]))
    page = (runs / "fine" / "report.html").read_text("utf-8")
    tips = [html.unescape(tip) for tip in re.findall(r'data-tip="([^"]*)"', page)]
    embedding = json.loads((runs / "fine" / "embedding.json").read_text())
    for name, label, guess in zip(embedding["ids"], embedding["labels"], embedding["predicted"], strict=True):
        text = f"{name}\n{embedding['classes'][label]}\npredicted: {embedding['classes'][guess]}"
        assert text in tips
    right = sum(a == b for a, b in zip(embedding["labels"], embedding["predicted"], strict=True))
    assert right == sum(found["confusion"][k][k] for k in range(3))


def test_evaluation_writes_the_report_again_and_may_be_told_not_to(runs, tmp_path):
    fine = tmp_path / "fine"
    shutil.copytree(runs / "fine", fine)
    before = (fine / "report.html").read_bytes()
    skelmae("evaluate", fine, runs / "s.h5", "--test-split", "xsub_val", "--no-report")
    assert (fine / "report.html").read_bytes() == before
    skelmae("evaluate", fine, runs / "s.h5", "--test-split", "xsub_val", "--clips", "2")
    page = (fine / "report.html").read_text("utf-8")
    assert "Measured on xsub_val, 3 sequences, 2 clips each" in page
    once = {path.name: path.read_bytes() for path in fine.iterdir()}
    skelmae("evaluate", fine, runs / "s.h5", "--test-split", "xsub_val", "--clips", "2")
    assert {path.name: path.read_bytes() for path in fine.iterdir()} == once, "byte for byte"


def test_a_split_is_predicted_once(runs, tmp_path, monkeypatch):
    """What an evaluation has measured is kept: the embedding asks the backbone alone."""
    shutil.copytree(runs / "fine", tmp_path / "fine")
    with SkeletonStore(runs / "s.h5") as store:
        measured = evaluate_model(tmp_path / "fine", store, "xsub_val")
        monkeypatch.setattr(evidence, "load_classifier", None)
        monkeypatch.setattr(measured.model, "predict_on_batch", None)
        measure_evaluated(tmp_path / "fine", store, measured)
    found, kept = (json.loads((tmp_path / "fine" / name).read_text()) for name in ("embedding.json", "evaluation.json"))
    assert found["predicted"] == measured.probabilities.argmax(axis=1).tolist() and found["split"] == "xsub_val"
    assert kept["confusion"] == measured.result["confusion"] and "model" not in kept


def test_of_many_sequences_some_are_embedded(runs, tmp_path, monkeypatch):
    shutil.copytree(runs / "fine", tmp_path / "fine")
    monkeypatch.setattr(evidence, "MOST_EMBEDDED", 5)
    monkeypatch.setattr(evidence, "embed", lambda model, store, indices: np.eye(12)[indices])
    with SkeletonStore(runs / "s.h5") as store:
        write_embedding(tmp_path / "fine", None, store, np.arange(12)[::-1], "all", np.arange(12) % 3)
        chosen = [1, 3, 6, 8, 10]
        found = json.loads((tmp_path / "fine" / "embedding.json").read_text())
        assert found["ids"] == [store.ids[11 - index] for index in chosen]
    assert found["predicted"] == [index % 3 for index in chosen]


def test_several_runs_stand_beside_each_other(runs, tmp_path):
    other = tmp_path / "fine"
    shutil.copytree(runs / "fine", other)
    text = (other / "config.toml").read_text().replace("label_smoothing = 0.1", "label_smoothing = 0.3")
    (other / "config.toml").write_text(text)
    found = read_runs([runs / "fine", other, runs / "pre"])
    assert len({run.name for run in found}) == 3
    page = render_report(found)
    different = page[page.index("<h3>Different</h3>") :].partition("</table>")[0]
    assert "label_smoothing" in different and "num_frames" not in different
    assert page.count("Confusion matrix</h3>") == 2 and page.count("<h2>Reconstruction</h2>") == 1


def test_the_command_repeats_the_run(runs, monkeypatch):
    words = repeat_command(read_run(runs / "pre")).split()
    assert words[words.index("--train-split") + 1] == "xsub_train" and words[-1] == f"{runs / 'pre'}-again"
    words = repeat_command(read_run(runs / "fine")).split()
    backend = keras.config.backend()
    chosen = [] if backend == "tensorflow" else ["--backend", backend]
    assert words[: 2 + len(chosen)] == ["skelmae", *chosen, "finetune"]
    assert words[words.index("--pretrained") + 1] == str(runs / "pre")
    assert words[words.index("--config") + 1] == str(runs / "fine" / "config.toml") and "--val-split" not in words
    monkeypatch.chdir(runs / "fine")
    assert repeat_command(read_run(".")).split()[-1] == f"{(runs / 'fine').resolve()}-again"


def test_a_broken_folder_is_told(runs, tmp_path):
    with pytest.raises(DataError, match="metrics.json: expected a finished run"):
        read_run(tmp_path)
    with pytest.raises(DataError, match="expected a run folder, found nothing there"):
        read_run(tmp_path / "none")
    for name, content in (
        ("history.csv", "epoch,loss\n1,low\n"),
        ("evaluation.json", "[]"),
        ("embedding.json", "{"),
        ("config.toml", "="),
        ("metrics.json", "[]"),
        ("metrics.json", '{"stage": "finetune"}'),
        ("evaluation.json", '{"classes": ["a", "b"], "confusion": [[1]], "per_class": {}, "top1": 1}'),
        ("embedding.json", '{"classes": ["a"], "ids": ["s", "t"], "labels": [0], "pca": [[0, 0]]}'),
    ):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        shutil.copytree(runs / "fine", tmp_path / name)
        (tmp_path / name / name).write_text(content)
        result = CliRunner().invoke(cli, ["report", str(tmp_path / name)])
        assert result.exit_code == 1 and result.output.count("\n") == 1 and name in result.output


def test_a_report_without_evidence_shows_what_there_is(runs, tmp_path):
    shutil.copytree(runs / "fine", tmp_path / "fine")
    for name in ("evaluation.json", "embedding.json"):
        (tmp_path / "fine" / name).unlink()
    page = write_report([tmp_path / "fine"]).read_text("utf-8")
    assert "Learning curves" in page and "Confusion" not in page and "validation accuracy" in page


def test_a_model_of_fit_becomes_a_run(runs, tmp_path):
    history = {"loss": [1.5, 1.0], "accuracy": [0.5, 0.75], "val_accuracy": [0.5]}
    with SkeletonStore(runs / "s.h5") as store:
        model = load_model(runs / "fine")
        page = keep_run(tmp_path / "own", model, store, "xsub_train", "xsub_val", history).read_text("utf-8")
        with pytest.raises(DataError, match="expected a new run folder"):
            keep_run(tmp_path / "own", model, store, "xsub_train", "xsub_val")
        with pytest.raises(DataError, match="expected sequences that are not in the training split"):
            keep_run(tmp_path / "both", model, store, "all", "xsub_val")
        assert not (tmp_path / "both").exists()
        found = evaluate_model(tmp_path / "own", store, "xsub_val")
        with pytest.raises(DataError, match="the model was not trained on"):
            evaluate_model(tmp_path / "own", store, "xsub_train")
    run = read_run(tmp_path / "own")
    assert run.history == {"epoch": [1, 2], "loss": [1.5, 1], "accuracy": [0.5, 0.75], "val_accuracy": [0.5, None]}
    assert run.evaluation["top1"] == run.metrics["val_accuracy"] == found.result["top1"] and run.metrics["loss"] == 1
    assert repeat_command(run) is None and all(word in page for word in ("Confusion matrix", "Embedding", "Learning"))
    assert not any(word in page for word in ("Configuration", "To repeat it", "training time", "starts from"))
    Reader().feed(page)
    skelmae("evaluate", tmp_path / "own", runs / "s.h5", "--test-split", "xsub_val", "--clips", 2)
    assert "2 clips each" in (tmp_path / "own" / "report.html").read_text("utf-8")


def test_a_table_is_predicted_as_the_store_is(runs, tmp_path):
    with SkeletonStore(runs / "s.h5") as store:
        name, points = store.ids[0], store.read(0)
        lines = [
            "sample,person,frame,joint,x,y,z",
            *(
                f"{name},{m},{t},{v},{x:.9g},{y:.9g},{z:.9g}"
                for m, person in enumerate(points)
                for t, frame in enumerate(person)
                for v, (x, y, z) in enumerate(frame)
            ),
        ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    one = next(found for found in predict_files(runs / "fine", [runs / "s.h5"]) if found["sample"] == name)
    (two,) = predict_files(runs / "fine", [tmp_path / "t.csv"])
    assert two["sample"] == name and two["probability"] == pytest.approx(one["probability"], abs=1e-4)
    assert two["label"] == one["label"]


def test_what_cannot_be_shown_is_left_out(runs, tiny_settings, tmp_path):
    """A training that diverged, and a skeleton of one part, of which nothing visible would stay."""
    shutil.copytree(runs / "pre", tmp_path / "nan", ignore=shutil.ignore_patterns("*.html", "e[mv]*.json", "rec*"))
    metrics = json.loads((tmp_path / "nan" / "metrics.json").read_text()) | {"loss": float("nan")}
    (tmp_path / "nan" / "metrics.json").write_text(json.dumps(metrics))
    with SkeletonStore(runs / "s.h5") as store:
        measure_pretrained(tmp_path / "nan", store)
    assert not (tmp_path / "nan" / "embedding.json").exists()
    assert "Embedding" not in write_report([tmp_path / "nan"]).read_text("utf-8")
    layout = SkeletonLayout("stick", ("a", "b"), ((1, 0),), (), {"all": (0, 1)})
    with StoreWriter(tmp_path / "one.h5", layout=layout, classes=["x"], channels=("x", "y"), units="pixels") as writer:
        for number in range(8):
            points = np.random.default_rng(number).uniform(1, 9, (1, 12, 2, 2)).astype("float32")
            writer.append(Sample(f"s{number}", points, 0))
    with SkeletonStore(tmp_path / "one.h5") as store:
        pretrain(store, "all", tmp_path / "one", tiny_settings("pretrain"), verbose=False)
        measure_pretrained(tmp_path / "one", store)
    page = write_report([tmp_path / "one"]).read_text("utf-8")
    assert "Embedding" in page and "Reconstruction</h2>" not in page


def test_markup_is_escaped_and_short():
    assert (
        element("p", class_="a", data_tip='<"&', x=1.26, y=None)
        == '<p class="a" data-tip="&lt;&quot;&amp;" x="1.3"></p>'
    )
    rows = table(["", "<n>"], [["<a>", 1]], {1})
    assert '<th class="n" scope="col">&lt;n&gt;</th>' in rows and '<td class="n">1</td>' in rows and "<a>" not in rows
    assert [duration(seconds) for seconds in (None, 4.2, 61, 7320)] == ["–", "4 s", "1 min 1 s", "2 h 2 min"]


def test_ticks_are_round_and_within():
    for low, high in ((0, 1), (0.9221, 0.9243), (-3, 1200), (1, 110)):
        found = ticks(low, high)
        assert 2 <= len(found) <= 6 and low <= found[0] and found[-1] <= high * 1.000001
    assert ticks(2, 2) == [2] and ticks(0, 1) == [0, 0.5, 1]


@pytest.mark.parametrize("count", [3, 12, 21, 40, 41, 60, 120])
@pytest.mark.parametrize("name", ["put on a long coat", "wave", "走る"])
def test_labels_of_a_confusion_matrix_do_not_overlap(count, name):
    chart = confusion_chart("c", [f"{name} {k}" for k in range(count)], np.eye(count, dtype=int).tolist())
    wide, high = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', chart).groups())
    boxes, slanted = [], []
    for told, text in re.findall(r"<text ([^>]*)>([^<]*)</text>", chart):
        found = dict(re.findall(r'([a-z-]+)="([^"]*)"', told))
        x, y, width = float(found["x"]), float(found["y"]), label_width(text)
        if "transform" in found:
            slanted.append(x)
            assert x + width * 0.71 <= wide and y - width * 0.71 - 8 >= 0, text
        elif not found.get("class", "").startswith("count"):
            left = x - {"end": width, "middle": width / 2}.get(found.get("text-anchor"), 0)
            assert left >= 0 and left + width <= wide and y <= high, text
            boxes.append((left, y - 8, left + width, y + 2))
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert np.diff(sorted(slanted)).min(initial=99) * 0.71 >= 13


def finished(stage="finetune", **changes):
    """A RunFolder without its files, in which nothing is off unless a change says so."""
    found = {"classes": ["a", "b"], "confusion": [[9, 1], [1, 9]], "top1": 0.9, **changes.pop("evaluation", {})}
    settings = {"objective": changes.pop("objective", "masked")} if stage == "pretrain" else {}
    metrics = {"stage": stage, "loss": 0.1, "accuracy": 0.95, "val_accuracy": 0.9, **changes}
    return RunFolder(Path("run"), "run", settings, metrics, {}, found, None, None, None, None)


def test_clips_in_which_nobody_was_seen_are_wrong_everywhere(runs, tmp_path):
    """The page, its advice and evaluation.json count the same clips; none has a prediction that was not made."""
    probabilities = np.full((14, 3), np.nan)
    probabilities[:6] = np.eye(3)[[0, 0, 0, 0, 1, 1]]
    found = scores(probabilities, np.array([0] * 12 + [1] * 2), ["a", "b", "c"])
    assert (found["per_class"], found["num_per_class"]) == ({"a": 4 / 12, "b": 0.0}, [12, 2, 0])
    run = finished(evaluation={**found, "classes": ["a", "b", "c"], "split": "t", "nobody_seen": 8})
    page = html.unescape(accuracy(run))
    assert (
        "a\n4 of 12 right" in page
        and "b\n0 of 2 right" in page
        and "c\n0 of 0 right" not in page
        and "a\n4 of 12 (33 %)" in page
    )
    assert "17 %" in page and "In 8 of them nobody was seen: they count as wrong" in page
    assert [text.partition(":")[0] for text in advice(run)][0] == "No clip of c was measured"
    shutil.copytree(runs / "fine", tmp_path / "fine")
    with SkeletonStore(runs / "s.h5") as store:
        measured = evaluate_model(tmp_path / "fine", store, "xsub_val")
        measured.probabilities[0] = np.nan
        measure_evaluated(tmp_path / "fine", store, measured)
    predicted = json.loads((tmp_path / "fine" / "embedding.json").read_text())["predicted"]
    assert predicted[0] == -1 and min(predicted[1:]) >= 0
    assert "predicted: nobody was seen" in write_report([tmp_path / "fine"]).read_text("utf-8")


def test_a_temperature_was_fitted_on_answers_alone(runs, tmp_path):
    """Held-out clips in which nobody was seen are in held_ids.txt, but no temperature was fitted on them."""
    with SkeletonStore(runs / "s.h5") as store:
        ids, indices = list(store.ids), np.arange(3)
        (tmp_path / "held_ids.txt").write_text("\n".join(ids[:3]))
        (tmp_path / "train_ids.txt").write_text("\n".join(ids[2:]))
        probabilities = np.array([[np.nan, np.nan], [0.5, 0.5], [0.1, 0.9]])
        measured = Measured(None, indices, probabilities, {"calibration": {}})
        tell_seen(measured, tmp_path, store)
    found = {"calibration": {"fitted_on": 2}, "seen_in_training": 1, "seen_in_pretraining": 0}
    assert measured.result == found


def test_what_was_measured_on_other_data_or_on_training_clips_is_told(runs, tmp_path):
    shutil.copytree(runs / "fine", tmp_path / "fine")
    shutil.copy(runs / "s.h5", tmp_path / "other.h5")
    with h5py.File(tmp_path / "other.h5", "r+") as file:
        file.attrs["fingerprint"] = "another"
    told = skelmae("evaluate", tmp_path / "fine", tmp_path / "other.h5", "--test-split", "all", "--allow-overlap")
    count = len((tmp_path / "fine" / "train_ids.txt").read_text().splitlines())
    assert f"{count} of these sequences were trained on: the figures flatter" in told
    page = html.unescape((tmp_path / "fine" / "report.html").read_text("utf-8"))
    named = f"all of {tmp_path / 'other.h5'}"
    for text in (
        f"<dd>{named} (12)</dd>",
        f"Measured on {named}, 12 sequences. {count} of them were trained on: the figures flatter.",
        f"12 sequences of {named}, ",
    ):
        assert text in page, text
    run = read_run(tmp_path / "fine")
    baseline = {"results": {"ridge": {"top1": 0.5}}, "test_split": "all", "fingerprint": "another", "data": "o.h5"}
    run.baseline = baseline
    assert "Top-1 on all of o.h5: " in trust.section(run)
    run.baseline = baseline | {"fingerprint": run.metrics["fingerprint"]}
    assert "Top-1 on all. Evaluate the run on this split" in trust.section(run)
    assert measured_on(run, {"split": "test"}) == "test", "as older files have it"


def test_several_runs_tell_their_data(runs):
    rows = re.search(r"<h2>Overview</h2>.*?</table>", render_report(read_runs([runs / "fine", runs / "pre"])))[0]
    assert rows.count(str(runs / "s.h5")) == 2


def test_the_final_model_of_a_cross_validation_names_what_trained_it(runs):
    """`finetune` with its settings would leave out the temperature that the folds gave."""
    run = read_run(runs / "fine")
    spread = {"mean": 50.0, "std": 1.0}
    run.metrics["cross_validation"] = {"folds": 2, "grouped_by": "file", "top1": spread, "mean_class": spread}
    page = render_report([run])
    assert repeat_command(run) is None and "skelmae protocol cross-validate --final" in page
    assert "To repeat it" not in page


def test_accuracy_is_told_in_per_cent_by_chart_and_table():
    run = finished()
    run.history = {"epoch": [1, 2], "accuracy": [0.0, 0.0], "loss": [1.5, 1.25]}
    page = curves([run])
    assert "<td>0.0 %</td>" in page and "<td>1.25</td>" in page
    assert ">-50<" not in page, "no share is below none"


def test_classes_that_share_a_mark_are_told(runs):
    run = read_run(runs / "fine")
    assert "classes share marks" not in embedding(run)
    run.embedding["classes"] = [f"c{number}" for number in range(MARKS + 1)]
    assert "classes share marks" in embedding(run)


def test_several_stores_have_no_command_that_names_none(runs, tmp_path):
    shutil.copytree(runs / "fine", tmp_path / "fine")
    header = {"layout": "coco17", "classes": ["a"], "channels": ("x", "y")}
    for name in "ab":
        with StoreWriter(tmp_path / f"{name}.h5", **header) as writer:
            writer.append(Sample(name, np.ones((1, 3, 17, 2)), 0))
    with StoreSet([tmp_path / "a.h5", tmp_path / "b.h5"]) as store:
        metrics = json.loads((tmp_path / "fine" / "metrics.json").read_text()) | {"data": str(store.path)}
    (tmp_path / "fine" / "metrics.json").write_text(json.dumps(metrics))
    assert repeat_command(read_run(tmp_path / "fine")) is None
    page = write_report([tmp_path / "fine"]).read_text("utf-8")
    assert "Trained on several stores" in page and "starts from" in page and "validated on" in page
    assert "To repeat it" not in page and "Trained in Python" not in page


def test_advice_is_given_where_something_is_off():
    assert advice(finished()) == [] and advice(finished("pretrain")) == []
    alone = finished()
    alone.metrics["val_accuracy"] = None  # nothing was held out
    assert advice(alone) == []
    for run, word in (
        (finished(loss=float("nan")), "learning_rate"),
        (finished("pretrain", collapsed=True), "remedy=variance"),
        (finished("pretrain", collapsed=True, objective="contrastive"), "learning_rate"),  # which has no remedy
        (finished(evaluation={"top1": 0.55}), "near what guessing gets"),
        (finished(evaluation={"confusion": [[9, 1], [0, 0]]}), "No clip of b was measured"),
        (finished(val_accuracy=0.5), "far better than others (95 against 50 %)"),
        (finished(accuracy=0.4, val_accuracy=0.4), "train longer"),
    ):
        (told,) = advice(run)
        assert word in told
        settings = re.findall(r"--set ([a-z_]+=[^ ;,.)]+(?:\.\d+)?)", told)
        assert all(parse_override(each) for each in settings)
    assert "What to do next" in next_steps([finished(val_accuracy=0.5)]) and not next_steps([finished()])


def test_curves_leave_out_what_was_not_measured():
    chart = line_chart("c", [("a", 0, False, [1.0, float("nan"), 3.0]), ("b", 1, True, [None, 2.0])])
    assert chart.count("<circle") == 3 and "nan," not in chart
    assert html.unescape(re.findall(r'data-tip="([^"]*)"', chart)[1]).splitlines() == ["epoch 2", "a: nan", "b: 2"]


def test_classes_have_marks_of_their_own():
    assert len({re.sub(r'c[xy]="[^"]*"', "", marker(k, 0, 0, 3)) for k in range(COLOURS)}) == COLOURS
    assert len({marker(k, 0, 0, 3) for k in range(MARKS)}) == MARKS


def test_the_plane_of_a_seed_is_always_the_same():
    features = np.random.default_rng(0).normal(size=(40, 12)).astype("float32")
    np.testing.assert_array_equal(neighbour_map(features, 3), neighbour_map(features, 3))
    assert neighbour_map(features[:4], 0) is None
    points, shares = principal_components(features)
    values = np.linalg.eigvalsh(np.cov(features.astype(float).T))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), values[:2], rtol=1e-6)
    np.testing.assert_allclose(shares, values[:2] / values.sum(), rtol=1e-6)
    assert principal_components(features[:1])[0].shape == (1, 2)


PROBE = """<!DOCTYPE html><body><iframe id=f style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe>
<pre id=out></pre><script>
const frame = document.getElementById("f");
frame.onload = () => {{
  const page = frame.contentDocument, tips = {{}};
  for (const kind of [".band", "svg.scatter .mark", "svg.matrix g[data-tip]"]) {{
    const mark = page.querySelector(kind);
    const where = {{ bubbles: true, clientX: 50, clientY: 50, pointerType: "mouse" }};
    mark.dispatchEvent(new PointerEvent("pointermove", where));
    tips[kind] = [page.getElementById("tip").hidden, page.getElementById("tip").textContent === mark.dataset.tip];
  }}
  page.querySelector("svg.chart").focus();
  page.dispatchEvent(new KeyboardEvent("keydown", {{ key: "ArrowRight", bubbles: true }}));
  const root = page.documentElement;
  document.getElementById("out").textContent = JSON.stringify({{ scroll: root.scrollWidth - root.clientWidth,
    width: root.clientWidth, tips, spoken: page.getElementById("spoken").textContent,
    dark: getComputedStyle(page.body).backgroundColor }});
}};
</script></body>"""


def browse(page, folder, *options):
    """(text of the element `out` of a page after its scripts, what the browser told) in headless Chromium."""
    path = folder / "probe.html"
    path.write_text(page, "utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1500,1000",
        "--enable-logging=stderr",
        *options,
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "CONSOLE" not in done.stderr, done.stderr
    return json.loads(html.unescape(re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)[1]))


# What is wider than its box, cut off by its chart, or written over another label; slanted ones by their distance.
LAYOUT = """<!DOCTYPE html><body>{frames}<pre id=out></pre><script>
const found = [];
window.onload = () => document.querySelectorAll("iframe").forEach((frame) => {{
  const page = frame.contentDocument, bad = [];
  for (const box of page.querySelectorAll("main, .card, .figures div, .figures dd, h1, h2, h3, .card > div > table td"))
    if (box.scrollWidth > box.clientWidth + 1) bad.push(`wide: ${{box.textContent.slice(0, 40)}}`);
  for (const chart of page.querySelectorAll("svg.chart")) {{
    const outer = chart.getBoundingClientRect(), labels = [...chart.querySelectorAll("text:not(.count)")];
    const boxes = labels.map((label) => label.getBoundingClientRect());
    labels.forEach((label, k) => {{
      const one = boxes[k];
      const within = one.left >= outer.left - 1 && one.right <= outer.right + 1 && one.top >= outer.top - 1;
      if (!within) bad.push(`cut: ${{label.textContent}}`);
      for (let j = 0; j < k; j++) {{
        const two = boxes[j], turned = label.hasAttribute("transform");
        if (turned !== labels[j].hasAttribute("transform")) continue;
        const near = turned ? (label.getAttribute("x") - labels[j].getAttribute("x")) * Math.SQRT1_2 < 12
          : Math.min(one.right, two.right) - Math.max(one.left, two.left) > 1
            && Math.min(one.bottom, two.bottom) - Math.max(one.top, two.top) > 3;
        if (near) bad.push(`over: ${{labels[j].textContent}}, ${{label.textContent}}`);
      }}
    }});
  }}
  found.push(bad);
  document.getElementById("out").textContent = JSON.stringify(found);
}});
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")
def test_many_classes_keep_their_places_in_a_browser(runs, tmp_path):
    """21, 60 and 120 classes at 400 and 1100 pixels."""
    frames, rng = [], np.random.default_rng(0)
    for count in (21, 60, 120):
        confusion = (rng.integers(0, 30, (count, count)) // 28 + 20 * np.eye(count, dtype=int)).tolist()
        names = [f"put on a coat {k}" for k in range(count)]
        evaluation = {"classes": names, "confusion": confusion, "top1": 0.7, "split": "test", "num_samples": 99}
        page = html.escape(render_report([replace(read_run(runs / "fine"), evaluation=evaluation)]))
        frames += [f'<iframe style="width:{width}px;height:900px" srcdoc="{page}"></iframe>' for width in (400, 1100)]
    assert browse(LAYOUT.format(frames="".join(frames)), tmp_path) == [[]] * 6


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", [0, 1])
def test_in_a_browser(runs, tmp_path, width, scheme):
    page = PROBE.format(width=width, page=html.escape(render_report([read_run(runs / "fine")])))
    options = ("--virtual-time-budget=5000", f"--blink-settings=preferredColorScheme={scheme}")
    found = browse(page, tmp_path, *options)
    assert found["scroll"] == 0 and abs(found["width"] - width) <= 16
    assert all(value == [False, True] for value in found["tips"].values()) and len(found["tips"]) == 3
    assert found["spoken"].startswith("epoch 1, ")
    assert found["dark"] == ("rgb(18, 22, 28)" if scheme == 0 else "rgb(246, 247, 249)")
