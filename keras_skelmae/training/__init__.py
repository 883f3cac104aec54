"""Training on stores; what the command line calls."""

from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.fitting import Interrupted, TrainingError
from keras_skelmae.training.fuse import fuse
from keras_skelmae.training.pretrain import pretrain

__all__ = ["Interrupted", "TrainingError", "finetune", "fuse", "pretrain"]
