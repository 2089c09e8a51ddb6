"""What a method itself loses on new programs: its own gap, not the baseline's.

With E1, E2 and E4 the scores of a method and e1, e2 and e4 those of the baseline, what the method
gains on new programs has two parts,

    E4 - e4 = (E2 - e2) + ((e2 - e4) - (E2 - E4)):

how much better it is where the program is known, and how much less a new program costs it.
"""

from collections.abc import Mapping

import pandas as pd

from analysis_lib.evaluation import by_program, t_interval
from analysis_lib.transfer import BASELINE, Pool, scored_runs

__all__ = ["own_gaps"]

TAGS = ["size", "mix", "draw"]


def own_gaps(
    unseen: pd.DataFrame,
    seen: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    pools: Mapping[str, Pool],
    *,
    baseline: str = BASELINE,
    label: str = "label",
    random_state: int = 0,
) -> pd.DataFrame:
    """Return what every method itself loses on new programs, and how much of it is the program's.

    Parameters
    ----------
    unseen : DataFrame
        Predictions under E4.
    seen : mapping of str to DataFrame
        Predictions under E1 and E2; methods that lack one of them are left out.
    runs : DataFrame
    pools : mapping of track to Pool
        The pool for which a track's methods are scored; Z needs none. All scores beside a method
        are of the runs that its pool leaves.
    baseline : str
        Of track Z, with predictions of all three.
    label : str
    random_state : int

    Returns
    -------
    DataFrame
        technique, track, E1, E2, E4, gap (E1 - E4), replicates (E1 - E2), program (E2 - E4), low,
        high (Student's interval of ``program`` over programs), better (E2 above the baseline's),
        cheaper (``program`` below the baseline's); the last two add up to what it gains under E4.
    """

    def scores(name: str, kept: pd.Series, pool: Pool | None = None) -> pd.DataFrame | None:
        parts = {s: p[p["technique"] == name] for s, p in {"E4": unseen, **seen}.items()}
        if pool is not None:
            same = parts["E4"][TAGS] == [getattr(pool, tag) for tag in TAGS]
            parts["E4"] = parts["E4"][same.all(axis=1)]
        parts = {s: p[p["run_id"].isin(kept)] for s, p in parts.items()}
        if any(p.empty for p in parts.values()):
            return None
        return pd.DataFrame({s: by_program(p)["score"] for s, p in parts.items()}).dropna()

    rows = []
    for technique, track in unseen.groupby("technique", sort=False)["track"].first().items():
        pool = pools.get(track, Pool("Z"))
        keep = scored_runs(runs, pool, label=label, random_state=random_state)
        kept = runs.loc[keep, "run_id"]
        own = scores(technique, kept, None if track == "Z" else pool)
        first = scores(baseline, kept)
        if own is None or first is None:
            continue
        mean, base = own.mean(), first.mean()
        program, usual = (t_interval(s["E2"] - s["E4"]) for s in (own, first))
        row = {"technique": technique, "track": track} | mean[["E1", "E2", "E4"]].to_dict()
        row |= {"gap": mean["E1"] - mean["E4"], "replicates": mean["E1"] - mean["E2"]}
        row |= {"program": program.estimate, "low": program.low, "high": program.high}
        row |= {"better": mean["E2"] - base["E2"]}
        rows.append(row | {"cheaper": usual.estimate - program.estimate})
    return pd.DataFrame(rows)
