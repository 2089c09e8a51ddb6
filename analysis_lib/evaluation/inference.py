"""Intervals in which the program is the unit.

Runs of one program are alike, so an interval from resampled runs is far too narrow. Everything
here works on one number per program, or resamples whole programs. Intervals are conditional on the
trained models: programs share training runs, and no unbiased variance of a cross-validated score
exists (Bengio and Grandvalet, JMLR 2004). In simulated worlds of 24 programs a plain interval of
E2 - E4 covers the mean over repeated studies, models included, in 85 to 94 % of them, instead of
95 %; ``t_interval(..., overlap=1 / (n - 1))`` widens it for that, to 96 to 99 %
(``tests/evaluation/test_coverage.py`` measures both, with ``TORTURE=full``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis_lib.errors import InputError
from analysis_lib.evaluation.scores import recall_cells

__all__ = [
    "Interval",
    "bca_interval",
    "bootstrap_programs",
    "cluster_bootstrap",
    "t_interval",
]


@dataclass(frozen=True)
class Interval:
    """An estimate with an interval.

    Attributes
    ----------
    estimate : float
    low : float
        Lower end of the interval.
    high : float
        Upper end of the interval.
    level : float
        Confidence level.
    n : int
        Number of programs.
    method : str
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int
    method: str

    def __str__(self):
        share = f"{100 * self.level:g} %"
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}] ({share}, n = {self.n})"


def t_interval(values: ArrayLike, *, level: float = 0.95, overlap: float = 0.0) -> Interval:
    """Return the mean over programs with Student's interval.

    ``mean +- t(1 - alpha / 2, n - 1) * s * sqrt(1 / n + overlap)``.

    Parameters
    ----------
    values : array-like of shape (n_programs,)
        One number per program; missing ones are left out.
    level : float, default=0.95
    overlap : float, default=0.0
        Tested programs over training programs of a fold, 1 / (n - 1) where one program is held out
        at a time: allows for models that would have been others on other programs, by the
        correction of Nadeau and Bengio (Machine Learning 52, 2003). 0 is conditional on the
        trained models.

    Returns
    -------
    Interval
        From minus to plus infinity with a single program.

    Raises
    ------
    InputError
        If there is no value, one is infinite, the level is not between 0 and 1, or the overlap is
        negative.

    Examples
    --------
    >>> print(t_interval([0.1, 0.2, 0.3]))
    0.200 [-0.048, 0.448] (95 %, n = 3)
    >>> print(t_interval([0.1, 0.2, 0.3], overlap=1 / 2))
    0.200 [-0.193, 0.593] (95 %, n = 3)
    """
    x = per_program(values, level)
    if not overlap >= 0:
        raise InputError(f"overlap is {overlap}; it is a ratio of programs, 0 or more")
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, -np.inf, np.inf, level, 1, "t")
    error = x.std(ddof=1) * np.sqrt(1 / len(x) + overlap)
    half = stats.t.ppf((1 + level) / 2, len(x) - 1) * error
    return Interval(mean, mean - half, mean + half, level, len(x), "t")


def bca_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    n_resamples: int = 9999,
    random_state: int = 0,
) -> Interval:
    """Return the mean over programs with the bias-corrected and accelerated bootstrap interval.

    Parameters
    ----------
    values : array-like of shape (n_programs,)
        One number per program; missing ones are left out.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    Interval
        Of width 0 if all values are the same.

    Raises
    ------
    InputError
        As :func:`t_interval`; and with a single program.

    References
    ----------
    Efron, Better bootstrap confidence intervals, JASA 1987; ``scipy.stats.bootstrap``.

    Examples
    --------
    >>> i = bca_interval([0.4, 0.5, 0.6, 0.9], n_resamples=999)
    >>> round(i.estimate, 3), i.low < 0.5 < 0.7 < i.high
    (0.6, True)
    """
    x = per_program(values, level)
    if len(x) < 2:
        raise InputError("a bootstrap over programs needs at least two of them")
    mean = float(x.mean())
    if np.ptp(x) == 0:
        return Interval(mean, mean, mean, level, len(x), "BCa")
    result = stats.bootstrap(
        (x,),
        np.mean,
        confidence_level=level,
        n_resamples=n_resamples,
        method="BCa",
        rng=np.random.default_rng(random_state),
    ).confidence_interval
    return Interval(mean, float(result.low), float(result.high), level, len(x), "BCa")


def bootstrap_programs(
    statistic: Callable[[np.ndarray], np.ndarray],
    n: int,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return a statistic of n programs with a percentile interval over resampled programs.

    Programs are drawn with replacement. The interval is the expanded percentile one: its tails are
    ``Phi(sqrt(n / (n - 1)) t(alpha / 2, n - 1))`` instead of ``alpha / 2``, since plain percentiles
    are too narrow for few programs n. Resamples on which the statistic is undefined, such as those
    without a positive run, are left out.

    Parameters
    ----------
    statistic : callable
        From weights of shape (n_resamples, n), how often each program was drawn, to values of
        shape (n_resamples,).
    n : int
        Number of programs.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    Interval
        From minus to plus infinity if n is 1; missing throughout where the estimate is.

    References
    ----------
    Hesterberg, What teachers should know about the bootstrap, The American Statistician 2015.

    Examples
    --------
    >>> i = bootstrap_programs(lambda w: w @ [1.0, 1.0, 1.0] / 3, 3)
    >>> i.estimate, i.low, i.high
    (1.0, 1.0, 1.0)
    """
    estimate = float(np.asarray(statistic(np.ones((1, n))))[0])
    method = "program bootstrap"
    if np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan, level, n, method)
    if n < 2:
        return Interval(estimate, -np.inf, np.inf, level, n, method)
    rng = np.random.default_rng(random_state)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(float)
    values = np.asarray(statistic(drawn), dtype=float)
    values = values[np.isfinite(values)]
    tail = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, n - 1))
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high), level, n, method)


def cluster_bootstrap(
    predictions: pd.DataFrame,
    minus: pd.DataFrame | None = None,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return pooled balanced accuracy, or a difference of two, with a program-bootstrap interval.

    The score is computed anew from the recall cells of the resampled programs (a class they lack
    is left out of its mean); see :func:`bootstrap_programs`.

    Parameters
    ----------
    predictions : DataFrame
        program, label, predicted.
    minus : DataFrame, optional
        Other predictions of the same runs, whose score is subtracted in every resample.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If the two sets of predictions differ in their programs or classes, or there is one program.

    References
    ----------
    Hesterberg, What teachers should know about the bootstrap, The American Statistician 2015.

    Examples
    --------
    >>> table = pd.DataFrame({"program": list("ppqq"), "label": list("abab"),
    ...                       "predicted": list("aabb")})
    >>> cluster_bootstrap(table, n_resamples=99).estimate
    0.5
    """
    first = class_counts(predictions)
    n = len(first[0])
    per_program([0.0], level)
    if n < 2:
        raise InputError("a bootstrap over programs needs at least two of them")
    second = None if minus is None else class_counts(minus)
    if second is not None and not first[1].equals(second[1]):
        raise InputError("the two sets of predictions are not of the same runs")

    def statistic(weights):
        score = pooled_scores(weights, *first)
        return score if second is None else score - pooled_scores(weights, *second)

    return bootstrap_programs(
        statistic, n, level=level, n_resamples=n_resamples, random_state=random_state
    )


def per_program(values: ArrayLike, level: float = 0.95) -> np.ndarray:
    """Return one number per program, less the missing ones, if they and the level make sense."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if x.ndim != 1 or len(x) == 0 or np.isinf(x).any():
        raise InputError("need one finite number per program, and at least one program")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a number between 0 and 1, such as 0.95")
    return x


def class_counts(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return correct runs and runs, by program and class."""
    cells = recall_cells(predictions)
    table = cells.pivot(index="program", columns="label", values=["correct", "runs"]).fillna(0)
    table = table.astype(float)
    return table["correct"], table["runs"]


def pooled_scores(weights: np.ndarray, correct: pd.DataFrame, runs: pd.DataFrame) -> np.ndarray:
    """Return pooled balanced accuracy for each row of program weights."""
    total = weights @ runs.to_numpy(dtype=float)
    right = weights @ correct.to_numpy(dtype=float)
    recall = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    return recall.sum(axis=1) / (total > 0).sum(axis=1)
