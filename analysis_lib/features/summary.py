"""Level and trend of channels over the window, shared by the curvature and optimizer sets."""

from dataclasses import replace

import numpy as np

from analysis_lib.features.trend import mean, slope
from analysis_lib.features.values import (
    BOUNDED,
    LARGEST,
    OPTIONAL,
    Cube,
    clip,
    signed_log10,
)

__all__ = ["summarise"]


def summarise(cube: Cube, *, initial: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Summarise every channel by its level at ``init``, its last level, mean and slope.

    Magnitudes are signed log10 values, channels between 0 and 1 are taken as they are. Values
    that are not finite count as the largest magnitude, 1e30 (1 for a bounded channel, 0 for one
    that the program does not have), and are marked by indicators.

    Parameters
    ----------
    cube : Cube
        With ``init`` as the first snapshot of every run.
    initial : tuple of str
        Channels that exist at ``init``; the others describe training steps and are summarised
        over epochs 0 and later.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        ``<channel>_init``, and, if a later snapshot is visible, ``<channel>_last``,
        ``<channel>_mean`` and ``<channel>_slope`` (per epoch, least squares); ``nonfinite_init``
        and ``nonfinite_share`` (of the visible snapshots).
    """
    absent = (cube.epoch == -1)[:, :, None] & ~np.isin(cube.channels, initial)
    cube = replace(cube, values=np.where(absent, 0.0, cube.values))
    nonfinite = cube.nonfinite
    levels = _levels(cube)
    later = cube.visible & (cube.epoch >= 0)
    last = np.where(cube.visible, cube.epoch, -2).argmax(axis=1)
    rows = np.arange(len(cube.run_ids))
    table = {}
    for j, channel in enumerate(cube.channels):
        level = levels[:, :, j]
        if channel in initial:
            table[f"{channel}_init"] = level[:, 0]
        if not later.any():
            continue
        shown = cube.visible if channel in initial else later
        table[f"{channel}_last"] = level[rows, last]
        table[f"{channel}_mean"] = np.nan_to_num(mean(level, shown))
        table[f"{channel}_slope"] = slope(level, cube.epoch, shown)
    table["nonfinite_init"] = nonfinite[:, 0].astype(float)
    if later.any():
        table["nonfinite_share"] = nonfinite.sum(axis=1) / cube.visible.sum(axis=1)
    return table


def _levels(cube: Cube) -> np.ndarray:
    bounded = np.array([c in BOUNDED for c in cube.channels])
    optional = np.array([c in OPTIONAL for c in cube.channels])
    values = clip(cube.values, missing=np.where(optional, 0.0, LARGEST))
    values = np.where(cube.visible[:, :, None], values, 0.0)
    return np.where(bounded, np.clip(values, 0.0, 1.0), signed_log10(values))
