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

TINY = [part for setting in ("units=8", "encoder_layers=1", "num_layers=1", "body_units=[8,8]", "temporal_strides=[]",
                             "num_frames=8", "warmup_epochs=0", "jit=off", "streams=joint", "body_streams=features",
                             "epochs=2", "batch_size=8") for part in ("--set", setting)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store, and the run of a classifier in it."""
    folder = tmp_path_factory.mktemp("faults")
    write_dataset(folder / "raw", subjects=4, repetitions=2, actions=["wave", "squat", "kick"], frames=(12, 16))
    convert_ntu(folder / "raw", folder / "s.h5")
    status, output = skelmae("finetune", folder / "s.h5", "--train-split", "xsub_train", "--val-split", "xsub_val",
                             "--output", folder / "fine", "--no-report", *TINY)
    assert status == 0, output
    return folder


def skelmae(*arguments):
    """(exit status, output) of a command."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def pretrain(folder, output, *more):
    return skelmae("pretrain", folder / "s.h5", "--split", "xsub_train", "--output", output, "--no-report", *TINY,
                   *more)


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
    told = message(pretrain(folder, tmp_path / "run", "--resume", "--epochs", "9"))
    assert "config.toml: epochs: expected 2 as the run to go on with has, found 9" in told
    bare = ("pretrain", folder / "s.h5", "--output", tmp_path / "run", "--no-report", "--resume", "--split")
    assert "run.json: split: expected" in message(skelmae(*bare, "xsub_val"))
    status, output = skelmae(*bare, "xsub_train")  # the settings are those of the run
    assert status == 0 and "metrics.json" in output


def limited(*arguments, size):
    """A `skelmae` process that cannot write files of more than `size` bytes, as on a disk that is full."""
    code = "import sys; from skelmae_cli.main import cli; cli(sys.argv[1:], prog_name='skelmae')"
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
                          env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}, check=False)
    return done.returncode, done.stderr


def test_a_full_disk_while_training(folder, tmp_path):
    told = message(limited("pretrain", folder / "s.h5", "--split", "xsub_train", "--output", tmp_path / "run",
                           "--no-report", *TINY, size=20_000))
    assert "File too large" in told and str(tmp_path / "run") in told
    left = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert left <= {".lock", "config.toml", "run.json", "history.csv"}, left
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
    from skelmae_datasets import ntu

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


def test_a_loss_that_is_no_number(folder, tmp_path):
    told = message(pretrain(folder, tmp_path / "run", "--set", "learning_rate=1e30"))
    assert "loss: expected a finite number, found" in told and "samples S0" in told


def test_two_processes_with_one_run(folder, tmp_path):
    import filelock

    (tmp_path / "run").mkdir()
    with filelock.FileLock(tmp_path / "run" / ".lock"):
        assert "expected no other process that writes it" in message(pretrain(folder, tmp_path / "run"))
        assert "expected no other process that writes it" in message(pretrain(folder, tmp_path / "run", "--resume"))


def test_evaluation_on_what_was_trained_on(folder):
    line = ("evaluate", folder / "fine", folder / "s.h5", "--no-report", "--split")
    told = message(skelmae(*line, "all"))
    assert "split all: expected sequences that the model was not trained on, found 18 of 24 that it was (S0" in told
    assert skelmae(*line, "xsub_val")[0] == 0
    status, output = skelmae(*line, "all", "--allow-overlap", "--json", "-")
    assert status == 0 and json.loads(output[output.index("{"):])["num_samples"] == 24


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "config.toml"])
def test_damaged_files_of_a_run(folder, tmp_path, name):
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "config.toml").write_bytes((folder / "fine" / "config.toml").read_bytes())
        (tmp_path / "run.json").write_bytes((folder / "fine" / "run.json").read_bytes())
        (tmp_path / name).write_bytes(content)
        told = message(skelmae("finetune", folder / "s.h5", "--train-split", "xsub_train", "--val-split", "xsub_val",
                               "--output", tmp_path, "--resume", "--no-report"))
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


HOSTILE = {
    "path": (lambda file: {"../../evil.py": b"x"}, "members: expected config.json, metadata.json, model.weights.h5"),
    "member": (lambda file: {"assets/a": b"x"}, "members: expected"),
    "bomb": (lambda file: {"config.json": b" " * (64 << 20)}, "bytes announced"),
    "not JSON": (lambda file: {"config.json": b"{"}, "expected a .keras file of this package"),
    "class": (lambda file: {"config.json": json.dumps(config_of(file) | {"registered_name": "Functional"}).encode()},
              "registered_name: expected a class of keras_skelmae, found 'Functional'"),
    "module": (lambda file: {"config.json": json.dumps(
        config_of(file) | {"build_config": {"module": "os", "class_name": "system", "config": {}}}).encode()},
        "config.json: build_config: expected plain values, found a system"),
    "unknown": (lambda file: {"config.json": json.dumps(
        config_of(file) | {"registered_name": "keras_skelmae>Evil"}).encode()}, "found 'keras_skelmae>Evil'"),
    "size": (lambda file: {"config.json": json.dumps(
        config_of(file) | {"config": config_of(file)["config"] | {"units": 10**12}}).encode()},
        "units: expected at most 65536, found 1000000000000"),
    "external link": (lambda file: {"model.weights.h5": linked_weights(file, external_link)},
                      "expected weights in this file, found a link"),
    "external data": (lambda file: {"model.weights.h5": linked_weights(file, external_data)},
                      "found an external or virtual dataset"),
    "no data": (lambda file: {"model.weights.h5": linked_weights(file, no_data)}, "found no data behind them"),
    "weights": (lambda file: {"model.weights.h5": b"no HDF5"}, "expected a .keras file of this package"),
    "address": (lambda file: {"model.weights.h5": far_away(file)}, "expected a .keras file of this package"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_model_files_that_want_more_than_to_be_loaded(folder, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras was asked to open it"))
    change, told = HOSTILE[kind]
    source = folder / "fine" / "model.keras"
    file = repacked(source, tmp_path / "m.keras", zipfile.ZIP_DEFLATED, **change(source))
    assert told in message(skelmae("evaluate", file, folder / "s.h5", "--split", "xsub_val"))


def test_a_model_file_packed_by_another_program_is_read(folder, tmp_path):
    file = repacked(folder / "fine" / "model.keras", tmp_path / "m.keras", zipfile.ZIP_DEFLATED)
    status, output = skelmae("evaluate", file, folder / "s.h5", "--split", "xsub_val")
    assert status == 0, output


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_to_a_model_file_is_told(folder, tmp_path, seed):
    """Flipped bits and cuts; what is still a model loads, all else is one line."""
    from keras_skelmae.training.runs import load_model
    from skelmae_datasets import DataError

    rng = np.random.default_rng(seed)
    data = bytearray((folder / "fine" / "model.keras").read_bytes())
    if seed % 4 == 0:
        del data[rng.integers(len(data)):]
    at = len(data) - 400 if seed % 2 and len(data) > 400 else 0  # every second one in the archive's directory
    for place in rng.integers(at, len(data), 4) if len(data) else []:
        data[place] ^= 1 << int(rng.integers(8))
    (tmp_path / "m.keras").write_bytes(bytes(data))
    try:
        load_model(tmp_path / "m.keras")
    except DataError as error:
        assert "m.keras" in str(error)
