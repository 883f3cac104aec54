"""A training that was stopped ends with the same bits as one that was not: weights, optimiser, averages, history."""

import csv
import os
import signal
import sys
from pathlib import Path

import filelock
import keras
import numpy as np
import pytest

from keras_skelmae.models import load_model
from keras_skelmae.training import Interrupted, TrainingError, finetune, fitting, pretrain, runs
from keras_skelmae.training.checkpoints import Checkpoints
from keras_skelmae.training.runs import Run
from skelmae_datasets import DataError, SkeletonStore, convert_ntu
from skelmae_datasets.runs.settings import read_settings, resolve_settings
from skelmae_datasets.synthetic import write_dataset

TINY = ("epochs=3", "units=8", "encoder_layers=1", "num_frames=8", "batch_size=4", "warmup_epochs=1", "jit_compile=off")
TINY += ("ema_momentum=0.9", "streams=joint")
BACKBONE = ("num_layers=1", "temporal_units=[8,8]", "temporal_strides=[]", "body_streams=features")
SHARED = ("normalization=layer", "remask=token", "mask_parts=left_arm")  # trains a TrimmedMAE, of batches of one shape
KINDS = ("pretrain", "trimmed", "finetune", "compiled")  # the last is the first, as for a user
STEPS = 4  # per epoch: 18 sequences in batches of 4, without the rest


class Stop(keras.callbacks.Callback):
    """Send this process a signal after a number of steps."""

    def __init__(self, after, number=signal.SIGTERM):
        super().__init__()
        self.left, self.number = after, number

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module", autouse=True)
def eager_module(eager_module):
    """Trainings of a dozen steps are not worth tracing."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_dataset(folder / "raw", subjects=4, repetitions=2, actions=["wave", "squat", "kick"], frames=(12, 16))
    convert_ntu(folder / "raw", folder / "s.h5")
    store = SkeletonStore(folder / "s.h5")
    assert len(store.select("xsub_train")) == 4 * STEPS + 2
    return store


@pytest.fixture(scope="module")
def start(store, tmp_path_factory):
    """A pre-training of the whole backbone, for fine-tunings."""
    folder = tmp_path_factory.mktemp("start") / "run"
    asked = settings("pretrain", "objective=contrastive", "scope=backbone", *BACKBONE, "epochs=1")
    pretrain(store, "xsub_train", folder, asked, verbose=False)
    return folder


def settings(stage, *more):
    return resolve_settings(stage, overrides=(*TINY, *more))


def train(kind, store, start, folder, **options):
    """A training of one kind: "pretrain", "trimmed" (another one) or "finetune" (from ``start``)."""
    if kind != "finetune":
        asked = settings("pretrain", *(SHARED if kind == "trimmed" else ()))
        return pretrain(store, "xsub_train", folder, asked, verbose=False, **options)
    asked = settings("finetune")
    options = {"pretrained": start, "select": "best", "verbose": False, **options}
    return finetune(store, "xsub_train", "xsub_val", folder, asked, **options)


def history(folder):
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def assert_the_same(one, other):
    for a, b in zip(load_model(one).get_weights(), load_model(other).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history(one) == history(other)


@pytest.fixture(scope="module")
def whole(store, start, tmp_path_factory, eager):
    folder = tmp_path_factory.mktemp("whole")
    for kind in KINDS:
        with eager(kind != "compiled"):
            train(kind, store, start, folder / kind)
    return folder


@pytest.mark.parametrize(
    ("kind", "stops"),
    [
        ("compiled", (STEPS + 3,)),
        ("pretrain", (2,)),
        ("pretrain", (STEPS + 3, 1, STEPS)),
        ("trimmed", (STEPS + 3,)),
        ("finetune", (2,)),
        ("finetune", (STEPS + 3, 1, STEPS)),
    ],
)
def test_a_stopped_training_ends_the_same(kind, stops, store, start, whole, tmp_path, request):
    done = 0
    if kind == "compiled":
        request.getfixturevalue("compiled")
    for number, after in enumerate(stops):
        done += after
        with pytest.raises(Interrupted, match=f"SIGTERM after {done // STEPS} epochs and {done % STEPS} steps"):
            train(kind, store, start, tmp_path / "run", callbacks=(Stop(after),), resume=number > 0)
        assert not (tmp_path / "run" / "model.keras").exists()
    train(kind, store, start, tmp_path / "run", resume=True)
    assert_the_same(tmp_path / "run", whole / kind)
    assert not (tmp_path / "run" / "checkpoints").exists() and not (tmp_path / "run" / ".lock").exists()
    again = train(kind, store, start, tmp_path / "run", resume=True)  # finished: nothing to do
    assert again["stage"] == ("finetune" if kind == "finetune" else "pretrain") and len(history(tmp_path / "run")) == 3


def test_a_training_without_a_falling_rate_is_made_longer(store, start, tmp_path):
    asked = [settings("pretrain", "schedule=constant", f"epochs={epochs}") for epochs in (2, 3)]
    with pytest.raises(Interrupted):
        pretrain(store, "xsub_train", tmp_path / "run", asked[0], verbose=False, callbacks=(Stop(STEPS + 3),))
    pretrain(store, "xsub_train", tmp_path / "run", asked[1], verbose=False, resume=True)
    pretrain(store, "xsub_train", tmp_path / "whole", asked[1], verbose=False)
    assert_the_same(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(DataError, match="epochs: .* a finished one keeps no checkpoint to go on from, found 4"):
        pretrain(store, "xsub_train", tmp_path / "run", asked[1].replace(epochs=4), verbose=False, resume=True)


def test_checkpoints_by_time_and_a_damaged_one(store, start, whole, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runs, "SHARE", 1e-9)  # none at the ends of epochs
    with pytest.raises(Interrupted):
        train("pretrain", store, start, tmp_path / "run", callbacks=(Stop(STEPS + 3),), minutes=0)
    files = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [name.name[:21] for name in files] == [f"checkpoint-{STEPS + step:010d}" for step in (2, 3)]
    content = bytearray(files[1].read_bytes())
    content[len(content) // 2] ^= 1
    files[1].write_bytes(content)
    train("pretrain", store, start, tmp_path / "run", resume=True)
    assert f"{files[1]}: damaged; the checkpoint before it is used" in capsys.readouterr().err
    assert_the_same(tmp_path / "run", whole / "pretrain")


def test_all_checkpoints_damaged(tmp_path):
    files = Checkpoints(tmp_path)
    for steps in range(4):
        files.save(steps, {"a": np.arange(steps + 1)}, {"step": steps})
    assert [path.name[:21] for path in sorted(files.folder.iterdir())] == [
        "checkpoint-0000000002",
        "checkpoint-0000000003",
    ]
    arrays, state, damaged = files.load()
    assert (arrays["a"].tolist(), state, damaged) == ([0, 1, 2, 3], {"step": 3}, [])
    for path in files.folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="expected a whole checkpoint, found 2 damaged"):
        files.load()


def test_a_lock_dies_with_its_owner_and_not_before(store, start, tmp_path):
    (tmp_path / "run").mkdir()
    with (
        filelock.FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(DataError, match="expected no other process that writes it, found one that is running"),
    ):
        train("pretrain", store, start, tmp_path / "run")
    (tmp_path / "run" / ".part-model-abc.keras").write_text("what a killed process left")
    train("pretrain", store, start, tmp_path / "run")
    assert not list((tmp_path / "run").glob(".*"))


def test_another_run_is_not_gone_on_with(store, start, tmp_path):
    with pytest.raises(Interrupted):
        train("pretrain", store, start, tmp_path, callbacks=(Stop(1, signal.SIGINT),))
    with pytest.raises(DataError, match="expected a new run folder, found an unfinished run; --resume goes on"):
        train("pretrain", store, start, tmp_path)
    with pytest.raises(DataError, match="learning_rate: expected 0.001 as the run to go on with has, found 0.5"):
        pretrain(store, "xsub_train", tmp_path, settings("pretrain", "learning_rate=0.5"), resume=True)
    with pytest.raises(
        DataError, match="run.json: train: expected --train-split: the one that the run began with, found another"
    ):
        pretrain(store, "xsub_val", tmp_path, settings("pretrain"), resume=True)
    write_dataset(tmp_path / "raw", subjects=4, repetitions=2, actions=["wave", "squat", "kick"], seed=1)
    convert_ntu(tmp_path / "raw", tmp_path / "other.h5")
    with SkeletonStore(tmp_path / "other.h5") as other:
        with pytest.raises(DataError, match="fingerprint: .* --force goes on with other data"):
            train("pretrain", other, start, tmp_path, resume=True)
        train("pretrain", other, start, tmp_path, resume=True, force=True)
    assert len(history(tmp_path)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": 16}, "units: expected 8 as the run to go on with has, found 16"),
        ({"flip": 0.5}, "flip: expected 0.0 as the run to go on with has, found 0.5"),
        ({"temporal_units": (8, 4)}, r"temporal_units: expected \(8, 8\) as the run to go on with has, found \(8, 4\)"),
        ({"temporal": "last"}, "temporal: expected 'body' as the run to go on with has, found 'last'"),
        ({"epochs": 4, "seed": 1}, "seed: expected 0 as the run to go on with has, found 1"),
        ({"mask": "joints", "momentum": 0.1, "node_drop": 0.5}, None),  # none has an effect in this training
    ],
)
def test_another_setting_is_named_before_anything_is_trained(changes, message, tmp_path):
    asked, identity = settings("finetune", *BACKBONE), {"select": "best", "fingerprint": "abc"}
    with Run(tmp_path, asked, identity):
        pass
    if message is None:
        with Run(tmp_path, asked.replace(**changes), identity, resume=True) as run:
            assert run.finished is None
        return
    with (
        pytest.raises(DataError, match=f"config.toml: {message}$"),
        Run(tmp_path, asked.replace(**changes), identity, True),
    ):
        pass
    assert read_settings(tmp_path / "config.toml", "finetune").to_toml() == asked.to_toml()


def test_another_identity_is_named(tmp_path):
    asked, identity = settings("finetune"), {"select": "best", "fingerprint": "abc"}
    with Run(tmp_path, asked, identity):
        pass
    for key, message in (
        ("select", "run.json: select: expected best as the run to go on with has, found last$"),
        (
            "fingerprint",
            "run.json: fingerprint: expected the data: .*, found another; --force goes on with other data$",
        ),
    ):
        with pytest.raises(DataError, match=message), Run(tmp_path, asked, {**identity, key: "last"}, resume=True):
            pass
    with Run(tmp_path, asked, {**identity, "fingerprint": "other"}, resume=True, force=True):
        pass
    other = Run(tmp_path, asked, {**identity, "select": "last"}, resume=True, force=True)  # is no matter of data
    with pytest.raises(DataError, match="select: expected best"), other:
        pass


def test_what_no_training_began_is_not_gone_on_with(tmp_path):
    (tmp_path / "model.keras").touch()  # of a fusion
    message = "model.keras: expected a new run folder, found a finished run"
    with pytest.raises(DataError, match=message), Run(tmp_path, settings("finetune"), {}, resume=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_a_loss_that_is_not_finite_names_its_samples(store, start, tmp_path):
    """At the first step with a finite loss of before, so that the checkpoint of epoch 1 is what is left."""

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.set_weights([np.full_like(weight, np.nan) for weight in self.model.get_weights()])

    with pytest.raises(TrainingError) as caught:
        train("pretrain", store, start, tmp_path / "run", callbacks=(Spoil(),))
    message = str(caught.value)
    assert "epoch 2, step 1: loss: expected a finite number, found nan; samples S0" in message
    named = message.partition("samples ")[2].partition(";")[0].split(", ")
    assert len(named) == 4 and set(named) <= set(store.ids)
    (kept,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert kept.name.startswith(f"checkpoint-{STEPS:010d}")
    with np.load(kept) as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files if name != "state")


def test_a_state_that_is_not_finite_is_not_written(store, start, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == STEPS - 1:
                self.model.set_weights([np.full_like(weight, np.nan) for weight in self.model.get_weights()])

    with pytest.raises(TrainingError, match="epoch 2, step 0: model/0: expected finite numbers"):
        train("pretrain", store, start, tmp_path / "run", callbacks=(Spoil(),))
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_a_batch_that_does_not_fit(store, tmp_path):
    with pytest.raises(TrainingError, match="batch_size: expected a batch that fits into memory, found 4 sequences"):
        pretrain(store, "xsub_train", tmp_path / "run", settings("pretrain", "num_frames=10000000000"), verbose=False)


def test_signals_are_given_back(store, start, tmp_path):
    before = [signal.getsignal(number) for number in fitting.SIGNALS]
    with pytest.raises(Interrupted) as caught:
        train("pretrain", store, start, tmp_path / "run", callbacks=(Stop(1, signal.SIGINT),))
    assert caught.value.number == signal.SIGINT
    assert [signal.getsignal(number) for number in fitting.SIGNALS] == before


def test_the_harness_kills_and_compares(tmp_path):
    """Two kills of a conversion; the trainings are killed by hand (README), for a process of theirs takes seconds."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        from kill_harness import Conversion, disturb
    finally:
        sys.path.pop(0)
    write_dataset(tmp_path / "raw", subjects=4, repetitions=4, actions=["wave", "squat", "kick"])
    figures = disturb(Conversion(tmp_path / "raw"), 2, tmp_path, seed=0)
    assert (figures["runs"], figures["kills"], figures["identical"]) == (2, 3, 2)
