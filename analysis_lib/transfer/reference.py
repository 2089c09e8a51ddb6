"""Runs of a program as its yardstick: features relative to the program's own runs.

A program's reference r is the centre of some of its runs: unlabelled ones (track U), healthy ones
(H), or labelled ones (K; the mean of the class centres). A run x is then described by x itself, by
x - r, and by how far it is from the reference, ``log(1 + |x - r| / s)``, s being the spread of a
feature among reference runs of one program. The last says *that* something differs whatever the
sign: before the first step a fault of the optimizer leaves everything as it is, and one of the
loss or of the activations does not.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from analysis_lib.errors import InputError
from analysis_lib.transfer.base import ProgramClassifier, class_shares

__all__ = ["Referenced", "pooled_spread", "relative_to"]

SMALLEST_SPREAD = 0.02
"""Features are logarithms and shares; differences below this mean nothing."""


def relative_to(
    X: np.ndarray, centre: np.ndarray, spread: np.ndarray, parts: str = "xdz"
) -> np.ndarray:
    """Return features relative to a reference, side by side.

    Parameters
    ----------
    X : ndarray of shape (n_runs, n_features)
    centre : ndarray of shape (n_features,) or (n_runs, n_features)
        The reference, or one per run.
    spread : ndarray of shape (n_features,)
    parts : str
        Which blocks: "x" = X, "d" = X - centre, "z" = ``log(1 + |X - centre| / spread)``.

    Examples
    --------
    >>> relative_to(np.array([[3.0]]), np.array([1.0]), np.array([2.0])).round(3).tolist()
    [[3.0, 2.0, 0.693]]
    """
    difference = X - centre
    blocks = {"x": X, "d": difference, "z": np.log1p(np.abs(difference) / spread)}
    if not parts or set(parts) - set(blocks):
        raise InputError(f"parts is {parts!r}; expected some of the letters x, d and z")
    return np.hstack([blocks[part] for part in parts])


def pooled_spread(X: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the standard deviation within programs, pooled over them, at least 0.02.

    Examples
    --------
    >>> pooled_spread(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array(list("aabb"))).tolist()
    [1.0]
    """
    total = np.zeros(X.shape[1])
    for group in np.unique(groups):
        rows = X[groups == group]
        total += ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
    return np.maximum(np.sqrt(total / len(X)), SMALLEST_SPREAD)


class Referenced(ProgramClassifier):
    """Tracks U, H and K: a classifier of runs described relative to their program's reference.

    Parameters
    ----------
    estimator : estimator
    track : {"U", "H", "K"}
    parts : str, default="xdz"
        See :func:`relative_to`.
    centre : {"mean", "median"}
        Centre of the reference runs. A median of unlabelled runs is not moved by a few faults of
        one kind.
    weight : float, default=0.0
        For a forest on track K: how many training runs a labelled run counts in the leaves that it
        falls into; 0 uses labelled runs for the reference only.
    pools : int, default=8
        Tracks U and K: pools of other runs drawn per training program, by which its runs are
        referenced as the new program's will be, instead of by all of its runs; 0 uses all.
    random_state : int, default=0

    Notes
    -----
    On track U half of the drawn pools are of one class only and sizes vary from 5 to all runs, so
    that the classifier learns how far an uneven or small pool can be trusted. On track K, the
    reference is the mean of class centres.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> model = Referenced(LogisticRegression(), track="H", parts="d")
    >>> model = model.fit(X, list("abab"), groups=list("ppqq"), reference=X[[0, 2]],
    ...                   reference_groups=["p", "q"])
    >>> model.adapt([[100.0]]).predict([[100.1], [100.9]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        track: str = "U",
        parts: str = "xdz",
        centre: str = "median",
        weight: float = 0.0,
        pools: int = 8,
        random_state: int = 0,
    ):
        self.estimator = estimator
        self.track = track
        self.parts = parts
        self.centre = centre
        self.weight = weight
        self.pools = pools
        self.random_state = random_state

    def _fit(self, X, y, groups, reference, reference_groups):
        if self.track not in ("U", "H", "K") or self.centre not in ("mean", "median"):
            raise InputError(
                f"track is {self.track!r} and centre {self.centre!r}; expected U, H or K, and "
                "mean or median"
            )
        rng = np.random.default_rng(self.random_state)
        centres = np.empty_like(X)
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            if self.track == "H":
                centres[rows] = self._centre(reference[reference_groups == group])
            else:
                centres[rows] = self._drawn(X[rows], y[rows], rng)
        # the spread of like runs: healthy ones, or those of one program and class
        if self.track == "H":
            self.spread_ = pooled_spread(reference, reference_groups)
        else:
            self.spread_ = pooled_spread(
                X, np.array([f"{g}\n{c}" for g, c in zip(groups, y, strict=True)])
            )
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(relative_to(X, centres, self.spread_, self.parts), y)
        self.centre_ = None

    def _see(self, pool, labels):
        if labels is None:
            self.centre_ = self._centre(pool)
            return
        self.centre_ = self._balanced(pool, labels)
        if self.weight:
            x = relative_to(pool, self.centre_, self.spread_, self.parts)
            self.leaves_ = leaves_of(self.estimator_, x), labels

    def _probability(self, X):
        if self.centre_ is None:
            raise InputError(f"track {self.track}: call adapt with runs of the program first")
        x = relative_to(X, self.centre_, self.spread_, self.parts)
        if not (self.track == "K" and self.weight):
            return class_shares(self.estimator_, x)
        return leaf_probabilities(self.estimator_, x, *self.leaves_, self.weight, self.classes_)

    def _centre(self, X):
        return np.median(X, axis=0) if self.centre == "median" else X.mean(axis=0)

    def _balanced(self, X, y):
        return np.mean([self._centre(X[y == c]) for c in np.unique(y)], axis=0)

    def _drawn(self, X, y, rng):
        """Return a centre per run, of one of several pools drawn from the program."""
        if self.pools == 0:
            whole = self._centre(X) if self.track == "U" else self._balanced(X, y)
            return np.broadcast_to(whole, X.shape)
        centres = []
        for draw in range(self.pools):
            if self.track == "K":
                chosen = np.concatenate(
                    [rng.permutation(np.flatnonzero(y == c))[:5] for c in np.unique(y)]
                )
                centres.append(self._balanced(X[chosen], y[chosen]))
                continue
            rows = np.arange(len(y))
            if draw % 2:
                rows = rows[y == rng.choice(np.unique(y))]
            size = int(rng.integers(min(5, len(rows)), len(rows) + 1))
            centres.append(self._centre(X[rng.permutation(rows)[:size]]))
        return np.array(centres)[rng.permutation(np.arange(len(X)) % self.pools)]


def leaves_of(forest: Any, X: np.ndarray) -> np.ndarray:
    """Return the leaf of every run in every tree, shape (n_runs, n_trees), as ``forest.apply``."""
    X = np.ascontiguousarray(X, dtype=np.float32)
    return np.column_stack([tree.tree_.apply(X) for tree in forest.estimators_])


def leaf_probabilities(
    forest: Any,
    X: np.ndarray,
    leaves: np.ndarray,
    labels: np.ndarray,
    weight: float,
    classes: np.ndarray,
) -> np.ndarray:
    """Return a forest's probabilities after labelled runs were counted in its leaves.

    p_tree(c | x) = (n p(c) + w m_c) / (n + w m) in the leaf of x, n training runs with shares p(c)
    and m labelled ones, m_c of class c; the mean over trees.

    Parameters
    ----------
    forest : fitted forest of scikit-learn
    X : ndarray of shape (n_runs, n_features)
    leaves : ndarray of shape (n_labelled, n_trees)
        What :func:`leaves_of` returns for the labelled runs.
    labels : ndarray of shape (n_labelled,)
    weight : float
    classes : ndarray of shape (n_classes,)
    """
    at = leaves_of(forest, X)
    hot = (labels[:, None] == classes).astype(float)
    total = np.zeros((len(X), len(classes)))
    for j, tree in enumerate(forest.estimators_):
        share = tree.tree_.value[at[:, j], 0, :]
        share = share / share.sum(axis=1, keepdims=True)
        size = tree.tree_.n_node_samples[at[:, j]][:, None]
        seen = weight * ((at[:, j][:, None] == leaves[:, j]).astype(float) @ hot)
        total += (size * share + seen) / (size + seen.sum(axis=1, keepdims=True))
    return total / len(forest.estimators_)
