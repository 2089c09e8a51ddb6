"""Folds as a table that is made once, stored, loaded and checked.

One row per strategy, repeat and run:

======== ===== ====================================================
column   type  meaning
======== ===== ====================================================
strategy str   a key of ``STRATEGIES`` that is not a balanced one
repeat   int   number of the draw, from 0
run_id   str
fold     int   the fold in which the run is tested, from 0
======== ===== ====================================================

The balanced strategies (E2bal, E4bal) use the folds of E2 and E4. Stored folds say what was tested
with what, whatever later versions of libraries draw from the same seed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predictions import read_table, write_table
from analysis_lib.evaluation.splits import Strategy, get_strategy, make_splits, train_rows

__all__ = ["check_folds", "load_splits", "make_folds", "pick_splits", "save_splits"]

FORMAT = ("analysis_lib.splits", 1)
COLUMNS = ["strategy", "repeat", "run_id", "fold"]


def make_folds(
    runs: pd.DataFrame,
    *,
    label: str,
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    repeats: int = 1,
    random_state: int = 0,
    n_splits: int = 5,
) -> pd.DataFrame:
    """Make the folds of several strategies and draws.

    Parameters
    ----------
    runs : DataFrame
        As for :func:`analysis_lib.evaluation.splits.make_splits`.
    label : str
    strategies : iterable of str
        A balanced strategy stands for the one whose folds it uses.
    repeats : int, default=1
        Draws of the strategies whose folds are drawn, with random states from ``random_state`` on.
    random_state, n_splits : int

    Returns
    -------
    DataFrame
        strategy, repeat, run_id, fold.

    Raises
    ------
    InputError
        As :func:`~analysis_lib.evaluation.splits.make_splits`.

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=3, classes=2)
    >>> folds = make_folds(runs, label="label", strategies=["E2", "E4"], repeats=2)
    >>> folds.groupby(["strategy", "repeat"]).size().tolist()
    [120, 120, 120]
    """
    parts = []
    for name in dict.fromkeys(get_strategy(s).base for s in strategies):
        for repeat in range(repeats if get_strategy(name).drawn else 1):
            part = make_splits(
                runs,
                strategy=name,
                label=label,
                random_state=random_state + repeat,
                n_splits=n_splits,
            )
            parts.append(part.assign(strategy=name, repeat=repeat))
    if not parts:
        raise InputError("no folds to make; give at least one strategy and one repeat")
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    return table.astype({"strategy": "str", "run_id": "str", "repeat": "int64", "fold": "int64"})


def check_folds(folds: pd.DataFrame, runs: pd.DataFrame, *, label: str | None = None) -> None:
    """Check that stored folds fit the runs and keep apart what their strategies promise.

    Parameters
    ----------
    folds : DataFrame
        strategy, repeat, run_id, fold.
    runs : DataFrame
        The runs that take part; the columns that the strategies keep apart.
    label : str, optional
        If given, every fold must leave two classes to train on.

    Raises
    ------
    InputError
        If columns are missing, folds are not whole numbers from 0, a run is missing, strange or
        listed twice, a unit that a strategy keeps together is spread over folds, or a fold leaves
        too little to train on.

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=3, classes=2)
    >>> folds = make_folds(runs, label="label", strategies=["E4"])
    >>> check_folds(folds, runs, label="label")
    >>> try:
    ...     check_folds(folds.iloc[1:], runs)
    ... except InputError as error:
    ...     print(str(error).split(";")[0])
    E4, repeat 0: 1 runs have no fold and 0 folds are of other runs
    """
    missing = [c for c in COLUMNS if c not in folds]
    if missing or folds.empty:
        raise InputError(
            f"the table of folds lacks {', '.join(missing) or 'rows'}; make_folds makes one"
        )
    if not (pd.api.types.is_integer_dtype(folds["fold"]) and (folds["fold"] >= 0).all()):
        raise InputError("folds must be whole numbers from 0, without missing ones")
    for (name, repeat), part in folds.groupby(["strategy", "repeat"]):
        strategy, where = get_strategy(name), f"{name}, repeat {repeat}"
        if part["run_id"].duplicated().any():
            raise InputError(f"{where}: a run has several folds; expected one each")
        absent = ~runs["run_id"].isin(part["run_id"])
        strange = ~part["run_id"].isin(runs["run_id"])
        if absent.any() or strange.any():
            raise InputError(
                f"{where}: {int(absent.sum())} runs have no fold and {int(strange.sum())} folds "
                "are of other runs; select the same runs, or make the folds anew"
            )
        fold = part.set_index("run_id")["fold"].reindex(runs["run_id"]).to_numpy()
        _check_units(fold, runs, strategy, where)
        for k in np.unique(fold) if label is not None else ():
            train = train_rows(runs, fold == k, strategy)
            if runs.loc[train, label].nunique() < 2:
                raise InputError(f"{where}: fold {k} leaves fewer than two classes to train on")


def save_splits(
    folds: pd.DataFrame, path: str | Path, *, runs: pd.DataFrame, label: str, **metadata: Any
) -> Path:
    """Check folds and write them as a Parquet file.

    Parameters
    ----------
    folds : DataFrame
        As :func:`make_folds` makes it.
    path : path
    runs : DataFrame
        See :func:`check_folds`.
    label : str
        See :func:`check_folds`; its name is written, too.
    **metadata
        What else a reader should know, such as random_state or the corpus's hash.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        As :func:`check_folds`.

    Examples
    --------
    >>> import tempfile
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=3, classes=2)
    >>> folds = make_folds(runs, label="label", strategies=["E4"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save_splits(folds, f"{folder}/folds.parquet", runs=runs, label="label", seed=0)
    ...     load_splits(file, runs=runs, label="label").equals(folds)
    True
    """
    check_folds(folds, runs, label=label)
    return write_table(folds[COLUMNS], path, FORMAT, {"label": label, **metadata})


def load_splits(
    path: str | Path, *, runs: pd.DataFrame | None = None, label: str | None = None
) -> pd.DataFrame:
    """Read folds written by :func:`save_splits`.

    Parameters
    ----------
    path : path
    runs : DataFrame, optional
        If given, the folds are checked against them.
    label : str, optional
        If given, it must be the label for which the folds were made.

    Returns
    -------
    DataFrame
        strategy, repeat, run_id, fold; metadata in ``attrs``.

    Raises
    ------
    InputError
        If there is no file, it is of another format, version or label, or as :func:`check_folds`.

    Examples
    --------
    >>> import tempfile
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=3, classes=2)
    >>> folds = make_folds(runs, label="label", strategies=["E4"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save_splits(folds, f"{folder}/folds.parquet", runs=runs, label="label", seed=7)
    ...     load_splits(file).attrs["seed"]
    7
    """
    folds = read_table(path, FORMAT)
    if label is not None and folds.attrs.get("label") != label:
        raise InputError(f"{path} holds folds for {folds.attrs.get('label')}, not for {label}")
    if runs is not None:
        check_folds(folds, runs, label=label)
    return folds


def pick_splits(folds: pd.DataFrame, strategy: str, *, repeat: int = 0) -> pd.DataFrame:
    """Return the folds of one strategy and draw, as ``cross_predict`` takes them.

    Parameters
    ----------
    folds : DataFrame
    strategy : str
        A balanced strategy gets the folds it uses.
    repeat : int, default=0
        Ignored where folds are not drawn.

    Returns
    -------
    DataFrame
        run_id, fold.

    Raises
    ------
    InputError
        If there are none.
    """
    base = get_strategy(get_strategy(strategy).base)
    wanted = repeat if base.drawn else 0
    part = folds[(folds["strategy"] == base.name) & (folds["repeat"] == wanted)]
    if part.empty:
        raise InputError(f"there are no folds of {base.name}, repeat {wanted}; make them first")
    return part[["run_id", "fold"]].reset_index(drop=True)


def _check_units(fold: np.ndarray, runs: pd.DataFrame, strategy: Strategy, where: str) -> None:
    wanted = list(dict.fromkeys([*strategy.disjoint, *strategy.within]))
    missing = [c for c in wanted if c not in runs]
    if missing:
        raise InputError(f"{where}: runs lack the columns {', '.join(missing)}")
    groups = [[c] for c in strategy.disjoint] if strategy.drawn else [list(strategy.disjoint)]
    for columns in groups:
        spread = pd.Series(fold).groupby([runs[c].to_numpy() for c in columns]).nunique() > 1
        if spread.any():
            raise InputError(
                f"{where}: {int(spread.sum())} values of {' x '.join(columns)} are spread over "
                f"folds, such as {spread.index[spread][0]}; the division leaks"
            )
    for column in strategy.within:
        if (runs.groupby(fold)[column].nunique() > 1).any():
            raise InputError(f"{where}: a fold mixes several values of {column}")
