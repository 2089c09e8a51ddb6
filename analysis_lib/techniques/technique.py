"""What a technique is, and the registry of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sklearn.base import BaseEstimator

from analysis_lib.errors import unknown
from analysis_lib.features import FeatureSet
from analysis_lib.techniques.autotrainer import AutoTrainer
from analysis_lib.techniques.deepdiagnosis import DeepDiagnosis
from analysis_lib.techniques.deepfd import make_deepfd
from analysis_lib.techniques.deeplocalize import DeepLocalize
from analysis_lib.techniques.default import (
    make_default,
    make_default_faithful,
    make_default_hierarchy,
)
from analysis_lib.techniques.general import make_dummy, make_forest, make_logistic
from analysis_lib.techniques.umlaut import Umlaut

__all__ = ["SLOW_TECHNIQUES", "TECHNIQUES", "Technique", "get_technique"]


@dataclass(frozen=True)
class Technique:
    """A feature set plus an estimator.

    Parameters
    ----------
    name : str
    feature_set : str or FeatureSet
        What :func:`analysis_lib.features.extract` is to compute.
    make_estimator : callable
        From a random state to an unfitted scikit-learn classifier. Whatever is fitted
        (scaling, selection, thresholds) belongs into it, so that it is fitted inside the fold.
    description : str
        One line.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> Technique("tree", "curvature", lambda seed: DecisionTreeClassifier(random_state=seed),
    ...           "a single tree").name
    'tree'
    """

    name: str
    feature_set: str | FeatureSet
    make_estimator: Callable[[int | None], BaseEstimator]
    description: str


def _autotrainer(random_state: int | None = None) -> BaseEstimator:
    return AutoTrainer()


def _deeplocalize(random_state: int | None = None) -> BaseEstimator:
    return DeepLocalize()


def _umlaut(random_state: int | None = None) -> BaseEstimator:
    return Umlaut()


def _deepdiagnosis(random_state: int | None = None) -> BaseEstimator:
    return DeepDiagnosis()


TECHNIQUES: Mapping[str, Technique] = MappingProxyType(
    {
        t.name: t
        for t in (
            Technique("DEFault", "default", make_default, "DEFault: channel means, forest"),
            Technique(
                "DEFault-hierarchy",
                "default_faithful",
                make_default_hierarchy,
                "DEFault as published, but without its search for parameters",
            ),
            Technique("DeepFD", "deepfd", make_deepfd, "DeepFD: checks, vote of three classifiers"),
            Technique("AutoTrainer", "autotrainer", _autotrainer, "rules on gradients, accuracy"),
            Technique("DeepLocalize", "deeplocalize", _deeplocalize, "rules on invalid values"),
            Technique("UMLAUT", "umlaut", _umlaut, "rules on losses and accuracies"),
            Technique("DeepDiagnosis", "deepdiagnosis", _deepdiagnosis, "rules, decision tree"),
            Technique("default-logistic", "default", make_logistic, "DEFault's features, linear"),
            Technique("curvature-forest", "curvature", make_forest, "curvature, forest"),
            Technique("curvature-logistic", "curvature", make_logistic, "curvature, linear"),
            Technique("optimizer-forest", "optimizer", make_forest, "optimizer, forest"),
            Technique("optimizer-logistic", "optimizer", make_logistic, "optimizer, linear"),
            Technique("dummy", "default", make_dummy, "guesses by class frequency"),
        )
    }
)
"""The techniques by name."""

SLOW_TECHNIQUES: Mapping[str, Technique] = MappingProxyType(
    {
        t.name: t
        for t in (
            Technique(
                "DEFault-faithful",
                "default_faithful",
                make_default_faithful,
                "DEFault as published: 1,080 fits per forest",
            ),
        )
    }
)
"""Techniques that take hours, for a single fold at a time; by name."""


def get_technique(name: str) -> Technique:
    """Return a registered technique; an unknown name is an InputError."""
    known = {**TECHNIQUES, **SLOW_TECHNIQUES}
    if name not in known:
        raise unknown("technique", name, known)
    return known[name]
