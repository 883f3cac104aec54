"""`skelmae embed`: feature vectors of sequences."""

import click

from . import options
from .printing import more_people, progress


@options.command("embed")
@click.argument("model", type=options.MODEL)
@options.data_argument
@click.option("--split", default="all", metavar="NAME", help="Sequences to embed.")
@options.output_file("File to write.", required=True, metavar="OUT.npz")
def command(model, data, split, output):
    """Write a feature vector for every sequence of DATA.h5: arrays features (N, F), ids (N,), labels (N,), -1 for none,
    and classes (K,), their names.

    MODEL is a run folder or a .keras file, pre-trained or fine-tuned. The features are the mean and the standard
    deviation over time of each body part's, averaged over people.

    \b
    Example:
      skelmae embed runs/pre jhmdb.h5 --split test1 --output features.npz
    """
    if output.suffix.lower() != ".npz":
        raise ValueError(f"{output}: suffix: expected .npz, found {output.suffix or 'none'}")
    import numpy as np

    from skelmae_datasets import SkeletonStore
    from skelmae_datasets.files import write_atomically
    from skelmae_datasets.runs.saved_model import check_start

    with SkeletonStore(data) as store, progress("Embedding") as callback:
        indices = store.select(split)
        check_start(model, store)

        from keras_skelmae.evaluation import embed
        from keras_skelmae.models import load_model

        loaded = load_model(model)
        features = embed(loaded, store, indices, progress=callback)
        unseen = int((store.people[indices] > loaded.preprocessor.num_people).sum())
        labels, ids = store.labels[indices], np.array([store.ids[index] for index in indices])
        arrays = {"features": features, "ids": ids, "labels": labels, "classes": np.array(store.classes, str)}
    write_atomically(output, lambda path: np.savez(path, **arrays))
    click.echo(f"{output}: {len(features)} sequences, {features.shape[1]} features")
    nobody = int((~features.any(axis=1)).sum())
    if nobody:
        click.echo(f"  in {nobody} of these sequences nobody was seen: their features are zeros")
    if unseen:
        click.echo(more_people(unseen))
