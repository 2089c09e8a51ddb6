"""DEFault's hierarchy of random forests (Jahan et al., ICSE 2025), as published."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from analysis_lib.errors import InputError
from analysis_lib.features.values import LARGEST
from analysis_lib.techniques.rules import NO_FAULT

__all__ = ["PUBLISHED_GRID", "HierarchicalForest", "Winsorizer"]

PUBLISHED_GRID: Mapping[str, tuple] = MappingProxyType(
    {
        "n_estimators": (50, 100, 200),
        "max_depth": (None, 10, 20, 30),
        "min_samples_split": (2, 5, 10),
        "min_samples_leaf": (1, 2, 4),
        "max_features": ("sqrt", "log2"),
    }
)
"""The 216 forests among which DEFault chooses, for every classifier, by accuracy in 5 folds."""


class Winsorizer(TransformerMixin, BaseEstimator):
    """Move values beyond two percentiles of the training column to these percentiles.

    Parameters
    ----------
    low, high : float, default=1, 99

    Examples
    --------
    >>> Winsorizer(low=0, high=50).fit([[0.0], [1.0], [9.0]]).transform([[5.0]]).tolist()
    [[1.0]]
    """

    def __init__(self, low: float = 1, high: float = 99):
        self.low = low
        self.high = high

    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the percentiles."""
        X = np.asarray(X, dtype=float)
        self.n_features_in_ = X.shape[1]
        self.bounds_ = np.percentile(X, [self.low, self.high], axis=0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the clipped values."""
        check_is_fitted(self)
        return np.clip(np.asarray(X, dtype=float), *self.bounds_)


class HierarchicalForest(ClassifierMixin, BaseEstimator):
    """Binary random forests in two levels: faulty or not, then one per fault category.

    Level 1, only if "Healthy" is a class: all training rows, healthy against faulty. Level 2: for
    every category its rows against as many rows of other categories, drawn at random. Every
    forest has its own pipeline: mean imputation, clipping to the 1st and 99th percentile,
    standardisation, the 20 most important features according to a forest of 100 trees, then a
    forest, chosen from ``grid`` by accuracy in 5 stratified folds of its training rows.

    A run is "Healthy" if level 1 says so; otherwise it gets the category whose forest gives the
    largest share (published: all categories whose forest says yes; a run here has one fault).
    The probability of a category is that of "faulty" times its share among the categories, so a
    run can be called faulty although "Healthy" has the largest probability.

    Parameters
    ----------
    grid : mapping or None, default=None
        Parameters of the forest to choose from; :data:`PUBLISHED_GRID` is the published choice,
        1,080 fits per forest. None fits one forest of ``trees`` trees, otherwise with
        scikit-learn's defaults, which are a point of that grid.
    as_released : bool, default=False
        For the leak audit only: imputation, clipping and standardisation are fitted on training
        and test rows together, as in the released scripts. Everything is then fitted when
        something is predicted, and predictions depend on which rows are predicted together.
    keep : int, default=20
        Features that are kept.
    trees : int, default=100
        Trees of the forest that ranks the features, and of the last one if there is no ``grid``.
    n_jobs : int, default=1
    random_state : int, optional

    Attributes
    ----------
    classes_ : ndarray of str
    detector_ : Pipeline or None
        Level 1.
    experts_ : dict of str to Pipeline
        Level 2 by category; empty if there is only one. Not set if ``as_released``.

    Raises
    ------
    InputError
        If there are fewer than two classes.

    Notes
    -----
    Leaks of the original that are none of the estimator's: retrains of one mutant on both sides of
    a random split of rows (that is split E1), and hardware, learning rate and epoch among the
    features (:mod:`analysis_lib.features.audit`). Level 3 (which hyperparameter) is left out.

    References
    ----------
    Jahan, Shah, Rahman, Improved Detection and Diagnosis of Faults in Deep Neural Networks Using
    Hierarchical and Explainable Classification, ICSE 2025; released scripts.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["Healthy", "Loss", "Weights"], 20)
    >>> x = rng.normal(size=(60, 3)) + 9 * (y[:, None] == np.unique(y))
    >>> HierarchicalForest(random_state=0).fit(x, y).predict(x[[0, 25, 50]]).tolist()
    ['Healthy', 'Loss', 'Weights']
    """

    def __init__(
        self,
        *,
        grid: Mapping[str, tuple] | None = None,
        as_released: bool = False,
        keep: int = 20,
        trees: int = 100,
        n_jobs: int = 1,
        random_state: int | None = None,
    ):
        self.grid = grid
        self.as_released = as_released
        self.keep = keep
        self.trees = trees
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit both levels, or, if ``as_released``, note the rows."""
        X, y = np.asarray(X, dtype=float), np.asarray(y)
        self.n_features_in_ = X.shape[1]
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise InputError(f"one class only, {self.classes_[0]}; there is nothing to tell apart")
        self._train: Any = (X, y) if self.as_released else None
        self._last: tuple | None = None
        if not self.as_released:
            self.detector_, self.experts_ = self._fit(X, y, None)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of every run."""
        faulty, shares, categories = self._levels(X)
        best = categories[shares.argmax(axis=1)]
        return np.where(faulty > 0.5, best, NO_FAULT).astype(self.classes_.dtype)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class."""
        faulty, shares, categories = self._levels(X)
        total = shares.sum(axis=1, keepdims=True)
        shares = np.where(total > 0, shares / np.where(total > 0, total, 1), 1 / len(categories))
        table = np.empty((len(shares), len(self.classes_)))
        table[:, self.classes_ != NO_FAULT] = faulty[:, None] * shares
        table[:, self.classes_ == NO_FAULT] = 1 - faulty[:, None]
        return table

    def _levels(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        check_is_fitted(self)
        X = np.asarray(X, dtype=float)
        detector, experts = self._fitted(X)
        categories = self.classes_[self.classes_ != NO_FAULT]
        faulty = np.ones(len(X)) if detector is None else detector.predict_proba(X)[:, 1]
        shares = np.ones((len(X), len(categories)))
        for j, category in enumerate(categories):
            if category in experts:
                shares[:, j] = experts[category].predict_proba(X)[:, 1]
        return faulty, shares, categories

    def _fitted(self, X: np.ndarray) -> tuple[Pipeline | None, dict]:
        if not self.as_released:
            return self.detector_, self.experts_
        if self._last is None or not np.array_equal(self._last[0], X):
            known, y = self._train
            self._last = (X.copy(), self._fit(known, y, X))
        return self._last[1]

    def _fit(
        self, X: np.ndarray, y: np.ndarray, seen: np.ndarray | None
    ) -> tuple[Pipeline | None, dict]:
        rng = np.random.default_rng(self.random_state)
        healthy = y == NO_FAULT
        detector = self._binary(X, ~healthy, seen, rng) if healthy.any() else None
        X, y = X[~healthy], y[~healthy]
        experts = {}
        categories = np.unique(y)
        for category in categories if len(categories) > 1 else ():
            own, others = np.flatnonzero(y == category), np.flatnonzero(y != category)
            drawn = rng.choice(others, size=min(len(own), len(others)), replace=False)
            rows = np.sort(np.concatenate([own, drawn]))
            experts[category] = self._binary(X[rows], y[rows] == category, seen, rng)
        return detector, experts

    def _binary(
        self, X: np.ndarray, positive: np.ndarray, seen: np.ndarray | None, rng: np.random.Generator
    ) -> Pipeline:
        """Fit one pipeline, the first half of it on the rows ``seen`` at the test, too."""
        first, second = (int(seed) for seed in rng.integers(0, 2**31, size=2))
        prepare = make_pipeline(
            _Unmark(), SimpleImputer(keep_empty_features=True), Winsorizer(), StandardScaler()
        )
        prepare.fit(X if seen is None else np.vstack([X, seen]))
        choose = SelectFromModel(
            self._forest(first), threshold=-np.inf, max_features=min(self.keep, X.shape[1])
        )
        ready = choose.fit_transform(prepare.transform(X), positive)
        forest = self._forest(second)
        folds = min(5, int(positive.sum()), int((~positive).sum()))
        if self.grid is not None and folds > 1:
            search = GridSearchCV(
                forest,
                {name: list(values) for name, values in self.grid.items()},
                scoring="accuracy",
                cv=StratifiedKFold(folds, shuffle=True, random_state=second),
                n_jobs=self.n_jobs,
            )
            forest = search.fit(ready, positive).best_estimator_
        else:
            forest.fit(ready, positive)
        return Pipeline([("prepare", prepare), ("choose", choose), ("forest", forest)])

    def _forest(self, seed: int) -> RandomForestClassifier:
        return RandomForestClassifier(
            n_estimators=self.trees, n_jobs=self.n_jobs, random_state=seed
        )


class _Unmark(TransformerMixin, BaseEstimator):
    """Turn the marks of values that are not finite or do not exist into missing values."""

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X):
        X = np.asarray(X, dtype=float)
        return np.where(np.abs(X) > 1.5 * LARGEST, np.nan, X)

    def __sklearn_is_fitted__(self) -> bool:
        return True
