"""How the score on new programs grows with the number of training programs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import features_of
from analysis_lib.evaluation.scores import by_program
from analysis_lib.transfer.methods import Method, get_method

__all__ = ["fit_growth", "growth_scores", "predict_growth"]

RATES = np.linspace(0.05, 2, 391)


def growth_scores(
    features: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    methods: Sequence[str | Method],
    *,
    sizes: Sequence[int] = (5, 10, 20, 35),
    draws: int = 3,
    n_groups: int = 5,
    label: str = "label",
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Score methods of track Z that were trained on some of the other programs only.

    The programs are dealt to ``n_groups`` groups; for every group, draw and size, the method is
    trained on that many programs drawn from the other groups (a larger size holds the smaller
    ones of its draw), and scored on the group.

    Parameters
    ----------
    features, runs, label
        See :func:`~analysis_lib.transfer.protocol.transfer_predictions`.
    methods : sequence of str or Method
        Of track Z.
    sizes : sequence of int
        Numbers of training programs; those beyond what is left of every group become that number,
        of which there is one draw only.
    draws : int, default=3
        Draws of the training programs.
    n_groups : int, default=5
        Groups to which the programs are dealt.
    random_state : int
    n_jobs : int

    Returns
    -------
    DataFrame
        technique, programs (trained on), draw, program, score; one row per scored program.

    Raises
    ------
    InputError
        If a method is of another track or a size below 2.
    """
    chosen = [get_method(m) if isinstance(m, str) else m for m in methods]
    if any(m.track != "Z" for m in chosen) or min(sizes) < 2 or draws < 1:
        raise InputError("growth is measured for methods of track Z, from 2 programs and 1 draw on")
    y = runs[label].astype(str).to_numpy(dtype=object)
    owner = runs["program"].to_numpy(dtype=object)
    names = np.unique(owner)
    dealt = np.random.default_rng(random_state).permutation(names)
    groups = [dealt[k::n_groups] for k in range(min(n_groups, len(names)))]
    most = len(names) - max(map(len, groups))
    asked = [
        (k, draw, min(s, most)) for k in range(len(groups)) for draw in range(draws) for s in sizes
    ]
    tasks = dict.fromkeys((k, 0 if size == most else draw, size) for k, draw, size in asked)
    known = {m.feature_set: features_of(features[m.feature_set], runs) for m in chosen}
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_score)(m, known[m.feature_set], y, owner, groups[task[0]], random_state, *task)
        for task in tasks
        for m in chosen
    )
    table = pd.concat(parts, ignore_index=True).dropna(subset="score")
    return table[["technique", "programs", "draw", "program", "score"]]


def _score(
    method: Method,
    x: np.ndarray,
    y: np.ndarray,
    owner: np.ndarray,
    group: np.ndarray,
    random_state: int,
    k: int,
    draw: int,
    size: int,
) -> pd.DataFrame:
    others = np.setdiff1d(owner, group)
    order = np.random.default_rng([random_state, k, draw]).permutation(others)
    train, test = np.isin(owner, order[:size]), np.isin(owner, group)
    model = method.make(random_state + draw).fit(x[train], y[train], groups=owner[train])
    table = pd.DataFrame({"program": owner[test], "label": y[test]})
    score = by_program(table.assign(predicted=model.predict(x[test])))["score"]
    tags = {"technique": method.name, "programs": size, "draw": draw}
    return score.rename("score").reset_index().assign(**tags)


def fit_growth(sizes: Sequence[float], scores: Sequence[float]) -> np.ndarray:
    """Fit ``score = a - b n^(-c)`` by least squares.

    With ``a <= 1``, ``b >= 0``, and c from 0.05 to 2 in steps of 0.005.

    Parameters
    ----------
    sizes : sequence of float
        Numbers of training programs, at least three different ones.
    scores : sequence of float

    Returns
    -------
    ndarray of shape (3,)
        a (what endless programs would reach), b, c.

    References
    ----------
    Power laws of learning: Hestness et al., arXiv:1712.00409.

    Examples
    --------
    >>> fit_growth([1, 4, 16, 64], [0.3, 0.6, 0.75, 0.825]).round(2).tolist()
    [0.9, 0.6, 0.5]
    """
    n, s = np.asarray(sizes, dtype=float), np.asarray(scores, dtype=float)
    if len(n) != len(s) or len(np.unique(n)) < 3 or not np.isfinite(s).all():
        raise InputError("a growth curve needs finite scores at three different sizes or more")
    x = n[:, None] ** -RATES  # for a fixed rate, a line in x
    centred = x - x.mean(axis=0)
    slope = (centred * s[:, None]).sum(axis=0) / (centred**2).sum(axis=0)
    b = np.maximum(-slope, 0)
    a = s.mean() + b * x.mean(axis=0)
    above = a > 1
    b = np.where(above, np.maximum(((1 - s)[:, None] * x).sum(axis=0) / (x**2).sum(axis=0), 0), b)
    a = np.where(above, 1.0, a)
    best = ((a - b * x - s[:, None]) ** 2).sum(axis=0).argmin()
    return np.array([a[best], b[best], RATES[best]])


def predict_growth(
    table: pd.DataFrame,
    sizes: Sequence[int],
    *,
    level: float = 0.95,
    n_resamples: int = 200,
    random_state: int = 0,
) -> pd.DataFrame:
    """Extrapolate the growth of every method, with an interval over scored programs.

    The curve of :func:`fit_growth` is fitted to the mean scores by size; the interval is that of
    fits to resampled programs. It does not hold that the curve may have another form.

    Parameters
    ----------
    table : DataFrame
        As :func:`growth_scores` returns it.
    sizes : sequence of int
        Numbers of training programs to predict for.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    DataFrame
        technique, programs, score, low, high; and limit, limit_low, limit_high: the fitted score
        of endless programs.
    """
    parts = []
    tails = [(1 - level) / 2, (1 + level) / 2]
    grid = np.asarray(list(sizes), dtype=float)
    for technique, rows in table.groupby("technique", sort=False):
        wide = rows.groupby(["programs", "program"])["score"].mean().unstack("program")
        n, values = wide.index.to_numpy(dtype=float), wide.to_numpy()
        rng = np.random.default_rng(random_state)
        found = [fit_growth(n, np.nanmean(values, axis=1))]
        for _ in range(n_resamples):
            drawn = rng.integers(0, values.shape[1], values.shape[1])
            found.append(fit_growth(n, np.nanmean(values[:, drawn], axis=1)))
        fits = np.array(found)
        curves = fits[:, :1] - fits[:, 1:2] * grid ** -fits[:, 2:]
        low, high = np.quantile(curves[1:], tails, axis=0) if n_resamples else (curves[0],) * 2
        limit = np.quantile(fits[1:, 0], tails) if n_resamples else [fits[0, 0]] * 2
        part = {"technique": technique, "programs": list(sizes), "score": curves[0]}
        part |= {"low": low, "high": high, "limit": fits[0, 0]}
        parts.append(pd.DataFrame(part).assign(limit_low=limit[0], limit_high=limit[1]))
    return pd.concat(parts, ignore_index=True)
