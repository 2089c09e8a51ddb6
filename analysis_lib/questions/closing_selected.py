"""What the methods chosen inside close, and whether shared seeds carry a score."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.questions.closing import closing_table, pool_scores
from analysis_lib.transfer import BASELINE, Pool, draw_pool, take_chosen

__all__ = ["seed_twins", "selected_table"]


def selected_table(
    unseen: pd.DataFrame,
    rows: pd.DataFrame,
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
    rows : DataFrame
        The baseline's predictions under E1.
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
        of (name of the set), and the columns of
        :func:`~analysis_lib.questions.closing.closing_table`, for the selected methods.
    """
    drawn = {"label": label, "random_state": random_state}
    base = unseen[unseen["technique"] == baseline]
    rows = rows[rows["technique"] == baseline]
    found = []
    for track, wanted in pools.items():
        taken = take_chosen(unseen, choice[choice["track"] == track], name="selected")
        for pool in wanted:
            scores = pool_scores(pd.concat([taken, base]), runs, [pool], **drawn)
            top = pool_scores(rows, runs, [pool], **drawn)
            for name, programs in parts.items():
                kept = scores[scores["program"].isin(list(programs))]
                if kept["program"].nunique() < 2:
                    continue
                table = closing_table(
                    kept,
                    top[top["program"].isin(list(programs))],
                    baseline=baseline,
                    n_resamples=n_resamples,
                    random_state=random_state,
                )
                found.append(table[table["technique"] == "selected"].assign(of=name))
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
