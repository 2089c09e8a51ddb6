r"""Are features further apart between programs than between fault classes?

The squared maximum mean discrepancy of two samples is, with a kernel k,

.. math:: \mathrm{MMD}^2(X, Y) = \overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)},

the means over pairs of different runs; this estimate is unbiased, so it can be below 0. Runs of one
configuration are near copies, and pairs of them are left out. Used as an effect size: a p-value
from permuted runs would be at its floor for every pair of programs, since runs are not independent.
"""

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist, pdist

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import features_of

__all__ = ["mmd_ratio", "mmd_squared"]

CHUNK = 1024


def mmd_squared(x: np.ndarray, y: np.ndarray, *, bandwidth: float) -> float:
    """Return the unbiased estimate of MMD² under the kernel ``exp(-|x - y|² / (2 bandwidth²))``.

    Parameters
    ----------
    x : array-like of shape (n, d)
        Two runs at least.
    y : array-like of shape (m, d)
        Two runs at least.
    bandwidth : float

    Raises
    ------
    InputError
        If a sample has fewer than two rows or the bandwidth is not positive.

    References
    ----------
    Gretton et al., A kernel two-sample test, JMLR 2012.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(200, 2)), rng.normal(size=(200, 2))
    >>> same, shifted = mmd_squared(x, y, bandwidth=1), mmd_squared(x, y + 1, bandwidth=1)
    >>> bool(abs(same) < 0.01 < shifted)
    True
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if min(len(x), len(y)) < 2 or not bandwidth > 0:
        raise InputError(
            f"samples of {len(x)} and {len(y)} rows, bandwidth {bandwidth}; need two rows each and "
            "a positive bandwidth"
        )
    within = [np.exp(-pdist(s, "sqeuclidean") / (2 * bandwidth**2)).mean() for s in (x, y)]
    between = np.exp(-cdist(x, y, "sqeuclidean") / (2 * bandwidth**2)).mean()
    return float(within[0] + within[1] - 2 * between)


def mmd_ratio(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    label: str,
    *,
    max_runs: int = 20,
    bandwidth: float | None = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare programs of the same class with classes of the same program.

    Features are divided by their standard deviations. MMD² is averaged over all pairs of programs
    that have a class, and over all pairs of classes that a program has; the ratio of the averages
    is above 1 where programs differ more than faults do, and infinite where faults do not differ
    at all. Intervals are percentiles of a bootstrap over programs.

    Parameters
    ----------
    features : DataFrame indexed by run_id
    runs : DataFrame
        run_id, program, the label, and configuration (optional).
    label : str
    max_runs : int, default=20
        Runs drawn of each class and program.
    bandwidth : float, optional
        By default the median distance of drawn runs.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    DataFrame indexed by "between programs", "between classes", "ratio"
        estimate, low, high, pairs.

    Raises
    ------
    InputError
        As ``cross_predict`` for features; if there are no two programs with a class in common, or
        no program with two classes, each of two runs of different configurations.

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> table = mmd_ratio(*simulate_world("transferable", programs=4, identity=0.0), "label")
    >>> bool(table.loc["ratio", "high"] < 1)
    True
    """
    x = features_of(features, runs)
    x = x / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    rng = np.random.default_rng(random_state)
    unit = runs["configuration"] if "configuration" in runs else runs["run_id"]
    table = pd.DataFrame({"program": runs["program"].to_numpy(), "unit": unit.to_numpy()})
    table["label"] = runs[label].astype(str).to_numpy()
    rank = table.iloc[rng.permutation(len(table))].groupby(["program", "label"]).cumcount()
    kept = (rank.reindex(table.index) < max_runs).to_numpy()
    table, x = table[kept].reset_index(drop=True), x[kept]
    units = table.groupby(["program", "label"])["unit"].transform("nunique") > 1
    table, x = table[units].reset_index(drop=True), x[units.to_numpy()]
    cell = table.groupby(["program", "label"]).ngroup().to_numpy()
    names = table.groupby(["program", "label"]).size().index
    programs, classes = (pd.factorize(names.get_level_values(i), sort=True)[0] for i in (0, 1))
    first, second = np.triu_indices(len(names), 1)
    across = (classes[first] == classes[second]) & (programs[first] != programs[second])
    inside = (programs[first] == programs[second]) & (classes[first] != classes[second])
    if not (across.any() and inside.any()):
        raise InputError(
            "need two programs with a class in common and a program with two classes, each with "
            "runs of two configurations"
        )
    if bandwidth is None:
        some = x[rng.permutation(len(x))[:1000]]
        bandwidth = float(np.median(pdist(some))) or 1.0
    means = _cell_means(x, cell, pd.factorize(table["unit"])[0], bandwidth)
    mmd = means[first, first] + means[second, second] - 2 * means[first, second]
    n = programs.max() + 1
    weights = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)])
    between_programs = _average(
        mmd[across], weights[:, programs[first[across]]] * weights[:, programs[second[across]]]
    )
    between_classes = _average(mmd[inside], weights[:, programs[first[inside]]])
    ratio = np.divide(
        between_programs,
        between_classes,
        out=np.full(len(weights), np.inf),
        where=between_classes > 0,
    )
    rows = {
        "between programs": (between_programs, across.sum()),
        "between classes": (between_classes, inside.sum()),
        "ratio": (ratio, across.sum()),
    }
    quantiles = [(1 - level) / 2, (1 + level) / 2]
    result = {}
    for name, (values, pairs) in rows.items():
        low, high = np.nanquantile(values[1:], quantiles, method="closest_observation")
        result[name] = {"estimate": values[0], "low": low, "high": high, "pairs": int(pairs)}
    return pd.DataFrame(result).T.rename_axis("quantity")


def _cell_means(x: np.ndarray, cell: np.ndarray, unit: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the mean kernel between cells, leaving out pairs of runs of one configuration."""
    n = cell.max() + 1
    member = np.eye(n)[cell]
    total, count = np.zeros((n, n)), np.zeros((n, n))
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        kernel = np.exp(-cdist(x[rows], x, "sqeuclidean") / (2 * bandwidth**2))
        other = unit[rows, None] != unit[None, :]
        total += member[rows].T @ (kernel * other) @ member
        count += member[rows].T @ other @ member
    return total / count


def _average(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1)
    return np.divide(weights @ values, total, out=np.full(len(weights), np.nan), where=total > 0)
