"""Feature sets: functions from traces, cut at a window, to one row of finite numbers per run."""

# registered feature sets
# what must never be a feature, for the leak audit alone
from analysis_lib.features.audit import AUDIT_SETS, audit_feature_set
from analysis_lib.features.featureset import FEATURE_SETS, FeatureSet, extract, get_feature_set
from analysis_lib.features.values import signed_log10

__all__ = [
    # registered feature sets
    "FEATURE_SETS",
    "FeatureSet",
    "extract",
    "get_feature_set",
    "signed_log10",
    # what must never be a feature, for the leak audit alone
    "AUDIT_SETS",
    "audit_feature_set",
]
