"""A technique that is trained on a random share of the training runs."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from analysis_lib.errors import InputError

__all__ = ["Thinned"]


class Thinned(ClassifierMixin, BaseEstimator):
    """Train an estimator on a random share of each class.

    Of the n runs of a class, round(share * n) are kept, and one at least. This tells the size of a
    training set from what is in it.

    Parameters
    ----------
    estimator : classifier
    share : float, default=0.5
        Above 0, up to 1.
    random_state : int, optional

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> x, y = np.zeros((40, 1)), np.repeat(["a", "b"], [30, 10])
    >>> Thinned(DummyClassifier(), share=0.5, random_state=0).fit(x, y).n_kept_
    20
    """

    def __init__(self, estimator: Any, *, share: float = 0.5, random_state: int | None = None):
        self.estimator = estimator
        self.share = share
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Draw the runs and fit a copy of the estimator on them.

        Raises
        ------
        InputError
            If the share is not above 0 and up to 1.
        """
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}; expected a number above 0, up to 1")
        X, y = np.asarray(X), np.asarray(y)
        rng = np.random.default_rng(self.random_state)
        kept = [
            rng.choice(rows, max(1, round(self.share * len(rows))), replace=False)
            for rows in (np.flatnonzero(y == name) for name in np.unique(y))
        ]
        rows = np.sort(np.concatenate(kept))
        self.n_kept_ = len(rows)
        self.n_features_in_ = X.shape[1]
        self.model_ = clone(self.estimator).fit(X[rows], y[rows])
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of every run."""
        check_is_fitted(self)
        return self.model_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class."""
        check_is_fitted(self)
        return self.model_.predict_proba(X)
