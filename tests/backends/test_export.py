"""Exports of models that JAX and PyTorch trained, run by the runtimes alone, as docs/serving.md shows it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from keras_skelmae.evaluation import load_classifier
from keras_skelmae.export import TOLERANCE, convert, export_model, metadata
from keras_skelmae.export.serving import answers, greatest_difference, sample_inputs
from keras_skelmae.models import Ensemble, SkeletonEncoder, SkeletonPreprocessor, STRLBackbone, STRLClassifier

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
OUTPUTS = {"saved-model": "served/model", "onnx": "served/model.onnx", "litert": "served/model.tflite"}
EXAMPLES = {"saved-model": "TensorFlow", "onnx": "ONNX Runtime", "litert": "LiteRT"}
NO_KERAS = """
import sys
absent = {"keras", "keras_skelmae", "skelmae_datasets"}
class Absent:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else self.finder.find_spec(name, path, target)
sys.meta_path = [Absent(finder) for finder in sys.meta_path]
"""


def clip(model, batch=1, frames=None, seed=0):
    _, people, default, joints, channels = model.input_shape
    x = np.random.default_rng(seed).normal(0, 1, (batch, people, frames or default, joints, channels))
    return x.astype("float32")


def examples(section):
    """The Python of a section of docs/serving.md."""
    text = DOCS.read_text("utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    """{(backend, format): (file, figure of the command)}, a SavedModel by the command of another backend's process."""
    made = {}
    for backend in ("jax", "torch"):
        place = tmp_path_factory.mktemp(backend)
        for kind in ("onnx", "litert"):
            done = export_model(folder / backend / "fine", kind, place / OUTPUTS[kind])
            made[backend, kind] = place / OUTPUTS[kind], done["max_abs_difference"]
    place = made["torch", "onnx"][0].parent.parent
    command = [
        sys.executable,
        "-m",
        "skelmae_cli",
        "--backend",
        "torch",
        "export",
        str(folder / "torch" / "fine"),
        "--output",
        str(place / OUTPUTS["saved-model"]),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    made["torch", "saved-model"] = place / OUTPUTS["saved-model"], json.loads(done.stdout)["max_abs_difference"]
    return made


CASES = [("jax", "onnx"), ("jax", "litert"), ("torch", "onnx"), ("torch", "litert"), ("torch", "saved-model")]


@pytest.mark.parametrize(("backend", "kind"), CASES)
def test_the_figure_is_small_and_not_made_up(backend, kind, exported):
    file, difference = exported[backend, kind]
    assert file.exists() and 0 <= difference <= 1e-5
    assert not [path for path in file.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_onnx_takes_any_batch_and_length_and_knows_its_classes(backend, exported, folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported[backend, "onnx"][0]))
    model = load_classifier(folder / backend / "fine")
    for batch, seed in ((1, 1), (4, 2)):
        x = clip(model, batch, seed=seed)
        found = session.run(["probabilities"], {"keypoints": x})[0]
        np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    assert session.run(None, {"keypoints": clip(model, 2, 3)})[0].shape == (2, 3)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["wave", "squat", "handshake"]
    assert json.loads(facts["layout"])["name"] == "ntu25" and json.loads(facts["num_frames"]) == 8
    assert json.loads(facts["channels"]) == ["x", "y", "z"] and facts["units"] == "metres"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_documented_examples_run_where_there_is_no_keras(kind, exported, folder):
    file, _ = exported["torch", kind]
    place = file.parent.parent
    model = load_classifier(folder / "torch" / "fine")
    x = clip(model, seed=3)
    np.save(place / "clip.npy", x)
    (code,) = examples(EXAMPLES[kind])
    done = subprocess.run(
        [sys.executable, "-c", NO_KERAS + code], cwd=place, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = model.predict(x, verbose=0)[0]
    name, probability = done.stdout.split()
    assert name == model.names[int(expected.argmax())]
    assert float(probability) == pytest.approx(float(expected.max()), abs=1e-5)


@pytest.mark.parametrize("channels", [("x", "y"), ("x", "y", "score")])
@pytest.mark.parametrize("normalize", ["clip", "image"])
def test_the_documented_input_is_what_the_preprocessor_makes(channels, normalize, tmp_path, monkeypatch):
    """Three people in another image than the model's, joints with a low score, a frame in which one is missing."""
    form = SkeletonPreprocessor("coco17", channels, 6, 2, normalize=normalize, image_size=(360, 640))
    (tmp_path / "served/model/assets.extra").mkdir(parents=True)
    told = metadata(SimpleNamespace(preprocessor=form, names=["a", "b"], trained_on=None))
    (tmp_path / "served/model/assets.extra/metadata.json").write_text(json.dumps(told))
    x = np.random.default_rng(0).uniform(1, 600, (3, 9, 17, 3))
    x[..., 2] = np.random.default_rng(1).uniform(0.1, 1, x.shape[:3])
    x[0, 2:5, 3, 2], x[1, 4] = 0.005, 0
    np.save(tmp_path / "recording.npy", x)
    monkeypatch.chdir(tmp_path)
    exec(compile(examples("From a recording to the input")[0], DOCS.name, "exec"), scope := {})
    (found,) = np.load("clip.npy")
    assert found.shape == (2, 9, 17, len(channels)) and not found[0, 2:5, 3].any()
    np.testing.assert_allclose(form(found), form(x, image_size=(720, 1280)), rtol=1e-5)
    alone = form.observed(x)[:1]
    exec(
        compile(examples("From a recording to the input")[0].partition("with open")[0], DOCS.name, "exec"), scope := {}
    )
    assert not scope["clip_of"](alone, told)[0, 1].any()


def test_the_metadata_of_onnx_are_read_as_documented(exported, monkeypatch):
    file = exported["jax", "onnx"][0]
    monkeypatch.chdir(file.parent.parent)
    exec(compile(examples("From a recording to the input")[1], DOCS.name, "exec"), scope := {})
    assert scope["facts"]["channels"] == ["x", "y", "z"] and scope["facts"]["num_people"] == 2
    assert scope["facts"]["units"] == "metres" and scope["facts"]["layout"]["name"] == "ntu25"


def test_litert_has_its_metadata_beside_it(exported):
    facts = json.loads(exported["jax", "litert"][0].with_suffix(".json").read_text("utf-8"))
    assert facts["classes"] == ["wave", "squat", "handshake"] and facts["num_people"] == 2
    assert "resize_tensor_input" in facts["sizes"]


def runner(kind, file):
    """A function from a batch to the probabilities of an exported file, by its runtime alone."""
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file))
        return lambda x: session.run(["probabilities"], {"keypoints": x})[0]
    if kind == "saved-model":
        import tensorflow as tf

        served = tf.saved_model.load(str(file)).signatures["serving_default"]
        return lambda x: served(keypoints=tf.constant(x))["probabilities"].numpy()
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x):
        interpreter.resize_tensor_input(entry["index"], x.shape, strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def unseen(x, dims):
    """(the same clips with joints that were not seen told in every way, and with zeros in their place)."""
    told, zeros = x.copy(), x.copy()
    for joint, value in enumerate((np.nan, np.inf, -np.inf, -1, 1e30)):
        told[:, 0, 1:3, joint, : dims if value == -1 else 1], zeros[:, 0, 1:3, joint] = value, 0
    for joint, value in enumerate((np.nan, np.inf, 0.01, 0, -1) if x.shape[-1] > dims else (), 5):
        told[:, 0, 1:3, joint, dims], zeros[:, 0, 1:3, joint] = value, 0
    return told, zeros


@pytest.mark.parametrize(("backend", "kind"), CASES)
def test_a_joint_that_was_not_seen_is_a_zero_in_every_format(backend, kind, exported, folder):
    told, zeros = unseen(clip(load_classifier(folder / backend / "fine"), 2, 13, seed=4), 3)
    run = runner(kind, exported[backend, kind][0])
    found = run(told)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, run(zeros), atol=1e-6)


def test_litert_refuses_other_people_where_asked_to_be_strict(exported):
    """Without it two clips of one person run as one clip of two would."""
    file = exported["jax", "litert"][0]
    with pytest.raises(RuntimeError, match="dimension 1 of tensor"):
        runner("litert", file)(np.ones((2, 1, 10, 25, 3), "float32"))
    assert "strict=True" in json.loads(file.with_suffix(".json").read_text("utf-8"))["sizes"]
    assert all("strict=True" in code for code in examples("LiteRT"))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_check_would_notice_frames_moved_by_one(backend, folder):
    model = load_classifier(folder / backend / "fine")
    serve = answers(model)
    moved = greatest_difference(lambda x: serve(np.roll(x, 1, axis=2)), model)
    assert moved > 2 * TOLERANCE  # of a network that has hardly been trained


def small(seed, **options):
    """An untrained classifier of 2D people."""
    keypoints = SkeletonPreprocessor("coco17", ("x", "y", "score"), num_frames=8, image_size=(240, 320))
    encoder = SkeletonEncoder(keypoints, units=4 + 4 * seed, encoder_layers=1)
    return STRLClassifier(STRLBackbone(encoder, num_layers=1), 3, head_units=0, **options)


def test_scores_are_read_as_the_preprocessor_reads_them():
    """Where frames are interpolated between one in which a joint was seen and one in which it was not, too."""
    model = small(0)
    x = clip(model, 3, 13, seed=5)
    x[..., 2] = 1 / (1 + x[..., 2] ** 2)
    told, zeros = unseen(x, 2)
    found = answers(model)(told)
    np.testing.assert_allclose(found, answers(model)(zeros), atol=1e-6)
    taken = np.stack([model.preprocessor(sample) for sample in told])
    np.testing.assert_allclose(found, model.predict(taken, verbose=0), atol=1e-6)
    assert np.abs(found - answers(model)(x)).max() > 1e-4


def test_what_is_no_number_in_one_case_is_a_difference(folder):
    model = load_classifier(folder / "jax" / "fine")
    serve, last = answers(model), len(sample_inputs(model)[-1])
    assert np.isnan(greatest_difference(lambda x: serve(x) * (np.nan if len(x) == last else 1), model))


@pytest.mark.parametrize(
    ("channels", "options", "extent"),
    [
        (("x", "y"), {}, 1080),
        (("x", "y", "score"), {"normalize": "image", "image_size": (240, 320)}, 240),
        (("x", "y", "z"), {"units": "metres", "normalize": "none"}, 5),
    ],
)
def test_the_check_is_made_with_bodies_as_recordings_have_them(channels, options, extent):
    """In these units, scores from 0 to 1: of others a trained model is certain, and all its answers are alike."""
    form = SkeletonPreprocessor("coco17", channels, num_frames=8, **options)
    for case in sample_inputs(SimpleNamespace(preprocessor=form)):
        seen = form.observed(case)
        at = seen[..., : form.num_coordinates][seen.any(axis=-1)]
        assert 0.2 * extent < np.median(at) < 0.6 * extent and 0.02 * extent < at.std() < 0.2 * extent
        assert 0.05 < (~seen.any(axis=-1)).mean() < 0.5 and not np.isfinite(case).all()
        if "score" in channels:
            assert seen[..., 2][seen.any(axis=-1)].min() > 0.01 and seen[..., 2].max() <= 1


def test_an_ensemble_counts_mirror_images_in_an_export_too(tmp_path):
    import onnxruntime

    model = Ensemble([small(0), small(1)], (2, 1), mirror=True)
    model.save_to_preset(tmp_path / "both")
    done = export_model(tmp_path / "both", "onnx", tmp_path / "both.onnx")
    session, x = onnxruntime.InferenceSession(done["path"]), clip(model, 2)
    x[..., 2] = 1 / (1 + x[..., 2] ** 2)  # scores
    found = session.run(["probabilities"], {"keypoints": x})[0]
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    mirrored = x[:, :, :, model.preprocessor.layout.mirror] * np.array([-1, 1, 1], "float32")
    np.testing.assert_allclose(session.run(["probabilities"], {"keypoints": mirrored})[0], found, atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["image_size"]) == [240, 320]
    told, zeros = unseen(x, 2)
    found, expected = (session.run(["probabilities"], {"keypoints": part})[0] for part in (told, zeros))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_metadata_are_those_of_the_preprocessor():
    facts = metadata(small(0, class_names=["a", "b", "c"]))
    assert json.loads(json.dumps(facts)) == facts and facts["classes"] == ["a", "b", "c"]
    assert (facts["channels"], facts["units"], facts["image_size"]) == (["x", "y", "score"], "pixels", [240, 320])
    assert metadata(small(0))["classes"] == ["0", "1", "2"] and "trained_on" not in metadata(small(0))
    clips = {"frames": [8.0, 20.0, 90.0], "fps": 30.0, "people": 1.0}  # by which long recordings are cut
    assert metadata(small(0, trained_on=clips))["trained_on"] == clips


def test_what_differs_is_not_put_in_place(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(convert.WRITERS, "keras", lambda model, _: lambda x: answers(model)(x) + 2 * TOLERANCE)
    with pytest.raises(ValueError, match="found a difference of 0.0002"):
        export_model(folder / "jax" / "fine", "keras", tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "absent", "message"),
    [
        ("onnx", "tf2onnx", r"onnx needs tf2onnx, not installed: pip install 'keras-skelmae\[onnx\]'"),
        (
            "litert",
            "ai_edge_litert",
            r"litert needs ai_edge_litert, not installed: pip install 'keras-skelmae\[litert\]'",
        ),
        ("onnx", "tensorflow", "onnx needs TensorFlow, not installed: pip install tensorflow"),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(kind, absent, message, folder, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else find(name))
    with pytest.raises(ModuleNotFoundError, match=message):
        export_model(folder / "jax" / "fine", kind, tmp_path / ("m" + convert.SUFFIXES[kind]))
    assert not list(tmp_path.iterdir())


def test_a_wrong_suffix_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"expected a name ending in \.onnx for onnx, found \.tflite"):
        export_model(folder / "jax" / "fine", "onnx", tmp_path / "m.tflite")
