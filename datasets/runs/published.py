"""Pre-trained backbones that come with the package: which there are, and what they were made of."""

from pathlib import Path

from ..files import read_json

WEIGHTS = Path(__file__).parents[1] / "data" / "weights"


def published():
    """Names of the backbones that come with the package, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.json"))


def is_published(source):
    """Whether a name or path is that of a published backbone; a file or folder of that name comes first."""
    return str(source) in published() and not Path(source).exists()


def weights_file(name):
    """The `.npz` with the weights of a published backbone; its architecture and card are in the `.json` beside it."""
    return WEIGHTS / f"{name}.npz"


def model_card(name):
    """What a published backbone was made of: dict of data, terms, licence, steps, seed, figures and limits.

    Raises:
        ValueError: no backbone of that name.
    """
    return read_published(name)["card"]


def read_published(name):
    """dict of card and config (the backbone's, in Keras's form) of a published backbone.

    Raises:
        ValueError: no backbone of that name.
    """
    name = str(name)
    if name not in published():
        raise ValueError(f"weights: expected one of {', '.join(published())}, found {name!r}")
    return read_json(WEIGHTS / f"{name}.json")
