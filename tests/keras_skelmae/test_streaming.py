"""The stream's windows are predict's; people come and go."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation import StreamingPredictor, load_classifier, predict_files
from keras_skelmae.evaluation.predict import predict_clip
from keras_skelmae.evaluation.streaming import stream_lines, stream_recording
from keras_skelmae.report import try_page
from keras_skelmae.report.try_page import answer
from skelmae_cli.main import cli
from skelmae_datasets import DataError, Sample, StoreWriter, convert, get_layout

NAMES = ["wave", "squat", "sit"]


@pytest.fixture(scope="module")
def model(tiny):
    sizes = {"num_frames": 6, "encoder_layers": 1, "num_layers": 1, "streams": ("joint", "motion")}
    return tiny.classifier(num_classes=3, class_names=NAMES, **sizes)


def recording(people=2, frames=20, seed=0):
    x = np.random.default_rng(seed).normal(300, 50, (people, frames, 17, 2)).astype("float32")
    x[1:, :5] = 0  # the second comes late
    return x


def store_of(path, *recordings):
    header = {"layout": get_layout("coco17"), "classes": NAMES, "channels": ("x", "y"), "units": "pixels"}
    with StoreWriter(path, **header) as writer:
        for number, keypoints in enumerate(recordings):
            writer.append(Sample(f"clip{number}", keypoints, 0))
    return path


def test_a_windows_probabilities_are_those_of_predict(model, tmp_path):
    model.save(tmp_path / "model.keras")
    x = recording()
    predictor = StreamingPredictor(tmp_path / "model.keras", window=10, stride=3)
    found = list(stream_recording(predictor, x))
    assert [window.frame for window in found] == [9, 12, 15, 18, 19]
    parts = [x[:, window.frame - 9 : window.frame + 1] for window in found]
    alone = predict_files(tmp_path / "model.keras", [store_of(tmp_path / "parts.h5", *parts)])
    for window, each in zip(found, alone, strict=True):
        np.testing.assert_allclose(window.window_probabilities, list(each["probabilities"].values()), atol=1e-6)
        assert window.tracks == (0, 1)


def test_smoothing_by_hand(model):
    x = recording()
    plain = list(stream_recording(StreamingPredictor(model, window=8, stride=4, smoothing=0), x))
    smooth = list(stream_recording(StreamingPredictor(model, window=8, stride=4, smoothing=0.75), x))
    expected = plain[0].probabilities
    for one, other in zip(plain, smooth, strict=True):
        np.testing.assert_allclose(one.probabilities, one.window_probabilities)
        expected = 0.75 * expected + 0.25 * one.probabilities
        np.testing.assert_allclose(other.probabilities, expected, rtol=1e-5)
        assert other.label == NAMES[int(expected.argmax())]
        assert other.probability == pytest.approx(float(expected.max()), rel=1e-5)


def test_people_come_and_go_by_track_and_gaps_are_zeros(model):
    predictor = StreamingPredictor(model, window=6, stride=1)
    joints = {name: np.full((17, 2), value, "float32") for name, value in (("a", 1), ("b", 2), ("c", 3))}
    shown = ["ab", "b", "abc", "bc", "", "bc"]
    for names in shown:
        predictor.update({name: joints[name] for name in names})
    clip, tracks = predictor.clip()  # two of three fit: b in 5 frames, c in 3 beats a in 2
    assert tracks == ("b", "c") and clip.shape == (2, 6, 17, 2)
    assert clip[0, :, 0, 0].tolist() == [2, 2, 2, 2, 0, 2]
    assert clip[1, :, 0, 0].tolist() == [0, 0, 3, 3, 0, 3]
    for _ in range(6):
        predictor.update({"d": joints["a"]})
    assert predictor.clip()[1] == ("d",)
    assert set(predictor.first_seen) == {"d"}, "who is gone is forgotten"


def test_a_window_without_anybody_has_no_label(model):
    predictor = StreamingPredictor(model, window=3, stride=3)
    results = [predictor.update({}) for _ in range(6)]
    assert [result is not None for result in results] == [False, False, True] * 2
    assert (results[2].label, results[2].probability, results[2].tracks) == (None, 0.0, ())
    assert predictor.update({1: np.zeros((17, 2))}) is None
    assert predictor.flush().label is None and predictor.flush() is None


def test_a_buffer_may_be_used_again(model):
    predictor, buffer = StreamingPredictor(model, window=2, stride=2), np.ones((17, 2), "float32")
    predictor.update({0: buffer})
    buffer[:] = 7
    predictor.update({0: buffer})
    assert predictor.clip()[0][0, :, 0, 0].tolist() == [1, 7]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window: expected at least 1, found 0"),
        ({"stride": 0}, "stride: expected at least 1"),
        ({"smoothing": 1.0}, "smoothing: expected 0 <= smoothing < 1, found 1.0"),
    ],
)
def test_bad_settings_are_named(options, message, model):
    with pytest.raises(ValueError, match=message):
        StreamingPredictor(model, **options)


def test_bad_joints_are_named(model):
    with pytest.raises(ValueError, match=r"track 'x': keypoints: expected \(..., 17, 2\) of x, y, found \(25, 3\)"):
        StreamingPredictor(model).update({"x": np.ones((25, 3))})


def test_the_command_prints_a_line_a_window(model, tmp_path):
    model.save(tmp_path / "model.keras")
    file = store_of(tmp_path / "clip.h5", recording())
    arguments = ["predict", str(tmp_path / "model.keras"), str(file), "--stream", "--window", "8", "--stride", "6"]
    unsure = CliRunner().invoke(cli, [*arguments, "--min-probability", "1"])
    assert {line.split()[-1] for line in unsure.stdout.splitlines()} == {"-"}
    arguments += ["--min-probability", "0"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["clip0", "7"], ["clip0", "13"], ["clip0", "19"]]
    assert {line.split()[-1] for line in done.stdout.splitlines()} <= set(NAMES)
    listed = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert [entry["frame"] for entry in listed] == [7, 13, 19]
    refused = CliRunner().invoke(cli, [*arguments, "--whole"])
    assert refused.exit_code == 2 and "has no effect with --whole" in refused.output


def test_frames_come_from_the_standard_input(model, tmp_path):
    model.save(tmp_path / "model.keras")
    x = recording()
    lines = [
        json.dumps({f"p{row}": person[t].tolist() for row, person in enumerate(x) if person[t].any()})
        for t in range(20)
    ]
    settings = {"window": 8, "stride": 6}
    expected = list(stream_recording(StreamingPredictor(model, **settings), x))
    command = ["predict", str(tmp_path / "model.keras"), "-", "--stream", "--window", "8", "--stride", "6"]
    command += ["--min-probability", "0"]
    listed = json.loads(CliRunner().invoke(cli, [*command, "--json"], input="\n".join(lines)).stdout)
    assert [(entry["frame"], entry["label"]) for entry in listed] == [(w.frame, w.label) for w in expected]
    np.testing.assert_allclose([entry["probability"] for entry in listed], [w.probability for w in expected], atol=1e-5)
    done = CliRunner().invoke(cli, command, input="\n".join([lines[0], "{"]))
    assert done.exit_code == 1 and not done.stdout
    doubts, error = done.stderr.splitlines()
    assert "not calibrated" in doubts and "-: line 2: expected a JSON object" in error
    done = CliRunner().invoke(cli, [*command, "--json"], input="\n".join([*lines[:10], "{"]))
    assert done.exit_code == 1 and [entry["frame"] for entry in json.loads(done.stdout)] == [7]  # not lost
    done = CliRunner().invoke(cli, command, input=lines[0].encode() + b"\n\xff\xfe\n")
    assert done.exit_code == 1 and "-: line 2: expected a JSON object" in done.stderr
    done = CliRunner().invoke(cli, command, input="")
    assert done.exit_code == 1 and done.stderr.splitlines()[-1].endswith("found the end of the input")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", "found Expecting"),
        ("[]", "found list"),
        ('{"a": [[1], [2, 3]]}', "found lists of unequal length"),
        ('{"a": [[1, "2"]]}', "found '2'"),
        ('{"a": [[true, false]]}', "found True"),
        ("[" * 200_000, "found maximum recursion"),
        ('{"a": [[1' + "0" * 400 + "]]}", "found int"),
        ('{"a": [[1' + "0" * 9000 + "]]}", "found Exceeds the limit"),
        ('{"a": [[1, 2]], "b": [[1, 2]], "a": [[3, 4]]}', "found 'a' 2 times"),
    ],
    ids=["half", "list", "ragged", "text", "truth", "deep", "huge", "digits", "twice"],
)
def test_a_line_that_is_no_frame_is_named(line, found, model):
    lines = [json.dumps({"a": np.ones((17, 2)).tolist()}), line]
    with pytest.raises(
        DataError, match=rf"^-: line 2(, track 'a')?: expected a JSON object of track id to joints .*, {found}"
    ) as e:
        list(stream_lines(StreamingPredictor(model), lines))
    assert "\n" not in str(e.value)


def test_joints_that_the_model_does_not_take_name_their_line(model):
    lines = [json.dumps({"a": np.ones((17, 2)).tolist()}), json.dumps({"a": np.ones((25, 2)).tolist()})]
    with pytest.raises(ValueError, match=r"^-: line 2: track 'a': keypoints: expected .* found \(25, 2\)"):
        list(stream_lines(StreamingPredictor(model), lines))
    assert list(stream_lines(StreamingPredictor(model), ['{"a": ' + str([[1e300, 1]] * 17) + "}"]))  # as not seen


@pytest.mark.parametrize(
    "option", [("--to", "coco17"), ("--image-size", "640,480"), ("--unit", "m"), ("--up", "y")], ids=lambda it: it[0]
)
def test_what_frames_of_the_standard_input_do_not_follow_is_refused(option, model, tmp_path):
    model.save(tmp_path / "model.keras")
    given = ["predict", str(tmp_path / "model.keras"), "-", "--stream", *option]
    done = CliRunner().invoke(cli, given, input="{}")
    assert done.exit_code == 2 and not done.stdout
    assert f"{option[0]} has no effect with frames from the standard input (-)" in done.stderr


def test_a_recording_of_another_image_size_is_scaled_as_predict_does(tiny, tmp_path):
    keras.utils.set_random_seed(1)
    sizes = {"num_frames": 6, "encoder_layers": 1, "num_layers": 1, "normalize": "image"}
    tiny.classifier(num_classes=3, class_names=NAMES, **sizes).save(tmp_path / "model.keras")
    header = {"layout": get_layout("coco17"), "classes": NAMES, "channels": ("x", "y"), "units": "pixels"}
    with StoreWriter(tmp_path / "s.h5", **header) as writer:
        writer.append(Sample("small", recording(frames=6), 0, image_size=(270, 480)))
    (told,) = predict_files(tmp_path / "model.keras", [tmp_path / "s.h5"])
    line = f"predict {tmp_path / 'model.keras'} {tmp_path / 's.h5'} --stream --window 6 --min-probability 0 --json"
    (window,) = json.loads(CliRunner().invoke(cli, line.split()).stdout)
    assert window["label"] == told["label"]
    assert window["probability"] == pytest.approx(told["probability"], abs=1e-5)
    loaded = load_classifier(tmp_path / "model.keras")
    (sample,) = answer(loaded, tmp_path / "s.h5")["samples"]
    assert sample["windows"][-1]["probabilities"] == pytest.approx(list(told["probabilities"].values()), abs=1e-4)
    plain = predict_clip(loaded, recording(frames=6))
    assert np.abs(plain - list(told["probabilities"].values())).max() > 1e-3  # the size matters


def test_the_page_predicts_no_more_frames_than_it_shows(model, tmp_path, monkeypatch):
    taken = []

    class Counted(StreamingPredictor):
        def update(self, people):
            taken.append(people)
            return super().update(people)

    monkeypatch.setattr(try_page, "StreamingPredictor", Counted)
    monkeypatch.setattr(try_page, "MOST_FRAMES", 9)
    (sample,) = answer(model, store_of(tmp_path / "clip.h5", recording()))["samples"]
    assert len(taken) == len(sample["points"][0]) == 9 and sample["frames"] == 20
    assert sample["windows"][-1]["frame"] == 8


def test_results_cannot_be_changed(model):
    result = StreamingPredictor(model, window=1, stride=1).update({0: np.ones((17, 2))})
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.label = "other"


def test_files_of_estimators_are_predicted_as_their_conversions(model, tmp_path):
    model.save(tmp_path / "model.keras")
    clip = recording()
    for number in range(clip.shape[1]):
        people = [
            {"keypoints": person.tolist(), "keypoint_scores": [0.9] * 17} for person in clip[:, number] if person.any()
        ]
        (tmp_path / "frames").mkdir(exist_ok=True)
        (tmp_path / "frames" / f"{number}.json").write_text(json.dumps(people))
    convert(tmp_path / "frames", tmp_path / "o.h5")
    alone = predict_files(tmp_path / "model.keras", [tmp_path / "o.h5"])
    found = predict_files(tmp_path / "model.keras", [tmp_path / "frames"])
    assert found[0]["sample"] == "frames" and found[0]["probabilities"] == alone[0]["probabilities"]
    arguments = ["predict", str(tmp_path / "model.keras"), str(tmp_path / "frames"), "--stream", "--window", "10"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0 and result.stdout.startswith("frames "), result.output


def test_what_a_conversion_notes_is_told_once_a_kind(model, tmp_path):
    """Of files and of a store made of them, by predict, --stream, show and the page; what is noted of labels is not."""
    model.save(tmp_path / "model.keras")
    points = np.random.default_rng(4).uniform(0.2, 0.8, (3, 12, 17, 2)).astype("float32")
    for number, frames in enumerate((12, 12, 1)):
        points[number, 0, :number] = -1
        (tmp_path / f"c/{number}").mkdir(parents=True)
        np.save(tmp_path / f"c/{number}/x.npy", points[number, :frames])
    report = convert(tmp_path / "c", tmp_path / "o.h5")
    about_labels = "folders may name classes: --labels folders takes them"
    told = ["1 sequences are of one frame: they show no motion"]
    told += ["x and y are 0 to 1 and kept so, in an image of 1 x 1", "3 joints at -1, not finite or scored"]
    assert all(any(text in note for note in report["notes"]) for text in (*told, about_labels))
    files = [tmp_path / f"c/{number}/x.npy" for number in range(3)]
    lines = []
    predict_files(tmp_path / "model.keras", files, told=lines.append)
    assert [line.partition(": ")[0] for line in lines] == [
        f"{files[0]} and 2 more",
        f"{files[1]} and 1 more",
        str(files[2]),
        str(files[2]),
    ]
    assert "0 to 1" in lines[0] and "1 joints at -1" in lines[1] and told[0] in lines[3]
    assert "never seen in 1 of 1 sequences: nose, left_eye" in lines[2]
    for inputs in ([tmp_path / "o.h5"], [tmp_path / "c"]):
        for stream in ([], ["--stream", "--window", "4"]):
            given = ["predict", str(tmp_path / "model.keras"), *map(str, inputs), *stream]
            result = CliRunner().invoke(cli, given)
            assert result.exit_code == 0 and about_labels not in result.stderr, result.output
            assert all(result.stderr.count(f"{inputs[0]}: {text}") == 1 for text in told), result.stderr
        result = CliRunner().invoke(cli, ["show", str(inputs[0]), "--output", str(tmp_path / "x.png")])
        assert all(f"{inputs[0]}: {text}" in result.stderr for text in told)
    assert [note in answer(model, files[2])["notes"] for note in told[:1]] == [True]


def test_another_layout_is_refused_with_the_way_out_and_read_with_to(model, tmp_path):
    model.save(tmp_path / "model.keras")
    path, clip = tmp_path / "model.keras", np.random.default_rng(3).uniform(50, 400, (25, 2))
    for number in range(8):
        points = np.concatenate([clip + 3 * number, np.full((25, 1), 0.9)], -1)
        people = {"people": [{"pose_keypoints_2d": points.ravel().tolist()}]}
        (tmp_path / "frames").mkdir(exist_ok=True)
        (tmp_path / "frames" / f"{number}_keypoints.json").write_text(json.dumps(people))
    convert(tmp_path / "frames", tmp_path / "o.h5")
    refused = (
        "layout: expected coco17, 17 joints, as the model takes, found openpose25, 25 joints; --to coco17 of convert"
    )
    for given in (tmp_path / "frames", tmp_path / "o.h5"):
        with pytest.raises(DataError, match=refused):
            predict_files(path, [given])
    convert(tmp_path / "frames", tmp_path / "c.h5", to="coco17")
    expected = predict_files(path, [tmp_path / "c.h5"])[0]["probabilities"]
    lines = []
    for given in (tmp_path / "frames", tmp_path / "o.h5", tmp_path / "c.h5"):
        assert predict_files(path, [given], {"to": "coco17"}, lines.append)[0]["probabilities"] == expected
    assert lines[0] == f"{tmp_path / 'frames'}: openpose25 to coco17: 17 of 17 joints"
    hand, depth = {"layout": "hand21", "channels": ("x", "y")}, {"layout": "ntu25", "channels": ("x", "y", "z")}
    for header in (hand, depth):  # --to would be refused, too
        joints = get_layout(header["layout"]).num_joints
        with StoreWriter(tmp_path / "h.h5", classes=[], **header) as writer:
            writer.append(Sample("a", np.ones((1, 4, joints, len(header["channels"])))))
        told = "coco17 in 2D, as the model takes, found ntu25 in 3D" if header is depth else "coco17, 17 joints"
        with pytest.raises(DataError, match=f"layout: expected {told}") as caught:
            predict_files(path, [tmp_path / "h.h5"])
        assert "--to" not in str(caught.value)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match="bad.json: expected JSON"):
        predict_files(path, [tmp_path / "bad.json"])
    for stream in ([], ["--stream", "--window", "4"]):
        result = CliRunner().invoke(cli, ["predict", str(path), str(tmp_path / "o.h5"), "--to", "coco17", *stream])
        assert result.exit_code == 0 and "17 of 17 joints" in result.output, result.output
