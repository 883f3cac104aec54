"""Keras 3 layers, models and training for learning from human skeleton sequences.

Importing this package registers every class, so that ``keras.saving.load_model`` finds them.
"""

import importlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read as TensorFlow is imported: of its C++ log errors remain

from keras_skelmae import layers, losses, models, optimizers, schedules
from keras_skelmae.version import __version__

LAZY = ("data", "evaluation", "experiments", "export", "fast", "report", "training")


def __getattr__(name):
    """Load the other rooms on first use: loading a model needs none of them."""
    if name in LAZY:
        return importlib.import_module(f"keras_skelmae.{name}")
    raise AttributeError(f"module 'keras_skelmae' has no attribute {name!r}")


__all__ = ["__version__", "layers", "losses", "models", "optimizers", "schedules", *LAZY]
