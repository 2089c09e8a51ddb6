"""What a technique is."""

from collections.abc import Callable
from dataclasses import dataclass

from sklearn.base import BaseEstimator

from analysis_lib.features import FeatureSet

__all__ = ["Technique"]


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
    slow : bool, default=False
        Whether it takes hours, so that studies name it themselves or leave it out.

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
    slow: bool = False
