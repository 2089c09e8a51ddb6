"""Tests in which the program is the unit: one number per program, signs flipped at random.

Of a mean, of many means at once, and what a mean must be to be found.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

from analysis_lib.errors import InputError
from analysis_lib.evaluation.inference import per_program
from analysis_lib.labels import exact_sign_flip

__all__ = ["max_t_test", "sign_flip_test", "smallest_resolvable_gap"]

EXACT_UP_TO = 16


def sign_flip_test(
    differences: ArrayLike,
    *,
    alternative: str = "two-sided",
    n_resamples: int = 100_000,
    random_state: int = 0,
) -> float:
    """Return the p-value that paired per-program differences have mean 0.

    Under the null hypothesis that a difference is as likely as its negative, the mean is compared
    with its value under all ``2**n`` patterns of signs (n up to 16), or under ``n_resamples``
    random ones and the observed one.

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
    d = per_program(differences)
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

    ``t = mean / (s / sqrt(n))`` per column. The signs of whole programs are flipped, the same in
    all columns, and every ``|t|`` is compared with the largest ``|t|`` of each flipped table. The
    simultaneous interval is ``mean +- c s / sqrt(n)``, c the quantile of these largest at
    ``level``.

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
    per_program([0.0], level)
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
    noncentrality ``mean / (sd / sqrt(n))``.

    Parameters
    ----------
    sd : float
        Standard deviation of the per-program differences.
    n : int
        Number of programs.
    power : float, default=0.8
    alpha : float, default=0.05
        Level of the test.

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


def _flipped_means(d: np.ndarray, n_resamples: int, random_state: int) -> np.ndarray:
    rng = np.random.default_rng(random_state)
    signs = rng.integers(0, 2, size=(n_resamples, len(d)), dtype=np.int8) * 2 - 1
    return signs.astype(float) @ d / len(d)
