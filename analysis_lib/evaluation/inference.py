"""Intervals and tests in which the program is the unit.

Runs of one program are alike, so an interval from resampled runs is far too narrow. Everything
here works on one number per program, or resamples whole programs. Intervals are conditional on the
trained models: programs share training runs, and no unbiased variance of a cross-validated score
exists (Bengio and Grandvalet, JMLR 2004). In simulated worlds of 24 programs a plain interval of
E2 - E4 covers the mean over repeated studies, models included, in 85 to 94 % of them, instead of
95 %; ``t_interval(..., overlap=1 / (n - 1))`` widens it for that, to 96 to 99 %.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

from analysis_lib.errors import InputError
from analysis_lib.evaluation.scores import recall_cells
from analysis_lib.labels import exact_sign_flip

__all__ = [
    "Interval",
    "bca_interval",
    "bootstrap_programs",
    "cluster_bootstrap",
    "max_t_test",
    "sign_flip_test",
    "smallest_resolvable_gap",
    "t_interval",
]

EXACT_UP_TO = 16


@dataclass(frozen=True)
class Interval:
    """An estimate with an interval.

    Attributes
    ----------
    estimate, low, high : float
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

    mean +- t(1 - alpha / 2, n - 1) * s * sqrt(1 / n + overlap).

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
    x = _values(values, level)
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
    x = _values(values, level)
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
    Phi(sqrt(n / (n - 1)) t(alpha / 2, n - 1)) instead of alpha / 2, since plain percentiles are
    too narrow for few programs n. Resamples on which the statistic is undefined, such as those
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
    _values([0.0], level)
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


def sign_flip_test(
    differences: ArrayLike,
    *,
    alternative: str = "two-sided",
    n_resamples: int = 100_000,
    random_state: int = 0,
) -> float:
    """Return the p-value that paired per-program differences have mean 0.

    Under the null hypothesis that a difference is as likely as its negative, the mean is compared
    with its value under all 2**n patterns of signs (n up to 16), or under ``n_resamples`` random
    ones and the observed one.

    Parameters
    ----------
    differences : array-like of shape (n_programs,)
        Missing ones are left out.
    alternative : {"two-sided", "greater", "less"}
    n_resamples, random_state : int
        For more than 16 programs.

    Raises
    ------
    InputError
        If there is no value, one is infinite, or the alternative is unknown.

    Examples
    --------
    >>> sign_flip_test([1.0, 2.0, 3.0, 4.0])
    0.125
    """
    d = _values(differences, 0.95)
    if alternative not in ("two-sided", "greater", "less"):
        raise InputError(f"alternative is {alternative!r}; use two-sided, greater or less")
    if alternative == "less":
        d = -d
    if len(d) <= EXACT_UP_TO:
        p = exact_sign_flip(d)
        return p if alternative != "two-sided" else min(1.0, 2 * min(p, exact_sign_flip(-d)))
    flipped = _flipped_means(d[:, None], n_resamples, random_state)[:, 0]
    observed = d.mean()
    if alternative == "two-sided":
        flipped, observed = np.abs(flipped), abs(observed)
    tolerance = 1e-12 * np.abs(d).mean()
    return float((1 + np.sum(flipped >= observed - tolerance)) / (1 + n_resamples))


def max_t_test(
    differences: pd.DataFrame,
    *,
    level: float = 0.95,
    n_resamples: int = 10_000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Test many columns of per-program differences at once (Westfall and Young's max-T).

    t = mean / (s / sqrt(n)) per column. The signs of whole programs are flipped, the same in all
    columns, and every ``|t|`` is compared with the largest ``|t|`` of each flipped table. The
    simultaneous interval is mean +- c s / sqrt(n), c the quantile of these largest at ``level``.

    Parameters
    ----------
    differences : DataFrame of shape (n_programs, n_comparisons)
        Without missing values.
    level : float, default=0.95
        Of all intervals together.
    n_resamples, random_state : int

    Returns
    -------
    DataFrame indexed by comparison
        mean, t, p_adjusted (two-sided, family-wise), low, high.

    Raises
    ------
    InputError
        If values are missing or there are fewer than two programs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"nothing": rng.normal(size=20), "something": rng.normal(2, 1, 20)})
    >>> (max_t_test(table, n_resamples=999)["p_adjusted"] < 0.05).to_dict()
    {'nothing': False, 'something': True}
    """
    d = differences.to_numpy(dtype=float)
    if len(d) < 2 or not np.isfinite(d).all():
        raise InputError("max-T needs at least two programs and no missing difference")
    _values([0.0], level)
    n = len(d)
    square = (d**2).mean(axis=0)

    def error_of(mean):
        variance = np.maximum(square - mean**2, 1e-15 * np.maximum(square, 1e-300))
        return np.sqrt(variance / (n - 1))

    mean, error = d.mean(axis=0), error_of(d.mean(axis=0))
    observed = mean / error
    flipped = _flipped_means(d, n_resamples, random_state)
    largest = np.abs(flipped / error_of(flipped)).max(axis=1)
    half = np.quantile(largest, level, method="higher") * error
    reached = largest[:, None] >= np.abs(observed) * (1 - 1e-12)
    adjusted = (1 + reached.sum(axis=0)) / (1 + n_resamples)
    columns = {"mean": mean, "t": observed, "p_adjusted": adjusted}
    columns |= {"low": mean - half, "high": mean + half}
    return pd.DataFrame(columns, index=differences.columns)


def smallest_resolvable_gap(sd: float, n: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest mean difference that a two-sided paired t test finds with given power.

    Solves ``P(|T| > t(1 - alpha / 2, n - 1)) = power`` for the mean, T noncentral t with
    noncentrality mean / (sd / sqrt(n)).

    Parameters
    ----------
    sd : float
        Standard deviation of the per-program differences.
    n : int
        Number of programs.
    power, alpha : float

    Raises
    ------
    InputError
        If ``sd`` is negative, ``n`` below 2, or the others are not in (0, 1) with power > alpha.

    Examples
    --------
    >>> round(smallest_resolvable_gap(0.2, 38), 3)
    0.093
    """
    if not (np.isfinite(sd) and sd >= 0 and n >= 2 and 0 < alpha < power < 1):
        raise InputError(
            f"sd {sd}, n {n}, power {power}, alpha {alpha}: need sd >= 0, n >= 2 programs and "
            "0 < alpha < power < 1"
        )
    critical = stats.t.ppf(1 - alpha / 2, n - 1)

    def missing_power(shift):  # the square of T is noncentral F
        return stats.ncf.sf(critical**2, 1, n - 1, shift**2) - power

    enough = critical + 1
    while missing_power(enough) < 0:
        enough *= 2
    return float(optimize.brentq(missing_power, 1e-6, enough) * sd / np.sqrt(n))


def _values(values: ArrayLike, level: float) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if x.ndim != 1 or len(x) == 0 or np.isinf(x).any():
        raise InputError("need one finite number per program, and at least one program")
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a number between 0 and 1, such as 0.95")
    return x


def _flipped_means(d: np.ndarray, n_resamples: int, random_state: int) -> np.ndarray:
    rng = np.random.default_rng(random_state)
    signs = rng.integers(0, 2, size=(n_resamples, len(d)), dtype=np.int8) * 2 - 1
    return signs.astype(float) @ d / len(d)


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
