"""Protocols of the field and the paper's ablation studies, over seeds; what tells how far a result can be trusted."""

from keras_skelmae.experiments.baselines import baseline_table, compare_baselines
from keras_skelmae.experiments.cross_validation import cross_validate, cross_validation_table
from keras_skelmae.experiments.protocols import PROTOCOLS, markdown_table, run_protocol
from keras_skelmae.experiments.robustness import robustness, robustness_table
from keras_skelmae.experiments.studies import STUDIES, run_study, study_table

__all__ = [
    "PROTOCOLS",
    "STUDIES",
    "baseline_table",
    "compare_baselines",
    "cross_validate",
    "cross_validation_table",
    "markdown_table",
    "robustness",
    "robustness_table",
    "run_protocol",
    "run_study",
    "study_table",
]
