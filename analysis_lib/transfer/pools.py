"""Which runs of a new program a method may see, drawn by configuration."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.transfer.base import check_track

__all__ = ["MIXES", "Pool", "draw_pool", "scored_runs"]

MIXES = {
    "even": "classes in turn",
    "random": "any configurations",
    "skewed": "three configurations of one class for one of another",
    "single": "one class only, as long as it lasts",
}
"""Class mixes of a pool of unlabelled runs."""


@dataclass(frozen=True)
class Pool:
    """What is drawn from a new program.

    Parameters
    ----------
    track : {"Z", "U", "H", "K"}
    size : int
        Number of runs (track U: unlabelled, H: healthy), or of runs per class (K). On track U, 0
        is every run of the program, the tested ones included (transductive).
    mix : str
        Key of :data:`MIXES`, for track U.
    draw : int
        Number of the draw.

    Raises
    ------
    InputError
        If the track or mix is unknown or the size does not fit.
    """

    track: str = "Z"
    size: int = 0
    mix: str = "even"
    draw: int = 0

    def __post_init__(self):
        check_track(self.track)
        if self.mix not in MIXES:
            raise unknown("mix", self.mix, MIXES)
        if self.size < 0 or self.draw < 0 or (self.track in "HK" and self.size == 0):
            raise InputError(f"{self}: size and draw must not be negative, nor size 0 for H and K")


def draw_pool(
    runs: pd.DataFrame,
    healthy: pd.DataFrame | None,
    pool: Pool,
    *,
    label: str = "label",
    without: Sequence[str] = (),
    random_state: int = 0,
) -> tuple[list[str], set[str]]:
    """Draw the runs of one program that a method may see.

    Whole configurations are taken one after another until there are enough runs: two seeds of a
    configuration are nearly one run, and neither may be scored while the other was seen.

    Parameters
    ----------
    runs : DataFrame
        The program's labelled runs: run_id, program, configuration, the label, and operator if
        ``without`` is given.
    healthy : DataFrame or None
        The program's healthy runs (run_id), for track H.
    pool : Pool
    label : str
    without : sequence of str
        Operators whose runs may not be drawn.
    random_state : int

    Returns
    -------
    run_ids : list of str
        Runs in the pool, fewer than asked for if the program has no more.
    configurations : set of str
        Configurations that were touched and must not be scored.

    Raises
    ------
    InputError
        If there are several programs, or no healthy run for track H.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": list("abcd"), "program": "p", "label": list("xxyy"),
    ...                      "configuration": list("1122")})
    >>> draw_pool(runs, None, Pool("K", 1))[1] == {"1", "2"}
    True
    """
    programs = runs["program"].unique()
    if len(programs) != 1:
        raise InputError(f"a pool is drawn from one program; got {len(programs)}")
    if pool.track == "Z":
        return [], set()
    name = f"{programs[0]}/{pool.track}/{pool.mix}/{pool.draw}"
    rng = np.random.default_rng([random_state, zlib.crc32(name.encode())])
    if pool.track == "H":
        if healthy is None or healthy.empty:
            raise InputError(f"program {programs[0]} has no healthy run; track H needs them")
        ids = healthy["run_id"].sort_values().to_numpy()
        return list(rng.permutation(ids)[: pool.size]), set()
    if len(without):
        runs = runs[~runs["operator"].isin(list(without))]
    if pool.track == "U" and pool.size == 0:
        return runs["run_id"].tolist(), set()
    units = runs.drop_duplicates("configuration").set_index("configuration")[label].sort_index()
    units = units.iloc[rng.permutation(len(units))]
    if pool.track == "K":
        ids = []
        touched: set[str] = set()
        for _, part in units.groupby(units, sort=True):
            found, used = _take(runs, part.index, pool.size)
            ids, touched = ids + found, touched | used
        return ids, touched
    return _take(runs, _ordered(units, pool.mix, rng), pool.size)


def scored_runs(
    runs: pd.DataFrame,
    pool: Pool,
    *,
    label: str = "label",
    random_state: int = 0,
) -> pd.Series:
    """Return which runs are scored under E4 after a pool was drawn from each program.

    The same for all methods, so that they are compared on the same runs.

    Parameters
    ----------
    runs : DataFrame
        The labelled runs of any number of programs.
    pool : Pool
    label : str
    random_state : int

    Returns
    -------
    Series of bool, in the order of ``runs``

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": list("abcd"), "program": "p", "configuration": list("wxyz"),
    ...                      "label": list("llmm")})
    >>> int(scored_runs(runs, Pool("K", 1)).sum())
    2
    """
    if pool.track in "ZH":
        return pd.Series(True, index=runs.index)
    touched: set[str] = set()
    columns = ["run_id", "program", "configuration", label]
    for _, part in runs[columns].astype(object).groupby("program"):
        touched |= draw_pool(part, None, pool, label=label, random_state=random_state)[1]
    return ~runs["configuration"].isin(touched)


def _take(
    runs: pd.DataFrame, configurations: Iterable[str], size: int
) -> tuple[list[str], set[str]]:
    members: dict[str, list[str]] = {}
    for configuration, run_id in zip(runs["configuration"], runs["run_id"], strict=True):
        members.setdefault(configuration, []).append(run_id)
    ids: list[str] = []
    touched: set[str] = set()
    for configuration in configurations:
        if len(ids) >= size:
            break
        ids += sorted(members[configuration])
        touched.add(configuration)
    return ids[:size], touched


def _ordered(units: pd.Series, mix: str, rng: np.random.Generator) -> list[str]:
    if mix == "random":
        return list(units.index)
    classes = list(rng.permutation(units.unique()))
    queues = {c: list(units.index[units == c]) for c in classes}
    if mix == "single":
        return [configuration for c in classes for configuration in queues[c]]
    pattern = classes if mix == "even" else [x for c in classes[1:] for x in [classes[0]] * 3 + [c]]
    order = []
    while any(queues.values()):
        for c in pattern or classes:
            if queues[c]:
                order.append(queues[c].pop(0))
    return order
