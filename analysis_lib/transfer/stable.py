"""Features whose class effect has the same sign in program after program."""

from typing import Any, Self

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin

from analysis_lib.errors import InputError
from analysis_lib.transfer.base import check_training

__all__ = ["StableFeatures", "class_effects"]


def class_effects(X: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return how each class differs from the others inside each program, in ranks.

    a = 2 AUC - 1 = difference of the mean ranks of the class and of the rest, over half the number
    of runs: -1 and 1 are complete separation. Ranks are within the program, so that its level and
    scale do not matter.

    Parameters
    ----------
    X : ndarray of shape (n_runs, n_features)
    y, groups : ndarray of shape (n_runs,)

    Returns
    -------
    ndarray of shape (n_programs, n_classes, n_features)
        Missing where a program lacks the class, or has no other.

    Examples
    --------
    >>> class_effects(np.array([[1.0], [2.0], [3.0], [4.0]]), np.array(list("abab")),
    ...               np.array(list("ppqq")))[:, :, 0].tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    programs, classes = np.unique(groups), np.unique(y)
    effects = np.full((len(programs), len(classes), X.shape[1]), np.nan)
    for i, program in enumerate(programs):
        rows = groups == program
        rank, labels = rankdata(X[rows], axis=0), y[rows]
        for j, name in enumerate(classes):
            hit = labels == name
            if hit.any() and not hit.all():
                difference = rank[hit].mean(axis=0) - rank[~hit].mean(axis=0)
                effects[i, j] = 2 * difference / len(labels)
    return effects


class StableFeatures(TransformerMixin, BaseEstimator):
    """Keep the features whose class effects agree across the training programs.

    With a[g, c] the effect of class c in program g (:func:`class_effects`), the stability of a
    feature is the largest over classes of ``|mean_g a| / (sd_g a + 0.1)``: large where the effect
    is strong and the same in all programs.

    Parameters
    ----------
    share : float, default=0.5
        Share of the features that is kept.

    Attributes
    ----------
    stability_ : ndarray of shape (n_features,)
    kept_ : ndarray of int
        Columns that are kept, in their order.

    References
    ----------
    The idea that what is stable across environments transfers is that of Peters, Buhlmann and
    Meinshausen, JRSS B 2016; this is a plain filter, not their test.

    Examples
    --------
    >>> from analysis_lib.evaluation import simulate_world
    >>> x, runs = simulate_world("transferable", programs=4, classes=2, features=6)
    >>> chosen = StableFeatures(share=0.5).fit(x, runs["label"], groups=runs["program"])
    >>> chosen.transform(x.to_numpy()).shape
    (160, 3)
    """

    def __init__(self, share: float = 0.5):
        self.share = share

    def fit(self, X: Any, y: Any, *, groups: Any) -> Self:
        """Find the stable features of labelled runs of several programs."""
        X, y, groups = check_training(X, y, groups)
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}; expected a number above 0 and up to 1")
        effects = class_effects(X, y, groups)
        known = np.isfinite(effects)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, effects, 0).sum(axis=0) / count
        spread = np.sqrt(np.where(known, (effects - mean) ** 2, 0).sum(axis=0) / count)
        self.stability_ = (np.abs(mean) / (spread + 0.1)).max(axis=0)
        kept = np.argsort(-self.stability_, kind="stable")
        self.kept_ = np.sort(kept[: max(1, round(self.share * X.shape[1]))])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the kept columns."""
        return np.asarray(X)[:, self.kept_]
