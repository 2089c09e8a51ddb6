"""What about a division of runs limits its meaning."""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation.splits import classes_of, get_strategy, train_rows

__all__ = ["check_splits"]


def check_splits(
    runs: pd.DataFrame, splits: pd.DataFrame, *, strategy: str, label: str
) -> pd.DataFrame:
    """List what about a division limits its meaning.

    Parameters
    ----------
    runs : DataFrame
        As for :func:`analysis_lib.evaluation.splits.make_splits`.
    splits : DataFrame
        Its result.
    strategy : str
        As it was given.
    label : str
        As it was given.

    Returns
    -------
    DataFrame
        check, passed (bool), count (how many offend), detail (the first few).

    Raises
    ------
    InputError
        As ``make_splits``; and if the splits do not cover the runs.

    Examples
    --------
    >>> from analysis_lib.evaluation.splits import make_splits
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=12)
    >>> splits = make_splits(runs, strategy="E1", label="label")
    >>> table = check_splits(runs, splits, strategy="E1", label="label")
    >>> table.loc[~table["passed"], "check"].tolist()
    ['configurations in several folds (replicates leak)']
    """
    chosen = get_strategy(strategy)
    classes = pd.Series(classes_of(runs, chosen, label), index=runs["run_id"])
    folds = splits.set_index("run_id")["fold"].reindex(runs["run_id"])
    if folds.isna().any():
        raise InputError(f"{int(folds.isna().sum())} runs have no fold; make the splits of these")
    program = runs.set_index("run_id")["program"]
    shared = _offenders(folds, runs, "configuration")
    single = program[classes.groupby(program.to_numpy()).transform("nunique").to_numpy() == 1]
    homes = program.groupby(classes.to_numpy()).nunique()
    unseen = []
    for fold in np.unique(folds):
        test = (folds == fold).to_numpy()
        trained = classes[train_rows(runs, test, chosen)].unique()
        unseen += [f"{c} in fold {int(fold)}" for c in set(classes[test]) - set(trained)]
    n_programs = program.nunique()
    findings = {
        "configurations in several folds (replicates leak)": shared,
        "programs with one class (a recall, not a balanced accuracy)": list(single.unique()),
        "classes in one program only (cannot be learned elsewhere)": list(homes.index[homes == 1]),
        "classes tested in a fold but absent from its training runs": sorted(unseen),
        "fewer than 10 programs (wide intervals)": [n_programs] if n_programs < 10 else [],
    }
    rows = [(name, not found, len(found), ", ".join(map(str, found[:3])))
            for name, found in findings.items()]  # fmt: skip
    return pd.DataFrame(rows, columns=["check", "passed", "count", "detail"])


def _offenders(folds: pd.Series, runs: pd.DataFrame, column: str) -> list:
    if column not in runs.columns:
        return []
    counts = folds.groupby(runs[column].to_numpy()).nunique()
    return list(counts.index[counts > 1])
