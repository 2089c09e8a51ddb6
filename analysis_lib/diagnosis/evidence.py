"""Which curves of a run lie outside those of healthy runs, and how far.

For a curve x at epoch t, with the 5 %, 50 % and 95 % quantiles q of the healthy runs at t,

    u = (x - q50) / (q95 - q50) above the median, (x - q50) / (q50 - q05) below it,

so that 1 is the edge of the healthy range and the sign says on which side. A run's u is its largest
in size over the epochs; how unusual that is, is the share of healthy runs that reach it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.curves import CURVES
from analysis_lib.errors import InputError

__all__ = ["LEVELS", "HealthyRanges", "healthy_ranges"]

LEVELS = (0.05, 0.5, 0.95)
"""Quantiles of healthy runs: the range and its middle."""

SHARES = tuple(np.round(np.concatenate([[0.002, 0.005], np.arange(1, 100) / 100]), 3))
"""Shares of healthy runs that reach a peak, for which the peak is kept."""

NARROWEST = 0.02
"""Half a healthy range is at least this: 5 % of a ratio, or 2 points of a share."""

MOST = 99.0


@dataclass(frozen=True)
class HealthyRanges:
    """What is usual in healthy runs.

    Attributes
    ----------
    quantiles : ndarray of shape (3, n_snapshots, n_curves)
        At :data:`LEVELS`; snapshot 0 is ``init``.
    peaks : ndarray of shape (n_shares, n_snapshots, n_curves)
        Size of u that a share of the healthy runs reaches up to a snapshot.
    """

    quantiles: np.ndarray
    peaks: np.ndarray

    def unusual(self, values: np.ndarray) -> np.ndarray:
        """Return u of curves of shape (..., n_snapshots, n_curves)."""
        low, middle, high = self.quantiles[:, : values.shape[-2]]
        above = (values - middle) / np.maximum(high - middle, NARROWEST)
        below = (values - middle) / np.maximum(middle - low, NARROWEST)
        return np.clip(np.where(values >= middle, above, below), -MOST, MOST)

    def evidence(self, values: np.ndarray) -> pd.DataFrame:
        """Compare one run with healthy ones, the most unusual curve first.

        Parameters
        ----------
        values : ndarray of shape (n_snapshots, n_curves)
            Snapshot 0 is ``init``, then epochs 0, 1, ...; NaN where unknown.

        Returns
        -------
        DataFrame
            curve, group, channels, epoch (where it is most unusual), value, low, median, high (of
            healthy runs there), unusual (size of u), direction ("above", "below", "inside"),
            healthy_share (of healthy runs that are as unusual), meaning. Curves the trace does
            not have are left out.

        Raises
        ------
        InputError
            If there are more snapshots than the ranges know.
        """
        if len(values) > self.quantiles.shape[1]:
            raise InputError(
                f"{len(values)} snapshots, but healthy ranges end after {self.quantiles.shape[1]}"
            )
        u = self.unusual(values)
        size = np.where(np.isnan(u), -1.0, np.abs(u))
        rows = []
        for j, curve in enumerate(CURVES.values()):
            t = int(size[:, j].argmax())
            if size[t, j] < 0:
                continue
            low, middle, high = self.quantiles[:, t, j]
            side = "inside" if size[t, j] <= 1 else "above" if u[t, j] > 0 else "below"
            peaks = self.peaks[:, len(values) - 1, j]
            reached = np.flatnonzero(~(peaks < size[t, j]))
            share = SHARES[reached[-1]] if len(reached) else 0.0
            rows.append(
                {
                    "curve": curve.name,
                    "group": curve.group,
                    "channels": ", ".join(curve.channels),
                    "epoch": t - 1,
                    "value": values[t, j],
                    "low": low,
                    "median": middle,
                    "high": high,
                    "unusual": size[t, j],
                    "direction": side,
                    "healthy_share": share,
                    "meaning": curve.title,
                }
            )
        names = (
            "curve group channels epoch value low median high unusual direction healthy_share "
            "meaning"
        ).split()
        table = pd.DataFrame(rows, columns=names)
        table = table.sort_values(
            ["healthy_share", "unusual"], ascending=[True, False], kind="stable"
        )
        return table.reset_index(drop=True)


def healthy_ranges(values: np.ndarray) -> HealthyRanges:
    """Learn what is usual from healthy runs, each of which counts the same.

    Parameters
    ----------
    values : ndarray of shape (n_runs, n_snapshots, n_curves)
        Snapshot 0 is ``init``; NaN where a run has no such curve.

    Examples
    --------
    >>> healthy_ranges(np.random.default_rng(0).normal(size=(50, 3, 2))).quantiles.shape
    (3, 3, 2)
    """
    empty = np.isnan(values).all(axis=0)
    filled = np.where(empty, 0.0, values)
    quantiles = np.where(empty, np.nan, np.nanquantile(filled, LEVELS, axis=0))
    found = HealthyRanges(quantiles.astype(np.float32), np.empty(0))
    size = np.abs(found.unusual(values))
    running = np.fmax.accumulate(size, axis=1)
    none = np.isnan(running).all(axis=0)
    peaks = np.nanquantile(np.where(none, 0.0, running), 1 - np.array(SHARES), axis=0)
    return HealthyRanges(found.quantiles, np.where(none, np.nan, peaks).astype(np.float16))
