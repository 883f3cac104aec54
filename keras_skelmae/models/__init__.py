"""Functional models; importing this module registers them for ``keras.saving``."""

from keras_skelmae.models.skeleton_encoder import SkeletonEncoder
from keras_skelmae.models.skeleton_mae import SkeletonMAE
from keras_skelmae.models.strl import STRLClassifier
from keras_skelmae.models.transfer import transfer_encoder

__all__ = ["STRLClassifier", "SkeletonEncoder", "SkeletonMAE", "transfer_encoder"]
