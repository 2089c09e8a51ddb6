"""Erase what tells programs apart, and see what a technique loses.

If a technique makes use of knowing the program, its score for seen programs (E1, E2) falls when the
directions of feature space that tell programs apart are projected out; that for unseen ones (E4)
does not, or rises. Only linear traces of identity are erased.
"""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.covariance import ledoit_wolf
from sklearn.utils.validation import check_is_fitted

from analysis_lib.errors import InputError
from analysis_lib.evaluation.inference import t_interval
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.scores import MIN_RUNS, by_program, score_table

__all__ = ["IdentityErasure", "erasure_scores"]


class IdentityErasure(TransformerMixin, BaseEstimator):
    r"""Project out the directions in which programs differ, whatever their class mix.

    Features are standardised and fitted by least squares as a program's offset plus a class's
    offset plus a rest, so that a program is not taken for its commonest class. With :math:`S` the
    covariance of the rest (Ledoit and Wolf's estimate) and :math:`B` that of the program offsets,
    the leading eigenvectors :math:`U` of :math:`S^{-1/2} B S^{-1/2}` are erased by

    .. math:: z \mapsto z - S^{1/2} U U^\top S^{-1/2} z,

    which changes :math:`z` least among all linear maps that do (in the metric of :math:`S`).

    Parameters
    ----------
    share : float, default=0.9
        Directions are erased until they hold this share of the trace, but one fewer than there
        are features at most.
    n_directions : int, optional
        Erase so many instead.

    Attributes
    ----------
    n_directions_ : int
        Number of erased directions.
    erased_ : float
        Share of the trace that they hold.

    Raises
    ------
    InputError
        If ``share`` or ``n_directions`` are out of range, or there is one program.

    References
    ----------
    Belrose et al., LEACE: perfect linear concept erasure in closed form, NeurIPS 2023; Ravfogel
    et al., Null it out, ACL 2020 (the idea of projecting).

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> x, runs = simulate_world("none", programs=4, identity=9.0, features=8)
    >>> erasure = IdentityErasure(n_directions=3).fit(x, runs["label"], runs["program"])
    >>> z = pd.DataFrame(erasure.transform(x)).groupby(runs["program"].to_numpy()).mean()
    >>> bool(z.std().max() < 0.3)
    True
    """

    def __init__(self, share: float = 0.9, n_directions: int | None = None):
        self.share = share
        self.n_directions = n_directions

    def fit(self, x: Any, y: Any, programs: Any) -> Self:
        """Learn the directions from the features, classes and programs of training runs."""
        x = np.asarray(x, dtype=float)
        d = x.shape[1]
        if not 0 < self.share <= 1:
            raise InputError(f"share is {self.share}; expected a number above 0, up to 1")
        if self.n_directions is not None and not 0 <= self.n_directions < d:
            raise InputError(f"n_directions is {self.n_directions}; expected 0 to {d - 1}")
        group, names = pd.factorize(np.asarray(programs), sort=True)
        if len(names) < 2:
            raise InputError("one program has no directions that tell programs apart")
        classes = pd.factorize(np.asarray(y), sort=True)[0]
        self.mean_ = x.mean(axis=0)
        scale = x.std(axis=0)
        self.scale_ = np.where(scale > 1e-12 * np.maximum(1, np.abs(self.mean_)), scale, np.inf)
        z = (x - self.mean_) / self.scale_
        design = np.hstack([np.eye(len(names))[group], np.eye(classes.max() + 1)[classes]])
        coefficients = np.linalg.lstsq(design, z, rcond=None)[0]
        offsets = coefficients[: len(names)]
        offsets = offsets - offsets.mean(axis=0)
        spread = ledoit_wolf(z - design @ coefficients, assume_centered=True)[0]
        values, vectors = np.linalg.eigh(spread)
        values = np.maximum(values, 1e-8 * max(values.max(), 1e-300))
        root = (vectors * np.sqrt(values)) @ vectors.T
        whiten = (vectors / np.sqrt(values)) @ vectors.T
        _, strength, axes = np.linalg.svd(offsets @ whiten, full_matrices=False)
        held = np.cumsum(strength**2) / max((strength**2).sum(), 1e-300)
        n = self.n_directions
        if n is None:
            n = min(int(np.searchsorted(held, self.share - 1e-12)) + 1, d - 1)
        n = min(n, len(axes))
        self.n_directions_, self.erased_ = n, float(held[n - 1]) if n else 0.0
        self.projection_ = root @ axes[:n].T @ axes[:n] @ whiten
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the standardised features without the erased directions."""
        check_is_fitted(self)
        z = (np.asarray(x, dtype=float) - self.mean_) / self.scale_
        return z - z @ self.projection_.T


def erasure_scores(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    technique: Any,
    label: str,
    *,
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    erasure: Any = None,
    min_runs: int = MIN_RUNS,
    level: float = 0.95,
    **options: Any,
) -> pd.DataFrame:
    """Score a technique before and after identity is erased inside every fold.

    Parameters
    ----------
    features, runs, technique, label
        As for :func:`analysis_lib.evaluation.predict.cross_predict`, which gets ``options`` too.
    strategies : iterable of str
    erasure : object, optional
        By default :class:`IdentityErasure`.
    min_runs : int, default=5
    level : float, default=0.95

    Returns
    -------
    DataFrame indexed by strategy
        before, after (program-macro recall), change = after - before with low, high (Student's
        interval over programs), pooled_before, pooled_after (pooled balanced accuracy), programs.

    Raises
    ------
    InputError
        As ``cross_predict`` and :class:`IdentityErasure`.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> features, runs = simulate_world("transferable", programs=4, classes=2)
    >>> table = erasure_scores(features, runs, DecisionTreeClassifier(), "label", strategies=["E4"])
    >>> table.index.tolist(), int(table.loc["E4", "programs"])
    (['E4'], 4)
    """
    erasure = IdentityErasure() if erasure is None else erasure
    rows = {}
    for strategy in strategies:
        pair = [
            cross_predict(features, runs, technique, strategy, label, erasure=e, **options)
            for e in (None, erasure)
        ]
        before, after = (by_program(p, min_runs=min_runs)["score"] for p in pair)
        pooled = [score_table(p, min_runs=min_runs)["pooled_balanced_accuracy"] for p in pair]
        interval = t_interval(after - before, level=level)
        rows[strategy] = {
            "before": before.mean(),
            "after": after.mean(),
            "change": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "pooled_before": pooled[0],
            "pooled_after": pooled[1],
            "programs": interval.n,
        }
    return pd.DataFrame(rows).T.rename_axis("strategy")
