"""Whether an entry answers its task, and what it may not do."""

from typing import Any

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation.folds import check_folds
from analysis_lib.evaluation.splits import get_strategy
from analysis_lib.labels import FAULT_CLASSES_6
from analysis_lib.leaderboard.entries import Entry, seal_of
from analysis_lib.leaderboard.tasks import get_task
from analysis_lib.techniques.rules import NO_FAULT

__all__ = ["check_entry"]

TAUGHT = ("U", "K")
LEAST = 0.5


def check_entry(entry: Entry, runs: pd.DataFrame, *, corpus: Any = None) -> Entry:
    """Check that an entry answers the task, and kept apart what its split promises.

    Every run has to be predicted once per repeat; on tracks U and K, where runs of the program
    teach, half of the runs of every program. What a technique trained on cannot be seen in its
    predictions; that no program, family or operator is spread over folds can.

    Parameters
    ----------
    entry : Entry
    runs : DataFrame
        As :func:`~analysis_lib.leaderboard.tasks.task_runs` returns them.
    corpus : corpus, optional
        Whose seal the entry must state, if it states one.

    Returns
    -------
    Entry
        The same.

    Raises
    ------
    InputError
        Naming what does not fit.
    """
    task, p = get_task(entry.task), entry.predictions
    mine = seal_of(corpus)
    if entry.corpus and mine and entry.corpus != mine:
        raise InputError(
            f"{entry.name} is of corpus {entry.corpus[:12]}, not of {mine[:12]}; predict anew"
        )
    if entry.window > task.longest and "last" not in runs:
        raise InputError(f"{entry.name} sees more than the {task.longest} epochs that are allowed")
    truth = runs.drop_duplicates("run_id").set_index("run_id")[["program", "label"]].astype(str)
    if (strange := ~p["run_id"].astype(object).isin(set(truth.index))).any():
        raise InputError(
            f"{entry.name} predicts {p.loc[strange, 'run_id'].nunique()} runs that do not take "
            f"part, such as {p.loc[strange, 'run_id'].iloc[0]}; leave them out"
        )
    for column in ("label", "program"):
        wrong = p[column].to_numpy() != truth[column].reindex(p["run_id"]).to_numpy()
        if wrong.any():
            raise InputError(
                f"{entry.name} gives {int(wrong.sum())} runs another {column}, such as "
                f"'{p.loc[wrong, column].iloc[0]}' to {p.loc[wrong, 'run_id'].iloc[0]}; "
                "take it from the corpus"
            )
    known = {*truth["label"], NO_FAULT}
    if not task.positive:  # rules may name a category that the task leaves out
        known |= set(corpus.runs["label"].dropna() if corpus is not None else FAULT_CLASSES_6)
    if strange := sorted(set(p["predicted"]) - known):
        raise InputError(
            f"{entry.name} predicts '{strange[0]}'; the classes are {', '.join(sorted(known))}"
        )
    _check_cover(entry, runs, truth)
    return entry


def _check_cover(entry: Entry, runs: pd.DataFrame, truth: pd.DataFrame) -> None:
    base, size = get_strategy(entry.strategy).base, truth.groupby("program").size()
    for repeat, part in entry.predictions.groupby("repeat"):
        absent = sorted(set(truth.index) - set(part["run_id"]))
        if absent and entry.track not in TAUGHT:
            raise InputError(
                f"{entry.name} lacks {len(absent)} of {len(truth)} runs in repeat {repeat}, such "
                f"as {absent[0]}; predict every run once per repeat"
            )
        share = part.groupby("program").size().reindex(size.index, fill_value=0) / size
        if share.min() < LEAST:
            raise InputError(
                f"{entry.name} predicts {share.min():.0%} of the runs of {share.idxmin()} in "
                f"repeat {repeat}; at least {LEAST:.0%} have to be left to be tested"
            )
        folds = part[["strategy", "repeat", "run_id", "fold"]].assign(strategy=base)
        try:
            check_folds(folds, runs[runs["run_id"].isin(part["run_id"])] if absent else runs)
        except InputError as error:
            raise InputError(f"{entry.name}: {error}") from error
