"""3D recordings as virtual cameras see them: any file of 3D data to a store of 2D (or 3D) clips."""

from pathlib import Path

import numpy as np

from .errors import DataError
from .layout_map import layout_map
from .layouts import get_layout
from .readers.journal import Journal
from .readers.recordings import open_recordings
from .readers.report import Conversion
from .store import Sample, StoreWriter
from .transforms.camera import ESTIMATOR, SENSOR, view


def project_recordings(
    path, output, views=1, seed=0, dims=2, layout=None, clean=False, progress=None, strict=False, force=False
):
    """Write views of every sequence of 3D recordings, each by a camera of its own.

    Bodies, pace and side stay as recorded, so that labels hold; camera and errors are those of
    `transforms.camera.ESTIMATOR` in 2D and SENSOR in 3D. A view is called as its sequence, with -view0 and so on, has
    its label, subject and splits, and its number as camera.

    Args:
        path: what `open_recordings` opens, with x, y, z in metres and y up; also motion capture (`convert_mocap`).
        output: the store to write.
        views: how many of each sequence, at least 1.
        seed: integer >= 0; a view depends on it, the sequence's place in the file and the view's number alone.
        dims: 2 for x, y (pixels) and score, 3 for x, y, z (metres).
        layout: the skeleton to write, by `layout_map`; by default that of the recordings.
        clean: leave the errors of estimator and sensor out.
        progress: called with (done, total). strict: raise on the first bad sequence instead of leaving it out.
        force: replace an output that is no store.

    Returns: as `Conversion.conclude`.
    Raises: DataError where the recordings are not 3D, the layouts have too little in common, or as `open_recordings`;
        ValueError where views, seed or dims are out of range.
    """
    if views < 1 or seed < 0 or dims not in (2, 3):
        raise ValueError(f"expected views 1 or more, seed 0 or more, dims 2 or 3, found {views}, {seed}, {dims}")
    path, settings = Path(path), (ESTIMATOR if dims == 2 else SENSOR).without_variation()
    settings = settings.without_faults() if clean else settings
    with open_recordings(path, strict=strict) as store:
        if "z" not in store.channels or store.units != "metres":
            found = f"{','.join(store.channels)} in {store.units}"
            raise DataError(path, "channels", "x,y,z in metres, a 3D recording", found)
        joints = _joints(path, store.layout, layout)
        notes = ([] if layout is None else [str(joints)]) + store.notes
        provenance = {"reader": "project", "source": path.name, "views": views, "seed": seed, "clean": clean}
        provenance |= {"recordings": store.provenance}
        channels = ("x", "y", "score") if dims == 2 else ("x", "y", "z")
        options = {"layout": joints.target, "classes": store.classes, "channels": channels, "provenance": provenance}
        total, names = len(store) * views, []
        with Journal(output, force=force), StoreWriter(output, **options) as writer:
            conversion = Conversion(writer, path.name, strict, arranged=True, notes=notes, upright=True)
            for number in range(len(store)):
                names.append([f"{store.ids[number]}-view{camera}" for camera in range(views)])
                for camera, name in enumerate(names[-1]):
                    generator = np.random.default_rng([seed, number, camera])
                    conversion.add(name, lambda s=(store, number, joints, generator, settings, name): _seen(*s))
                    if progress:
                        progress(number * views + camera + 1, total)
            splits = {split: [name for i in members for name in names[i]] for split, members in store.splits.items()}
            return conversion.conclude(splits)


def _joints(path, own, layout):
    """The LayoutMap to the skeleton asked for; an error names the file."""
    target = own if layout is None else get_layout(layout)
    try:
        return layout_map(own, target)
    except DataError as error:
        raise DataError(path, *error.args[1:]) from None


def _seen(store, number, joints, generator, settings, name):
    """The Sample of one view; its camera is the number at the end of its name."""
    keypoints = joints.apply(store.read(number), store.channels)[..., :3]
    found = view(keypoints, joints.target, generator, settings).keypoints
    size = settings.image_size if settings.dims == 2 else (0, 0)
    numbers = {"subject": store.subject_name(store.subject[number]), "setup": int(store.setup[number])}
    camera = int(name.rpartition("-view")[2])
    return Sample(name, found, int(store.labels[number]), camera=camera, image_size=size, **numbers)
