"""A table of runs, checked: features, program, class, and what runs have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.harness.columns import feature_columns, find_column, names_of
from analysis_lib.harness.findings import Finding, counted, listed

__all__ = ["LEAST_RUNS", "RunTable", "draw_rows", "make_table"]

LEAST_RUNS = 5
"""Rows that a class needs, one for each fold of E1."""

LEAST_ROWS = 50

KEYS = ("program", "label", "configuration", "seed", "session", "operator", "family")
OPTIONAL = ("seed", "session")


@dataclass(frozen=True)
class RunTable:
    """Runs that take part in an evaluation.

    Attributes
    ----------
    features : DataFrame
        One row per run, indexed by ``run_id``.
    runs : DataFrame
        run_id (the position of the row in the given table), program, label (both str), and of
        configuration, seed, session, operator and family those that were given.
    classes : mapping of str to object
        The class as it was given, by its name in ``runs``.
    findings : tuple of Finding
        What was left out or changed.
    """

    features: pd.DataFrame
    runs: pd.DataFrame
    classes: Mapping[str, Any]
    findings: tuple[Finding, ...]


def make_table(
    frame: pd.DataFrame,
    *,
    program: str,
    label: str,
    features: Iterable[str] | None = None,
    numeric: bool = True,
    **keys: str | None,
) -> RunTable:
    """Check a table of runs and take out what an evaluation needs.

    Without ``features`` all columns of numbers and of true or false are features, except those
    named otherwise and ``meta_`` columns. Rows without program, class or configuration are left
    out, and classes with fewer than five rows.

    Parameters
    ----------
    frame : DataFrame
        One row per run.
    program : str
        Column.
    label : str
        Column.
    features : iterable of str, optional
        Columns.
    numeric : bool, default=True
        Whether named features must be numbers; otherwise they are taken as they are.
    **keys : str, optional
        Columns for configuration, seed, session, operator, family.

    Returns
    -------
    RunTable

    Raises
    ------
    InputError
        If a column is not there, named twice or of the wrong kind, or what is left cannot be
        evaluated: it takes two programs and two classes.

    Examples
    --------
    >>> frame = pd.DataFrame({"net": list("pq") * 10, "bug": list("xxyy") * 5, "loss": range(20)})
    >>> table = make_table(frame, program="net", label="bug")
    >>> list(table.features), table.runs["program"].nunique()
    (['loss'], 2)
    """
    _check_frame(frame)
    names = {"program": program, "label": label, **{k: keys.get(k) for k in KEYS[2:]}}
    found = {k: find_column(frame, name, k) for k, name in names.items() if name is not None}
    for place, (key, column) in enumerate(found.items()):
        for other in list(found)[:place]:
            if found[other] == column:
                raise InputError(
                    f"column '{column}' is given as {other} and as {key}; give another, or leave "
                    f"{key} out"
                )
    runs = pd.DataFrame({key: names_of(frame[column], key) for key, column in found.items()})
    runs.insert(0, "run_id", np.arange(len(frame)))
    x, notes = feature_columns(frame, found, features, numeric)
    classes = _classes(frame[found["label"]], runs["label"])
    runs, dropped = _complete(runs, found)
    _check_size(runs, found)
    if "configuration" in runs:
        notes += _one_program_each(runs, found["configuration"])
        owner = runs["program"] + " / " + runs["configuration"]
        runs = runs.assign(configuration=owner.astype("str"))
    runs = runs.reset_index(drop=True)
    x = x.iloc[runs["run_id"].to_numpy()].set_axis(pd.Index(runs["run_id"]), axis=0)
    kept = {name: classes[name] for name in sorted(runs["label"].unique())}
    return RunTable(x, runs, kept, (*notes, *dropped))


def draw_rows(runs: pd.DataFrame, max_rows: int, *, random_state: int = 0) -> np.ndarray:
    """Draw about ``max_rows`` runs, whole configurations, and alike of every class and program.

    Of very many programs some are drawn first, so that 50 rows are left of each. Every class of a
    program keeps the same share of its configurations (of its rows without such), rounded up.

    Parameters
    ----------
    runs : DataFrame
        program, label, and configuration if there is one.
    max_rows : int
    random_state : int

    Returns
    -------
    ndarray of bool
        Which rows are kept; all if there are no more than ``max_rows``.
    """
    if len(runs) <= max_rows:
        return np.ones(len(runs), dtype=bool)
    rng = np.random.default_rng(random_state)
    program, names = pd.factorize(runs["program"], sort=True)
    rows_each = min(LEAST_ROWS, len(runs) / len(names))
    chosen = rng.permutation(len(names)) < max(2, np.ceil(max_rows / rows_each))
    kept = chosen[program]
    cell = runs.groupby(["program", "label"], sort=True).ngroup().to_numpy()
    unit = np.arange(len(runs))
    if "configuration" in runs:
        unit = pd.factorize(runs["configuration"], sort=True)[0]
    first = pd.DataFrame({"unit": unit, "cell": cell})[kept].drop_duplicates("unit")
    first = first.iloc[rng.permutation(len(first))]
    rank = first.groupby("cell").cumcount()
    size = first.groupby("cell")["cell"].transform("size")
    share = min(1.0, max_rows / kept.sum())
    drawn = np.zeros(unit.max() + 1, dtype=bool)
    drawn[first.loc[rank < np.ceil(share * size), "unit"]] = True
    return kept & drawn[unit]


def _check_frame(frame: object) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            f"the table is a {type(frame).__name__}; give a pandas DataFrame, or the path of a CSV "
            "or Parquet file"
        )
    if frame.columns.nlevels > 1:
        raise InputError("the table has several levels of column names; join them into one")
    names = frame.columns.astype(str)
    if names.duplicated().any():
        twice = listed(sorted(set(names[names.duplicated()])))
        raise InputError(f"the table has several columns of the name {twice}; rename them")
    if frame.empty:
        raise InputError(
            f"the table has {len(frame)} rows and {len(names)} columns; it needs a row per run"
        )


def _classes(column: pd.Series, names: pd.Series) -> dict:
    """Return the class as it was given, by name; whole numbers with gaps are integers again."""
    first = ~names.duplicated().to_numpy() & names.notna().to_numpy()
    values = column[first].tolist()
    given = dict(zip(names[first], values, strict=True))
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in given.items()
    }


def _complete(runs: pd.DataFrame, found: Mapping) -> tuple[pd.DataFrame, list[Finding]]:
    needed = [key for key in found if key not in OPTIONAL]
    findings = []
    for key in needed:
        missing = runs[key].isna()
        if missing.all():
            raise InputError(f"column '{found[key]}', given as {key}, is empty")
        if missing.any():
            what = f"{counted(int(missing.sum()), 'row')} without {key} left out"
            findings.append(Finding("GAP015", what, [found[key]]))
    runs = runs[runs[needed].notna().all(axis=1)]
    if runs.empty:
        raise InputError(f"no row has all of {', '.join(needed)}; fill these columns in")
    sizes = runs["label"].value_counts()
    rare = sizes[sizes < LEAST_RUNS]
    if len(rare) == len(sizes):
        raise InputError(
            f"no value of '{found['label']}' has {LEAST_RUNS} rows ({len(sizes):,} values in "
            f"{len(runs):,} rows, such as '{sizes.index[0]}'); give the column of the classes"
        )
    if len(rare):
        what = f"{counted(int(rare.sum()), 'row')} left out, of classes with fewer than "
        what += f"{LEAST_RUNS} rows ({listed(rare.index)})"
        findings.append(Finding("GAP015", what, [found["label"]]))
    return runs[~runs["label"].isin(rare.index)], findings


def _check_size(runs: pd.DataFrame, found: Mapping) -> None:
    program, label = found["program"], found["label"]
    if (classes := runs["label"].unique()).size < 2:
        raise InputError(
            f"column '{label}' has one class with {LEAST_RUNS} rows or more, '{classes[0]}'; it "
            "takes two to diagnose"
        )
    number = runs["program"].nunique()
    if number < 2:
        raise InputError(
            f"column '{program}' has one program, '{runs['program'].iloc[0]}'; the gap is between "
            "programs: give runs of at least two, better ten"
        )
    if number > len(runs) / 2:
        raise InputError(
            f"column '{program}' has {number:,} values in {len(runs):,} rows; give the column "
            "that says to which program a run belongs, not that of the run"
        )
    outside = runs.groupby("label")["program"].agg(
        lambda p: p.iloc[0] if p.nunique() == 1 else None
    )
    homes = outside.dropna().value_counts()
    for name, own in homes.items():
        if len(outside) - own < 2:
            rest = listed(outside.index[outside != name])
            raise InputError(
                f"without program '{name}' only the class {rest or 'of none'} is left to learn "
                "from, so unseen programs cannot be tested; give runs of other classes in other "
                "programs"
            )


def _one_program_each(runs: pd.DataFrame, column: object) -> list[Finding]:
    number = len(runs[["program", "configuration"]].drop_duplicates())
    if number < LEAST_RUNS:
        raise InputError(
            f"column '{column}', given as configuration, tells {number} configurations apart; E2 "
            f"needs {LEAST_RUNS}: give an id of fault and parameters that seeds share, or none"
        )
    by_id = runs.groupby("configuration")["program"].nunique()
    spread = by_id.index[by_id > 1]
    findings = []
    if len(spread):
        what = f"{counted(len(spread), 'configuration id')} in several programs (such as "
        what += f"'{spread[0]}'), taken as another configuration in each"
        findings.append(Finding("GAP012", what, severity="note"))
    by_key = runs.groupby(["program", "configuration"])["label"].nunique()
    several = by_key.index[by_key > 1]
    if len(several):
        what = f"{counted(len(several), 'configuration')} with runs of several classes (such as "
        what += f"'{several[0][1]}' of '{several[0][0]}')"
        findings.append(Finding("GAP012", what, severity="problem"))
    return findings
