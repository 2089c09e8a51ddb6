"""DEFault's features: the mean of every logged column over the window, ours and as published."""

import numpy as np

from analysis_lib.features.rules import NONFINITE
from analysis_lib.features.values import BOUNDED, LARGEST, OPTIONAL, Cube, clip, signed_log10
from analysis_lib.flags import DEFAULT_COLUMNS

__all__ = ["CHANNELS", "default_features", "faithful_features"]

CHANNELS = tuple(DEFAULT_COLUMNS.values())


def default_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return the channel means over the epochs of the window, on a signed log10 scale.

    mean over epochs 0 .. k - 1 (``init`` if k = 0) of the value clipped to +-1e30, where a value
    that is not finite counts as 1e30, and as 0 in a channel the program does not have; then
    signed log10, except for channels between 0 and 1. ``nonfinite`` is the share of these
    snapshots with a value that is not finite.

    Parameters
    ----------
    cube : Cube
        With the channels that hold the 26 columns of DEFault.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        One entry per column, under DEFault's name with ``default_`` before it, and ``nonfinite``.

    Notes
    -----
    DEFault averages raw values over 50 epochs and imputes missing ones by the column mean over the
    whole file. A tree does not see the logarithm; a linear model needs it.
    """
    shown = cube.trained
    count = shown.sum(axis=1)
    table = {}
    for column, channel in DEFAULT_COLUMNS.items():
        j = cube.channels.index(channel)
        value = clip(cube.values[:, :, j], missing=0.0 if channel in OPTIONAL else LARGEST)
        mean = np.where(shown, value, 0).sum(axis=1) / count
        table[f"default_{column}"] = (
            np.clip(mean, 0, 1) if channel in BOUNDED else signed_log10(mean)
        )
    table["nonfinite"] = (cube.nonfinite & shown).sum(axis=1) / count
    return table


def faithful_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return the plain channel means over the epochs of the window, as published.

    mean over epochs 0 .. k - 1 (``init`` if k = 0) of the values that are finite, clipped to
    +-1e30. Where none is, or the program has no such channel, the entry is
    :data:`analysis_lib.features.rules.NONFINITE`, which
    :class:`analysis_lib.techniques.hierarchy.HierarchicalForest` imputes by the column mean.

    Parameters
    ----------
    cube : Cube
        With the channels that hold the 26 columns of DEFault.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        One entry per column, under DEFault's name with ``default_`` before it.
    """
    shown = cube.trained[:, :, None] & np.isfinite(cube.values)
    values = np.where(shown, np.clip(cube.values, -LARGEST, LARGEST), 0)
    count = shown.sum(axis=1)
    means = np.where(count > 0, values.sum(axis=1) / np.maximum(count, 1), NONFINITE)
    at = {channel: j for j, channel in enumerate(cube.channels)}
    return {f"default_{name}": means[:, at[c]] for name, c in DEFAULT_COLUMNS.items()}
