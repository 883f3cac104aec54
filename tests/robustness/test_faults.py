"""What goes wrong around a command ends with one line that names it, and with nothing half-written."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.training import fitting
from skelmae_cli.main import cli
from skelmae_datasets import convert_ntu
from skelmae_datasets.synthetic import write_dataset

TINY = ("units=8", "encoder_layers=1", "num_frames=8", "warmup_epochs=0", "jit_compile=off", "streams=joint")
TINY = [f"--set={setting}" for setting in (*TINY, "epochs=2", "batch_size=8")]
BODY = [f"--set={setting}" for setting in ("num_layers=1", "temporal_units=[8,8]", "temporal_strides=[]")]
BODY += ["--set=body_streams=features", "--set=mirror=off"]
SPLITS = ("--train-split", "xsub_train", "--val-split", "xsub_val")


@pytest.fixture(scope="module", autouse=True)
def eager_module(eager_module):
    """What goes wrong around a training does so before a step is traced, too."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store, and the run of a classifier in it."""
    folder = tmp_path_factory.mktemp("faults")
    write_dataset(folder / "raw", subjects=4, repetitions=2, actions=["wave", "squat", "kick"], frames=(12, 16))
    convert_ntu(folder / "raw", folder / "s.h5")
    line = ("finetune", folder / "s.h5", *SPLITS, "--output", folder / "fine", "--no-report", *TINY, *BODY)
    status, output = skelmae(*line)
    assert status == 0, output
    return folder


def skelmae(*arguments):
    """(exit status, output) of a command."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def pretrain(folder, output, *more):
    line = ("pretrain", folder / "s.h5", "--train-split", "xsub_train", "--output", output, "--no-report", *TINY)
    return skelmae(*line, *more)


def message(outcome, status=1):
    assert outcome[0] == status, outcome
    lines = [line for line in outcome[1].splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, outcome[1]
    return lines[0]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_with_its_status_and_resume_goes_on(folder, tmp_path, monkeypatch, number, status):
    def kill(self, batch, logs=None, before=fitting.StopOnNonFinite.on_train_batch_end):
        before(self, batch, logs)
        monkeypatch.undo()
        os.kill(os.getpid(), number)

    monkeypatch.setattr(fitting.StopOnNonFinite, "on_train_batch_end", kill)
    told = message(pretrain(folder, tmp_path / "run"), status)
    assert told.endswith(f"stopped by {signal.Signals(number).name} after 0 epochs and 1 steps; --resume goes on")
    assert "found an unfinished run; --resume goes on with it" in message(pretrain(folder, tmp_path / "run"))
    told = message(pretrain(folder, tmp_path / "run", "--resume", "--set=epochs=9"))
    assert "config.toml: epochs: expected 2 as the run to go on with has; with schedule = cosine the rate" in told
    bare = ("pretrain", folder / "s.h5", "--output", tmp_path / "run", "--no-report", "--resume", "--train-split")
    assert "run.json: train: expected" in message(skelmae(*bare, "xsub_val"))
    status, output = skelmae(*bare, "xsub_train")  # the settings are those of the run
    assert status == 0 and "metrics.json" in output


def limited(*arguments, size):
    """A `skelmae` process that cannot write files of more than `size` bytes, as on a disk that is full."""
    code = "import sys; from skelmae_cli.main import cli; cli(sys.argv[1:], prog_name='skelmae')"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    return done.returncode, done.stderr


def test_a_full_disk_while_training(folder, tmp_path):
    line = ("pretrain", folder / "s.h5", "--train-split", "xsub_train", "--output", tmp_path / "run", "--no-report")
    told = message(limited(*line, *TINY, size=20_000))
    assert "File too large" in told and str(tmp_path / "run") in told
    left = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert left <= {".lock", "config.toml", "run.json", "history.csv", "train_ids.txt"}, left
    status, output = pretrain(folder, tmp_path / "run", "--resume")
    assert status == 0, output


def test_a_full_disk_while_converting(folder, tmp_path):
    told = message(limited("convert-ntu", folder / "raw", tmp_path / "out.h5", size=20_000))
    assert "out.h5" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["pretrain", "convert"])
def test_an_output_that_cannot_be_written(folder, command):
    """/proc takes no files, from nobody."""
    if command == "pretrain":
        told = message(pretrain(folder, "/proc/skelmae/run"))
    else:
        told = message(skelmae("convert-ntu", folder / "raw", "/proc/skelmae/out.h5"))
    assert "/proc/skelmae" in told and "No such file" in told


def test_a_recording_that_vanishes(tmp_path, monkeypatch):
    from skelmae_datasets.readers import ntu

    def gone(path, *options, read=ntu.read_people):
        if "A002" in str(path):
            path.unlink(missing_ok=True)
        return read(path, *options)

    monkeypatch.setattr(ntu, "read_people", gone)
    for strict in (False, True):
        files = write_dataset(tmp_path / "raw", subjects=1, repetitions=1, actions=["wave", "squat"], frames=(12, 16))
        (name,) = (path.name for path in files if "A002" in path.name)
        outcome = skelmae("convert-ntu", tmp_path / "raw", tmp_path / f"{strict}.h5", *["--strict"] * strict)
        if strict:
            assert name in message(outcome) and "No such file" in message(outcome)
            assert not list(tmp_path.glob("*True.h5*"))
        else:
            assert outcome[0] == 0 and "1 left out" in outcome[1] and name in outcome[1]


def test_a_batch_that_does_not_fit_into_memory(folder, tmp_path):
    told = message(pretrain(folder, tmp_path / "run", "--set", "num_frames=10000000000"))
    assert "batch_size: expected a batch that fits into memory, found 8 sequences that do not" in told


def test_a_loss_that_is_not_finite(folder, tmp_path):
    told = message(pretrain(folder, tmp_path / "run", "--set", "learning_rate=1e30"))
    assert "loss: expected a finite number, found" in told and "samples S0" in told


def test_two_processes_with_one_run(folder, tmp_path):
    import filelock

    (tmp_path / "run").mkdir()
    with filelock.FileLock(tmp_path / "run" / ".lock"):
        assert "expected no other process that writes it" in message(pretrain(folder, tmp_path / "run"))
        assert "expected no other process that writes it" in message(pretrain(folder, tmp_path / "run", "--resume"))


def test_evaluation_on_what_was_trained_on(folder):
    line = ("evaluate", folder / "fine", folder / "s.h5", "--no-report", "--test-split")
    told = message(skelmae(*line, "all"))
    assert "split all: expected sequences that the model was not trained on, found 18 of 24 that it was (S0" in told
    assert skelmae(*line, "xsub_val")[0] == 0
    status, output = skelmae(*line, "all", "--allow-overlap", "--json")
    assert status == 0 and json.loads(output[output.index("{") :])["num_samples"] == 24


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "config.toml"])
def test_damaged_files_of_a_run(folder, tmp_path, name):
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "config.toml").write_bytes((folder / "fine" / "config.toml").read_bytes())
        (tmp_path / "run.json").write_bytes((folder / "fine" / "run.json").read_bytes())
        (tmp_path / name).write_bytes(content)
        line = ("finetune", folder / "s.h5", *SPLITS, "--output", tmp_path, "--resume", "--no-report")
        told = message(skelmae(*line))
        assert name in told


def test_a_config_that_is_no_text(folder, tmp_path):
    (tmp_path / "c.toml").write_bytes(b"epochs = \xff")
    told = message(pretrain(folder, tmp_path / "run", "--config", tmp_path / "c.toml"))
    assert "c.toml: not TOML: expected UTF-8" in told


def repacked(source, target, compression=zipfile.ZIP_STORED, **members):
    """A copy of a .keras file with some members other, or more."""
    with zipfile.ZipFile(source) as archive:
        content = {name: archive.read(name) for name in archive.namelist()} | members
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target


def config_of(source):
    with zipfile.ZipFile(source) as archive:
        return json.loads(archive.read("config.json"))


def linked_weights(source, change):
    with zipfile.ZipFile(source) as archive:
        buffer = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(buffer, "a") as weights:
        names = []
        weights.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        change(weights, names[0])
    return buffer.getvalue()


def far_away(source):
    """Weights whose superblock says that the root group lies behind the largest signed address."""
    with zipfile.ZipFile(source) as archive:
        data = bytearray(archive.read("model.weights.h5"))
    data[48:56] = (1 << 63).to_bytes(8, "little")
    return bytes(data)


def external_link(weights, name):
    del weights[name]
    weights[name] = h5py.ExternalLink("/etc/passwd", "/")


def external_data(weights, name):
    shape = weights[name].shape
    del weights[name]
    weights.create_dataset(name, shape, "float32", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def no_data(weights, name):
    del weights[name]
    weights.create_dataset(name, (1 << 34,), "float32", chunks=(1 << 10,), compression="gzip")


def changed(file, **changes):
    """The member config.json with some keys of the model's own record changed."""
    return {"config.json": json.dumps(config_of(file) | changes).encode()}


def changed_settings(file, **changes):
    """The member config.json with some arguments of the model changed."""
    return changed(file, config=config_of(file)["config"] | changes)


def changed_backbone(file, **changes):
    """The member config.json with some keys of the backbone's record changed."""
    return changed_settings(file, backbone=config_of(file)["config"]["backbone"] | changes)


OTHER = {"module": "os", "class_name": "system", "config": {}, "registered_name": None}
PACKED = "expected a .keras file of this package"
CLASS = "expected a class of keras_skelmae, found"
HOSTILE = {
    "path": (lambda file: {"../../evil.py": b"x"}, "members: expected config.json, metadata.json, model.weights.h5"),
    "member": (lambda file: {"assets/a": b"x"}, "members: expected"),
    "bomb": (lambda file: {"config.json": b" " * (64 << 20)}, "bytes announced"),
    "not JSON": (lambda file: {"config.json": b"{"}, PACKED),
    "class": (lambda file: changed(file, registered_name="Functional"), f"registered_name: {CLASS} 'Functional'"),
    "unknown": (lambda file: changed(file, registered_name="keras_skelmae>Evil"), "found 'keras_skelmae>Evil'"),
    "module": (lambda file: changed(file, module="os"), "expected a module of keras_skelmae, found os"),
    "name": (lambda file: changed(file, class_name="Lambda"), CLASS),
    "more": (lambda file: changed(file, init="x"), CLASS),
    "build": (lambda file: changed(file, build_config=OTHER), f"config.json: build_config: {CLASS} None"),
    "setting": (lambda file: changed_settings(file, head_units=OTHER), f"config.json: head_units: {CLASS} None"),
    "part": (lambda file: changed_settings(file, backbone=OTHER), f"config.json: backbone: {CLASS} None"),
    "part's class": (lambda file: changed_backbone(file, registered_name="Functional"), f"{CLASS} 'Functional'"),
    "part's build": (lambda file: changed_backbone(file, build_config=OTHER), f"build_config: {CLASS} None"),
    "part's compilation": (
        lambda file: changed_backbone(file, compile_config={"optimizer": OTHER}),
        f"config.json: optimizer: {CLASS} None",
    ),
    "size": (
        lambda file: changed_settings(file, head_units=10**12),
        "head_units: expected at most 65536, found 1000000000000",
    ),
    "classes": (
        lambda file: changed_settings(file, num_classes=10**12, class_names=None),
        "num_classes: expected at most 1048576, found 1000000000000",
    ),
    "external link": (
        lambda file: {"model.weights.h5": linked_weights(file, external_link)},
        "expected weights in this file, found a link",
    ),
    "external data": (
        lambda file: {"model.weights.h5": linked_weights(file, external_data)},
        "found an external or virtual dataset",
    ),
    "no data": (lambda file: {"model.weights.h5": linked_weights(file, no_data)}, "found no data behind them"),
    "weights": (lambda file: {"model.weights.h5": b"no HDF5"}, PACKED),
    "address": (lambda file: {"model.weights.h5": far_away(file)}, PACKED),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_model_files_that_want_more_than_to_be_loaded(folder, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras was asked to open it"))
    change, told = HOSTILE[kind]
    source = folder / "fine" / "model.keras"
    file = repacked(source, tmp_path / "m.keras", zipfile.ZIP_DEFLATED, **change(source))
    assert told in message(skelmae("evaluate", file, folder / "s.h5", "--test-split", "xsub_val"))


def test_a_model_file_packed_by_another_program_is_read(folder, tmp_path):
    file = repacked(folder / "fine" / "model.keras", tmp_path / "m.keras", zipfile.ZIP_DEFLATED)
    status, output = skelmae("evaluate", file, folder / "s.h5", "--test-split", "xsub_val")
    assert status == 0, output


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_to_a_model_file_is_told(folder, tmp_path, seed):
    """Flipped bits and cuts; what is still a model loads, all else is one line."""
    from keras_skelmae.models import load_model
    from skelmae_datasets import DataError

    rng = np.random.default_rng(seed)
    data = bytearray((folder / "fine" / "model.keras").read_bytes())
    if seed % 4 == 0:
        del data[rng.integers(len(data)) :]
    at = len(data) - 400 if seed % 2 and len(data) > 400 else 0  # every second one in the archive's directory
    for place in rng.integers(at, len(data), 4) if len(data) else []:
        data[place] ^= 1 << int(rng.integers(8))
    (tmp_path / "m.keras").write_bytes(bytes(data))
    try:
        load_model(tmp_path / "m.keras")
    except DataError as error:
        assert "m.keras" in str(error)
