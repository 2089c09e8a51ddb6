"""Scale-free features: what stays the same when a program's loss or weights change their unit.

Programs differ in the size of their losses, weights, gradients and Hessians, and an absolute value
learned on one says little about the next. Their *ratios* can be compared: of a value to that at
``init``, of an update to the weights it changes, of the largest layer to the mean one. A feature is
the level, the last level or the slope over the epochs of such a ratio (as log10), of a share, or of
a cosine. A few absolute values are kept under ``sane:``, since ``init`` may already be wrong.

A feature is named ``group:ratio:statistic``, so that groups can be left out.
"""

import numpy as np

from analysis_lib.channels import GROUPS
from analysis_lib.features.ratios import RATIOS, decades
from analysis_lib.features.trend import mean, slope
from analysis_lib.features.values import Cube

__all__ = [
    "CHANNELS",
    "CURVATURE_CHANNELS",
    "LIMIT",
    "MISSING",
    "RATIOS",
    "STEPS",
    "dimensionless_features",
    "log_ratio",
    "ratio_series",
    "scalefree_features",
]

LIMIT = 8.0
"""Decades to which the logarithm of a ratio is clipped, and which stand for infinity."""

MISSING = -9.0
"""Stands for what a program does not have or a broken run does not give."""

LIMITS = {"update:progress": 3.0, "sane:activation_mean": 10.0, "activation:bias": 10.0}
"""To which ratios that are no logarithms are clipped, if not to 1e6."""

CURVATURE = tuple(name for name in RATIOS if name.startswith("curvature:"))
"""Ratios of :func:`dimensionless_features`."""

STEPS = frozenset(name for name, r in RATIOS.items() if set(r.channels) & set(GROUPS["optimizer"]))
"""Ratios of training steps, which say nothing at ``init``."""

CURVATURE_CHANNELS = tuple(dict.fromkeys(c for name in CURVATURE for c in RATIOS[name].channels))
CHANNELS = tuple(dict.fromkeys(c for ratio in RATIOS.values() for c in ratio.channels))
LOSSES = ("train_loss", "valid_loss", "probe_loss")
VITAL = ("train_loss", "probe_loss", "grad_norm", "weight_norm", "act_std")


def log_ratio(above: np.ndarray, below: np.ndarray | float) -> np.ndarray:
    """Return ``log10(|above| / |below|)`` within +-8; equal values give 0, missing ones stay so.

    Examples
    --------
    >>> log_ratio(np.array([1.0, 0.0, 0.0, np.inf]), np.array([10.0, 0.0, 1.0, 1.0])).tolist()
    [-1.0, 0.0, -8.0, 8.0]
    """
    return np.clip(decades(above, below), -LIMIT, LIMIT)


def ratio_series(cube: Cube, names: tuple[str, ...] = tuple(RATIOS)) -> dict[str, np.ndarray]:
    """Return the series of ratios, each of shape (n_runs, n_snapshots), missing where not visible.

    Parameters
    ----------
    cube : Cube
        With the channels that the ratios read.
    names : tuple of str
        Keys of :data:`RATIOS`.
    """
    now = {name: cube.values[:, :, j] for j, name in enumerate(cube.channels)}
    start = {name: values[:, :1] for name, values in now.items()}
    found = {}
    for name in names:
        most = LIMITS.get(name, LIMIT if "decades" in RATIOS[name].form else 1e6)
        series = np.clip(RATIOS[name].series(now, start), -most, most)
        found[name] = np.where(cube.visible, series, np.nan)
    return found


def scalefree_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return level, last level and slope of every ratio, and how the loss curves move.

    Of each series s of :data:`RATIOS`: ``init`` = its value before the first step (not for ratios
    to ``init`` and of steps); over the visible epochs, ``mean``, ``last`` and ``slope`` (per
    epoch, least squares). Of the loss curves: ``rises`` = share of changes that are rises,
    ``flips`` = share of changes whose sign differs from the one before, ``straight`` = net over
    total change, ``first_drop`` = log10 of the loss after one epoch over that at ``init``.
    ``sane:nonfinite`` is the share of snapshots at which a vital channel is not finite.

    Parameters
    ----------
    cube : Cube
        With :data:`CHANNELS` and ``init`` as the first snapshot of every run.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        At window 0 the ``init`` values alone.

    References
    ----------
    Ben Braiek and Khomh, Testing feedforward neural networks training programs, TOSEM 2023, use
    relative updates and growth rates in the place of absolute thresholds.
    """
    return _summarised(cube, tuple(RATIOS)) | _dynamics(cube) | _vital(cube)


def dimensionless_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return the ratios of curvature alone: chi, rho, kappa, spectrum and layers.

    Parameters
    ----------
    cube : Cube
        With :data:`CURVATURE_CHANNELS`.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        As :func:`scalefree_features`.
    """
    return _summarised(cube, CURVATURE)


def _summarised(cube: Cube, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    later = cube.visible & (cube.epoch >= 0)
    last = np.where(cube.visible, cube.epoch, -2).argmax(axis=1)
    rows, table = np.arange(len(cube.run_ids)), {}
    for name, series in ratio_series(cube, names).items():
        if name not in STEPS and not name.endswith("to_init"):
            table[f"{name}:init"] = series[:, 0]
        if later.any():
            shown = later & np.isfinite(series)
            table[f"{name}:mean"] = mean(series, shown)
            table[f"{name}:last"] = series[rows, last]
            table[f"{name}:slope"] = slope(series, cube.epoch, shown)
    return {name: _complete(values) for name, values in table.items()}


def _dynamics(cube: Cube) -> dict[str, np.ndarray]:
    table: dict[str, np.ndarray] = {}
    if not (cube.visible & (cube.epoch >= 0)).any():
        return table
    for channel in LOSSES:
        values = np.clip(cube.values[:, :, cube.channels.index(channel)], -1e30, 1e30)
        change = np.diff(np.where(cube.visible, values, np.nan), axis=1)
        known = np.isfinite(change)
        sign = np.sign(change)
        turned = sign[:, 1:] * sign[:, :-1] < 0
        total = np.where(known, np.abs(change), 0).sum(axis=1)
        net = np.abs(np.where(known, change, 0).sum(axis=1))
        name = channel.split("_")[0]
        table[f"dynamics:{name}_rises"] = mean((change > 0).astype(float), known)
        table[f"dynamics:{name}_flips"] = mean(turned.astype(float), known[:, 1:] & known[:, :-1])
        table[f"dynamics:{name}_straight"] = net / np.where(total > 0, total, 1)
        table[f"dynamics:{name}_first_drop"] = log_ratio(values[:, 1], values[:, 0])
    return {name: _complete(values) for name, values in table.items()}


def _vital(cube: Cube) -> dict[str, np.ndarray]:
    vital = [cube.channels.index(c) for c in VITAL]
    broken = (~np.isfinite(cube.values[:, :, vital])).any(axis=2) & cube.visible
    return {"sane:nonfinite": broken.sum(axis=1) / cube.visible.sum(axis=1)}


def _complete(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, MISSING)
