"""The clusters of curvature under other definitions of instability.

Clusters are made from curvature alone, so a definition does not move them: it only changes how
many of their runs are unstable, and with that which clusters the triage rule flags.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.questions.cache import CACHE, cached
from analysis_lib.questions.instability_detection import hold_out_triage
from analysis_lib.questions.ranking import flag_scores
from analysis_lib.questions.rates import difference_of_shares
from analysis_lib.triage import fit_triage, triage_features

__all__ = ["cluster_sensitivity", "triage_sensitivity"]


def cluster_sensitivity(
    epochs: pd.DataFrame,
    labelled: Mapping[str, pd.DataFrame],
    *,
    epoch: int = 0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the unstable share of every cluster of curvature, by definition of instability.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch and the channels of :data:`analysis_lib.triage.TRIAGE_CHANNELS`.
    labelled : mapping of str to DataFrame
        The same runs by each definition, as :func:`analysis_lib.questions.instability.relabel`
        returns them: run_id, program, unstable. The first one names the runs.
    epoch : int, default=0
    random_state : int, default=0
        Of the clusters and of the bootstrap over programs.

    Returns
    -------
    DataFrame
        definition, cluster ("0" is the largest in magnitude, "not finite" last), runs, programs,
        unstable (share), low, high.

    Raises
    ------
    InputError
        If the definitions are not of the same runs, or the clusters cannot be made.

    Examples
    --------
    >>> from analysis_lib.triage import TRIAGE_CHANNELS
    >>> size = np.repeat([1e-3, 1.0, 1e6], 4) * np.tile([1.0, 1.1, 1.2, 1.3], 3)
    >>> epochs = pd.DataFrame(dict.fromkeys(TRIAGE_CHANNELS, size))
    >>> epochs = epochs.assign(run_id=range(12), epoch=0)
    >>> runs = pd.DataFrame({"run_id": range(12), "program": list("pq") * 6})
    >>> labelled = {"loose": runs.assign(unstable=size > 10), "strict": runs.assign(unstable=False)}
    >>> found = cluster_sensitivity(epochs, labelled)
    >>> found.loc[found["cluster"] == "0", "unstable"].tolist()
    [1.0, 0.0]
    """
    runs = next(iter(labelled.values()))
    rule = fit_triage(epochs, runs, epoch=epoch, random_state=random_state)
    group = rule.assign(triage_features(epochs, epoch=epoch).loc[runs["run_id"]])
    rows = []
    for definition, own in labelled.items():
        if own["run_id"].tolist() != runs["run_id"].tolist():
            raise InputError(f"the definition '{definition}' is not of the same runs")
        bad = own["unstable"].to_numpy(dtype=bool)
        for k in sorted(np.unique(group), key=lambda k: (k < 0, k)):
            inside = group == k
            i = difference_of_shares(bad, runs["program"], inside, random_state=random_state)
            rows.append(
                {
                    "definition": definition,
                    "cluster": str(k) if k >= 0 else "not finite",
                    "runs": int(inside.sum()),
                    "programs": i.n,
                    "unstable": i.estimate,
                    "low": i.low,
                    "high": i.high,
                }
            )
    return pd.DataFrame(rows)


def triage_sensitivity(
    epochs: pd.DataFrame,
    labelled: Mapping[str, pd.DataFrame],
    *,
    n_resamples: int = 2000,
    results: Any = CACHE,
    **options: Any,
) -> pd.DataFrame:
    """Score the triage rule among runs of finite curvature, by definition of instability.

    Parameters
    ----------
    epochs, labelled
        See :func:`cluster_sensitivity`.
    n_resamples : int
        Of the bootstrap over programs.
    results : path
        Folder of finished tables, see :mod:`analysis_lib.questions.cache`.
    **options
        Passed to :func:`analysis_lib.questions.instability_detection.hold_out_triage`.

    Returns
    -------
    DataFrame
        definition, strategy, and the columns of
        :func:`analysis_lib.questions.ranking.flag_scores`. A definition by which the runs that a
        rule learns from are all of one kind is left out.
    """
    rows = []
    for definition, runs in labelled.items():
        if runs["unstable"].nunique() < 2:
            continue
        try:
            found = cached(hold_out_triage, folder=results)(epochs, runs, **options)
        except InputError as error:
            if "stable and unstable" in str(error):
                continue
            raise
        for strategy, part in found[found["finite"]].groupby("strategy"):
            scores = flag_scores(part, n_resamples=n_resamples)
            rows.append({"definition": definition, "strategy": strategy} | scores)
    return pd.DataFrame(rows)
