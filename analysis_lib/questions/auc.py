r"""Area under the ROC curve when runs come in programs.

Two numbers are wanted side by side. The *pooled* AUC ranks all runs together: it is what papers
report, rewards knowing which programs have many positive runs, and compares scores of different
models. The AUC *within programs* compares only runs of one program that were scored by one model
(the same fold and draw),

.. math::
    A_g = \frac{\sum_m \#\{(i, j) : s_i > s_j\} + \tfrac12 \#\{s_i = s_j\}}
               {\sum_m n^+_{gm} n^-_{gm}},

over pairs of a positive run i and a negative run j of program g in fold m. Knowing the program
buys nothing there: a score that is the same for all its runs has :math:`A_g = 1/2`.
"""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import Interval, bootstrap_programs
from analysis_lib.evaluation.scores import MIN_RUNS
from analysis_lib.questions.ranking import auc_by_program

__all__ = ["auc_within_folds", "pooled_auc"]


def auc_within_folds(
    predictions: pd.DataFrame, *, positive: str, score: str, min_runs: int = MIN_RUNS
) -> pd.DataFrame:
    """Return the AUC of every program, from pairs of runs that one model scored.

    Parameters
    ----------
    predictions : DataFrame
        program, label and the score; with fold, and repeat where folds were drawn several times.
    positive : str
        The positive class.
    score : str
        Column that is to be larger for the positive class.
    min_runs : int, default=5
        A program with fewer positive or fewer negative runs has no AUC: it carries no information.

    Returns
    -------
    DataFrame indexed by program
        positives, negatives (runs, counted once), pairs (compared), auc (missing without
        information).

    Raises
    ------
    InputError
        If a column or a score is missing, or no run is positive.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "p", "label": list("aab"), "s": [0.9, 0.2, 0.5]})
    >>> auc_within_folds(p, positive="a", score="s", min_runs=1)["auc"].to_dict()
    {'p': 0.5}
    """
    table = _checked(predictions, positive, score)
    units = [c for c in ("repeat", "fold") if c in predictions]
    if units:  # every draw of the folds has models of its own
        table["fold"] = predictions.groupby(units).ngroup().to_numpy()
    found = auc_by_program(table)
    counts = ["positives", "negatives"]
    found[counts] //= predictions["repeat"].nunique() if "repeat" in predictions else 1
    enough = (found[counts] >= min_runs).all(axis=1)
    return found.assign(auc=found["auc"].where(enough))


def pooled_auc(
    predictions: pd.DataFrame,
    minus: pd.DataFrame | None = None,
    *,
    positive: str,
    score: str,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Interval:
    """Return the AUC of all runs together, or a difference of two, with a program bootstrap.

    Programs are drawn with replacement, and all pairs of runs of the drawn programs are compared,
    within and across programs. Repeats are averaged. The interval is that of
    :func:`analysis_lib.evaluation.bootstrap_programs`.

    Parameters
    ----------
    predictions : DataFrame
        program, label, the score, and repeat where there are several.
    minus : DataFrame, optional
        Other predictions of the same runs, whose AUC is subtracted in every resample.
    positive : str
        The label whose runs should rank first.
    score : str
        Column to rank by.
    level : float, default=0.95
    n_resamples, random_state : int

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If a column or score is missing, there is one program, only one class, or the two tables
        differ in their programs.

    Examples
    --------
    >>> p = pd.DataFrame({"program": list("ppqq"), "label": list("abab"), "s": [4, 3, 2, 1]})
    >>> pooled_auc(p, positive="a", score="s", n_resamples=99).estimate
    0.75
    """
    ordered, pairs, programs = _pairs(predictions, positive, score)
    wins = [ordered]
    if minus is not None:
        other, other_pairs, names = _pairs(minus, positive, score)
        if list(names) != list(programs) or not np.array_equal(other_pairs, pairs):
            raise InputError("the two sets of predictions are not of the same runs")
        wins.append(other)
    if len(programs) < 2 or pairs.sum() == 0:
        raise InputError("a pooled AUC needs two programs, and positive and negative runs")

    def statistic(weights):
        total = np.einsum("rg,gh,rh->r", weights, pairs, weights, optimize=True)
        areas = [
            np.einsum("rg,gh,rh->r", weights, w, weights, optimize=True)
            / np.where(total > 0, total, np.nan)
            for w in wins
        ]
        return areas[0] if minus is None else areas[0] - areas[1]

    return bootstrap_programs(
        statistic,
        len(programs),
        level=level,
        n_resamples=n_resamples,
        random_state=random_state,
    )


def _checked(predictions: pd.DataFrame, positive: str, score: str) -> pd.DataFrame:
    missing = [c for c in ("program", "label", score) if c not in predictions]
    if missing:
        raise InputError(f"predictions lack the columns {', '.join(missing)}")
    if predictions[score].isna().any():
        raise InputError(f"{int(predictions[score].isna().sum())} predictions have no {score}")
    table = pd.DataFrame(
        {
            "program": predictions["program"].to_numpy(),
            "positive": (predictions["label"].astype(str) == str(positive)).to_numpy(),
            "score": predictions[score].to_numpy(dtype=float),
        }
    )
    if not table["positive"].any():
        raise InputError(f"no run is labelled '{positive}'; the AUC is undefined")
    return table


def _pairs(
    predictions: pd.DataFrame, positive: str, score: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ordered pairs and pairs by program of the positive and of the negative run."""
    table = _checked(predictions, positive, score)
    code, programs = pd.factorize(table["program"], sort=True)
    repeat = predictions["repeat"].to_numpy() if "repeat" in predictions else np.zeros(len(code))
    g = len(programs)
    ordered, pairs = np.zeros((g, g)), np.zeros((g, g))
    hit, value = table["positive"].to_numpy(), table["score"].to_numpy()
    for draw in np.unique(repeat):
        here = repeat == draw
        up, down = here & hit, here & ~hit
        for h in range(g):
            negatives = np.sort(value[down & (code == h)])
            below = np.searchsorted(negatives, value[up], side="left")
            upto = np.searchsorted(negatives, value[up], side="right")
            ordered[:, h] += np.bincount(code[up], weights=(below + upto) / 2, minlength=g)
            pairs[:, h] += np.bincount(code[up], minlength=g) * len(negatives)
    return ordered, pairs, programs
