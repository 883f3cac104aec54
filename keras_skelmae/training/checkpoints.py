"""Checkpoints of a run: everything a training needs to go on as if it had never stopped, and proof that it is whole."""

import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np

from skelmae_datasets import DataError
from skelmae_datasets.files import write_atomically

KEPT = 2  # the last one, and the one before in case the last is damaged
NAME = re.compile(r"checkpoint-(\d{10})-([0-9a-f]{16})\.npz")


class Checkpoints:
    """The folder ``checkpoints`` of a run, one NumPy archive per checkpoint.

    A name holds the number of training steps done and the beginning of the content's SHA-256, so a file that was cut
    off or altered is known without opening it. Archives hold plain arrays; nothing in them is executed.

    Args:
        run: run folder.
    """

    def __init__(self, run):
        self.folder = Path(run) / "checkpoints"

    def _files(self):
        """(steps, digest, path) of what is there, oldest first."""
        found = [(NAME.fullmatch(path.name), path) for path in self.folder.glob("checkpoint-*.npz")]
        return sorted((int(match[1]), match[2], path) for match, path in found if match)

    def save(self, steps, arrays, state):
        """Write a checkpoint and remove all but the last KEPT.

        Args:
            steps: int, training steps done.
            arrays: dict of arrays.
            state: JSON-able dict.
        """
        buffer = io.BytesIO()
        np.savez(buffer, state=np.array(json.dumps(state)), **arrays)
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()[:16]
        path = self.folder / f"checkpoint-{steps:010d}-{digest}.npz"
        write_atomically(path, lambda temporary: Path(temporary).write_bytes(content))
        others = [file for *_, file in self._files() if file != path]
        for old in others[: len(others) - KEPT + 1]:
            old.unlink()

    def load(self):
        """The newest whole checkpoint as (arrays, state, damaged); None where there is no checkpoint at all.

        ``damaged`` is the list of newer files that are not whole.

        Raises:
            DataError: there are checkpoints, but none is whole.
        """
        damaged = []
        for _, digest, path in reversed(self._files()):
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest()[:16] != digest:
                damaged.append(path)
                continue
            try:
                with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                    arrays = dict(archive)
                return arrays, json.loads(str(arrays.pop("state"))), damaged
            except Exception as error:  # NumPy's, zlib's and zipfile's have no common base
                raise DataError(path, "", "a checkpoint of this program", error) from None
        if damaged:
            raise DataError(self.folder, "", "a whole checkpoint", f"{len(damaged)} damaged")
        return None
