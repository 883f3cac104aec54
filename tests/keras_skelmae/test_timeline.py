"""Long recordings: windows, smoothing and segments by hand; a timeline's windows are predict's; commands and files."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation import StreamingPredictor, TimelinePredictor, predict_recordings, predict_store
from keras_skelmae.evaluation.compare import compare_timelines
from keras_skelmae.evaluation.timeline import Windows
from keras_skelmae.evaluation.windows import (
    answer_rule,
    default_window,
    frame_rate,
    is_due,
    is_long,
    most_seen,
    runs,
    segments,
    smooth,
    smooth_both_ways,
    window_starts,
)
from keras_skelmae.models import Ensemble
from keras_skelmae.models.strl_classifier import describe_clips
from keras_skelmae.report.timeline_figure import timeline_svg
from keras_skelmae.report.try_page import answer
from skelmae_cli.main import cli
from skelmae_datasets import DataError, Sample, SkeletonStore, StoreWriter
from skelmae_datasets.readers.intervals import IntervalTable
from skelmae_datasets.timelines import NOBODY, UNKNOWN, Segment, Timeline, read_timelines

NAMES = ["wave", "squat", "sit"]


# === NumPy only ===


@pytest.mark.parametrize(
    ("frames", "window", "stride", "starts"),
    [(10, 4, 2, [0, 2, 4, 6]), (11, 4, 2, [0, 2, 4, 6, 7]), (3, 4, 2, [0]), (4, 4, 1, [0]), (20, 5, 50, [0, 15])],
)
def test_windows_cover_a_recording(frames, window, stride, starts):
    assert window_starts(frames, window, stride).tolist() == starts
    due = [count for count in range(1, frames + 1) if is_due(count, window, stride)]
    assert [end - window for end in due] == [start for start in starts if start % stride == 0 and frames >= window]


def test_smoothing_both_ways_is_symmetric_and_begins_again():
    rng = np.random.default_rng(0)
    p, seen = rng.random((7, 3)), np.array([1, 1, 1, 0, 1, 1, 1], bool)
    found = smooth_both_ways(p, seen, 0.5)
    np.testing.assert_allclose(found[::-1], smooth_both_ways(p[::-1], seen[::-1], 0.5), rtol=1e-6)
    assert not found[3].any()
    np.testing.assert_allclose(smooth_both_ways(p, seen, 0.0)[seen], p[seen], rtol=1e-6)
    forward = [p[0], (p[0] + p[1]) / 2, (p[0] + p[1]) / 4 + p[2] / 2]
    backward = [p[0] / 2 + (p[1] + p[2]) / 4, (p[1] + p[2]) / 2, p[2]]
    np.testing.assert_allclose(found[:3], (np.array(forward) + backward) / 2, rtol=1e-6)
    np.testing.assert_array_equal(smooth(None, p[0], 0.9), p[0])


def test_the_most_seen_people_in_their_order():
    counts, order = {"a": 2, "b": 5, "c": 0, "d": 2, "e": 3}, {"e": 0, "d": 1, "a": 2, "b": 3, "c": 4}
    assert most_seen(counts, order, 2) == ["e", "b"] and most_seen(counts, order, 3) == ["e", "d", "b"]
    assert most_seen(counts, order, 9) == ["e", "d", "a", "b"]


def test_segments_by_hand():
    starts, p = np.arange(0, 32, 4), np.zeros((8, 3))
    #                      unknown      one window  gap
    for number, best in enumerate([0, 0, 1, 2, 1, 1, 1, 0]):
        p[number, best] = 0.9
    known, seen = np.array([1, 1, 0, 1, 1, 0, 1, 1], bool), np.ones(36, bool)
    seen[20], seen[30:] = False, False
    # Windows of 8 every 4: the first answers for frames 0 to 6, then 4 each, the last for 30 to 36.
    found = segments(starts, 8, p, known, seen, NAMES, shortest=5)
    assert [(s.start, s.end, s.label, s.reason) for s in found] == [
        (0, 10, "wave", ""),
        (10, 18, None, UNKNOWN),  # 14 to 18 is too short to be "sit"
        (18, 30, "squat", ""),  # with the gap 22 to 26
        (30, 36, None, NOBODY),
    ]
    assert [s.probability for s in found] == [0.9, None, 0.9, None]
    short = segments(starts, 8, p, known, seen, NAMES, shortest=1)
    assert [(s.start, s.end, s.label) for s in short][2:6] == [
        (14, 18, "sit"),
        (18, 20, "squat"),
        (20, 21, None),
        (21, 22, "squat"),
    ]
    assert runs(~seen) == [(20, 21), (30, 36)] and runs(np.zeros(3, bool)) == []


@pytest.mark.parametrize("seed", range(5))
def test_segments_cover_a_recording_without_gaps(seed):
    rng = np.random.default_rng(seed)
    frames, window, stride = int(rng.integers(1, 300)), int(rng.integers(1, 40)), int(rng.integers(1, 20))
    window = min(window, frames)
    starts = window_starts(frames, window, stride)
    p, seen = rng.dirichlet(np.ones(3), len(starts)), np.repeat(rng.random(frames) < 0.7, 3)[:frames]
    shortest = int(rng.integers(1, 12))
    found = segments(starts, window, p, p.max(axis=1) > 0.5, seen, NAMES, shortest)
    assert [part.end for part in found][:-1] == [part.start for part in found][1:]
    assert found[0].start == 0 and found[-1].end == frames
    assert all(one.label != two.label or one.reason != two.reason for one, two in zip(found, found[1:], strict=False))
    assert all(part.label is None or part.end - part.start >= shortest for part in found)


def test_what_is_long_goes_by_the_clips_trained_on():
    model = SimpleNamespace(preprocessor=SimpleNamespace(num_frames=16), trained_on=None)
    assert default_window(model) == 16 and not is_long(model, 10**6)
    model.trained_on = {"frames": [20.0, 60.0, 100.0], "fps": 30.0, "people": 1.0}
    assert default_window(model) == 60 and default_window(model, 15) == 30
    assert not is_long(model, 150) and is_long(model, 151) and not is_long(model, 151, 60)


def test_a_recordings_own_rate_holds_and_another_is_refused():
    silent, told = SimpleNamespace(fps=None, path="a.h5"), SimpleNamespace(fps=30.0, path="b.h5")
    assert [frame_rate(silent), frame_rate(silent, 25.0), frame_rate(told), frame_rate(told, 29.97)] == [
        None,
        25,
        30,
        30,
    ]
    with pytest.raises(DataError, match=r"^b.h5: fps: expected 30 frames per second as it says.*, found 60; .*convert"):
        frame_rate(told, 60.0)


@pytest.mark.parametrize("kind", [TimelinePredictor, StreamingPredictor])
@pytest.mark.parametrize("rate", [np.inf, np.nan, -1])
def test_a_rate_is_a_number(kind, rate, model):
    with pytest.raises(DataError, match=f"^{kind.__name__}: fps: expected more than 0 .*, found"):
        kind(model, fps=rate)


def test_which_windows_have_an_answer():
    p = np.array([[0.5, 0.5], [0.6, 0.4], [0.1, 0.9]])
    assert answer_rule(min_probability=0.6)(None, p).tolist() == [False, True, True]
    features = np.array([[1.0], [-1], [2]])
    for least, found in ((0, [1, 0, 1]), (0.6, [0, 0, 1])):
        assert answer_rule(lambda features, p: features[:, 0] > 0, least)(features, p).tolist() == found
    with pytest.raises(ValueError, match="min_probability: expected 0 <= min_probability <= 1, found 2"):
        answer_rule(min_probability=2)


def lines_of(*parts, person=None, fps=10.0, recording="r"):
    return Timeline(recording, 40, [Segment(*part) for part in parts], person, fps, f"{recording}.h5")


def test_timelines_are_compared_by_person_or_joined(tmp_path):
    one = lines_of((0, 20, "a", 0.9), (20, 40, None), person=1)
    two = lines_of((0, 30, "b", 0.5), (30, 40, "c", 0.5), person=2)
    (tmp_path / "people.csv").write_text("file,start,end,label,person\nr,0,2,a,1\nr,0,3,b,2\n")
    pairs, figures = compare_timelines([one, two], IntervalTable(tmp_path / "people.csv"))
    assert len(pairs) == 2 and figures["frame_accuracy"] == pytest.approx(70 / 80) and figures["edit"] == 0.75
    (tmp_path / "any.csv").write_text("file,start_frame,end_frame,label\nr,0,20,a\nr,20,30,b\nr,30,40,c\n")
    _, figures = compare_timelines([one, two], IntervalTable(tmp_path / "any.csv"))
    assert figures["frame_accuracy"] == figures["edit"] == figures["f1"]["50"] == 1
    for text, match in (
        ("r,0,2,a,3\n", r"line 2: person: expected a person with a timeline of r \(1, 2\), found 3"),
        ("r,0,2,a,1\nr,2,3,a,\n", "line 3: person: .* found nobody"),
        ("r,0,2,a,1\nx,2,3,a,1\n", "file: expected recordings of the timelines, such as 'r', found 'x', of which"),
        ("r,0,2, A,1\n", "label: expected one spelling, here and in the timelines, of 'a', found 'A'"),
        ("r,0,5,a,1\n", "line 2: expected an end within r, 40 frames or 4.000 s, found second 5"),
    ):
        (tmp_path / "bad.csv").write_text(f"file,start,end,label,person\n{text}")
        with pytest.raises(DataError, match=match):
            compare_timelines([one, two], IntervalTable(tmp_path / "bad.csv"))


def test_a_picture_of_timelines():
    one, two = lines_of((0, 20, "wave <x>", 0.9), (20, 40, None), person=1), lines_of((0, 40, "sit", 0.5), person=2)
    text = timeline_svg([one, two])
    assert text.startswith("<svg") and text.count("<g>") == 2 and "wave &lt;x&gt;: 00:00:00.000 to 00:00:02.000" in text
    assert "person 2" in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    both = timeline_svg([one], [two])
    assert "person 1, true" in both and both.count("<g>") == 2
    many = [Segment(n * 10, n * 10 + 10, f"class {n % 30}", 0.5) for n in range(3000)]
    assert timeline_svg([Timeline("hour", 30000, many, None, None)]).count("<g>") >= 3000


# === With a model ===


@pytest.fixture(scope="module")
def model(tiny):
    sizes = {"num_frames": 6, "encoder_layers": 1, "num_layers": 1, "streams": ("joint", "motion")}
    made = tiny.classifier(num_classes=3, class_names=NAMES, **sizes)
    made.trained_on = {"frames": [8.0, 10.0, 12.0], "fps": 10.0, "people": 1.0}
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    """model.keras, and s.h5: a long recording of two people with gaps, and a short one."""
    folder, rng = tmp_path_factory.mktemp("timeline"), np.random.default_rng(0)
    model.save(folder / "model.keras")
    x = rng.normal(300, 50, (2, 90, 17, 2)).astype("float32")
    x[1, 30:60] = x[:, 75:] = 0
    header = {"layout": "coco17", "classes": NAMES, "channels": ("x", "y"), "fps": 10}
    with StoreWriter(folder / "s.h5", **header) as writer:
        writer.append(Sample("long", x))
        writer.append(Sample("short", x[:1, :12]))
    return folder


@pytest.mark.parametrize(("together", "batch"), [(False, 64), (False, 5), (True, 64), (True, 3)])
def test_windows_are_those_of_predict(together, batch, model, folder, tmp_path):
    with SkeletonStore(folder / "s.h5") as store:
        x, starts = store.read(0), window_starts(90, 10, 4)
        predictor = TimelinePredictor(model, together=together, batch_size=batch)
        windows = Windows(predictor, store, 0, 10, 4)
        windows.predict(None)
    rows = [x] if together else [x[:1], x[1:]]
    cuts = {(n, w): row[:, s : s + 10] for n, row in enumerate(rows) for w, s in enumerate(starts)}
    with StoreWriter(tmp_path / "cuts.h5", layout="coco17", classes=NAMES, channels=("x", "y")) as writer:
        for (row, number), cut in cuts.items():
            kept = cut[cut.any(axis=(1, 2, 3))]
            writer.append(Sample(f"{row}-{number}", kept if len(kept) else cut[:1]))
    with SkeletonStore(tmp_path / "cuts.h5") as store:
        expected = predict_store(model, store, np.arange(len(store)))
    for (row, number), probabilities in zip(cuts, expected, strict=True):
        seen = not np.isnan(probabilities).any()
        assert windows.present[row, number] == seen
        if seen:
            np.testing.assert_allclose(windows.probabilities[row, number], probabilities, atol=1e-5)
    np.testing.assert_array_equal(windows.seen, [row.any(axis=(0, 2, 3)) for row in rows])


def test_long_recordings_get_timelines_and_short_ones_a_label(model, folder):
    one, two, short = predict_recordings(folder / "model.keras", [folder / "s.h5"], min_probability=0)
    assert (one.recording, one.person, two.person, one.fps, one.frames) == ("long", 1, 2, 10.0, 90)
    assert one.settings == {"window": 10, "stride": 2, "smoothing": 0.3} and short["sample"] == "short"
    assert [(s.start, s.end) for s in one.segments if s.reason == NOBODY] == [(75, 90)]
    assert [(s.start, s.end) for s in two.segments if s.reason == NOBODY] == [(30, 60), (75, 90)]
    none = predict_recordings(folder / "model.keras", [folder / "s.h5"], min_probability=1)
    assert not none[0].known and {s.reason for s in none[0].segments} == {NOBODY, UNKNOWN}
    (both, label) = predict_recordings(folder / "model.keras", [folder / "s.h5"], together=True)
    assert both.person is None and label["label"] == short["label"]
    cut = predict_recordings(folder / "model.keras", [folder / "s.h5"], window=5)
    assert [type(item) for item in cut] == [Timeline] * 3 and cut[2].recording == "short"


def test_a_rule_that_comes_with_a_model_sees_features(model, folder):
    shapes = []

    def known(features, probabilities):
        shapes.append((features.shape, probabilities.shape))
        return np.arange(len(features)) < 3

    with SkeletonStore(folder / "s.h5") as store:
        lines = TimelinePredictor(model, window=10, stride=10, min_probability=0, known=known).timelines(store, 0)
    assert len(shapes) == 2 and all(f[0] == p[0] == 9 and f[1] > 3 for f, p in shapes)
    assert [line.known[-1].end for line in lines] == [30, 30]


def test_the_commands(folder, tmp_path):
    def run(*words, code=0):
        done = CliRunner().invoke(cli, [str(word) for word in words])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output if code else done.stdout

    base = ("predict", folder / "model.keras", folder / "s.h5")
    output = run(*base, "--min-probability", 0, "--output", tmp_path / "t.json")
    assert output.splitlines()[1].startswith("long: 90 frames, 0:09.0 min; windows of 10 frames, one every 2")
    assert "person 2: 50% nobody was seen" in output and output.startswith("short  ")
    listed = json.loads(run(*base, "--min-probability", 0, "--json"))
    assert [entry["sample"] for entry in listed] == ["long", "long", "short"]
    assert listed[0]["segments"][0]["start_frame"] == 0 and "probabilities" in listed[2]
    lines = read_timelines(tmp_path / "t.json")
    truth = [f"long,{line.person},{s.start},{s.end},{s.label}" for line in lines for s in line.known]
    (tmp_path / "true.csv").write_text("\n".join(["file,person,start_frame,end_frame,label", *truth]))
    told = run("evaluate-timeline", tmp_path / "t.json", tmp_path / "true.csv", "--output", tmp_path / "both.svg")
    assert "segment F1 at 50 % overlap  100.00" in told and "true</text>" in (tmp_path / "both.svg").read_text()
    run("evaluate-timeline", tmp_path / "t.json", tmp_path / "true.csv", "--output", tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["edit"] == 1
    for suffix in ("csv", "vtt", "eaf", "svg"):
        run(*base, "--min-probability", 0, "--output", tmp_path / f"t.{suffix}")
        assert (tmp_path / f"t.{suffix}").stat().st_size > 10
    whole = json.loads(run(*base, "--whole", "--json"))
    assert [entry["sample"] for entry in whole] == ["long", "short"]
    assert "has no effect with --whole" in run(*base, "--whole", "--window", 5, code=2)
    assert "has no effect with --stream" in run(*base, "--stream", "--output", tmp_path / "x.csv", code=2)
    assert "suffix: expected .json" in run(*base, "--output", tmp_path / "t.srt", code=1)
    assert "expected a recording clearly longer" in run(*base, "--window", 500, "--output", tmp_path / "x.csv", code=1)
    assert not (tmp_path / "x.csv").exists()


def streamed(folder, *words, **keywords):
    """(exit code, frame of each label of the first sample, lines of errors) of predict --stream."""
    given = ["predict", str(folder / "model.keras"), *map(str, words), "--stream", "--json"]
    done = CliRunner().invoke(cli, given, **keywords)
    found = json.loads(done.stdout) if done.exit_code == 0 else []
    first = [entry["frame"] for entry in found if entry["sample"] == found[0]["sample"]]
    return done.exit_code, first, done.stderr.splitlines()


@pytest.fixture
def of_rate(tmp_path, folder):
    """A function that makes s.h5 again with another rate."""

    def make(rate):
        path = tmp_path / f"{rate}.h5"
        with SkeletonStore(folder / "s.h5") as store:
            header = {"layout": "coco17", "classes": NAMES, "channels": ("x", "y"), "fps": rate}
            with StoreWriter(path, **header) as writer:
                writer.append(Sample("long", store.read(0)))
        return path

    return make


def test_a_stream_has_the_windows_of_the_timeline(model, folder, of_rate):
    """Of stores that state a rate, and of one that does not, together; by --fps for the latter alone."""
    for rate, given in ((10, []), (20, []), (5, []), (None, []), (None, ["--fps", 20]), (20, ["--fps", 20])):
        (line, *_) = predict_recordings(folder / "model.keras", [of_rate(rate)], fps=given[1] if given else None)
        window, stride = line.settings["window"], line.settings["stride"]
        assert window == 10 * (rate or (given or [0, 10])[1]) // 10
        code, frames, _ = streamed(folder, of_rate(rate), *given)
        ends = window_starts(90, window, stride) + window - 1
        assert code == 0 and frames == ends.tolist(), (rate, given)
    both = CliRunner().invoke(
        cli, ["predict", *map(str, (folder / "model.keras", of_rate(20), of_rate(None), "--stream", "--json"))]
    )
    found = json.loads(both.stdout)
    firsts = [next(each["frame"] for each in found if each["input"].endswith(f"{rate}.h5")) for rate in (20, None)]
    assert firsts == [19, 9]
    assert answer(model, of_rate(20))["samples"][0]["windows"][0]["frame"] == 19  # of the page of serve
    assert [sample["long"] for sample in answer(model, folder / "s.h5")["samples"]] == [True, False]
    frame = json.dumps({"a": np.ones((17, 2)).tolist()})
    assert streamed(folder, "-", "--fps", 20, input="\n".join([frame] * 21))[1] == [19, 20]


@pytest.mark.parametrize("more", [[], ["--stream"]], ids=["timeline", "stream"])
def test_a_rate_that_the_recording_contradicts_is_refused(more, folder):
    given = ["predict", str(folder / "model.keras"), str(folder / "s.h5"), *more, "--fps"]
    done = CliRunner().invoke(cli, [*given, "25"])
    assert done.exit_code == 1 and not done.stdout
    assert done.stderr.splitlines()[-1].endswith(
        "s.h5: fps: expected 10 frames per second as it says, or no --fps, found 25; `skelmae convert --source-fps` "
        "corrects a rate that is wrong"
    )
    assert CliRunner().invoke(cli, [*given, "10"]).exit_code == 0
    for rate in ("inf", "nan", "-inf"):
        done = CliRunner().invoke(cli, [*given, rate])
        assert done.exit_code == 2 and "Invalid value for '--fps'" in done.stderr and rate in done.stderr
    done = CliRunner().invoke(cli, [*given, "10", "--window", "5"])
    assert (done.exit_code == 2 and "--fps has no effect with --stream and --window" in done.stderr) == bool(more)


def test_training_clips_are_described_and_kept(tiny_stores, model):
    assert Ensemble([model], mirror=True).trained_on == model.trained_on
    found = describe_clips(tiny_stores["2d"], [0, 1, 5])
    assert found == {"frames": [10.0, 11.0, 15.0], "fps": None, "people": 2.0}
