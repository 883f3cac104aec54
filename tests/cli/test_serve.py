"""The page of `skelmae serve`, asked by HTTP: what it says of a recording, what it refuses, that it is ours alone."""

import http.client
import json
import re
import subprocess
import sys
import threading
from urllib.parse import urlencode

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from keras_skelmae.evaluation import predict_files
from keras_skelmae.models import SkeletonEncoder, SkeletonPreprocessor, STRLBackbone, STRLClassifier
from keras_skelmae.report import try_page
from keras_skelmae.report.try_page import listed_files, placed, safe_name
from skelmae_cli.main import cli
from skelmae_datasets import DataError, SkeletonStore, convert_ntu
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


def together(files, **query):
    """(path, body) of an upload of {name: bytes}, as the page sends it."""
    listed = json.dumps([[name, len(content)] for name, content in files.items()]).encode()
    return f"/predict?{urlencode({'listed': len(listed), **query})}", listed + b"".join(files.values())


def frames_of():
    """{name: bytes} of a frame a file, as an estimator of another layout than the model's writes them."""
    rng, pose = np.random.default_rng(0), np.random.default_rng(1).uniform(0.3, 0.7, (17, 2))
    found = {}
    for number in range(12):
        joints = " ".join(f"{x:.4f} {y:.4f} 0.9" for x, y in pose + 0.01 * rng.normal(size=pose.shape))
        found[f"clip_{number}.txt"] = f"0 0.5 0.5 0.4 0.4 {joints}\n".encode()
    return found


def test_the_files_of_a_folder_are_one_recording(tmp_path, monkeypatch):
    """By the readers of predict: of a model of 17 joints YOLO's text, a file a frame."""
    frames = frames_of()
    (tmp_path / "clip").mkdir()
    for name, content in frames.items():
        (tmp_path / "clip" / name).write_bytes(content)
    form = SkeletonPreprocessor("coco17", ("x", "y"), 8, 1)
    classifier = STRLClassifier(STRLBackbone(SkeletonEncoder(form, units=4, encoder_layers=1), num_layers=1), 3)
    classifier.save(tmp_path / "model.keras")
    with try_page.Server(tmp_path / "model.keras") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            path, body = together(frames, name="clip")
            status, _, content = ask(server.server_port, "POST", path, body)
            alone = ask(server.server_port, "POST", "/predict?name=clip_0.txt", frames["clip_0.txt"])
            with pytest.raises(DataError, match=r"127.0.0.1:\d+: port: expected one that is free"):
                try_page.Server(tmp_path / "model.keras", server.server_port)
            monkeypatch.setattr(try_page, "answer", lambda *_: {}["a fault of ours"])
            fault = ask(server.server_port, "POST", "/predict?name=clip_0.txt", frames["clip_0.txt"])
        finally:
            server.shutdown()
    found = json.loads(content)
    assert status == 200, found
    (sample,), (expected,) = found["samples"], predict_files(tmp_path / "model.keras", [tmp_path / "clip"])
    assert (sample["id"], sample["frames"], sample["label"]) == ("clip", 12, expected["label"])
    told = dict(zip(found["classes"], sample["probabilities"], strict=True))
    assert told == pytest.approx(expected["probabilities"], abs=1e-3)
    assert json.loads(alone[2])["samples"][0]["frames"] == 1
    assert fault[0] == 500 and "its terminal tells more" in json.loads(fault[2])["error"]


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        (*together({"a_0.json": b"{", "a_1.json": b"{"}, name="clip"), "a_0.json"),
        (*together({}, name="clip"), "files: expected 1 to"),
        (
            *together({"../x/a.json": b"[]", "y\\a.json": b"[]"}, name="clip"),
            "a.json: expected files of different names",
        ),
        (*together({"a.json": b"[]"}, listed=10**7), "listed: expected a number of bytes"),
        (*together({"a.json": b"[]"}, listed="-1"), "listed: expected a number of bytes"),
        (*together({"a.json": b"[]"}, listed=3), "files: expected JSON of each name and size"),
    ],
)
def test_folders_that_are_refused(path, body, word, port):
    status, _, content = ask(port, "POST", path, body)
    told = json.loads(content)["error"]
    assert status == 400 and word in told and "\n" not in told and "/tmp" not in told


def test_names_and_sizes_of_a_folder_are_checked():
    assert listed_files(b'[["../../a_0.txt", 2], ["/b.txt", 0]]', 2) == [("a_0.txt", 2), ("b.txt", 0)]
    for text in (b"[", b"{}1", b'["ab"]', b'[["a", true]]', b'[["a", -1], ["b", 3]]', b'[["a", 3]]', b"[[1, 2]]", b"7"):
        with pytest.raises(ValueError, match="files: expected JSON of each name and size"):
            listed_files(text, 2)
    many = json.dumps([[str(number), 0] for number in range(try_page.MOST_FILES + 1)])
    with pytest.raises(ValueError, match="files: expected 1 to 20000, found 20001"):
        listed_files(many, 0)


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
        (("PUT", "/predict?name=a.json", b"{}"), 501, "Unsupported method ('PUT')"),
        (("GET", "/" + "a" * 70_000), 414, "URI"),
    ],
)
def test_what_is_refused_is_one_line(port, request_, status, word):
    found, _, content = ask(port, *request_)
    told = json.loads(content)["error"]
    assert (found, "\n" in told) == (status, False) and word in told and "/tmp" not in told


def test_an_address_that_is_none_is_no_page(port):
    status, _, content = ask(port, "GET", "http://[", Host=f"127.0.0.1:{port}")
    assert status == 404 and b"no such page" in content


def test_uploads_are_bounded_before_they_are_read(port):
    length = str(try_page.MOST_BYTES + 1)
    status, _, content = ask(port, "POST", "/predict?name=a.h5", None, Content_Length=length)
    assert status == 413 and b"at most 50 MB" in content
    status, _, content = ask(port, "POST", "/predict?name=a.h5", bytes(try_page.MOST_BYTES + 1))  # all of it is sent
    assert status == 413 and b"at most 50 MB" in content
    status, _, content = ask(port, "POST", "/predict?name=a.h5", None, Content_Length="9" * 5000)
    assert status == 411 and b"a number of bytes" in content


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
    long = safe_name("\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL A}" * 300 + ".json")  # files have names of 255 bytes
    assert long.endswith(".json") and 100 < len(long.encode()) <= try_page.MOST_NAME
    assert not safe_name("a" * 50 + "." * 119 + "a").startswith(".")


@pytest.mark.parametrize(
    ("error", "told"), [(ConnectionResetError(), ""), (BrokenPipeError(), ""), (KeyError("x"), "KeyError")]
)
def test_a_client_that_has_gone_is_no_fault(error, told, capsys):
    try:
        raise error
    except Exception:
        try_page.Server.handle_error(try_page.Server.__new__(try_page.Server), None, ("127.0.0.1", 1))
    errors = capsys.readouterr().err
    assert told in errors if told else not errors
