"""Functional models; importing this module registers them for ``keras.saving``."""

from keras_skelmae.models.contrastive_encoder import ContrastiveEncoder
from keras_skelmae.models.fused_classifier import FusedClassifier
from keras_skelmae.models.skeleton_encoder import SkeletonEncoder
from keras_skelmae.models.skeleton_mae import SkeletonMAE
from keras_skelmae.models.strl import STRLClassifier
from keras_skelmae.models.strl_autoencoder import STRLAutoencoder
from keras_skelmae.models.strl_siamese import STRLSiamese
from keras_skelmae.models.transfer import feature_model, transfer_weights

__all__ = [
    "ContrastiveEncoder",
    "FusedClassifier",
    "STRLAutoencoder",
    "STRLClassifier",
    "STRLSiamese",
    "SkeletonEncoder",
    "SkeletonMAE",
    "feature_model",
    "transfer_weights",
]
