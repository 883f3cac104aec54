"""Training, evaluation and prediction on stores; what the command line calls."""

from keras_skelmae.training.config import RECIPES, Config, ConfigError, resolve_config
from keras_skelmae.training.evaluation import describe, evaluate_model, predict_files
from keras_skelmae.training.feeding import SkeletonBatches, batches
from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.pretrain import pretrain

__all__ = ["RECIPES", "Config", "ConfigError", "SkeletonBatches", "batches", "describe", "evaluate_model", "finetune",
           "predict_files", "pretrain", "resolve_config"]
