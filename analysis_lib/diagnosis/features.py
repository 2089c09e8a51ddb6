"""Curves of traces, and their summary over a window: the features of the diagnosis."""

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.curves import CHANNELS, CURVES, STAND_IN
from analysis_lib.diagnosis.losses import not_finite
from analysis_lib.features.trend import slope
from analysis_lib.features.values import make_cube

__all__ = ["SUMMARIES", "curve_table", "curves_of", "feature_names", "summarise_curves"]

MOST = 9.0
"""Curves are clipped to plus and minus this."""

TINY = 1e-30
"""Smaller sizes count as this one in a logarithm: what is as good as 0 has no ratio."""

SUMMARIES = ("init", "last", "slope", "swing")
"""What a curve is reduced to over a window."""


def feature_names() -> list[str]:
    """Return the names of the features, in the order of :func:`summarise_curves`.

    Examples
    --------
    >>> feature_names()[:2], feature_names()[-1]
    (['train loss: last', 'train loss: slope'], 'not finite')
    """
    names = [
        f"{curve.name}: {what}"
        for curve in CURVES.values()
        for what in SUMMARIES
        if curve.at_init or what != "init"
    ]
    return [*names, "not finite"]


def curves_of(epochs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compute all curves of all runs.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch (-1 is ``init``) and any of the channels.

    Returns
    -------
    run_ids : ndarray of shape (n_runs,)
    epoch : ndarray of shape (n_runs, n_snapshots)
    values : ndarray of shape (n_runs, n_snapshots, n_curves)
        NaN where a channel is missing or not finite.
    broken : ndarray of bool of shape (n_runs, n_snapshots)
        Whether the train, validation or probe loss is not finite although it was measured, see
        :func:`analysis_lib.diagnosis.losses.not_finite`.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": "a", "epoch": [-1, 0], "grad_norm": [10.0, 0.1],
    ...                        "probe_loss": 1.0})
    >>> run_ids, epoch, values, broken = curves_of(epochs)
    >>> run_ids.tolist(), epoch.tolist(), values.shape == (1, 2, len(CURVES))
    (['a'], [[-1, 0]], True)
    """
    given = epochs.reindex(columns=["run_id", "epoch", *CHANNELS])
    cube = make_cube(given, CHANNELS, window=None)
    at = {c: cube.values[:, :, i] for i, c in enumerate(CHANNELS)}
    finite = {c: np.where(np.isfinite(x), x, np.nan) for c, x in at.items()}
    start = _starts(finite)
    values = np.full((*cube.epoch.shape, len(CURVES)), np.nan)
    for j, curve in enumerate(CURVES.values()):
        values[:, :, j] = np.clip(curve.ratio.series(finite, start, floor=TINY), -MOST, MOST)
        if not curve.at_init:
            values[:, :, j] = np.where(cube.epoch < 0, np.nan, values[:, :, j])
    train, valid, probe = (at[c] for c in ("train_loss", "valid_loss", "probe_loss"))
    lost = not_finite(train, valid, probe, cube.visible)
    broken = np.logical_or.reduce(lost) & (cube.epoch >= 0)
    return cube.run_ids, cube.epoch, values, broken


def _starts(channels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What growth is counted from, as columns: the first value of every run that is not missing."""
    first = {
        c: np.take_along_axis(x, np.isfinite(x).argmax(axis=1)[:, None], axis=1)
        for c, x in channels.items()
    }
    found = dict(first)
    for name, other in STAND_IN.items():
        none_yet = np.isnan(channels[name][:, :1]) & np.isfinite(first[other])
        found[name] = np.where(none_yet, first[other], first[name])
    return found


def curve_table(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of one trace: one row per snapshot, ``epoch`` and one column per curve.

    Examples
    --------
    >>> trace = pd.DataFrame({"epoch": [-1, 0], "grad_norm": [10.0, 0.1], "probe_loss": 1.0})
    >>> curve_table(trace)["gradient"].tolist()
    [0.0, -2.0]
    """
    _, epoch, values, _ = curves_of(epochs.assign(run_id="trace"))
    table = pd.DataFrame(values[0], columns=list(CURVES))
    table.insert(0, "epoch", epoch[0])
    return table


def summarise_curves(
    epoch: np.ndarray, values: np.ndarray, broken: np.ndarray, *, window: int
) -> np.ndarray:
    """Reduce curves to features over the snapshots with epoch < ``window``.

    Of every curve: its value at ``init``, its last finite one, its slope per epoch (least squares
    over epochs 0 and later), and swing, the mean absolute second difference. The last feature is
    the share of epochs whose loss is not finite.

    Parameters
    ----------
    epoch : ndarray
        As :func:`curves_of` returns it.
    values : ndarray
        As :func:`curves_of` returns it.
    broken : ndarray
        As :func:`curves_of` returns it.
    window : int
        0 is ``init`` alone.

    Returns
    -------
    ndarray of shape (n_runs, n_features)
        Columns as :func:`feature_names`; NaN where the window has no finite value.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": "a", "epoch": [-1, 0], "grad_norm": [10.0, 0.1],
    ...                        "probe_loss": 1.0})
    >>> _, epoch, values, broken = curves_of(epochs)
    >>> row = pd.Series(summarise_curves(epoch, values, broken, window=1)[0], feature_names())
    >>> float(row["gradient: last"])
    -2.0
    """
    inside = epoch < window
    seen = np.isfinite(values) & inside[:, :, None]
    later = seen & (epoch >= 0)[:, :, None]
    start = np.where((epoch == -1)[:, :, None] & seen, values, 0).sum(axis=1)
    start = np.where(((epoch == -1)[:, :, None] & seen).any(axis=1), start, np.nan)
    reach = np.where(seen, np.arange(values.shape[1])[None, :, None], -1).max(axis=1)
    last = np.take_along_axis(values, np.maximum(reach, 0)[:, None], axis=1)[:, 0]
    last = np.where(reach >= 0, last, np.nan)
    trend = slope(values, epoch[:, :, None], later, alone=np.nan)
    bend = np.abs(np.diff(np.where(seen, values, np.nan), n=2, axis=1))
    number = np.isfinite(bend).sum(axis=1)
    swing = np.nansum(bend, axis=1) / np.where(number, number, np.nan)
    parts = dict(zip(SUMMARIES, (start, last, trend, swing), strict=True))
    columns = [
        parts[what][:, j]
        for j, curve in enumerate(CURVES.values())
        for what in SUMMARIES
        if curve.at_init or what != "init"
    ]
    after = inside & (epoch >= 0)
    share = (broken & after).sum(axis=1) / np.maximum(after.sum(axis=1), 1)
    return np.column_stack([*columns, share])
