"""Correlation alignment: training runs get the mean and covariance of the new program's runs."""

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler

from analysis_lib.errors import InputError
from analysis_lib.transfer.base import ProgramClassifier

__all__ = ["Coral", "align"]


def align(source: np.ndarray, target: np.ndarray, *, shrinkage: float = 0.5) -> np.ndarray:
    """Return the source re-coloured with the moments of the target.

    (x - m_s) C_s^(-1/2) C_t^(1/2) + m_t, where both covariances are shrunk towards the identity of
    standardised features: C = (1 - a) cov + a I, since a pool of few runs has no full covariance.

    Parameters
    ----------
    source : ndarray of shape (n_source, n_features)
    target : ndarray of shape (n_target, n_features)
    shrinkage : float, default=0.5

    References
    ----------
    Sun, Feng and Saenko, Return of frustratingly easy domain adaptation, AAAI 2016. Theirs is
    a = 1 added to the covariance, of features standardised per domain.

    Examples
    --------
    >>> x = np.array([[-1.0], [1.0]])
    >>> align(x, 3 * x + 5, shrinkage=0.0).round(6).tolist()
    [[2.0], [8.0]]
    """
    if not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage is {shrinkage}; expected a number from 0 to 1")
    centred = source - source.mean(axis=0)
    whiten = _power(centred, shrinkage, -0.5)
    colour = _power(target - target.mean(axis=0), shrinkage, 0.5)
    return centred @ whiten @ colour + target.mean(axis=0)


class Coral(ProgramClassifier):
    """Track U: fit on training runs aligned with the pool of the new program.

    Every training program is aligned on its own (its mean and covariance differ from the others').

    Parameters
    ----------
    estimator : estimator
        Fitted anew for every program, so a cheap one.
    shrinkage : float, default=0.9

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from analysis_lib.evaluation import simulate_world
    >>> x, runs = simulate_world("transferable", programs=4, classes=2)
    >>> new = (runs["program"] == runs["program"].iloc[0]).to_numpy()
    >>> model = Coral(DecisionTreeClassifier(random_state=0))
    >>> model = model.fit(x[~new], runs["label"][~new], groups=runs["program"][~new])
    >>> model.adapt(x[new]).predict(x[new]).shape
    (40,)
    """

    track = "U"

    def __init__(self, estimator: BaseEstimator, shrinkage: float = 0.9):
        self.estimator = estimator
        self.shrinkage = shrinkage

    def _fit(self, X, y, groups, reference, reference_groups):
        self.scaler_ = StandardScaler().fit(X)
        x, self.estimator_ = self._inputs(X), None
        self.labels_, self.whitened_ = y, np.empty_like(x)
        for group in np.unique(groups):
            centred = x[groups == group] - x[groups == group].mean(axis=0)
            self.whitened_[groups == group] = centred @ _power(centred, self.shrinkage, -0.5)

    def _see(self, pool, labels):
        target = self._inputs(pool)
        colour = _power(target - target.mean(axis=0), self.shrinkage, 0.5)
        aligned = self.whitened_ @ colour + target.mean(axis=0)
        self.estimator_ = clone(self.estimator).fit(aligned, self.labels_)

    def _probability(self, X):
        if self.estimator_ is None:
            raise InputError("CORAL: call adapt with runs of the program first")
        return self.estimator_.predict_proba(self._inputs(X))

    def _inputs(self, X):
        return np.clip(self.scaler_.transform(X), -5, 5)


def _power(centred: np.ndarray, shrinkage: float, exponent: float) -> np.ndarray:
    count, size = centred.shape
    covariance = (1 - shrinkage) * centred.T @ centred / max(count, 1)
    covariance += shrinkage * np.eye(size)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
