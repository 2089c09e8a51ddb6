"""How much of the gap each method closes, with what it may use of the new program.

With E1 and E4 the baseline's program-macro recalls under rows and under programs, and s a method's
under programs,

    share closed = (s - E4) / (E1 - E4).

1 means that the method is as good on a program nobody trained on as the baseline is on runs dealt
at random. E1 - E4 also holds what other seeds of the same configuration give away; what the
baseline owes to knowing the program is E2 - E4, so a share above (E2 - E4) / (E1 - E4) is better
than the baseline *where it knows the program*.

A share above 1 does not mean that no gap is left. Better features score higher than the baseline's
wherever they are used, where the program is known as well; what such a method itself loses on a new
program is its own gap (:func:`~analysis_lib.questions.closing_own.own_gaps`).

All methods of a comparison are scored on the same runs: those whose configuration was in no pool.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import bootstrap_programs, by_program, max_t_test
from analysis_lib.evaluation.inference import Interval
from analysis_lib.features import extract
from analysis_lib.labels import HEALTHY
from analysis_lib.transfer import BASELINE, METHODS, Pool, scored_runs

__all__ = [
    "closing_features",
    "closing_table",
    "compare_methods",
    "healthy_runs",
    "pool_scores",
    "scores_beside",
    "share_closed",
]

KEY = ["track", "size", "mix"]


def closing_features(corpus: Any, *, window: int = 5) -> dict[str, pd.DataFrame]:
    """Return the feature tables of all methods, by feature set.

    Parameters
    ----------
    corpus : corpus or DataFrame
        See :func:`analysis_lib.features.extract`.
    window : int, default=5
    """
    names = dict.fromkeys(m.feature_set for m in METHODS.values())
    return {name: extract(corpus, name, window=window) for name in names}


def healthy_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the programs as they are: healthy, without variation, complete.

    Parameters
    ----------
    runs : DataFrame
        All runs of a corpus: operator, parameters, status.
    """
    bare = runs["parameters"].fillna("").isin(["", "{}"])
    kept = runs[(runs["operator"] == HEALTHY) & bare & (runs["status"] == "ok")]
    return kept.reset_index(drop=True)


def share_closed(
    method: pd.Series,
    baseline: pd.Series,
    seen: pd.Series,
    *,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return the share of the baseline's gap that a method closes, with an interval over programs.

    (mean of method - mean of baseline) / (mean of seen - mean of baseline); in every resample of
    programs both differences are taken anew. Resamples without a gap are left out.

    Parameters
    ----------
    method : Series indexed by program
        Scores on the held-out programs.
    baseline : Series indexed by program
        The baseline's scores on them.
    seen : Series indexed by program
        The baseline's scores under E1.
    n_resamples, random_state : int

    Returns
    -------
    Interval
        Missing if the baseline has no gap to close.

    Raises
    ------
    InputError
        If the three are not of the same programs or a score is missing.

    Examples
    --------
    >>> names = list("pq")
    >>> share_closed(pd.Series([0.7, 0.7], names), pd.Series([0.6, 0.6], names),
    ...              pd.Series([0.8, 0.8], names)).estimate.__round__(3)
    0.5
    """
    table = pd.DataFrame({"method": method, "baseline": baseline, "seen": seen})
    if table.isna().any(axis=None) or not len(table):
        raise InputError("the scores are not of the same programs; score the same runs")
    gained = (table["method"] - table["baseline"]).to_numpy()
    gap = (table["seen"] - table["baseline"]).to_numpy()

    def ratio(weights):
        whole = weights @ gap
        positive = whole > 1e-9
        return np.where(positive, weights @ gained / np.where(positive, whole, 1), np.nan)

    options = {"n_resamples": n_resamples, "random_state": random_state}
    return bootstrap_programs(ratio, len(table), **options)


def pool_scores(
    predictions: pd.DataFrame,
    runs: pd.DataFrame,
    pools: Sequence[Pool],
    *,
    strategy: str = "E4",
    label: str = "label",
    random_state: int = 0,
    min_runs: int = 5,
) -> pd.DataFrame:
    """Score every method on every program, on the runs that a pool leaves to score.

    A method of track Z, which sees no pool, is scored for every pool on the runs that it leaves;
    draws are averaged.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`~analysis_lib.transfer.transfer_predictions` returns it, or any other
        predictions of ``runs`` with the columns technique and track "Z".
    runs : DataFrame
        The runs that take part.
    pools : sequence of Pool
    strategy : str
        Under E6 a pool never holds a run of the tested operator, so every run is scored.
    label : str
    random_state : int
        As the predictions were made with.
    min_runs : int, default=5

    Returns
    -------
    DataFrame
        track, size, mix (of the pool), technique, program, score.
    """
    parts = []
    for pool in pools:
        keep = pd.Series(True, index=runs.index)
        if strategy != "E6":
            keep = scored_runs(runs, pool, label=label, random_state=random_state)
        left = predictions[predictions["run_id"].isin(runs.loc[keep, "run_id"])]
        shown = left["track"] == "Z"
        if pool.track != "Z":
            names = [*KEY, "draw"]
            shown |= (left[names] == [getattr(pool, name) for name in names]).all(axis=1)
        for technique, rows in left[shown].groupby("technique", sort=False):
            score = by_program(rows, min_runs=min_runs)["score"].rename("score").reset_index()
            tags = {name: getattr(pool, name) for name in KEY}
            parts.append(score.assign(technique=technique, draw=pool.draw, **tags))
    if not parts:
        raise InputError("no prediction fits a pool; make them with these pools")
    table = pd.concat(parts, ignore_index=True)
    mean = table.groupby([*KEY, "technique", "program"], sort=False)["score"].mean()
    return mean.dropna().reset_index()


def compare_methods(
    predictions: pd.DataFrame,
    seen: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    pools: Sequence[Pool],
    *,
    strategy: str = "E4",
    baseline: str = BASELINE,
    label: str = "label",
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return what every method closes for every pool, beside the baseline and its own seen scores.

    Parameters
    ----------
    predictions : DataFrame
        Of new programs, as :func:`~analysis_lib.transfer.transfer_predictions` returns it, the
        baseline's among them.
    seen : mapping of str to DataFrame
        Likewise under E1 and E2, the baseline's among them.
    runs, pools, strategy, label
        See :func:`pool_scores`.
    baseline, n_resamples, random_state
        See :func:`closing_table`.

    Returns
    -------
    DataFrame
        As :func:`closing_table`, with E1 and E2, the method's own scores on the same runs (missing
        where it was not predicted), and seconds, of a fit.
    """
    options: dict[str, Any] = {"strategy": strategy, "label": label}
    options["random_state"] = random_state
    scores = scores_beside(predictions, seen, runs, pools, baseline=baseline, **options)
    table = closing_table(
        *scores, baseline=baseline, n_resamples=n_resamples, random_state=random_state
    )
    for name, part in seen.items():
        # where the program is known, what a method sees of it does not depend on the pool
        own = pool_scores(part.assign(track="Z"), runs, pools, **options)
        mean = own.groupby([*KEY, "technique"])["score"].mean().rename(name).reset_index()
        table = table.merge(mean, on=[*KEY, "technique"], how="left")
    spent = predictions.drop_duplicates(["technique", "fold"]).groupby("technique")["seconds"]
    return table.assign(seconds=table["technique"].map(spent.mean()))


def scores_beside(
    predictions: pd.DataFrame,
    seen: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    pools: Sequence[Pool],
    *,
    baseline: str = BASELINE,
    **options: Any,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return :func:`pool_scores` of methods, of the baseline under E1, and of it under E2.

    Parameters
    ----------
    predictions, seen, runs, pools, baseline
        See :func:`compare_methods`.
    **options
        See :func:`pool_scores`.
    """
    base = {s: seen[s][seen[s]["technique"] == baseline] for s in ("E1", "E2")}
    named = [table.assign(technique=f"{baseline} under {s}") for s, table in base.items()]
    scores = pool_scores(pd.concat([predictions, *named]), runs, pools, **options)
    parts = [scores[scores["technique"] == f"{baseline} under {s}"] for s in base]
    return scores.drop(index=[i for part in parts for i in part.index]), *parts


def closing_table(
    scores: pd.DataFrame,
    rows: pd.DataFrame,
    known: pd.DataFrame,
    *,
    baseline: str = BASELINE,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the score of every method and pool, and the share closed beside the baseline's E2.

    Parameters
    ----------
    scores : DataFrame
        On held-out programs, as :func:`pool_scores` returns it, the baseline's among them.
    rows : DataFrame
        The baseline's scores under E1 on the same runs and pools, likewise.
    known : DataFrame
        Those under E2.
    baseline : str
    n_resamples, random_state : int

    Returns
    -------
    DataFrame
        track, size, mix, technique, programs, score, worst_quartile, base (the baseline's score on
        the same runs), base_known (under E2), gap (E1 - base), share, low, high, difference and
        p_adjusted (to the baseline, max-T over all rows).
    """
    table, differences = [], {}
    for key, part in scores.groupby(KEY, sort=False):
        wide = part.pivot(index="program", columns="technique", values="score")
        top, middle = (
            t[(t[KEY] == list(key)).all(axis=1)].set_index("program")["score"]
            for t in (rows, known)
        )
        for technique in part["technique"].unique():
            both = pd.DataFrame(
                {"m": wide[technique], "b": wide[baseline], "t": top, "k": middle}
            ).dropna()
            share = share_closed(
                both["m"],
                both["b"],
                both["t"],
                n_resamples=n_resamples,
                random_state=random_state,
            )
            worst = both["m"].nsmallest(-(-len(both) // 4)).mean()
            row = dict(zip(KEY, key, strict=True)) | {"technique": technique}
            row |= {"programs": len(both), "score": both["m"].mean(), "worst_quartile": worst}
            row |= {"base": both["b"].mean(), "base_known": both["k"].mean()}
            row |= {"gap": (both["t"] - both["b"]).mean()}
            row |= {"share": share.estimate, "low": share.low, "high": share.high}
            row |= {"difference": (both["m"] - both["b"]).mean()}
            table.append(row)
            if technique != baseline:
                differences[len(table) - 1] = both["m"] - both["b"]
    table = pd.DataFrame(table)
    complete = pd.DataFrame(differences).dropna()
    if complete.shape[1] and len(complete) > 1:
        table["p_adjusted"] = max_t_test(complete, random_state=random_state)["p_adjusted"]
    return table
