"""Diagnosis of one training run from its trace: causes, evidence, neighbours, instability.

The model behind it is fitted on the shipped corpus (:func:`build_model`, or the command
``diagnosis-model``), saved as plain arrays, and judged on programs it did not see.
"""

from analysis_lib.diagnosis.abstention import (
    accuracy_by_coverage,
    risk_coverage,
    unlike_p_values,
)
from analysis_lib.diagnosis.build import build_model
from analysis_lib.diagnosis.calibration import (
    brier_score,
    fit_temperature,
    prior_of,
    probabilities,
    reliability,
)
from analysis_lib.diagnosis.candidates import CANDIDATES
from analysis_lib.diagnosis.curves import CURVES, Curve
from analysis_lib.diagnosis.diagnose import diagnose
from analysis_lib.diagnosis.evidence import HealthyRanges, healthy_ranges
from analysis_lib.diagnosis.features import (
    curve_table,
    curves_of,
    feature_names,
    summarise_curves,
)
from analysis_lib.diagnosis.instability import Instability, instability
from analysis_lib.diagnosis.model import DiagnosisModel, load_model
from analysis_lib.diagnosis.reference import Reference
from analysis_lib.diagnosis.report import Diagnosis
from analysis_lib.diagnosis.trace import read_trace
from analysis_lib.diagnosis.training import held_out_scores, read_traces
from analysis_lib.diagnosis.trees import Trees

__all__ = [
    # one trace
    "Diagnosis",
    "Instability",
    "diagnose",
    "instability",
    "read_trace",
    # scale-free curves and features
    "CURVES",
    "Curve",
    "curve_table",
    "curves_of",
    "feature_names",
    "summarise_curves",
    # the model
    "CANDIDATES",
    "DiagnosisModel",
    "HealthyRanges",
    "Reference",
    "Trees",
    "build_model",
    "healthy_ranges",
    "held_out_scores",
    "load_model",
    "read_traces",
    # calibration and abstention
    "accuracy_by_coverage",
    "brier_score",
    "fit_temperature",
    "prior_of",
    "probabilities",
    "reliability",
    "risk_coverage",
    "unlike_p_values",
]
