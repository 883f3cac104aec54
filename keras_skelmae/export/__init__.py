"""Export of a classifier to runtimes without Keras, each checked against the Keras model."""

from keras_skelmae.export.convert import TOLERANCE, export_model
from keras_skelmae.export.serving import metadata, serving_model
from skelmae_datasets.runs.exports import FORMATS

__all__ = ["FORMATS", "TOLERANCE", "export_model", "metadata", "serving_model"]
