"""Our estimates for the claims on the gap and on where it comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis_lib.evaluation import (
    by_program,
    chance_level,
    cluster_bootstrap,
    run_study,
    t_interval,
)
from analysis_lib.features import extract
from analysis_lib.labels import FAULT_CLASSES_6, select_runs
from analysis_lib.questions.cache import CACHE, cached
from analysis_lib.questions.contrasts import as_estimate, mean_gap, share_left, smallest_mean
from analysis_lib.questions.gap import alone_predictions, gap_table
from analysis_lib.questions.permutation import class_mixes, control_forest
from analysis_lib.questions.permuted import permuted_predictions
from analysis_lib.questions.shares import shift_table
from analysis_lib.questions.structure import erasure_table, identity_table
from analysis_lib.questions.verdicts import Estimate

__all__ = ["gap_estimates", "hierarchy_predictions", "origin_contrast", "structure_estimates"]

STUDIED = ("DEFault", "DeepFD")
HIERARCHY = "DEFault-hierarchy"
IDENTITY_SETS = {
    "DEFault": "default",
    "DeepFD": "deepfd",
    "curvature": "curvature",
    "optimizer": "optimizer",
}


def gap_estimates(
    corpus: Any,
    runs: pd.DataFrame,
    headline: pd.DataFrame,
    *,
    hierarchy: pd.DataFrame,
    window: int = 5,
    windows: tuple[int, ...] = (1, 5),
    program_groups: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> dict[str, Estimate]:
    """Estimate what the claims on the size of the gap are about.

    Parameters
    ----------
    corpus : corpus
    runs : DataFrame
        Runs of the four classes.
    headline : DataFrame
        As :func:`analysis_lib.questions.gap.headline_predictions` returns it.
    hierarchy : DataFrame
        Of DEFault's published hierarchy, as :func:`hierarchy_predictions` returns it.
    window : int
        Epochs seen.
    windows : sequence of int
        Windows of the claim on every window; the state before training, 0, is left out.
    program_groups : int
        Groups of programs held out where windows are compared.
    random_state, n_jobs : int
    cache : path, optional
        Folder of finished predictions.

    Returns
    -------
    dict of str to Estimate
    """
    options: dict[str, Any] = {"random_state": random_state, "n_jobs": n_jobs, "cache": cache}
    drawn: dict[str, Any] = {"random_state": random_state}
    headline = headline[headline["strategy"].isin(["E1", "E2", "E4"])]
    parts = gap_table(pd.concat([headline, hierarchy]), **drawn)
    parts = parts.set_index(["technique", "metric", "part"])

    def pooled(technique: str, part: str) -> Estimate:
        return as_estimate(parts.loc[(technique, "pooled_balanced_accuracy", part)])

    later = sorted(k for k in set(windows) if k > 0)
    found = run_study(
        corpus,
        runs,
        label="label",
        techniques=list(STUDIED),
        windows=sorted({*later, window}),
        strategies=["E1", "E2", "E4"],
        n_groups=program_groups,
        **options,
    )
    score = {
        key: by_program(p)["score"] for key, p in found.groupby(["technique", "window", "strategy"])
    }
    smallest = {
        t: smallest_mean(pd.DataFrame({k: score[t, k, "E1"] - score[t, k, "E4"] for k in later}))
        for t in STUDIED
    }
    both = found[(found["technique"] == "DeepFD") & (found["window"] == window)]
    both = pd.concat([hierarchy, both])
    alone = alone_predictions(
        corpus, runs, label="label", techniques=list(STUDIED), windows=[window], **options
    )
    own = {t: _alone_gap(alone, headline, t, random_state) for t in STUDIED}
    return {
        "gap": as_estimate(mean_gap(headline, "E1", "E4", **drawn)),
        "gap, DEFault": pooled("DEFault", "total"),
        "gap, hierarchy": pooled(HIERARCHY, "total"),
        "gap, DeepFD": pooled("DeepFD", "total"),
        "gap, hierarchy and DeepFD": as_estimate(mean_gap(both, "E1", "E4", **drawn)),
        "gap, replicates together": as_estimate(mean_gap(headline, "E2", "E4", **drawn)),
        "gap, hierarchy and DeepFD, replicates together": as_estimate(
            mean_gap(both, "E2", "E4", **drawn)
        ),
        "gap, a model per program": own["DEFault"],
        "gap of DEFault": pooled("DEFault", "total"),
        "gap of the hierarchy": pooled(HIERARCHY, "total"),
        "gap of DEFault, replicates together": pooled("DEFault", "program part"),
        "gap of the hierarchy, replicates together": pooled(HIERARCHY, "program part"),
        "gap of DEFault, a model per program": own["DEFault"],
        "gap of DeepFD": pooled("DeepFD", "total"),
        "gap of DeepFD, replicates together": pooled("DeepFD", "program part"),
        "gap of DeepFD, a model per program": own["DeepFD"],
        "gap at every window": as_estimate(smallest["DEFault"]),
        "gap at every window, DeepFD": as_estimate(smallest["DeepFD"]),
    }


def structure_estimates(
    corpus: Any,
    runs: pd.DataFrame,
    headline: pd.DataFrame,
    *,
    hierarchy: pd.DataFrame,
    window: int = 5,
    permutations: int = 3,
    trees: int = 20,
    random_state: int = 0,
    n_jobs: int = 1,
    results: str | Path = CACHE,
) -> dict[str, Estimate]:
    """Estimate what the claims on the origin of the gap are about.

    Parameters
    ----------
    corpus : corpus
        Of the programs that take part.
    runs, headline, hierarchy, window
        See :func:`gap_estimates`.
    permutations : int
        Permutations of the labels, by run and by configuration, over which scores are averaged.
    trees : int
        Of the forests of the controls.
    random_state, n_jobs : int
    results : path
        Folder of finished tables, see :mod:`analysis_lib.questions.cache`.

    Returns
    -------
    dict of str to Estimate
    """
    six = select_runs(corpus.runs, FAULT_CLASSES_6)
    with_healthy = select_runs(corpus.runs, FAULT_CLASSES_6, healthy=True)
    options = {"random_state": random_state, "n_jobs": n_jobs}
    every = pd.concat([headline, hierarchy])
    contrasts = {t: origin_contrast(p) for t, p in every.groupby("technique")}
    both = sum(contrasts[t] for t in STUDIED) / len(STUDIED)
    small = control_forest(trees)
    sets = {name: extract(corpus, of, window=window) for name, of in IDENTITY_SETS.items()}
    x = sets["DEFault"].loc[six["run_id"]]
    mixes = class_mixes(six, "label", random_state=random_state)
    permuted = {
        (mix, unit): cached(permuted_predictions, folder=results)(
            x.loc[mixes[name]["run_id"]],
            mixes[name],
            "label",
            unit=unit,
            technique=small,
            repeats=permutations,
            **options,
        )
        for mix, name in (("planned", "as planned"), ("natural", "natural"))
        for unit in ("nothing", "run", "configuration")
    }
    identity = cached(identity_table, folder=results)(
        sets, with_healthy, "label", always=["Healthy"], technique=small, **options
    )
    known = identity.set_index("features").loc["DEFault"]
    shift = cached(shift_table, folder=results)(sets, six, "label", random_state=random_state)
    ratio = shift.set_index("features").loc["DEFault"]
    erased = cached(erasure_table, folder=results)(
        {name: sets[name] for name in STUDIED}, runs, "label", technique=small, **options
    )
    erased = erased.set_index(["features", "strategy"]).loc[("DEFault", "E2 minus E4")]
    drawn = {"random_state": random_state}
    level = {key: cluster_bootstrap(p, **drawn) for key, p in permuted.items()}
    left = {}
    for (mix, unit), found in permuted.items():
        if unit != "nothing":
            above = as_estimate(level[mix, unit], minus=chance_level(found))
            left[f"permuted above chance, by {unit}, {mix}"] = above
            share = share_left(permuted[mix, "nothing"], found, **drawn)
            left[f"most is left, by {unit}, {mix}"] = as_estimate(share)
    return {
        "unpermuted": as_estimate(level["planned", "nothing"]),
        "permuted": as_estimate(level["planned", "run"]),
        **left,
        "features know the program": as_estimate(known, "accuracy", minus=known["chance"]),
        "programs further apart": as_estimate(
            ratio.to_dict() | {"programs": known["programs"]}, "ratio"
        ),
        **_origins("structure", both["contrast"], contrasts, "contrast"),
        **_origins(
            "structure, replicates together", both["program part"], contrasts, "program part"
        ),
        "structure is used": as_estimate(erased, "change"),
    }


def hierarchy_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    label: str = "label",
    window: int = 5,
    program_groups: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Predict by DEFault's published hierarchy, programs held out in groups, folds drawn once.

    It takes some ten times as long as the flat forest that goes by the name of DEFault here.

    Parameters
    ----------
    corpus, runs
        See :func:`gap_estimates`.
    label : str
    window, program_groups, random_state, n_jobs, cache
        See :func:`gap_estimates`.

    Returns
    -------
    DataFrame
        Predictions under E1, E2 and E4.
    """
    return run_study(
        corpus,
        runs,
        label=label,
        techniques=[HIERARCHY],
        windows=[window],
        strategies=["E1", "E2", "E4"],
        n_groups=program_groups,
        random_state=random_state,
        n_jobs=n_jobs,
        cache=cache,
    )


def origin_contrast(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return what knowing the program is worth in every program, and that minus the replicate leak.

    Parameters
    ----------
    predictions : DataFrame
        Of one technique and window, under E1, E2 and E4.

    Returns
    -------
    DataFrame indexed by program
        program part = E2 - E4, contrast = (E2 - E4) - (E1 - E2), in program-macro recall.

    Examples
    --------
    >>> p = pd.DataFrame({"program": "p", "label": ["x"] * 5})
    >>> hits = {"E1": 5, "E2": 4, "E4": 2}
    >>> parts = [p.assign(strategy=s, predicted=list("xxxxxyyyyy")[5 - n : 10 - n])
    ...          for s, n in hits.items()]
    >>> origin_contrast(pd.concat(parts)).round(6).values.tolist()
    [[0.4, 0.2]]
    """
    score = {s: by_program(p)["score"] for s, p in predictions.groupby("strategy")}
    part = score["E2"] - score["E4"]
    contrast = part - (score["E1"] - score["E2"])
    return pd.DataFrame({"program part": part, "contrast": contrast})


def _origins(
    name: str, both: pd.Series, contrasts: Mapping[str, pd.DataFrame], column: str
) -> dict[str, Estimate]:
    """Return the estimates of a claim on the origin: of the mean, and of every technique."""
    names = {"DEFault": "DEFault", "hierarchy": HIERARCHY, "DeepFD": "DeepFD"}
    values = {name: both, **{f"{name}, {k}": contrasts[t][column] for k, t in names.items()}}
    return {key: as_estimate(t_interval(x)) for key, x in values.items()}


def _alone_gap(
    alone: pd.DataFrame | None, headline: pd.DataFrame, technique: str, random_state: int
) -> Estimate:
    """Return what a model per program scores over models of all other programs."""
    if alone is None:
        return Estimate()
    first = alone[alone["technique"] == technique]
    second = headline[(headline["technique"] == technique) & (headline["strategy"] == "E4")]
    second = second[second["program"].isin(set(first["program"]))]
    return as_estimate(cluster_bootstrap(first, second, random_state=random_state))
