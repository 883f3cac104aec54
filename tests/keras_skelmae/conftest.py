"""Tiny stores, clips and models that the tests of this folder share."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae import models
from skelmae_cli.main import cli
from skelmae_datasets import Sample, SkeletonLayout, SkeletonStore, StoreWriter, convert_ntu
from skelmae_datasets.runs.settings import resolve_settings
from skelmae_datasets.synthetic import write_dataset


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two subjects, three repetitions of two actions: 12 sequences, open."""
    folder = tmp_path_factory.mktemp("store")
    write_dataset(folder / "raw", subjects=2, repetitions=3, actions=["wave", "squat"])
    convert_ntu(folder / "raw", folder / "s.h5")
    with SkeletonStore(folder / "s.h5") as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def eager_module(eager_module):
    """Every test here runs eagerly; those about compiling ask for ``eager(False)``."""


STORES = {  # kind: layout, channels, (height, width), where the middle is, how far joints are from it
    "2d": ("coco17", ("x", "y"), (1080, 1920), 500.0, 80.0),
    "3d": ("ntu25", ("x", "y", "z"), (0, 0), 3.0, 0.5),
    "score": ("coco17", ("x", "y", "score"), (1080, 1920), 500.0, 80.0),
    "small_images": ("coco17", ("x", "y"), (240, 320), 120.0, 20.0),
}


@pytest.fixture(scope="session")
def tiny_stores(tmp_path_factory):
    """{kind of STORES: store} of eight random recordings of one or two people, two classes; splits train and test."""
    folder, opened = tmp_path_factory.mktemp("tiny"), {}
    for kind, (layout, channels, size, middle, spread) in STORES.items():
        rng, dims = np.random.default_rng(0), 3 if "z" in channels else 2
        path = folder / f"{kind}.h5"
        with StoreWriter(path, layout=layout, classes=["a", "b"], channels=channels) as writer:
            shape = (writer.layout.num_joints, len(channels))
            for number in range(8):
                x = rng.normal(middle, spread, (1 + number % 2, 10 + number, *shape)).astype("float32")
                x[..., dims:] = rng.random(x[..., dims:].shape)
                x[0, 2] = x[-1, :, 3] = 0  # a frame without the person, a joint nobody saw
                writer.append(Sample(f"{kind}-{number}", x, number // 2 % 2, subject=number // 4, image_size=size))
            ids = list(writer.ids)
            writer.set_splits({"train": ids[:6], "test": ids[6:]})
        opened[kind] = SkeletonStore(path)
    yield opened
    for store in opened.values():
        store.close()


class Tiny:
    """Small models of every class and inputs for them. Settings go where ``from_preset`` would send them."""

    # elsewhere compiling takes longer than the few steps of a test
    jit = keras.config.backend() == "jax"
    sizes = {"num_frames": 8, "num_people": 2, "units": 8, "encoder_layers": 2}
    each = {"num_layers": 2, "temporal": "each", "temporal_strides": (2, 1), "streams": ("joint", "motion")}
    body = {
        "num_layers": 2,
        "temporal": "body",
        "temporal_strides": (2, 2),
        "streams": ("joint", "motion", "distance"),
        "body_streams": ("features", "motion2", "joint", "motion", "bone", "relative", "distance"),
        "temporal_units": (12, 10, 6),
    }

    @staticmethod
    def clips(count=3, people=2, joints=17, channels=2, frames=8, seed=0):
        """(B, M, T, V, C) float32, pixels."""
        shape = (count, people, frames, joints, channels)
        return np.random.default_rng(seed).normal(300, 50, shape).astype("float32")

    @staticmethod
    def masked(x, joints=(7, 9)):
        """The input of a SkeletonMAE."""
        mask = np.zeros(x.shape[:-1], bool)
        mask[..., list(joints)] = True
        return {"keypoints": x, "mask": mask}

    @staticmethod
    def views(x):
        """The input of a ContrastiveModel: clips, and the same with some noise."""
        noise = np.random.default_rng(1).normal(0, 5, x.shape).astype("float32")
        return {"keypoints": x, "other": x + noise}

    @staticmethod
    def relabelled(layout, order):
        """The same skeleton with joint j at place ``order[j]``."""
        order = [int(place) for place in order]

        def pairs(items):
            return tuple((order[a], order[b]) for a, b in items)

        return SkeletonLayout(
            "relabelled",
            tuple(layout.joints[j] for j in np.argsort(order)),
            pairs(layout.edges),
            pairs(layout.mirror_pairs),
            {name: tuple(order[j] for j in part) for name, part in layout.parts.items()},
            order[layout.root],
            bones=pairs(layout.bones),
        )

    def preprocessor(self, layout="coco17", **options):
        names = ("channels", "num_frames", "num_people", "units", "normalize", "image_size", "sampling")
        options = {**self.sizes, **options, "units": options.get("data_units", "pixels")}
        return models.SkeletonPreprocessor(layout, **{key: options[key] for key in names if key in options})

    def encoder(self, layout="coco17", **options):
        return models.SkeletonEncoder.from_settings({**self.sizes, **options}, self.preprocessor(layout, **options))

    def mae(self, layout="coco17", encoder=None, num_people=1, **options):
        """A SkeletonMAE of clips of so many people."""
        own = {key: value for key, value in options.items() if key in models.SkeletonMAE.accepted()}
        own = {key: own[key] for key in ("target", "remedy", "loss_function", "beta", "remask") if key in own}
        return models.SkeletonMAE(encoder or self.encoder(layout, **options), num_people, **own)

    def backbone(self, layout="coco17", **options):
        options = {**self.sizes, "num_layers": 2, **options}
        return models.STRLBackbone.from_settings(options, self.preprocessor(layout, **options))

    def classifier(self, layout="coco17", num_classes=4, **options):
        options = {**self.sizes, "num_layers": 2, "num_classes": num_classes, **options}
        return models.STRLClassifier.from_settings(options, self.preprocessor(layout, **options))

    def contrastive(self, layout="coco17", **options):
        options = {**self.sizes, "num_layers": 2, "projection_units": 6, **options}
        return models.ContrastiveModel.from_settings(options, self.preprocessor(layout, **options))

    def forward(self, model, x):
        """What a model gives, not training; with JAX compiled whole, for it compiles every operation by itself else."""
        if keras.config.backend() != "jax":
            return model(x, training=False)
        import jax

        def call(trainable, others, x):
            return model.stateless_call(trainable, others, x, training=False)[0]

        kept = ([one.value for one in model.trainable_variables], [one.value for one in model.non_trainable_variables])
        return jax.jit(call)(*kept, x)

    @staticmethod
    def array(tensor):
        """NumPy float or bool array of what a model gives."""
        return keras.ops.convert_to_numpy(tensor)

    def predict(self, model, x):
        """What a model gives, as a NumPy array; of a dict its features or its reconstruction."""
        found = self.forward(model, x)
        if isinstance(found, dict):
            found = found["features"] if "features" in found else found["reconstruction"]
        return self.array(found)

    def fit(self, model, x, y=None, loss=None, optimizer=None, epochs=1):
        """Compile a model the way that is soonest done here, train it on one batch, return the history."""
        eagerly = not self.jit and epochs < 4
        model.compile(optimizer or keras.optimizers.Adam(1e-2), loss, jit_compile=self.jit, run_eagerly=eagerly)
        return model.fit(x, y, epochs=epochs, batch_size=16, verbose=0, shuffle=False).history


@pytest.fixture(scope="session")
def tiny():
    """See Tiny."""
    return Tiny()


SECONDS = ("units=8", "encoder_layers=1", "num_frames=8", "streams=joint", "jit_compile=off")
SECONDS += ("epochs=3", "batch_size=8", "warmup_epochs=0")
SECONDS_BODY = ("num_layers=1", "temporal_units=[8,8]", "body_streams=features,motion2", "temporal_strides=[]")


@pytest.fixture(scope="session")
def tiny_settings():
    """A function (stage, *overrides) to the Settings of a training of seconds."""

    def resolve(stage, *overrides):
        body = SECONDS_BODY if stage == "finetune" else ()
        return resolve_settings(stage, overrides=(*SECONDS, *body, *overrides))

    return resolve


@pytest.fixture(scope="session")
def runs(tmp_path_factory, eager):
    """A folder: s.h5, twelve sequences of three actions, and the runs pre and fine of the commands, with reports."""
    folder = tmp_path_factory.mktemp("runs")
    actions = ["wave", "squat", "handshake"]
    write_dataset(folder / "raw", subjects=4, repetitions=1, actions=actions, frames=(10, 20))
    (folder / "raw" / "classes.txt").write_text('wave <both> & "all"\nsquat\nhandshake\n', encoding="utf-8")
    convert_ntu(folder / "raw", folder / "s.h5")
    trained, more = ("--train-split", "xsub_train", "--output"), ("validation_fraction=0.4",)
    for stage, name, own in (("pretrain", "pre", ()), ("finetune", "fine", (*SECONDS_BODY, *more))):
        line = [stage, folder / "s.h5", *trained, folder / name, *(f"--set={item}" for item in (*SECONDS, *own))]
        line += ["--pretrained", folder / "pre"] if name == "fine" else []
        with eager():
            done = CliRunner().invoke(cli, [str(word) for word in line])
        assert done.exit_code == 0, (done.output, done.exception)
    return folder
