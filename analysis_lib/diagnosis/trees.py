"""Boosted trees as plain arrays, which predict what scikit-learn's would."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from analysis_lib.errors import InputError

__all__ = ["Trees"]

ROWS = 512
"""Rows that are predicted together, to bound memory."""


@dataclass(frozen=True)
class Trees:
    """Additive trees: the score of class c is ``baseline[c]`` plus the leaves of its trees.

    Attributes
    ----------
    feature : ndarray of int16 of shape (n_nodes,)
        Which feature a node asks; -1 in a leaf.
    threshold : ndarray of float64 of shape (n_nodes,)
        Rows with a feature <= threshold go left. In a leaf, its value.
    missing_left : ndarray of bool of shape (n_nodes,)
        Whether rows go left where the feature is missing.
    left, right : ndarray of int32 of shape (n_nodes,)
        Children; a leaf's are itself.
    root : ndarray of int32 of shape (n_trees,)
    tree_class : ndarray of int16 of shape (n_trees,)
        Class to whose score a tree adds.
    baseline : ndarray of float64 of shape (n_classes,)
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    root: np.ndarray
    tree_class: np.ndarray
    baseline: np.ndarray

    @classmethod
    def of(cls, boosting: Any) -> "Trees":
        """Copy a fitted ``HistGradientBoostingClassifier`` of several classes.

        Raises
        ------
        InputError
            If it has categorical features or two classes, which these arrays cannot hold.
        """
        rounds = boosting._predictors
        if len(rounds[0]) < 3 or any(t.nodes["is_categorical"].any() for r in rounds for t in r):
            raise InputError("expected boosted trees of three classes or more, numbers only")
        trees = [(c, tree.nodes) for r in rounds for c, tree in enumerate(r)]
        sizes = [len(nodes) for _, nodes in trees]
        root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        shift = np.repeat(root, sizes)
        nodes = np.concatenate([n for _, n in trees])
        leaf = nodes["is_leaf"].astype(bool)
        own = np.arange(len(nodes))
        return cls(
            feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int16),
            threshold=np.where(leaf, nodes["value"], nodes["num_threshold"]).astype(np.float64),
            missing_left=nodes["missing_go_to_left"].astype(bool) & ~leaf,
            left=np.where(leaf, own, nodes["left"] + shift).astype(np.int32),
            right=np.where(leaf, own, nodes["right"] + shift).astype(np.int32),
            root=root,
            tree_class=np.array([c for c, _ in trees], dtype=np.int16),
            baseline=np.asarray(boosting._baseline_prediction, dtype=np.float64).ravel(),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Trees":
        """Take the attributes out of a mapping of names to arrays."""
        return cls(**{f.name: arrays[f.name] for f in fields(cls)})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the attributes by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the scores of every class, before they become probabilities.

        Parameters
        ----------
        features : ndarray of shape (n_runs, n_features)
            NaN where missing.

        Returns
        -------
        ndarray of shape (n_runs, n_classes)
        """
        x = np.asarray(features, dtype=np.float64)
        parts = [self._scores(x[i : i + ROWS]) for i in range(0, len(x), ROWS)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.baseline)))

    def _scores(self, x: np.ndarray) -> np.ndarray:
        at = np.tile(self.root, (len(x), 1))
        rows = np.arange(len(x))[:, None]
        while (self.feature[at] >= 0).any():
            value = x[rows, np.maximum(self.feature[at], 0)]
            lower = np.where(np.isnan(value), self.missing_left[at], value <= self.threshold[at])
            at = np.where(lower, self.left[at], self.right[at])
        leaves = self.threshold[at]
        total = np.zeros((len(x), len(self.baseline)))
        for c in range(len(self.baseline)):
            total[:, c] = leaves[:, self.tree_class == c].sum(axis=1)
        return total + self.baseline
