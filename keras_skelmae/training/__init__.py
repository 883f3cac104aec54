"""Training, evaluation and prediction on stores; what the command line calls."""

from keras_skelmae.training.batch_parts import predict_in_parts, suggest_batch_parts, train_in_parts
from keras_skelmae.training.config import RECIPES, Config, ConfigError, resolve_config
from keras_skelmae.training.evaluation import describe, evaluate_model, predict_files
from keras_skelmae.training.features import embed
from keras_skelmae.training.feeding import SkeletonBatches, batches
from keras_skelmae.training.finetune import finetune
from keras_skelmae.training.fitting import Interrupted, TrainingError
from keras_skelmae.training.fusion import fuse
from keras_skelmae.training.pretrain import pretrain
from keras_skelmae.training.protocols import PROTOCOLS, markdown_table, run_protocol
from keras_skelmae.training.studies import STUDIES, run_study, study_table

__all__ = [
    "PROTOCOLS",
    "RECIPES",
    "STUDIES",
    "Config",
    "ConfigError",
    "Interrupted",
    "SkeletonBatches",
    "TrainingError",
    "batches",
    "describe",
    "embed",
    "evaluate_model",
    "finetune",
    "fuse",
    "markdown_table",
    "predict_files",
    "predict_in_parts",
    "pretrain",
    "resolve_config",
    "run_protocol",
    "run_study",
    "study_table",
    "suggest_batch_parts",
    "train_in_parts",
]
