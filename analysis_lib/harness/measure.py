"""From a table to a gap report.

Strategies that are always scored: E1 (random runs), E4 (unseen programs); with ``configuration``
E2 (unseen configurations of seen programs); where class mixes differ, E2 and E4 with the mixes of
training evened out; with ``family`` and ``operator`` E5 and E6. See
:mod:`analysis_lib.evaluation.splits` and :mod:`analysis_lib.evaluation.gap` for what they mean.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    Gap,
    cluster_bootstrap,
    cross_predict,
    evaluation_gap,
    make_splits,
    smallest_resolvable_gap,
    t_interval,
)
from analysis_lib.evaluation.scores import MIN_RUNS
from analysis_lib.evaluation.splits import get_strategy
from analysis_lib.harness.bound import bind, row_numbers
from analysis_lib.harness.checks import UNEVEN, check_predictions, check_table, mix_distance
from analysis_lib.harness.controls import run_controls
from analysis_lib.harness.findings import Finding, findings_table
from analysis_lib.harness.reading import read_table
from analysis_lib.harness.report import GapReport
from analysis_lib.harness.singles import check_columns, column_scores
from analysis_lib.harness.tables import LEAST_RUNS, RunTable, draw_rows, make_table
from analysis_lib.techniques import Technique

__all__ = ["gap_report"]

MAX_ROWS = 12_000
MOST_FITS = 300_000
GROUPS = 10
MACRO, POOLED = "program_macro_recall", "pooled_balanced_accuracy"


def gap_report(
    table: pd.DataFrame | str | Path,
    *,
    program: str,
    label: str,
    features: Iterable[str] | None = None,
    configuration: str | None = None,
    seed: str | None = None,
    technique: Any = None,
    random_state: int = 0,
    session: str | None = None,
    operator: str | None = None,
    family: str | None = None,
    ignore: Iterable[str] = (),
    groups: int | None = None,
    repeats: int = 1,
    permutations: int = 1,
    max_rows: int = MAX_ROWS,
    min_runs: int | None = None,
    n_resamples: int = 2000,
    encoding: str = "utf-8",
    n_jobs: int = 1,
) -> GapReport:
    """Measure the evaluation-strategy gap of a technique on a table of runs.

    Parameters
    ----------
    table : DataFrame or path
        One row per run; a CSV (also compressed) or Parquet file.
    program : str
        Column with the program that a run is of.
    label : str
        Column with the class to diagnose.
    features : iterable of str, optional
        Columns; by default all of numbers, and of true or false, that are not named otherwise.
    configuration : str, optional
        Column with an id that replicates share: the seeds of one fault with the same parameters.
        Without it, E2 and the replicate leak are missing.
    seed : str, optional
        Column with the seed, which is checked, and never a feature.
    technique : object, class, function or str, optional
        What has ``fit(X, y)`` and ``predict(X)``, or ``predict`` alone, or is a function of X; X is
        a DataFrame with the names of the columns, y the classes as they are in the table. A name is
        one of ``analysis_lib.harness.ESTIMATORS``. By default DEFault's forest. Named ones come
        behind :class:`~analysis_lib.harness.FiniteValues`; others get missing values as they are.
    random_state : int, default=0
        Of folds, draws, and every ``random_state`` that the technique has.
    session : str, optional
        Column with the session, which is checked, and never a feature.
    operator : str, optional
        Column with the fault's operator, for E6.
    family : str, optional
        Column with the program's family, for E5.
    ignore : iterable of str
        Codes of checks to leave out.
    groups : int, optional
        Groups of programs that E4 holds out in turn, 0 for one program at a time. By default one
        at a time if programs x rows are 300,000 at most, else 10 groups.
    repeats : int, default=1
        Draws of the folds of E1 and E2, and of the even mixes.
    permutations : int, default=1
        Repeats of the controls that fit the technique; 0 leaves the dear controls out.
    max_rows : int, default=12000
        Of larger tables about so many rows are drawn, by whole configurations, alike of every
        program and class; the checks that only read rows see all of them.
    min_runs : int, optional
        Classes with fewer runs in a program do not enter its score. By default 5, or 1 where that
        would leave out more than a fifth of the rows.
    n_resamples : int, default=2000
        Of the bootstrap over programs.
    encoding : str, default="utf-8"
        Of a CSV.
    n_jobs : int, default=1
        Worker processes; results do not depend on it.

    Returns
    -------
    GapReport

    Raises
    ------
    InputError
        If the table, a column, the technique or an option does not fit; the message says why.

    Examples
    --------
    >>> from analysis_lib.evaluation import simulate_world
    >>> features, runs = simulate_world("transferable", programs=4, classes=2, seeds=2)
    >>> frame = runs.set_index("run_id")[["program", "label", "configuration"]].join(features)
    >>> report = gap_report(
    ...     frame, program="program", label="label", configuration="configuration",
    ...     technique="tree", permutations=0)
    >>> list(report.scores.index)
    ['E1', 'E2', 'E4']
    """
    _check_options(
        groups=groups,
        repeats=repeats,
        permutations=permutations,
        max_rows=max_rows,
        min_runs=min_runs,
        n_resamples=n_resamples,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    findings_table([], ignore=ignore)  # an unknown code is told at once
    names = {"configuration": configuration, "seed": seed, "session": session}
    names |= {"operator": operator, "family": family}
    if not isinstance(table, pd.DataFrame):
        if not isinstance(table, (str, Path)):
            raise InputError(
                f"the table is a {type(table).__name__}; give a pandas DataFrame, or the path of a "
                "CSV or Parquet file"
            )
        keys = [program, label, *(name for name in names.values() if name is not None)]
        table = read_table(table, encoding=encoding, keys=keys)
    numeric = technique is None or isinstance(technique, str)
    whole = make_table(
        table, program=program, label=label, features=features, numeric=numeric, **names
    )
    findings = check_table(whole)
    used = _drawn(whole, max_rows, random_state)
    bound = bind(technique, used, random_state=random_state)
    findings += check_columns(column_scores(used, random_state=random_state))

    uneven = mix_distance(used.runs) > UNEVEN
    if groups is None:
        fits = used.runs["program"].nunique() * len(used.runs)
        groups = 0 if fits <= MOST_FITS else min(GROUPS, used.runs["program"].nunique())
    plan = _strategies(used.runs, uneven)
    options = {"random_state": random_state, "groups": groups, "n_jobs": n_jobs}
    predictions = _predictions(used, bound, plan, repeats=repeats, **options)
    least = _least(used.runs) if min_runs is None else min_runs
    gap = evaluation_gap(
        predictions, min_runs=least, n_resamples=n_resamples, random_state=random_state
    )
    seen = "E2" if "E2" in plan else "E1"
    controls = run_controls(
        used,
        bound,
        seen=seen,
        own=float(gap.scores.loc[seen, MACRO]),
        even=not uneven,
        permutations=permutations,
        min_runs=least,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    findings += check_predictions(predictions)
    findings += _economies(whole, used, groups)
    parameters = {
        "technique": bound.name,
        "rows": len(used.runs),
        "rows_given": len(table),
        "programs": int(used.runs["program"].nunique()),
        "classes": len(used.classes),
        "features": list(used.features.columns),
        "columns": {"program": program, "label": label}
        | {key: name for key, name in names.items() if name is not None},
        "missing_values": _treatment(technique),
        "groups": groups,
        "repeats": repeats,
        "permutations": permutations,
        "min_runs": least,
        "max_rows": max_rows,
        "random_state": random_state,
    }
    return GapReport(
        scores=_scores(predictions, gap, plan, n_resamples, random_state),
        decomposition=_parts(gap),
        controls=controls,
        checks=findings_table(findings, ignore=ignore),
        by_program=_by_program(used.runs, gap),
        predictions=predictions,
        parameters=parameters,
    )


def _check_options(**given: Any) -> None:
    least = {
        "groups": (0, "0 for one program at a time, or at least 2 groups"),
        "repeats": (1, "at least 1 draw"),
        "permutations": (0, "0 or more repeats"),
        "max_rows": (100, "at least 100 rows"),
        "min_runs": (1, "at least 1 run"),
        "n_resamples": (100, "at least 100 resamples"),
        "random_state": (0, "a seed, 0 or more"),
        "n_jobs": (-1, "a number of processes, or -1 for one per processor"),
    }
    for name, value in given.items():
        low, expected = least[name]
        if value is None and name in ("groups", "min_runs"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
            raise InputError(f"{name} is {value!r}; expected {expected}")
    if given["groups"] == 1:
        raise InputError("groups is 1; expected 0 for one program at a time, or at least 2 groups")
    if given["n_jobs"] == 0:
        raise InputError(f"n_jobs is 0; expected {least['n_jobs'][1]}")


def _drawn(table: RunTable, max_rows: int, random_state: int) -> RunTable:
    kept = draw_rows(table.runs, max_rows, random_state=random_state)
    if kept.all():
        return table
    runs = table.runs[kept].reset_index(drop=True)
    sizes = runs["label"].value_counts()
    runs = runs[runs["label"].isin(sizes.index[sizes >= LEAST_RUNS])].reset_index(drop=True)
    classes = {name: value for name, value in table.classes.items() if name in set(runs["label"])}
    return RunTable(table.features.loc[runs["run_id"]], runs, classes, table.findings)


def _strategies(runs: pd.DataFrame, uneven: bool) -> list[str]:
    names = ["E1"]
    if "configuration" in runs:
        names += ["E2", "E2bal"] if uneven else ["E2"]
    names += ["E4bal", "E4"] if uneven else ["E4"]
    return [*names, *(s for s, key in (("E5", "family"), ("E6", "operator")) if key in runs)]


def _predictions(
    table: RunTable,
    technique: Technique,
    plan: list[str],
    *,
    random_state: int,
    groups: int,
    repeats: int,
    n_jobs: int,
) -> pd.DataFrame:
    numbers, runs, parts = row_numbers(table), table.runs, []
    for name in plan:
        strategy = get_strategy(name)
        dealt = groups if strategy.unit == "program" else 0
        if name == "E6":  # a model for each operator of each group
            dealt = dealt or min(GROUPS // 2, runs["program"].nunique())
        for repeat in range(repeats if strategy.drawn else 1):
            state = random_state + repeat
            splits = make_splits(
                runs, strategy=name, label="label", random_state=state, n_groups=dealt
            )
            found = cross_predict(
                numbers,
                runs,
                technique,
                name,
                "label",
                splits=splits,
                random_state=state,
                n_jobs=n_jobs,
            )
            parts.append(found.assign(strategy=name, repeat=repeat))
    return pd.concat(parts, ignore_index=True)


def _least(runs: pd.DataFrame) -> int:
    cells = runs.groupby(["program", "label"])["label"].transform("size")
    return MIN_RUNS if (cells >= MIN_RUNS).mean() >= 0.8 else 1


def _scores(
    predictions: pd.DataFrame, gap: Gap, plan: list[str], n_resamples: int, random_state: int
) -> pd.DataFrame:
    rows = {}
    for name in plan:
        mine = predictions[predictions["strategy"] == name]
        macro = t_interval(gap.by_program[name])
        pooled = cluster_bootstrap(mine, n_resamples=n_resamples, random_state=random_state)
        base = gap.scores.loc[name]
        rows[name] = {
            MACRO: macro.estimate,
            "low": macro.low,
            "high": macro.high,
            POOLED: pooled.estimate,
            "pooled_low": pooled.low,
            "pooled_high": pooled.high,
            "worst_quartile": base["worst_quartile"],
            "chance": base["chance"],
            "programs": int(base["programs"]),
            "runs": int(mine["run_id"].nunique()),
            "models": len(mine[["repeat", "fold"]].drop_duplicates()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("strategy")


def _parts(gap: Gap) -> pd.DataFrame:
    table = gap.decomposition.copy()
    table["resolvable"] = np.nan
    for part in table.loc[MACRO].index:
        differences = gap.by_program[part].dropna()
        if len(differences) > 1:
            found = smallest_resolvable_gap(float(differences.std(ddof=1)), len(differences))
            table.loc[(MACRO, part), "resolvable"] = found
    return table


def _by_program(runs: pd.DataFrame, gap: Gap) -> pd.DataFrame:
    counts = runs.groupby("program")["label"].agg(["size", "nunique"])
    counts = counts.set_axis(["runs", "classes"], axis=1)
    return counts.join(gap.by_program).rename_axis("program")


def _economies(whole: RunTable, used: RunTable, groups: int) -> list[Finding]:
    findings = []
    if len(used.runs) < len(whole.runs):
        what = f"{len(used.runs):,} of {len(whole.runs):,} rows and "
        what += f"{used.runs['program'].nunique():,} of {whole.runs['program'].nunique():,} "
        findings.append(Finding("GAP016", what + "programs are drawn for the scores"))
    if groups:
        what = f"E4 holds out {groups} groups of programs in turn, not one program at a time: its "
        findings.append(Finding("GAP016", what + "models learn from fewer programs"))
    return findings


def _treatment(technique: Any) -> str:
    if technique is None or isinstance(technique, str):
        return (
            "in the fold: infinite values become the largest finite ones of their column in "
            "training, missing ones its median, and a column says where"
        )
    return "given to the technique as they are"
