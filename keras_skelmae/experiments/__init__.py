"""Protocols of the field and the paper's ablation studies, over seeds."""

from keras_skelmae.experiments.protocols import PROTOCOLS, markdown_table, run_protocol
from keras_skelmae.experiments.studies import STUDIES, run_study, study_table

__all__ = ["PROTOCOLS", "STUDIES", "markdown_table", "run_protocol", "run_study", "study_table"]
