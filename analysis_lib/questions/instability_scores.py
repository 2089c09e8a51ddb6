"""Scores of detectors of instability, their differences, and rules that fit nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import sign_flip_test, t_interval
from analysis_lib.questions.instability_detection import DETECTOR
from analysis_lib.questions.instability_features import SETTINGS, cut_traces, last_snapshots
from analysis_lib.questions.ranking import (
    auc_by_program,
    bootstrap_ranking,
    flag_scores,
    pooled_ranking,
)

__all__ = [
    "channel_predictions",
    "detection_differences",
    "detection_scores",
    "holm_adjusted",
    "threshold_scores",
    "useful",
]


def channel_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    channels: Iterable[str],
    *,
    settings: Iterable[str] = SETTINGS,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return single channels as scores, without fitting anything.

    Parameters
    ----------
    corpus, runs, settings, random_state
        See :func:`~analysis_lib.questions.instability_detection.detect_instability`.
    channels : iterable of str
        Channels of ``corpus.epochs``, or numeric columns of ``corpus.runs``. The value at the
        last visible snapshot is the score; what is not finite ranks above all else.

    Returns
    -------
    DataFrame
        setting, features (the channel), estimator ("none"), strategy ("none"), run_id, program,
        positive, score.

    Raises
    ------
    InputError
        If a channel is in neither table.
    """
    parts = []
    for setting in settings:
        last = last_snapshots(runs, setting, random_state=random_state)
        seen = cut_traces(corpus.epochs, last).sort_values("epoch").groupby("run_id").tail(1)
        seen = seen.set_index("run_id").reindex(last.index)
        own = runs.set_index("run_id").loc[last.index]
        for channel in channels:
            if channel in seen:
                values = seen[channel]
            elif channel in corpus.runs:
                values = corpus.runs.set_index("run_id")[channel].reindex(last.index)
            else:
                raise InputError(f"there is no channel or column '{channel}'")
            score = pd.to_numeric(values).astype(float).to_numpy()
            part = {
                "setting": setting,
                "features": channel,
                "estimator": "none",
                "strategy": "none",
                "run_id": last.index,
                "program": own["program"].to_numpy(),
                "positive": own["unstable"].to_numpy(dtype=bool),
                "score": np.where(np.isfinite(score), score, np.inf),
            }
            parts.append(pd.DataFrame(part))
    if not parts:
        raise InputError("nothing to do: give a setting and a channel")
    return pd.concat(parts, ignore_index=True)


def detection_scores(
    predictions: pd.DataFrame,
    *,
    min_runs: int = 2,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score every detector.

    Parameters
    ----------
    predictions : DataFrame
        As ``detect_instability`` or :func:`channel_predictions` returns it.
    min_runs : int, default=2
        Programs with fewer unstable or stable runs have no AUC of their own.
    level : float, default=0.95
        Of the intervals.
    n_resamples : int, default=2000
        Of the bootstrap over programs.
    random_state : int

    Returns
    -------
    DataFrame
        setting, features, estimator, strategy; within, within_low, within_high (mean over
        programs of the AUC, Student's interval, cut to [0, 1]), programs (that have one); auc,
        average_precision with _low and _high (pooled, program bootstrap); prevalence, runs.

    Raises
    ------
    InputError
        If no program has enough runs of both kinds.
    """
    rows = []
    for key, part in predictions.groupby(DETECTOR, sort=False):
        own = auc_by_program(part, min_runs=min_runs)["auc"].dropna()
        if own.empty:
            raise InputError(f"no program has {min_runs} runs of both kinds; there is no AUC")
        mean = t_interval(own, level=level)
        row = dict(zip(DETECTOR, key, strict=True))
        row |= {"within": mean.estimate, "within_low": max(mean.low, 0.0)}
        row |= {"within_high": min(mean.high, 1.0), "programs": mean.n}
        for metric in ("auc", "average_precision"):
            i = bootstrap_ranking(
                part,
                metric=metric,
                level=level,
                n_resamples=n_resamples,
                random_state=random_state,
            )
            row |= {metric: i.estimate, f"{metric}_low": i.low, f"{metric}_high": i.high}
        row |= {"prevalence": pooled_ranking(part)["prevalence"], "runs": len(part)}
        rows.append(row)
    return pd.DataFrame(rows)


def detection_differences(
    predictions: pd.DataFrame,
    pairs: Iterable[tuple[Mapping[str, str], Mapping[str, str]]],
    *,
    min_runs: int = 2,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare detectors by paired differences of the AUC of every program.

    Parameters
    ----------
    predictions : DataFrame
        As for :func:`detection_scores`; several tables may be put together.
    pairs : iterable of (mapping, mapping)
        First and second detector, by setting, features, estimator and strategy; the second may
        name only what differs. An empty second one stands for guessing, whose AUC is 1/2.
    min_runs : int, default=2
        As for :func:`detection_scores`.
    level : float, default=0.95
        Of the intervals.
    random_state : int

    Returns
    -------
    DataFrame
        setting, features, estimator, strategy of the first; against (features and strategy of the
        second, or "chance"), difference, low, high, p_value (sign flips over programs), programs;
        verdict, which is "above" or "below" if the interval excludes 0 and p < 1 - ``level``, else
        "unresolved": an AUC is bounded, so with few programs neither is safe alone.

    Raises
    ------
    InputError
        If a detector has no predictions, or both share no program with an AUC.

    Examples
    --------
    >>> p = pd.DataFrame({"setting": "init", "features": ["a"] * 4 + ["b"] * 4, "estimator": "e",
    ...     "strategy": "E4", "program": list("ppqq") * 2, "positive": [True, False] * 4,
    ...     "score": [2, 1, 2, 1, 1, 2, 2, 1]})
    >>> first = {"setting": "init", "features": "a", "estimator": "e", "strategy": "E4"}
    >>> d = detection_differences(p, [(first, {"features": "b"}), (first, {})], min_runs=1)
    >>> d[["against", "difference"]].values.tolist()
    [['b', 0.5], ['chance', 0.5]]
    """
    known: dict[tuple, pd.Series] = {}

    def of(detector: Mapping[str, str]) -> pd.Series:
        key = tuple(detector[k] for k in DETECTOR)
        if key not in known:
            part = predictions[(predictions[DETECTOR] == list(key)).all(axis=1)]
            if part.empty:
                raise InputError(f"there are no predictions of {dict(detector)}")
            known[key] = auc_by_program(part, min_runs=min_runs)["auc"]
        return known[key]

    rows = []
    for first, other in pairs:
        second = {**first, **other}
        difference = of(first) - (of(second) if other else 0.5)
        difference = difference.dropna()
        if difference.empty:
            raise InputError(f"no program has an AUC of both {dict(first)} and {second}")
        i = t_interval(difference, level=level)
        p_value = sign_flip_test(difference, random_state=random_state)
        resolved = p_value < 1 - level and not i.low <= 0 <= i.high
        names = [second[k] for k in ("features", "strategy") if second[k] != first[k]]
        rows.append(
            {
                **{k: first[k] for k in DETECTOR},
                "against": ", ".join(names) if other else "chance",
                "difference": i.estimate,
                "low": i.low,
                "high": i.high,
                "p_value": p_value,
                "programs": i.n,
                "verdict": ("above" if i.low > 0 else "below") if resolved else "unresolved",
            }
        )
    return pd.DataFrame(rows)


def threshold_scores(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    channels: Mapping[str, float],
    setting: str = "init",
    by: pd.Series | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score rules "unstable if the channel exceeds a threshold", which fit nothing.

    Parameters
    ----------
    corpus, runs, random_state
        See :func:`~analysis_lib.questions.instability_detection.detect_instability`.
    channels : mapping of str to float
        Channel to threshold. What is infinite or missing counts as exceeding it.
    setting : str
        The channel is read at the last visible snapshot.
    by : Series indexed by run_id, optional
        Groups of runs that are scored by themselves, too; runs without a group only count in all.

    Returns
    -------
    DataFrame
        rule, group ("all" first), not_finite (runs) and the columns of
        :func:`~analysis_lib.questions.ranking.flag_scores`; groups of one kind of run only are
        left out.
    """
    rows = []
    for channel, threshold in channels.items():
        part = channel_predictions(
            corpus, runs, [channel], settings=[setting], random_state=random_state
        )
        part["flagged"] = part["score"] > threshold
        groups = pd.Series("all", index=part.index)
        own = None if by is None else part["run_id"].map(by)
        for name, rowset in [
            ("all", groups == "all"),
            *(() if own is None else ((g, own == g) for g in sorted(own.dropna().unique()))),
        ]:
            chosen = part[rowset]
            if chosen["positive"].nunique() < 2:
                continue
            row = {"rule": f"{channel} > {threshold:g}", "group": name}
            row["not_finite"] = int(np.isinf(chosen["score"]).sum())
            rows.append(row | flag_scores(chosen, random_state=random_state))
    return pd.DataFrame(rows)


def holm_adjusted(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values adjusted for their number by Holm's method.

    The k-th smallest of n is multiplied by n - k + 1, and none gets below a smaller one.

    Parameters
    ----------
    p_values : array-like of shape (n,)

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 1979.

    Examples
    --------
    >>> holm_adjusted([0.03, 0.01, 0.8]).tolist()
    [0.06, 0.03, 0.8]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def useful(gain: Mapping[str, Any], *, smallest: float = 0.1, level: float = 0.95) -> str:
    """Say what a gain over guessing decides about the claim that a detector is of use.

    Parameters
    ----------
    gain : mapping
        A row of :func:`detection_differences` against chance: high, verdict; difference and, where
        several verdicts are made alike, p_adjusted (see :func:`holm_adjusted`), if there are such.
    smallest : float, default=0.1
        The smallest gain in AUC that would be of use.
    level : float, default=0.95
        p_adjusted must be below 1 - ``level``.

    Returns
    -------
    str
        "confirmed" if the gain is above 0, "confirmed, but small" if it then is smaller than
        ``smallest``; "contradicted" if it is not, and an AUC of 1/2 + ``smallest`` lies above its
        interval; else "unresolved".

    Examples
    --------
    >>> useful({"high": 0.3, "verdict": "above"}), useful({"high": 0.05, "verdict": "unresolved"})
    ('confirmed', 'contradicted')
    >>> row = {"difference": 0.08, "high": 0.16, "verdict": "above"}
    >>> useful(row), useful(row | {"p_adjusted": 0.06})
    ('confirmed, but small', 'unresolved')
    """
    if gain["verdict"] == "above" and gain.get("p_adjusted", 0.0) < 1 - level:
        small = gain.get("difference", np.inf) < smallest
        return "confirmed, but small" if small else "confirmed"
    return "contradicted" if gain["high"] < smallest else "unresolved"
