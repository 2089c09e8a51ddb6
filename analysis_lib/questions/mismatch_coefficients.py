r"""Do features point the same way inside programs as between them, and from program to program?

For a feature x of run i of program g, its value is split into the program's mean and the run's
distance from it, each divided by its own standard deviation over runs,

.. math::
    w_i = (x_i - \bar x_g) / s_w, \qquad b_i = (\bar x_g - \bar x) / s_b, \qquad
    z_i = (x_i - \bar x) / s,

and two logistic regressions of the label are fitted, one feature at a time:
:math:`\alpha + \beta z_i` (pooled), and :math:`\alpha + \beta_w w_i + \beta_b b_i` (Mundlak's).
:math:`\beta_w` is what holds inside a program and could transfer to a new one; :math:`\beta_b`
says which programs are mismatched often, which a new program need not follow; the pooled
coefficient mixes the two. Features are taken one at a time: all at once they are collinear, and
more than the programs can support.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from analysis_lib.errors import InputError
from analysis_lib.evaluation import Interval, t_interval, wild_cluster_bootstrap
from analysis_lib.evaluation.scores import MIN_RUNS

__all__ = [
    "channel_levels",
    "sign_agreement",
    "sign_summary",
    "single_feature_auc",
    "within_between",
]

KINDS = ("pooled", "within", "between")
SMALLEST_SPREAD = 1e-9


def channel_levels(features: pd.DataFrame) -> pd.DataFrame:
    """Keep one column per channel, its mean over the window, that differs between runs.

    Parameters
    ----------
    features : DataFrame
        As ``extract`` returns them for the sets "optimizer" and "curvature".

    Returns
    -------
    DataFrame
        Columns ``<channel>_mean``, renamed to the channel.
    """
    means = features[[c for c in features if str(c).endswith("_mean")]]
    means = means.rename(columns=lambda c: str(c).removesuffix("_mean"))
    return means.loc[:, means.std() > SMALLEST_SPREAD]


def within_between(
    y: pd.Series,
    features: pd.DataFrame,
    programs: pd.Series,
    *,
    kinds: Sequence[str] = KINDS,
    n_resamples: int = 999,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Return standardised coefficients of every feature, pooled, within and between programs.

    Intervals and p-values come from the wild cluster bootstrap with programs as clusters, which
    cannot tell p-values below 1 / (n_resamples + 1);
    q-values from Benjamini and Hochberg's procedure over the features of a kind.

    Parameters
    ----------
    y : array-like of shape (n_runs,)
        0 or 1, or bool.
    features : DataFrame of shape (n_runs, n_features)
    programs : array-like of shape (n_runs,)
    kinds : sequence of {"pooled", "within", "between"}
    n_resamples, random_state : int
    n_jobs : int, default=1
        Worker processes.

    Returns
    -------
    DataFrame
        feature, kind, estimate, low, high, p_value, q_value, programs; one row per feature and
        kind. Estimates are missing where a feature does not vary in that way, or separates the
        classes.

    Raises
    ------
    InputError
        If lengths differ, values are missing, or there are fewer than three programs.

    References
    ----------
    Mundlak, Econometrica 1978; Benjamini and Hochberg, JRSS B 1995.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> program = np.repeat(np.arange(12), 40)
    >>> inside, level = rng.normal(size=480), rng.normal(size=12)[program]
    >>> y = rng.random(480) < 1 / (1 + np.exp(-(1.5 * inside - 1.5 * level)))
    >>> table = within_between(y, pd.DataFrame({"x": inside + level}), program, n_resamples=99)
    >>> np.sign(table.set_index("kind")["estimate"]).to_dict()
    {'pooled': 1.0, 'within': 1.0, 'between': -1.0}
    """
    y, group = np.asarray(y, dtype=float), np.asarray(programs)
    if not len(y) == len(features) == len(group):
        raise InputError(f"{len(y)} labels, {len(features)} rows, {len(group)} programs")
    if not np.isfinite(features.to_numpy(dtype=float)).all():
        raise InputError("features hold values that are not finite; replace them before")
    tasks = (
        delayed(_coefficients)(
            y, features[name].to_numpy(dtype=float), group, kind, n_resamples, random_state
        )
        for name in features
        for kind in kinds
    )
    found = Parallel(n_jobs=n_jobs)(tasks)
    names = [{"feature": name, "kind": kind} for name in features for kind in kinds]
    rows = [name | row for name, row in zip(names, found, strict=True)]
    columns = ["feature", "kind", "estimate", "low", "high", "p_value"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    table["q_value"] = table.groupby("kind", group_keys=False)["p_value"].apply(_adjusted)
    return table.assign(programs=len(np.unique(group)))


def single_feature_auc(
    y: pd.Series, features: pd.DataFrame, programs: pd.Series, *, min_runs: int = MIN_RUNS
) -> pd.DataFrame:
    """Return the AUC of every feature on its own in every program that carries information.

    Above one half, a larger value goes with the positive label there. Nothing is fitted.

    Parameters
    ----------
    y, features, programs
        As for :func:`within_between`.
    min_runs : int, default=5
        A program with fewer runs of a label is left out.

    Returns
    -------
    DataFrame of shape (n_programs, n_features)

    Examples
    --------
    >>> x = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    >>> single_feature_auc([0, 0, 1, 1], x, list("pppp"), min_runs=1)["x"].to_dict()
    {'p': 1.0}
    """
    hit, group = np.asarray(y, dtype=bool), np.asarray(programs)
    ranks = features.reset_index(drop=True).groupby(group).rank()
    counts = pd.DataFrame({"up": hit, "down": ~hit}).groupby(group).sum()
    counts = counts[(counts >= min_runs).all(axis=1)]
    sums = ranks[hit].groupby(group[hit]).sum().reindex(counts.index)
    least = counts["up"] * (counts["up"] + 1) / 2
    return sums.sub(least, axis=0).div(counts["up"] * counts["down"], axis=0)


def sign_agreement(areas: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, Interval]:
    """Ask whether a feature points the same way in two programs.

    Agreement is the share of pairs of programs in which the AUC of the feature is on the same side
    of one half; an AUC of exactly one half agrees by half. Coins agree half the time.

    Parameters
    ----------
    areas : DataFrame of shape (n_programs, n_features)
        As :func:`single_feature_auc` returns it.

    Returns
    -------
    by_feature : DataFrame indexed by feature
        mean_auc (over programs), agreement (over pairs).
    by_program : Series indexed by program
        Agreement with the other programs, over features.
    overall : Interval
        Agreement over pairs and features; Student's interval of the jackknife's pseudo-values over
        programs, since a program is in many pairs.

    Raises
    ------
    InputError
        With fewer than three programs.

    References
    ----------
    Arvesen, Jackknifing U-statistics, Annals of Mathematical Statistics 1969.

    Examples
    --------
    >>> areas = pd.DataFrame({"x": [0.8, 0.9, 0.7], "y": [0.8, 0.3, 0.4]}, index=list("pqr"))
    >>> by_feature, by_program, overall = sign_agreement(areas)
    >>> by_feature["agreement"].round(2).tolist(), by_program.tolist(), round(overall.estimate, 3)
    ([1.0, 0.33], [0.5, 0.75, 0.75], 0.667)
    """
    n = len(areas)
    if n < 3:
        raise InputError("agreement between programs needs three of them that carry information")
    side = np.sign(areas - 0.5)
    agrees = ((side.sum() - side) * side / (n - 1) + 1) / 2
    by_feature = pd.DataFrame({"mean_auc": areas.mean(), "agreement": agrees.mean()})
    by_program = agrees.mean(axis=1).rename("agreement")
    mean = by_program.mean()
    overall = t_interval(mean + 2 * (n - 1) / (n - 2) * (by_program - mean))
    return by_feature.rename_axis("feature"), by_program, overall


def sign_summary(coefficients: pd.DataFrame, *, level: float = 0.05) -> pd.Series:
    """Count features whose coefficients within and between programs agree or disagree.

    Parameters
    ----------
    coefficients : DataFrame
        As :func:`within_between` returns it.
    level : float, default=0.05
        A coefficient is resolved if its q-value is below.

    Returns
    -------
    Series
        features (with both coefficients), same_sign, resolved_within, resolved_between,
        opposed (both resolved, with opposite signs).

    Examples
    --------
    >>> table = pd.DataFrame({"feature": list("aabb"), "kind": ["within", "between"] * 2,
    ...                       "estimate": [1.0, 2.0, 1.0, -1.0], "q_value": [0.01, 0.2, 0.5, 0.5]})
    >>> sign_summary(table)[["features", "same_sign", "resolved_within"]].tolist()
    [2, 1, 1]
    """
    wide = coefficients.pivot(index="feature", columns="kind", values=["estimate", "q_value"])
    wide = wide[wide["estimate"][["within", "between"]].notna().all(axis=1)]
    sign, resolved = np.sign(wide["estimate"]), wide["q_value"] < level
    same = sign["within"] == sign["between"]
    counts = {
        "features": len(wide),
        "same_sign": same.sum(),
        "resolved_within": resolved["within"].sum(),
        "resolved_between": resolved["between"].sum(),
        "opposed": (resolved["within"] & resolved["between"] & ~same).sum(),
    }
    return pd.Series(counts).astype(int)


def _coefficients(
    y: np.ndarray, x: np.ndarray, group: np.ndarray, kind: str, n_resamples: int, random_state: int
) -> dict:
    mean = pd.Series(x).groupby(group).transform("mean").to_numpy()
    parts = {"pooled": x - x.mean(), "within": x - mean, "between": mean - x.mean()}
    parts = {k: v / v.std() for k, v in parts.items() if v.std() > SMALLEST_SPREAD}
    if kind not in parts:
        return {}
    wanted = ("pooled",) if kind == "pooled" else ("within", "between")
    design = pd.DataFrame({"one": np.ones(len(y))} | {k: parts[k] for k in wanted if k in parts})
    try:
        table = wild_cluster_bootstrap(
            y,
            design,
            group,
            family="logit",
            coefficients=[kind],
            n_resamples=n_resamples,
            random_state=random_state,
        )
    except InputError as error:
        if "no solution" in str(error):
            return {}
        raise
    row = table.loc[kind, ["estimate", "low", "high", "p_value"]].to_dict()
    return row | {"p_value": max(row["p_value"], 1 / (n_resamples + 1))}


def _adjusted(p: pd.Series) -> pd.Series:
    known = p.notna()
    adjusted = pd.Series(np.nan, index=p.index)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted
