"""Where the gap comes from: its parts, and what features know of the program.

The *parts* of the gap say which difference between the strategies costs how much. Whether features
identify the program is read off by a classifier of programs, and whether a technique makes use of
that by erasing it. :mod:`analysis_lib.questions.shares` has the same for single channels,
:mod:`analysis_lib.questions.permutation` and :mod:`analysis_lib.questions.renaming` are about
labels, :mod:`analysis_lib.questions.leaks` about what must not be a feature.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    IdentityErasure,
    by_program,
    cross_predict,
    evaluation_gap,
    identity_predictions,
    identity_scores,
    make_splits,
    t_interval,
)
from analysis_lib.evaluation.gap import STEPS
from analysis_lib.questions.permutation import control_forest

__all__ = ["erasure_table", "gap_parts", "identity_table", "verdict"]

NOTHING = 1e-9
"""A gap up to this is none, and has no shares."""


def gap_parts(
    predictions: pd.DataFrame,
    *,
    metric: str = "program_macro_recall",
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Take the gap of every technique apart, with the share of each part.

    Parameters
    ----------
    predictions : DataFrame
        technique, strategy and the columns of predictions, for E1, E2, E2bal, E4bal and E4 at one
        window.
    metric : {"program_macro_recall", "pooled_balanced_accuracy"}
    level : float, default=0.95
    n_resamples, random_state : int
        Of the bootstrap over programs.

    Returns
    -------
    DataFrame
        technique, part (the four of :data:`analysis_lib.evaluation.gap.STEPS`, then "program part"
        = the last three together, and "total"), start, end (scores), estimate = start - end, low,
        high; wide_low, wide_high (the interval that also allows for other models, missing for the
        pooled metric); verdict ("adds" to the gap where the plain interval is above 0, "takes" from
        it where it is below, else "open"); share = estimate / total, with share_low, share_high
        from a bootstrap over programs of the macro scores (missing for the pooled metric, or where
        a resampled total is not above 0).

    Raises
    ------
    InputError
        If a strategy is missing; and as ``evaluation_gap``.
    """
    if "technique" not in predictions or "strategy" not in predictions:
        raise InputError("predictions lack technique or strategy; run_study makes them")
    rows = []
    for technique, own in predictions.groupby("technique", sort=False):
        gap = evaluation_gap(own, level=level, n_resamples=n_resamples, random_state=random_state)
        if len(steps := gap.waterfall(metric)) < len(STEPS):
            raise InputError(f"{technique} lacks E2bal or E4bal; ask run_study for them, too")
        ends = steps["start"].to_list() + [steps["end"].iloc[-1]]
        spans = {name: (k, k + 1) for k, name in enumerate(STEPS)}
        spans |= {"program part": (1, 4), "total": (0, 4)}
        whole = ends[0] - ends[-1]
        drawn = _resampled_shares(gap.by_program, list(spans), n_resamples, random_state)
        for name, (first, last) in spans.items():
            found = gap.decomposition.loc[(metric, name)]
            inside = [np.nan, np.nan]
            if metric == "program_macro_recall" and np.isfinite(drawn[name]).all():
                inside = np.quantile(drawn[name], [(1 - level) / 2, (1 + level) / 2])
            rows.append(
                {
                    "technique": technique,
                    "part": name,
                    "start": ends[first],
                    "end": ends[last],
                    **found[["estimate", "low", "high", "wide_low", "wide_high"]].astype(float),
                    "verdict": verdict(found["low"], found["high"]),
                    "share": found["estimate"] / whole if whole > NOTHING else np.nan,
                    "share_low": inside[0],
                    "share_high": inside[1],
                }
            )
    return pd.DataFrame(rows)


def identity_table(
    features_by_set: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    label: str,
    *,
    always: Iterable[str] = (),
    technique: Any = None,
    erasures: Iterable[bool] = (False,),
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Recognise programs in runs of a fault class that the classifier of programs never saw.

    Parameters
    ----------
    features_by_set : mapping of str to DataFrame
    runs : DataFrame
        run_id, program and the label.
    label : str
    always : iterable of str
        Classes that are always trained on, such as the healthy one.
    technique : str, Technique or estimator, optional
        By default :func:`analysis_lib.questions.permutation.control_forest`.
    erasures : iterable of bool
        Whether linear traces of identity are erased before
        (:class:`analysis_lib.evaluation.IdentityErasure`).
    random_state, n_jobs : int

    Returns
    -------
    DataFrame
        features, erased, accuracy, low, high (interval over programs), chance = 1 / programs,
        programs, runs.

    Raises
    ------
    InputError
        As ``identity_predictions``.
    """
    model = control_forest() if technique is None else technique
    rows = []
    for name, features in features_by_set.items():
        for erased in erasures:
            found = identity_predictions(
                features,
                runs,
                label,
                technique=model,
                always=always,
                erasure=IdentityErasure() if erased else None,
                random_state=random_state,
                n_jobs=n_jobs,
            )
            score = identity_scores(found).loc["all"]
            rows.append({"features": name, "erased": erased, **score})
    return pd.DataFrame(rows).astype({"programs": int, "runs": int})


def erasure_table(
    features_by_set: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    label: str,
    *,
    technique: Any = None,
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    n_groups: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Score fault typing before and after identity is erased inside every fold.

    If a technique makes use of knowing the program, erasing what tells programs apart costs it
    more where the program is known (E1, E2) than where it is not (E4).

    Parameters
    ----------
    features_by_set : mapping of str to DataFrame
    runs : DataFrame
        run_id, program, configuration and the label.
    label : str
    technique : str, Technique or estimator, optional
        By default :func:`analysis_lib.questions.permutation.control_forest`.
    strategies : iterable of str
    n_groups : int, default=5
        Groups of programs that E4 holds out in turn, so that all strategies train on four fifths;
        0 holds out one program at a time.
    random_state, n_jobs : int

    Returns
    -------
    DataFrame
        features, strategy, before, after (program-macro recall), change = after - before with low,
        high (interval over programs), programs. Where E4 is among them, rows "E1 minus E4" and
        "E2 minus E4" hold the paired difference of the changes.

    Raises
    ------
    InputError
        As ``cross_predict``.
    """
    model = control_forest() if technique is None else technique
    options: dict[str, Any] = {"label": label, "random_state": random_state}
    splits = {s: make_splits(runs, strategy=s, n_groups=n_groups, **options) for s in strategies}
    jobs = [(f, s, erased) for f in features_by_set for s in splits for erased in (False, True)]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_erased_scores)(
            features_by_set[f], runs, model, s, label, splits[s], erased, random_state
        )
        for f, s, erased in jobs
    )
    scores = dict(zip(jobs, found, strict=True))
    rows = []
    for name in features_by_set:
        change = {s: scores[name, s, True] - scores[name, s, False] for s in splits}
        for s in splits:
            pair = {"before": scores[name, s, False], "after": scores[name, s, True]}
            means = {k: v.mean() for k, v in pair.items()}
            rows.append({"features": name, "strategy": s} | means | _interval(change[s]))
        for s in splits:
            if "E4" in splits and s != "E4":
                row = {"features": name, "strategy": f"{s} minus E4"}
                rows.append(row | _interval(change[s] - change["E4"]))
    return pd.DataFrame(rows)


def verdict(low: float, high: float) -> str:
    """Return "adds" for an interval above 0, "takes" for one below, else "open".

    Examples
    --------
    >>> verdict(0.1, 0.2), verdict(-0.2, -0.1), verdict(-0.1, 0.2)
    ('adds', 'takes', 'open')
    """
    return "adds" if low > 0 else "takes" if high < 0 else "open"


def _resampled_shares(
    table: pd.DataFrame, parts: list[str], n_resamples: int, random_state: int
) -> dict[str, np.ndarray]:
    """Return the parts' shares in the total for resampled programs, missing if that is <= 0."""
    values = table[parts].dropna().to_numpy()
    n = len(values)
    drawn = np.random.default_rng(random_state).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    means = drawn @ values / n
    whole = means[:, [parts.index("total")]]
    shares = np.divide(means, whole, out=np.full_like(means, np.nan), where=whole > NOTHING)
    return dict(zip(parts, shares.T, strict=True))


def _erased_scores(features, runs, model, strategy, label, splits, erased, random_state):
    found = cross_predict(
        features,
        runs,
        model,
        strategy,
        label,
        splits=splits,
        erasure=IdentityErasure() if erased else None,
        random_state=random_state,
    )
    return by_program(found)["score"]


def _interval(values: pd.Series) -> dict:
    found = t_interval(values)
    return {
        "change": found.estimate,
        "low": found.low,
        "high": found.high,
        "programs": found.n,
    }
