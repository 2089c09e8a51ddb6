"""Scores of predictions, all derived from one table: the recall of every class in every program.

With n[g, c] runs of class c in program g, and R[g, c] the share of them predicted right,

- program-macro recall (the main score) = mean over g of mean over classes c present in g of
  R[g, c], so every program counts once;
- pooled balanced accuracy (the usual score) = mean over c of sum_g n[g, c] R[g, c] /
  sum_g n[g, c], dominated by programs with many runs;
- worst quartile = mean over the quarter of the programs with the lowest scores.

Cells with few runs are shown, and left out of averages over cells. Guessing scores 1 / K with K
classes.
"""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError

__all__ = [
    "MIN_RUNS",
    "METRICS",
    "by_program",
    "chance_level",
    "pooled_balanced_accuracy",
    "program_macro_recall",
    "recall_cells",
    "score_table",
    "worst_quartile",
]

MIN_RUNS = 5
"""Cells with fewer runs are shown but not averaged."""


def recall_cells(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> pd.DataFrame:
    """Return the recall of every class in every program.

    Parameters
    ----------
    predictions : DataFrame
        One row per run with program, label, predicted; with a column ``repeat`` one row per run
        and repeat, over which counts are averaged.
    min_runs : int, default=5

    Returns
    -------
    DataFrame
        program, label, runs, correct, recall = correct / runs, averaged (runs >= ``min_runs``);
        one row per program and class present in it, sorted.

    Raises
    ------
    InputError
        If a column is missing, there is no row, or a value is missing.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "p", "label": list("aab"), "predicted": list("aba")})
    >>> recall_cells(p, min_runs=1)["recall"].tolist()
    [0.5, 0.0]
    """
    columns = ["program", "label", "predicted"]
    missing = [c for c in columns if c not in predictions.columns]
    if missing:
        raise InputError(f"predictions lack the columns {', '.join(missing)}")
    if predictions.empty or predictions[columns].isna().any(axis=None):
        raise InputError("predictions are empty or have missing values; score complete rows")
    correct = predictions["label"].astype(str) == predictions["predicted"].astype(str)
    grouped = correct.groupby([predictions["program"], predictions["label"].astype(str)])
    cells = grouped.agg(runs="size", correct="sum").reset_index()
    if "repeat" in predictions and (repeats := predictions["repeat"].nunique()) > 1:
        cells[["runs", "correct"]] /= repeats
    return cells.assign(recall=cells["correct"] / cells["runs"], averaged=cells["runs"] >= min_runs)


def by_program(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> pd.DataFrame:
    """Return the score of every program: the mean recall of its classes.

    Parameters
    ----------
    predictions : DataFrame
        program, label, predicted.
    min_runs : int, default=5
        Cells with fewer runs do not enter the score.

    Returns
    -------
    DataFrame indexed by program
        runs, classes (averaged), score (missing without an averaged cell), corrected =
        (score - 1/K) / (1 - 1/K) with K classes in all.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "p", "label": list("aab"), "predicted": list("aaa")})
    >>> by_program(p, min_runs=1).loc["p", ["score", "corrected"]].tolist()
    [0.5, 0.0]
    """
    cells = recall_cells(predictions, min_runs=min_runs)
    return _by_program(cells, chance_level(predictions))


def _by_program(cells: pd.DataFrame, chance: float) -> pd.DataFrame:
    averaged = cells[cells["averaged"]].groupby("program")["recall"]
    table = cells.groupby("program").agg(runs=("runs", "sum"))
    table["classes"] = averaged.size().reindex(table.index, fill_value=0)
    table["score"] = averaged.mean().reindex(table.index)
    corrected = (table["score"] - chance) / (1 - chance) if chance < 1 else np.nan
    return table.assign(corrected=corrected)


def program_macro_recall(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> float:
    """Return the mean over programs of the mean recall of their classes.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppq"), "label": list("aab"), "predicted": list("aba")})
    >>> program_macro_recall(p, min_runs=1)
    0.25
    """
    return float(_scored(by_program(predictions, min_runs=min_runs), min_runs).mean())


def worst_quartile(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> float:
    """Return the mean score of the worst quarter of the programs (rounded up to a whole number)."""
    return _worst(_scored(by_program(predictions, min_runs=min_runs), min_runs))


def _worst(scores: pd.Series) -> float:
    lowest = np.sort(scores.to_numpy())[: int(np.ceil(len(scores) / 4))]
    return float(lowest.mean())


def pooled_balanced_accuracy(predictions: pd.DataFrame) -> float:
    """Return the mean over classes of the recall over all runs of the class.

    The same as scikit-learn's ``balanced_accuracy_score`` on all predictions together.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppq"), "label": list("aab"), "predicted": list("aba")})
    >>> pooled_balanced_accuracy(p)
    0.25
    """
    return _pooled(recall_cells(predictions))


def _pooled(cells: pd.DataFrame) -> float:
    sums = cells.groupby("label")[["correct", "runs"]].sum()
    return float((sums["correct"] / sums["runs"]).mean())


def chance_level(predictions: pd.DataFrame) -> float:
    """Return 1 / K, what guessing scores, with K classes among the labels."""
    return 1 / predictions["label"].nunique()


METRICS = {
    "program_macro_recall": program_macro_recall,
    "pooled_balanced_accuracy": pooled_balanced_accuracy,
    "worst_quartile": worst_quartile,
}
"""Scores by name."""


def score_table(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> pd.Series:
    """Return all scores of one set of predictions.

    Returns
    -------
    Series
        program_macro_recall, pooled_balanced_accuracy, worst_quartile, chance, programs, runs.
    """
    cells, chance = recall_cells(predictions, min_runs=min_runs), chance_level(predictions)
    scores = _scored(_by_program(cells, chance), min_runs)
    return pd.Series(
        {
            "program_macro_recall": float(scores.mean()),
            "pooled_balanced_accuracy": _pooled(cells),
            "worst_quartile": _worst(scores),
            "chance": chance,
            "programs": predictions["program"].nunique(),
            "runs": len(predictions),
        }
    )


def _scored(programs: pd.DataFrame, min_runs: int) -> pd.Series:
    scores = programs["score"].dropna()
    if scores.empty:
        raise InputError(f"no class has {min_runs} runs in any program; lower min_runs")
    return scores
