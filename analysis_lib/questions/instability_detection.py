"""Detectors of instability: who predicts it, on which features, on seen and on unseen programs."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation import cross_predict, make_splits
from analysis_lib.questions.instability_features import (
    DETECTION_SETS,
    SETTINGS,
    feature_table,
    last_snapshots,
)
from analysis_lib.techniques.general import make_forest, make_logistic
from analysis_lib.triage import TriageRule, triage_features

__all__ = ["DETECTOR", "ESTIMATORS", "detect_instability", "hold_out_triage"]

ESTIMATORS = {"logistic": make_logistic, "forest": make_forest}
"""Estimators by name: logistic regression, random forest."""

DETECTOR = ["setting", "features", "estimator", "strategy"]
"""Columns that name a detector."""

NEGATIVE, POSITIVE = "stable", "unstable"


def detect_instability(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    settings: Iterable[str] = SETTINGS,
    features: Iterable[str] = tuple(DETECTION_SETS),
    estimators: Iterable[str] = ("logistic",),
    strategies: Iterable[str] = ("E1", "E4"),
    n_splits: int = 5,
    n_groups: int = 10,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Predict for every run whether it is unstable, by every detector, out of fold.

    Parameters
    ----------
    corpus : corpus
        With ``runs``, ``epochs``, ``layers``.
    runs : DataFrame
        The runs that take part, healthy ones and survivors included: run_id, program,
        configuration, unstable, first_bad_epoch.
    settings : iterable of str
        Of :data:`~analysis_lib.questions.instability_features.SETTINGS`.
    features : iterable of str
        Of :data:`~analysis_lib.questions.instability_features.DETECTION_SETS`.
    estimators : iterable of str
        Of :data:`ESTIMATORS`.
    strategies : iterable of str
        Such as "E1" (rows) and "E4" (programs).
    n_splits : int, default=5
        Folds of rows or configurations, see :func:`analysis_lib.evaluation.make_splits`.
    n_groups : int, default=10
        Groups of programs; 0 is each program by itself.
    random_state : int, default=0
    n_jobs : int, default=1
        Worker processes; results do not depend on them.

    Returns
    -------
    DataFrame
        setting, features, estimator, strategy, run_id, program, fold, positive, score (the
        probability of being unstable); one row per run that takes part in the setting.

    Raises
    ------
    InputError
        If a name is unknown, nothing is asked for, or there is too little to divide.

    Notes
    -----
    Measured on 3,330 runs of 18 programs: 0.03 CPU seconds per fit of a logistic regression and
    0.25 of a forest, which dominates.
    """
    estimators, strategies = list(estimators), list(strategies)
    for name in estimators:
        if name not in ESTIMATORS:
            raise unknown("estimator", name, ESTIMATORS)
    tables, tasks = {}, []
    for setting in settings:
        last = last_snapshots(runs, setting, random_state=random_state)
        part = runs[runs["run_id"].isin(last.index)].reset_index(drop=True)
        part = part.assign(kind=np.where(part["unstable"], POSITIVE, NEGATIVE))
        splits = {
            s: make_splits(
                part,
                strategy=s,
                label="kind",
                random_state=random_state,
                n_splits=n_splits,
                n_groups=n_groups,
            )
            for s in strategies
        }
        for name in features:
            x = feature_table(corpus, runs, name, setting, random_state=random_state)
            tables[setting, name] = (x, part, splits)
    for name in sorted(estimators, key=list(ESTIMATORS).index, reverse=True):  # longest first
        tasks += [(*key, name, s) for key, s in product(tables, strategies)]
    if not tasks:
        raise InputError("nothing to do: give a setting, a set of features, ...")
    found = Parallel(n_jobs=n_jobs)(
        delayed(_predict)(*tables[task[:2]], *task[2:], random_state) for task in tasks
    )
    parts = [
        part.assign(**dict(zip(DETECTOR, task, strict=True)))
        for task, part in zip(tasks, found, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[[*DETECTOR, "run_id", "program", "fold", "positive", "score"]]


def hold_out_triage(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    epoch: int = 0,
    threshold: float = 0.5,
    strategies: Iterable[str] = ("E1", "E4"),
    n_splits: int = 5,
    n_groups: int = 10,
    random_state: int = 0,
) -> pd.DataFrame:
    """Fit the triage rule on some runs and flag the others.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch and the channels of :data:`analysis_lib.triage.TRIAGE_CHANNELS`.
    runs : DataFrame
        run_id, program, configuration, unstable.
    epoch : int, default=0
        Snapshot at which curvature is read.
    threshold : float, default=0.5
        See :class:`analysis_lib.triage.TriageRule`.
    strategies, n_splits, n_groups, random_state
        See :func:`detect_instability`.

    Returns
    -------
    DataFrame
        strategy, run_id, program, fold, positive, score (share of unstable runs in the cluster
        among the training runs), flagged, finite (whether all four values are).

    Raises
    ------
    InputError
        If a run has no such snapshot, or there is too little to divide.
    """
    table = triage_features(epochs, epoch=epoch)
    if not runs["run_id"].isin(table.index).all():
        raise InputError(f"some runs have no snapshot at epoch {epoch}")
    values, y = table.loc[runs["run_id"]].to_numpy(), runs["unstable"].to_numpy(dtype=bool)
    kinds = runs.assign(kind=np.where(y, POSITIVE, NEGATIVE))
    parts = []
    for strategy in strategies:
        splits = make_splits(
            kinds,
            strategy=strategy,
            label="kind",
            random_state=random_state,
            n_splits=n_splits,
            n_groups=n_groups,
        )
        fold, score = splits["fold"].to_numpy(), np.full(len(runs), np.nan)
        for k in np.unique(fold):
            rule = TriageRule(threshold=threshold, random_state=random_state)
            rule.fit(values[fold != k], y[fold != k])
            score[fold == k] = rule.predict_proba(values[fold == k])[:, 1]
        part = runs[["run_id", "program"]].assign(strategy=strategy, fold=fold, positive=y)
        finite = np.isfinite(values).all(axis=1)
        parts.append(part.assign(score=score, flagged=score >= threshold, finite=finite))
    return pd.concat(parts, ignore_index=True)


def _predict(
    x: pd.DataFrame,
    part: pd.DataFrame,
    splits: Mapping[str, pd.DataFrame],
    estimator: str,
    strategy: str,
    random_state: int,
) -> pd.DataFrame:
    predictions = cross_predict(
        x,
        part,
        ESTIMATORS[estimator](random_state),
        strategy,
        "kind",
        splits=splits[strategy],
        random_state=random_state,
        probabilities=True,
    )
    return pd.DataFrame(
        {
            "run_id": predictions["run_id"],
            "program": predictions["program"],
            "fold": predictions["fold"],
            "positive": predictions["label"] == POSITIVE,
            "score": predictions[f"p_{POSITIVE}"].astype(float),
        }
    )
