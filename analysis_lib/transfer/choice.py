"""The method of a track that training programs alone would choose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation.scores import program_macro_recall
from analysis_lib.evaluation.splits import make_splits
from analysis_lib.transfer.methods import get_method
from analysis_lib.transfer.pools import Pool, scored_runs
from analysis_lib.transfer.protocol import transfer_predictions

__all__ = ["choose_inside", "take_chosen"]


def choose_inside(
    features: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    candidates: Mapping[str, Sequence[str]],
    pools: Mapping[str, Pool],
    *,
    healthy: pd.DataFrame | None = None,
    label: str = "label",
    n_groups: int = 10,
    n_inner: int = 3,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Choose a method per track for every group of held-out programs, by the other programs alone.

    The outer folds are those of :func:`~analysis_lib.transfer.protocol.transfer_predictions` under
    E4 with the same ``n_groups`` and ``random_state``. Inside each, the training programs are
    held out in ``n_inner`` groups, every candidate is scored on them (program-macro recall, on
    the runs that the track's pool leaves), and the best is chosen; of equal ones the first.

    Parameters
    ----------
    features, runs, healthy, label, n_groups, random_state, n_jobs
        See :func:`~analysis_lib.transfer.protocol.transfer_predictions`.
    candidates : mapping of track to sequence of str
        Names of methods of that track, or of track Z.
    pools : mapping of track to Pool
        What candidates of the track see of a program; track Z needs none.
    n_inner : int, default=3

    Returns
    -------
    DataFrame
        fold, track, technique (the chosen one), score (its inner score).

    Raises
    ------
    InputError
        If a track has no candidate or no pool, or a candidate is of another track.
    """
    for track, names in candidates.items():
        wrong = [n for n in names if get_method(n).track not in ("Z", track)]
        if wrong or not names or (track != "Z" and track not in pools):
            raise InputError(
                f"track {track}: give a pool, and candidates of this track or of Z"
                + (f", not {', '.join(wrong)}" if wrong else "")
            )
    every = list(dict.fromkeys(n for names in candidates.values() for n in names))
    pools = {"Z": Pool("Z"), **pools}
    options: dict[str, Any] = {"label": label, "random_state": random_state}
    outer = make_splits(runs, strategy="E4", n_groups=n_groups, **options)
    fold = outer["fold"].to_numpy()
    rows = []
    for k in np.unique(fold):
        tested = runs.loc[fold == k, "program"].unique()
        known = runs[~runs["program"].isin(tested)].reset_index(drop=True)
        good = healthy
        if healthy is not None:
            good = healthy[~healthy["program"].isin(tested)].reset_index(drop=True)
        inner = transfer_predictions(
            features,
            known,
            every,
            healthy=good,
            pools=[pool for track, pool in pools.items() if track != "Z"],
            n_groups=min(n_inner, known["program"].nunique()),
            n_jobs=n_jobs,
            **options,
        )
        for track, names in candidates.items():
            kept = known.loc[scored_runs(known, pools[track], **options), "run_id"]
            left = inner[inner["run_id"].isin(kept)]
            scores = {
                n: program_macro_recall(left[left["technique"] == n], min_runs=1) for n in names
            }
            best = max(names, key=lambda n: scores[n])
            rows.append({"fold": int(k), "track": track, "technique": best, "score": scores[best]})
    return pd.DataFrame(rows)


def take_chosen(predictions: pd.DataFrame, choice: pd.DataFrame, *, name: str) -> pd.DataFrame:
    """Return the predictions of the method chosen in every fold, under one name.

    Parameters
    ----------
    predictions : DataFrame
        fold and technique among its columns; of all candidates.
    choice : DataFrame
        fold, technique, as :func:`choose_inside` returns it for one track.
    name : str
        What to call the result.

    Examples
    --------
    >>> found = pd.DataFrame({"technique": list("abab"), "fold": [0, 0, 1, 1],
    ...                       "run_id": list("wxyz")})
    >>> choice = pd.DataFrame({"fold": [0, 1], "technique": ["b", "a"]})
    >>> take_chosen(found, choice, name="selected")["run_id"].tolist()
    ['x', 'y']
    """
    keys = choice[["fold", "technique"]]
    return predictions.merge(keys, on=["fold", "technique"]).assign(technique=name)
