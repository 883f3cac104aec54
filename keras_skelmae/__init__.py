"""Keras 3 layers, models and training for learning from human skeleton sequences.

Importing this package registers every class, so that ``keras.saving.load_model`` finds them.
"""

from keras_skelmae import layers, losses, models, schedules
from keras_skelmae.version import __version__


def __getattr__(name):
    """``feeding``, ``training`` and ``export`` load on first use: loading a model needs none of them."""
    import importlib
    if name in ("training", "export"):
        return importlib.import_module(f"keras_skelmae.{name}")
    if name == "feeding":
        return importlib.import_module("keras_skelmae.training.feeding")
    raise AttributeError(f"module 'keras_skelmae' has no attribute {name!r}")


__all__ = ["__version__", "export", "feeding", "layers", "losses", "models", "schedules", "training"]
