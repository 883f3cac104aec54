"""No line on the standard output or error is another library's, with any backend; --debug shows theirs."""

import json
import os
import re
import subprocess
import sys

import pytest

from skelmae_datasets import convert_ntu
from skelmae_datasets.synthetic import write_dataset

SMALL = "--epochs 1 --set num_frames=8 --set units=4 --set encoder_layers=1 --set warmup_epochs=0 --set batch_size=8"
BODY = "--set num_layers=1 --set temporal_units=8,8 --set temporal_strides=2"
PRETRAIN = f"pretrain toy.h5 --train-split xsub_train --output pre --json {SMALL}"
SPLITS = "--train-split xsub_train --test-split xsub_val"
PLAIN = [  # without Keras
    "convert raw again.h5 --json",
    "show toy.h5 --output strip.png",
    "validate toy.h5 --json",
]
COMMANDS = [
    *PLAIN,
    "convert-ntu raw ntu.h5",
    "export-data toy.h5 table.csv --json",
    "info toy.h5",
    "layouts --json",
    "settings --json",
    "weights",
    PRETRAIN,
    f"finetune toy.h5 --train-split xsub_train --output fine --pretrained pre --recipe small {SMALL} {BODY}",
    "evaluate fine toy.h5 --test-split xsub_val",
    "predict fine toy.h5 --json",
    "predict fine toy.h5 --stream --window 4 --json",
    "fuse fine fine --output fused --json",
    "export fused --output fused.keras --format keras --json",
    "export fine --output saved --json",
    "reconstruct pre toy.h5 --json",
    f"protocol knn toy.h5 {SPLITS} --pretrained pre --output knn --json {SMALL}",
    f"protocol linear toy.h5 {SPLITS} --pretrained pre --no-random --output linear {SMALL}",
    f"protocol baseline toy.h5 {SPLITS} --json",
    "protocol robustness fine toy.h5 --test-split xsub_val --kinds rate --output worse --no-report --json",
    "embed fine toy.h5 --output features.npz",
    "report fine pre --output both.html",
    "info fine/model.keras --json",
]
DOUBTS = r"fine: its probabilities are not calibrated and it cannot tell what it was not trained on; .*\n"  # of predict
TOLD = {  # without --json
    "embed": r"features\.npz: \d+ sequences, \d+ features\n",
    "report": r"both\.html\n",
    "show": r"strip\.png: S\w+, \d+ frames, \d (person|people)\n",
}
FOREIGN = re.compile(
    r"absl|oneDNN|cuda|warning|traceback|^[IWEF]\d{4}\b|\bxla\b|site-packages|cpu_feature_guard", re.I | re.M
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quiet")
    write_dataset(folder / "raw", subjects=3, repetitions=1, actions=["wave", "squat", "kick"], frames=(8, 10))
    convert_ntu(folder / "raw", folder / "toy.h5")
    return folder


def say(folder, line, *before):
    """What a command prints on its standard output and error, in a process whose logs nobody has set up."""
    named = {key: value for key, value in os.environ.items() if key not in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")}
    command = [sys.executable, "-m", "skelmae_cli", *before, *line.split()]
    done = subprocess.run(command, cwd=folder, env=named, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def check(folder, line, *before):
    """On the standard error what `predict` doubts, of others nothing; on the output one JSON value, or our line."""
    out, err = say(folder, line, *before)
    assert re.fullmatch(DOUBTS if line.startswith("predict") else "", err)
    pattern = TOLD.get(line.split()[0])
    if pattern:
        assert re.fullmatch(pattern, out)
    elif "--json" in line:
        json.loads(out)
    else:
        assert out and not FOREIGN.search(out)


def test_a_training_and_a_look_at_it_are_quiet(folder):
    check(folder, f"{PRETRAIN} --no-report")
    check(folder, "info pre/model.keras --json")
    for line in PLAIN:
        check(folder, line)


def test_a_crash_of_a_library_is_told(tmp_path):
    """The descriptor that libraries write to leads nowhere, but a signal that ends the process has its line."""
    code = "import os, sys; from skelmae_cli.main import be_quiet; be_quiet(); os.write(2, b'noise'); "
    code += "print('ours', file=sys.stderr); os.abort()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode and done.stderr.startswith("ours\nFatal Python error: Aborted")


@pytest.mark.parametrize(("given", "kept"), [(None, "2"), ("0", "0")])
def test_the_package_quiets_tensorflow_unless_one_has_chosen(given, kept):
    pytest.importorskip("tensorflow")
    named = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    named |= {"KERAS_BACKEND": "tensorflow"} | ({} if given is None else {"TF_CPP_MIN_LOG_LEVEL": given})
    code = "import os, keras_skelmae, tensorflow as tf; tf.constant(1) + 1; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    done = subprocess.run([sys.executable, "-c", code], env=named, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{kept}\n"), done.stderr
    assert ("cpu_feature_guard" in done.stderr) == (kept == "0")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_command_is_quiet_with_every_backend(backend, folder, tmp_path):
    pytest.importorskip(backend)
    for name in ("toy.h5", "raw"):
        (tmp_path / name).symlink_to(folder / name)
    for line in COMMANDS:
        check(tmp_path, line, "--backend", backend)
