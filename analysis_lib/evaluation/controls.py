"""Controls: what a technique can score without knowing anything about faults.

=================== ============================== ==========================================
control             keeps                          destroys
=================== ============================== ==========================================
permuted runs       class mix of every program     the link of features and labels in programs
permuted configs    the same; seeds stay together  what labels mean, not that seeds share one
renamed classes     groups of runs in a program    the meaning of a class across programs
prior oracle        class mix of every program     everything else
program identity    class mix, identity            everything else
balanced runs       everything                     differences in class mix
permuted, balanced  identity                       class mix, the link of features and labels
=================== ============================== ==========================================
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.scores import score_table

__all__ = [
    "balanced_runs",
    "permutation_scores",
    "permute_within_program",
    "prior_oracle",
    "program_indicator",
    "rename_within_program",
]


def permute_within_program(
    runs: pd.DataFrame, label: str, *, unit: str = "run", random_state: int = 0
) -> pd.DataFrame:
    """Permute the labels inside every program.

    Parameters
    ----------
    runs : DataFrame
        program, the label, and configuration where that is the unit.
    label : str
    unit : {"run", "configuration"}
        What is permuted. With "configuration", all seeds of a configuration keep one label.
    random_state : int

    Returns
    -------
    DataFrame
        A copy of ``runs`` with permuted labels; every program keeps its class counts (per unit).

    Raises
    ------
    InputError
        If the unit is unknown or a configuration has several labels.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": list("ppqq"), "label": list("xyzz")})
    >>> sorted(permute_within_program(runs, "label")["label"])
    ['x', 'y', 'z', 'z']
    """
    if unit not in ("run", "configuration"):
        raise InputError(f"unit is {unit!r}; use run or configuration")
    rng = np.random.default_rng(random_state)
    if unit == "run":
        return runs.assign(**{label: _shuffled(runs["program"], runs[label], rng)})
    if (runs.groupby("configuration")[label].nunique() > 1).any():
        raise InputError("a configuration has several labels; permute by run")
    units = runs.drop_duplicates("configuration")
    new = pd.Series(_shuffled(units["program"], units[label], rng), index=units["configuration"])
    return runs.assign(**{label: runs["configuration"].map(new).to_numpy()})


def rename_within_program(runs: pd.DataFrame, label: str, *, random_state: int = 0) -> pd.DataFrame:
    """Rename the classes by a permutation of all class names, drawn anew for every program.

    Seen programs can still be memorised; nothing can be learned for an unseen one. Balance the
    classes before, since renaming also scrambles unequal mixes.

    Parameters
    ----------
    runs : DataFrame
        program and the label.
    label : str
    random_state : int

    Returns
    -------
    DataFrame
        A copy of ``runs`` with renamed labels.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": list("ppqq"), "label": list("abab")})
    >>> renamed = rename_within_program(runs, "label", random_state=1)
    >>> sorted(renamed["label"]), renamed.groupby("program")["label"].nunique().tolist()
    (['a', 'a', 'b', 'b'], [2, 2])
    """
    rng = np.random.default_rng(random_state)
    names = np.sort(runs[label].astype(str).unique())
    code = np.searchsorted(names, runs[label].astype(str))
    group, programs = pd.factorize(runs["program"], sort=True)
    renaming = np.array([rng.permutation(len(names)) for _ in programs])
    return runs.assign(**{label: names[renaming[group, code]]})


def permutation_scores(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    technique: Any,
    strategy: str,
    label: str,
    *,
    repeats: int = 25,
    unit: str = "run",
    balanced: bool = False,
    random_state: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Score a technique that is trained and tested on labels permuted within programs.

    Unbalanced, what is left is what identity and class mix buy. Balanced, it is chance if the
    pipeline is clean, also where the gap is large: a signal of the program's own is destroyed.

    Parameters
    ----------
    features, runs, technique, strategy, label
        See :func:`analysis_lib.evaluation.predict.cross_predict`.
    repeats : int, default=25
    unit : {"run", "configuration"}
    balanced : bool, default=False
        Draw :func:`balanced_runs` anew before every permutation.
    random_state : int
    **options
        Of ``cross_predict``.

    Returns
    -------
    DataFrame of shape (repeats, ...)
        repeat and the scores of :func:`analysis_lib.evaluation.scores.score_table`.

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> features, runs = simulate_world("transferable", programs=4, classes=2)
    >>> table = permutation_scores(features, runs, "DEFault", "E1", "label", repeats=2)
    >>> table["repeat"].tolist()
    [0, 1]
    """
    rows = []
    for repeat in range(repeats):
        drawn = runs
        if balanced:
            drawn = balanced_runs(runs, label, random_state=random_state + repeat)
        permuted = permute_within_program(
            drawn, label, unit=unit, random_state=random_state + repeat
        )
        predictions = cross_predict(
            features, permuted, technique, strategy, label, random_state=random_state, **options
        )
        rows.append({"repeat": repeat} | score_table(predictions).to_dict())
    return pd.DataFrame(rows)


def prior_oracle(runs: pd.DataFrame, label: str) -> pd.DataFrame:
    """Predict, for all runs of a program, the class that is most over-represented in it.

    argmax over c of P(c | program) / P(c), counted on the very runs: what the class mix alone buys
    whoever knows the program.

    Parameters
    ----------
    runs : DataFrame
        run_id, program and the label.
    label : str

    Returns
    -------
    DataFrame
        run_id, program, label, predicted.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": list("abcd"), "program": list("ppqq"),
    ...                      "label": list("xxyx")})
    >>> prior_oracle(runs, "label")["predicted"].tolist()
    ['x', 'x', 'y', 'y']
    """
    classes = runs[label].astype(str)
    counts = pd.crosstab(runs["program"], classes)
    lift = counts.div(counts.sum(axis=1), axis=0) / (counts.sum() / counts.to_numpy().sum())
    best = lift.idxmax(axis=1)
    return pd.DataFrame(
        {
            "run_id": runs["run_id"].to_numpy(),
            "program": runs["program"].to_numpy(),
            "label": classes.to_numpy(),
            "predicted": runs["program"].map(best).to_numpy(),
        }
    )


def program_indicator(runs: pd.DataFrame) -> pd.DataFrame:
    """Return features that say nothing but which program a run belongs to (one column each).

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": ["a", "b"], "program": ["p", "q"]})
    >>> program_indicator(runs).to_numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    table = pd.get_dummies(runs["program"].astype(str), prefix="program", dtype=float)
    return table.set_axis(pd.Index(runs["run_id"], name="run_id"), axis=0)


def balanced_runs(
    runs: pd.DataFrame,
    label: str,
    *,
    min_runs: int = 5,
    complete: bool = False,
    random_state: int = 0,
) -> pd.DataFrame:
    """Draw a subset in which every program has the same number of runs of every class it has.

    Per program, classes with fewer than ``min_runs`` runs are dropped, then every remaining class
    is cut to the smallest one's number; programs with fewer than two classes are dropped. Whole
    configurations are kept together as far as the number allows. Which classes a program has still
    tells a little, unless ``complete``.

    Parameters
    ----------
    runs : DataFrame
        program, the label, and configuration (optional).
    label : str
    min_runs : int, default=5
    complete : bool, default=False
        Keep only programs with all classes.
    random_state : int

    Returns
    -------
    DataFrame
        Rows of ``runs``, in their order.

    Raises
    ------
    InputError
        If no program has enough classes of ``min_runs`` runs.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": list("ppppq"), "label": list("aaabb")})
    >>> balanced_runs(runs, "label", min_runs=1)["label"].tolist()
    ['a', 'b']
    """
    rng = np.random.default_rng(random_state)
    unit = runs["configuration"] if "configuration" in runs else pd.Series(range(len(runs)))
    code = pd.factorize(unit, sort=True)[0]
    place = rng.permutation(code.max() + 1)[code]
    table = pd.DataFrame({"program": runs["program"].to_numpy(), "label": runs[label].to_numpy()})
    cell = table.groupby(["program", "label"])["label"].transform("size")
    table = table[cell >= min_runs].assign(place=place[cell >= min_runs])
    enough = table["label"].nunique() if complete else 2
    table = table[table.groupby("program")["label"].transform("nunique") >= max(2, enough)]
    if table.empty:
        raise InputError(f"no program has {enough} classes with {min_runs} runs; lower min_runs")
    sizes = table.groupby(["program", "label"]).size()
    smallest = table["program"].map(sizes.groupby("program").min())
    order = table.sort_values("place", kind="stable")
    rank = order.groupby(["program", "label"]).cumcount().reindex(table.index)
    return runs.iloc[table.index[(rank < smallest).to_numpy()]]


def _shuffled(program: pd.Series, labels: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Return labels permuted inside each program."""
    code = pd.factorize(program, sort=True)[0]
    target = np.lexsort((np.arange(len(code)), code))
    source = np.lexsort((rng.permutation(len(code)), code))
    values = labels.to_numpy().copy()
    values[target] = labels.to_numpy()[source]
    return values
