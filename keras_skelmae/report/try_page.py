"""A page on the loopback address that shows a recording move and what a classifier says of it over time."""

import json
import re
import socket
import sys
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np

from keras_skelmae.evaluation import StreamingPredictor, load_classifier
from keras_skelmae.evaluation.known import load_known
from keras_skelmae.evaluation.predict_files import answers_of
from keras_skelmae.evaluation.streaming import stream_recording
from keras_skelmae.evaluation.windows import is_long
from keras_skelmae.report.markup import escape
from skelmae_datasets import DataError
from skelmae_datasets.pictures.drawing import part_colours, pose_of
from skelmae_datasets.runs.model_inputs import open_inputs

ADDRESS = "127.0.0.1"
MOST_BYTES = 50 << 20  # of an upload
MOST_REST = 20 * MOST_BYTES  # of one that is refused, read for the answer to arrive
MOST_FILES, MOST_LISTED = 20_000, 4 << 20  # files of one, bytes that name them
MOST_NAME = 120  # bytes of a file's name
MOST_SAMPLES, MOST_FRAMES = 20, 3000  # of a file that are answered, of a sample that are shown
SIDE = 1000  # of the square that points are placed in
CHUNK, SECONDS = 1 << 16, 30
ENDED = "the upload ended early"
FRAMES_PER_SECOND = 30.0  # where a recording does not say
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def placed(points, present):
    """Points (M, T, V, 2), y upwards, as whole numbers in a square of SIDE, y downwards; None where absent."""
    here = points[present]
    low, high = (here.min(axis=0), here.max(axis=0)) if len(here) else (np.zeros(2), np.ones(2))
    scale = SIDE / max(float((high - low).max()), 1e-9)
    margin = (SIDE - scale * (high - low)) / 2
    whole = np.where(present[..., None], margin + scale * (points - low), 0).round().astype(int)
    whole[..., 1] = SIDE - whole[..., 1]
    return [
        [
            [joint if seen else None for joint, seen in zip(frame, here, strict=True)]
            for frame, here in zip(person, shown, strict=True)
        ]
        for person, shown in zip(whole.tolist(), present.tolist(), strict=True)
    ]


def answer(model, path, known=None):
    """What a classifier says of a file of any readable kind, JSON-able; known: None, or KnownClasses.

    Raises: DataError where it is unsound or does not fit the model; OSError where it cannot be read.
    """
    with ExitStack() as stack:
        ((_, store),) = open_inputs(stack, model.preprocessor, [path])
        chosen = np.arange(min(len(store), MOST_SAMPLES))
        rows = answers_of(model, store, chosen, path, known)
        samples = [_sample(model, store, index, row, known) for index, row in zip(chosen, rows, strict=True)]
        edges, colours = store.layout.edges, part_colours(store.layout)
        return {
            "samples": samples,
            "left_out": len(store) - len(chosen),
            "notes": store.notes,
            "classes": list(model.names),
            "edges": [[int(child), int(parent), colours[child]] for child, parent in edges],
            "rate": store.fps or FRAMES_PER_SECOND,
            "side": SIDE,
        }


def _sample(model, store, index, row, known):
    keypoints = store.read(index)
    frames, shown = keypoints.shape[1], keypoints[:, :MOST_FRAMES]
    pose = pose_of(shown, store.channels, store.layout)
    predictor = StreamingPredictor(model, fps=store.fps, known=known)
    windows = stream_recording(predictor, shown[..., : len(store.channels)], store.image_size[index])
    seen = row["label"] is not None or "nearest" in row
    return {
        "id": store.ids[index],
        "label": row["label"],
        "nearest": row.get("nearest"),
        "probabilities": [round(share, 4) for share in row["probabilities"].values()] if seen else None,
        "frames": frames,
        "long": is_long(model, frames, store.fps),
        "points": placed(pose.points, pose.present),
        "windows": [
            {
                "frame": window.frame,
                "label": window.label,
                "probabilities": None if window.probabilities is None else window.probabilities.round(4).tolist(),
            }
            for window in windows
        ],
    }


def page(title):
    """The HTML of the page, which asks nobody but the server it comes from."""
    assets = {name: resources.files(__package__).joinpath("assets", f"try.{name}") for name in ("html", "css", "js")}
    text = assets["html"].read_text("utf-8").replace("TITLE", escape(title))
    return text.replace("STYLE", assets["css"].read_text("utf-8")).replace("SCRIPT", assets["js"].read_text("utf-8"))


class Handler(BaseHTTPRequestHandler):
    """The page by GET /, an answer by POST /predict?name=FILE with the file as the body.

    Of the files of a folder by POST /predict?name=FOLDER&listed=N: N bytes of JSON, [name, size] of each, then all of
    them one behind the other.
    """

    timeout = SECONDS
    server_version, sys_version = "skelmae", ""

    def do_GET(self):
        if self._refused():
            return
        if self.path.partition("?")[0] != "/":
            self._tell(HTTPStatus.NOT_FOUND, "no such page")
            return
        self._send(HTTPStatus.OK, page(self.server.title).encode(), "text/html; charset=utf-8")

    def do_POST(self):
        if self._refused():
            return
        place, _, query = self.path.partition("?")
        length = number_of(self.headers.get("Content-Length", ""))
        if place != "/predict":
            self._tell(HTTPStatus.NOT_FOUND, "no such page")
        elif length < 0:
            self._tell(HTTPStatus.LENGTH_REQUIRED, "expected the header Content-Length, a number of bytes")
        elif length > MOST_BYTES:
            self._tell(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES >> 20} MB, found {length} bytes"
            )
        else:
            query = {key: values[0] for key, values in parse_qs(query).items()}
            try:
                with self.server.lock:  # one upload, one answer at a time; its sender may take his time to read it
                    found, told = self._answer(safe_name(query.get("name", "")), length, query.get("listed"))
            except Exception:
                self._tell(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the program; its terminal tells more")
                raise
            if told:
                self._tell(HTTPStatus.BAD_REQUEST, told)
            else:
                self._send(HTTPStatus.OK, json.dumps(found, allow_nan=False).encode(), "application/json")

    def _refused(self):
        """Whether the request came by another name, or from another page, than those of this server."""
        own = {f"{name}:{self.server.server_port}" for name in (ADDRESS, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in own and (origin is None or origin in {f"http://{name}" for name in own}):
            return False
        self._tell(HTTPStatus.FORBIDDEN, f"expected a request to {sorted(own)[0]}")
        return True

    def _answer(self, name, length, listed):
        """(what is said of an upload, "") or (None, why nothing is)."""
        with tempfile.TemporaryDirectory(prefix="skelmae-") as folder:
            path = Path(folder) / name
            try:
                if listed is None:
                    self._receive(path, length)
                else:
                    self._receive_folder(path, length, listed)
                return answer(self.server.model, path, self.server.known), ""
            except (OSError, ValueError, MemoryError) as error:
                told = " ".join(str(error).split()) or type(error).__name__
                return None, told.replace(f"{folder}/", "")

    def _receive(self, path, length):
        """Write so many bytes of the body to a file."""
        with open(path, "wb") as file:
            while length > 0:
                part = self.rfile.read(min(CHUNK, length))
                if not part:
                    raise ValueError(ENDED)
                file.write(part)
                length -= len(part)

    def _receive_folder(self, path, length, listed):
        """Write the files of a body that begins with their names and sizes into a new folder."""
        size = number_of(listed)
        if not 0 < size <= min(length, MOST_LISTED):
            raise ValueError(f"listed: expected a number of bytes up to {MOST_LISTED}, found {listed[:20]}")
        text = self.rfile.read(size)
        if len(text) < size:
            raise ValueError(ENDED)
        files = listed_files(text, length - size)
        path.mkdir()
        for name, size in files:
            self._receive(path / name, size)

    def _tell(self, status, text):
        """Send an error, and read what the sender still sends: closed upon it, he might not get the answer."""
        self.close_connection, left = True, MOST_REST
        self._send(status, json.dumps({"error": text}).encode(), "application/json")
        with suppress(OSError):  # he has gone
            self.connection.shutdown(socket.SHUT_WR)
        while left > 0 and (part := self.rfile.read1(CHUNK)):
            left -= len(part)

    def send_error(self, code, message=None, explain=None):
        """What http.server refuses, told as all else is."""
        self._tell(code, message or HTTPStatus(code).phrase)

    def _send(self, status, content, kind):
        self.send_response(status)
        for key, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        """Nothing: what is printed is ours."""


def number_of(text):
    """The whole number that a text of ASCII digits is; -1 for any other."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1


def safe_name(name):
    """The last part of a file's name, of letters, digits, dots and the like; of a long one the end."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = re.sub(r"[^\w.-]", "_", last).encode()[-MOST_NAME:].decode(errors="ignore")
    return kept.lstrip(".") or "recording"


def listed_files(text, length):
    """[(name, bytes)] of the files of a folder, from JSON; their names lead nowhere else.

    Raises: ValueError unless there are one to MOST_FILES of different names, of so many bytes together.
    """
    try:
        files = [(safe_name(name), size) for name, size in json.loads(text)]
        sound = all(type(size) is int and size >= 0 for _, size in files)
    except (ValueError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound or sum(size for _, size in files) != length:
        raise ValueError("files: expected JSON of each name and size, and as many bytes behind it, found another list")
    if not 0 < len(files) <= MOST_FILES:
        raise ValueError(f"files: expected 1 to {MOST_FILES}, found {len(files)}")
    (name, times), *_ = Counter(name.casefold() for name, _ in files).most_common(1)
    if times > 1:
        raise ValueError(f"{name}: expected files of different names, found it {times} times")
    return files


class Server(ThreadingHTTPServer):
    """Serves the page of one model on the loopback address alone; in threads, for a browser opens idle connections."""

    daemon_threads = True

    def __init__(self, model_path, port=0):
        self.model, self.title, self.lock = load_classifier(model_path), str(model_path), threading.Lock()
        self.known = load_known(model_path, self.model)
        try:
            super().__init__((ADDRESS, port), Handler)
        except OSError as error:
            raise DataError(f"{ADDRESS}:{port}", "port", "one that is free (0 finds one)", error.strerror) from error

    def handle_error(self, request, client_address):
        """Nothing of a client that has gone; of a fault of ours the traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def url(self):
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"
