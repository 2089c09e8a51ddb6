"""Layer channels over normalised depth, stable against unstable runs."""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import bootstrap_programs, t_interval
from analysis_lib.questions.instability import ratio_of_sums, require

__all__ = ["layer_profiles"]


def layer_profiles(
    layers: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    epoch: int = 0,
    channel: str = "hvp_norm",
    points: int = 11,
    smallest: float = 1e-8,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return log10 of a layer channel over normalised depth, for stable and for unstable runs.

    A run's layers lie between depth 0 and 1; its values are interpolated to a common grid. Two
    views: *as measured*, means over runs, with an interval over resampled programs; and *program
    removed*, where the mean of a program's stable runs is subtracted, then averaged over the
    program's runs and over programs (Student's interval), so that stable runs lie at 0.

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
    random_state : int, default=0

    Returns
    -------
    DataFrame
        view, kind ("stable", "unstable"), depth, value, low, high, runs, programs. Runs with a
        layer that is not finite are left out.

    Raises
    ------
    InputError
        If a column is missing, or no run of a kind is left.
    """
    require(layers, "layers", ("run_id", "epoch", "depth", channel))
    require(runs, "runs", ("run_id", "program", "unstable"))
    grid = np.linspace(0, 1, points)
    part = layers[(layers["epoch"] == epoch) & layers["run_id"].isin(runs["run_id"])]
    part = part.sort_values(["run_id", "depth"], kind="stable")
    value = part[channel].to_numpy(dtype=float)
    level = np.log10(np.maximum(np.where(np.isfinite(value), value, np.nan), smallest))
    starts = np.flatnonzero(~part["run_id"].duplicated().to_numpy())
    depth = part["depth"].to_numpy(dtype=float)
    profiles = np.array(
        [np.interp(grid, d, v) for d, v in zip(*_pieces(starts, depth, level), strict=True)]
    ).reshape(len(starts), points)
    names = part["run_id"].to_numpy()[starts]
    table = pd.DataFrame(profiles, index=pd.Index(names, name="run_id")).dropna()
    own = runs.set_index("run_id").loc[table.index]
    unstable, program = own["unstable"].to_numpy(dtype=bool), own["program"].to_numpy()
    if unstable.all() or not unstable.any():
        raise InputError(f"at epoch {epoch} no run of one kind has finite layers")
    centre = table[~unstable].groupby(program[~unstable]).mean().reindex(program)
    centred = table - centre.to_numpy()
    parts = []
    for kind, rows in (("stable", ~unstable), ("unstable", unstable)):
        about = {"kind": kind, "depth": grid, "runs": int(rows.sum())}
        about["programs"] = len(np.unique(program[rows]))
        parts.append({"view": "as measured"} | about | _mean_band(table[rows], program[rows]))
        means = centred[rows].groupby(program[rows]).mean().dropna()
        band = [t_interval(means[j]) for j in means]
        parts.append(
            {"view": "program removed"}
            | about
            | {"value": [i.estimate for i in band]}
            | {"low": [i.low for i in band], "high": [i.high for i in band]}
        )
    result = pd.concat([pd.DataFrame(p) for p in parts], ignore_index=True)
    return result[["view", "kind", "depth", "value", "low", "high", "runs", "programs"]]


def _mean_band(table: pd.DataFrame, program: np.ndarray) -> dict[str, list[float]]:
    sums = table.groupby(program).sum().to_numpy()
    sizes = table.groupby(program).size().to_numpy(dtype=float)
    found = [bootstrap_programs(ratio_of_sums(column, sizes), len(sizes)) for column in sums.T]
    return {
        "value": [i.estimate for i in found],
        "low": [i.low for i in found],
        "high": [i.high for i in found],
    }


def _pieces(starts: np.ndarray, *columns: np.ndarray) -> list[list[np.ndarray]]:
    return [np.split(column, starts[1:]) for column in columns]
