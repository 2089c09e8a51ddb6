"""Layer channels over normalised depth, stable against unstable runs."""

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import InputError
from analysis_lib.questions.instability import require

__all__ = ["layer_offsets", "layer_profiles"]

SMALLEST = 1e-8
LEVEL = 0.95


def layer_profiles(
    layers: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    epoch: int = 0,
    channel: str = "hvp_norm",
    points: int = 11,
    smallest: float = SMALLEST,
) -> pd.DataFrame:
    """Return log10 of a layer channel over normalised depth, for stable and for unstable runs.

    A run's layers lie between depth 0 and 1; its values are interpolated to a common grid. A
    program's profile is the median over its runs, and what is returned the median over programs,
    since single runs lie tens of orders of magnitude away. Two views: *as measured*, and *program
    removed*, where the profile of a program's stable runs is subtracted, so that these lie at 0.

    Parameters
    ----------
    layers : DataFrame
        run_id, epoch, depth, the channel.
    runs : DataFrame
        run_id, program, unstable.
    epoch : int, default=0
    channel : str, default="hvp_norm"
    points : int, default=11
        Of the grid.
    smallest : float, default=1e-8
        Smaller values, 0 among them, count as this one.

    Returns
    -------
    DataFrame
        view, kind ("stable", "unstable"), depth, value, low, high (95 % interval of the median
        over programs, by order statistics; infinite with fewer than six), runs, programs. Runs
        with a layer that is not finite are left out.

    Raises
    ------
    InputError
        If a column is missing, or no run of a kind is left.
    """
    grid = np.linspace(0, 1, points)
    table, own = _profiles(layers, runs, epoch, channel, grid, smallest)
    unstable = own["unstable"].to_numpy(dtype=bool)
    by_program = {
        kind: table[rows].groupby(own.loc[rows, "program"]).median()
        for kind, rows in (("stable", ~unstable), ("unstable", unstable))
    }
    parts = []
    for view in ("as measured", "program removed"):
        for kind, profiles in by_program.items():
            if view == "program removed":
                profiles = (profiles - by_program["stable"]).dropna()
            band = [_median_interval(profiles[j].to_numpy()) for j in profiles]
            part = pd.DataFrame(band, columns=["value", "low", "high"])
            part.insert(0, "view", view)
            part.insert(1, "kind", kind)
            part.insert(2, "depth", grid)
            part["runs"] = int((unstable == (kind == "unstable")).sum())
            parts.append(part.assign(programs=len(profiles)))
    return pd.concat(parts, ignore_index=True)


def layer_offsets(
    layers: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    epoch: int = 0,
    channel: str = "hvp_norm",
    smallest: float = SMALLEST,
) -> pd.Series:
    """Return how far every unstable run lies above the stable runs of its program.

    The mean over the layers of log10 of the channel, minus the median of that over the program's
    stable runs.

    Parameters
    ----------
    layers, runs, epoch, channel, smallest
        See :func:`layer_profiles`.

    Returns
    -------
    Series indexed by run_id
        Unstable runs whose layers are all finite, in programs with such stable runs.

    Examples
    --------
    >>> layers = pd.DataFrame({"run_id": list("aabb"), "epoch": 0, "depth": [0.0, 1.0] * 2,
    ...                        "hvp_norm": [1.0, 1.0, 10.0, 1000.0]})
    >>> runs = pd.DataFrame({"run_id": list("ab"), "program": "p", "unstable": [False, True]})
    >>> layer_offsets(layers, runs).to_dict()
    {'b': 2.0}
    """
    table, own = _profiles(layers, runs, epoch, channel, None, smallest)
    unstable, level = own["unstable"].to_numpy(dtype=bool), table.mean(axis=1)
    centre = level[~unstable].groupby(own.loc[~unstable, "program"]).median()
    return (level - own["program"].map(centre))[unstable].dropna().rename("offset")


def _profiles(
    layers: pd.DataFrame,
    runs: pd.DataFrame,
    epoch: int,
    channel: str,
    grid: np.ndarray | None,
    smallest: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return log10 of the channel, a row per run, and the runs; without a grid, its mean."""
    require(layers, "layers", ("run_id", "epoch", "depth", channel))
    require(runs, "runs", ("run_id", "program", "unstable"))
    part = layers[(layers["epoch"] == epoch) & layers["run_id"].isin(runs["run_id"])]
    part = part.sort_values(["run_id", "depth"], kind="stable")
    value = part[channel].to_numpy(dtype=float)
    level = np.log10(np.maximum(np.where(np.isfinite(value), value, np.nan), smallest))
    starts = np.flatnonzero(~part["run_id"].duplicated().to_numpy())
    depth = part["depth"].to_numpy(dtype=float)
    profiles = [
        [v.mean()] if grid is None else np.interp(grid, d, v)
        for d, v in zip(*_pieces(starts, depth, level), strict=True)
    ]
    names = pd.Index(part["run_id"].to_numpy()[starts], name="run_id")
    columns = range(1 if grid is None else len(grid))
    table = pd.DataFrame(profiles, index=names, columns=columns).dropna()
    own = runs.set_index("run_id").loc[table.index]
    if own["unstable"].nunique() < 2:
        raise InputError(f"at epoch {epoch} no run of one kind has finite layers")
    return table, own


def _median_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Median of independent values and the order statistics that enclose it."""
    ordered = np.sort(values)
    n = len(ordered)
    outside = int(stats.binom.ppf((1 - level) / 2, n, 0.5))
    if stats.binom.cdf(outside, n, 0.5) > (1 - level) / 2:
        outside -= 1
    ends = (ordered[outside], ordered[n - 1 - outside]) if outside >= 0 else (-np.inf, np.inf)
    return float(np.median(ordered)), *ends


def _pieces(starts: np.ndarray, *columns: np.ndarray) -> list[list[np.ndarray]]:
    return [np.split(column, starts[1:]) for column in columns]
