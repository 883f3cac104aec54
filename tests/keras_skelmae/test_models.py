"""Rules every model keeps, asked of one small trained model of each class; what is particular has files of its own."""

import copy
import dataclasses
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_skelmae import models

FEATURES = {"features": "mse", "presence": None}  # the loss of a network that has none of its own
BODY = {"num_layers": 1, "temporal": "body", "temporal_units": (8, 8), "temporal_strides": (2,)}
EACH = {"num_layers": 1, "temporal": "each", "temporal_strides": (2,)}
TASKS = ("ContrastiveModel", "Ensemble", "MotionCompletion", "STRLClassifier", "SkeletonMAE")


def make_encoder(tiny):
    encoder = tiny.encoder(encoder_layers=1, streams=("joint", "motion"), joint_positions=True)
    return encoder, tiny.clips(), {"features": np.zeros((3, 2, 8, 17, 8)), "presence": np.zeros((3, 2, 8))}, FEATURES


def make_backbone(tiny):
    backbone = tiny.backbone(encoder_layers=1, **BODY)
    return backbone, tiny.clips(), {"features": np.zeros((3, 2, 2, 1, 8)), "presence": np.zeros((3, 2, 2))}, FEATURES


def make_mae(tiny):
    mae = tiny.mae(encoder_layers=1, streams=("joint", "motion"), joint_positions=True, beta=1.5)
    return mae, tiny.masked(tiny.clips(people=1)), None, None


def make_classifier(tiny):
    net = tiny.classifier(encoder_layers=1, class_names=list("abcd"), time_pooling="mean+max", dropout_rate=0.1, **EACH)
    return net, tiny.clips(), np.eye(4, dtype="float32")[:3], "categorical_crossentropy"


def make_contrastive(tiny):
    encoder = tiny.encoder(encoder_layers=1)
    return models.ContrastiveModel(encoder, projection_units=6, temperature=0.3), tiny.views(tiny.clips()), None, None


def make_completion(tiny):
    model = models.MotionCompletion(tiny.backbone(encoder_layers=1, num_people=1, **BODY), num_classes=4)
    rng, x = np.random.default_rng(0), tiny.views(tiny.clips(people=1))
    clean = rng.normal(size=(3, 2, 8, 17, 3)).astype("float32")
    given = {"known": (rng.random((3, 2, 8, 17)) < 0.9).astype("float32"), "label": np.array([0, -1, 3], "int32")}
    return model, {**x, "clean": clean, **given}, None, None


def make_ensemble(tiny):
    options = {"encoder_layers": 1, "num_layers": 1, "head_units": 0, "share_people": True}
    members = [tiny.classifier(**options), tiny.classifier(streams=("bone",), **options)]
    y = np.eye(4, dtype="float32")[:3]
    return models.Ensemble(members, (2, 1), mirror=True), tiny.clips(), y, "categorical_crossentropy"


MAKERS = {
    "ContrastiveModel": make_contrastive,
    "Ensemble": make_ensemble,
    "MotionCompletion": make_completion,
    "STRLBackbone": make_backbone,
    "STRLClassifier": make_classifier,
    "SkeletonEncoder": make_encoder,
    "SkeletonMAE": make_mae,
}
every_model = pytest.mark.parametrize("name", MAKERS)


@dataclasses.dataclass
class Made:
    """A model after one training step, and what a rule asks of it."""

    model: keras.Model
    inputs: object
    before: list  # its weights before the step
    history: dict
    outputs: list  # of the trained model
    folder: Path  # to which it was saved


def outputs(tiny, model, inputs):
    return [tiny.array(output) for output in keras.tree.flatten(tiny.forward(model, inputs))]


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """{class name: Made}, each made when it is asked for first."""
    found, folder = {}, tmp_path_factory.mktemp("models")

    def get(name):
        if name not in found:
            keras.utils.set_random_seed(0)
            model, inputs, y, loss = MAKERS[name](tiny)
            before = model.get_weights()
            history = tiny.fit(model, inputs, y, loss)
            model.save_to_preset(folder / name)
            answer = outputs(tiny, model, inputs)
            found[name] = Made(model, inputs, before, history, answer, folder / name)
        return found[name]

    return get


def assert_same(found, expected, **options):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **{"rtol": 1e-5, "atol": 1e-5, **options})


def test_every_public_model_is_checked():
    public = (getattr(models, name) for name in models.__all__)
    assert {kind.__name__ for kind in public if isinstance(kind, type) and issubclass(kind, keras.Model)} == set(MAKERS)


@every_model
def test_a_step_changes_weights_and_its_loss_is_finite(name, made):
    found = made(name)
    assert np.isfinite(found.history["loss"]).all()
    after = found.model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    changed = [bool((one != other).any()) for one, other in zip(found.before, after, strict=True)]
    assert sum(changed) > len(changed) / 2


@every_model
def test_config_survives_json(name, made):
    model = made(name).model
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    assert config["registered_name"] == f"keras_skelmae>{name}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(model) and again.get_config() == model.get_config()


@every_model
def test_a_config_gives_the_same_weights_shapes_and_names(name, made):
    model = made(name).model
    again = type(model).from_config(model.get_config())
    assert type(again) is type(model)
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]
    assert len({weight.path for weight in model.weights}) == len(model.weights), "a path is one weight's"
    assert [variable.trainable for variable in again.weights] == [variable.trainable for variable in model.weights]


@every_model
def test_weights_rebuild_the_output(name, made, tiny):
    found = made(name)
    again = type(found.model).from_config(found.model.get_config())
    again.set_weights(found.model.get_weights())
    assert_same(outputs(tiny, again, found.inputs), found.outputs)


@every_model
def test_a_file_gives_the_same_outputs(name, made, tiny):
    found = made(name)
    again = keras.saving.load_model(found.folder / "model.keras", safe_mode=True)
    assert type(again) is type(found.model)
    assert again.get_config() == found.model.get_config()
    assert again.preprocessor.get_config() == found.model.preprocessor.get_config()
    assert_same(outputs(tiny, again, found.inputs), found.outputs)
    assert int(again.optimizer.iterations) == 1, "training can go on from a file"


@every_model
def test_a_preset_gives_the_same_outputs(name, made, tiny):
    found = made(name)
    again = type(found.model).from_preset(found.folder)
    assert type(again) is type(found.model)
    assert_same(outputs(tiny, again, found.inputs), found.outputs)


@every_model
def test_a_preset_gives_an_architecture_with_new_weights(name, made):
    found = made(name)
    fresh = type(found.model).from_preset(found.folder, load_weights=False)
    assert fresh.get_config() == found.model.get_config()
    pairs = zip(fresh.get_weights(), found.model.get_weights(), strict=True)
    assert any(np.abs(one - other).max() > 1e-3 for one, other in pairs)


PARTS = [
    ("SkeletonMAE", "SkeletonEncoder"),
    ("STRLClassifier", "STRLBackbone"),
    ("ContrastiveModel", "SkeletonEncoder"),
]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_preset_gives_the_part_that_is_asked_for(name, part, made, tiny):
    made_of, x = made(name), tiny.clips(seed=5)
    found = getattr(models, part).from_preset(made_of.folder)
    assert type(found).__name__ == part
    own = made_of.model.encoder if name == "SkeletonMAE" else made_of.model.backbone
    assert_same(outputs(tiny, found, x), outputs(tiny, own, x))
    with pytest.raises(ValueError, match=f"expected a folder with a Ensemble .*found a {name}"):
        models.Ensemble.from_preset(made_of.folder)


@every_model
def test_symbolic_shape_is_the_eager_shape(name, made):
    found = made(name)
    symbolic = keras.tree.map_structure(
        lambda x: keras.KerasTensor((None, *x.shape[1:]), dtype=str(x.dtype)), found.inputs
    )
    specs = keras.tree.flatten(found.model(symbolic))
    assert [spec.shape[1:] for spec in specs] == [output.shape[1:] for output in found.outputs]
    assert [spec.dtype == "bool" for spec in specs] == [output.dtype == bool for output in found.outputs]
    shape = keras.tree.flatten(found.model.compute_output_spec(symbolic))[0].shape
    assert shape[0] is None, "a batch may have any size"


@every_model
def test_a_batch_may_have_any_size(name, made, tiny):
    found = made(name)
    first = keras.tree.map_structure(lambda x: x[:1], found.inputs)
    assert_same(outputs(tiny, found.model, first), [output[:1] for output in found.outputs], rtol=1e-4, atol=1e-4)


@every_model
def test_a_deep_copy_is_the_same_and_independent(name, made, tiny):
    found = made(name)
    again = copy.deepcopy(found.model)
    assert type(again) is type(found.model)
    assert_same(outputs(tiny, again, found.inputs), found.outputs)
    again.set_weights([np.zeros_like(weight) for weight in again.get_weights()])
    assert_same(outputs(tiny, found.model, found.inputs), found.outputs)


@every_model
def test_a_summary_tells_layers_and_parameters(name, made):
    model, lines = made(name).model, []
    model.summary(print_fn=lines.append, line_length=120)
    text = "\n".join(lines)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert f'"{model.name}"' in text and f"Trainable params: {trainable:,} (" in text
    assert all(layer.name[:20] in text for layer in model.layers)


@every_model
def test_keras_clones_the_graph_of_a_model(name, made, tiny):
    """``clone_model`` gives a plain functional model: the same graph on new weights, without class and preprocessor.

    Keras does so with every functional model whose constructor takes other arguments than inputs and outputs. What
    gives the class is ``from_config`` or ``copy.deepcopy``.
    """
    found = made(name)
    clone = keras.models.clone_model(found.model)
    assert type(clone).__name__ == "Functional" and not hasattr(clone, "preprocessor")
    assert [weight.shape for weight in clone.weights] == [weight.shape for weight in found.model.weights]
    shapes = [output.shape for output in found.outputs]
    assert [output.shape for output in outputs(tiny, clone, found.inputs)] == shapes
    assert not {id(variable) for variable in clone.variables} & {id(variable) for variable in found.model.variables}
    clone.set_weights(found.model.get_weights())
    assert_same(outputs(tiny, clone, found.inputs), found.outputs)
    clone.set_weights([np.zeros_like(weight) for weight in clone.get_weights()])
    assert_same(outputs(tiny, found.model, found.inputs), found.outputs)


def own_arguments(kind):
    parameters = list(inspect.signature(kind.__init__).parameters.values())
    return [
        one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name not in ("self", "name")
    ]


@every_model
def test_constructors_stay_small(name):
    arguments = own_arguments(getattr(models, name))
    assert 1 <= len(arguments) <= (9 if name in TASKS else 16)


@every_model
def test_every_argument_is_in_the_config(name, made):
    model = made(name).model
    assert set(model.get_config()) == {*own_arguments(type(model)), "name"}


@every_model
def test_a_name_can_be_given_and_is_kept(name, made):
    model = made(name).model
    again = type(model).from_config({**model.get_config(), "name": "of_my_own"})
    assert again.name == again.get_config()["name"] == "of_my_own"


@every_model
def test_a_frozen_model_comes_back_frozen(name, made):
    model = made(name).model
    model.trainable = False
    try:
        again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    finally:
        model.trainable = True
    assert not again.trainable and not again.trainable_weights and again.weights
    again.trainable = True
    assert "trainable" not in again.get_config()
    assert len(again.trainable_weights) == len(model.trainable_weights)


def test_a_classifier_of_a_frozen_backbone_comes_back_so(tiny, tmp_path):
    net = tiny.classifier(encoder_layers=1, **EACH)
    net.backbone.trainable = False
    net.save_to_preset(tmp_path)
    again = models.STRLClassifier.from_preset(tmp_path)
    assert len(again.trainable_weights) == len(net.trainable_weights) < len(net.weights)
    assert not again.backbone.trainable_weights and again.trainable
    thawed = tiny.backbone(encoder=net.backbone.encoder_config, num_layers=1)
    assert thawed.trainable_weights


@every_model
def test_a_precision_of_one_model_is_refused(name, made):
    model = made(name).model
    with pytest.raises(ValueError, match="set_dtype_policy"):
        type(model).from_config({**model.get_config(), "dtype": "float16"})


@pytest.mark.parametrize(
    ("order", "names"),
    [("import keras, keras_skelmae", [*MAKERS][::2]), ("import keras_skelmae, keras", [*MAKERS][1::2])],
    ids=["keras first", "ours first"],
)
def test_loading_in_a_fresh_process(order, names, made, tmp_path):
    for name in names:
        inputs = made(name).inputs
        np.savez(tmp_path / f"{name}.npz", **(inputs if isinstance(inputs, dict) else {"x": inputs}))
    code = (
        f"{order}\nimport numpy as np, sys\n"
        "for file in sys.argv[1:]:\n"
        "    model = keras.saving.load_model(f'{file}/model.keras', safe_mode=True)\n"
        "    name = type(model).__name__\n"
        "    x = dict(np.load(f'{name}.npz'))\n"
        "    outputs = keras.tree.flatten(model(x.get('x', x), training=False))\n"
        "    np.savez(f'{name}-found.npz', *map(keras.ops.convert_to_numpy, outputs))\n"
        "    print(name, int(model.optimizer.iterations))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *(str(made(name).folder) for name in names)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [word for name in names for word in (name, "1")]
    for name in names:
        with np.load(tmp_path / f"{name}-found.npz") as file:
            assert_same([file[key] for key in sorted(file)], made(name).outputs)
