"""A page on the loopback address that shows a recording move and what a classifier says of it over time."""

import json
import re
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from keras_skelmae.evaluation import StreamingPredictor, load_classifier, predict_store
from keras_skelmae.evaluation.streaming import stream_recording
from keras_skelmae.report.markup import escape
from skelmae_datasets.pictures.drawing import part_colours, pose_of
from skelmae_datasets.runs.model_inputs import open_inputs

ADDRESS = "127.0.0.1"
MOST_BYTES = 50 << 20  # of an upload
MOST_FILES, MOST_LISTED = 20_000, 4 << 20  # files of one, bytes that name them
MOST_SAMPLES, MOST_FRAMES = 20, 3000  # of a file that are answered, of a sample that are shown
SIDE = 1000  # of the square that points are placed in
CHUNK, SECONDS = 1 << 16, 30
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


def answer(model, path):
    """What a classifier says of a file of any readable kind, JSON-able.

    Raises: DataError where it is unsound or does not fit the model; OSError where it cannot be read.
    """
    with ExitStack() as stack:
        ((_, store),) = open_inputs(stack, model.preprocessor, [path])
        chosen = np.arange(min(len(store), MOST_SAMPLES))
        rows = predict_store(model, store, chosen)
        samples = [_sample(model, store, index, row) for index, row in zip(chosen, rows, strict=True)]
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


def _sample(model, store, index, row):
    keypoints = store.read(index)
    pose = pose_of(keypoints[:, :MOST_FRAMES], store.channels, store.layout)
    windows = stream_recording(StreamingPredictor(model, fps=store.fps), keypoints[..., : len(store.channels)])
    known = not np.isnan(row).any()
    return {
        "id": store.ids[index],
        "label": model.names[int(row.argmax())] if known else None,
        "probabilities": row.round(4).tolist() if known else None,
        "frames": keypoints.shape[1],
        "points": placed(pose.points, pose.present),
        "windows": [
            {
                "frame": window.frame,
                "label": window.label,
                "probabilities": None if window.label is None else window.probabilities.round(4).tolist(),
            }
            for window in windows
            if window.frame < MOST_FRAMES
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
        if urlsplit(self.path).path != "/":
            self._tell(HTTPStatus.NOT_FOUND, "no such page")
            return
        self._send(HTTPStatus.OK, page(self.server.title).encode(), "text/html; charset=utf-8")

    def do_POST(self):
        if self._refused():
            return
        parts = urlsplit(self.path)
        length = self.headers.get("Content-Length", "")
        if parts.path != "/predict":
            self._tell(HTTPStatus.NOT_FOUND, "no such page")
        elif not length.isdecimal():
            self._tell(HTTPStatus.LENGTH_REQUIRED, "expected the header Content-Length")
        elif int(length) > MOST_BYTES:
            self._tell(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES >> 20} MB, found {length} bytes"
            )
        else:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            with self.server.lock:  # one upload, one answer at a time
                self._answer(safe_name(query.get("name", "")), int(length), query.get("listed"))

    def _refused(self):
        """Whether the request came by another name, or from another page, than those of this server."""
        own = {f"{name}:{self.server.server_port}" for name in (ADDRESS, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in own and (origin is None or origin in {f"http://{name}" for name in own}):
            return False
        self._tell(HTTPStatus.FORBIDDEN, f"expected a request to {sorted(own)[0]}")
        return True

    def _answer(self, name, length, listed):
        with tempfile.TemporaryDirectory(prefix="skelmae-") as folder:
            path = Path(folder) / name
            try:
                if listed is None:
                    self._receive(path, length)
                else:
                    self._receive_folder(path, length, listed)
                found = answer(self.server.model, path)
            except (OSError, ValueError, MemoryError) as error:
                told = " ".join(str(error).split()) or type(error).__name__
                self._tell(HTTPStatus.BAD_REQUEST, told.replace(f"{folder}/", ""))
                return
        self._send(HTTPStatus.OK, json.dumps(found, allow_nan=False).encode(), "application/json")

    def _receive(self, path, length):
        """Write so many bytes of the body to a file."""
        with open(path, "wb") as file:
            while length > 0:
                part = self.rfile.read(min(CHUNK, length))
                if not part:
                    raise ValueError("the upload ended early")
                file.write(part)
                length -= len(part)

    def _receive_folder(self, path, length, listed):
        """Write the files of a body that begins with their names and sizes into a new folder."""
        size = int(listed) if listed.isdecimal() else -1
        if not 0 < size <= min(length, MOST_LISTED):
            raise ValueError(f"listed: expected a number of bytes up to {MOST_LISTED}, found {listed[:20]}")
        files = listed_files(self.rfile.read(size), length - size)
        path.mkdir()
        for name, size in files:
            self._receive(path / name, size)

    def _tell(self, status, text):
        self.close_connection = True
        self._send(status, json.dumps({"error": text}).encode(), "application/json")

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
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing: what is printed is ours."""


def safe_name(name):
    """The last part of a file's name, of letters, digits, dots and the like."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^\w.-]", "_", last).lstrip(".")[-120:] or "recording"


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
        super().__init__((ADDRESS, port), Handler)

    @property
    def url(self):
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_port}/"
