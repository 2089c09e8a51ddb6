"""Evaluation strategies: which runs are tested together, and what training must not see.

A strategy assigns every run to one test fold and names the columns whose values training and test
may not share (and those they must share). Folds are seeded, so they are the same wherever they are
made.

======== ======================================= ==========================================
strategy tested together                         training sees
======== ======================================= ==========================================
E1       random runs                             everything else
E2       configurations, all seeds together      all programs, no tested configuration
E3       configurations of one program           that program alone
E4       a program                               the other programs
E5       an architecture family                  the other families
E6       the runs of an operator in a program    neither the program nor the operator
E2bal    as E2                                   as E2, equal class mix in every program
E4bal    as E4                                   as E4, equal class mix in every program
======== ======================================= ==========================================
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown

__all__ = [
    "STRATEGIES",
    "Strategy",
    "classes_of",
    "get_strategy",
    "make_splits",
    "train_rows",
]


@dataclass(frozen=True)
class Strategy:
    """How runs are divided.

    Parameters
    ----------
    name : str
    title : str
        What it asks, for tables and figures.
    disjoint : tuple of str
        Columns of ``runs`` whose values training and test never share.
    assign : callable
        From (runs, classes, n_splits, rng) to the fold of every run.
    drawn : bool
        Whether anything is drawn at random, so that repeating averages over the draw.
    within : tuple of str
        Columns whose values training must share with the test fold.
    balanced : bool
        Whether the class mix is evened out within every program before training.
    base : str
        Strategy whose folds are used; its own name by default.
    unit : str
        Column whose values can be dealt to fewer folds (``n_groups``); empty if there is none.
    """

    name: str
    title: str
    disjoint: tuple[str, ...]
    assign: Callable[[pd.DataFrame, np.ndarray, int, np.random.Generator], np.ndarray]
    drawn: bool = False
    within: tuple[str, ...] = ()
    balanced: bool = False
    base: str = ""
    unit: str = ""

    def __post_init__(self):
        object.__setattr__(self, "base", self.base or self.name)


def _rows(runs, classes, n_splits, rng):
    rarest = pd.Series(classes).value_counts()
    if rarest.min() < n_splits:
        raise InputError(
            f"class '{rarest.idxmin()}' has {rarest.min()} runs; {n_splits} folds need as many"
        )
    return _deal(classes, n_splits, rng)


def _configurations(runs, classes, n_splits, rng):
    """Deal the configurations of every program and (commonest) class to the folds in turn.

    All classes of a program start at the same fold, so that training keeps the program's class
    mix: a model that only knows the program must not gain or lose by what was taken out.
    """
    table = pd.DataFrame({"program": runs["program"], "class": classes})
    table["configuration"] = runs["configuration"].to_numpy()
    if (table.groupby("configuration")["program"].nunique() > 1).any():
        raise InputError("a configuration occurs in two programs; make its key name the program")
    units = table.groupby("configuration").agg(
        program=("program", "first"), cls=("class", lambda c: c.mode().iloc[0])
    )
    if len(units) < n_splits:
        raise InputError(f"{n_splits} folds need as many configurations, there are {len(units)}")
    units = units.iloc[rng.permutation(len(units))]
    turn = units.groupby(["program", "cls"]).cumcount()
    programs = units["program"].astype(str).unique()
    start = pd.Series(range(len(programs)), index=programs)
    folds = (turn + units["program"].astype(str).map(start)) % n_splits
    return folds.reindex(table["configuration"]).to_numpy()


def _inside(runs, classes, n_splits, rng):
    """Deal the configurations as E2 does, and make the folds of different programs different."""
    inner = _configurations(runs, classes, n_splits, rng)
    program = pd.factorize(runs["program"], sort=True)[0]
    folds = np.unique(np.column_stack([program, inner]), axis=0, return_inverse=True)[1].ravel()
    units = runs.assign(label=classes).drop_duplicates("configuration")
    sizes = units.groupby(["program", "label"]).size()
    enough = (sizes >= 2).groupby("program").sum() >= 2
    if not enough.all():
        raise InputError(
            f"{int((~enough).sum())} programs ({', '.join(map(str, enough.index[~enough][:3]))}) "
            "have no two classes with two configurations each, which E3 needs; leave them out"
        )
    return folds


def _groups(*columns: str) -> Callable:
    def assign(runs, classes, n_splits, rng):
        return runs.groupby(list(columns), sort=True).ngroup().to_numpy()

    return assign


def _deal(strata: np.ndarray, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Deal the shuffled members of every stratum to the folds in turn.

    Dealing goes on where the last stratum ended, so folds differ by at most one member per stratum
    and by at most one in all.
    """
    codes = pd.factorize(strata, sort=True)[0]
    order = np.lexsort((rng.permutation(len(codes)), codes))
    folds = np.empty(len(codes), dtype=int)
    folds[order] = np.arange(len(codes)) % n_splits
    return rng.permutation(n_splits)[folds]


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        s.name: s
        for s in (
            Strategy("E1", "rows: any run", (), _rows, drawn=True),
            Strategy(
                "E2",
                "configurations: seen program",
                ("configuration",),
                _configurations,
                drawn=True,
            ),
            Strategy(
                "E3",
                "one model per program",
                ("configuration",),
                _inside,
                drawn=True,
                within=("program",),
            ),
            Strategy(
                "E4", "programs: unseen program", ("program",), _groups("program"), unit="program"
            ),
            Strategy(
                "E5",
                "families: unseen architecture family",
                ("family",),
                _groups("family"),
                unit="family",
            ),
            Strategy(
                "E6",
                "operators: unseen program and fault operator",
                ("program", "operator"),
                _groups("program", "operator"),
                unit="program",
            ),
            Strategy(
                "E2bal",
                "configurations, class mix evened out",
                ("configuration",),
                _configurations,
                drawn=True,
                balanced=True,
                base="E2",
            ),
            Strategy(
                "E4bal",
                "programs, class mix evened out",
                ("program",),
                _groups("program"),
                drawn=True,
                balanced=True,
                base="E4",
                unit="program",
            ),
        )
    }
)
"""The strategies by name."""


def get_strategy(name: str) -> Strategy:
    """Return a registered strategy; an unknown name is an InputError."""
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def make_splits(
    runs: pd.DataFrame,
    *,
    strategy: str,
    label: str,
    random_state: int = 0,
    n_splits: int = 5,
    n_groups: int = 0,
) -> pd.DataFrame:
    """Assign every run to the fold in which it is tested.

    - E1: ``n_splits`` folds over runs, stratified by class.
    - E2: up to ``n_splits`` folds over configurations, all seeds of a configuration together,
      stratified by (program, class), with the classes of a program in step.
    - E3: as E2, inside each program; a fold belongs to one program.
    - E4: one fold per program.
    - E5: one fold per architecture family.
    - E6: one fold per (program, operator); training sees neither.
    - E2bal, E4bal: the folds of E2 and E4. What is evened out is the class mix of the training
      runs, see :func:`analysis_lib.evaluation.balance.balanced_rows`; the tested runs stay.

    Parameters
    ----------
    runs : DataFrame of shape (n_runs, ...)
        run_id, program, the columns the strategy keeps apart, and the label.
    strategy : str
        Key of :data:`STRATEGIES`.
    label : str
        Name of the class column; it must not have missing values.
    random_state : int, default=0
    n_splits : int, default=5
        For E1, E2 and E3.
    n_groups : int, default=0
        For E4, E5 and E6: the programs (E5: families) are dealt at random to this many groups, and
        a group is held out at a time, instead of a single one. Cheaper, and a little harder, since
        fewer programs are left to train on. 0 holds out one at a time.

    Returns
    -------
    DataFrame of shape (n_runs, 2)
        run_id and fold (0, 1, ...), in the order of ``runs``.

    Raises
    ------
    InputError
        If the strategy is unknown, a column is missing, a run_id occurs twice, a label is missing,
        there is one class only, or there is too little to divide (the message says what).

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=3, classes=2)
    >>> make_splits(runs, strategy="E4", label="label")["fold"].nunique()
    3
    """
    chosen = get_strategy(strategy)
    classes = classes_of(runs, chosen, label)
    if n_splits < 2:
        raise InputError(f"n_splits is {n_splits}; at least 2 folds are needed")
    if n_groups < 0 or n_groups == 1:
        raise InputError(f"n_groups is {n_groups}; expected 0, or at least 2 groups")
    if chosen.unit and n_groups:
        runs = _dealt(runs, chosen.unit, n_groups, random_state)
    rng = np.random.default_rng([random_state, *map(ord, chosen.base)])
    folds = chosen.assign(runs, classes, n_splits, rng)
    if len(np.unique(folds)) < 2:
        raise InputError(
            f"strategy {chosen.name} needs at least two values of {' x '.join(chosen.disjoint)}"
        )
    return pd.DataFrame({"run_id": runs["run_id"].to_numpy(), "fold": folds})


def _dealt(runs: pd.DataFrame, column: str, n_groups: int, random_state: int) -> pd.DataFrame:
    """Put the number of its group in the place of every value, alike for all strategies."""
    values = np.sort(runs[column].astype(str).unique())
    rng = np.random.default_rng([random_state, *map(ord, column)])
    group = pd.Series(np.arange(len(values)) % n_groups, index=rng.permutation(values))
    return runs.assign(**{column: runs[column].astype(str).map(group)})


def train_rows(runs: pd.DataFrame, test: np.ndarray, strategy: Strategy) -> np.ndarray:
    """Return which runs may be trained on while those marked in ``test`` are tested.

    A run may be used if it is not tested, shares no value of the strategy's ``disjoint`` columns
    with a tested one, and has the same values in its ``within`` columns.
    """
    allowed = ~test
    for column in strategy.within:
        allowed &= runs[column].isin(runs.loc[test, column].unique()).to_numpy()
    for column in strategy.disjoint:
        allowed &= ~runs[column].isin(runs.loc[test, column].unique()).to_numpy()
    return allowed


def classes_of(runs: pd.DataFrame, strategy: Strategy, label: str) -> np.ndarray:
    """Return the class of every run, after checking all columns that a strategy needs."""
    needed = dict.fromkeys(["run_id", "program", label, *strategy.disjoint, *strategy.within])
    missing = [c for c in needed if c not in runs.columns]
    if missing:
        raise InputError(f"strategy {strategy.name} needs the columns {', '.join(missing)} in runs")
    if runs["run_id"].duplicated().any():
        raise InputError("a run_id occurs twice in runs; every run needs its own")
    for column in needed:
        if runs[column].isna().any():
            raise InputError(
                f"{int(runs[column].isna().sum())} of {len(runs)} runs have no {column}; "
                "select the runs that have one"
            )
    classes = runs[label].astype(str).to_numpy(dtype=object)
    if len(set(classes)) < 2:
        raise InputError(f"all runs have the same {label}; at least two classes are needed")
    return classes
