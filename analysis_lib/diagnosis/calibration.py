"""From scores to probabilities that mean what they say on unseen programs.

Scores s of held-out programs become probabilities by one temperature T and a prior pi,

    p_c = pi_c exp(s_c / T) / sum_k pi_k exp(s_k / T),

with T fitted by maximum likelihood on runs of programs that the model did not see (Guo et al.,
On calibration of modern neural networks, ICML 2017). Models are trained with even classes, so the
prior is free: by default half of all runs are healthy, and all faults are equally likely.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from analysis_lib.errors import InputError

__all__ = ["HEALTHY", "brier_score", "fit_temperature", "prior_of", "probabilities", "reliability"]

HEALTHY = "Healthy"


def prior_of(classes: Sequence[str] | np.ndarray, healthy: float = 0.5) -> np.ndarray:
    """Return the prior of every class: ``healthy`` for Healthy, the rest evenly.

    Raises
    ------
    InputError
        If ``healthy`` is not between 0 and 1.

    Examples
    --------
    >>> prior_of(["Healthy", "Data", "Loss"]).tolist()
    [0.5, 0.25, 0.25]
    """
    if not (isinstance(healthy, int | float) and 0 < healthy < 1):
        raise InputError(f"prior of a healthy run is {healthy!r}; expected a number in (0, 1)")
    is_healthy = np.array([c == HEALTHY for c in classes])
    return np.where(is_healthy, healthy, (1 - healthy) / max((~is_healthy).sum(), 1))


def probabilities(scores: np.ndarray, *, temperature: float, prior: np.ndarray) -> np.ndarray:
    """Return probabilities of shape (n_runs, n_classes), see above.

    Examples
    --------
    >>> p = probabilities(np.log([[0.8, 0.2]]), temperature=1.0, prior=np.array([0.2, 0.8]))
    >>> p.round(6).tolist()
    [[0.5, 0.5]]
    """
    z = np.asarray(scores, dtype=float) / temperature + np.log(prior)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def run_weights(
    label: np.ndarray, classes: Sequence[str] | np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Return weights under which the classes among the runs occur as the prior says; mean 1."""
    at = np.searchsorted(classes, label)
    weight = prior[at] / np.bincount(at, minlength=len(classes))[at]
    return weight * len(label) / weight.sum()


def fit_temperature(
    scores: np.ndarray, label: np.ndarray, classes: Sequence[str] | np.ndarray, *, prior: np.ndarray
) -> float:
    """Return the temperature with the largest likelihood, classes weighted as the prior says.

    Parameters
    ----------
    scores : ndarray of shape (n_runs, n_classes)
        Of programs that the model did not see.
    label : ndarray of str of shape (n_runs,)
    classes : sequence of str, sorted
    prior : ndarray of shape (n_classes,)

    Returns
    -------
    float
        Between 0.1 and 10; above 1 the scores were too sure.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.normal(size=(2000, 2))
    >>> label = np.array(["a", "b"])[(rng.gumbel(size=scores.shape) + scores / 2).argmax(axis=1)]
    >>> fit_temperature(scores, label, ["a", "b"], prior=np.full(2, 0.5)) > 1.5
    True
    """
    weight = run_weights(label, classes, prior)
    at = np.searchsorted(classes, label)

    def loss(log_t: float) -> float:
        p = probabilities(scores, temperature=np.exp(log_t), prior=prior)
        return -float(np.mean(weight * np.log(np.maximum(p[np.arange(len(p)), at], 1e-12))))

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def brier_score(
    probability: np.ndarray,
    label: np.ndarray,
    classes: Sequence[str] | np.ndarray,
    *,
    prior: np.ndarray,
) -> float:
    """Return the mean over runs of sum_c (p_c - [label = c])^2, weighted as the prior says.

    Examples
    --------
    >>> p, prior = np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0.5, 0.5])
    >>> brier_score(p, np.array(["a", "b"]), ["a", "b"], prior=prior)
    0.25
    """
    truth = np.asarray(label)[:, None] == np.asarray(classes)[None, :]
    each = np.square(probability - truth).sum(axis=1)
    return float(np.average(each, weights=run_weights(label, classes, prior)))


def reliability(
    confidence: np.ndarray,
    correct: np.ndarray,
    program: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    bins: int = 10,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare stated confidence with the share that was right, in bins of equal width.

    Parameters
    ----------
    confidence : ndarray of shape (n_runs,)
        Probability of what was predicted.
    correct : ndarray of bool of shape (n_runs,)
    program : ndarray of shape (n_runs,)
        Unit of the intervals: a bin's share is a mean over its programs, weighted by their runs.
    weight : ndarray, optional
        Of the runs; even by default.
    bins : int, default=10
    level : float, default=0.95

    Returns
    -------
    DataFrame
        confidence (mean), correct (share), low, high (normal interval from the spread of program
        sums), runs, programs; bins without runs are left out. ``attrs["error"]`` is the expected
        calibration error: the mean distance between the two, weighted by runs.

    Examples
    --------
    >>> right = np.array([True, False, True, True])
    >>> table = reliability(np.array([0.5, 0.5, 0.9, 0.9]), right, np.array(list("pqpq")))
    >>> table[["confidence", "correct"]].round(2).to_numpy().tolist()
    [[0.5, 0.5], [0.9, 1.0]]
    """
    from scipy.stats import norm

    weight = np.ones(len(confidence)) if weight is None else np.asarray(weight, dtype=float)
    where = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    rows, total = [], 0.0
    for b in np.unique(where):
        inside = where == b
        w, right = weight[inside], np.asarray(correct, dtype=float)[inside]
        share, stated = np.average(right, weights=w), np.average(confidence[inside], weights=w)
        each = pd.Series(w * (right - share)).groupby(np.asarray(program)[inside]).sum()
        n = len(each)
        error = np.sqrt(np.square(each).sum() * n / max(n - 1, 1)) / w.sum()
        half = norm.ppf((1 + level) / 2) * error
        rows.append((stated, share, max(share - half, 0), min(share + half, 1), inside.sum(), n))
        total += w.sum() * abs(stated - share)
    names = ["confidence", "correct", "low", "high", "runs", "programs"]
    table = pd.DataFrame(rows, columns=names)
    table.attrs["error"] = float(total / weight.sum())
    return table
