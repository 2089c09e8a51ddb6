"""Our estimates for the claims on instability, curvature, mismatch and optimizer features."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.corpus import sample_programs
from analysis_lib.evaluation import Interval
from analysis_lib.features import extract
from analysis_lib.questions.auc import pooled_auc
from analysis_lib.questions.cache import CACHE, cached
from analysis_lib.questions.contrasts import as_estimate
from analysis_lib.questions.instability import quintile_contrast, relabel
from analysis_lib.questions.instability_detection import detect_instability
from analysis_lib.questions.instability_features import SETTINGS
from analysis_lib.questions.instability_scores import detection_differences, holm_adjusted
from analysis_lib.questions.mismatch import (
    MISMATCH,
    mismatch_arms,
    mismatch_predictions,
    mismatch_runs,
)
from analysis_lib.questions.mismatch_claim import (
    GUESSING,
    added_value,
    only_on_seen,
    program_aucs,
)
from analysis_lib.questions.mismatch_coefficients import (
    channel_levels,
    sign_agreement,
    single_feature_auc,
)
from analysis_lib.questions.rates import difference_of_shares, rate_spread, stable_difference
from analysis_lib.questions.study_claims import OTHER_DEFINITIONS
from analysis_lib.questions.verdicts import Estimate
from analysis_lib.triage import fit_triage, triage_features

__all__ = [
    "cluster_contrasts",
    "fifths_contrast",
    "instability_estimates",
    "mismatch_estimates",
    "not_finite_largest",
]

CHANNEL = "hvp_norm"
FIRST = 0
SMALLEST = 1e-8


def instability_estimates(
    corpus: Any,
    *,
    detection_groups: int = 10,
    random_state: int = 0,
    n_jobs: int = 1,
    results: str | Path = CACHE,
) -> dict[str, Estimate]:
    """Estimate what the claims on instability and curvature are about.

    Parameters
    ----------
    corpus : corpus
        Of the programs that take part, with all channels.
    detection_groups : int
        Groups of programs that detectors are held out on.
    random_state, n_jobs : int
    results : path
        Folder of finished tables, see :mod:`analysis_lib.questions.cache`.

    Returns
    -------
    dict of str to Estimate
    """
    runs = corpus.runs
    drawn: dict[str, Any] = {"random_state": random_state}
    bad, program = runs["unstable"].to_numpy(dtype=bool), runs["program"].to_numpy()
    at_once = as_estimate(_at_once(runs, **drawn))
    whole = not_finite_largest(corpus.epochs)
    within, within_whole = (
        as_estimate(quintile_contrast(e, runs, [CHANNEL], epoch=FIRST).iloc[0], "difference")
        for e in (corpus.epochs, whole)
    )
    layers = corpus.layers
    layers = layers[layers["epoch"] == FIRST]
    level = np.log10(np.maximum(layers[CHANNEL].astype(float), SMALLEST))
    level = level.where(np.isfinite(level)).groupby(layers["run_id"]).mean(skipna=False)
    predictions = cached(detect_instability, folder=results)(
        corpus,
        runs,
        estimators=["logistic"],
        n_groups=detection_groups,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    curvature = {"features": "curvature", "estimator": "logistic", "strategy": "E4"}
    now, before = ({"setting": s, **curvature} for s in ("contemporaneous", "before"))
    pairs = {
        "curvature on unseen programs": (now, {}),
        "curvature as a warning": (before, {}),
        "curvature over the loss, now": (now, {"features": "loss"}),
        "curvature over the rate, now": (now, {"features": "rate"}),
        "curvature over the loss, before": (before, {"features": "loss"}),
        "curvature over the rate, before": (before, {"features": "rate"}),
    }
    gains = detection_differences(predictions, pairs.values(), **drawn).to_dict("records")
    warning = gains[list(pairs).index("curvature as a warning")]
    warning["p_value"] = _holm_of_warning(predictions, **drawn)
    others = {name: _at_once(relabel(corpus, runs, name), **drawn) for name in OTHER_DEFINITIONS}
    return {
        "unstable share": as_estimate(
            difference_of_shares(bad, program, np.ones_like(bad), **drawn)
        ),
        "explode at once": at_once,
        **{f"explode at once, {name}": as_estimate(i) for name, i in others.items()},
        "most explode at once": at_once,
        "fifths": as_estimate(fifths_contrast(corpus.epochs, runs, **drawn)),
        "fifths, not finite": as_estimate(fifths_contrast(whole, runs, **drawn)),
        "fifths within programs": within,
        "fifths within programs, not finite": within_whole,
        "layers": as_estimate(stable_difference(level, runs)),
        **{k: as_estimate(row, "difference") for k, row in zip(pairs, gains, strict=True)},
        **cluster_contrasts(corpus.epochs, runs, **drawn),
    }


def _holm_of_warning(predictions: pd.DataFrame, **drawn: Any) -> float:
    """Return the p-value of the warning, adjusted for all that the chapter decides alike."""
    asked: dict[tuple[str, str], tuple[dict, dict]] = {
        (setting, kind): (
            {"setting": setting, "features": kind, "estimator": "logistic", "strategy": "E4"},
            {},
        )
        for setting in SETTINGS
        for kind in ("curvature", "dimensionless")
    }
    found = detection_differences(predictions, asked.values(), **drawn)
    return float(holm_adjusted(found["p_value"])[list(asked).index(("before", "curvature"))])


def not_finite_largest(epochs: pd.DataFrame, *, channel: str = CHANNEL) -> pd.DataFrame:
    """Return epochs with the largest number there is where a channel is not finite.

    Examples
    --------
    >>> filled = not_finite_largest(pd.DataFrame({"x": [1.0, np.nan, np.inf]}), channel="x")
    >>> (filled["x"] > 1e300).tolist()
    [False, True, True]
    """
    value = epochs[channel].astype(float)
    return epochs.assign(**{channel: value.where(np.isfinite(value), np.finfo(float).max)})


def fifths_contrast(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    channel: str = CHANNEL,
    epoch: int = FIRST,
    random_state: int = 0,
) -> Interval:
    """Return the unstable share in the upper minus that in the lower fifth of all runs.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch, the channel.
    runs : DataFrame
        run_id, program, unstable. Runs whose value is not finite are left out; see
        :func:`not_finite_largest`.
    channel : str
    epoch : int
        Snapshot at which the channel is read.
    random_state : int

    Returns
    -------
    Interval
        Bootstrap over programs, with the fifths as they are.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": range(10), "epoch": 0, "x": range(10)})
    >>> runs = epochs.assign(program=["p", "q"] * 5, unstable=epochs["x"] > 7)
    >>> fifths_contrast(epochs, runs, channel="x").estimate
    1.0
    """
    value = epochs.loc[epochs["epoch"] == epoch].set_index("run_id")[channel]
    value = value.reindex(runs["run_id"]).astype(float).reset_index(drop=True)
    value = value.where(np.isfinite(value))
    place = (value.rank() - 0.5) / value.notna().sum()
    return difference_of_shares(
        runs["unstable"], runs["program"], place >= 0.8, place < 0.2, random_state=random_state
    )


def cluster_contrasts(
    epochs: pd.DataFrame, runs: pd.DataFrame, *, random_state: int = 0
) -> dict[str, Estimate]:
    """Estimate what the claims on curvature clusters are about.

    The clusters are those of :func:`analysis_lib.triage.fit_triage` after the first epoch, taken as
    they are; runs whose curvature is not finite are in none.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch and the channels of :data:`analysis_lib.triage.TRIAGE_CHANNELS`.
    runs : DataFrame
        run_id, program, unstable, mismatch.
    random_state : int

    Returns
    -------
    dict of str to Estimate
    """
    rule = fit_triage(epochs, runs, epoch=FIRST, random_state=random_state)
    x = triage_features(epochs, epoch=FIRST).loc[runs["run_id"]]
    group = rule.assign(x)
    numbers = [k for k in range(rule.n_clusters_) if (group == k).any()]
    median = {k: x.loc[group == k, "hvp_layer_mean"].median() for k in numbers}
    wild = group == max(numbers, key=lambda k: median[k])
    largest = group == max(numbers, key=lambda k: (group == k).sum())
    bad, program = runs["unstable"].to_numpy(dtype=bool), runs["program"].to_numpy()
    known = runs["mismatch"].notna().to_numpy()
    mismatch = runs["mismatch"].fillna(False).to_numpy(dtype=bool)
    drawn: dict[str, Any] = {"random_state": random_state}
    found = {
        "an unstable cluster": difference_of_shares(bad, program, wild, **drawn),
        "an unstable cluster, not finite": difference_of_shares(bad, program, group < 0, **drawn),
        "a stable cluster": difference_of_shares(bad, program, largest, group >= 0, **drawn),
        "mismatch by cluster": difference_of_shares(
            mismatch, program, largest & known, wild & known, **drawn
        ),
    }
    return {name: as_estimate(interval) for name, interval in found.items()}


def mismatch_estimates(
    corpus: Any,
    *,
    n_programs: int = 0,
    window: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> dict[str, Estimate]:
    """Estimate what the claims on mismatch and optimizer features are about.

    Parameters
    ----------
    corpus : corpus
    n_programs : int
        Programs that take part, of those that have an accuracy; 0 is all.
    window, random_state, n_jobs, cache
        See :func:`analysis_lib.questions.mismatch.mismatch_predictions`.

    Returns
    -------
    dict of str to Estimate
    """
    runs = mismatch_runs(corpus)
    chosen = sample_programs(runs, n_programs, random_state)
    runs = runs[runs["program"].isin(chosen)]
    names = ["optimizer", "optimizer, forest", "accuracy", "accuracy + optimizer"]
    arms = mismatch_arms(corpus, names)
    options: dict[str, Any] = {"random_state": random_state, "n_jobs": n_jobs, "cache": cache}
    predictions = mismatch_predictions(corpus, runs, arms=arms, windows=[window], **options)
    scores = program_aucs(predictions)
    alone, forest, rows_alone, rows_forest = (
        only_on_seen(scores, base=GUESSING, technique=technique, window=window, seen=seen)
        for seen in ("E2", "E1")
        for technique in ("optimizer", "optimizer, forest")
    )
    pair = [("accuracy", "accuracy + optimizer")]
    added = added_value(scores, pair, window=window, strategies=["E2"]).iloc[0]
    own = predictions[predictions["technique"] == "optimizer"].groupby("strategy")
    rows, programs = own.get_group("E1"), own.get_group("E4")
    columns: dict[str, Any] = {
        "positive": MISMATCH,
        "score": f"p_{MISMATCH}",
        "random_state": random_state,
    }
    visible = corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])]
    levels = channel_levels(extract(visible, "optimizer", window=window).loc[runs["run_id"]])
    hit = (runs["label"] == MISMATCH).to_numpy()
    areas = single_feature_auc(hit, levels, runs["program"].to_numpy())
    agreement = sign_agreement(areas)[2]
    return {
        "optimizer on seen programs": as_estimate(alone["seen"]),
        "optimizer on unseen programs": as_estimate(alone["unseen"]),
        "optimizer on seen programs, forest": as_estimate(forest["seen"]),
        "optimizer on unseen programs, forest": as_estimate(forest["unseen"]),
        "optimizer on unseen programs, pooled": as_estimate(
            pooled_auc(programs, **columns), minus=0.5
        ),
        "optimizer, seen over unseen": as_estimate(alone["difference"]),
        "optimizer, seen over unseen, forest": as_estimate(forest["difference"]),
        "optimizer, rows": as_estimate(rows_alone["difference"]),
        "optimizer, rows, forest": as_estimate(rows_forest["difference"]),
        "optimizer, pooled": as_estimate(pooled_auc(rows, programs, **columns)),
        "optimizer over accuracies": as_estimate(added.drop("p_value")),
        "coefficients": as_estimate(agreement),
        "threshold": as_estimate(rate_spread(runs, hit, random_state=random_state)),
    }


def _at_once(runs: pd.DataFrame, *, random_state: int) -> Interval:
    """Return the share of unstable runs that are bad by the end of the first epoch."""
    epoch = runs["first_bad_epoch"].astype("Int64").astype(float)
    bad = runs["unstable"].to_numpy(dtype=bool)
    return difference_of_shares(
        epoch <= FIRST, runs["program"].to_numpy(), bad, random_state=random_state
    )
