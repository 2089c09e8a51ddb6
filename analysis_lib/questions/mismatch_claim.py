"""Seen against unseen programs: AUC tables, paired differences over programs, and the claim.

The study says that optimizer and activation features help only on programs seen in training. Two
readings of "help" are decided here: the features alone (AUC above one half), and the features
added to others (AUC above that of the others alone). Both are paired differences per program.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation import Interval, max_t_test, sign_flip_test, t_interval
from analysis_lib.evaluation.scores import MIN_RUNS
from analysis_lib.questions.auc import auc_within_folds, pooled_auc
from analysis_lib.questions.mismatch import (
    MISMATCH,
    mismatch_arms,
    mismatch_predictions,
    mismatch_runs,
)

__all__ = [
    "GUESSING",
    "added_value",
    "auc_table",
    "only_on_seen",
    "program_aucs",
    "seen_minus_unseen",
    "threshold_table",
]

GUESSING = "guessing"
"""What is added to where features stand alone: an AUC of one half in every program."""

CELL = ["technique", "window", "strategy"]
SCORE = f"p_{MISMATCH}"


def program_aucs(predictions: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> pd.DataFrame:
    """Return the AUC of every technique, window, strategy and program that carries information.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`analysis_lib.questions.mismatch.mismatch_predictions` returns it.
    min_runs : int, default=5
        See :func:`analysis_lib.questions.auc.auc_within_folds`.

    Returns
    -------
    DataFrame
        technique, window, strategy, program, auc.
    """
    parts = []
    for cell, rows in predictions.groupby(CELL, sort=False):
        found = auc_within_folds(rows, positive=MISMATCH, score=SCORE, min_runs=min_runs)["auc"]
        part = found.dropna().rename_axis("program").reset_index()
        parts.append(part.assign(**dict(zip(CELL, cell, strict=True))))
    table = pd.concat(parts, ignore_index=True)[[*CELL, "program", "auc"]]
    if table.empty:
        raise InputError(f"no program has {min_runs} runs of both labels; the AUC is undefined")
    return table


def auc_table(
    predictions: pd.DataFrame,
    *,
    min_runs: int = MIN_RUNS,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score all predictions, within programs and pooled.

    Parameters
    ----------
    predictions : DataFrame
    min_runs : int, default=5
    n_resamples, random_state : int
        Of the program bootstrap of the pooled AUC.

    Returns
    -------
    DataFrame
        technique, window, strategy, measure ("within": mean over programs with Student's interval;
        "pooled"), estimate, low, high, programs.
    """
    scores = program_aucs(predictions, min_runs=min_runs).groupby(CELL, sort=False)["auc"]
    options = {"n_resamples": n_resamples, "random_state": random_state}
    rows = []
    for cell, part in predictions.groupby(CELL, sort=False):
        found = {
            "within": t_interval(scores.get_group(cell)),
            "pooled": pooled_auc(part, positive=MISMATCH, score=SCORE, **options),
        }
        name = dict(zip(CELL, cell, strict=True))
        rows += [name | {"measure": m} | _fields(i) for m, i in found.items()]
    return pd.DataFrame(rows)


def seen_minus_unseen(
    scores: pd.DataFrame,
    *,
    window: int,
    seen: str = "E2",
    unseen: str = "E4",
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare the AUC on seen and on unseen programs, program by program.

    Parameters
    ----------
    scores : DataFrame
        As :func:`program_aucs` returns it.
    window : int
    seen : str, default="E2"
        Strategy under which programs are seen in training.
    unseen : str, default="E4"
        Strategy under which they are not.
    random_state : int

    Returns
    -------
    DataFrame
        technique, seen, unseen (mean AUC), estimate = seen - unseen, low, high, p_value
        (sign-flip), p_adjusted (max-T over the techniques), programs.
    """
    wide = _wide(scores, window)
    names = list(dict.fromkeys(scores["technique"]))
    names = [t for t in names if (t, seen) in wide and (t, unseen) in wide]
    if not names:
        raise InputError(f"there are no scores under both {seen} and {unseen} at window {window}")
    d = pd.DataFrame({t: wide[t, seen] - wide[t, unseen] for t in names}).dropna()
    rows = [
        {"technique": t, "seen": wide[t, seen].mean(), "unseen": wide[t, unseen].mean()}
        | _fields(t_interval(d[t]))
        | {"p_value": sign_flip_test(d[t], random_state=random_state)}
        for t in names
    ]
    adjusted = max_t_test(d, random_state=random_state)["p_adjusted"]
    return pd.DataFrame(rows).assign(p_adjusted=adjusted.to_numpy())


def added_value(
    scores: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    *,
    window: int,
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    random_state: int = 0,
) -> pd.DataFrame:
    """Say what a larger feature set adds to a smaller one, program by program.

    Parameters
    ----------
    scores : DataFrame
        As :func:`program_aucs` returns it.
    pairs : sequence of (str, str)
        Smaller and larger set, by technique; :data:`GUESSING` as the smaller one is an AUC of 1/2.
    window : int
    strategies : iterable of str
    random_state : int

    Returns
    -------
    DataFrame
        base, technique, strategy, estimate = AUC of the technique minus that of the base, low,
        high, p_value (sign-flip), p_adjusted (max-T over all rows), programs.
    """
    wide = _wide(scores, window)
    rows, gains = [], []
    for strategy in strategies:
        for base, technique in pairs:
            d = _gain(wide, base, technique, strategy)
            name = {"base": base, "technique": technique, "strategy": strategy}
            p_value = sign_flip_test(d, random_state=random_state)
            rows.append(name | _fields(t_interval(d)) | {"p_value": p_value})
            gains.append(d)
    together = pd.concat(gains, axis=1, keys=range(len(gains))).dropna()
    adjusted = max_t_test(together, random_state=random_state)["p_adjusted"]
    return pd.DataFrame(rows).assign(p_adjusted=adjusted.to_numpy())


def only_on_seen(
    scores: pd.DataFrame,
    *,
    base: str,
    technique: str,
    window: int,
    seen: str = "E2",
    unseen: str = "E4",
    margin: float = 0.05,
) -> dict[str, Any]:
    """Decide the claim that a technique helps only on programs seen in training.

    With the gain in AUC over the base, per program, and 95 % intervals over programs:

    - contradicted, if the gain on unseen programs is above 0, or the gain on seen ones is below
      ``margin``;
    - confirmed, if the gain on seen programs is above 0, the one on unseen ones below ``margin``,
      and their paired difference above 0;
    - unresolved otherwise.

    "Above" and "below" mean that the whole interval is.

    Parameters
    ----------
    scores : DataFrame
        As :func:`program_aucs` returns it.
    base, technique, window
        See :func:`added_value`.
    seen : str, default="E2"
        Strategy under which programs are seen in training.
    unseen : str, default="E4"
        Strategy under which they are not.
    margin : float, default=0.05
        Gain in AUC that would be worth having.

    Returns
    -------
    dict
        base, technique, seen, unseen, difference (Interval), verdict, reason (why, in words).

    Examples
    --------
    >>> auc = {"E2": [0.8, 0.81, 0.79, 0.8], "E4": [0.5, 0.51, 0.49, 0.5]}
    >>> scores = pd.DataFrame({"technique": "t", "window": 5, "strategy": s, "program": p, "auc": a}
    ...                       for s, values in auc.items() for p, a in zip("abcd", values))
    >>> only_on_seen(scores, base=GUESSING, technique="t", window=5)["verdict"]
    'confirmed'
    """
    wide = _wide(scores, window)
    gains = [_gain(wide, base, technique, s) for s in (seen, unseen)]
    known, new = (t_interval(g) for g in gains)
    difference = t_interval(gains[0] - gains[1])
    if new.low > 0:
        more = " too, though less" if difference.low > 0 else " as well"
        verdict = ("contradicted", f"they help on unseen programs{more}")
    elif known.high < margin:
        verdict = ("contradicted", "they do not even help on seen programs")
    elif known.low > 0 and new.high < margin and difference.low > 0:
        verdict = ("confirmed", "they help on seen programs and not on unseen ones")
    elif known.low > 0 and difference.low > 0:
        verdict = ("unresolved", "they help more on seen programs; on unseen ones it is open")
    else:
        verdict = ("unresolved", "the intervals leave it open")
    result = {"base": base, "technique": technique, "seen": known, "unseen": new}
    return result | {"difference": difference, "verdict": verdict[0], "reason": verdict[1]}


def threshold_table(
    corpus: Any,
    *,
    thresholds: Iterable[float],
    techniques: Iterable[str],
    window: int,
    programs: Iterable[str] | None = None,
    seen: str = "E2",
    **options: Any,
) -> pd.DataFrame:
    """Repeat the comparison of seen and unseen programs with other thresholds of the label.

    Parameters
    ----------
    corpus : corpus
    thresholds : iterable of float
        See :func:`analysis_lib.questions.mismatch.mismatch_runs`.
    techniques : iterable of str
        Of :data:`analysis_lib.questions.mismatch.ARMS`.
    window : int
    programs : iterable of str, optional
        Programs that take part; by default all.
    seen : str, default="E2"
        Strategy that stands for seen programs.
    **options
        Passed to :func:`analysis_lib.questions.mismatch.mismatch_predictions`.

    Returns
    -------
    DataFrame
        threshold, mismatched (share of runs), then the columns of :func:`seen_minus_unseen`.
    """
    parts, arms = [], mismatch_arms(corpus, techniques)
    for threshold in thresholds:
        runs = mismatch_runs(corpus, threshold=threshold)
        if programs is not None:
            runs = runs[runs["program"].isin(list(programs))]
        found = mismatch_predictions(
            corpus, runs, arms=arms, windows=[window], strategies=(seen, "E4"), **options
        )
        table = seen_minus_unseen(program_aucs(found), window=window, seen=seen)
        table.insert(0, "mismatched", (runs["label"] == MISMATCH).mean())
        table.insert(0, "threshold", threshold)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _wide(scores: pd.DataFrame, window: int) -> pd.DataFrame:
    here = scores[scores["window"] == window]
    if here.empty:
        raise InputError(f"there are no scores at window {window}")
    return here.pivot(index="program", columns=["technique", "strategy"], values="auc")


def _gain(wide: pd.DataFrame, base: str, technique: str, strategy: str) -> pd.Series:
    for name in (technique, base):
        if name != GUESSING and (name, strategy) not in wide:
            raise unknown("score", f"{name} under {strategy}", [" under ".join(c) for c in wide])
    less = 0.5 if base == GUESSING else wide[base, strategy]
    return (wide[technique, strategy] - less).dropna()


def _fields(interval: Interval) -> dict[str, Any]:
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "programs": interval.n,
    }
