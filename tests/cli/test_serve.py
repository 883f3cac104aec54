"""The page of `skelmae serve`, asked by HTTP: what it says of a recording, what it refuses, that it is ours alone."""

import http.client
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.report import try_page
from keras_skelmae.report.try_page import placed, safe_name
from skelmae_cli.main import cli
from skelmae_datasets import SkeletonStore, convert_ntu
from skelmae_datasets.synthetic import write_dataset

TINY = "--epochs 1 --set num_frames=8 --set units=4 --set encoder_layers=1 --set num_layers=1 --set warmup_epochs=0"
TINY += " --set temporal_units=8,8 --set temporal_strides=2 --recipe small --no-report"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, eager_module):
    """Recordings, their store, and a classifier that was trained for an epoch."""
    folder = tmp_path_factory.mktemp("serve")
    write_dataset(folder / "raw", subjects=2, repetitions=1, actions=["wave", "handshake"], frames=(12, 16))
    convert_ntu(folder / "raw", folder / "toy.h5")
    line = f"finetune {folder / 'toy.h5'} --train-split all --val-split all --allow-overlap --output {folder / 'run'}"
    result = CliRunner().invoke(cli, f"{line} {TINY}".split())
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def port(folder):
    """The port of a served page; the process prints its address and nothing else."""
    command = [sys.executable, "-m", "skelmae_cli", "--backend", keras.config.backend(), "serve", str(folder / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/  drop a recording on the page; Ctrl-C ends it\n", line)
            assert found, (line, process.stderr.read() if not line else "")
            yield int(found[1])
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
        assert not errors


def ask(port, method, path, body=None, **headers):
    """(status, headers, content) of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.putrequest(method, path, skip_host="Host" in headers)
    told = {"Content-Length": str(len(body))} if body is not None else {}
    for key, value in {**told, **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
        connection.putheader(key, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()


def test_the_page_asks_nobody_else(port):
    status, headers, content = ask(port, "GET", "/")
    text = content.decode()
    assert status == 200 and "Drop a recording" in text and "SCRIPT" not in text and "STYLE" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(r"https?://|//[a-z]+\.", text) and "innerHTML" not in text


def test_a_recording_gets_the_labels_of_predict(port, folder):
    path = sorted((folder / "raw").rglob("*A002.skeleton"))[0]
    status, _, content = ask(port, "POST", f"/predict?name={path.name}", path.read_bytes())
    found = json.loads(content)
    assert status == 200, found
    result = CliRunner().invoke(cli, ["predict", str(folder / "run"), str(path), "--json"])
    (expected,) = json.loads(result.stdout)
    (sample,) = found["samples"]
    assert (sample["id"], sample["label"]) == (expected["sample"], expected["label"])
    told = dict(zip(found["classes"], sample["probabilities"], strict=True))
    assert told == pytest.approx(expected["probabilities"], abs=1e-3)
    with SkeletonStore(folder / "toy.h5") as store:
        people, frames, joints = store.read(store.ids.index(sample["id"])).shape[:3]
    assert np.shape(sample["points"]) == (people, frames, joints, 2) and sample["frames"] == frames
    assert [window["frame"] for window in sample["windows"]][-1] == frames - 1
    assert all(abs(sum(window["probabilities"]) - 1) < 1e-3 for window in sample["windows"])


def test_a_store_gives_its_first_sequences(port, folder):
    status, _, content = ask(port, "POST", "/predict?name=toy.h5", (folder / "toy.h5").read_bytes())
    found = json.loads(content)
    assert status == 200 and len(found["samples"]) == 4 and found["left_out"] == 0


@pytest.mark.parametrize(
    ("request_", "status", "word"),
    [
        (("GET", "/config.toml"), 404, "no such page"),
        (("POST", "/elsewhere", b"x"), 404, "no such page"),
        (("POST", "/predict?name=a.json"), 411, "Content-Length"),
        (("POST", "/predict?name=a.json", b"{"), 400, "a.json"),
        (("POST", "/predict?name=a.mov", b"x"), 400, "a.mov: suffix: expected"),
        (("POST", "/predict?name=../../a.pkl", b"cos\nsystem\n(S'touch x'\ntR."), 400, "a.pkl"),
        (("POST", "/predict", b""), 400, "recording"),
    ],
)
def test_what_is_refused_is_one_line(port, request_, status, word):
    found, _, content = ask(port, *request_)
    told = json.loads(content)["error"]
    assert (found, "\n" in told) == (status, False) and word in told and "/tmp" not in told


def test_uploads_are_bounded_before_they_are_read(port):
    length = str(try_page.MOST_BYTES + 1)
    status, _, content = ask(port, "POST", "/predict?name=a.h5", None, Content_Length=length)
    assert status == 413 and b"at most 50 MB" in content


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_other_names_and_pages_are_refused(port, headers):
    assert ask(port, "GET", "/", **headers)[0] == 403
    assert ask(port, "POST", "/predict?name=a.json", b"{}", **headers)[0] == 403


def test_points_keep_their_proportions():
    points, present = np.zeros((1, 2, 2, 2)), np.array([[[True, True], [True, False]]])
    points[0, 0, 1] = 4, 2
    ((first, second),) = placed(points, present)
    assert first == [[0, 750], [1000, 250]] and second == [[0, 750], None]
    assert placed(points, np.zeros_like(present)) == [[[None, None], [None, None]]]


def test_names_of_files_lead_nowhere():
    assert [safe_name(name) for name in ("../../etc/passwd", "a b.json", "..", "", "C:\\x\\y.npy", ".hidden")] == [
        *("passwd", "a_b.json", "recording", "recording", "y.npy", "hidden")
    ]
