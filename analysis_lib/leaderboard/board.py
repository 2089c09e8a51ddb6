"""Entries beside each other: scores with intervals, gaps, costs, and who is resolved from the best.

Entries compete if they answer the same task under the same split from the same window on the same
track. In each such *contest* the entry with the highest program-macro recall is the *leader*. The
others are compared with it program by program; the intervals of all these differences hold
together (max-T over sign flips, see :func:`analysis_lib.evaluation.max_t_test`). An entry whose
interval includes zero is *not resolved from the leader* and shares rank 1 with it; any other has
its place in the order of scores. With few programs, many share rank 1: that is what such a
comparison can tell.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    Interval,
    by_program,
    chance_level,
    cluster_bootstrap,
    max_t_test,
    pooled_balanced_accuracy,
    t_interval,
)
from analysis_lib.evaluation.scores import MIN_RUNS, recall_cells
from analysis_lib.leaderboard.entries import Entry
from analysis_lib.leaderboard.tasks import TASKS, get_task
from analysis_lib.questions.ranking import auc_by_program

__all__ = ["CONTEST", "leaderboard", "leaders", "probability_scores", "rank_scores"]

CONTEST = ["task", "strategy", "held_out", "window", "track"]
"""Columns whose values competing entries share."""

SMALLEST = 1e-6


def leaderboard(
    entries: Iterable[Entry],
    *,
    min_runs: int = MIN_RUNS,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score entries and rank them within their contests.

    Parameters
    ----------
    entries : iterable of Entry
        Checked ones, see :func:`~analysis_lib.leaderboard.check.check_entry`.
    min_runs : int, default=5
        Cells of program and class with fewer runs do not count.
    level : float, default=0.95
        Of the differences to the leader, all of a contest together.
    n_resamples : int, default=1000
        Of the bootstrap of pooled balanced accuracy; 0 leaves its interval out.
    random_state : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per entry, by contest and rank: the columns of :data:`CONTEST`; rank, technique;
        score, low, high (program-macro recall, Student's over programs); behind, behind_low,
        behind_high (the leader's score minus this one, simultaneous interval); resolved; pooled,
        pooled_low, pooled_high (balanced accuracy, bootstrap over programs); worst_quartile; gap,
        gap_low, gap_high (score of the same technique under E1 minus this one, paired over
        programs); brier, log_loss and, in tasks with a positive class, auc (within programs);
        chance, programs, runs; seconds, epochs (seen of a run), target_runs; source.

    Raises
    ------
    InputError
        If there is no entry, or one occurs twice.
    """
    entries = list(entries)
    if not entries:
        raise InputError("there are no entries; give prediction files or techniques")
    scored = {_key(entry): (entry, _counted(entry, min_runs)) for entry in entries}
    if len(scored) < len(entries):
        names = pd.Series([entry.name for entry in entries])
        raise InputError(
            f"there are several entries of {names[names.duplicated()].iloc[0]}; rename a technique"
        )
    programs = {k: by_program(p, min_runs=min_runs)["score"] for k, (_, p) in scored.items()}
    rows = []
    for key, (entry, predictions) in scored.items():
        row = {name: getattr(entry, name) for name in CONTEST} | {"technique": entry.technique}
        row |= _scores(predictions, programs[key], n_resamples, random_state)
        first = programs.get((entry.technique, entry.task, "E1", "", entry.window, entry.track))
        if entry.strategy != "E1" and first is not None:
            row |= _named(t_interval(first - programs[key]), "gap", "gap_low", "gap_high")
        row |= probability_scores(predictions, min_runs=min_runs, positive=_positive(entry))
        row |= {"runs": predictions["run_id"].nunique(), "seconds": entry.seconds}
        row |= {"epochs": entry.window, "target_runs": entry.target_runs, "source": entry.source}
        rows.append(row)
    table = pd.DataFrame(rows, index=pd.MultiIndex.from_tuples(list(scored)))
    parts = []
    for _, contest in table.groupby(CONTEST, sort=False):
        own = pd.DataFrame({key: programs[key] for key in contest.index})
        ranked = rank_scores(own, level=level, random_state=random_state)
        parts.append(contest.join(ranked.set_axis(contest.index)))
    table = pd.concat(parts, ignore_index=True).reindex(columns=_columns())
    place = table["task"].map(list(TASKS).index)
    order = ["place", *CONTEST[1:], "rank", "score"]
    ascending = [name != "score" for name in order]
    table = table.assign(place=place).sort_values(order, ascending=ascending, kind="stable")
    return table.drop(columns="place").reset_index(drop=True)


def leaders(board: pd.DataFrame) -> pd.DataFrame:
    """Return who is ahead in every contest, and who is not resolved from it.

    Parameters
    ----------
    board : DataFrame
        As :func:`leaderboard` returns it.

    Returns
    -------
    DataFrame
        The columns of :data:`CONTEST`, leader, score, low, high, tied (names of the others of rank
        1, separated by semicolons), first (how many have rank 1), entries, chance.

    Examples
    --------
    >>> board = pd.DataFrame({"technique": ["a", "b"], "rank": 1, "score": [0.6, 0.5], "low": 0.4,
    ...     "high": 0.7, "behind": [0, 0.1], "chance": 0.25} | dict.fromkeys(CONTEST, "-"))
    >>> leaders(board)[["leader", "tied", "first"]].values.tolist()
    [['a', 'b', 2]]
    """
    rows = []
    for contest, part in board.groupby(CONTEST, sort=False):
        part = part.sort_values(["behind", "technique"])
        first = part.iloc[0]
        row = dict(zip(CONTEST, contest, strict=True)) | {"leader": first["technique"]}
        row |= first[["score", "low", "high"]].to_dict()
        share = part.loc[part["rank"] == 1, "technique"].tolist()
        row |= {"tied": "; ".join(share[1:]), "first": len(share), "entries": len(part)}
        rows.append(row | {"chance": first["chance"]})
    return pd.DataFrame(rows)


def rank_scores(
    scores: pd.DataFrame, *, level: float = 0.95, random_state: int = 0
) -> pd.DataFrame:
    """Compare techniques with the best one, program by program.

    Parameters
    ----------
    scores : DataFrame of shape (n_programs, n_techniques)
        Programs that a technique has no score for are left out.
    level : float, default=0.95
        Of all intervals together.
    random_state : int, default=0

    Returns
    -------
    DataFrame indexed by technique
        rank (1 for the leader and those not resolved from it, else the place in the order of
        scores), behind (leader minus technique), behind_low, behind_high, resolved.

    Raises
    ------
    InputError
        If no program is scored by all.

    Examples
    --------
    >>> spread = np.linspace(-0.05, 0.05, 20)
    >>> scores = pd.DataFrame({"a": 0.8 + spread, "b": 0.8 - spread - 0.001, "c": 0.5 + spread})
    >>> rank_scores(scores)[["rank", "resolved"]].values.tolist()
    [[1, False], [1, False], [3, True]]
    """
    scores = scores.dropna()
    if scores.empty:
        raise InputError("no program is scored by all entries of a contest; score the same ones")
    mean = scores.mean()
    leader = mean.to_numpy().argmax()
    behind = scores.iloc[:, [leader]].to_numpy() - scores
    table = pd.DataFrame(
        {"behind": behind.mean(), "behind_low": -np.inf, "behind_high": np.inf}, index=mean.index
    )
    others = np.arange(len(mean)) != leader
    if len(scores) > 1 and others.any():
        differences = behind.loc[:, others].set_axis(range(others.sum()), axis=1)
        found = max_t_test(differences, level=level, random_state=random_state)
        table.loc[others, ["behind_low", "behind_high"]] = found[["low", "high"]].to_numpy()
    table.loc[~others, ["behind_low", "behind_high"]] = 0.0
    table["resolved"] = others & (table["behind_low"] > 0)
    place = (-mean).rank(method="min").astype(int)
    table.insert(0, "rank", np.where(table["resolved"], place, 1))
    return table


def probability_scores(
    predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS, positive: str = ""
) -> dict[str, float]:
    """Score probabilities, with every program, and every class in it, weighted alike.

    The Brier score is the sum over classes c of ``(p_c - [c is the label])^2``, from 0 to 2, the
    log-loss ``-log max(p_label, 1e-6)``. Both are means over the runs of a cell, then over the
    classes of a program, then over programs.

    Parameters
    ----------
    predictions : DataFrame
        program, label, and ``p_<class>``.
    min_runs : int, default=5
    positive : str
        If given, also auc: the area under the ROC curve of programs, weighted by the pairs of
        runs that are compared; see :func:`analysis_lib.questions.auc_by_program`.

    Returns
    -------
    dict of str to float
        brier, log_loss (, auc); missing where there are no probabilities for all runs.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "p", "label": list("xy"), "p_x": [1, 0.5], "p_y": [0, 0.5]})
    >>> probability_scores(p, min_runs=1)["brier"]
    0.25
    """
    names = [f"p_{name}" for name in sorted(predictions["label"].unique())]
    given = [c for c in predictions if str(c).startswith("p_")]
    absent = dict.fromkeys(["brier", "log_loss", *(["auc"] if positive else [])], np.nan)
    if not set(names) <= set(given) or predictions[given].isna().any(axis=None):
        return absent
    shares = predictions[given].to_numpy(dtype=float)
    hit = np.array(given)[None, :] == ("p_" + predictions["label"]).to_numpy()[:, None]
    own = pd.DataFrame(
        {
            "brier": ((shares - hit) ** 2).sum(axis=1),
            "log_loss": -np.log(np.maximum(shares[hit], SMALLEST)),
        }
    )
    cells = own.groupby([predictions[c].to_numpy() for c in ("program", "label")]).mean()
    counted = recall_cells(predictions.assign(predicted=""), min_runs=min_runs)
    counted = counted.set_index(["program", "label"])["averaged"]
    found = cells[counted.reindex(cells.index).to_numpy()].groupby(level=0).mean().mean().to_dict()
    if positive:
        hit, score = predictions["label"] == positive, predictions[f"p_{positive}"]
        ranked = auc_by_program(predictions.assign(positive=hit, score=score)).dropna()
        areas, pairs = ranked["auc"], ranked["pairs"]
        found["auc"] = float(np.average(areas, weights=pairs)) if len(ranked) else np.nan
    return found


def _scores(predictions: pd.DataFrame, scores: pd.Series, n_resamples: int, seed: int) -> dict:
    scores = scores.dropna().sort_values()
    if scores.empty:
        raise InputError("no class of a program has enough runs to be scored; lower min_runs")
    row = _named(macro := t_interval(scores), "score", "low", "high")
    if n_resamples and predictions["program"].nunique() > 1:
        pooled = cluster_bootstrap(predictions, n_resamples=n_resamples, random_state=seed)
        row |= _named(pooled, "pooled", "pooled_low", "pooled_high")
    else:
        row |= {"pooled": pooled_balanced_accuracy(predictions)}
    worst = scores.iloc[: -(-len(scores) // 4)].mean()
    return row | {"worst_quartile": worst, "chance": chance_level(predictions), "programs": macro.n}


def _named(interval: Interval, *names: str) -> dict:
    return dict(zip(names, (interval.estimate, interval.low, interval.high), strict=True))


def _positive(entry: Entry) -> str:
    return get_task(entry.task).positive


def _key(entry: Entry) -> tuple:
    return (entry.technique, *(getattr(entry, name) for name in CONTEST))


def _counted(entry: Entry, min_runs: int) -> pd.DataFrame:
    """Predictions that count: those of programs with enough runs of both classes, of two."""
    if not _positive(entry):
        return entry.predictions
    cells = recall_cells(entry.predictions, min_runs=min_runs)
    both = cells.groupby("program")["averaged"].sum() >= 2
    counted = entry.predictions[entry.predictions["program"].isin(both.index[both])]
    if counted.empty:
        raise InputError(f"{entry.name}: no program has {min_runs} runs of both classes")
    return counted


def _columns() -> list[str]:
    return [
        *CONTEST,
        *("rank", "technique", "score", "low", "high"),
        *("behind", "behind_low", "behind_high", "resolved"),
        *("pooled", "pooled_low", "pooled_high", "worst_quartile", "gap", "gap_low", "gap_high"),
        *("brier", "log_loss", "auc", "chance", "programs", "runs"),
        *("seconds", "epochs", "target_runs", "source"),
    ]
