"""Shares of runs compared between groups of runs and between programs, programs being the unit."""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import Interval, bootstrap_programs, t_interval

__all__ = ["difference_of_shares", "rate_spread", "stable_difference"]


def difference_of_shares(
    hit: np.ndarray,
    programs: np.ndarray,
    first: np.ndarray,
    second: np.ndarray | None = None,
    *,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return the share of hits in one group of runs minus that in another.

    Parameters
    ----------
    hit : array-like of bool of shape (n_runs,)
    programs : array-like of shape (n_runs,)
        The programs are resampled; those without a run in a group count as programs all the same,
        unless there is no second group.
    first : array-like of bool of shape (n_runs,)
        A group of runs.
    second : array-like of bool of shape (n_runs,), optional
        Another, which may overlap the first. Without it, nothing is subtracted.
    n_resamples, random_state : int

    Returns
    -------
    Interval
        Missing throughout if a group is empty.

    Examples
    --------
    >>> group = np.array([True, True, False, False])
    >>> difference_of_shares([1, 0, 0, 0], list("ppqq"), group, ~group).estimate
    0.5
    """
    hit, first = np.asarray(hit, dtype=bool), np.asarray(first, dtype=bool)
    programs = np.asarray(programs)
    groups = [first] if second is None else [first, np.asarray(second, dtype=bool)]
    if second is None:
        hit, programs, groups = hit[first], programs[first], [np.ones(first.sum(), dtype=bool)]
    code, names = pd.factorize(programs, sort=True)
    if not all(group.any() for group in groups):
        return Interval(np.nan, np.nan, np.nan, 0.95, len(names), "program bootstrap")
    n = len(names)
    sizes = [np.bincount(code[g], minlength=n).astype(float) for g in groups]
    hits = [np.bincount(code[g & hit], minlength=n).astype(float) for g in groups]

    def statistic(weights):
        parts = []
        for above, below in zip(hits, sizes, strict=True):
            total = weights @ below
            empty = np.full(len(total), np.nan)
            parts.append(np.divide(weights @ above, total, out=empty, where=total > 0))
        return parts[0] if second is None else parts[0] - parts[1]

    return bootstrap_programs(statistic, n, n_resamples=n_resamples, random_state=random_state)


def stable_difference(values: pd.Series, runs: pd.DataFrame) -> Interval:
    """Return the mean over programs of unstable minus stable runs.

    Parameters
    ----------
    values : Series indexed by run_id
        Runs whose value is not finite are left out.
    runs : DataFrame
        run_id, program, unstable.

    Returns
    -------
    Interval
        Student's over the programs that have runs of both kinds; missing if none has.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": range(4), "program": list("ppqq"), "unstable": [0, 1] * 2})
    >>> stable_difference(pd.Series([1.0, 3.0, 10.0, 14.0]), runs).estimate
    3.0
    """
    x = values.reindex(runs["run_id"]).to_numpy(dtype=float)
    bad = runs["unstable"].to_numpy(dtype=bool)
    known, program = np.isfinite(x), runs["program"].to_numpy()
    means = [
        pd.Series(x[rows], dtype=float).groupby(program[rows]).mean()
        for rows in (known & bad, known & ~bad)
    ]
    difference = (means[0] - means[1]).dropna()
    if difference.empty:
        return Interval(np.nan, np.nan, np.nan, 0.95, 0, "t")
    return t_interval(difference)


def rate_spread(
    runs: pd.DataFrame,
    hit: np.ndarray,
    *,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    r"""Return the standard deviation over programs of a rate, beyond that of chance.

    With :math:`p_g` the rate of program g and :math:`v_g` the squared standard error that its
    configurations give it (runs of one configuration are alike),

    .. math::
        \tau^2 = \operatorname{var}_g(p_g) - \operatorname{mean}_g(v_g),

    of which the root is returned, with the sign of :math:`\tau^2`.

    Parameters
    ----------
    runs : DataFrame
        program, configuration.
    hit : array-like of bool of shape (n_runs,)
    n_resamples, random_state : int
        Of the bootstrap over programs.

    Returns
    -------
    Interval
        Over programs with two configurations at least.

    Raises
    ------
    InputError
        If fewer than two programs have two configurations.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": list("ppppqqqq"), "configuration": list("aabbccdd")})
    >>> rate_spread(runs, [1] * 4 + [0] * 4).estimate.__round__(3)
    0.707
    """
    table = runs[["program", "configuration"]].assign(hit=np.asarray(hit, dtype=float))
    units = table.groupby(["program", "configuration"])["hit"].agg(["sum", "size"]).reset_index(0)
    grouped = units.groupby("program")
    size, count = grouped["size"].sum(), grouped.size()
    rate = grouped["sum"].sum() / size
    residual = units["sum"] - units["size"] * units["program"].map(rate)
    squares = (residual**2).groupby(units["program"]).sum()
    error = (squares / size**2 * count / (count - 1).where(count > 1)).dropna()
    rate = rate[error.index].to_numpy()
    if len(rate) < 2:
        raise InputError("a spread of rates needs two programs with two configurations each")

    def statistic(weights):
        n = weights.sum(axis=1)
        mean = weights @ rate / n
        variance = (weights @ rate**2 / n - mean**2) * n / (n - 1)
        beyond = variance - weights @ error.to_numpy() / n
        return np.sign(beyond) * np.sqrt(np.abs(beyond))

    options = {"n_resamples": n_resamples, "random_state": random_state}
    return bootstrap_programs(statistic, len(rate), **options)
