"""Entries of techniques, from the cache of predictions where known, and of transfer methods."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import run_study
from analysis_lib.leaderboard.entries import Entry, seal_of, split_entries
from analysis_lib.leaderboard.tasks import get_task, task_traces
from analysis_lib.techniques import Technique

__all__ = ["study_entries", "transfer_entries"]


def study_entries(
    corpus: Any,
    runs: pd.DataFrame,
    task: str,
    *,
    techniques: Iterable[str | Technique],
    windows: Iterable[int] = (5,),
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    n_groups: int = 5,
    probabilities: bool = False,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> list[Entry]:
    """Predict a task by techniques, as entries of track Z.

    Parameters
    ----------
    corpus : corpus
    runs : DataFrame
        As :func:`~analysis_lib.leaderboard.tasks.task_runs` returns them.
    task : str
    techniques, strategies, n_groups, random_state, n_jobs, cache
        See :func:`analysis_lib.evaluation.study.run_study`.
    windows : iterable of int
        Epochs that are visible. Where the task cuts traces, the only window is the longest trace.
    probabilities : bool, default=False
        Keep probabilities, too; kept predictions without them are not used then.

    Returns
    -------
    list of Entry

    Raises
    ------
    InputError
        As ``run_study``, or if a window is longer than the task allows.
    """
    windows = [int(runs["last"].max()) + 1] if "last" in runs else list(windows)
    longest = get_task(task).longest
    if max(windows, default=0) > longest:
        raise InputError(f"task {task} allows {longest} epochs at most; window {max(windows)}")
    found = run_study(
        task_traces(corpus, runs),
        runs,
        label="label",
        techniques=techniques,
        windows=windows,
        strategies=strategies,
        n_groups=n_groups,
        probabilities=probabilities,
        random_state=random_state,
        n_jobs=n_jobs,
        cache=cache,
    )
    return split_entries(found, task=task, corpus=seal_of(corpus), source="study")


def transfer_entries(
    predictions: pd.DataFrame, task: str, *, window: int = 5, corpus: Any = None
) -> list[Entry]:
    """Return predictions of transfer methods as entries, one per method and kind of pool.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`analysis_lib.transfer.transfer_predictions` returns it. Draws of a pool become
        repeats.
    task : str
        Whose runs were predicted.
    window : int, default=5
        Epochs that were seen.
    corpus : corpus, optional
        Whose seal is noted.

    Returns
    -------
    list of Entry
        Named by method and, but on track Z, the size (and mix) of the pool, such as
        "pool-referenced (20 runs, even)"; to be written by
        :func:`~analysis_lib.leaderboard.entries.save_entry`.
    """
    entries = []
    by = ["technique", "track", "size", "mix", "strategy"]
    for (name, track, size, mix, _), part in predictions.groupby(by, sort=False):
        spent = part.drop_duplicates(["draw", "fold"]).groupby("draw")["seconds"].sum().mean()
        count = f"{size} run{'' if size == 1 else 's'}"
        pool = {
            "Z": "",
            "U": f" ({count}, {mix})" if size else " (all runs)",
            "H": f" ({count})",
            "K": f" ({size} per class)",
        }[track]
        needed = {"Z": 0, "K": size * part["label"].nunique()}.get(track, size or None)
        table = part.drop(columns=["track", "size", "mix", "seconds"])
        table = table.rename(columns={"draw": "repeat"}).assign(window=window)
        entries += split_entries(
            table.assign(technique=name + pool),
            task=task,
            track=track,
            target_runs=needed,
            seconds=spent,
            corpus=seal_of(corpus),
            source="transfer",
        )
    return entries
