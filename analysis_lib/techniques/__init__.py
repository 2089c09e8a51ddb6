"""Techniques: a feature set and a scikit-learn estimator that fits everything in the fold."""

from analysis_lib.techniques.technique import TECHNIQUES, Technique, get_technique

__all__ = ["TECHNIQUES", "Technique", "get_technique"]
