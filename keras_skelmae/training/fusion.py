"""Trained classifiers of several streams as one."""

import json
import shutil
import tempfile
from pathlib import Path

from keras_skelmae.models import FusedClassifier, STRLClassifier
from keras_skelmae.models.fused_classifier import find_difference
from keras_skelmae.training.evaluation import FUSION, trained_ids
from keras_skelmae.training.runs import (
    TEMPORARY,
    TRAIN_IDS,
    file_digest,
    load_model,
    model_file,
    versions,
    write_atomically,
    write_text,
)
from skelmae_datasets import DataError
from skelmae_datasets.store_writer import current_umask


def fuse(sources, output, weights=None):
    """Write a FusedClassifier of trained classifiers to a new folder, which every command takes as a run folder.

    The folder gets model.keras, train_ids.txt (what any of them says it was trained on) and fusion.json. It is there
    whole or not at all.

    Args:
        sources: run folders or .keras files.
        output: folder to make.
        weights: one positive number each, of which only the proportions matter; None for equal ones.

    Returns:
        dict of members, weights, sha256 of the members' files, parameters and versions, as in fusion.json.

    Raises:
        DataError: naming the file that is no classifier, or not of the same skeleton, classes and clips as the first.
        FileExistsError: naming the output. ValueError: fewer than two, weights that do not fit.
    """
    output = Path(output)
    if output.exists():
        raise FileExistsError(17, "already there; remove it or choose another output", str(output))
    members = [_member(source) for source in sources]
    for source, member in zip(sources, members, strict=True):
        difference = find_difference(members[0], member)
        if difference:
            key, expected, found = difference
            raise DataError(model_file(source), key, f"{expected!r} as {sources[0]} has", repr(found))
    model = FusedClassifier(members, weights)
    description = {"members": [str(source) for source in sources], "weights": model.weighting,
                   "sha256": [file_digest(model_file(source)) for source in sources],
                   "parameters": int(model.count_params()), "versions": versions()}
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=TEMPORARY))
    try:
        write_atomically(folder / "model.keras", model.save)
        ids = dict.fromkeys(item for source in sources for item in trained_ids(source))
        write_text(folder / TRAIN_IDS, "".join(f"{item}\n" for item in ids))
        write_text(folder / FUSION, json.dumps(description, indent=2) + "\n")
        folder.chmod(0o777 & ~current_umask())  # a temporary folder is for its owner alone
        folder.rename(output)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return description


def _member(source):
    model = load_model(source)
    if not isinstance(model, STRLClassifier):
        raise DataError(model_file(source), "model", "a classifier of one stream", type(model).__name__)
    return model
