"""What rule-based detectors score: they learn nothing, so they have no gap (RQ1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import run_study, t_interval
from analysis_lib.features import extract
from analysis_lib.techniques import get_technique
from analysis_lib.techniques.rules import NO_FAULT

__all__ = ["DETECTORS", "detector_predictions", "detector_table", "false_alarms", "flag_table"]

DETECTORS = ("AutoTrainer", "DeepLocalize", "UMLAUT", "DeepDiagnosis")
"""The rule-based detectors, by name."""


def detector_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    label: str = "label",
    detectors: Sequence[str] = DETECTORS,
    window: int = 5,
    n_groups: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Predict by rules under E1, E2 and E4, as if they were learned.

    Parameters
    ----------
    corpus, runs, label, n_groups, random_state, n_jobs, cache
        See :func:`analysis_lib.evaluation.study.run_study`.
    detectors : sequence of str
    window : int, default=5

    Returns
    -------
    DataFrame
        Predictions; "Healthy" where no rule fires.
    """
    return run_study(
        corpus,
        runs,
        label=label,
        techniques=detectors,
        windows=[window],
        strategies=["E1", "E2", "E4"],
        n_groups=n_groups,
        random_state=random_state,
        n_jobs=n_jobs,
        cache=cache,
    )


def false_alarms(
    corpus: Any,
    runs: pd.DataFrame,
    healthy: pd.DataFrame,
    *,
    label: str = "label",
    detectors: Sequence[str] = DETECTORS,
    window: int = 5,
) -> pd.DataFrame:
    """Apply the rules to healthy runs.

    Parameters
    ----------
    corpus : corpus or DataFrame
    runs : DataFrame
        Faulty runs, whose classes are those of the task.
    healthy : DataFrame
        run_id and program.
    label, detectors, window

    Returns
    -------
    DataFrame
        technique, program, flagged; one row per detector and healthy run.
    """
    if healthy.empty:
        raise InputError("there are no healthy runs; give the ones of the same programs")
    epochs = getattr(corpus, "epochs", corpus)
    parts = []
    for name in detectors:
        technique = get_technique(name)
        both = pd.concat([runs["run_id"], healthy["run_id"]])
        table = extract(epochs[epochs["run_id"].isin(both)], technique.feature_set, window=window)
        model = technique.make_estimator(0)
        model.fit(table.loc[runs["run_id"]].to_numpy(), runs[label].to_numpy())
        found = model.predict(table.loc[healthy["run_id"]].to_numpy()) != NO_FAULT
        part = {"technique": name, "program": healthy["program"].to_numpy(), "flagged": found}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def detector_table(predictions: pd.DataFrame, alarms: pd.DataFrame | None = None) -> pd.DataFrame:
    """Score detectors that may abstain.

    With a flag wherever something else than "Healthy" is predicted: *coverage* is the share of the
    faulty runs that are flagged; *right* the share of the flagged runs whose category is right;
    *by_chance* that share if the same guesses were dealt at random among the flagged runs of a
    program, :math:`\\sum_c P(\\hat y = c)\\,P(y = c)`; *lift* is right minus by_chance. All are
    means over programs, and lift has Student's interval over the programs with a flag.

    Parameters
    ----------
    predictions : DataFrame
        Predictions of one strategy and window (rules predict the same under all).
    alarms : DataFrame, optional
        As :func:`false_alarms` returns it.

    Returns
    -------
    DataFrame
        technique, coverage, right, by_chance, lift, lift_low, lift_high, programs (with a flag);
        with ``alarms`` also false_alarms, the share of healthy runs flagged.

    Examples
    --------
    >>> p = pd.DataFrame({"technique": "rules", "program": "p", "label": list("xxyy"),
    ...                   "predicted": ["x", "Healthy", "y", "x"]})
    >>> detector_table(p)[["coverage", "right"]].round(3).values.tolist()
    [[0.75, 0.667]]
    """
    rows = []
    for name, part in predictions.groupby("technique", sort=False):
        flagged = part["predicted"] != NO_FAULT
        cells = [
            _guessing(group) | {"program": program}
            for program, group in part[flagged].groupby("program")
        ]
        row = {"technique": name, "coverage": flagged.groupby(part["program"]).mean().mean()}
        table = pd.DataFrame(cells, columns=["program", "right", "by_chance"])
        row |= table[["right", "by_chance"]].mean().to_dict()
        lift = (table["right"] - table["by_chance"]).astype(float)
        interval = t_interval(lift) if len(lift) else None
        row |= {"lift": getattr(interval, "estimate", np.nan)}
        row |= {f"lift_{end}": getattr(interval, end, np.nan) for end in ("low", "high")}
        row |= {"programs": len(table)}
        if alarms is not None:
            of_it = alarms[alarms["technique"] == name].groupby("program")["flagged"]
            row |= {"false_alarms": of_it.mean().mean()}
        rows.append(row)
    return pd.DataFrame(rows)


def _guessing(group: pd.DataFrame) -> dict:
    label, guess = (group[c].astype(str) for c in ("label", "predicted"))
    shares = label.value_counts(normalize=True), guess.value_counts(normalize=True)
    by_chance = (shares[0] * shares[1].reindex(shares[0].index, fill_value=0)).sum()
    return {"right": (label == guess).mean(), "by_chance": by_chance}


def flag_table(predictions: pd.DataFrame, alarms: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return, per detector and class, how often it names the class, another one, or nothing.

    Returns
    -------
    DataFrame
        technique, label, right, wrong, silent: shares of runs, means over the programs that have
        the class. With ``alarms`` also the label "Healthy", where silence is right and every flag
        wrong.

    Examples
    --------
    >>> p = pd.DataFrame({"technique": "rules", "program": "p", "label": list("xxyy"),
    ...                   "predicted": ["x", "Healthy", "y", "x"]})
    >>> flag_table(p)[["right", "wrong", "silent"]].values.tolist()
    [[0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    table = predictions[["technique", "program", "label"]].astype(str)
    silent = (predictions["predicted"] == NO_FAULT).astype(float)
    right = (predictions["predicted"] == predictions["label"]).astype(float)
    table = table.assign(right=right, wrong=1 - right - silent, silent=silent)
    if alarms is not None:
        healthy = alarms[["technique", "program"]].assign(label=NO_FAULT)
        flagged = alarms["flagged"].astype(float)
        table = pd.concat([table, healthy.assign(right=0.0, wrong=flagged, silent=1 - flagged)])
    shares = ["right", "wrong", "silent"]
    cells = table.groupby(["technique", "label", "program"], sort=False)[shares].mean()
    return cells.groupby(["technique", "label"], sort=False).mean().reset_index()
