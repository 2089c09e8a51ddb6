"""Feature sets: functions from traces, cut at a window, to one row of finite numbers per run."""

from analysis_lib.features.featureset import FEATURE_SETS, FeatureSet, extract, get_feature_set
from analysis_lib.features.values import signed_log10

__all__ = ["FEATURE_SETS", "FeatureSet", "extract", "get_feature_set", "signed_log10"]
