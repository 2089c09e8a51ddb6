"""What the methods chosen inside close, and whether shared seeds carry a score."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.questions.closing import closing_table, scores_beside
from analysis_lib.transfer import BASELINE, Pool, draw_pool, take_chosen

__all__ = ["GOALS", "seed_twins", "selected_table"]

GOALS = MappingProxyType({"Z": 0.5, "U": 0.8, "H": 0.85, "K": 0.85})
"""Share of the baseline's gap to close on each track, set before the methods were compared."""


def selected_table(
    unseen: pd.DataFrame,
    seen: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    choice: pd.DataFrame,
    pools: Mapping[str, Sequence[Pool]],
    *,
    parts: Mapping[str, Collection[str]],
    baseline: str = BASELINE,
    label: str = "label",
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return what the methods that training programs choose close, by track and set of programs.

    Parameters
    ----------
    unseen : DataFrame
        Predictions of all candidates on held-out programs.
    seen : mapping of str to DataFrame
        The baseline's predictions under E1 and E2.
    runs : DataFrame
    choice : DataFrame
        As :func:`~analysis_lib.transfer.choose_inside` returns it.
    pools : mapping of track to sequence of Pool
        The pools for which a track is scored.
    parts : mapping of str to collection of str
        Sets of programs to report on, by name; sets of fewer than two are left out.
    baseline, label, n_resamples, random_state
        See :func:`~analysis_lib.questions.closing.closing_table`.

    Returns
    -------
    DataFrame
        of (name of the set), chosen (the methods, with the number of folds that chose them), and
        the columns of :func:`~analysis_lib.questions.closing.closing_table`, for the selected
        methods.
    """
    options: dict[str, Any] = {"baseline": baseline, "random_state": random_state}
    base = unseen[unseen["technique"] == baseline]
    found = []
    for track, wanted in pools.items():
        picked = choice[choice["track"] == track]
        taken = take_chosen(unseen, picked, name="selected")
        names = ", ".join(f"{t} ({n})" for t, n in picked["technique"].value_counts().items())
        for pool in wanted:
            both = pd.concat([taken, base])
            scores = scores_beside(both, seen, runs, [pool], label=label, **options)
            for name, programs in parts.items():
                kept = [s[s["program"].isin(list(programs))] for s in scores]
                if kept[0]["program"].nunique() < 2:
                    continue
                table = closing_table(*kept, n_resamples=n_resamples, **options)
                table = table[table["technique"] == "selected"]
                found.append(table.assign(of=name, chosen=names))
    return pd.concat(found, ignore_index=True)


def seed_twins(
    predictions: pd.DataFrame,
    runs: pd.DataFrame,
    healthy: pd.DataFrame,
    *,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare tested runs that share their seed with the one healthy run that was seen, and others.

    A run starts with the weights of the healthy run of its seed, so a reference of that seed could
    help more than a user's would.

    Parameters
    ----------
    predictions : DataFrame
        Of track H, as :func:`~analysis_lib.transfer.transfer_predictions` returns it.
    runs : DataFrame
        run_id, seed.
    healthy : DataFrame
        run_id, program, seed.
    random_state : int
        As the predictions were made with.

    Returns
    -------
    DataFrame
        technique, same_seed (bool), runs, recall.

    Raises
    ------
    InputError
        If no prediction was made with one healthy run.
    """
    one = predictions[(predictions["track"] == "H") & (predictions["size"] == 1)]
    if one.empty:
        raise InputError("no prediction was made with one healthy run; pass Pool('H', 1)")
    seed = pd.concat([runs, healthy]).set_index("run_id")["seed"]
    good = dict(list(healthy.groupby("program")))
    parts = []
    for (program, draw), rows in one.groupby(["program", "draw"]):
        pool = Pool("H", 1, draw=int(draw))
        ids, _ = draw_pool(rows, good[program], pool, random_state=random_state)
        same = rows["run_id"].map(seed).to_numpy() == seed[ids[0]]
        parts.append(
            pd.DataFrame(
                {
                    "technique": rows["technique"],
                    "same_seed": same,
                    "correct": rows["label"] == rows["predicted"],
                }
            )
        )
    grouped = pd.concat(parts).groupby(["technique", "same_seed"])["correct"]
    return grouped.agg(runs="size", recall="mean").reset_index()
