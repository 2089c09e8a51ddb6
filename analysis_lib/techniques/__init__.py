"""Techniques: a feature set and a scikit-learn estimator that fits everything in the fold.

A technique is added by one file: a module in this package, or a file of one's own for
:func:`load_techniques`, that declares it in ``TECHNIQUES``.
"""

from analysis_lib.techniques.audit import audit_techniques
from analysis_lib.techniques.autotrainer import AutoTrainer
from analysis_lib.techniques.deepdiagnosis import DeepDiagnosis
from analysis_lib.techniques.deeplocalize import DeepLocalize
from analysis_lib.techniques.hierarchy import PUBLISHED_GRID, HierarchicalForest
from analysis_lib.techniques.registry import (
    SLOW_TECHNIQUES,
    TECHNIQUES,
    get_technique,
    load_techniques,
)
from analysis_lib.techniques.technique import Technique
from analysis_lib.techniques.umlaut import Umlaut

__all__ = [
    # registry
    "SLOW_TECHNIQUES",
    "TECHNIQUES",
    "Technique",
    "get_technique",
    "load_techniques",
    # estimators
    "AutoTrainer",
    "DeepDiagnosis",
    "DeepLocalize",
    "HierarchicalForest",
    "PUBLISHED_GRID",
    "Umlaut",
    # for the leak audit alone
    "audit_techniques",
]
