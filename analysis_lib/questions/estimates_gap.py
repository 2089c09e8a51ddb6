"""Our estimates for the claims on the gap and on where it comes from."""

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
from analysis_lib.questions.gap import gap_table
from analysis_lib.questions.permutation import control_forest
from analysis_lib.questions.permuted import permuted_predictions
from analysis_lib.questions.shares import shift_table
from analysis_lib.questions.structure import erasure_table, identity_table
from analysis_lib.questions.verdicts import Estimate

__all__ = ["gap_estimates", "structure_estimates"]

STUDIED = ("DEFault", "DeepFD")
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
    options = {"random_state": random_state, "n_jobs": n_jobs, "cache": cache}
    headline = headline[headline["strategy"].isin(["E1", "E2", "E4"])]
    parts = gap_table(headline, random_state=random_state).set_index(["technique", "metric"])
    parts = parts.set_index("part", append=True)

    def pooled(technique: str, part: str) -> Estimate:
        return as_estimate(parts.loc[(technique, "pooled_balanced_accuracy", part)])

    later = sorted(k for k in set(windows) if k > 0)
    found = run_study(
        corpus,
        runs,
        label="label",
        techniques=["DEFault"],
        windows=later,
        strategies=["E1", "E4"],
        n_groups=program_groups,
        **options,
    )
    scores = {key: by_program(p)["score"] for key, p in found.groupby(["window", "strategy"])}
    by_window = pd.DataFrame({k: scores[k, "E1"] - scores[k, "E4"] for k in later})
    both = {"random_state": random_state}
    return {
        "gap": as_estimate(mean_gap(headline, "E1", "E4", **both)),
        "gap, replicates together": as_estimate(mean_gap(headline, "E2", "E4", **both)),
        "gap, DEFault": pooled("DEFault", "total"),
        "gap, DeepFD": pooled("DeepFD", "total"),
        "gap of DEFault": pooled("DEFault", "total"),
        "gap of DeepFD": pooled("DeepFD", "total"),
        "gap at every window": as_estimate(smallest_mean(by_window)),
        "gap without replicates": pooled("DEFault", "program part"),
    }


def structure_estimates(
    corpus: Any,
    runs: pd.DataFrame,
    headline: pd.DataFrame,
    *,
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
    runs, headline
        See :func:`gap_estimates`.
    window : int
        Epochs seen.
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
    contrast = {}
    for technique in STUDIED:
        mine = headline[headline["technique"] == technique].groupby("strategy")
        score = {s: by_program(p)["score"] for s, p in mine}
        contrast[technique] = (score["E2"] - score["E4"]) - (score["E1"] - score["E2"])
    both = sum(contrast.values()) / len(contrast)
    small = control_forest(trees)
    sets = {name: extract(corpus, of, window=window) for name, of in IDENTITY_SETS.items()}
    x = sets["DEFault"].loc[six["run_id"]]
    plain, by_run, by_unit = (
        cached(permuted_predictions, folder=results)(
            x, six, "label", unit=unit, technique=small, repeats=permutations, **options
        )
        for unit in ("nothing", "run", "configuration")
    )
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
    permuted = cluster_bootstrap(by_run, **drawn)
    chance = chance_level(by_run)
    return {
        "unpermuted": as_estimate(cluster_bootstrap(plain, **drawn)),
        "permuted": as_estimate(permuted),
        "permuted above chance": as_estimate(permuted, minus=chance),
        "most is left, by run": as_estimate(share_left(plain, by_run, **drawn)),
        "most is left, by configuration": as_estimate(share_left(plain, by_unit, **drawn)),
        "features know the program": as_estimate(known, "accuracy", minus=known["chance"]),
        "programs further apart": as_estimate(
            ratio.to_dict() | {"programs": known["programs"]}, "ratio"
        ),
        "structure": as_estimate(t_interval(both)),
        "structure, DEFault": as_estimate(t_interval(contrast["DEFault"])),
        "structure, DeepFD": as_estimate(t_interval(contrast["DeepFD"])),
        "structure is used": as_estimate(erased, "change"),
    }
