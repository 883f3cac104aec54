"""`skelmae embed`: feature vectors of sequences."""

from __future__ import annotations

from pathlib import Path

import click

from .errors import expected_errors
from .options import existing_path, progress, require


@click.command("embed")
@click.argument("model", type=existing_path)
@click.argument("data", type=existing_path, metavar="DATA.h5")
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT.npz")
@click.option("--split", default="all", show_default=True, metavar="NAME", help="Sequences to embed.")
@expected_errors
def command(model: Path, data: Path, output: Path, split: str):
    """Write a feature vector for every sequence of DATA.h5: arrays features (N, F), labels (N,) and ids (N,).

    MODEL is a run folder or a .keras file, pre-trained or fine-tuned. The features are the mean and the standard
    deviation over time of each body part's, averaged over people.

    \b
    Example:
      skelmae embed runs/pre jhmdb.h5 features.npz --split test1
    """
    require(model, "any")
    require(data)

    import numpy as np

    from keras_skelmae.training import embed
    from keras_skelmae.training.runs import load_model, write_atomically
    from skelmae_datasets import SkeletonStore

    with SkeletonStore(data) as store:
        indices = store.select(split)
        with progress("Embedding") as callback:
            features = embed(load_model(model), store, indices, progress=callback)
        ids = np.array([store.ids[i] for i in indices])
        labels = store.labels[indices]
    output = output.with_suffix(".npz")
    write_atomically(output, lambda path: np.savez(path, features=features, labels=labels, ids=ids))
    click.echo(f"{output}: {len(features)} sequences, {features.shape[1]} features")
