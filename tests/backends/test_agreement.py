"""One recording, every way to its class probabilities: file, store, evaluation, exports and stream agree, or refuse."""

import pickle

import keras
import numpy as np
import pytest

from keras_skelmae.evaluation import StreamingPredictor, evaluate_model, load_classifier, predict_files
from keras_skelmae.evaluation.streaming import stream_recording
from keras_skelmae.export import export_model
from keras_skelmae.models import SkeletonPreprocessor, STRLClassifier
from skelmae_datasets import DataError, Sample, SkeletonLayout, SkeletonStore, StoreWriter

pytestmark = [
    pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="exports run under TensorFlow"),
    pytest.mark.usefixtures("eager_module"),
]
CHANNELS = [("x", "y"), ("x", "y", "z"), ("x", "y", "score")]


def random_layout(rng):
    """A tree of some joints with two parts."""
    count = int(rng.integers(5, 16))
    edges = tuple((joint, int(rng.integers(joint))) for joint in range(1, count))
    names = tuple(f"j{joint}" for joint in range(count))
    parts = {"first": tuple(range(count // 2)), "second": tuple(range(count // 2, count))}
    return SkeletonLayout(f"own{count}", names, edges, (), parts)


class Case:
    """A random layout, channels, classes and people; a model of them and recordings in a store and in a pickle."""

    def __init__(self, seed, folder):
        rng = self.rng = np.random.default_rng(seed)
        self.layout, self.channels = random_layout(rng), CHANNELS[seed % 3]
        self.people, self.takes = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        self.names = [str(name) for name in rng.permutation(["walk", "Sit down", "wave", "7", "jump"])]
        self.model_path, self.store_path = folder / "model.keras", folder / "s.h5"
        self.pickle_path = folder / "s.pkl"
        self._recordings()
        self._model()

    def _recordings(self):
        self.recordings, self.labels = [], []
        with StoreWriter(self.store_path, layout=self.layout, classes=self.names, channels=self.channels) as writer:
            for number in range(5):
                frames = int(self.rng.integers(3, 20))
                x = self.rng.normal(200, 40, (self.people, frames, self.layout.num_joints, len(self.channels)))
                if "score" in self.channels:
                    x[..., 2] = self.rng.uniform(0.3, 0.9, x.shape[:-1]) - 0.2 * np.arange(self.people)[:, None, None]
                    x[..., 2] = np.clip(x[..., 2], 0.05, 1)
                x[0, 0, 1] = 0
                self.recordings.append(x.astype("float32"))
                self.labels.append(int(self.rng.integers(5)))
                writer.append(Sample(f"clip{number}", self.recordings[-1], self.labels[-1]))
        two = self.channels == ("x", "y", "score")
        annotations = [
            {
                "frame_dir": f"clip{number}",
                "keypoint": x[..., :2] if two else x,
                **({"keypoint_score": x[..., 2]} if two else {}),
                "total_frames": x.shape[1],
                "label": label,
            }
            for number, (x, label) in enumerate(zip(self.recordings, self.labels, strict=True))
        ]
        self.pickle_path.write_bytes(pickle.dumps({"annotations": annotations, "split": {}}))

    def _model(self):
        keras.utils.set_random_seed(0)
        scored = self.channels[-1] == "score" and bool(self.rng.integers(2))
        channels = self.channels if scored or self.channels[-1] != "score" else ("x", "y")
        preprocessor = SkeletonPreprocessor(
            self.layout,
            channels,
            num_frames=8,
            num_people=self.takes,
            units="metres" if "z" in channels else "pixels",
            normalize="image" if "z" not in channels and self.rng.integers(2) else "clip",
            image_size=(480, 640),
        )
        sizes = {"units": 8, "encoder_layers": 1, "temporal_units": (8, 8), "temporal_strides": (1,)}
        sizes |= {"body_streams": ("features", "motion2"), "num_layers": 1}
        self.names_of_model = [str(name) for name in self.rng.permutation(self.names)]
        model = STRLClassifier.from_preset(
            "small", data=preprocessor, num_classes=5, class_names=self.names_of_model, **sizes
        )
        for variable in model.weights:
            if variable.name in ("moving_mean", "moving_variance", "bias"):
                noise = self.rng.normal(0, 0.1, variable.shape)
                variable.assign(abs(noise) + 0.5 if variable.name == "moving_variance" else noise)
        model.save(self.model_path)
        self.preprocessor = preprocessor

    def raw(self, number):
        """(1, M, T, V, C) as exported models take it."""
        x = np.zeros((1, self.takes, *self.recordings[number].shape[1:]), "float32")
        kept = min(self.takes, self.people)
        x[0, :kept] = self.recordings[number][:kept]
        return x[..., : len(self.preprocessor.channels)]


def table_of(results, names):
    return np.array([[result["probabilities"][name] for name in names] for result in results])


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 18))])
def test_all_ways_give_the_same_probabilities(seed, tmp_path):
    import ai_edge_litert.interpreter
    import onnxruntime
    import tensorflow as tf

    case = Case(seed, tmp_path)
    names = case.names_of_model
    wanted = table_of(predict_files(case.model_path, [case.store_path]), names)
    assert wanted.std(axis=0).max() > 1e-4, "the recordings differ"
    np.testing.assert_allclose(table_of(predict_files(case.model_path, [case.pickle_path]), names), wanted, atol=1e-4)
    with SkeletonStore(case.store_path) as store:
        found = evaluate_model(case.model_path, store, "all")
        np.testing.assert_allclose(found.probabilities, wanted, atol=1e-4)
        guesses = [names[row.argmax()] for row in wanted]
        right = np.mean([guess == case.names[label] for guess, label in zip(guesses, case.labels, strict=True)])
        assert found.result["top1"] == pytest.approx(right)
        if case.preprocessor.channels == list(case.channels):
            model = load_classifier(case.model_path)
            for number in range(len(store)):
                frames = store.frames[number]
                predictor = StreamingPredictor(model, window=int(frames), stride=int(frames), smoothing=0.0)
                (label,) = stream_recording(predictor, store.read(number))
                np.testing.assert_allclose(label.probabilities, wanted[number], atol=1e-4)
    for kind, suffix in (("saved-model", ""), ("onnx", ".onnx"), ("litert", ".tflite")):
        export_model(case.model_path, kind, tmp_path / f"exported{suffix}")
    served = tf.saved_model.load(str(tmp_path / "exported"))
    session = onnxruntime.InferenceSession(str(tmp_path / "exported.onnx"), providers=["CPUExecutionProvider"])
    interpreter = ai_edge_litert.interpreter.Interpreter(str(tmp_path / "exported.tflite"))
    for number in range(len(case.recordings)):
        x = case.raw(number)
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], x.shape)
        answers = {
            "SavedModel": served.serve(tf.constant(x))["probabilities"].numpy(),
            "ONNX": session.run(["probabilities"], {"keypoints": x})[0],
            "LiteRT": interpreter.get_signature_runner()(keypoints=x)["probabilities"],
        }
        for answer in answers.values():
            np.testing.assert_allclose(answer[0], wanted[number], atol=1e-4)
    more = np.zeros((3, case.takes + 1, *x.shape[2:]), "float32")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"keypoints: expected shape \(None, \d"):
        served.signatures["serving_default"](keypoints=tf.constant(more))
    with pytest.raises(Exception, match="(?i)invalid dimensions"):
        session.run(None, {"keypoints": more})


@pytest.mark.parametrize("seed", range(3))
def test_all_ways_refuse_the_same(seed, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    case, other = Case(seed, tmp_path / "one"), Case(seed + 1, tmp_path / "two")
    with pytest.raises(DataError, match="layout|channels") as told:
        predict_files(case.model_path, [other.store_path])
    with SkeletonStore(other.store_path) as store, pytest.raises(DataError) as again:
        evaluate_model(case.model_path, store, "all")
    reason = str(told.value).partition(": expected")[2].replace("the model", str(case.model_path))
    assert reason == str(again.value).partition(": expected")[2]
    with pytest.raises(ValueError, match="keypoints|joints"):
        StreamingPredictor(case.model_path).update({0: other.recordings[0][0, 0]})
