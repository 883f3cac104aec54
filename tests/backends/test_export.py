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
from keras_skelmae.export.serving import answers, greatest_difference
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
    told = metadata(SimpleNamespace(preprocessor=form, names=["a", "b"]))
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


def test_an_ensemble_counts_mirror_images_in_an_export_too(tmp_path):
    import onnxruntime

    model = Ensemble([small(0), small(1)], (2, 1), mirror=True)
    model.save_to_preset(tmp_path / "both")
    done = export_model(tmp_path / "both", "onnx", tmp_path / "both.onnx")
    session, x = onnxruntime.InferenceSession(done["path"]), clip(model, 2)
    found = session.run(["probabilities"], {"keypoints": x})[0]
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    mirrored = x[:, :, :, model.preprocessor.layout.mirror] * np.array([-1, 1, 1], "float32")
    np.testing.assert_allclose(session.run(["probabilities"], {"keypoints": mirrored})[0], found, atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["image_size"]) == [240, 320]


def test_the_metadata_are_those_of_the_preprocessor():
    facts = metadata(small(0, class_names=["a", "b", "c"]))
    assert json.loads(json.dumps(facts)) == facts and facts["classes"] == ["a", "b", "c"]
    assert (facts["channels"], facts["units"], facts["image_size"]) == (["x", "y", "score"], "pixels", [240, 320])
    assert metadata(small(0))["classes"] == ["0", "1", "2"]


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
