"""Triage of a run by its curvature: clusters of early curvature, and how often each goes bad.

The study groups runs by the size of Hessian-vector products and gradients after the first epoch,
finds a group in which all runs are unstable, and proposes the grouping as a triage rule. Here the
grouping is an estimator, so that it can be fitted on some programs and asked about others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.utils.validation import check_is_fitted

from analysis_lib.errors import InputError

__all__ = ["TRIAGE_CHANNELS", "TriageRule", "cluster_table", "fit_triage", "triage_features"]

TRIAGE_CHANNELS = ("hvp_layer_mean", "hvp_layer_std", "grad_tensor_mean", "grad_tensor_std")
"""Mean and spread over layers of Hessian-vector products, and over tensors of gradient norms."""

NOT_FINITE = -1
SMALLEST = 1e-12


class TriageRule(ClassifierMixin, BaseEstimator):
    """Clusters of magnitudes, each with the share of its training runs that were unstable.

    Magnitudes are standardised on a log10 scale and grouped by k-means. Runs with a value that is
    not finite form a group of their own, numbered -1. A run is flagged if the share of its group
    reaches the threshold.

    Parameters
    ----------
    clusters : int or sequence of int, default=(3, ..., 8)
        Number of clusters; of several, the one with the largest mean silhouette.
    threshold : float, default=0.5
        Share of unstable training runs from which on a group is flagged.
    silhouette_runs : int, default=1000
        Silhouettes are computed on at most so many runs, drawn at random.
    random_state : int, default=0

    Attributes
    ----------
    n_clusters_ : int
    centers_ : ndarray of shape (k, n_features)
        In log10 units, in falling order of their size.
    shares_ : dict of int to float
        Share of unstable training runs by group. The group -1 has share 1 if training had no
        such run: a value that is not finite is itself a sign of instability.
    silhouettes_ : dict of int to float
        By number of clusters tried.
    classes_ : ndarray
        False, True.

    Raises
    ------
    InputError
        When fitted with too few finite rows, or labels that are not of both kinds.

    References
    ----------
    Rousseeuw, Silhouettes, J. Comput. Appl. Math. 1987.

    Examples
    --------
    >>> x = np.array([[1.0], [1.1], [0.9], [1e6], [1.1e6], [0.9e6], [np.nan]])
    >>> y = np.array([False, False, False, True, True, True, True])
    >>> rule = TriageRule(clusters=2).fit(x, y)
    >>> rule.predict([[2.0], [1e7], [np.inf]]).tolist()
    [False, True, True]
    """

    def __init__(
        self,
        *,
        clusters: int | Sequence[int] = (3, 4, 5, 6, 7, 8),
        threshold: float = 0.5,
        silhouette_runs: int = 1000,
        random_state: int = 0,
    ):
        self.clusters = clusters
        self.threshold = threshold
        self.silhouette_runs = silhouette_runs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "TriageRule":
        """Group the runs and count.

        Parameters
        ----------
        X : array-like of shape (n_runs, n_features)
            Magnitudes, at least 0; missing and infinite values are allowed.
        y : array-like of shape (n_runs,)
            Whether a run is unstable.
        """
        x, finite = _magnitudes(X)
        y = np.asarray(y, dtype=bool)
        if len(x) != len(y) or y.all() or not y.any():
            raise InputError("triage needs stable and unstable runs, and a label for each run")
        tried = np.atleast_1d(self.clusters).tolist()
        known = x[finite]
        distinct = len(np.unique(known, axis=0)) if len(known) else 0
        tried = [k for k in tried if 2 <= k < distinct]
        if not tried:
            raise InputError(
                f"{distinct} different runs with finite curvature are too few for "
                f"{self.clusters} clusters"
            )
        self.mean_, scale = known.mean(axis=0), known.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        z = (known - self.mean_) / self.scale_
        found = {k: KMeans(k, n_init=4, random_state=self.random_state).fit(z) for k in tried}
        self.silhouettes_ = {k: self._silhouette(z, m.labels_) for k, m in found.items()}
        self.n_clusters_ = max(tried, key=lambda k: self.silhouettes_[k])
        centers = found[self.n_clusters_].cluster_centers_
        centers = centers[np.argsort(-centers.sum(axis=1))]
        self.centers_ = centers * self.scale_ + self.mean_
        group = self._group(x, finite)
        self.shares_ = {int(k): float(y[group == k].mean()) for k in np.unique(group)}
        self.shares_.setdefault(NOT_FINITE, 1.0)
        self.classes_ = np.array([False, True])
        self.n_features_in_ = x.shape[1]
        return self

    def assign(self, X: Any) -> np.ndarray:
        """Return the group of every run: 0 is the largest in magnitude, -1 is not finite."""
        check_is_fitted(self)
        return self._group(*_magnitudes(X, self.n_features_in_))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the shares of stable and of unstable training runs in the group of every run."""
        share = np.array([self.shares_[k] for k in self.assign(X)])
        return np.column_stack([1 - share, share])

    def predict(self, X: Any) -> np.ndarray:
        """Return whether every run is flagged."""
        return self.predict_proba(X)[:, 1] >= self.threshold

    def _group(self, x: np.ndarray, finite: np.ndarray) -> np.ndarray:
        group = np.full(len(x), NOT_FINITE)
        z = (x[finite] - self.centers_[:, None, :]) / self.scale_
        group[finite] = np.square(z).sum(axis=2).argmin(axis=0)
        return group

    def _silhouette(self, z: np.ndarray, labels: np.ndarray) -> float:
        rng = np.random.default_rng(self.random_state)
        rows = rng.permutation(len(z))[: self.silhouette_runs]
        if not 1 < len(np.unique(labels[rows])) < len(rows):
            return -1.0
        return float(silhouette_score(z[rows], labels[rows]))


def triage_features(
    epochs: pd.DataFrame, *, epoch: int = 0, channels: Sequence[str] = TRIAGE_CHANNELS
) -> pd.DataFrame:
    """Return what the triage rule looks at: magnitudes of channels at one snapshot.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch, channels.
    epoch : int, default=0
        Snapshot; -1 is the state before training.
    channels : sequence of str

    Returns
    -------
    DataFrame indexed by run_id
        As recorded: missing and infinite values stay.

    Raises
    ------
    InputError
        If a column is missing or no run has that snapshot.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": ["a", "a"], "epoch": [-1, 0], "hvp_norm": [1.0, 2.0]})
    >>> triage_features(epochs, channels=["hvp_norm"])["hvp_norm"].to_dict()
    {'a': 2.0}
    """
    missing = [c for c in ("run_id", "epoch", *channels) if c not in epochs]
    if missing:
        raise InputError(f"epochs lacks the columns {', '.join(missing)}")
    table = epochs.loc[epochs["epoch"] == epoch, ["run_id", *channels]]
    if table.empty:
        raise InputError(f"no run has a snapshot at epoch {epoch}")
    return table.set_index("run_id").astype(float)


def fit_triage(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    epoch: int = 0,
    label: str = "unstable",
    **options: Any,
) -> TriageRule:
    """Fit the triage rule on runs of a corpus.

    Parameters
    ----------
    epochs, epoch
        See :func:`triage_features`.
    runs : DataFrame
        run_id and the label.
    label : str, default="unstable"
        A boolean column.
    **options
        Parameters of :class:`TriageRule`.

    Returns
    -------
    TriageRule

    Raises
    ------
    InputError
        As :func:`triage_features` and :meth:`TriageRule.fit`; or if a run has no such snapshot.
    """
    x = triage_features(epochs, epoch=epoch)
    if not runs["run_id"].isin(x.index).all():
        raise InputError(f"some runs have no snapshot at epoch {epoch}")
    return TriageRule(**options).fit(x.loc[runs["run_id"]], runs[label])


def cluster_table(rule: TriageRule, x: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Describe the groups of a triage rule, as the study does in its Table VII.

    Parameters
    ----------
    rule : TriageRule
        Fitted.
    x : DataFrame indexed by run_id
        As :func:`triage_features` returns it, with the four channels.
    runs : DataFrame
        run_id, program, unstable, mismatch.

    Returns
    -------
    DataFrame
        cluster ("not finite" last), runs, programs, unstable and mismatch (shares; mismatch of the
        runs that have one), median_hvp, median_grad_std (missing for "not finite").
    """
    x = x.loc[runs["run_id"]]
    group = rule.assign(x)
    rows = []
    for k in [*range(rule.n_clusters_), NOT_FINITE]:
        chosen = group == k
        if not chosen.any():
            continue
        own, finite = runs[chosen], k != NOT_FINITE
        mismatch = own["mismatch"].dropna().astype(float)
        rows.append(
            {
                "cluster": str(k) if finite else "not finite",
                "runs": int(chosen.sum()),
                "programs": own["program"].nunique(),
                "unstable": float(own["unstable"].mean()),
                "mismatch": float(mismatch.mean()) if len(mismatch) else np.nan,
                "median_hvp": float(x.loc[chosen, "hvp_layer_mean"].median()) if finite else np.nan,
                "median_grad_std": (
                    float(x.loc[chosen, "grad_tensor_std"].median()) if finite else np.nan
                ),
            }
        )
    return pd.DataFrame(rows)


def _magnitudes(X: Any, n_features: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return log10 magnitudes, and which rows are finite."""
    x = np.asarray(X, dtype=float)
    if x.ndim != 2 or (n_features is not None and x.shape[1] != n_features):
        raise InputError(f"triage needs a table with one row per run, got shape {x.shape}")
    finite = np.isfinite(x).all(axis=1)
    with np.errstate(all="ignore"):
        return np.log10(np.maximum(np.abs(x), SMALLEST)), finite
