"""The interface of a transfer method, and methods that need nothing from the new program."""

from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.utils.validation import check_is_fitted

from analysis_lib.errors import InputError, unknown

__all__ = ["TRACKS", "Direct", "ProgramClassifier", "check_training", "class_shares"]

TRACKS = {
    "Z": "nothing from the new program",
    "U": "unlabelled runs of the new program",
    "H": "healthy runs of the new program",
    "K": "labelled runs of the new program",
}
"""What a method may use of the new program besides the run that it diagnoses."""


class ProgramClassifier(ClassifierMixin, BaseEstimator):
    """A classifier that knows of programs: fit on some, adapt to a new one, predict its runs.

    ``fit(X, y, groups=...)`` learns from labelled runs of several programs, ``adapt(pool)`` returns
    a copy that has seen what its track allows of the new program, and ``predict`` and
    ``predict_proba`` are scikit-learn's. A subclass has ``_fit`` and ``_probability``, and ``_see``
    if its track is not Z.

    Attributes
    ----------
    track : str
        Key of :data:`TRACKS`.
    classes_ : ndarray of shape (n_classes,)

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from analysis_lib.evaluation import simulate_world
    >>> x, runs = simulate_world("transferable", programs=4, classes=2)
    >>> model = Direct(DecisionTreeClassifier(random_state=0))
    >>> model.fit(x, runs["label"], groups=runs["program"]).predict(x).shape
    (160,)
    """

    track = "Z"

    def fit(
        self, X: Any, y: Any, *, groups: Any, reference: Any = None, reference_groups: Any = None
    ) -> Self:
        """Learn from the runs of several programs.

        Parameters
        ----------
        X : array-like of shape (n_runs, n_features)
        y : array-like of shape (n_runs,)
        groups : array-like of shape (n_runs,)
            The program of every run.
        reference : array-like of shape (n_reference, n_features), optional
            Healthy runs of the training programs; a method of track H needs them.
        reference_groups : array-like of shape (n_reference,), optional
            Their programs.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If shapes do not agree, values are not finite, there are fewer than two classes or
            programs, or a training program has no reference run though the track is H.
        """
        X, y, groups = check_training(X, y, groups)
        if self.track == "H":
            reference, reference_groups = self._references(reference, reference_groups, groups, X)
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        self._fit(X, y, groups, reference, reference_groups)
        return self

    def adapt(self, X: Any, y: Any = None) -> Self:
        """Return a copy that has seen runs of the new program.

        Parameters
        ----------
        X : array-like of shape (n_pool, n_features)
            Unlabelled runs (track U), healthy ones (H) or labelled ones (K).
        y : array-like of shape (n_pool,), optional
            Their classes, for track K.

        Raises
        ------
        InputError
            If the track is Z, the pool is empty or not finite, or labels are missing (K) or
            given (U, H).
        """
        check_is_fitted(self, "classes_")
        if self.track == "Z":
            raise InputError(f"{type(self).__name__} uses nothing of the new program; only predict")
        pool = _matrix(X, "the pool", self.n_features_in_)
        if len(pool) == 0:
            raise InputError(f"the pool is empty; track {self.track} needs at least one run")
        if (y is None) == (self.track == "K"):
            raise InputError(
                "track K needs the labels of the pool"
                if y is None
                else f"track {self.track} must not see labels; leave y out"
            )
        labels = None if y is None else np.asarray(y)
        if labels is not None and (
            len(labels) != len(pool) or not np.isin(labels, self.classes_).all()
        ):
            raise InputError("the pool's labels do not fit its runs or are no class of training")
        adapted = copy(self)
        adapted._see(pool, labels)
        return adapted

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, shape (n_runs, n_classes), in the order of ``classes_``."""
        check_is_fitted(self, "classes_")
        return self._probability(_matrix(X, "X", self.n_features_in_))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every run."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _references(self, reference, reference_groups, groups, X):
        if reference is None or reference_groups is None:
            raise InputError(f"{type(self).__name__} needs healthy reference runs: pass reference")
        reference = _matrix(reference, "reference", X.shape[1])
        reference_groups = np.asarray(reference_groups)
        lacking = np.setdiff1d(groups, reference_groups)
        if len(lacking) or len(reference) != len(reference_groups):
            raise InputError(
                f"{len(lacking)} training programs have no reference run, or reference_groups "
                "does not name the program of every reference run"
            )
        return reference, reference_groups

    def _fit(self, X: Any, y: Any, groups: Any, reference: Any, reference_groups: Any) -> None:
        raise NotImplementedError

    def _see(self, pool: Any, labels: Any) -> None:
        raise NotImplementedError

    def _probability(self, X: Any) -> np.ndarray:
        raise NotImplementedError


class Direct(ProgramClassifier):
    """Track Z: any scikit-learn classifier, after a selection of features if there is one.

    Parameters
    ----------
    estimator : estimator
    selector : transformer, optional
        With ``fit(X, y, groups=...)`` and ``transform(X)``, such as
        :class:`~analysis_lib.transfer.stable.StableFeatures`.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> model = Direct(DecisionTreeClassifier())
    >>> model.fit([[0.0], [1.0], [0.1], [0.9]], list("abab"), groups=list("ppqq")).predict([[1.1]])
    array(['b'], dtype='<U1')
    """

    def __init__(self, estimator: Any, selector: Any = None):
        self.estimator = estimator
        self.selector = selector

    def _fit(self, X, y, groups, reference, reference_groups):
        self.selector_ = None
        if self.selector is not None:
            self.selector_ = clone(self.selector).fit(X, y, groups=groups)
            X = self.selector_.transform(X)
        self.estimator_ = clone(self.estimator).fit(X, y)

    def _probability(self, X):
        X = X if self.selector_ is None else self.selector_.transform(X)
        if hasattr(self.estimator_, "predict_proba"):
            return class_shares(self.estimator_, X)
        return (self.estimator_.predict(X)[:, None] == self.classes_).astype(float)


def class_shares(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return what ``estimator.predict_proba(X)`` does, for a forest without its overhead.

    A forest of scikit-learn sets up a parallel call every time, which for the few runs of a program
    takes ten times as long as its trees.

    Parameters
    ----------
    estimator : fitted classifier
    X : ndarray of shape (n_runs, n_features)
    """
    if not isinstance(estimator, (ExtraTreesClassifier, RandomForestClassifier)):
        return estimator.predict_proba(X)
    X = np.ascontiguousarray(X, dtype=np.float32)
    total = np.zeros((len(X), len(estimator.classes_)))
    for tree in estimator.estimators_:
        total += tree.tree_.predict(X)
    return total / len(estimator.estimators_)


def check_training(X: Any, y: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, classes and programs as arrays, after checking them."""
    X, y, groups = _matrix(X, "X", None), np.asarray(y), np.asarray(groups)
    if not len(X) == len(y) == len(groups) or y.ndim != 1 or groups.ndim != 1:
        raise InputError(
            f"X has {len(X)} runs, y {y.shape} and groups {groups.shape}; give one class and one "
            "program per run"
        )
    if len(np.unique(y)) < 2 or len(np.unique(groups)) < 2:
        raise InputError("training needs at least two classes and two programs")
    return X, y, groups


def check_track(track: str) -> str:
    """Return a track; an unknown one is an InputError."""
    if track not in TRACKS:
        raise unknown("track", track, TRACKS)
    return track


def _matrix(X: Any, name: str, columns: int | None) -> np.ndarray:
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or (columns is not None and X.shape[1] != columns):
        raise InputError(
            f"{name} has shape {X.shape}; expected (n_runs, "
            f"{'n_features' if columns is None else columns})"
        )
    if not np.isfinite(X).all():
        raise InputError(f"{name} holds values that are not finite; replace them before")
    return X
