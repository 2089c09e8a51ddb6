"""When to say nothing: runs unlike anything seen, and what abstaining buys.

Runs of one program are alike, so programs, not runs, are exchangeable with the next one. A score
that says how strange a run is (large is strange) is therefore compared with *one run per training
program*: with G programs and calibration scores S_g,

    p = (1 + #{g: S_g >= s}) / (G + 1)

is a valid p-value: P(p <= alpha) <= alpha for a run of a new program. Which run of a program is
drawn is chance; here p is its mean over all draws (repeated subsampling without end). The mean
never exceeds level 2 alpha, and in practice stays below alpha: a mean of p-values is dependent on
no lucky draw. With G programs no p is below 1 / (G + 1). Reference: Dunn, Wasserman and Ramdas,
Distribution-free prediction sets for two-layer hierarchical models, JASA 2023 (arXiv:1809.07441).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation.inference import t_interval

__all__ = ["CALIBRATIONS", "accuracy_by_coverage", "risk_coverage", "unlike_p_values"]

CALIBRATIONS = ("programs", "rows")
"""What a strange run is compared with: one run per program, or all runs as if independent."""

COVERAGES = tuple(np.round(np.arange(1, 21) / 20, 2))


def unlike_p_values(
    scores: Sequence[float],
    calibration: Sequence[float],
    programs: Sequence[str],
    *,
    unit: str = "programs",
) -> np.ndarray:
    """Return how probable a score at least as strange is in a run of a new program.

    Parameters
    ----------
    scores : array-like of shape (n_new,)
        Of new runs; large is strange.
    calibration : array-like of shape (n_runs,)
        Scores of runs of known programs, each computed without its own program.
    programs : array-like of shape (n_runs,)
    unit : {"programs", "rows"}
        "rows" treats runs as independent, ``(1 + #{i: S_i >= s}) / (n + 1)``; it promises too
        much and is there to be compared with.

    Returns
    -------
    ndarray of shape (n_new,)

    Raises
    ------
    InputError
        If the unit is unknown, there is no calibration score, one is missing, or lengths differ.

    Examples
    --------
    >>> unlike_p_values([5.0, 0.0], [1, 2, 3, 6], list("aabb")).round(3).tolist()
    [0.5, 1.0]
    >>> unlike_p_values([5.0, 0.0], [1, 2, 3, 6], list("aabb"), unit="rows").tolist()
    [0.4, 1.0]
    """
    if unit not in CALIBRATIONS:
        raise InputError(f"unit is {unit!r}; expected one of {', '.join(CALIBRATIONS)}")
    known, groups = np.asarray(calibration, dtype=float), np.asarray(programs)
    new = np.asarray(scores, dtype=float)
    if len(known) != len(groups) or not len(known):
        raise InputError(
            f"{len(known)} calibration scores and {len(groups)} programs; expected one each"
        )
    if np.isnan(known).any() or np.isnan(new).any():
        raise InputError("scores hold missing values; leave these runs out")
    units = [known] if unit == "rows" else [known[groups == g] for g in np.unique(groups)]
    reached = np.zeros(len(new))
    for part in units:
        count = len(part) - np.searchsorted(np.sort(part), new, side="left")
        reached += count / len(part) if unit == "programs" else count
    n = len(known) if unit == "rows" else len(units)
    return (1 + reached) / (n + 1)


def risk_coverage(
    predictions: pd.DataFrame,
    *,
    score: str,
    coverages: Sequence[float] = COVERAGES,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the error on the runs that are kept when the least certain ones are left out.

    A run is kept if its score is among the highest share ``coverage`` of all held-out runs, one
    threshold for all programs: the new program's own runs are not known in advance. Runs count so
    that the classes of a program weigh the same, and programs the same.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold: program, label, predicted, and the score, high where the model is sure.
    score : str
    coverages : sequence of float
        Shares of all runs to keep.
    level : float, default=0.95

    Returns
    -------
    DataFrame
        coverage (as asked), threshold, kept (share of the weight), risk (mean over programs of the
        share of kept runs that are wrong), low, high (Student's interval over programs), programs
        (that keep a run), worst (mean risk of the worst quarter of them).

    Raises
    ------
    InputError
        If a column or value is missing, or a coverage is not in (0, 1].

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppqq"), "label": "a", "predicted": list("abab"),
    ...                   "sure": [0.9, 0.4, 0.8, 0.3]})
    >>> risk_coverage(p, score="sure", coverages=[1.0, 0.5])["risk"].tolist()
    [0.5, 0.0]
    """
    missing = [c for c in ("program", "label", "predicted", score) if c not in predictions]
    if missing:
        raise InputError(f"predictions lack the columns {', '.join(missing)}")
    sure = predictions[score].to_numpy(dtype=float)
    if not len(sure) or np.isnan(sure).any():
        raise InputError(f"column '{score}' is empty or has missing values")
    if not all(0 < c <= 1 for c in coverages):
        raise InputError(f"coverages are {list(coverages)}; expected shares in (0, 1]")
    program, label = predictions["program"], predictions["label"].astype(str)
    wrong = (label != predictions["predicted"].astype(str)).to_numpy(dtype=float)
    cells = predictions.groupby([program, label])[score].transform("size").to_numpy()
    weight = 1 / cells
    weight = weight / pd.Series(weight).groupby(program.to_numpy()).transform("sum").to_numpy()
    descending = np.sort(sure)[::-1]
    rows = []
    for coverage in coverages:
        threshold = descending[int(np.ceil(coverage * len(sure) - 1e-9)) - 1]
        keep = sure >= threshold
        sums = pd.DataFrame({"all": weight * keep, "wrong": weight * keep * wrong})
        sums = sums.groupby(program.to_numpy()).sum()
        risk = (sums["wrong"] / sums["all"])[sums["all"] > 0]
        interval = t_interval(risk, level=level)
        worst = np.sort(risk)[-int(np.ceil(len(risk) / 4)) :].mean()
        rows.append(
            {
                "coverage": float(coverage),
                "threshold": float(threshold),
                "kept": float(sums["all"].mean()),
                "risk": interval.estimate,
                "low": max(interval.low, 0.0),
                "high": min(interval.high, 1.0),
                "programs": len(risk),
                "worst": float(worst),
            }
        )
    return pd.DataFrame(rows)


def accuracy_by_coverage(curve: pd.DataFrame, coverage: float) -> float:
    """Return 1 - risk at a coverage, interpolated on a curve of :func:`risk_coverage`.

    Examples
    --------
    >>> curve = pd.DataFrame({"coverage": [0.5, 1.0], "risk": [0.1, 0.3]})
    >>> accuracy_by_coverage(curve, 0.75)
    0.8
    """
    ordered = curve.sort_values("coverage")
    return float(1 - np.interp(coverage, ordered["coverage"], ordered["risk"]))
