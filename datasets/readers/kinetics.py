"""Kinetics in the PYSKL form: the annotation pickle has headers only, the keypoints lie in separate kpfiles.

A kpfile is a pickle, frame_dir -> {keypoint: (N, 17, 3), x y score}; an annotation's `frame_inds` (N,) says in which
frame each of the N skeletons was seen. Source: PYSKL tools/data/README.md.
"""

from pathlib import Path

import numpy as np

from ..errors import DataError
from .restricted_pickle import restricted_load

MAX_PEOPLE = 10


class KeypointFiles:
    """Fills header-only annotations from the kpfiles in a folder, of which the last one used is kept in memory."""

    def __init__(self, folder):
        self.folder, self._name, self._content = Path(folder), None, None

    def fill(self, annotation, key):
        """The annotation with keypoint (M, T, 17, 2) and keypoint_score, frames without a skeleton left out.

        At most MAX_PEOPLE skeletons of a frame are kept, by falling `box_score`. Skeletons are not tracked: person m
        is the m-th best of each frame.
        Raises: DataError where the kpfile, its entry or `frame_inds` is absent or does not fit.
        """
        name = annotation.get(key) if isinstance(annotation, dict) else None
        if not isinstance(name, str) or not isinstance(annotation.get("raw_file"), str):
            raise DataError(self.folder, "annotation", f"texts {key} and raw_file", "others")
        file = Path(annotation["raw_file"]).name  # never a path of the pickle's choosing
        if file != self._name:
            content = restricted_load(self.folder / file)
            if not isinstance(content, dict):
                raise DataError(self.folder / file, "", "a dict by frame_dir", type(content).__name__)
            self._name, self._content = file, content
        entry = self._content.get(name)
        points = entry.get("keypoint") if isinstance(entry, dict) else None
        if not isinstance(points, np.ndarray) or points.dtype.kind != "f" or points.shape[1:] != (17, 3):
            raise DataError(self.folder / file, name, "keypoint (N, 17, 3)", getattr(points, "shape", "none"))
        frames, boxes = np.asarray(annotation.get("frame_inds")), np.asarray(annotation.get("box_score"))
        if frames.dtype.kind not in "iu" or frames.shape != points.shape[:1] or not len(frames):
            raise DataError(self.folder / file, f"{name}: frame_inds", f"({len(points)},) whole numbers", frames.shape)
        if boxes.dtype.kind != "f" or boxes.shape != frames.shape:
            boxes = points[..., 2].mean(axis=1)
        order = np.lexsort((-boxes, frames))  # frame by frame, the best first
        present, start = np.unique(frames[order], return_index=True)
        rank = np.arange(len(order)) - np.repeat(start, np.diff([*start, len(order)]))
        kept = rank < MAX_PEOPLE
        rows = np.zeros((int(rank[kept].max()) + 1, len(present), 17, 3), points.dtype)
        rows[rank[kept], np.searchsorted(present, frames[order][kept])] = points[order][kept]
        filled = {k: v for k, v in annotation.items() if k not in ("raw_file", "total_frames")}
        return filled | {"keypoint": rows[..., :2], "keypoint_score": rows[..., 2]}
