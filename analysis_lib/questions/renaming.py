"""What remembering programs can reach: the names of classes exchanged in every program."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.evaluation import (
    balanced_runs,
    by_program,
    cross_predict,
    make_splits,
    rename_within_program,
    t_interval,
)
from analysis_lib.questions.permutation import control_forest

__all__ = ["renaming_table"]


def renaming_table(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    label: str,
    *,
    technique: Any = None,
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    repeats: int = 2,
    n_groups: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Score classes under their names, and under names exchanged in every program anew.

    Renamed, groups of runs inside a program stay as they are, but no class means the same in two
    programs: the score for seen programs is what memorising them reaches, and the rest is owed to
    what programs share. Class mixes are evened out before.

    Parameters
    ----------
    features : DataFrame indexed by run_id
    runs : DataFrame
        run_id, program, configuration and the label.
    label : str
    technique : str, Technique or estimator, optional
        By default :func:`control_forest`.
    strategies : iterable of str
    repeats : int, default=2
        Draws of the balanced runs and of the names.
    n_groups : int, default=5
        Groups of programs that E4 holds out in turn; 0 holds out one program at a time.
    random_state, n_jobs : int

    Returns
    -------
    DataFrame indexed by strategy
        named, renamed (program-macro recall), shared = named - renamed with low, high (Student's
        interval over programs), chance, programs. Where exchanged names score below chance, they
        mislead; all that lies above chance is shared then, and named - chance is returned.

    Raises
    ------
    InputError
        As ``cross_predict`` and ``balanced_runs``.
    """
    model = control_forest() if technique is None else technique
    strategies = list(strategies)
    jobs = [(s, r, renamed) for s in strategies for r in range(repeats) for renamed in (0, 1)]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_named_scores)(features, runs, model, label, *job, n_groups, random_state)
        for job in jobs
    )
    rows = {}
    for strategy in strategies:
        named, renamed = (
            pd.concat(
                [s for s, job in zip(found, jobs, strict=True) if job[::2] == (strategy, k)], axis=1
            ).mean(axis=1)
            for k in (0, 1)
        )
        chance = 1 / runs[label].nunique()
        interval = t_interval(named - (renamed if renamed.mean() > chance else chance))
        rows[strategy] = {
            "named": named.mean(),
            "renamed": renamed.mean(),
            "shared": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "chance": chance,
            "programs": interval.n,
        }
    return pd.DataFrame(rows).T.rename_axis("strategy")


def _named_scores(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    model: Any,
    label: str,
    strategy: str,
    repeat: int,
    renamed: int,
    n_groups: int,
    random_state: int,
) -> pd.Series:
    state = random_state + repeat
    drawn = balanced_runs(runs, label, random_state=state)
    if renamed:
        drawn = rename_within_program(drawn, label, random_state=state)
    splits = make_splits(
        drawn, strategy=strategy, label=label, random_state=state, n_groups=n_groups
    )
    found = cross_predict(
        features, drawn, model, strategy, label, splits=splits, random_state=state
    )
    return by_program(found)["score"]
