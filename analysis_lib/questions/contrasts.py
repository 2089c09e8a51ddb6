"""Contrasts that a single claim is about, with intervals over programs.

What the chapters' tables do not hold as one number: means over techniques, the smallest of several
gaps, shares of what lies above chance.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import InputError
from analysis_lib.evaluation import Interval, bootstrap_programs, chance_level
from analysis_lib.evaluation.inference import class_counts, pooled_scores
from analysis_lib.questions.verdicts import Estimate

__all__ = ["as_estimate", "change_of_gap", "mean_gap", "share_left", "smallest_mean"]


def mean_gap(
    predictions: pd.DataFrame,
    first: str,
    second: str,
    *,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return the gap in pooled balanced accuracy, averaged over techniques.

    Parameters
    ----------
    predictions : DataFrame
        technique, strategy, program, label, predicted; repeat, if any.
    first : str
        Strategy whose score comes first.
    second : str
        Strategy whose score is subtracted.
    n_resamples, random_state : int
        Of the bootstrap over programs, the same programs for all techniques.

    Returns
    -------
    Interval

    Examples
    --------
    >>> p = pd.DataFrame({"technique": list("aaaabbbb"), "strategy": ["E1", "E1", "E4", "E4"] * 2,
    ...     "program": list("pqpq") * 2, "label": "x", "predicted": list("xxxyxxyy")})
    >>> mean_gap(p, "E1", "E4").estimate
    0.75
    """
    cells = {
        key: class_counts(own)
        for key, own in predictions.groupby(["technique", "strategy"])
        if key[1] in (first, second)
    }
    techniques = sorted({technique for technique, _ in cells})
    programs = cells[techniques[0], first][0].index

    def statistic(weights):
        return np.mean(
            [
                pooled_scores(weights, *cells[t, first]) - pooled_scores(weights, *cells[t, second])
                for t in techniques
            ],
            axis=0,
        )

    options = {"n_resamples": n_resamples, "random_state": random_state}
    return bootstrap_programs(statistic, len(programs), **options)


def change_of_gap(
    predictions: pd.DataFrame,
    against: pd.DataFrame,
    first: str = "E1",
    second: str = "E4",
    *,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return a gap in pooled balanced accuracy minus the gap on other runs of the same programs.

    Parameters
    ----------
    predictions : DataFrame
        strategy, program, label, predicted; of one technique.
    against : DataFrame
        The same of other runs, whose gap is subtracted.
    first : str
        Strategy whose score comes first.
    second : str
        Strategy whose score is subtracted.
    n_resamples, random_state : int
        Of the bootstrap over programs, the same programs on both sides; those of either take part.

    Returns
    -------
    Interval

    Examples
    --------
    >>> p = pd.DataFrame({"strategy": ["E1", "E1", "E4", "E4"], "program": list("pqpq"),
    ...     "label": "x", "predicted": list("xxyy")})
    >>> change_of_gap(p, p.assign(predicted=list("xxxy"))).estimate
    0.5
    """
    sides = [
        [class_counts(p[p["strategy"] == s]) for s in (first, second)]
        for p in (predictions, against)
    ]
    programs = sorted({g for side in sides for cells in side for g in cells[0].index})
    sides = [
        [tuple(c.reindex(programs, fill_value=0.0) for c in cells) for cells in side]
        for side in sides
    ]

    def statistic(weights):
        gaps = [pooled_scores(weights, *high) - pooled_scores(weights, *low) for high, low in sides]
        return gaps[0] - gaps[1]

    options = {"n_resamples": n_resamples, "random_state": random_state}
    return bootstrap_programs(statistic, len(programs), **options)


def smallest_mean(differences: pd.DataFrame, *, level: float = 0.95) -> Interval:
    r"""Return the smallest of several means over programs, with an interval of the smallest.

    With :math:`m_k` the mean and :math:`s_k` the standard error of column k of K,

    .. math::
        \min_k \left(m_k - t_{1-\alpha/2}\, s_k\right) \le \min_k \mu_k
        \le \min_k \left(m_k + t_{1-\alpha/(2K)}\, s_k\right).

    The lower bound needs no adjustment: it is at most the one of the column whose true mean is
    smallest. The upper bound is picked from K and has Bonferroni's level. So the interval covers
    the smallest true mean with at least ``level``, whatever the columns have in common. It is
    above zero only if every mean is.

    Parameters
    ----------
    differences : DataFrame of shape (n_programs, K)
        Missing values are left out column by column.
    level : float, default=0.95

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        Without a column, or with fewer than two programs in one.

    References
    ----------
    The lower bound is that of an intersection-union test: Berger, Technometrics 1982.

    Examples
    --------
    >>> print(smallest_mean(pd.DataFrame({1: [0.1, 0.2, 0.3], 5: [0.4, 0.5, 0.6]})))
    0.200 [-0.048, 0.558] (95 %, n = 3)
    """
    counts = differences.notna().sum()
    if not len(counts) or counts.min() < 2:
        raise InputError("the smallest mean needs a column, and two programs in every column")
    alpha = 1 - level
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(counts)
    low = mean - stats.t.ppf(1 - alpha / 2, counts - 1) * error
    high = mean + stats.t.ppf(1 - alpha / 2 / len(counts), counts - 1) * error
    ends = (float(mean.min()), float(low.min()), float(high.min()))
    return Interval(*ends, level, int(counts.min()), "smallest of several, t")


def share_left(
    plain: pd.DataFrame,
    permuted: pd.DataFrame,
    *,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return the share of what lies above chance that is left with permuted labels.

    (permuted - chance) / (plain - chance), in pooled balanced accuracy.

    Parameters
    ----------
    plain : DataFrame
        program, label, predicted (and repeat).
    permuted : DataFrame
        The same with permuted labels, of the same programs and classes.
    n_resamples, random_state : int
        Of the bootstrap over programs.

    Returns
    -------
    Interval
        Missing throughout if the plain score is not above chance.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppqq"), "label": list("xyxy")})
    >>> good, half = p.assign(predicted=list("xyxy")), p.assign(predicted=list("xyxx"))
    >>> share_left(good, half).estimate
    0.5
    """
    cells, chance = [class_counts(p) for p in (plain, permuted)], chance_level(plain)

    def statistic(weights):
        above, left = (pooled_scores(weights, *c) - chance for c in cells)
        return np.divide(left, above, out=np.full(len(left), np.nan), where=above > 0)

    options = {"n_resamples": n_resamples, "random_state": random_state}
    return bootstrap_programs(statistic, len(cells[0][0]), **options)


def as_estimate(
    found: Interval | Mapping[str, Any], name: str = "estimate", *, minus: float = 0.0
) -> Estimate:
    """Return an interval, or a row of a table with low and high, as an Estimate.

    A percentile interval of a bootstrap can leave out its own estimate; it is widened to hold it.

    Parameters
    ----------
    found : Interval or mapping
        With programs or n, and p_value if there is a test.
    name : str, default="estimate"
        Column of the estimate.
    minus : float, default=0
        Subtracted from all three.

    Examples
    --------
    >>> as_estimate({"gain": 0.5, "low": 0.25, "high": 0.75, "programs": 9}, "gain", minus=0.25)
    Estimate(estimate=0.25, low=0.0, high=0.5, programs=9, p_value=nan)
    """
    row = vars(found) if isinstance(found, Interval) else found
    value, low, high = (float(row[k]) - minus for k in (name, "low", "high"))
    if not np.isnan([value, low, high]).any():
        low, high = min(low, value), max(high, value)
    programs = row["n"] if "n" in row else row.get("programs", 0)
    return Estimate(value, low, high, int(programs), float(row.get("p_value", np.nan)))
