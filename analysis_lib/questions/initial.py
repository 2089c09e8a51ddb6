"""What the state before training says: runs of several faults begin in the same one.

A fault that acts during training leaves the state before it alone, so runs of one program and seed
begin alike, whatever their class. A technique that sees this state alone can only go by how common
the classes are among the training runs in it. Taking out single rows makes the class of the tested
row rarer there; that is a score below what the state is worth, not a property of programs.
"""

from typing import Any

import pandas as pd

from analysis_lib.evaluation import by_program, cross_predict, make_splits, t_interval
from analysis_lib.questions.permutation import control_forest

__all__ = ["state_leak"]


def state_leak(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    label: str,
    *,
    technique: Any = None,
    random_state: int = 0,
) -> dict:
    """Compare rows held out at random with rows dealt evenly from runs that begin alike.

    Parameters
    ----------
    features : DataFrame indexed by run_id
        Of the state before training; runs of a program with equal features (to nine decimals) are
        in the same state.
    runs : DataFrame
        run_id, program, configuration and the label.
    label : str
    technique : str, Technique or estimator, optional
        By default :func:`analysis_lib.questions.permutation.control_forest`.
    random_state : int

    Returns
    -------
    dict
        shared (share of runs whose state also has runs of another class), leak (Interval over
        programs of E1 - E2 in program-macro recall), dealt (the same if the folds of E1 take as
        many runs of every class of a state).

    Raises
    ------
    InputError
        As ``make_splits`` and ``cross_predict``.
    """
    model = control_forest() if technique is None else technique
    x = features.loc[runs["run_id"]]
    state = x.round(9).groupby(list(x.columns), sort=False, dropna=False).ngroup().to_numpy()
    state = pd.Series(runs["program"].astype(str).to_numpy() + "|" + state.astype(str))
    classes = runs[label].groupby(state.to_numpy()).nunique()
    options: dict[str, Any] = {"label": label, "random_state": random_state}
    single = runs.assign(configuration=runs["run_id"])
    splits = {s: make_splits(runs, strategy=s, **options) for s in ("E1", "E2")}
    alike = single.assign(program=state.to_numpy())
    splits["dealt"] = make_splits(alike, strategy="E2", **options)
    score = {}
    for name, split in splits.items():
        own, strategy = (single, "E2") if name == "dealt" else (runs, name)
        found = cross_predict(
            x, own, model, strategy, label, splits=split, random_state=random_state
        )
        score[name] = by_program(found)["score"]
    return {
        "shared": float((state.map(classes) > 1).mean()),
        "leak": t_interval(score["E1"] - score["E2"]),
        "dealt": t_interval(score["dealt"] - score["E2"]),
    }
