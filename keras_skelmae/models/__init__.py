"""Functional models; importing this module registers them for ``keras.saving``."""

from keras_skelmae.models.skeleton_mae import SkeletonEncoder, SkeletonMAE
from keras_skelmae.models.strl import PointwiseUpdate, STRLClassifier
from keras_skelmae.models.transfer import transfer_encoder

__all__ = ["PointwiseUpdate", "STRLClassifier", "SkeletonEncoder", "SkeletonMAE", "transfer_encoder"]
