"""How well a score ranks positive runs above negative ones, with the program as the unit.

Two views of the same predictions. *Within programs*: the area under the ROC curve of every program
that has both kinds of runs, each program counting once; scores of different folds are never
compared. *Pooled*: area and average precision over all runs, which also reward a score that knows
which programs have many positive runs.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import Interval, bootstrap_programs

__all__ = [
    "RANKINGS",
    "auc_by_program",
    "bootstrap_ranking",
    "flag_scores",
    "pooled_ranking",
    "precision_recall",
]

RANKINGS = ("auc", "average_precision")
"""Pooled measures."""

NEEDED = ("program", "positive", "score")


def auc_by_program(predictions: pd.DataFrame, *, min_runs: int = 1) -> pd.DataFrame:
    """Return the area under the ROC curve of every program.

    AUC = share of pairs (positive, negative run) that the score puts in order, ties counting half.
    With a column ``fold``, only runs of the same fold are paired: a model that was fitted without
    a positive run knows of fewer, so scores of different folds are biased against the truth.

    Parameters
    ----------
    predictions : DataFrame
        One row per run: program, positive (bool), score (larger for positive runs); fold, where
        scores come from several models.
    min_runs : int, default=1
        Programs with fewer positive or fewer negative runs have no AUC.

    Returns
    -------
    DataFrame indexed by program
        positives, negatives, pairs (compared), auc (missing where undefined); sorted.

    Raises
    ------
    InputError
        If a column or value is missing, or there is no row.

    References
    ----------
    The bias: Austin et al., Distributional bias compromises leave-one-out cross-validation,
    Science Advances 2025.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("aaab"), "positive": [True, False, False, True],
    ...                   "score": [0.5, 0.1, 0.9, 0.3]})
    >>> auc_by_program(p)["auc"].tolist()
    [0.5, nan]
    """
    hit = _checked(predictions)["positive"].to_numpy(dtype=bool)
    program = predictions["program"].to_numpy()
    fold = predictions["fold"].to_numpy() if "fold" in predictions else np.zeros(len(hit))
    rank = predictions["score"].groupby([program, fold]).rank().to_numpy()
    table = pd.DataFrame({"positives": hit, "negatives": ~hit, "rank": np.where(hit, rank, 0)})
    table = table.groupby([program, fold]).sum()
    n, m = table["positives"], table["negatives"]
    table["ordered"] = (table["rank"] - n * (n + 1) / 2).where(m > 0, 0)
    table["pairs"] = n * m
    table = table.groupby(level=0).sum().rename_axis("program")
    least = table[["positives", "negatives"]].min(axis=1)
    enough = (least >= max(min_runs, 1)) & (table["pairs"] > 0)
    auc = (table["ordered"] / table["pairs"].where(enough)).astype(float)
    return table[["positives", "negatives", "pairs"]].assign(auc=auc)


def pooled_ranking(predictions: pd.DataFrame) -> pd.Series:
    """Return pooled measures of a score.

    Parameters
    ----------
    predictions : DataFrame
        As for :func:`auc_by_program`.

    Returns
    -------
    Series
        auc; average_precision, the sum over thresholds of (gain in recall) x precision;
        prevalence, which is the average precision of a score without information.

    Raises
    ------
    InputError
        As :func:`auc_by_program`; and if all runs are of one kind.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "a", "positive": [True, False, True], "score": [3, 2, 1]})
    >>> pooled_ranking(p).round(3).tolist()
    [0.5, 0.833, 0.667]
    """
    counts = _Counts.of(predictions)
    one = np.ones((1, len(counts.programs)))
    values = {name: float(counts.score(one, name)[0]) for name in RANKINGS}
    return pd.Series(values | {"prevalence": float(_checked(predictions)["positive"].mean())})


def precision_recall(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return precision and recall at every threshold that a positive run sets.

    Parameters
    ----------
    predictions : DataFrame
        As for :func:`auc_by_program`.

    Returns
    -------
    DataFrame
        threshold (falling), recall, precision of "positive if score >= threshold".

    Raises
    ------
    InputError
        As :func:`pooled_ranking`.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "a", "positive": [True, False, True], "score": [3, 2, 1]})
    >>> precision_recall(p).round(2).values.tolist()
    [[3.0, 0.5, 1.0], [1.0, 1.0, 0.67]]
    """
    counts = _Counts.of(predictions)
    found, flagged = counts.positive_above.sum(0), counts.above.sum(0)
    return pd.DataFrame(
        {
            "threshold": counts.thresholds,
            "recall": found / counts.positives.sum(),
            "precision": found / flagged,
        }
    )


def bootstrap_ranking(
    predictions: pd.DataFrame,
    minus: pd.DataFrame | None = None,
    *,
    metric: str = "auc",
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return a pooled measure, or the difference of two, with a program-bootstrap interval.

    Parameters
    ----------
    predictions : DataFrame
        As for :func:`auc_by_program`.
    minus : DataFrame, optional
        Others, of the same programs, whose measure is subtracted.
    metric : {"auc", "average_precision"}
    level : float, default=0.95
        Of the interval, see :func:`analysis_lib.evaluation.bootstrap_programs`.
    n_resamples : int, default=2000
    random_state : int

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        As :func:`pooled_ranking`; if the metric is unknown, or the programs differ.
    """
    if metric not in RANKINGS:
        raise InputError(f"metric is {metric!r}; expected one of {', '.join(RANKINGS)}")
    first = _Counts.of(predictions)
    second = None if minus is None else _Counts.of(minus)
    if second is not None and list(first.programs) != list(second.programs):
        raise InputError("the two sets of predictions are not of the same programs")

    def statistic(weights):
        value = first.score(weights, metric)
        return value if second is None else value - second.score(weights, metric)

    return bootstrap_programs(
        statistic,
        len(first.programs),
        level=level,
        n_resamples=n_resamples,
        random_state=random_state,
    )


def flag_scores(
    predictions: pd.DataFrame,
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> dict[str, float]:
    """Score a yes-or-no flag.

    precision = unstable share of the flagged, recall = flagged share of the unstable,
    specificity = share of the stable that is not flagged; all pooled over runs.

    Parameters
    ----------
    predictions : DataFrame
        program, positive (bool), flagged (bool).
    level : float, default=0.95
        Of the interval, see :func:`analysis_lib.evaluation.bootstrap_programs`.
    n_resamples : int, default=2000
    random_state : int

    Returns
    -------
    dict
        runs, programs, positives, flagged (counts); precision, recall, specificity and
        balanced_accuracy = (recall + specificity) / 2, each with _low and _high; missing where
        undefined.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ab") * 2, "positive": [True, True, False, False],
    ...                   "flagged": [True, False, False, False]})
    >>> scores = flag_scores(p)
    >>> scores["precision"], scores["recall"], scores["specificity"]
    (1.0, 0.5, 1.0)
    """
    hit = predictions["positive"].to_numpy(dtype=bool)
    flag = predictions["flagged"].to_numpy(dtype=bool)
    code, programs = pd.factorize(predictions["program"], sort=True)
    n = len(programs)
    right, wrong, missed, left = (
        np.bincount(code[mask], minlength=n).astype(float)
        for mask in (hit & flag, ~hit & flag, hit & ~flag, ~hit & ~flag)
    )

    def ratio(above, below):
        return lambda w: _divided(w @ above, w @ (above + below))

    recall, specificity = ratio(right, missed), ratio(left, wrong)
    measures = {
        "precision": ratio(right, wrong),
        "recall": recall,
        "specificity": specificity,
        "balanced_accuracy": lambda w: (recall(w) + specificity(w)) / 2,
    }
    row: dict[str, float] = {
        "runs": len(hit),
        "programs": n,
        "positives": int(hit.sum()),
        "flagged": int(flag.sum()),
    }
    for name, measure in measures.items():
        i = bootstrap_programs(
            measure, n, level=level, n_resamples=n_resamples, random_state=random_state
        )
        row |= {name: i.estimate, f"{name}_low": i.low, f"{name}_high": i.high}
    return row


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)


@dataclass(frozen=True)
class _Counts:
    """Runs of each program at or above each threshold; a threshold is a positive run's score."""

    programs: np.ndarray
    thresholds: np.ndarray
    positives: np.ndarray  # (program,)
    negatives: np.ndarray
    positive_at: np.ndarray  # (program, threshold)
    positive_above: np.ndarray
    negative_at: np.ndarray
    above: np.ndarray  # of either kind

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> "_Counts":
        hit = _checked(predictions)["positive"].to_numpy(dtype=bool)
        score = predictions["score"].to_numpy(dtype=float)
        if hit.all() or not hit.any():
            raise InputError("all runs are of one kind, so nothing can be ranked")
        code, programs = pd.factorize(predictions["program"], sort=True)
        thresholds = np.unique(score[hit])[::-1]
        shape = (len(programs), len(thresholds))
        # first threshold that a score reaches; those below all of them reach none
        reached = np.searchsorted(-thresholds, -score)
        inside = reached < len(thresholds)
        at = inside & (thresholds[np.minimum(reached, shape[1] - 1)] == score)

        def counted(rows):
            table = np.zeros(shape)
            np.add.at(table, (code[rows], reached[rows]), 1)
            return table

        return cls(
            np.asarray(programs),
            thresholds,
            np.bincount(code[hit], minlength=shape[0]).astype(float),
            np.bincount(code[~hit], minlength=shape[0]).astype(float),
            counted(hit),
            counted(hit).cumsum(1),
            counted(~hit & at),
            counted(inside).cumsum(1),
        )

    def score(self, weights: np.ndarray, metric: str) -> np.ndarray:
        at, above = weights @ self.positive_at, weights @ self.above
        found = weights @ self.positive_above
        total = weights @ self.positives
        with np.errstate(divide="ignore", invalid="ignore"):
            if metric == "average_precision":
                precision = np.where(above > 0, found / np.where(above > 0, above, 1), 0)
                return (at * precision).sum(1) / total
            negatives = (weights @ self.negatives)[:, None]
            below = negatives - (above - found) + (weights @ self.negative_at) / 2
            return (at * below).sum(1) / (total * negatives[:, 0])


def _checked(predictions: pd.DataFrame) -> pd.DataFrame:
    missing = [c for c in NEEDED if c not in predictions]
    if missing:
        raise InputError(f"predictions lack the columns {', '.join(missing)}")
    if predictions.empty or predictions[list(NEEDED)].isna().any(axis=None):
        raise InputError("predictions are empty or have missing values; rank complete rows")
    return predictions
