"""Reference runs: what the curves of healthy runs look like, and which known runs are nearest.

The reference is one run per configuration of the corpus. Its curves are kept as whole numbers in
steps of a common scale, so that they fit in little space and distances are comparable.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.abstention import unlike_p_values

__all__ = ["NEIGHBOURS", "Reference", "STEP", "standardise"]

STEP = 0.05
"""Resolution of a kept curve, in units of its scale."""

FAR = 6.0
"""Largest distance from the centre that is kept, in units of the scale."""

NEIGHBOURS = 3
"""Programs whose nearest runs say how strange a run is."""


def standardise(values: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (values - centre) / scale within +-6; missing stays missing."""
    return np.clip((values - centre) / scale, -FAR, FAR)


@dataclass(frozen=True)
class Reference:
    """Curves of known runs.

    Attributes
    ----------
    runs : DataFrame
        program, modality, category, operator, configuration; one row per run.
    codes : ndarray of int8 of shape (n_runs, n_snapshots, n_curves)
        Standardised curves over :data:`STEP`; -128 where missing. Snapshot 0 is ``init``.
    centre, scale : ndarray of shape (n_curves,)
    """

    runs: pd.DataFrame
    codes: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, runs: pd.DataFrame, values: np.ndarray, chosen: np.ndarray) -> "Reference":
        """Keep the chosen runs; centre and scale come from all of them.

        Parameters
        ----------
        runs : DataFrame
            Of the chosen runs.
        values : ndarray of shape (n_all, n_snapshots, n_curves)
        chosen : ndarray of int
        """
        low, centre, high = np.nanquantile(values, [0.05, 0.5, 0.95], axis=(0, 1))
        scale = np.maximum((high - low) / 2, 0.01)
        z = standardise(values[chosen], centre, scale)
        codes = np.where(np.isnan(z), -128, np.round(np.nan_to_num(z) / STEP)).astype(np.int8)
        return cls(runs.reset_index(drop=True), codes, centre, scale)

    def distances(self, trace: np.ndarray, *, others: bool = False) -> np.ndarray:
        """Return root-mean-square distances between curves, over what both have.

        Parameters
        ----------
        trace : ndarray of shape (n_snapshots, n_curves)
            Curves of one run, NaN where unknown, as many snapshots as the reference.
        others : bool, default=False
            If true, return the distances among the reference runs instead, over what the trace
            has: the yardstick for this very trace.

        Returns
        -------
        ndarray of shape (n_runs,), or (n_runs, n_runs)
            Infinite where there is nothing in common.
        """
        have = np.isfinite(trace)
        known = self.codes[:, have]
        mask = (known != -128).astype(np.float32)
        z = np.where(known == -128, 0, known).astype(np.float32) * np.float32(STEP)
        if others:
            own, own_mask = z, mask
        else:
            own = standardise(trace, self.centre, self.scale)[have][None].astype(np.float32)
            own_mask = np.ones_like(own)
        shared = own_mask @ mask.T
        square = (own * own) @ mask.T + own_mask @ (z * z).T - 2 * own @ z.T
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.maximum(square, 0) / shared
        found = np.sqrt(np.where(shared > 0, mean, np.inf))
        return found if others else found[0]

    def strangeness(self, distance: np.ndarray, *, without: str | None = None) -> float:
        """Return the mean distance to the nearest runs of the three nearest programs."""
        nearest = pd.Series(distance).groupby(self.runs["program"].to_numpy()).min()
        nearest = nearest.drop(without) if without is not None else nearest
        return float(np.sort(nearest)[:NEIGHBOURS].mean())

    def unlike(self, trace: np.ndarray) -> float:
        """Return the p-value that a run of a new program is as strange as this one.

        The yardstick is how strange every reference run is to the other programs, on the very
        snapshots and curves that the trace has, one run per program at a time: see
        :mod:`analysis_lib.diagnosis.abstention`.
        """
        program = self.runs["program"].to_numpy()
        names, code = np.unique(program, return_inverse=True)
        among = self.distances(trace, others=True)
        nearest = np.full((len(among), len(names)), np.inf, dtype=among.dtype)
        for g in range(len(names)):
            nearest[:, g] = among[:, code == g].min(axis=1)
        nearest[np.arange(len(among)), code] = np.inf
        known = np.sort(nearest, axis=1)[:, :NEIGHBOURS].mean(axis=1)
        score = self.strangeness(self.distances(trace))
        comparable = np.isfinite(known)
        if not np.isfinite(score) or not comparable.any():
            return 0.0
        return float(unlike_p_values([score], known[comparable], program[comparable])[0])

    def nearest(self, trace: np.ndarray, *, count: int = 5) -> pd.DataFrame:
        """Return the nearest runs, at most one per configuration, nearest first."""
        distance = self.distances(trace)
        order = np.argsort(distance, kind="stable")[:count]
        return self.runs.iloc[order].assign(distance=distance[order]).reset_index(drop=True)
