"""Functional models; importing this module registers them for ``keras.saving``."""

from keras_skelmae.models.contrastive_model import ContrastiveModel
from keras_skelmae.models.ensemble import Ensemble
from keras_skelmae.models.model_files import load_model, model_file
from keras_skelmae.models.motion_completion import MotionCompletion
from keras_skelmae.models.skeleton_encoder import SkeletonEncoder
from keras_skelmae.models.skeleton_mae import SkeletonMAE
from keras_skelmae.models.skeleton_preprocessor import SkeletonPreprocessor
from keras_skelmae.models.strl_backbone import STRLBackbone
from keras_skelmae.models.strl_classifier import STRLClassifier

__all__ = [
    "ContrastiveModel",
    "Ensemble",
    "MotionCompletion",
    "STRLBackbone",
    "STRLClassifier",
    "SkeletonEncoder",
    "SkeletonMAE",
    "SkeletonPreprocessor",
    "load_model",
    "model_file",
]
