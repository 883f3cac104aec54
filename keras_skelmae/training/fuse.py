"""Trained classifiers of several streams as one."""

import shutil
import tempfile
from pathlib import Path

from keras_skelmae.evaluation.evaluate import versions
from keras_skelmae.models import Ensemble, load_model, model_file
from skelmae_datasets.files import TEMPORARY, current_umask, file_digest, write_json
from skelmae_datasets.runs.run_folder import ENSEMBLE, PRETRAIN_IDS, TRAIN_IDS, trained_ids, write_ids
from skelmae_datasets.runs.saved_model import read_members


def fuse(sources, output, weights=None):
    """Write an Ensemble of trained classifiers to a new folder, which every command takes as a run folder.

    The folder gets model.keras, train_ids.txt (what any of them says it was trained on), pretrain_ids.txt (what any saw
    before) and ensemble.json. It is there whole or not at all. No held_ids.txt: the temperatures that these clips chose
    are left out.

    Args:
        sources: run folders or .keras files. A classifier that counts mirror images counts them here where all do.
        output: folder to make.
        weights: one positive number each, of which only the proportions matter; None for equal ones.

    Returns:
        dict of members, weights, mirror, lost (members whose mirror images no longer count), sha256 of the members'
        files, parameters and versions, as in ensemble.json.

    Raises:
        DataError: naming the file that is no classifier, or not of the same skeleton, classes and clips as the first.
        FileExistsError: naming the output. ValueError: fewer than two, weights that do not fit.
    """
    output = Path(output)
    if output.exists():
        raise FileExistsError(17, "already there; remove it or choose another output", str(output))
    read_members(sources)
    members, mirrored = zip(*map(_member, sources), strict=True)
    mirror = all(mirrored)  # a class that one of them tells by a side is one-sided
    sided = {label for found in mirrored for label in found.get("one_sided", ())} if mirror else ()
    model = Ensemble(members, weights, mirror=mirror, one_sided=sided)
    description = {
        "members": [str(source) for source in sources],
        "weights": model.member_weights,
        "mirror": model.mirror,
        "lost": [] if model.mirror else [str(one) for one, kept in zip(sources, mirrored, strict=True) if kept],
        "sha256": [file_digest(model_file(source)) for source in sources],
        "parameters": int(model.count_params()),
        "versions": versions(),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=TEMPORARY))
    try:
        model.save_to_preset(folder)
        for name in (TRAIN_IDS, PRETRAIN_IDS):
            ids = dict.fromkeys(item for source in sources for item in trained_ids(source, name))
            if ids or name == TRAIN_IDS:
                write_ids(folder, ids, name)
        write_json(folder / ENSEMBLE, description)
        folder.chmod(0o777 & ~current_umask())  # a temporary folder is for its owner alone
        folder.rename(output)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return description


def _member(source):
    """(the STRLClassifier in a file, what it makes of mirror images as an Ensemble's arguments)."""
    model = load_model(source)
    if isinstance(model, Ensemble):  # of one, with its mirror image or a temperature
        return model.members[0], {"mirror": True, "one_sided": model.one_sided} if model.mirror else {}
    return model, {}
