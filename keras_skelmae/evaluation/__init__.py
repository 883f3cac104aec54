"""Measuring trained models: metrics, the one way to predict, features, streams."""

from keras_skelmae.evaluation.evaluate import Measured, describe, evaluate_model, measure
from keras_skelmae.evaluation.features import embed
from keras_skelmae.evaluation.known import KnownClasses, load_known
from keras_skelmae.evaluation.metrics import scores
from keras_skelmae.evaluation.predict import load_classifier, predict_store
from keras_skelmae.evaluation.predict_files import predict_files, predict_opened
from keras_skelmae.evaluation.segment_metrics import segment_scores
from keras_skelmae.evaluation.streaming import StreamingPredictor
from keras_skelmae.evaluation.timeline import TimelinePredictor, predict_opened_recordings, predict_recordings

__all__ = [
    "KnownClasses",
    "Measured",
    "StreamingPredictor",
    "TimelinePredictor",
    "describe",
    "embed",
    "evaluate_model",
    "load_classifier",
    "load_known",
    "measure",
    "predict_files",
    "predict_opened",
    "predict_opened_recordings",
    "predict_recordings",
    "predict_store",
    "scores",
    "segment_scores",
]
