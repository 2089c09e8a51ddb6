"""What techniques are compared on: which runs take part, and what is to be told of them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.configuration import EPOCHS
from analysis_lib.corpus import sample_programs
from analysis_lib.errors import unknown
from analysis_lib.labels import FAULT_CLASSES_4, FAULT_CLASSES_6, select_runs
from analysis_lib.questions.instability_features import cut_traces, last_snapshots
from analysis_lib.questions.mismatch import mismatch_runs
from analysis_lib.techniques.rules import FAULTY, NO_FAULT

__all__ = ["TASKS", "Task", "get_task", "task_digest", "task_runs", "task_traces"]


@dataclass(frozen=True)
class Task:
    """A task of the leaderboard.

    Parameters
    ----------
    name, title : str
    select : callable
        From a corpus, runs of it and a random state to those that take part, with the class in
        ``label``; with a column
        ``last`` where the trace of a run may be seen up to that snapshot only.
    programs_first : bool, default=True
        Whether a sample of programs is drawn from all programs, or from those with such a run.
    longest : int, default=12
        Longest window that may be seen.
    positive : str
        Of two classes the one that is to be found; then programs count that have enough runs of
        both. Empty where there are more.

    Examples
    --------
    >>> TASKS["mismatch"].positive, TASKS["mismatch"].longest
    ('mismatch', 6)
    """

    name: str
    title: str
    select: Callable[[Any, pd.DataFrame, int], pd.DataFrame]
    programs_first: bool = True
    longest: int = EPOCHS
    positive: str = ""


def get_task(name: str) -> Task:
    """Return a task by name; an unknown name is an InputError.

    Examples
    --------
    >>> get_task("typing-4").title
    'fault typing, four classes'
    """
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def task_runs(
    corpus: Any, task: str, *, n_programs: int = 0, random_state: int = 0
) -> pd.DataFrame:
    """Return the runs that take part in a task, with their class.

    Parameters
    ----------
    corpus : corpus
    task : str
        Key of :data:`TASKS`.
    n_programs : int, default=0
        Programs that take part, drawn by :func:`analysis_lib.corpus.sample_programs`; 0 is all.
    random_state : int, default=0
        Of that draw, and of where stable runs are cut in the task on instability.

    Returns
    -------
    DataFrame
        Rows of ``corpus.runs`` with the class in ``label``; ``last`` (an epoch) where traces end
        early.

    Raises
    ------
    InputError
        If the task is unknown, or no run qualifies.
    """
    chosen, runs = get_task(task), corpus.runs
    if chosen.programs_first:
        runs = runs[runs["program"].isin(sample_programs(runs, n_programs, random_state))]
        return chosen.select(corpus, runs, random_state)
    runs = chosen.select(corpus, runs, random_state)
    return runs[runs["program"].isin(sample_programs(runs, n_programs, random_state))]


def task_traces(corpus: Any, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the snapshots of the runs of a task that a technique may see.

    Parameters
    ----------
    corpus : corpus
    runs : DataFrame
        As :func:`task_runs` returns them.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> epochs = pd.DataFrame({"run_id": ["a", "a", "b"], "epoch": [-1, 0, -1]})
    >>> runs = pd.DataFrame({"run_id": ["a"], "last": [-1]})
    >>> task_traces(SimpleNamespace(epochs=epochs), runs).values.tolist()
    [['a', -1]]
    """
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])]
    return cut_traces(epochs, runs.set_index("run_id")["last"]) if "last" in runs else epochs


def task_digest(runs: pd.DataFrame) -> str:
    """Return a digest of which runs take part and of what class they are.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": ["a", "b"], "label": ["x", "y"]})
    >>> task_digest(runs) == task_digest(runs.iloc[::-1])
    True
    """
    table = runs[["run_id", "label"]].astype(str).sort_values("run_id")
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:16]


def _typing(classes: Sequence[str] | None) -> Callable[[Any, pd.DataFrame, int], pd.DataFrame]:
    return lambda corpus, runs, random_state: select_runs(runs, classes)


def _faulty(corpus: Any, runs: pd.DataFrame, random_state: int) -> pd.DataFrame:
    chosen = select_runs(runs, None, healthy=True)
    return chosen.assign(label=np.where(chosen["label"] == NO_FAULT, NO_FAULT, FAULTY))


def _unstable(corpus: Any, runs: pd.DataFrame, random_state: int) -> pd.DataFrame:
    last = last_snapshots(runs, "before", random_state=random_state)
    chosen = runs[runs["run_id"].isin(last.index)]
    kind = np.where(chosen["unstable"], "unstable", "stable")
    return chosen.assign(label=kind, last=chosen["run_id"].map(last))


def _mismatch(corpus: Any, runs: pd.DataFrame, random_state: int) -> pd.DataFrame:
    return mismatch_runs(corpus)


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        t.name: t
        for t in (
            Task("typing-4", "fault typing, four classes", _typing(FAULT_CLASSES_4)),
            Task("typing-6", "fault typing, six classes", _typing(FAULT_CLASSES_6)),
            Task("typing-all", "fault typing, all classes", _typing(None)),
            Task("faulty", "faulty or healthy", _faulty, positive=FAULTY),
            Task("instability", "instability, strictly before", _unstable, positive="unstable"),
            Task(
                "mismatch",
                "train/validation mismatch at the end",
                _mismatch,
                programs_first=False,
                longest=EPOCHS // 2,
                positive="mismatch",
            ),
        )
    }
)
"""The tasks by name."""
