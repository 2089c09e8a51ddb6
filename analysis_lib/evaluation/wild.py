r"""Regression coefficients when runs come in programs: the wild cluster bootstrap.

With clusters g (programs), scores :math:`s_g = X_g^\top (y_g - \mu_g)` and information
:math:`A_g = X_g^\top W_g X_g`, :math:`A = \sum_g A_g` (W is 1 in least squares and
:math:`\mu (1 - \mu)` in logistic regression), the cluster-robust variance of the coefficients is
:math:`c\, A^{-1} (\sum_g s_g s_g^\top) A^{-1}` with
:math:`c = \frac{G}{G - 1} \frac{n - 1}{n - k}`, and :math:`t = (\beta_j - \beta_{j0}) / se_j`.

A hypothesis :math:`\beta_j = \beta_{j0}` is imposed in fitting, and the restricted scores are
multiplied by one random number of mean 0 and variance 1 per program:

.. math::
    \delta^* = A^{-1} \sum_g w_g \tilde s_g, \qquad
    s_g^* = w_g \tilde s_g - A_g \delta^*, \qquad t^* = \delta_j^* / se_j^*.

The p-value is the share of :math:`|t^*| \ge |t|`; the interval holds all values that are not
rejected. In least squares this is the restricted wild cluster bootstrap, exactly; in logistic
regression the score bootstrap.
"""

import warnings
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
import statsmodels.api as sm

from analysis_lib.errors import InputError, unknown

__all__ = ["wild_cluster_bootstrap"]

FAMILIES = {"ols": sm.families.Gaussian, "logit": sm.families.Binomial}
WEBB = np.array([-np.sqrt(1.5), -1, -np.sqrt(0.5), np.sqrt(0.5), 1, np.sqrt(1.5)])
FEW = 12


def wild_cluster_bootstrap(
    y: pd.Series,
    x: pd.DataFrame,
    clusters: pd.Series,
    *,
    family: str = "ols",
    coefficients: list[str] | None = None,
    null: float = 0.0,
    intervals: bool = True,
    weights: str = "auto",
    level: float = 0.95,
    n_resamples: int = 1999,
    random_state: int = 0,
) -> pd.DataFrame:
    """Test and bound regression coefficients with the program as the unit.

    Parameters
    ----------
    y : array-like of shape (n,)
        Numbers; 0 and 1 for "logit".
    x : DataFrame of shape (n, k)
        Regressors, with a column of ones where an intercept is meant.
    clusters : array-like of shape (n,)
    family : {"ols", "logit"}
    coefficients : list of str, optional
        Columns of ``x`` to be tested, by default all.
    null : float, default=0
        Value that is tested.
    intervals : bool, default=True
        Compute low and high, which costs some 40 restricted fits per coefficient.
    weights : {"auto", "rademacher", "webb"}
        Signs, or Webb's six values; "auto" takes the latter for fewer than 12 clusters. All
        patterns of signs are used where there are no more than ``n_resamples``.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    DataFrame indexed by coefficient
        estimate, se (cluster-robust), t, p_value (two-sided), low, high, clusters.

    Raises
    ------
    InputError
        If lengths differ, values are missing, a name is unknown, regressors are collinear, classes
        are perfectly separated, or there are fewer than three clusters.

    References
    ----------
    Cameron, Gelbach and Miller, Review of Economics and Statistics 2008; Kline and Santos, Journal
    of Econometric Methods 2012 (scores); Webb, Queen's Economics Department 1315, 2014.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> program = np.repeat(np.arange(20), 30)
    >>> x = pd.DataFrame({"one": 1.0, "slope": rng.normal(size=600)})
    >>> y = 2 * x["slope"] + rng.normal(size=20)[program] + rng.normal(size=600)
    >>> table = wild_cluster_bootstrap(y, x, program, coefficients=["slope"], n_resamples=199)
    >>> low, high = table.loc["slope", ["low", "high"]]
    >>> bool(low < 2 < high and high - low < 0.4)
    True
    """
    y, matrix, group = _checked(y, x, clusters, family, weights, level)
    names = [str(c) for c in x.columns]
    wanted = names if coefficients is None else list(coefficients)
    for name in wanted:
        if name not in names:
            raise unknown("coefficient", name, names)
    draws = _draws(group.max() + 1, weights, n_resamples, random_state)
    model = _Model(y, matrix, group, family)
    estimate, variance = model.full()
    rows = {}
    for name in wanted:
        j = names.index(name)
        se = float(np.sqrt(variance[j, j]))

        def p_value(null, j=j, se=se):
            observed = abs(estimate[j] - null) / se
            return _share(np.abs(model.resampled(j, null, draws)), observed)

        rows[name] = {
            "estimate": estimate[j],
            "se": se,
            "t": (estimate[j] - null) / se,
            "p_value": p_value(null),
            "low": _edge(p_value, estimate[j], -se, 1 - level) if intervals else np.nan,
            "high": _edge(p_value, estimate[j], se, 1 - level) if intervals else np.nan,
            "clusters": int(group.max() + 1),
        }
    return pd.DataFrame(rows).T.rename_axis("coefficient")


class _Model:
    """A regression whose scores can be had with one coefficient held fixed."""

    def __init__(self, y, x, group, family):
        self.y, self.x, self.group, self.family = y, x, group, family
        n, k = x.shape
        g = group.max() + 1
        self.member = pd.Series(range(n)).groupby(group).indices
        self.correction = np.sqrt(g / (g - 1) * (n - 1) / (n - k))

    def fit(self, columns, offset):
        x = self.x[:, columns]
        if x.shape[1] == 0:
            return np.zeros(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                model = sm.GLM(self.y, x, family=FAMILIES[self.family](), offset=offset)
                return model.fit(tol=1e-10).params
            except Exception as error:  # separation and its kin are warnings of several kinds
                raise InputError(
                    f"the regression has no solution ({error}); leave out regressors that "
                    "separate the classes or are very large"
                ) from error

    def parts(self, linear):
        """Return scores (G, k) and information (G, k, k) by cluster."""
        mean = linear if self.family == "ols" else 1 / (1 + np.exp(-linear))
        weight = np.ones_like(mean) if self.family == "ols" else mean * (1 - mean)
        score = self.x * (self.y - mean)[:, None]
        rows = [self.member[g] for g in range(len(self.member))]
        scores = np.array([score[r].sum(axis=0) for r in rows])
        return scores, np.array([(self.x[r] * weight[r, None]).T @ self.x[r] for r in rows])

    def full(self):
        beta = self.fit(np.arange(self.x.shape[1]), np.zeros(len(self.y)))
        scores, information = self.parts(self.x @ beta)
        bread = np.linalg.inv(information.sum(axis=0))
        return beta, self.correction**2 * bread @ (scores.T @ scores) @ bread

    def resampled(self, j, null, draws):
        """Return t* of coefficient j for every draw, under the hypothesis that it is ``null``."""
        others = np.delete(np.arange(self.x.shape[1]), j)
        offset = null * self.x[:, j]
        linear = offset + self.x[:, others] @ self.fit(others, offset)
        scores, information = self.parts(linear)
        row = np.linalg.inv(information.sum(axis=0))
        delta = draws @ scores @ row
        # row j of A^-1 times the scores of every cluster
        moved = draws * (scores @ row[j]) - delta @ (information @ row[j]).T
        se = np.sqrt((moved**2).sum(axis=1)) * self.correction
        return np.divide(delta[:, j], se, out=np.zeros(len(se)), where=se > 0)


def _share(resampled: np.ndarray, observed: float) -> float:
    return float(np.mean(resampled >= observed * (1 - 1e-9)))


def _edge(p_value: Callable[[float], float], estimate: float, step: float, alpha: float) -> float:
    """Return where the p-value falls below alpha, going from the estimate in steps."""
    inside, outside = estimate, estimate + 2 * step
    for _ in range(12):
        if p_value(outside) < alpha:
            break
        inside, outside = outside, estimate + 2 * (outside - estimate)
    else:
        return float(np.sign(step) * np.inf)
    while abs(outside - inside) > 1e-3 * abs(step):
        middle = (inside + outside) / 2
        if p_value(middle) < alpha:
            outside = middle
        else:
            inside = middle
    return float(outside)


def _draws(g: int, weights: str, n_resamples: int, random_state: int) -> np.ndarray:
    rng = np.random.default_rng(random_state)
    if weights == "webb" or (weights == "auto" and g < FEW):
        return rng.choice(WEBB, size=(n_resamples, g))
    if 2**g <= n_resamples:
        return np.array(list(product([-1.0, 1.0], repeat=g)))
    return rng.integers(0, 2, size=(n_resamples, g)) * 2.0 - 1


def _checked(y, x, clusters, family, weights, level):
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES)
    if weights not in ("auto", "rademacher", "webb"):
        raise unknown("weights", weights, ("auto", "rademacher", "webb"))
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a number between 0 and 1, such as 0.95")
    y, matrix = np.asarray(y, dtype=float), x.to_numpy(dtype=float)
    if not len(y) == len(matrix) == len(clusters):
        raise InputError(
            f"{len(y)} outcomes, {len(matrix)} rows of regressors, {len(clusters)} clusters; "
            "expected as many of each"
        )
    group = pd.factorize(np.asarray(clusters))[0]
    if not (np.isfinite(y).all() and np.isfinite(matrix).all() and (group >= 0).all()):
        raise InputError("outcomes, regressors or clusters have missing or infinite values")
    if family == "logit" and not (set(np.unique(y)) == {0.0, 1.0}):
        raise InputError("outcomes of a logistic regression must be 0 and 1, and both must occur")
    if group.max() < 2:
        raise InputError(f"{group.max() + 1} clusters are too few; need three, better a dozen")
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise InputError("regressors are collinear; leave one of them out")
    return y, matrix, group
