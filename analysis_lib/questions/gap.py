"""How large the evaluation-strategy gap is, and what it depends on (RQ1).

Two kinds of functions: those that fit, from a corpus and the runs that take part to predictions
(through :func:`~analysis_lib.evaluation.study.run_study`, whose cache they share), and those that
score, from predictions to the rows of a table or figure.

Holding out one program at a time costs one model per program. Where many combinations are compared,
programs are held out in groups instead (``n_groups``), in training a little fewer programs; the two
are never differenced against each other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    Interval,
    by_program,
    chance_level,
    cluster_bootstrap,
    evaluation_gap,
    pooled_balanced_accuracy,
    run_study,
    t_interval,
)
from analysis_lib.evaluation.scores import MIN_RUNS
from analysis_lib.techniques import Technique

__all__ = [
    "alone_predictions",
    "gap_table",
    "headline_predictions",
    "interval_table",
    "paired_difference",
    "program_scores",
    "program_table",
    "recall_table",
    "split_predictions",
    "split_table",
]

MACRO = "program_macro_recall"
STUDIED = ("DEFault", "DeepFD")


def headline_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    label: str = "label",
    techniques: Sequence[str | Technique] = STUDIED,
    window: int = 5,
    repeats: int = 3,
    balanced: bool = True,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Predict under the strategies of the decomposition, one program held out at a time.

    Parameters
    ----------
    corpus, runs, label, techniques, random_state, n_jobs, cache
        See :func:`analysis_lib.evaluation.study.run_study`.
    window : int, default=5
    repeats : int, default=3
        Draws of the folds of E1, E2 and E2bal. E4bal, which costs a model per program and draw, is
        drawn once.
    balanced : bool, default=True
        Also E2bal and E4bal, so that the gap has four parts instead of two.

    Returns
    -------
    DataFrame
        Predictions under E1, E2, (E2bal, E4bal,) E4.
    """
    options: dict[str, Any] = {
        "label": label,
        "techniques": techniques,
        "windows": [window],
        "random_state": random_state,
        "n_jobs": n_jobs,
        "cache": cache,
    }
    drawn = ["E1", "E2", "E2bal"] if balanced else ["E1", "E2"]
    parts = [run_study(corpus, runs, strategies=[*drawn, "E4"], repeats=repeats, **options)]
    if balanced:
        parts.append(run_study(corpus, runs, strategies=["E4bal"], **options))
    return pd.concat(parts, ignore_index=True)


def split_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    label: str = "label",
    techniques: Sequence[str | Technique] = STUDIED,
    window: int = 5,
    n_groups: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Predict under the strategies that the decomposition does not have: E3, E5, E6.

    E3 takes the programs that allow it: two classes with two configurations each. E4, E5 and E6
    hold out groups of programs or families; this E4 is the one to compare the other two with.

    Parameters
    ----------
    corpus, runs, label, techniques, n_groups, random_state, n_jobs, cache
        See :func:`analysis_lib.evaluation.study.run_study`.
    window : int, default=5

    Returns
    -------
    DataFrame
        Predictions under E3 (if a program allows it), E4, E5, E6.
    """
    options: dict[str, Any] = {
        "label": label,
        "techniques": techniques,
        "windows": [window],
        "random_state": random_state,
        "n_jobs": n_jobs,
        "cache": cache,
    }
    found = alone_predictions(corpus, runs, **options)
    parts = [] if found is None else [found]
    rest = [s for s in ("E4", "E5", "E6") if s != "E5" or runs["family"].nunique() > 1]
    parts.append(run_study(corpus, runs, strategies=rest, n_groups=n_groups, **options))
    return pd.concat(parts, ignore_index=True)


def alone_predictions(
    corpus: Any, runs: pd.DataFrame, *, label: str = "label", **options: Any
) -> pd.DataFrame | None:
    """Predict every program by a model of its own (E3), where a program allows it.

    Parameters
    ----------
    corpus, runs, label
        See :func:`analysis_lib.evaluation.study.run_study`.
    **options
        Of ``run_study``.

    Returns
    -------
    DataFrame or None
        None if no program has two classes with two configurations each.

    Examples
    --------
    >>> from analysis_lib.evaluation import simulate_world
    >>> _, runs = simulate_world("none", programs=2, classes=2, configurations=1)
    >>> alone_predictions(None, runs) is None
    True
    """
    units = runs.drop_duplicates("configuration").groupby(["program", label]).size()
    enough = (units >= 2).groupby("program").sum() >= 2
    alone = runs[runs["program"].isin(enough.index[enough])]
    if alone.empty:
        return None
    return run_study(corpus, alone, label=label, strategies=["E3"], **options)


def interval_table(
    predictions: pd.DataFrame,
    *,
    by: Sequence[str] = ("technique", "strategy"),
    min_runs: int = MIN_RUNS,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score every group of predictions, with intervals over programs.

    Parameters
    ----------
    predictions : DataFrame
        program, label, predicted and the columns of ``by``.
    by : sequence of str
    min_runs : int, default=5
    n_resamples : int, default=1000
        Of the bootstrap; 0 leaves it out.
    random_state : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        The columns of ``by``; score, low, high (program-macro recall, Student's interval over
        programs); pooled, pooled_low, pooled_high (balanced accuracy, bootstrap over programs;
        without an interval for a single program); worst_quartile (of programs), chance, programs.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppqq"), "label": list("xyxy"), "strategy": "E4",
    ...                   "predicted": list("xyxx")})
    >>> interval_table(p, by=["strategy"], min_runs=1)[["score", "worst_quartile"]].values.tolist()
    [[0.75, 0.5]]
    """
    rows = []
    for name, part in predictions.groupby(list(by), sort=False):
        scores = by_program(part, min_runs=min_runs)["score"].dropna().sort_values()
        macro, pooled = t_interval(scores), None
        if n_resamples and part["program"].nunique() > 1:
            options = {"n_resamples": n_resamples, "random_state": random_state}
            pooled = cluster_bootstrap(part, **options)
        rows.append(
            dict(zip(by, name, strict=True))
            | {"score": macro.estimate, "low": macro.low, "high": macro.high}
            | {"pooled": pooled.estimate if pooled else pooled_balanced_accuracy(part)}
            | {f"pooled_{end}": getattr(pooled, end, np.nan) for end in ("low", "high")}
            | {"worst_quartile": scores.iloc[: -(-len(scores) // 4)].mean()}
            | {"chance": chance_level(part), "programs": macro.n}
        )
    return pd.DataFrame(rows)


def gap_table(
    predictions: pd.DataFrame, *, by: Sequence[str] = ("technique",), **options: Any
) -> pd.DataFrame:
    """Take the gap of every group of predictions apart.

    Parameters
    ----------
    predictions : DataFrame
        Predictions of two strategies at least that make a part, and the columns of ``by``.
    by : sequence of str
    **options
        Of :func:`analysis_lib.evaluation.gap.evaluation_gap`.

    Returns
    -------
    DataFrame
        The columns of ``by``; metric, part, first, second, estimate, low, high, p_value, programs.
    """
    parts = []
    for name, part in predictions.groupby(list(by), sort=False):
        table = evaluation_gap(part, **options).to_frame()
        for place, (column, value) in enumerate(zip(by, name, strict=True)):
            table.insert(place, column, value)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def program_scores(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> pd.Series:
    """Return the score of every program, the mean recall of its classes.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "p", "label": list("xy"), "predicted": list("xx")})
    >>> program_scores(p, min_runs=1).to_dict()
    {'p': 0.5}
    """
    return by_program(predictions, min_runs=min_runs)["score"]


def paired_difference(
    first: pd.DataFrame, second: pd.DataFrame, *, min_runs: int = MIN_RUNS
) -> Interval:
    """Return the mean difference of two sets of predictions over the programs both have.

    Parameters
    ----------
    first : DataFrame
        program, label, predicted.
    second : DataFrame
        The same; its score is subtracted.

    Returns
    -------
    Interval
        Student's over programs, of program-macro recall under ``first`` minus under ``second``.

    Raises
    ------
    InputError
        If they have no scored program in common.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppqq"), "label": list("xyxy")})
    >>> good, bad = p.assign(predicted=list("xyxy")), p.assign(predicted=list("xyyx"))
    >>> paired_difference(good, bad, min_runs=1).estimate
    0.5
    """
    scores = [by_program(p, min_runs=min_runs)["score"] for p in (first, second)]
    difference = (scores[0] - scores[1]).dropna()
    if difference.empty:
        raise InputError("the two sets of predictions have no scored program in common")
    return t_interval(difference)


def split_table(headline: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Score every strategy, and difference it with the E4 that holds out as many programs.

    Parameters
    ----------
    headline : DataFrame
        As :func:`headline_predictions` returns it.
    others : DataFrame
        As :func:`split_predictions` returns it.

    Returns
    -------
    DataFrame
        technique, strategy, held_out ("one" or "groups"; empty where it is no program), the columns
        of :func:`interval_table`, above, above_low, above_high (score minus that of E4, paired
        over programs; missing for E4 itself).
    """
    parts = [headline.assign(held_out="one"), others.assign(held_out="groups")]
    table = pd.concat(parts, ignore_index=True)
    inside = table["strategy"].isin(["E1", "E2", "E2bal", "E3"])
    table["unit"] = table["held_out"].mask(table["strategy"] == "E3", "one")
    scored = interval_table(table, by=["technique", "strategy", "unit"])
    rows = []
    for row in scored.itertuples(index=False):
        mine = table[table["technique"] == row.technique]
        mine = mine[mine["unit"] == row.unit]
        its, e4 = mine[mine["strategy"] == row.strategy], mine[mine["strategy"] == "E4"]
        known = row.strategy != "E4" and len(e4)
        gap = paired_difference(its, e4) if known else None
        rows.append([getattr(gap, a, np.nan) for a in ("estimate", "low", "high")])
    scored[["above", "above_low", "above_high"]] = rows
    names = set(table.loc[inside, "strategy"])
    scored["unit"] = scored["unit"].mask(scored["strategy"].isin(names), "")
    return scored.rename(columns={"unit": "held_out"})


def program_table(predictions: pd.DataFrame, runs: pd.DataFrame, by: str) -> pd.DataFrame:
    """Average the gap of every program over groups of programs.

    Parameters
    ----------
    predictions : DataFrame
        Of one technique and window, under E1, E2 and E4.
    runs : DataFrame
        program and ``by``.
    by : str
        Column of ``runs``, such as the modality.

    Returns
    -------
    DataFrame
        ``by``, programs, E1, E2, E4, replicate leak, program part, total: means over programs.
    """
    gap = evaluation_gap(predictions, n_resamples=10).by_program
    group = runs.drop_duplicates("program").set_index("program")[by]
    columns = ["E1", "E2", "E4", "replicate leak", "program part", "total"]
    grouped = gap[columns].groupby(group.reindex(gap.index))
    return grouped.mean().assign(programs=grouped.size()).reset_index()[[by, "programs", *columns]]


def recall_table(
    predictions: pd.DataFrame, runs: pd.DataFrame, *, by: str = "modality"
) -> pd.DataFrame:
    """Return the recall of every class in every program, programs sorted by group, then score.

    Parameters
    ----------
    predictions : DataFrame
        Of one technique, window and strategy.
    runs : DataFrame
        program and ``by``.
    by : str, default="modality"

    Returns
    -------
    recall : DataFrame indexed by program
        One column per class; missing where the program has no run of it.
    groups : Series indexed by program
    """
    correct = predictions["label"].astype(str) == predictions["predicted"].astype(str)
    recall = correct.groupby([predictions["program"], predictions["label"]]).mean().unstack()
    groups = runs.drop_duplicates("program").set_index("program")[by].reindex(recall.index)
    order = pd.DataFrame({"group": groups, "score": -recall.mean(axis=1)})
    order = order.sort_values(["group", "score"]).index
    return recall.loc[order], groups.loc[order]
