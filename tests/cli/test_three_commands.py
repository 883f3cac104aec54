"""The first commands of docs/own-data.md, on a folder of MediaPipe files that the test makes."""

import importlib.util
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from skelmae_cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("num_frames=8", "units=8", "encoder_layers=1", "num_layers=1", "temporal_units=8,8", "temporal_strides=2")
SMALL = [word for size in (*SIZES, "warmup_epochs=0", "batch_size=4") for word in ("--set", size)]


def blocks(kind):
    spec = importlib.util.spec_from_file_location("run_blocks", ROOT / "docs" / "run_blocks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.blocks(ROOT / "docs" / "own-data.md", kind)


def write(path, action, seed, frames=12):
    """A video's landmarks as MediaPipe's tasks give them: a wave moves a hand, a squat the whole body."""
    rng = np.random.default_rng(seed)
    pose, found = rng.uniform(0.3, 0.7, (33, 2)), []
    for phase in np.linspace(0, 6, frames):
        moved = pose + 0.002 * rng.normal(size=pose.shape)
        moved[slice(11, 23) if action == "wave" else slice(None), int(action != "wave")] += 0.1 * np.sin(phase)
        marks = [{"x": x, "y": y, "z": 0.1, "visibility": 0.9} for x, y in moved.tolist()]
        found.append({"pose_landmarks": [marks]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))


def test_three_commands_lead_from_files_to_a_prediction(tmp_path, monkeypatch, eager_module):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        for action in ("wave", "squat"):
            write(Path("clips") / action / f"{number:02}.json", action, number)
    write(Path("new.json"), "wave", 9)
    commands = [shlex.split(line)[1:] for line in blocks("console")[0].splitlines()]
    assert [words[0] for words in commands] == ["convert", "finetune", "predict"]
    outputs = []
    for words in commands:
        more = [*SMALL, "--epochs", "1", "--no-report"] if words[0] == "finetune" else []
        result = CliRunner().invoke(cli, [*words, *more])
        if result.exit_code:
            pytest.fail(f"{' '.join(words)}\n{result.output}\n{result.exception!r}")
        outputs.append(result.stdout)
    assert "read as MediaPipe JSON: 8" in outputs[0] and "8 sequences" in outputs[0]
    assert outputs[2].startswith("new") and {"wave", "squat"} <= set(outputs[2].replace("%", " ").split())
